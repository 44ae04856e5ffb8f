"""The report for a pull request: true, safe whatever the names, short, always written."""

import json
import random
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from inside import TEMPLATE, set_params
from look import Seen, html, look
from pretend import COLUMNS, SCORES, commit, git, lock, pretended, results, write_csv, write_json
from shell import dvc, run
from trained import Copy

from pipeline import base as pipeline_base
from pipeline import report as verb
from pipeline.errors import Problem
from pipeline.reporting import charts, details, facts, markdown, page, steps

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
    monkeypatch.setattr(pipeline_base, "_outputs", lambda rev, folder: "")  # spares `dvc pull`
    with pretended(tmp_path / "credit-risk") as folder:
        yield folder


def told(
    base: str | None = None, verdict: Any = PASSED, log: str | None = None, rev: Any = None
) -> str:
    """The report of the project in this folder, the gates being what `verdict` says."""
    del rev
    path = None
    if log is not None:
        path = Path(".dvc/tmp/repro.log")
        path.write_text(log, encoding="utf-8")

    def judge() -> Any:
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    return verb.render(facts.gather(base, path, judge))[0]


def first(text: str) -> str:
    return text.split("\n", 1)[0]


def rows(text: str, name: str) -> list[list[str]]:
    """The rows of all tables whose first cell is `name`."""
    return [row for table in look(html(text)).tables for row in table if row[0] == name]


def failing(**changes: Any) -> dict[str, Any]:
    one = {**PASSED["gates"][0], "value": 0.7, "low": 0.66, "high": 0.74, "passed": False}
    return {**PASSED, "verdict": "refused", "gates": [one | changes, PASSED["gates"][1]]}


# The first two lines


def test_the_first_line_says_that_the_model_passed(project: Path) -> None:
    set_params(train={"lr": 0.001})
    results({**SCORES, "roc_auc": 0.832})
    text = told()
    assert first(text) == ("### ✅ Passed: may be promoted. ROC AUC 0.832, +0.012 against `main`")
    assert "All 2 gates passed. Changed: `train.lr`. Compared with `main` at" in text
    assert "on the same 1,466 test rows" in text


def test_the_first_line_says_why_the_model_is_refused(project: Path) -> None:
    text = told(verdict=failing())
    says = "### ❌ Refused: performance, `roc_auc` 0.7000 (0.6600 to 0.7400), limit ≥\u00a00.75"
    assert first(text) == says
    other = told(verdict=failing(about="ece", gate="calibration"))
    assert first(other).endswith(". ROC AUC 0.820, 0.000 against `main`")
    assert "1 of 2 gates failed." in text
    table = look(html(text)).tables[0]
    assert [row[0] for row in table[1:]] == ["❌"], "failed ones first"
    assert "1 passed" in text


def test_the_first_line_says_that_nobody_could_judge(project: Path) -> None:
    text = told(verdict=Problem("gates.yaml: performance: missing; add it\ngates.yaml: more", 2))
    assert first(text).startswith("### ⚠️ Could not judge: `gates.yaml: performance: missing;")
    assert "gates.yaml: more" in text
    assert "may be promoted" not in text


def test_a_crash_of_the_gates_is_no_pass(project: Path) -> None:
    assert first(told(verdict=RuntimeError("boom"))).startswith("### ⚠️ Could not judge: `Runtime")


@pytest.mark.parametrize("verdict", [{}, {"verdict": "refused"}, {"verdict": "well done"}])
def test_an_unclear_verdict_is_no_pass(project: Path, verdict: dict[str, Any]) -> None:
    assert first(told(verdict=verdict)).startswith("### ⚠️ Could not judge")


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
    row = rows(told(), name)[0]
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
    text = told(verdict={**PASSED, "baseline": baseline, "comparison": {"roc_auc": row}})
    found = rows(text, "roc_auc")[0]
    assert found[4:] == [f"{low:+.4f} to {high:+.4f}", says]
    assert ("(within chance)" in first(text)) == (says == "within chance")


def test_other_test_rows_are_not_compared(project: Path) -> None:
    results({**SCORES, "roc_auc": 0.99}, test="other rows")
    text = told()
    assert "**Not comparable**: `main` was tested on other rows" in text
    assert first(text).endswith("ROC AUC 0.990")
    assert len(rows(text, "roc_auc")[0]) == 2, "no change is shown"
    assert "moved most" not in text
    assert "orange: `main`" not in text, "nor its ROC"


def test_other_test_rows_are_compared_when_scored_again(project: Path) -> None:
    results({**SCORES, "roc_auc": 0.83}, test="other rows")
    row = {"value": 0.83, "base": 0.79, "difference": 0.04, "low": 0.02, "high": 0.06}
    baseline = {"what": "main", "name": "main", "commit": git("rev-parse", "main"), "rows": "other"}
    text = told(verdict={**PASSED, "baseline": baseline, "comparison": {"roc_auc": row}})
    assert rows(text, "roc_auc")[0][1:4] == ["0.8300", "0.7900", "↑ +0.0400"]
    assert "scored again on these 1,466 test rows" in text
    assert len(rows(text, "ece")[0]) == 6
    assert rows(text, "ece")[0][2:4] == ["", ""], "what was not scored again is not compared"


def test_a_model_in_production_is_compared_apart(project: Path) -> None:
    row = {"value": 0.82, "base": 0.75, "difference": 0.07, "low": 0.05, "high": 0.09}
    baseline = {"what": "production", "name": "model@v1.0.0", "commit": "f" * 40, "rows": "same"}
    text = told(verdict={**PASSED, "baseline": baseline, "comparison": {"roc_auc": row}})
    assert [row[1:4] for row in rows(text, "roc_auc")] == [
        ["0.8200", "0.8200", "= 0.0000"], ["0.8200", "0.7500", "↑ +0.0700"],
    ]  # fmt: skip
    assert "`model@v1.0.0`" in text


@pytest.mark.parametrize(
    ("task", "score", "title"),
    [("multiclass", "accuracy", "Accuracy 0.780"), ("regression", "r2", "R² 0.610")],
)
def test_other_tasks(project: Path, task: str, score: str, title: str) -> None:
    set_params(data={"task": task})
    scores = {"r2": 0.61, "rmse": 3.5} if task == "regression" else SCORES
    results(scores, labels=[f"class {i}" for i in range(5)])
    if task == "regression":
        shutil.rmtree("plots/test")
        pairs = [(i, i + 0.5) for i in range(100)]
        write_csv("plots/test/predicted.csv", ["actual", "predicted"], pairs)
    text = told()
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
    text = told()
    assert rows(text, "train.lr") == [["train.lr", "0.002", "0.5"]]
    assert rows(text, "train.seed") == [["train.seed", "0", "1"]]
    assert "**The limits have changed**: 1 change in `gates.yaml`" in text
    assert "in `schema.yaml`" in text
    assert "Code: `pipeline/train.py`" in text


def test_nothing_changed(project: Path) -> None:
    text = told()
    assert "No input of the pipeline has changed." in text
    assert "The same settings and code as" in text
    assert "No stage ran for this report" in text
    assert "0 of 4 stages ran" in text


def test_rows_columns_and_drift(project: Path) -> None:
    # the base's profile is in DVC: as if the cache had it
    folder = facts.gather(None, None, dict).base
    assert folder is not None
    shutil.copy("reports/profile.json", folder.folder / "reports")
    results(columns={"age": "category", "new": "number"}, rows=1500)
    drift = {"age": {"psi": 0.4, "noise": 0.01}, "new": {"psi": 0.001, "noise": 0.01}}
    write_json("reports/validation.json", {"passed": True, "problems": [], "drift": drift})
    text = told()
    assert rows(text, "test") == [["test", "1,466", "1,500", "+34"]]
    assert rows(text, "new") == [["new", "—", "number"]]
    assert rows(text, "gender")[0] == ["gender", "category", "gone"]
    assert rows(text, "age") == [["age", "number", "category"], ["age", "0.400", "0.010", "0.20"]]


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
    table = next(t for t in look(html(told())).tables if t[0][0] == "attribute")
    assert [row[1] for row in table[1:3]] == ["group 7", "group 4"]
    assert table[1][5] == "↓ -0.2000"


def test_cases_that_changed_side(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("models").mkdir()
    answers = {".": [True, False, True, False], "base": [True, True, False, False]}

    def passes(side: Any) -> list[bool]:
        return answers["." if side.folder == Path() else "base"]

    monkeypatch.setattr(details, "_passes", passes)
    heads = ["age", "expected"]
    write_csv(details.CASES, heads, [(30, "0"), (31, "1"), (32, "1"), (33, "0")])
    text = told()
    assert "2 of 4 right; 2 changed side against `main`." in text
    table = next(t for t in look(html(text)).tables if t[0][0] == "case")
    assert table[1:] == [
        ["line 3", "1", "✅", "❌"], ["line 4", "1", "❌", "✅"], ["line 5", "0", "❌", "❌"],
    ]  # fmt: skip


def test_confusion_as_a_matrix(project: Path) -> None:
    pairs = [("a", "a")] * 3 + [("a", "b")] + [("b", "b")] * 2
    write_csv(details.CONFUSION, ["actual", "predicted"], pairs)
    table = next(t for t in look(html(told())).tables if t[0][0].startswith("actual"))
    assert table[1:] == [["a", "3", "1", "75%"], ["b", "0", "2", "100%"]]


def test_confusion_of_many_classes_as_pairs(project: Path) -> None:
    pairs = [(f"c{i}", f"c{i}") for i in range(20)] + [("c3", "c7")] * 3 + [("c1", "c2")]
    write_csv(details.CONFUSION, ["actual", "predicted"], pairs)
    table = next(t for t in look(html(told())).tables if t[0][:2] == ["actual", "predicted"])
    assert table[1:] == [["c3", "c7", "3", "75%"], ["c1", "c2", "1", "50%"]]


# Cost, stages


def test_cost_and_money(project: Path) -> None:
    set_params(train={"lr": 0.001})
    results()
    write_json(".dvc/tmp/seconds.json", {"prepare": 9.0, "train": 1800.0, "evaluate": 0.0})
    Path("machine.yaml").write_text("use: aws\nprice_per_hour: 0.5\naws: {type: g4dn.xlarge}\n")
    write_json("metrics/cost.json", {"latency_ms": {"single_row": {"p50": 3.0}}})
    text = told()
    assert "**0.2500 USD**" in text
    assert rows(text, "single_row, p50") == [["single_row, p50", "3.0 ms", "1.5 ms", "+100 %"]]
    assert 's0["prepare<br/>unchanged"]:::unchanged' in text
    assert 's2["train<br/>ran 1,800.0 s"]:::ran' in text
    assert "s0 --> s1" in text
    assert "<b>Pipeline</b>: 1 of 4 stages ran" in text


def test_a_stage_that_did_not_run_here_came_from_the_cache(project: Path) -> None:
    set_params(train={"lr": 0.001})
    results()
    assert "train<br/>from the cache" in told()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: set_params(train={"lr": 0.9}),
        lambda: Path("pipeline/fit.py").write_text("pass"),
        lambda: write_json("metrics/quality.json", {**SCORES, "roc_auc": 0.99}),
        lambda: Path("metrics/quality.json").unlink(),
        lambda: Path("dvc.lock").write_text("stages: {}"),
        lambda: lock("new rows", stages=["prepare"]),
    ],
)
def test_results_of_other_inputs_are_not_shown(project: Path, spoil: Any) -> None:
    """After a failed stage, Git has left the scores of the commit before."""
    spoil()
    text = told()
    assert first(text).startswith("### ⚠️ ")
    assert "may be promoted" not in text
    assert not rows(text, "roc_auc")
    assert not rows(text, "✅"), "nor judged"


def test_a_large_file_is_told_by_its_size(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "READ", 0)
    assert first(told()).startswith("### ✅")
    Path("pipeline/fit.py").write_text("pass")
    assert first(told()).startswith("### ⚠️ Out of date: stage `train`")


# Failures


def test_bad_data_is_told_with_what_is_wrong(project: Path) -> None:
    lock("new rows", stages=["prepare"])
    one = {"check": "isin", "column": "housing", "count": 1593, "share": 0.1,
           "examples": ["RENT"], "says": "one of rent, own"}  # fmt: skip
    two = {**one, "column": "region"}
    write_json("reports/validation.json", {"passed": False, "problems": [one, two], "drift": {}})
    text = told(log="ERROR: failed to reproduce 'validate': failed to run: python, exited with 1")
    assert first(text) == "### ❌ Data refused: `housing`, `isin` in 1,593 rows, and 1 more"
    assert rows(text, "isin")[0] == ["isin", "housing", "1,593", "RENT, one of rent, own"]
    assert "validate<br/>failed" in text
    assert "train<br/>not reached" in text


def test_failed_training_is_told_with_the_end_of_the_log(project: Path) -> None:
    set_params(train={"lr": 1.0})
    lines = [f"line {i}" for i in range(100)]
    last = "```` </details> @everyone \x1b[31mred\x1b[0m"
    done = "ERROR: failed to reproduce 'train': failed to run: python -m pipeline.train, exited"
    text = told(log="\n".join([*lines, "50%\r100%", "````", last, done]))
    says = "### ❌ Training failed: stage `train`, ` ```` </details> @everyone red `"
    assert first(text) == says
    fence = look(html(text)).fences[0][1].splitlines()
    assert fence[-4:] == ["100%", "````", "```` </details> @everyone red", done]
    assert len(fence) == facts.LOG_LINES
    assert "train<br/>failed" in text


def test_a_pipeline_that_did_not_start(project: Path) -> None:
    text = told(log="ERROR: failed to parse 'params.yaml'\n")
    assert first(text) == "### ❌ The pipeline did not run: `failed to parse 'params.yaml'`"


def test_a_log_that_is_not_there(project: Path) -> None:
    assert first(verb.render(facts.gather(None, Path("no.log"), lambda: PASSED))[0])


def test_a_project_that_has_never_run(project: Path) -> None:
    for name in ("metrics", "plots", "reports", "dvc.lock"):
        path = Path(name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert first(told()) == "### ⚠️ Not trained yet: run `dvc repro`"


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
        text = told()
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
    text = told("origin/main")
    assert f"`{left[:9]}`, which has gone on by 1 since" in text
    assert "ROC AUC 0.830, +0.010 against `main`" in first(text)
    assert "`train.lr`" in text


def test_a_shallow_clone_says_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit("Mine")
    monkeypatch.chdir(clone(project, "--depth", "1", "--branch", "branch"))
    text = told("origin/main")
    assert first(text) == "### ✅ Passed: may be promoted. ROC AUC 0.820"
    assert "Not compared: `origin/main: no such revision here; this clone is shallow: " in text
    monkeypatch.chdir(project)


def test_a_shallow_clone_of_two_branches_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit("Mine")
    monkeypatch.chdir(clone(project, "--depth", "1", "--no-single-branch", "--branch", "branch"))
    assert "shares no commit with this branch; this clone is shallow" in told("origin/main")


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
    text = told("main")
    assert f"Compared with `main` at `{tip[:9]}`, on the same" in text
    assert "`train.lr`" in text
    head = git("rev-parse", "branch")
    event = {"pull_request": {"head": {"sha": head, "ref": "branch; rm -rf ~"}}}
    write_json(".dvc/tmp/event.json", event)
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(Path(".dvc/tmp/event.json").resolve()))
    text = told("main")
    assert f"git checkout {head}" in text, "the commit that was pushed, not the merge"
    assert "git checkout 'branch; rm -rf ~' && git pull" in text


def test_the_first_commit_and_those_on_main(project: Path) -> None:
    git("checkout", "-q", "main")
    assert "Not compared: `the first commit`." in told()
    set_params(train={"lr": 0.001})
    results()
    assert "Compared with `main`" in told(), "what is not committed, with the commit"
    commit("Second")
    text = told()
    assert "Compared with the commit before at" in text
    assert "| `train.lr` | `0.002` | `0.001` |" in text


def test_no_base_at_all(project: Path) -> None:
    git("branch", "-qD", "main")
    text = told()
    assert "Not compared: `origin/main: no such revision here; git fetch origin`" in text
    assert rows(text, "roc_auc") == [["roc_auc", "0.8200"]]
    assert "of the worst groups" in text


def test_no_git_at_all(project: Path) -> None:
    shutil.rmtree(".git")
    text = told()
    assert first(text).startswith("### ✅ Passed")
    assert "Not compared: " in text


def test_a_base_without_a_model_says_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_base, "_outputs", lambda rev, folder: f"{rev} has no model")
    git("checkout", "-q", "main")
    git("rm", "-q", "dvc.lock", "metrics/quality.json", "-r", "plots", "reports/slices.json")
    commit("Untrained")
    git("checkout", "-qb", "trained")
    results()
    text = told("main")
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
    seen = look(html(text))
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
    drift = {name: {"psi": 0.5, "noise": 0.1} for name in some(3)}
    problems = [{"check": a, "column": b, "count": 3, "examples": [c], "says": d}
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
        sound(told(verdict=verdict, log=log))


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
        sound(told(verdict=verdict, log=log))
        git("checkout", "-q", "--", "dvc.yaml", "params.yaml")


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_shown_as_it_is(name: str) -> None:
    text = f"{MARK} {name}".encode("utf-8", "replace").decode()
    shown = markdown.code(text, 300)
    seen = look(html(f"| a |\n|---|\n| {shown} |\n"))
    assert seen.tables[0][1] == [markdown.one_line(text, 300)]
    assert seen.tags <= TAGS
    assert look(html(shown)).words.replace("|", "").strip() == ""


@pytest.mark.parametrize("broken", ["code", "fence", "label"])
def test_the_checks_above_see_what_is_not_escaped(
    project: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Mutations: without the escaping, they fail."""
    from pipeline.reporting import inputs, results, running

    def plain(text: Any, most: int = 0) -> str:
        return str(text)

    def open_fence(lines: Any, language: str = "") -> str:
        return f"```{language}\n" + "\n".join(lines) + "\n```"

    if broken == "label":
        monkeypatch.setattr(charts, "label", str)
        name = f'{MARK}"]; click s0'
        Path("dvc.yaml").write_text(json.dumps({"stages": {name: {"cmd": "x"}}}))
    for module in (details, inputs, results, running, verb):
        if broken == "code" and hasattr(module, "code"):
            monkeypatch.setattr(module, "code", plain)
    if broken == "fence":
        monkeypatch.setattr(running, "fence", open_fence)
        set_params(train={"lr": 0.3})
    log = f"{MARK}\n```\n{MARK}\nERROR: failed to reproduce 'train': x"
    verdict = PASSED if broken == "label" else poisoned(random.Random(0))[0]
    with pytest.raises(AssertionError):
        sound(told(verdict=verdict, log=log if broken == "fence" else ""))


# Length


def test_a_huge_project_fits_into_a_comment(project: Path) -> None:
    long = "x" * 55
    scores = {**SCORES, **{f"{long}{i}": 0.5 for i in range(500)}}
    groups = {f"{long}{a}": {f"{long}{g}": {"rows": 50, "roc_auc": 0.8} for g in range(30)}
              for a in range(10)}  # fmt: skip
    results(scores, groups, [f"{long}{i}" for i in range(100)],
            {f"{long}{i}": "number" for i in range(500)})  # fmt: skip
    drift = {f"{long}{i}": {"psi": 0.5, "noise": 0.1} for i in range(500)}
    write_json("reports/validation.json", {"problems": [], "drift": drift})
    Path("gates.yaml").write_text(json.dumps({f"{long}{i}": i for i in range(2000)}))
    gates = [
        {**PASSED["gates"][0], "about": f"{long}{i}", "passed": i % 2 > 0} for i in range(2000)
    ]
    text = told(verdict={**PASSED, "verdict": "refused", "gates": gates}, log=f"{long}\n" * 1000)
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


def test_the_page_says_the_same(project: Path) -> None:
    set_params(train={"lr": 0.001})
    results({**SCORES, "roc_auc": 0.832})
    text, drawn = verb.render(facts.gather(None, None, lambda: PASSED))
    file = page.write(text, drawn, Path("reports/report.html"))
    content = file.read_text(encoding="utf-8")
    seen, there = look(html(text)), look(content)
    assert there.tables == seen.tables
    assert unescape(first(text).removeprefix("### ").replace("`", "")) in "".join(
        re.sub("<[^>]+>", "", content)
    )
    assert content.count("<svg") == len(drawn) == len([f for f in seen.fences if f[0] == "mermaid"])
    assert not re.search(r"<script|<link|<img|src=|url\((?!#)", content)
    assert "prefers-color-scheme: dark" in content
    assert "mermaid" not in content
    assert page.INK not in content


def test_the_pictures_show_the_numbers_of_the_charts(project: Path) -> None:
    drawn = verb.drawings(facts.gather(None, None, lambda: PASSED))
    picture = page.svg(drawn["roc"])
    assert "False positive rate" in picture
    chart = drawn["roc"]
    assert isinstance(chart, charts.Chart)
    moved = chart._replace(lines=[line._replace(values=line.values[::-1]) for line in chart.lines])
    assert page.svg(moved) != picture
    assert page.svg(chart) == picture, "the same numbers give the same picture"


@pytest.mark.parametrize("hidden", ["<script>alert(1)</script>", "http://e.com/x.png"])
def test_the_page_holds_nothing_active(project: Path, hidden: str) -> None:
    results({**SCORES, f"![x]({hidden})": 0.5})
    text, drawn = verb.render(facts.gather(None, None, lambda: PASSED))
    seen = look(page.write(text, drawn, Path("x.html")).read_text(encoding="utf-8"))
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
    ordered = steps._order(
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
    command = ("python", "-m", "pipeline.report", "--base", "main", "--html")
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
