"""The report for a pull request: true, safe whatever the names, short, always written."""

import base64
import json
import random
import re
import shutil
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from inside import TEMPLATE, set_params
from look import Seen, look
from look import html as markdown_html
from pretend import (
    COLUMNS,
    SCORES,
    commit,
    git,
    lock,
    pretended,
    results,
    write_csv,
    write_json,
    yaml,
)
from shell import dvc, run
from trained import Copy

from core import markdown, runner
from core.errors import Problem
from core.paths import CASES, CONFUSION
from ops import checkout
from ops.report import changes, context, details, html, log, mermaid, report, stages

PASSED: dict[str, Any] = {
    "verdict": "passed",
    "baseline": {"what": "plain model", "name": "plain model", "commit": None, "rows": "the same"},
    "rows": 1466,
    "gates": [
        {"gate": "performance", "about": "roc_auc", "value": 0.82, "limit": ">= 0.75",
         "passed": True, "low": 0.8, "high": 0.84, "note": ""},
        {"gate": "calibration", "about": "ece", "value": 0.03, "limit": "<= 0.08",
         "passed": True, "low": None, "high": None, "note": ""},
    ],
    "comparison": {},
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(checkout, "_fetch", lambda rev, folder, known: "")  # spares `dvc pull`
    with pretended(tmp_path / "credit-risk") as folder:
        yield folder


def gathered(base: str | None = None, verdict: Any = PASSED, log: str | None = None) -> Any:
    """What the report of the project in this folder tells of, the gates' answer being `verdict`."""
    path = None
    if log is not None:
        path = Path(".dvc/tmp/repro.log")
        path.write_text(log, encoding="utf-8")

    def judge() -> Any:
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    return context.gather(base, path, judge)


def shown(base: str | None = None, verdict: Any = PASSED, log: str | None = None) -> str:
    """The report of the project in this folder, the gates' answer being `verdict`."""
    return report.render(gathered(base, verdict, log))


def noted(**seconds: float) -> None:
    """Note the seconds of stages, as if they had made the outputs that dvc.lock names."""
    locked = yaml.load(Path("dvc.lock"))["stages"]
    runs = {
        name: {"seconds": taken, "outputs": {o["path"]: o["md5"] for o in locked[name]["outs"]}}
        for name, taken in seconds.items()
    }
    write_json(".dvc/tmp/seconds.json", runs)


def first(text: str) -> str:
    return text.split("\n", 1)[0]


def rows(text: str, name: str) -> list[list[str]]:
    """The rows of all tables whose first cell is `name`."""
    return [row for table in look(markdown_html(text)).tables for row in table if row[0] == name]


def failing(**changes: Any) -> dict[str, Any]:
    one = {**PASSED["gates"][0], "value": 0.7, "low": 0.66, "high": 0.74, "passed": False}
    return {**PASSED, "verdict": "refused", "gates": [one | changes, PASSED["gates"][1]]}


# The first two lines


def test_the_first_line_says_that_the_model_passed(project: Path) -> None:
    set_params(train={"lr": 0.001})
    results({**SCORES, "roc_auc": 0.832})
    text = shown()
    assert first(text) == ("### ✅ Passed: may be promoted. ROC AUC 0.832, +0.012 against `main`")
    assert "All 2 gates passed. Changed: `train.lr`. Compared with `main` at" in text
    assert "on the same 1,466 test rows" in text


def test_the_first_line_says_why_the_model_is_refused(project: Path) -> None:
    text = shown(verdict=failing())
    says = "### ❌ Refused: performance, `roc_auc` 0.7000 (0.6600 to 0.7400), limit ≥\u00a00.75"
    assert first(text) == says
    other = shown(verdict=failing(about="ece", gate="calibration"))
    assert first(other).endswith(". ROC AUC 0.820, 0.000 against `main`")
    assert "1 of 2 gates failed." in text
    table = look(markdown_html(text)).tables[0]
    assert [row[0] for row in table[1:]] == ["❌"], "failed ones first"
    assert "1 passed" in text


def test_the_first_line_says_that_nobody_could_judge(project: Path) -> None:
    text = shown(verdict=Problem("gates.yaml: performance: missing; add it\ngates.yaml: more"))
    assert first(text).startswith("### ⚠️ Could not judge: `gates.yaml: performance: missing;")
    assert "gates.yaml: more" in text
    assert "may be promoted" not in text


def test_a_crash_of_the_gates_is_no_pass(project: Path) -> None:
    assert first(shown(verdict=RuntimeError("boom"))).startswith("### ⚠️ Could not judge: `Runtime")


@pytest.mark.parametrize("verdict", [{}, {"verdict": "refused"}, {"verdict": "well done"}])
def test_an_unclear_verdict_is_no_pass(project: Path, verdict: dict[str, Any]) -> None:
    assert first(shown(verdict=verdict)).startswith("### ⚠️ Could not judge")


# Scores


@pytest.mark.parametrize(
    ("name", "now", "arrow", "says"),
    [
        ("roc_auc", 0.9, "↑ +0.0800", "better"),
        ("roc_auc", 0.7, "↓ -0.1200", "worse"),
        ("log_loss", 0.4, "↓ -0.0500", "better"),
        ("log_loss", 0.5, "↑ +0.0500", "worse"),
        ("ece", 0.03, "= 0.0000", "the same"),
    ],
)
def test_the_direction_knows_the_score(
    project: Path, name: str, now: float, arrow: str, says: str
) -> None:
    results({**SCORES, name: now})
    row = rows(shown(), name)[0]
    assert (row[3], row[5]) == (arrow, says)


@pytest.mark.parametrize(
    ("low", "high", "says"), [(-0.01, 0.03, "within chance"), (0.001, 0.03, "better")]
)
def test_a_change_within_chance_is_no_change(
    project: Path, low: float, high: float, says: str
) -> None:
    results({**SCORES, "roc_auc": 0.83})
    row = {"value": 0.83, "base": 0.82, "difference": 0.01, "low": low, "high": high}
    baseline = {"what": "main", "name": "main", "commit": git("rev-parse", "main"), "rows": "other"}
    text = shown(verdict={**PASSED, "baseline": baseline, "comparison": {"roc_auc": row}})
    found = rows(text, "roc_auc")[0]
    assert found[4:] == [f"{low:+.4f} to {high:+.4f}", says]
    assert ("(within chance)" in first(text)) == (says == "within chance")


def test_other_test_rows_are_not_compared(project: Path) -> None:
    results({**SCORES, "roc_auc": 0.99}, test="other rows")
    text = shown()
    assert "**Not compared**: `main` was tested on other rows" in text
    assert first(text).endswith("ROC AUC 0.990")
    assert len(rows(text, "roc_auc")[0]) == 2, "no change is shown"
    assert "moved most" not in text
    assert "orange: `main`" not in text, "nor its ROC"


def test_other_test_rows_are_compared_when_scored_again(project: Path) -> None:
    results({**SCORES, "roc_auc": 0.83}, test="other rows")
    row = {"value": 0.83, "base": 0.79, "difference": 0.04, "low": 0.02, "high": 0.06}
    baseline = {"what": "main", "name": "main", "commit": git("rev-parse", "main"), "rows": "other"}
    text = shown(verdict={**PASSED, "baseline": baseline, "comparison": {"roc_auc": row}})
    assert rows(text, "roc_auc")[0][1:4] == ["0.8300", "0.7900", "↑ +0.0400"]
    assert "scored again on these 1,466 test rows" in text
    assert len(rows(text, "ece")[0]) == 6
    assert rows(text, "ece")[0][2:4] == ["", ""], "what was not scored again is not compared"


def test_a_model_in_production_is_compared_apart(project: Path) -> None:
    row = {"value": 0.82, "base": 0.75, "difference": 0.07, "low": 0.05, "high": 0.09}
    baseline = {"what": "production", "name": "model@v1.0.0", "commit": "f" * 40, "rows": "same"}
    text = shown(verdict={**PASSED, "baseline": baseline, "comparison": {"roc_auc": row}})
    assert [row[1:4] for row in rows(text, "roc_auc")] == [
        ["0.8200", "0.8200", "= 0.0000"], ["0.8200", "0.7500", "↑ +0.0700"],
    ]  # fmt: skip
    assert "`model@v1.0.0`" in text


@pytest.mark.parametrize(
    ("task", "score", "title"),
    [("multiclass", "accuracy", "ROC AUC 0.820"), ("regression", "r2", "R² 0.610")],
)
def test_other_tasks(project: Path, task: str, score: str, title: str) -> None:
    set_params(data={"task": task})
    scores = {"r2": 0.61, "rmse": 3.5} if task == "regression" else SCORES
    results(scores, labels=[f"class {i}" for i in range(5)])
    if task == "regression":
        shutil.rmtree("plots/test")
        pairs = [(i, i + 0.5) for i in range(100)]
        write_csv("plots/test/predicted.csv", ["actual", "predicted"], pairs)
    text = shown()
    assert title in first(text)
    assert rows(text, score)
    assert ("**Predictions**" in text) == (task == "regression")
    assert ("Confusion" in text) == (task == "multiclass")
    assert ("**ROC**" in text) == (task == "multiclass")


# What changed


def test_settings_limits_schema_and_code(project: Path) -> None:
    set_params(train={"lr": 0.5, "seed": 1})
    gates = Path("gates.yaml")
    gates.write_text(gates.read_text().replace("min: 0.75", "min: 0.1"))
    schema = Path("schema.yaml")
    schema.write_text(
        schema.read_text().replace("name: age", "name: years").replace("age:", "old:")
    )
    Path("pipeline/train.py").write_text("# other\n")
    lock()
    text = shown()
    assert rows(text, "train.lr") == [["train.lr", "0.002", "0.5"]]
    assert rows(text, "train.seed") == [["train.seed", "0", "1"]]
    assert "**The limits have changed**: 1 change in `gates.yaml`" in text
    assert "in `schema.yaml`" in text
    assert "Files: `pipeline/train.py`" in text


def test_every_file_that_decides_a_verdict_is_named_what_judges_first(project: Path) -> None:
    gates = Path("ops/gates/thresholds.py")
    gates.write_text(f"{gates.read_text()}\npassed = True\n")
    text = shown()
    assert "Changed: `ops/gates/thresholds.py`." in text
    assert "No input of the pipeline has changed" not in text
    assert "**What judges the model has changed**: `ops/gates/thresholds.py`" in text
    others = [
        *("core/validation/schema.py", "ops/monitoring/drift.py", "ops/machines/bootstrap.yaml"),
        *("pipeline/features.py", ".github/workflows/train.yml", "retrain.yaml", "dvc.yaml"),
        *("requirements.txt", "schema.yaml", "tests/model/critical_cases.csv", "gates.yaml"),
        *("params.yaml", "pipeline/sub/new.py"),
    ]
    for name in others:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        with Path(name).open("a") as file:
            file.write("\n# other\n")
    Path("pipeline/__pycache__").mkdir()
    Path("pipeline/__pycache__/features.pyc").write_text("no source")
    names = changes.changed(gathered())
    judges = {"gates.yaml", "ops/gates/thresholds.py", "tests/model/critical_cases.csv"}
    assert set(names[:3]) == judges
    assert sorted(names) == sorted([str(gates), *others])
    Path("ops/gates/bootstrap.py").unlink()
    assert "ops/gates/bootstrap.py" in changes.changed(gathered())[:4], "what is gone, too"


def test_nothing_changed(project: Path) -> None:
    text = shown()
    assert "No input of the pipeline has changed." in text
    assert "The same settings and code as" in text
    assert "No stage ran for this report" in text
    assert "0 of 4 stages ran" in text


def test_rows_columns_and_drift(project: Path) -> None:
    # the base's profile is in DVC: as if the cache had it
    folder = context.gather(None, None, dict).base
    assert folder is not None
    shutil.copy("reports/profile.json", folder.folder / "reports")
    results(columns={"age": "category", "new": "number"}, rows=1500)
    drift = {
        "age": {"psi": 0.4, "limit": 0.21, "drift": True, "why": ["psi"]},
        "new": {"psi": 0.19, "limit": 0.2, "drift": False, "why": []},  # and no row of the table
    }
    write_json("reports/validation.json", {"passed": True, "problems": [], "drift": drift})
    text = shown()
    assert rows(text, "test") == [["test", "1,466", "1,500", "+34"]]
    assert rows(text, "gender")[0] == ["gender", "category", "gone"]
    assert rows(text, "age") == [["age", "number", "category"], ["age", "psi", "0.400", "0.210"]]


def test_drift_is_what_validate_calls_drift(project: Path) -> None:
    drift = {
        "age": {"psi": 0.3, "limit": 0.4, "drift": False, "why": []},
        "colour": {"psi": 0.1, "limit": 0.2, "drift": True, "why": ["unseen level"]},
    }
    write_json("reports/validation.json", {"passed": False, "problems": [], "drift": drift})
    text = shown()
    assert rows(text, "colour") == [["colour", "unseen level", "0.100", "0.200"]]
    assert not rows(text, "age")
    drift["colour"]["drift"] = False
    write_json("reports/validation.json", {"passed": True, "problems": [], "drift": drift})
    assert "No drift against the reference profile in 2 columns." in shown()


def test_groups_that_moved_most_come_first(project: Path) -> None:
    groups = {"g": {f"group {i}": {"rows": 50, "roc_auc": 0.8} for i in range(9)}}
    results(groups=groups)
    git("checkout", "-q", "main")
    commit("Groups")
    git("checkout", "-q", "branch")
    git("merge", "-q", "main")
    groups["g"]["group 7"]["roc_auc"] = 0.6
    groups["g"]["group 4"]["roc_auc"] = 0.9
    results(groups=groups)
    table = next(t for t in look(markdown_html(shown())).tables if t[0][0] == "attribute")
    assert [row[1] for row in table[1:3]] == ["group 7", "group 4"]
    assert table[1][5] == "↓ -0.2000"


def test_cases_that_changed_side(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("models").mkdir()
    answers = {".": [True, False, True, False], "base": [True, True, False, False]}

    def passes(side: Any) -> list[bool]:
        return answers["." if side.folder == Path() else "base"]

    monkeypatch.setattr(details, "_passes", passes)
    heads = ["age", "expected"]
    write_csv(CASES, heads, [(30, "0"), (31, "1"), (32, "1"), (33, "0")])
    text = shown()
    assert "2 of 4 right; 2 changed side against `main`." in text
    table = next(t for t in look(markdown_html(text)).tables if t[0][0] == "case")
    assert table[1:] == [
        ["line 3", "1", "✅", "❌"], ["line 4", "1", "❌", "✅"], ["line 5", "0", "❌", "❌"],
    ]  # fmt: skip


def test_confusion_as_a_matrix(project: Path) -> None:
    pairs = [("a", "a")] * 3 + [("a", "b")] + [("b", "b")] * 2
    write_csv(CONFUSION, ["actual", "predicted"], pairs)
    table = next(t for t in look(markdown_html(shown())).tables if t[0][0].startswith("actual"))
    assert table[1:] == [["a", "3", "1", "75%"], ["b", "0", "2", "100%"]]


def test_confusion_of_many_classes_as_pairs(project: Path) -> None:
    pairs = [(f"c{i}", f"c{i}") for i in range(20)] + [("c3", "c7")] * 3 + [("c1", "c2")]
    write_csv(CONFUSION, ["actual", "predicted"], pairs)
    table = next(
        t for t in look(markdown_html(shown())).tables if t[0][:2] == ["actual", "predicted"]
    )
    assert table[1:] == [["c3", "c7", "3", "75%"], ["c1", "c2", "1", "50%"]]


# Cost, stages


def test_cost_and_money(project: Path) -> None:
    set_params(train={"lr": 0.001})
    results()
    noted(prepare=9.0, train=1800.0, evaluate=0.0)
    Path("machine.yaml").write_text("use: aws\nprice_per_hour: 0.5\naws: {type: g4dn.xlarge}\n")
    write_json("metrics/cost.json", {"latency_ms": {"single_row": {"p50": 3.0}}})
    text = shown()
    assert "**0.2500 USD**" in text
    assert rows(text, "single_row, p50") == [["single_row, p50", "3.0 ms", "1.5 ms", "+100 %"]]
    assert 's0["prepare<br/>unchanged"]:::unchanged' in text
    assert 's2["train<br/>ran 1,800.0 s"]:::ran' in text
    assert "s0 --> s1" in text
    assert "<b>Pipeline</b>: 1 of 4 stages ran" in text


def test_seconds_are_told_of_the_run_that_made_the_outputs(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["train"])
    for lr in (0.001, 0.003):
        set_params(train={"lr": lr})
        runner.run_stage("train", lambda lr=lr: write_json("metrics/training.json", {"lr": lr}))
        lock()
        assert "train<br/>ran 0.0 s" in shown()
    assert list(runner.stage_seconds()) == ["train"]
    set_params(train={"lr": 0.001})
    write_json("metrics/training.json", {"lr": 0.001})
    lock()
    assert "train<br/>from the cache" in shown(), "a run that a later one replaced"
    assert runner.stage_seconds() == {}, "nor in metrics/cost.json"


@pytest.mark.parametrize("content", ["fpr,tpr\n0,0\nx,1\n", "fpr\n0\n", ""])
def test_a_chart_that_cannot_be_drawn_says_so(project: Path, content: str) -> None:
    assert "could not be shown" not in shown()
    Path("plots/test/roc.csv").write_text(content)
    text = shown()
    assert "**Calibration**" in text
    assert "The chart roc could not be shown: `Problem: plots/test/roc.csv: no columns fpr" in text


def test_it_says_on_the_terminal_that_nothing_was_compared(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "_judge", lambda: PASSED)
    report.main()
    assert "Not compared" not in capsys.readouterr().out
    results(test="other rows")
    report.main()
    assert capsys.readouterr().out.splitlines()[1].startswith("Not compared: main was tested on ot")
    git("branch", "-qD", "main")
    report.main()
    assert "Not compared: origin/main: no such revision here" in capsys.readouterr().out


def test_the_report_as_json(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "_judge", lambda: PASSED)
    set_params(train={"lr": 0.001})
    results({**SCORES, "roc_auc": 0.832})
    report.main(html_page=True, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "passed"
    assert said["headline"].endswith("ROC AUC 0.832, +0.012 against `main`")
    assert said["scores"]["roc_auc"] == {"value": 0.832, "base": 0.82, "low": None, "high": None,
                                         "difference": 0.012, "change": "better"}  # fmt: skip
    assert (said["changes"], said["not_compared"]) == (["train.lr"], None)
    assert Path(said["file"]).read_text().startswith("### ✅")
    git("branch", "-qD", "main")
    report.main(as_json=True)
    assert json.loads(capsys.readouterr().out)["not_compared"].startswith("origin/main: no such")


def test_a_stage_that_did_not_run_here_came_from_the_cache(project: Path) -> None:
    set_params(train={"lr": 0.001})
    results()
    assert "train<br/>from the cache" in shown()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: set_params(train={"lr": 0.9}),
        lambda: Path("pipeline/training_loop.py").write_text("pass"),
        lambda: write_json("metrics/quality.json", {**SCORES, "roc_auc": 0.99}),
        lambda: Path("metrics/quality.json").unlink(),
        lambda: Path("dvc.lock").write_text("stages: {}"),
        lambda: lock("new rows", stages=["prepare"]),
    ],
)
def test_results_of_other_inputs_are_not_shown(project: Path, spoil: Any) -> None:
    """After a failed stage, Git has left the scores of the commit before."""
    spoil()
    text = shown()
    assert first(text).startswith("### ⚠️ ")
    assert "may be promoted" not in text
    assert not rows(text, "roc_auc")
    assert not rows(text, "✅"), "nor judged"


def test_a_large_file_is_told_by_its_size(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "READ", 0)
    assert first(shown()).startswith("### ✅")
    Path("pipeline/training_loop.py").write_text("pass")
    assert first(shown()).startswith("### ⚠️ Out of date: stage `train`")


# Failures


def test_bad_data_is_told_with_what_is_wrong(project: Path) -> None:
    lock("new rows", stages=["prepare"])
    one = {"check": "isin", "column": "housing", "count": 1593, "share": 0.1,
           "examples": ["RENT"], "message": "one of rent, own"}  # fmt: skip
    two = {**one, "column": "region"}
    write_json("reports/validation.json", {"passed": False, "problems": [one, two], "drift": {}})
    text = shown(log="ERROR: failed to reproduce 'validate': failed to run: python, exited with 1")
    assert first(text) == "### ❌ Data refused: `housing`, `isin` in 1,593 rows, and 1 more"
    assert rows(text, "isin")[0] == ["isin", "housing", "1,593", "RENT, one of rent, own"]
    assert "validate<br/>failed" in text
    assert "train<br/>not reached" in text


def test_failed_training_is_told_with_the_end_of_the_log(project: Path) -> None:
    set_params(train={"lr": 1.0})
    lines = [f"line {i}" for i in range(100)]
    last = "```` </details> @everyone \x1b[31mred\x1b[0m"
    done = "ERROR: failed to reproduce 'train': failed to run: python -m pipeline.train, exited"
    text = shown(log="\n".join([*lines, "50%\r100%", "````", last, done]))
    says = "### ❌ Training failed: stage `train`, ` ```` </details> @everyone red `"
    assert first(text) == says
    fence = look(markdown_html(text)).fences[0][1].splitlines()
    assert fence[-4:] == ["100%", "````", "```` </details> @everyone red", done]
    assert len(fence) == log.LINES
    assert "train<br/>failed" in text


def test_a_pipeline_that_did_not_start(project: Path) -> None:
    text = shown(log="ERROR: failed to parse 'params.yaml'\n")
    assert first(text) == "### ❌ The pipeline did not run: `failed to parse 'params.yaml'`"


def test_a_log_that_is_not_there(project: Path) -> None:
    assert first(report.render(context.gather(None, Path("no.log"), lambda: PASSED)))


def test_a_project_that_has_never_run(project: Path) -> None:
    for name in ("metrics", "plots", "reports", "dvc.lock"):
        path = Path(name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert first(shown()) == "### ⚠️ Not trained yet: run `dvc repro`"


READ = ["params.yaml", "gates.yaml", "schema.yaml", "dvc.yaml", "dvc.lock", "machine.yaml"]
READ += ["metrics/quality.json", "metrics/cost.json", "reports/slices.json"]
READ += ["reports/profile.json", "reports/validation.json", "plots/training.csv"]
READ += [f"plots/test/{name}.csv" for name in ("roc", "calibration", "confusion", "predicted")]
READ += [".dvc/tmp/seconds.json", "tests/model/critical_cases.csv"]


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"[1, 2]", b'{"a": {"b": [null, true]}}', b'"text"', b"{",
                b'{"slices": 1, "rows": [], "columns": 3, "problems": "x", "drift": [1]}',
                b"<<<<<<< HEAD\n"],
)  # fmt: skip
def test_it_is_written_whatever_is_wrong_with_the_files(project: Path, content: bytes) -> None:
    for path in READ:
        before = Path(path).read_bytes() if Path(path).exists() else None
        Path(path).write_bytes(content)
        text = shown()
        assert text.startswith("### ")
        if path in ("dvc.lock", "metrics/quality.json"):
            assert "may be promoted" not in text
        if before is None:
            Path(path).unlink()
        else:
            Path(path).write_bytes(before)


# What it is compared with


def clone(project: Path, *options: str) -> Path:
    there = project.with_name("clone")
    run("git", "clone", "-q", *options, f"file://{project}", str(there), cwd=project)
    (there / ".dvc/tmp").mkdir(parents=True)
    for name in ("reports", "plots"):
        shutil.copytree(project / name, there / name, dirs_exist_ok=True)
    return there


def test_a_branch_behind_main_is_compared_with_where_it_left(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("checkout", "-q", "main")
    left = git("rev-parse", "HEAD")
    results({**SCORES, "roc_auc": 0.99})
    commit("Main goes on")
    git("checkout", "-q", "branch")
    set_params(train={"lr": 0.001})
    results({**SCORES, "roc_auc": 0.83})
    commit("Mine")
    monkeypatch.chdir(clone(project))
    text = shown("origin/main")
    assert f"`{left[:9]}`, which has gone on by 1 since" in text
    assert "ROC AUC 0.830, +0.010 against `main`" in first(text)
    assert "`train.lr`" in text


def test_a_shallow_clone_says_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit("Mine")
    monkeypatch.chdir(clone(project, "--depth", "1", "--branch", "branch"))
    text = shown("origin/main")
    assert first(text) == "### ✅ Passed: may be promoted. ROC AUC 0.820"
    assert "Not compared: `origin/main: no such revision here; this clone is shallow: " in text
    monkeypatch.chdir(project)


def test_a_shallow_clone_of_two_branches_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit("Mine")
    monkeypatch.chdir(clone(project, "--depth", "1", "--no-single-branch", "--branch", "branch"))
    assert "shares no commit with this branch; this clone is shallow" in shown("origin/main")


def test_a_detached_merge_is_compared_with_main(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What actions/checkout leaves on a pull request."""
    set_params(train={"lr": 0.001})
    results({**SCORES, "roc_auc": 0.83})
    commit("Mine")
    git("checkout", "-q", "main")
    Path("note").write_text("x")
    commit("Main goes on")
    tip = git("rev-parse", "HEAD")
    git("checkout", "-q", "--detach")
    git("merge", "-q", "branch", "-m", "Merge")
    text = shown("main")
    assert f"Compared with `main` at `{tip[:9]}`, on the same" in text
    assert "`train.lr`" in text
    head = git("rev-parse", "branch")
    event = {"pull_request": {"head": {"sha": head, "ref": "branch; rm -rf ~"}}}
    write_json(".dvc/tmp/event.json", event)
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(Path(".dvc/tmp/event.json").resolve()))
    text = shown("main")
    assert f"git checkout {head}" in text, "the commit that was pushed, not the merge"
    assert "git checkout 'branch; rm -rf ~' && git pull" in text


def test_the_first_commit_and_those_on_main(project: Path) -> None:
    git("checkout", "-q", "main")
    assert "Not compared: `the first commit`." in shown()
    set_params(train={"lr": 0.001})
    results()
    assert "Compared with `main`" in shown(), "what is not committed, with the commit"
    commit("Second")
    text = shown()
    assert "Compared with the commit before at" in text
    assert "| `train.lr` | `0.002` | `0.001` |" in text


def test_no_base_at_all(project: Path) -> None:
    git("branch", "-qD", "main")
    text = shown()
    assert "Not compared: `origin/main: no such revision here; git fetch origin`" in text
    assert rows(text, "roc_auc") == [["roc_auc", "0.8200"]]
    assert "of the worst groups" in text


def test_no_git_at_all(project: Path) -> None:
    shutil.rmtree(".git")
    text = shown()
    assert first(text).startswith("### ✅ Passed")
    assert "Not compared: " in text


def test_a_base_without_a_model_says_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout, "_fetch", lambda rev, folder, known: f"{rev} has no model")
    git("checkout", "-q", "main")
    git("rm", "-q", "dvc.lock", "metrics/quality.json", "-r", "plots", "reports/slices.json")
    commit("Untrained")
    git("checkout", "-qb", "trained")
    results()
    text = shown("main")
    assert "`main has no model`" in text
    assert rows(text, "roc_auc") == [["roc_auc", "0.8200"]]


# Hostile names (bar 15)

NASTY = [
    "@octocat", "@org/team", "#1", "GH-1", "org/repo#1", "http://e.com", "www.e.com", "a@e.com",
    "https://e.com/?a=b&c", "[x](http://e.com)", "![x](http://e.com/x.png)", "[x]: http://e.com",
    "<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "</details>", "</td>", "<!--",
    "-->", "&lt;b&gt;", "&#64;me", "|", "||", "\\|", "\\", "`", "``", "```", "````", "~~~", "\n",
    "\r\n", "\n\n# x", "\n| a |", "\t", "\u2028", "\x00", "\x1b[31m", "\u202e", "\u200b", "\ufeff",
    "*x*", "__x__", "~~x~~", "$x$", "$`x`$", "$$", ":smile:", "- [ ] x", "> [!NOTE]", "1. x", "---",
    "[^1]", "[^1]: x", "%%{init: {}}%%", "end", "graph TD", '"]', "-->|x|", ":::x", ";", "click s0",
    "e83c5163316f89bfbde7d9ab23ca2e25604af290", "\U0001f600", "\ud800", "é́́́", "x" * 200,
    "", " ", "'",
]  # fmt: skip
MARK = "QZX"  # stands in every hostile name
TAGS = {"b", "br", "code", "details", "em", "h3", "h4", "p", "pre", "strong", "sub", "summary"}
TAGS |= {"table", "tbody", "td", "th", "thead", "tr"}


def hostile(rng: random.Random) -> str:
    parts = rng.choices(NASTY, k=rng.randint(1, 5))
    parts.insert(rng.randint(0, len(parts)), MARK)
    return rng.choice(["", " "]).join(parts).encode("utf-8", "replace").decode()


def sound(text: str) -> Seen:
    """Look at a report with hostile names in it: all of it is text in code, nothing is active."""
    seen = look(markdown_html(text))
    assert seen.tags <= TAGS, seen.tags - TAGS
    assert seen.balanced
    assert MARK not in seen.words
    assert not re.search(r"@\w|\w#\d|://|www\.", seen.words)
    for table in seen.tables:
        assert len({len(row) for row in table}) == 1, table
    assert markdown.length(text) < 65_000
    for language, content in seen.fences:
        if language == "mermaid":
            assert all(map(re.compile(MERMAID).fullmatch, content.splitlines())), content
    return seen


NODE = r's\d+\["[\w ._-]*<br/>[\w .,-]+"\]:::\w+'
NUMBER = r"-?[\d.]+"
MERMAID = "|".join([
    r" *(flowchart LR|xychart-beta|s\d+ --> s\d+|classDef \w+ [\w:#,]+)", rf" *{NODE}",
    r' *%%\{init: [\w{}" :,#]+\}%%', rf" *(bar|line) \[({NUMBER}(, )?)+\]",
    rf' *[xy]-axis "[\w ]+" ({NUMBER} --> {NUMBER}|\[({NUMBER}(, )?)+\])',
])  # fmt: skip


def poisoned(rng: random.Random) -> tuple[dict[str, Any], str]:
    """Write results with about fifty hostile names into this folder; the verdict and the log."""

    def some(n: int) -> list[str]:
        return [hostile(rng) for _ in range(n)]

    scores = {**SCORES, **{name: rng.random() for name in some(5)}, hostile(rng): hostile(rng)}
    groups = {a: {g: {"rows": 50, "roc_auc": rng.random()} for g in some(4)} for a in some(2)}
    results(scores, groups, some(rng.choice([3, 15])), dict(zip(some(4), some(4), strict=True)))
    write_json("metrics/cost.json", {hostile(rng): 1.5, hostile(rng): {hostile(rng): hostile(rng)}})
    drift = {name: {"psi": 0.5, "limit": 0.2, "drift": True, "why": some(2)} for name in some(3)}
    problems = [{"check": a, "column": b, "count": 3, "examples": [c], "message": d}
                for a, b, c, d in [some(4), some(4)]]  # fmt: skip
    write_json("reports/validation.json", {"problems": problems, "drift": drift})
    for name in ("gates.yaml", "schema.yaml", "machine.yaml"):
        Path(name).write_text(json.dumps({hostile(rng): some(2), hostile(rng): hostile(rng)}))
    words = ("gate", "about", "limit", "note", "value")
    gates = [dict(zip(words, some(5), strict=True), passed=False, low=0.1, high=0.2)
             for _ in range(3)]  # fmt: skip
    comparison = {name: {"value": 1, "base": 2, "difference": -1} for name in some(2)}
    baseline = {"what": "x", "name": hostile(rng), "commit": None, "note": hostile(rng)}
    verdict = {"verdict": "refused", "gates": gates, "baseline": baseline, "rows": 3}
    return {**verdict, "comparison": comparison}, "\n".join(some(3))


def test_a_thousand_hostile_names_stay_text(project: Path) -> None:
    for seed in range(25):  # of more than forty names each
        rng = random.Random(seed)
        verdict, log = poisoned(rng)
        sound(shown(verdict=verdict, log=log))


def test_hostile_findings_logs_and_stages_stay_text(project: Path) -> None:
    for seed in range(20):
        rng = random.Random(seed)
        verdict, log = poisoned(rng)
        if seed % 2:
            lock("new", stages=["prepare"])
        else:
            set_params(train={"lr": rng.random()})
            log += "\nERROR: failed to reproduce 'train': x"
        declared = {hostile(rng): {"cmd": "x", "deps": [hostile(rng)], "outs": [hostile(rng)]}}
        content = json.dumps({"stages": declared})
        Path("dvc.yaml").write_text(content if seed % 3 == 0 else Path("dvc.yaml").read_text())
        sound(shown(verdict=verdict, log=log))
        git("checkout", "-q", "--", "dvc.yaml", "params.yaml")


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_shown_as_it_is(name: str) -> None:
    text = f"{MARK} {name}".encode("utf-8", "replace").decode()
    shown = markdown.code(text, 300)
    seen = look(markdown_html(f"| a |\n|---|\n| {shown} |\n"))
    assert seen.tables[0][1] == [markdown.one_line(text, 300)]
    assert seen.tags <= TAGS
    assert look(markdown_html(shown)).words.replace("|", "").strip() == ""


@pytest.mark.parametrize("broken", ["code", "fence", "label"])
def test_the_checks_above_see_what_is_not_escaped(
    project: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Mutations: without the escaping, they fail."""
    from ops.report import changes, cost, reproduce, scores
    from ops.report import log as log_module

    def plain(text: Any, most: int = 0) -> str:
        return str(text).encode("utf-8", "replace").decode()

    def open_fence(lines: Any, language: str = "") -> str:
        return f"```{language}\n" + "\n".join(lines) + "\n```"

    if broken == "label":
        monkeypatch.setattr(mermaid, "label", str)
        name = f'{MARK}"]; click s0'
        Path("dvc.yaml").write_text(json.dumps({"stages": {name: {"cmd": "x"}}}))
    for module in (details, changes, scores, cost, stages, reproduce, report):
        if broken == "code" and hasattr(module, "code"):
            monkeypatch.setattr(module, "code", plain)
    if broken == "fence":
        monkeypatch.setattr(log_module, "fence", open_fence)
        set_params(train={"lr": 0.3})
    log = f"{MARK}\n```\n{MARK}\nERROR: failed to reproduce 'train': x"
    verdict = PASSED if broken == "label" else poisoned(random.Random(0))[0]
    with pytest.raises(AssertionError):
        sound(shown(verdict=verdict, log=log if broken == "fence" else ""))


# Length


def test_a_huge_project_fits_into_a_comment(project: Path) -> None:
    long = "x" * 55
    scores = {**SCORES, **{f"{long}{i}": 0.5 for i in range(500)}}
    groups = {f"{long}{a}": {f"{long}{g}": {"rows": 50, "roc_auc": 0.8} for g in range(30)}
              for a in range(10)}  # fmt: skip
    results(scores, groups, [f"{long}{i}" for i in range(100)],
            {f"{long}{i}": "number" for i in range(500)})  # fmt: skip
    drift = {f"{long}{i}": {"psi": 0.5, "limit": 0.2, "drift": True} for i in range(500)}
    write_json("reports/validation.json", {"problems": [], "drift": drift})
    Path("gates.yaml").write_text(json.dumps({f"{long}{i}": i for i in range(2000)}))
    gates = [
        {**PASSED["gates"][0], "about": f"{long}{i}", "passed": i % 2 > 0} for i in range(2000)
    ]
    text = shown(verdict={**PASSED, "verdict": "refused", "gates": gates}, log=f"{long}\n" * 1000)
    seen = sound(text)
    assert markdown.length(text) > 30_000, "it says as much as it may"
    assert first(text).startswith("### ❌ Refused")
    assert re.search(r"… and [\d,]+ more in `reports/gates.json`", text)
    assert seen.tables[0][1][0] == "❌"
    assert rows(text, "roc_auc"), "the least important sections are shortened first"


def test_the_least_important_is_left_out_first() -> None:
    parts = [
        markdown.Part("Heavy", lambda n: "h" * 5_000, 9),
        markdown.Part("Light", lambda n: "l" * 50 * n, 1),
    ]
    text = markdown.fit("head", parts, 6_000)
    assert "h" * 5_000 in text
    assert "l" * 400 in text
    assert markdown.length(text) < 6_000
    text = markdown.fit("head", parts, 5_200)
    assert "h" * 5_000 in text
    assert markdown.LEFT_OUT in text
    assert markdown.length(markdown.fit("head", parts, 1_000)) < 1_000


def test_characters_are_counted_as_github_counts_them() -> None:
    assert markdown.length("\U0001f600a") == 3


# The page


def page() -> str:
    """The report as HTML."""
    facts = gathered()
    html.write(report.render(facts, page=True), facts, Path("reports/report.html"))
    return Path("reports/report.html").read_text(encoding="utf-8")


def test_the_page_says_the_same(project: Path) -> None:
    set_params(train={"lr": 0.001})
    results({**SCORES, "roc_auc": 0.832})
    text, content = shown(), page()
    seen, there = look(markdown_html(text)), look(content)
    stages = [["prepare", "unchanged", ""], ["validate", "unchanged", "prepare"],
              ["train", "from the cache", "prepare, validate"],
              ["evaluate", "unchanged", "prepare, train"]]  # fmt: skip
    assert [table for table in there.tables if table[1:] != stages] == seen.tables
    assert len(there.tables) == len(seen.tables) + 1, "the graph is a table"
    assert unescape(first(text).removeprefix("### ").replace("`", "")) in "".join(
        re.sub("<[^>]+>", "", content)
    )
    assert not re.search(r"<script|<link|<svg|src=(?!\"data:)|url\(", content)
    assert "prefers-color-scheme: dark" in content
    assert "mermaid" not in content


def test_the_page_shows_the_picture_of_this_evaluation(project: Path) -> None:
    picture = Path("reports/evaluation.png")
    assert f"is not here: dvc pull {picture}" in page()
    picture.write_bytes(b"PNG of these scores")
    lock()
    data = base64.b64encode(picture.read_bytes()).decode()
    assert f'src="data:image/png;base64,{data}"' in page()
    assert "img-src data:" in page()
    picture.write_bytes(b"PNG of other scores")
    assert "<img" not in page()


@pytest.mark.parametrize("hidden", ["<script>alert(1)</script>", "http://e.com/x.png"])
def test_the_page_holds_nothing_active(project: Path, hidden: str) -> None:
    results({**SCORES, f"![x]({hidden})": 0.5})
    seen = look(page())
    assert not seen.tags & {"script", "img", "a", "iframe", "link"}


# Small parts


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (0.82123, "0.8212"), (0, "0"), (0.0, "0.0000"), (1.0, "1.000"), (18.0, "18"),
        (1466, "1,466"), (0.00002, "2.0e-05"), (12345.6, "12,346"), (-0.5, "-0.5000"),
        (float("nan"), "`nan`"), (float("inf"), "`inf`"), (True, "`True`"), (None, ""),
        ("0.5", "`0.5`"), (1e299, "1.000e+299"), (1e300, "`1e+300`"), ([1], "`[1]`"),
        (10**400, None),
    ],
)  # fmt: skip
def test_numbers(value: Any, says: str | None) -> None:
    if says is None:
        assert len(markdown.number(value)) < 200
    else:
        assert markdown.number(value) == says


def test_a_circle_of_stages_is_told_and_does_not_hang() -> None:
    ordered = stages._order(
        {"a": {"deps": ["y"], "outs": ["x"]}, "b": {"deps": ["x"], "outs": ["y"]}}
    )
    assert sorted(ordered) == ["a", "b"]


# For real


def test_a_changed_parameter_for_real(trained: Path, copy_of: Copy) -> None:
    project = copy_of(trained)
    run("git", "checkout", "-qb", "slower", cwd=project)
    params = project / "params.yaml"
    params.write_text(re.sub("epochs: .*", "epochs: 3", params.read_text(), count=1))
    log = dvc("repro", cwd=project)
    (project / ".dvc/tmp/repro.log").write_text(log)
    command = ("python", "-m", "ops", "report", "--base", "main", "--html")
    said = run(*command, "--log", ".dvc/tmp/repro.log", cwd=project).splitlines()
    text = (project / "reports/report.md").read_text()
    quality = json.loads((project / "metrics/quality.json").read_text())
    base = json.loads((trained / "metrics/quality.json").read_text())
    gates = json.loads((project / "reports/gates.json").read_text())
    assert said[0] == first(text)
    assert said[-1] == (project / "reports/report.html").as_uri()
    assert ("Passed" in first(text)) == (gates["verdict"] == "passed")
    row = rows(text, "roc_auc")[0]
    assert row[1:3] == [f"{quality['roc_auc']:.4f}", f"{base['roc_auc']:.4f}"]
    assert row[4], "an interval"
    assert rows(text, "train.epochs") == [["train.epochs", "auto", "3"]]
    assert "of 8 right" in text
    assert re.search(r"train<br/>ran [\d.]+ s", text)
    assert "prepare<br/>unchanged" in text


def test_the_picture_in_the_readme_is_there() -> None:
    picture = TEMPLATE / "docs/comment.png"
    assert picture.stat().st_size < 300_000
    assert COLUMNS
