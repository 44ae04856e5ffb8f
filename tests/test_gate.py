"""The gates: nothing passes by mistake, a worse model is refused, a better one admitted."""

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import inside
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Generate
from mutate import changed, leaves, misspell
from shell import dvc, run
from trained import Copy

GATES = yaml.safe_load((inside.TEMPLATE / "gates.yaml").read_text())
OPTIONAL = {"confidence", "p50", "p95", "p99", "worst", "min", "max"}  # where another one stays
Verdict = dict[str, Any]


@pytest.fixture
def here(trained_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In a trained project, judged by few resamples."""
    from ops.gates import bootstrap

    monkeypatch.chdir(trained_copy)
    on_a_branch(trained_copy)
    monkeypatch.setattr(bootstrap, "TIMES", 40)
    return trained_copy


@pytest.fixture(scope="module")
def shared(trained: Path, copy_of: Copy) -> Path:
    project = copy_of(trained)
    on_a_branch(project)
    return project


@pytest.fixture
def spoilt(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In a project whose gates.yaml each test writes anew, and nothing else."""
    from ops.gates import bootstrap

    monkeypatch.chdir(shared)
    monkeypatch.setattr(bootstrap, "TIMES", 40)
    return shared


def on_a_branch(project: Path) -> None:
    run("git", "checkout", "-qb", "branch", cwd=project)
    run("git", "commit", "-q", "--allow-empty", "-m", "Branch", cwd=project)


def judge(rev: str | None = None) -> Verdict:
    from ops.gates import gate

    return gate.judge(rev)


def refused(verdict: Verdict) -> list[str]:
    return [f"{one['gate']}: {one['about']}" for one in verdict["gates"] if not one["passed"]]


def no_verdict(*words: str, rev: str | None = None) -> None:
    """It cannot be judged: exit 2, all of `words` in the message, and nothing passed on disk."""
    from core.errors import Problem

    with pytest.raises(Problem) as wrong:
        judge(rev)
    assert wrong.value.code == 2
    assert all(word in str(wrong.value) for word in words), str(wrong.value)
    assert json.loads(Path("reports/gates.json").read_text())["verdict"] == "could not judge"


def test_the_shipped_model_passes_with_every_kind_of_gate(here: Path) -> None:
    verdict = judge()
    assert verdict["verdict"] == "passed"
    assert {one["gate"] for one in verdict["gates"]} == set(GATES)
    assert verdict["baseline"]["what"] == "main"
    assert verdict["comparison"]["roc_auc"]["difference"] == 0
    low, value, high = (verdict["gates"][0][key] for key in ("low", "value", "high"))
    assert low < value < high


@pytest.mark.parametrize("path", list(leaves(GATES)), ids=lambda path: ".".join(map(str, path)))
def test_a_misspelt_key_is_no_verdict(spoilt: Path, path: tuple[Any, ...]) -> None:
    """The message tells the key as it stands there, with no word of pydantic's between."""
    (spoilt / "gates.yaml").write_text(yaml.safe_dump(changed(GATES, path, misspell)))
    key = ".".join(map(str, path)) if len(path) < 3 else path[-1]
    no_verdict("gates.yaml", f"{key}x")


@pytest.mark.parametrize("path", list(leaves(GATES)), ids=lambda path: ".".join(map(str, path)))
def test_a_key_of_another_type_is_no_verdict(spoilt: Path, path: tuple[Any, ...]) -> None:
    for value in ("0.5", None, True, [], math.nan, math.inf, -math.inf, {}):
        if value == [] and path[-1] == "columns":
            continue
        content = changed(GATES, path, lambda at, key, value=value: at.update({key: value}))  # type: ignore[misc]
        if value is None and path[-1] in OPTIONAL:
            continue  # the same as leaving it out
        (spoilt / "gates.yaml").write_text(yaml.safe_dump(content))
        no_verdict("gates.yaml", str(path[-1]) if len(path) == 1 else str(path[0]))


@pytest.mark.parametrize("path", list(leaves(GATES)), ids=lambda path: ".".join(map(str, path)))
def test_a_key_that_is_gone_lets_no_other_model_pass(spoilt: Path, path: tuple[Any, ...]) -> None:
    """A section, or what it needs, is missed; one of several limits is the user's to take away."""
    parent = GATES
    for key in path[:-1]:
        parent = parent[key]
    several = isinstance(parent, dict) and len(parent) > 1 and len(path) > 1
    named = path[-2:-1] in (("metrics",), ("max_gap",), ("performance",), ("calibration",))
    named = named or path[-2:-1] == ("fairness",) or path[-2:-1] == ("latency",)
    if several and (named or path[-1] in OPTIONAL):
        return
    (spoilt / "gates.yaml").write_text(
        yaml.safe_dump(changed(GATES, path, lambda at, key: at.pop(key)))
    )
    no_verdict("gates.yaml", str(path[0]))


@pytest.mark.parametrize("content", ["", "{}", "[]", "performance: {}", "- a", "performance: [1"])
def test_an_empty_file_of_gates_is_no_verdict(here: Path, content: str) -> None:
    (here / "gates.yaml").write_text(content)
    no_verdict("gates.yaml")


def set_at(file: Path, path: str, value: Any) -> None:
    """Set a dotted path of a JSON file; `...` takes it away."""
    content = at = json.loads(file.read_text())
    *parents, last = path.split(".")
    for key in parents:
        at = at[key]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    file.write_text(json.dumps(content))


VALUES = [..., math.nan, math.inf, -math.inf, "0.9", None, True, [0.9], {}]
NUMBERS = [
    ("metrics/quality.json", "roc_auc"),
    ("metrics/quality.json", "accuracy"),  # no gate names it, yet the file is then no evidence
    ("metrics/quality.json", "ece"),
    ("metrics/cost.json", "latency_ms.single_row.p95"),
    ("metrics/cost.json", "latency_ms.batch_of_1000.p95"),
    ("metrics/cost.json", "model_bytes"),
    ("metrics/cost.json", "peak_memory_mb"),
    ("reports/slices.json", "slices.gender.female.selection_rate"),
    ("reports/slices.json", "slices.gender.male.rows"),
    ("reports/slices.json", "slices.age.18 to 31.accuracy"),
]


@pytest.mark.parametrize(("file", "path"), NUMBERS)
def test_a_number_that_is_none_is_no_verdict(here: Path, file: str, path: str) -> None:
    before = (here / file).read_text()
    for value in VALUES:
        set_at(here / file, path, value)
        no_verdict(file, path.split(".")[-1])
        (here / file).write_text(before)


@pytest.mark.parametrize("file", sorted({file for file, _ in NUMBERS}))
@pytest.mark.parametrize("content", [None, "", "{", "[]", "3"])
def test_a_broken_file_is_no_verdict(here: Path, file: str, content: str | None) -> None:
    if content is None:
        (here / file).unlink()
    else:
        (here / file).write_text(content)
    no_verdict(file)


def test_scores_that_are_not_this_models_are_no_evidence(here: Path) -> None:
    set_at(here / "metrics/quality.json", "roc_auc", 0.9)
    no_verdict("metrics/quality.json", "roc_auc is 0.9", "reaches 0.82")


def limits(here: Path, section: str, value: Any) -> None:
    (here / "gates.yaml").write_text(yaml.safe_dump(GATES | {section: value}))


FAILING = {
    "performance": {"roc_auc": {"min": 0.9}},
    "calibration": {"ece": {"max": 0.001}},
    "latency": {"single_row": {"p99": 0.001}},
    "size": {"model_mb": 0.001},
    "memory": {"peak_mb": 1.0},
    "fairness": {"gender": {"min_rows": 50, "max_gap": {"accuracy": 0.0001}}},
    "invariance": {"max_change": 0.0001, "columns": ["gender"]},
    "direction": {"tolerance": 0.01, "columns": {"debt_to_income": "down"}},
    "regression": {"other_rows": "rescore", "metrics": {"roc_auc": {"min_improvement": 0.001}}},
}


@pytest.mark.parametrize("section", FAILING)
def test_each_kind_can_refuse(here: Path, section: str) -> None:
    limits(here, section, FAILING[section])
    verdict = judge()
    assert verdict["verdict"] == "refused"
    assert {one.split(":")[0] for one in refused(verdict)} == {section}
    assert not verdict["gates"][0]["passed"]  # failed ones first


def test_a_bound_refuses_what_the_score_alone_would_pass(here: Path) -> None:
    score = json.loads((here / "metrics/quality.json").read_text())["roc_auc"]
    limits(here, "performance", {"roc_auc": {"min": score - 0.001}})
    assert judge()["verdict"] == "passed"
    limits(here, "performance", {"roc_auc": {"min": score - 0.001, "confidence": 0.95}})
    assert refused(judge()) == ["performance: roc_auc"]


def test_the_worst_group_has_a_floor(here: Path) -> None:
    gender = {"min_rows": 50, "max_gap": {"accuracy": 0.5}, "worst": {"roc_auc": {"min": 0.99}}}
    limits(here, "fairness", {"gender": gender})
    assert refused(judge()) == ["fairness: gender: worst roc_auc"]


def test_small_groups_are_left_out_and_named(here: Path) -> None:
    limits(here, "fairness", {"age": {"min_rows": 368, "max_gap": {"accuracy": 0.5}}})
    note = next(one["note"] for one in judge()["gates"] if one["gate"] == "fairness")
    assert "not judged, under 368 rows" in note
    limits(here, "fairness", {"age": {"min_rows": 5000, "max_gap": {"accuracy": 0.5}}})
    no_verdict("fewer than two groups")


UNKNOWN = {
    "performance": {"roc_auk": {"min": 0.5}},
    "fairness": {"gendre": {"min_rows": 50, "max_gap": {"accuracy": 0.5}}},
    "invariance": {"max_change": 0.1, "columns": ["gendre"]},
    "direction": {"tolerance": 0.1, "columns": {"incoem": "up"}},
    "latency": {"single_rwo": {"p50": 1000.0}},
}


@pytest.mark.parametrize("section", UNKNOWN)
def test_an_unknown_name_is_no_verdict_and_the_nearest_is_named(here: Path, section: str) -> None:
    limits(here, section, UNKNOWN[section])
    no_verdict("gates.yaml", section, "did you mean")


def test_a_case_that_is_answered_wrongly_is_refused(here: Path) -> None:
    cases = here / "tests/model/critical_cases.csv"
    lines = cases.read_text().splitlines()
    flipped = lines[1][:-1] + ("1" if lines[1].endswith("0") else "0")
    cases.write_text("\n".join([lines[0], flipped, *lines[2:]]) + "\n")
    verdict = judge()
    assert refused(verdict) == ["behaviour: critical cases"]
    assert "line 2" in verdict["gates"][0]["note"]
    limits(here, "behaviour", {"min_pass_rate": 0.8})
    assert judge()["verdict"] == "passed"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        ("", "No columns"),
        ("age,expected\n", "has no case"),
        ("age,expected\n30,0\n", "missing"),
        ("age\n30\n", "missing"),
    ],
)
def test_cases_that_cannot_be_asked_are_no_verdict(
    here: Path, text: str | None, words: str
) -> None:
    cases = here / "tests/model/critical_cases.csv"
    cases.unlink() if text is None else cases.write_text(text)
    no_verdict(words)


def test_an_answer_that_is_not_finite_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline import features

    monkeypatch.setattr(features, "CLIP", math.inf)  # what keeps huge inputs in bounds
    limits(here, "invariance", "off")
    assert refused(judge()) == ["stability: answers not finite"]


# What it is compared with


def test_without_main_and_production_the_linear_baseline_must_be_beaten(here: Path) -> None:
    run("git", "branch", "-D", "main", cwd=here)
    verdict = judge()
    assert verdict["baseline"]["what"] == "linear baseline"
    assert "no main branch" in verdict["baseline"]["note"]
    assert verdict["verdict"] == "passed"
    (here / "models/model.safetensors").write_bytes(
        (here / "models/baseline.safetensors").read_bytes()
    )
    limits(here, "regression", {"other_rows": "rescore",
                                "metrics": {"roc_auc": {"min_improvement": 0.01}}})  # fmt: skip
    no_verdict("models/model.safetensors is not")  # and no other model passes for this one


def test_main_without_a_model_falls_back_to_the_linear_one(
    here: Path, generate: Generate, tmp_path: Path
) -> None:
    first = run("git", "rev-list", "--max-parents=0", "HEAD", cwd=here).strip()
    run("git", "checkout", "-q", "-b", "work", cwd=here)
    run("git", "branch", "-f", "main", first, cwd=here)
    verdict = judge()
    assert verdict["baseline"]["what"] == "linear baseline"
    assert "main has no trained model" in verdict["baseline"]["note"]


def test_a_model_of_main_that_cannot_be_had_is_no_verdict(here: Path) -> None:
    for lost in here.glob(".dvc/cache/files/md5/*/*"):
        lost.chmod(0o644)
        lost.unlink()
    no_verdict("no baseline", "neither in the cache nor in the storage", rev=None)


def test_an_altered_baseline_in_the_cache_is_no_baseline(here: Path) -> None:
    from ops.dvc_lock import outputs, read_lock

    md5 = outputs(read_lock(here))["models/model.safetensors"]
    cached = here / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    cached.chmod(0o644)
    cached.write_bytes(cached.read_bytes()[:-1] + b"x")
    no_verdict("no baseline")


def test_where_regression_is_off_what_cannot_be_compared_is_a_note(here: Path) -> None:
    for lost in here.glob(".dvc/cache/files/md5/*/*"):
        lost.chmod(0o644)
        lost.unlink()
    limits(here, "regression", "off")
    verdict = judge()
    assert (verdict["verdict"], verdict["comparison"]) == ("passed", {})
    assert "neither in the cache" in verdict["baseline"]["note"]


def test_main_that_answers_another_question_is_passed_over(here: Path) -> None:
    from ops.gates import regression
    from pipeline.model import load_model

    run("git", "checkout", "-qb", "work", cwd=here)
    other = load_model()
    other.spec["target"] = "churned"
    against = regression.find(None, other)
    assert against.what == "linear baseline"
    assert "target 'defaulted', not 'churned'" in against.note


@pytest.mark.parametrize("rev", ["nowhere", "origin/main"])
def test_an_unknown_baseline_is_no_verdict(here: Path, rev: str) -> None:
    no_verdict(rev, rev=rev)


def test_main_is_not_its_own_baseline(here: Path) -> None:
    run("git", "checkout", "-q", "main", cwd=here)
    against = judge()["baseline"]
    assert (against["what"], against["note"]) == ("linear baseline", "this is the model of main")


def test_the_model_in_production_comes_before_mains(here: Path) -> None:
    run("gto", "register", "model", "HEAD", "--version", "v1.0.0", cwd=here)
    run("gto", "assign", "model", "--version", "v1.0.0", "--stage", "production", cwd=here)
    against = judge()["baseline"]
    assert (against["what"], against["name"]) == ("production", "model@v1.0.0")


def retrain(here: Path, **knobs: Any) -> None:
    params = here / "params.yaml"
    content = yaml.safe_load(params.read_text())
    for key, value in knobs.items():
        section, name = key.split("__")
        content[section][name] = value
    params.write_text(yaml.safe_dump(content, sort_keys=False))
    dvc("repro", cwd=here)


def test_a_worse_model_is_refused_and_a_better_one_admitted(here: Path) -> None:
    limits(here, "performance", {"roc_auc": {"min": 0.5}})
    limits(here, "calibration", "off")
    run("git", "commit", "-qam", "Judge by main", cwd=here)
    run("git", "checkout", "-qb", "worse", cwd=here)
    retrain(here, train__lr=1e-6, train__epochs=1, model__members=1)
    verdict = judge()
    assert "regression: roc_auc against main" in refused(verdict)
    worse = verdict["comparison"]["roc_auc"]
    assert worse["high"] < 0
    assert not worse["better"]
    said = run(sys.executable, "-m", "ops", "gate", cwd=here, code=1)
    assert "the model is refused" in said
    run("git", "commit", "-qam", "A worse model", cwd=here)
    run("git", "branch", "-f", "main", cwd=here)
    run("git", "checkout", "-qb", "better", cwd=here)
    retrain(here, train__lr=0.002, train__epochs="auto", model__members="auto")
    limits(here, "regression", {"confidence": 0.95, "other_rows": "refuse",
                                "metrics": {"roc_auc": {"min_improvement": 0.005}}})  # fmt: skip
    verdict = judge()
    assert [one for one in refused(verdict) if one.startswith("regression")] == []
    assert verdict["comparison"]["roc_auc"]["low"] > 0.005


def test_other_test_rows_are_said_and_treated_as_declared(here: Path) -> None:
    run("git", "checkout", "-qb", "work", cwd=here)
    before = json.loads(Path("metrics/quality.json").read_text())["roc_auc"]
    retrain(here, prepare__test=0.2, train__epochs=3)
    verdict = judge()
    assert verdict["baseline"]["rows"] == "other"
    assert verdict["comparison"]["roc_auc"]["base"] != before  # scored again, on the rows here
    limits(here, "regression", GATES["regression"] | {"other_rows": "refuse"})
    no_verdict("main was tested on other rows")


def test_a_shallow_clone_says_so(trained: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from core.errors import Problem
    from ops import checkout

    run("git", "clone", "-q", "--depth", "1", f"file://{trained}", "clone", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "clone")
    with pytest.raises(Problem, match="this clone is shallow: git fetch --unshallow"):
        checkout.merge_base("v1")


def test_the_base_is_where_the_branch_left_main(here: Path) -> None:
    from ops import checkout

    left = run("git", "rev-parse", "main", cwd=here).strip()
    run("git", "checkout", "-qb", "work", cwd=here)
    run("git", "commit", "-q", "--allow-empty", "-m", "Work", cwd=here)
    run("git", "checkout", "-q", "main", cwd=here)
    run("git", "commit", "-q", "--allow-empty", "-m", "Main goes on", cwd=here)
    run("git", "checkout", "-q", "work", cwd=here)
    assert checkout.checkout("main").commit == left


def test_a_share_of_the_rows_is_compared_with_the_same_share_of_main(here: Path) -> None:
    """Main is trained on it once; then the run cache knows."""
    run("git", "checkout", "-q", "main", cwd=here)
    text, count = re.subn(r"(?m)^  epochs: \S+", "  epochs: 2", Path("params.yaml").read_text())
    assert count == 1
    Path("params.yaml").write_text(text)
    run("git", "commit", "-qam", "Train less", cwd=here)
    run("git", "checkout", "-qb", "work", cwd=here)
    dvc("exp", "run", "-S", "prepare.sample=0.3", "-S", "train.epochs=3", cwd=here)
    assert judge()["baseline"]["what"] == "linear baseline"
    said = run(sys.executable, "-m", "ops", "checkout", "main", "--train", cwd=here)
    assert said.count("Running stage") == 2  # the branch has prepared and validated the same rows
    assert judge()["baseline"]["what"] == "main"
    assert judge()["baseline"]["rows"] == "the same"
    run("rm", "-r", ".dvc/tmp/base", cwd=here)
    said = run(sys.executable, "-m", "ops", "checkout", "main", "--train", cwd=here)
    assert said.count("Running stage") == 1  # evaluate, whose scores are in Git


def test_a_mutated_gate_is_noticed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks above would see a gate that lets everything pass."""
    from ops.gates import thresholds

    monkeypatch.setattr(thresholds, "within", lambda *_: True)
    limits(here, "performance", FAILING["performance"])
    assert judge()["verdict"] == "passed"


# Only what `dvc status` calls up to date is judged


@pytest.mark.parametrize(
    ("file", "before", "after", "named"),
    [
        ("params.yaml", "patience: 10", "patience: 3", "train: changed since it ran: params.yaml"),
        ("pipeline/metrics.py", "TINY = 1e-15", "TINY = 1e-14", "pipeline/metrics.py"),
        ("schema.yaml", "coerce: false", "coerce: true", "validate: changed since it ran: schema"),
        ("data/raw/sample.csv", "\n", "\n\n", "prepare: changed since it ran: data/raw"),
        (
            "dvc.yaml",
            "cmd: python -m pipeline.train",
            "cmd: python -m pipeline.train && true",
            "command",
        ),
        ("dvc.yaml", "      - schema.yaml\n", "", "schema.yaml"),
        ("dvc.lock", "  evaluate:", "  elsewhere:", "evaluate: has not run"),
    ],
)
def test_a_model_that_the_project_no_longer_describes_is_no_verdict(
    spoilt: Path, file: str, before: str, after: str, named: str
) -> None:
    (spoilt / "gates.yaml").write_text(yaml.safe_dump(GATES))
    text = (spoilt / file).read_text()
    assert before in text
    try:
        (spoilt / file).write_text(text.replace(before, after, 1))
        no_verdict("not up to date; dvc repro", named)
    finally:
        (spoilt / file).write_text(text)


@pytest.mark.parametrize(
    "file",
    ["models/model.safetensors", "models/baseline.safetensors", "data/prepared/test.parquet"],
)
def test_bytes_that_dvc_lock_does_not_name_are_no_verdict(here: Path, file: str) -> None:
    path = here / file
    content = path.read_bytes()
    path.unlink()  # it may be a link into the cache
    no_verdict(file, "is not here")
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    no_verdict(file, f"dvc checkout -f {file}")
    path.write_bytes(content)
    cached = here / ".dvc/cache/files/md5" / md5_of(content)
    cached.chmod(0o644)
    cached.write_bytes(b"altered")
    path.write_bytes(b"altered")
    no_verdict(file, "rm -f .dvc/cache", "dvc repro -f")


def md5_of(content: bytes) -> str:
    import hashlib

    name = hashlib.md5(content).hexdigest()
    return f"{name[:2]}/{name[2:]}"


def test_a_file_of_scores_that_was_edited_is_no_verdict(here: Path) -> None:
    set_at(here / "metrics/cost.json", "latency_ms.single_row.p50", 0.1)
    no_verdict("metrics/cost.json is not the one that dvc.lock names")


def test_answers_that_are_not_finite_are_refused_whatever_else_is_off(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    from ops.gates import gate
    from pipeline.network_model import NetworkModel

    limits(here, "stability", "off")
    monkeypatch.setattr(NetworkModel, "score", lambda self, frame: np.full(len(frame), np.nan))
    (here / "metrics/quality.json").unlink()  # evaluate has none for such a model
    said = inside.stage("gate", gate.main, capsys)
    assert said.code == 1, said.text
    assert "refused  stability: answers not finite" in said.text
    assert refused(json.loads(Path("reports/gates.json").read_text())) == [
        "stability: answers not finite"
    ]


# On the terminal


def test_failures_are_told_and_a_line_for_each_kind_that_passed(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ops.gates import gate

    monkeypatch.setenv("COLUMNS", "80")
    limits(here, "performance", {"roc_auc": {"min": 0.82, "confidence": 0.95}})
    said = inside.stage("gate", gate.main, capsys)
    assert said.code == 1
    assert "refused  performance: roc_auc\n" in said.text
    assert re.search(r"\n         with 95% confidence; lower bound 0\.8\d+ < 0\.82\n", said.text)
    assert "passed   fairness (7 checks)\n" in said.text
    assert "gap in recall" not in said.text
    assert max(map(len, said.text.splitlines()[:-1])) <= 80
    said = inside.stage("gate", lambda: gate.main(show_all=True), capsys)
    assert "fairness: gender: gap in recall\n" in said.text


def test_a_bound_is_told_in_digits_that_show_it() -> None:
    from ops.gates.context import bound

    assert bound("upper bound", 0.0345, ">", 0.03) == ["upper bound 0.0345 > 0.03"]
    assert bound("upper bound", 0.030001, ">", 0.03) == ["upper bound 0.030001 > 0.03"]
    assert bound("upper bound", 0.03, ">", 0.03) == bound("lower bound", 1, "<", None) == []


def test_one_document_of_json_and_the_same_exit_status(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.errors import Problem, Refused
    from ops.gates import gate

    gate.main(as_json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(Path("reports/gates.json").read_text())
    limits(here, "size", FAILING["size"])
    with pytest.raises(Refused):
        gate.main(as_json=True)
    assert json.loads(capsys.readouterr().out)["verdict"] == "refused"
    (here / "models/model.safetensors").unlink()
    with pytest.raises(Problem) as wrong:
        gate.main(as_json=True)
    assert wrong.value.code == 2
    assert json.loads(capsys.readouterr().out)["verdict"] == "could not judge"


def test_an_interval_holds_its_value_also_of_a_biased_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Planted: probabilities that are right, so that all calibration error is chance."""
    import numpy as np

    from ops.gates import bootstrap
    from pipeline.metrics import ece

    monkeypatch.setattr(bootstrap, "TIMES", 100)
    rng, rows = np.random.default_rng(1), []
    for _ in range(100):
        chance = rng.random(500)
        truth = (rng.random(500) < chance).astype(int)
        (deviations,) = bootstrap.spread(lambda t, c: {"ece": ece(c, t == 1, 10)}, truth, [chance])
        rows.append(bootstrap.interval(ece(chance, truth == 1, 10), deviations["ece"], 0.95))
    value, low, high = np.array(rows).T
    assert ((low <= value) & (value <= high)).all()
    assert ((low <= value.mean()) & (value.mean() <= high)).mean() > 0.8


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.date_range("2020-01-01", periods=9)).where(np.arange(9) % 3 > 0),
        pd.Series([pd.NaT] * 9, dtype="datetime64[us]"),
        pd.Series([True, None, False] * 3),
        pd.Series([1, None, 3] * 3, dtype="Int64"),
        pd.Series([1.5, None, 3] * 3),
        pd.Series([None] * 9, dtype="float64"),
    ],
    ids=["dates", "no date", "booleans", "whole numbers", "numbers", "no number"],
)
def test_hostile_rows_are_made_of_a_column_with_gaps(column: pd.Series) -> None:
    from ops.gates import behaviour
    from pipeline.features import Input

    class Anything:
        inputs = (Input("c", "number", []),)

    model: Any = Anything()
    rows = behaviour.hostile(model, column.to_frame("c"))["c"]
    assert rows.dtype == np.float64
    assert {1e300, -1e300, 1e-300} <= set(rows)
    assert rows.isna().sum() >= len(column)
