"""What starts a retraining: every number told, no trigger fires or stays silent by mistake."""

import json
import math
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import inside
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, Generate
from mutate import changed, leaves, misspell
from shell import dvc, run
from trained import Copy

sys.path.append(str(ROOT / "benchmarks"))
from loans import loans

from core.errors import Problem
from ops.monitoring import new_rows, performance, reference, trigger
from ops.monitoring.retrain_yaml import Performance, load_retrain

SHIPPED = yaml.safe_load((inside.TEMPLATE / "retrain.yaml").read_text().replace(": off", ': "off"'))
PERFORMANCE = {
    "labelled": "data/labelled", "time": "answered_on", "metric": "roc_auc", "min": 0.75,
    "period_days": 7, "periods": 2, "min_rows": 200,
}  # fmt: skip
FULL = SHIPPED | {"performance": PERFORMANCE}
OFF = {"schedule": "off", "data": "off", "performance": "off"}
DAY = 86_400


@pytest.fixture(scope="module")
def shared(trained: Path, copy_of: Copy) -> Path:
    """A trained project with its model in production, ten days old."""
    project = copy_of(trained)
    old = {"GIT_COMMITTER_DATE": f"{int(time.time()) - 10 * DAY} +0000"}
    run("git", "commit", "-q", "--amend", "--no-edit", cwd=project, env=old)
    run("gto", "register", "model", "HEAD", "--version", "v1.0.0", cwd=project)
    assign = ["--version", "v1.0.0", "--stage", "production"]
    run("gto", "assign", "model", *assign, cwd=project)
    run(sys.executable, "-m", "ops", "trigger", cwd=project)  # lays the base out, once
    return project


@pytest.fixture
def here(shared: Path, copy_of: Copy, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In that project, to change as one likes."""
    project = copy_of(shared)
    monkeypatch.chdir(project)
    monkeypatch.setattr(trigger.drift, "record", lambda _: None)  # the picture takes a second
    monkeypatch.setattr(trigger, "is_current", lambda: False)  # see the test of it
    return project


@pytest.fixture(scope="module")
def spare(shared: Path, copy_of: Copy) -> Path:
    return copy_of(shared)


@pytest.fixture
def spoilt(spare: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In a project of which each test writes retrain.yaml and data/labelled anew."""
    monkeypatch.chdir(spare)
    return spare


def asked(**sections: Any) -> None:
    """Write a retrain.yaml in which all is off but these."""
    Path("retrain.yaml").write_text(yaml.safe_dump(SHIPPED | OFF | sections))


def decide(force: bool = False) -> dict[str, Any]:
    decision = trigger.decide(force)
    assert json.loads(Path("reports/trigger.json").read_text()) == decision
    return decision


def undecided(*words: str) -> None:
    """No decision: exit 2, all of `words` in the message, and no old decision on disk."""
    Path("reports/trigger.json").write_text('{"retrain": false}')
    with pytest.raises(Problem) as wrong:
        trigger.decide()
    assert wrong.value.code == 2
    assert all(word in str(wrong.value) for word in words), str(wrong.value)
    assert not Path("reports/trigger.json").exists()


def add(rows: int, *, by: float = 1.0, seed: int = 3, name: str = "new.csv") -> None:
    """More data, in a folder with what was there."""
    folder = Path("data/raw/sample")
    if not folder.exists():
        folder.mkdir()
        Path("data/raw/sample.csv").rename(folder / "sample.csv")
        inside.set_params(data={"path": "data/raw/sample"})
    table = loans(rows, seed).drop(columns="chance")
    table["application_id"] += seed * 10**6
    table["income"] = (table["income"] * by).astype(int)
    table["has_guarantor"] = table["has_guarantor"].map({True: "true", False: "false"})
    table.to_csv(folder / f"sample_{name}", index=False, lineterminator="\n")


# retrain.yaml


KEYS = list(leaves(FULL))
NAMED = pytest.mark.parametrize("path", KEYS, ids=lambda path: ".".join(map(str, path)))


def test_the_shipped_file_is_sound() -> None:
    found = load_retrain(inside.TEMPLATE / "retrain.yaml")
    assert (found.combine, found.automerge, found.performance) == ("any", False, "off")
    assert len(KEYS) == 17
    lines = (inside.TEMPLATE / "retrain.yaml").read_text().splitlines()
    shown = [line.removeprefix("#   ") for line in lines if line.startswith("#   ")]
    assert yaml.safe_load("\n".join(shown)) == PERFORMANCE  # the example in its comment


@NAMED
def test_a_misspelt_key_is_no_decision(spoilt: Path, path: tuple[Any, ...]) -> None:
    Path("retrain.yaml").write_text(yaml.safe_dump(changed(FULL, path, misspell)))
    undecided(f"retrain.yaml: {'.'.join(path)}x: unknown key", f"{path[-1]}")


@NAMED
def test_a_key_that_is_gone_is_no_decision(spoilt: Path, path: tuple[Any, ...]) -> None:
    Path("retrain.yaml").write_text(
        yaml.safe_dump(changed(FULL, path, lambda at, key: at.pop(key)))
    )
    undecided("retrain.yaml", str(path[0]))


@NAMED
def test_a_key_of_another_type_is_no_decision(spoilt: Path, path: tuple[Any, ...]) -> None:
    for value in ("0.5", None, [], math.nan, math.inf, -math.inf, -1, {}, True, 3.7):
        sound = {"0.5": {"labelled", "time"}, True: {"automerge", "drift"}, -1: {"min"},
                 3.7: {"min", "max_age_days", "period_days"}}  # fmt: skip
        deep = len(path) == 2 or path[-1] == "automerge"
        if isinstance(value, str | int | float) and deep and path[-1] in sound.get(value, ()):
            continue  # it might be meant
        content = changed(FULL, path, lambda at, key, value=value: at.update({key: value}))  # type: ignore[misc]
        Path("retrain.yaml").write_text(yaml.safe_dump(content))
        undecided("retrain.yaml", str(path[0]))


@pytest.mark.parametrize("content", ["", "{}", "[]", "combine: any", "- a", "combine: [1"])
def test_an_empty_file_is_no_decision(spoilt: Path, content: str) -> None:
    Path("retrain.yaml").write_text(content)
    undecided("retrain.yaml")


def test_a_file_that_is_not_there_is_no_decision(here: Path) -> None:
    Path("retrain.yaml").unlink()
    undecided("retrain.yaml: no such file")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing of the data": ({"data": {"min_new_rows": "off", "drift": False}}, "data: off"),
    "no limit": ({"performance": PERFORMANCE | {"min": None}}, "wants a limit `min`"),
    "two limits": ({"performance": PERFORMANCE | {"max": 0.9}}, "wants a limit `min`"),
    "the wrong limit": (
        {"performance": PERFORMANCE | {"metric": "log_loss"}}, "log_loss wants a limit `max`",
    ),
    "drift's old section": ({"drift": {"false_alarms": 0.01}}, "in params.yaml now"),
    "no period": ({"performance": PERFORMANCE | {"periods": 0}}, "periods"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_meant_is_refused(spoilt: Path, case: str) -> None:
    sections, words = WRONG[case]
    Path("retrain.yaml").write_text(yaml.safe_dump(FULL | sections))
    undecided("retrain.yaml", words)


# Decisions


def test_nothing_new_is_no_reason(here: Path) -> None:
    decision = decide()
    assert (decision["retrain"], decision["production"]) == (False, "model@v1.0.0")
    assert decision["why"] == ["none of schedule, new_rows, drift fired"]
    assert decision["triggers"]["new_rows"]["numbers"] == {"rows": 0, "enough": 1000}
    assert decision["triggers"]["schedule"]["numbers"]["days"] == pytest.approx(10, abs=0.1)
    assert not decision["triggers"]["performance"]["on"]


@pytest.mark.parametrize(("days", "fires"), [(30, False), (10.5, False), (9.5, True)])
def test_the_schedule(here: Path, days: float, fires: bool) -> None:
    asked(schedule={"max_age_days": days})
    decision = decide()
    assert (decision["retrain"], decision["triggers"]["schedule"]["fired"]) == (fires, fires)
    assert f"is 10 days old, {days:g} are allowed" in decision["triggers"]["schedule"]["why"]


@pytest.mark.parametrize(("rows", "fires"), [(999, False), (1000, True)])
def test_new_rows(here: Path, rows: int, fires: bool) -> None:
    asked(data={"min_new_rows": 1000, "drift": False})
    add(rows)
    decision = decide()
    assert decision["retrain"] is fires
    assert decision["triggers"]["new_rows"]["numbers"]["rows"] == rows
    assert "1 new of 2 files" in decision["triggers"]["new_rows"]["why"]
    assert not decision["triggers"]["drift"]["on"]


def test_committed_data_is_as_new(here: Path) -> None:
    """What counts is what the model learnt from."""
    asked(data={"min_new_rows": 500, "drift": False})
    add(700)
    run("git", "add", "-A", cwd=here)
    run("git", "commit", "-qm", "Data", cwd=here)
    assert decide()["triggers"]["new_rows"]["numbers"]["rows"] == 700
    for tag in run("git", "tag", cwd=here).split():
        run("git", "tag", "-d", tag, cwd=here)
    decision = decide()
    assert (decision["retrain"], decision["production"]) == (True, None)
    assert decision["against"]["what"] == "HEAD"
    assert decision["triggers"]["new_rows"]["numbers"]["rows"] == 700


def test_drift_of_the_newest_data_alone(here: Path) -> None:
    asked(data={"min_new_rows": "off", "drift": True})
    add(600)
    assert not decide()["retrain"]
    add(600, by=1.6, seed=4, name="later.csv")
    decision = decide()
    assert decision["retrain"]
    assert decision["triggers"]["drift"]["numbers"]["rows"] == 1200
    assert decision["triggers"]["drift"]["numbers"]["drifted"] == ["income"]
    assert "1 of 16 columns drifted in 1,200 rows: income (psi" in decision["why"][0]


def test_of_a_single_file_the_later_rows_are_new(here: Path) -> None:
    path = Path("data/raw/sample.csv")
    late = loans(400, 9).drop(columns="chance")
    late["application_id"] += 10**8
    late["applied_on"] += pd.Timedelta(days=1000)
    late["has_guarantor"] = late["has_guarantor"].map({True: "true", False: "false"})
    table = pd.concat([pd.read_csv(path, dtype="str"), late])
    table.to_csv(path, index=False)
    asked(data={"min_new_rows": 400, "drift": True})
    decision = decide()
    assert decision["triggers"]["new_rows"]["numbers"]["rows"] == 400
    assert "applied_on after 2024-12-30" in decision["triggers"]["new_rows"]["why"]
    inside.set_params(data={"time": None})
    decision = decide()
    assert decision["triggers"]["new_rows"]["numbers"]["rows"] == 400
    assert decision["triggers"]["drift"]["numbers"]["rows"] == 10_400


def test_data_that_cannot_be_had_is_no_decision(here: Path) -> None:
    Path("data/raw/sample.csv").unlink()
    undecided("data/raw/sample.csv: no such file", "dvc pull")
    Path("data/raw/sample.csv").write_text("")
    undecided("the file is empty")


def test_a_model_in_production_that_cannot_be_had_is_no_decision(here: Path) -> None:
    for lost in here.glob(".dvc/cache/files/md5/*/*"):
        lost.chmod(0o644)
        lost.unlink()
    shutil.rmtree(".dvc/tmp/base")
    undecided("nothing to compare with", "model@v1.0.0")
    decision = decide(force=True)
    assert decision["retrain"]
    assert decision["why"][0] == "forced"
    assert "not judged: nothing to compare with" in decision["why"][1]


def test_any_and_all(here: Path) -> None:
    both = {"schedule": {"max_age_days": 5}, "data": {"min_new_rows": 100, "drift": False}}
    asked(combine="all", **both)
    decision = decide()
    assert not decision["retrain"]
    assert decision["why"] == ["schedule fired; combine: all waits for new_rows"]
    asked(combine="any", **both)
    assert decide()["retrain"]
    add(100)
    asked(combine="all", **both)
    assert decide()["retrain"]
    assert len(decide()["why"]) == 2


@pytest.mark.parametrize(
    ("edit", "differs"),
    [
        (lambda: None, False),
        (lambda: add(1), True),
        (lambda: inside.set_params(train={"lr": 0.001}), True),
        (lambda: Path("pipeline/training_loop.py").write_text("# Mine\n"), True),
        (lambda: Path("dvc.lock").unlink(), True),
    ],
    ids=["nothing", "data", "a parameter", "code", "never trained"],
)
def test_what_would_come_out_the_same_is_not_trained(
    shared: Path, copy_of: Copy, monkeypatch: Any, edit: Callable[[], object], differs: bool
) -> None:
    """After a rollback, or where only time has passed, HEAD has learnt all there is to learn."""
    monkeypatch.chdir(copy_of(shared))
    asked(schedule={"max_age_days": 5})
    edit()
    decision = decide()
    assert decision["retrain"] is differs
    assert decision["triggers"]["schedule"]["fired"]
    assert ("it would be the same" in decision["why"][0]) is not differs
    assert decide(force=True)["retrain"]


@pytest.mark.parametrize("combine", ["any", "all"])
def test_with_nothing_on_only_force_retrains(here: Path, combine: str) -> None:
    asked(combine=combine)
    decision = decide()
    assert (decision["retrain"], decision["why"]) == (False, ["no trigger is on"])
    assert decide(force=True)["retrain"]


def test_without_any_model_a_retraining_is_due(
    generate: Generate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(generate(tmp_path))
    decision = decide()
    assert (decision["retrain"], decision["why"]) == (True, ["there is no model yet"])
    assert (decision["production"], decision["against"]) == (None, None)


def test_the_command(here: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    command = [sys.executable, "-m", "ops", "trigger"]
    said = run(*command, cwd=here, env={"GITHUB_OUTPUT": str(output)})
    assert "do not retrain: none of schedule, new_rows, drift fired" in said
    add(1500, by=1.6)
    said = run(*command, cwd=here, env={"GITHUB_OUTPUT": str(output)})
    assert "retrain: 1,500 new rows, 1,000 are enough (1 new of 2 files); 1 of 16" in said
    assert Path("reports/drift.png").exists()
    said = run(*command, "--force", cwd=here, env={"GITHUB_OUTPUT": str(output)})
    assert "retrain: forced" in said
    said = run(*command, "--force", "--why", "asked for", cwd=here)
    assert "retrain: asked for" in said
    Path("retrain.yaml").unlink()
    said = run(*command, cwd=here, code=2, env={"GITHUB_OUTPUT": str(output)})
    assert said == "trigger: retrain.yaml: no such file; run this in the project's folder\n"
    told = [line for line in output.read_text().split() if line.startswith("retrain=")]
    assert told == ["retrain=false", "retrain=true", "retrain=true"]


def test_the_command_as_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trigger.main(as_json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(trigger.REPORT.read_text())


def test_where_dvc_tracks_the_data_its_files_are_known_by_their_md5(
    here: Path, tmp_path: Path
) -> None:
    add(300)
    Path(".gitignore").write_text(Path(".gitignore").read_text() + "/data/raw/sample\n")
    run("git", "rm", "-rq", "--cached", "data/raw", cwd=here)
    dvc("add", "-q", "data/raw/sample", cwd=here)
    (tmp_path / "data/raw").mkdir(parents=True)
    shutil.copy("data/raw/sample.dvc", tmp_path / "data/raw")
    against = reference.find()
    assert against
    tracked = against._replace(folder=tmp_path)
    assert new_rows.find(tracked).total == 0
    add(200, seed=5, name="later.csv")
    assert new_rows.find(tracked).total == 200
    # the list of the folder's files comes from the storage where the cache lacks it
    dvc("push", "-q", cwd=here)
    listed = next(Path(".dvc/cache/files/md5").rglob("*.dir"))
    content = listed.read_bytes()
    listed.unlink()
    assert new_rows.find(tracked).total == 200
    assert listed.read_bytes() == content
    listed.unlink()
    stored = next((here.parent / "credit-risk-storage").rglob("*.dir"))
    stored.chmod(0o644)
    stored.write_bytes(b"[]")
    with pytest.raises(Problem, match="altered in the storage") as wrong:
        new_rows.find(tracked)
    assert wrong.value.code == 2


# Performance


def answers(weeks: list[float], rows: int = 400) -> pd.DataFrame:
    """Labelled answers, a week after the other; of each, how much of its answers is noise."""
    rng = np.random.default_rng(0)
    parts = []
    for i, noise in enumerate(weeks):
        table = loans(rows, 50 + i)
        said = table["chance"] * (1 - noise) + rng.random(rows) * noise
        days = pd.Timestamp("2026-01-01") + pd.to_timedelta(7 * i + rng.random(rows) * 7, "D")
        parts.append(
            pd.DataFrame({"defaulted": table["defaulted"], "answer": said, "answered_on": days})
        )
    return pd.concat(parts, ignore_index=True)


def labelled(table: pd.DataFrame) -> None:
    Path("data/labelled").mkdir(exist_ok=True)
    table.to_csv("data/labelled/answers.csv", index=False)


@pytest.mark.parametrize(
    ("weeks", "fires"),
    [([0, 0, 0], False), ([0, 1, 1], True), ([1, 1, 0], False), ([0, 0, 1], False)],
)
def test_answers_below_the_limit_for_some_periods(
    here: Path, weeks: list[float], fires: bool
) -> None:
    asked(performance=PERFORMANCE)
    labelled(answers(weeks))
    decision = decide()
    periods = decision["triggers"]["performance"]["numbers"]["periods"]
    assert [one["rows"] for one in periods] == pytest.approx([400, 400], abs=3)
    assert [one["value"] < 0.75 for one in periods] == [bool(one) for one in weeks[:0:-1]]
    assert decision["retrain"] is fires
    bad = sum(one["value"] < 0.75 for one in periods)
    assert (
        f"roc_auc below 0.75 in {bad} of the last 2 periods"
        in (decision["triggers"]["performance"]["why"])
    )


def test_a_score_of_which_less_is_better(here: Path) -> None:
    wanted = {key: value for key, value in PERFORMANCE.items() if key != "min"}
    wanted |= {"metric": "log_loss", "periods": 1}
    labelled(answers([0, 0]))
    asked(performance=wanted | {"max": 0.6})
    assert not decide()["retrain"]
    asked(performance=wanted | {"max": 0.3})
    assert decide()["retrain"]


def test_periods_that_tell_nothing_do_not_fire(here: Path) -> None:
    asked(performance=PERFORMANCE)
    labelled(answers([1, 1], rows=100))
    decision = decide()
    assert not decision["retrain"]
    assert "untold (100 rows), untold (100 rows)" in decision["triggers"]["performance"]["why"]
    one_class = answers([1, 1])
    one_class["defaulted"] = 0
    labelled(one_class)
    assert not decide()["retrain"]
    labelled(answers([1]))  # and one period is not two
    assert not decide()["retrain"]


def test_rows_whose_truth_is_not_known_yet_wait(here: Path) -> None:
    table = answers([1, 1, 1]).astype({"defaulted": "float64"})
    table.loc[800:, "defaulted"] = np.nan
    asked(performance=PERFORMANCE)
    labelled(table)
    decision = decide()
    assert decision["retrain"]
    rows = [one["rows"] for one in decision["triggers"]["performance"]["numbers"]["periods"]]
    assert sum(rows) == pytest.approx(800, abs=3)


SPOILT: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "no target": (lambda t: t.drop(columns="defaulted"), "no column 'defaulted'"),
    "no answer": (lambda t: t.drop(columns="answer"), "no column 'answer'"),
    "no time": (lambda t: t.drop(columns="answered_on"), "no column 'answered_on'"),
    "other labels": (lambda t: t.assign(defaulted=7), "labels ['7'] are none of [0, 1]"),
    "no label at all": (lambda t: t.assign(defaulted=None), "no row has its defaulted"),
    "an answer is missing": (lambda t: t.assign(answer=[None, *t["answer"][1:]]), "1 rows have no"),
    "words for answers": (lambda t: t.assign(answer="yes"), "yes"),
    "no probability": (lambda t: t.assign(answer=3.0), "no probability"),
    "no dates": (lambda t: t.assign(answered_on=5), "want a date in every row"),
    "a date is missing": (
        lambda t: t.assign(answered_on=[None, *t["answered_on"][1:]]), "want a date in every row",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILT)
def test_labels_that_cannot_be_read_are_no_decision(spoilt: Path, case: str) -> None:
    change, words = SPOILT[case]
    asked(performance=PERFORMANCE)
    labelled(change(answers([0, 0])))
    undecided("retrain.yaml: performance", words)
    assert trigger.decide(force=True)["retrain"]


def test_labels_that_are_not_there_are_no_decision(here: Path) -> None:
    asked(performance=PERFORMANCE)
    undecided("data/labelled: no such file")
    Path("data/labelled").mkdir()
    undecided("holds no")


@pytest.mark.parametrize("metric", ["roc_auk", "r2", "selection_rate"])
def test_an_unknown_metric_is_no_decision(spoilt: Path, metric: str) -> None:
    asked(performance=PERFORMANCE | {"metric": metric})
    labelled(answers([0, 0]))
    undecided(f"no score '{metric}'", "known:")


def test_labels_of_many_classes(here: Path) -> None:
    """Labels are captured of many classes: what needs probabilities is not known."""
    model: Any = SimpleNamespace(task="multiclass", target="kind", classes=[1, 2, 3])
    table = pd.DataFrame({"kind": [1, 2, 3, 1] * 100, "answer": [1, 2, 3, 3] * 100,
                          "answered_on": pd.Timestamp("2026-01-01")})  # fmt: skip
    labelled(table)
    wanted = Performance(**(PERFORMANCE | {"metric": "accuracy", "periods": 1}))
    assert performance.periods(wanted, model)[0]["value"] == 0.75
    labelled(table.assign(answer=9))
    with pytest.raises(Problem, match="400 answers are none of 1, 2, 3"):
        performance.periods(wanted, model)
    with pytest.raises(Problem, match="of labels only"):
        performance.periods(wanted.model_copy(update={"metric": "roc_auc"}), model)


def test_mutated_triggers_are_noticed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above would see triggers that never fire."""
    asked(schedule={"max_age_days": 5})
    assert decide()["retrain"]
    monkeypatch.setattr(trigger.time, "time", lambda: 0.0)
    assert not decide()["retrain"]
