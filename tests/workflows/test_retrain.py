"""retrain.yml, run for real: when it trains, what becomes of that, and when nothing does."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from shell import dvc, run

from workflows import events, origin
from workflows import workflow as wf
from workflows.act import Hub, Result
from workflows.edits import swap
from workflows.events import Event
from workflows.test_pull_request import cut, nothing_leaked

RETRAIN = "retrain.yml"
CRON = "41 4 * * *"
INSIDE = ("machine", "launch", "train", "fork", "comment")
JOBS = ("decide", "train", "branch", "pull-request", "merge", "release")
NO = dict.fromkeys([*JOBS, *(f"train/{job}" for job in INSIDE)], "skipped") | {"decide": "success"}
YES = NO | dict.fromkeys(("train", "train/machine", "train/train", *JOBS[2:4]), "success")
MERGED = YES | dict.fromkeys(JOBS[4:], "success")
REFUSED = NO | {"train": "failure", "train/machine": "success", "train/train": "failure"}
UNCHANGED = YES | {"pull-request": "skipped"}
AUTOMERGE = swap("retrain.yaml", "(?m)^automerge: false", "automerge: true")
HEAD = "0123456789ab"  # what stands in a dvc.lock that is as good as new


def by_clock(hub: Hub) -> Event:
    return events.schedule(hub.git("rev-parse", "main"), CRON)


def by_hand(hub: Hub, **inputs: Any) -> Event:
    return events.dispatch(hub.repo, hub.git("rev-parse", "main"), **inputs)


def by_monitor(hub: Hub) -> Event:
    why = {"why": "drift of live data"}
    return events.sent(hub.repo, hub.git("rev-parse", "main"), "retrain", why)


def pushed(hub: Hub, edit: Callable[[Path], None]) -> Event:
    """Somebody edits main and pushes."""
    before = hub.git("rev-parse", "main")
    return events.push(hub.repo, before, origin.commit(hub, edit))


def decided(retrain: str = "true", automerge: str = "false") -> dict[str, list[dict[str, Any]]]:
    """Steps for `decide` that have looked at nothing."""
    says = f"mkdir -p reports; echo retrain={retrain} >> $GITHUB_OUTPUT\n"
    says += f"echo automerge={automerge} >> $GITHUB_OUTPUT\n"
    says += """echo '{"why": ["income drifted"]}' > reports/trigger.json"""
    upload = {"name": "trigger", "path": "reports/trigger.json"}
    action = "actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a"
    return {"decide": [{"id": "trigger", "run": says}, {"uses": action, "with": upload}]}


def trained(hub: Hub, code: int = 0, lock: str = HEAD) -> dict[str, list[dict[str, Any]]]:
    """Steps for `train` that leave another model, in no time; what travels is as train.yml says."""
    text = hub.git("show", "main:.github/workflows/train.yml")
    steps = wf.read(text)["jobs"]["train"]["steps"]
    kept = [one for one in steps if re.match("actions/(checkout|upload)", one.get("uses", ""))]
    made = "mkdir -p reports; echo '# A report' > reports/report.md\n"
    made += f"[ -z '{lock}' ] || echo '# {lock}' >> dvc.lock\n"
    made += "echo '# A card' > model-card.md; echo >> metrics/quality.json"
    judged = steps[-1] | {"run": f"exit {code}"}
    return {"train/train": [kept[0], {"run": made}, kept[1], judged]}


def pulls(hub: Hub) -> list[dict[str, Any]]:
    return list(hub.github.pulls.values())


def changed(hub: Hub, branch: str = "retrain") -> list[str]:
    """The files of a branch that are not main's."""
    return hub.git("diff", "--name-only", "main", branch).splitlines()


def nothing_came(hub: Hub, result: Result) -> None:
    assert not pulls(hub), f"{result}"
    assert not hub.github.comments
    assert "retrain" not in hub.git("branch")
    assert not hub.github.started
    nothing_leaked(hub, result)


def batch(tmp: Path, kind: str, rows: int = 1500) -> Path:
    """A new month of loans: as ever, of richer people, or with ages below zero."""
    code = "import sys; sys.path.append(sys.argv[1]); from loans import loans\n"
    code += "rows, kind = int(sys.argv[2]), sys.argv[3]\n"
    code += "t = loans(rows, 5).drop(columns='chance'); t['application_id'] += 50_000_000\n"
    code += "if kind == 'drift': t['income'] = (t['income'] * 1.6).astype(int)\n"
    code += "if kind == 'bad': t.loc[:9, 'age'] = -1\n"
    code += "t['has_guarantor'] = t['has_guarantor'].map({True: 'true', False: 'false'})\n"
    code += "t.to_csv(sys.argv[4], index=False)"
    file = tmp / f"{kind}.csv"
    benchmarks = str(ROOT / "benchmarks")
    run(sys.executable, "-c", code, benchmarks, str(rows), kind, str(file), cwd=tmp)
    return file


def test_the_clock_alone_trains_nothing(released: Hub) -> None:
    result = released.run(RETRAIN, by_clock(released)).ended(0, NO)
    assert "model@v1.0.0" in result.log("decide")
    assert "do not retrain" in result.log("decide")
    nothing_came(released, result)


def test_mutation_whatever_was_decided(released: Hub) -> None:
    instead = decided(retrain="false") | trained(released)
    released.run(RETRAIN, by_clock(released), instead=instead).ended(0, NO)
    change = cut(r"    if: needs.decide.outputs.retrain == 'true'\n")
    released.run(RETRAIN, by_clock(released), instead=instead, change=change).ended(0, YES)
    assert pulls(released)


@pytest.mark.parametrize("workflow", [RETRAIN, "train.yml"])
def test_only_imported_data_is_brought_up_to_date(
    project: Path, tmp_path: Path, workflow: str
) -> None:
    """`dvc update --recursive` would forget the md5 of a folder whose list is not here."""
    told = wf.load(project / ".github/workflows" / workflow)
    name = "Bring imported data up to date"
    (step,) = [one for _, one in wf.steps(told) if one.get("name") == name]
    dvc("init", "-q", "--no-scm", cwd=tmp_path)
    (tmp_path / "data/raw/batches").mkdir(parents=True)
    (tmp_path / "there.csv").write_text("a\n1\n")
    (tmp_path / "data/raw/batches/may.csv").write_text("a\n2\n")
    dvc("add", "-q", "data/raw/batches", cwd=tmp_path)
    dvc("import-url", "-q", "there.csv", "data/raw/theirs.csv", cwd=tmp_path)
    kept = (tmp_path / "data/raw/batches.dvc").read_text()
    for gone in (".dvc/cache", "data/raw/batches"):
        shutil.rmtree(tmp_path / gone)
    (tmp_path / "there.csv").write_text("a\n3\n")
    run("bash", "-eo", "pipefail", "-c", step["run"], cwd=tmp_path)
    assert (tmp_path / "data/raw/theirs.csv").read_text() == "a\n3\n"
    assert (tmp_path / "data/raw/batches.dvc").read_text() == kept


def test_another_clock_is_not_ours(released: Hub) -> None:
    event = events.schedule(released.git("rev-parse", "main"), "0 0 1 1 *")
    assert released.run(RETRAIN, event).jobs == {}


@pytest.mark.parametrize("automerge", [False, True])
def test_forced(released: Hub, automerge: bool) -> None:
    """By hand, and no open question: one pull request, merged where that is declared."""
    if automerge:
        origin.commit(released, AUTOMERGE)
    before = released.git("rev-parse", "main")
    event, instead = by_hand(released, force="true"), trained(released)
    result = released.run(RETRAIN, event, instead=instead)
    result.ended(0, MERGED if automerge else YES)
    (pull,) = pulls(released)
    assert "forced" in pull["body"]
    assert pull["merged"] is automerge
    assert (released.git("rev-parse", "main") != before) is automerge
    started = [(one["workflow"], one["ref"]) for one in released.github.started]
    assert started == [("release.yml", "main")] * automerge
    assert HEAD in released.git("show", f"{'main' if automerge else 'retrain'}:dvc.lock")
    (comment,) = released.github.comments
    assert "forced" in comment["body"]
    assert "# A report" in comment["body"]
    nothing_leaked(released, result)


def test_not_forced(released: Hub) -> None:
    result = released.run(RETRAIN, by_hand(released, force="false"), instead=trained(released))
    result.ended(0, NO)


def test_what_the_monitor_saw_is_the_reason(released: Hub) -> None:
    event = by_monitor(released)
    released.run(RETRAIN, event, instead=trained(released)).ended(0, YES)
    assert "drift of live data" in pulls(released)[0]["body"]
    other = event._replace(payload=event.payload | {"action": "other"})
    assert released.run(RETRAIN, other).jobs == {}


def test_the_same_again_updates_the_pull_request(released: Hub) -> None:
    for lock in ("aaa", "bbb", "bbb"):
        instead = decided() | trained(released, lock=lock)
        released.run(RETRAIN, by_clock(released), instead=instead).ended(0, YES)
        assert f"# {lock}" in released.git("show", "retrain:dvc.lock")
    (pull,) = pulls(released)
    (comment,) = released.github.comments
    assert comment["edits"] == 2
    assert comment["issue"] == pull["number"]
    assert set(changed(released)) == {"dvc.lock", "metrics/quality.json", "model-card.md"}
    assert released.git("rev-list", "--count", "main..retrain") == "1"


def test_after_a_merge_the_next_one_is_another(released: Hub) -> None:
    for lock in ("aaa", "bbb"):
        instead = decided() | trained(released, lock=lock)
        released.run(RETRAIN, by_clock(released), instead=instead).ended(0, YES)
        merge(released, pulls(released)[-1]["number"])
    assert len(pulls(released)) == 2
    assert released.git("rev-list", "--count", "model@v1.0.0..main") == "2"


def merge(hub: Hub, number: int) -> Event:
    """Somebody presses the button; the push that comes of it."""
    before = hub.git("rev-parse", "main")
    path = f"/repos/{hub.repo}/pulls/{number}/merge"
    hub.github.grant("ghp_ada", {"contents": "write"}, "Ada")
    hub.github.answer("PUT", path, {}, {"merge_method": "squash"}, "ghp_ada")
    return events.push(hub.repo, before, hub.git("rev-parse", "main"))


def test_the_same_model_again_is_no_pull_request(released: Hub) -> None:
    instead = decided() | trained(released, lock="")
    result = released.run(RETRAIN, by_clock(released), instead=instead).ended(0, UNCHANGED)
    nothing_came(released, result)


@pytest.mark.parametrize("automerge", ["false", "true"])
def test_what_the_gates_refuse_is_not_offered(released: Hub, automerge: str) -> None:
    main = released.git("rev-parse", "main")
    instead = decided(automerge=automerge) | trained(released, code=1)
    result = released.run(RETRAIN, by_clock(released), instead=instead).ended(1, REFUSED)
    nothing_came(released, result)
    assert released.git("rev-parse", "main") == main


@pytest.mark.parametrize(
    ("mutation", "automerge", "says"),
    [
        (cut("contents: write # to push the branch", "contents: read"), "false", "403"),
        (cut("GIT_CONFIG_KEY_0: .*", "GIT_CONFIG_KEY_0: a.b"), "false", "could not read"),
        (cut("pull-requests: write # to open.*", "pull-requests: read"), "false", "not access"),
        (cut("contents: write # to merge", "contents: read"), "true", "403"),
        (cut("actions: write.*", "actions: read"), "true", "403"),
        (cut("REPO_TOKEN: .*"), "false", "token not found"),
        (cut("    if: needs.decide.outputs.automerge == 'true'\n"), "false", ""),
        (cut("  group: retrain\n", "  group: retrain\n"), "false", None),
    ],
)
def test_mutations(released: Hub, mutation: Any, automerge: str, says: Any) -> None:
    """Each of these ends otherwise than the tests above want it; the last one changes nothing."""
    instead = decided(automerge=automerge) | trained(released)
    result = released.run(RETRAIN, by_clock(released), instead=instead, change=mutation)
    wanted = MERGED if automerge == "true" else YES
    assert (result.jobs == wanted) == (says is None), f"{result}"
    assert (says or "") in str(result)


def test_mutation_a_verdict_that_nobody_minds(released: Hub) -> None:
    judge = "        run: python -m ops gate\n"
    name = rf"(name: Judge\n{judge})(?=\n  # A pull request from a fork)"
    edit = swap(".github/workflows/train.yml", name, r"\1        continue-on-error: true\n")
    origin.commit(released, edit)
    instead = decided() | trained(released, code=1)
    released.run(RETRAIN, by_clock(released), instead=instead)
    assert pulls(released)


def test_mutation_a_branch_that_is_not_forced(released: Hub) -> None:
    for lock in ("aaa", "bbb"):
        instead = decided() | trained(released, lock=lock)
        change = cut("git push --force", "git push")
        result = released.run(RETRAIN, by_clock(released), instead=instead, change=change)
    assert result.jobs["branch"] == "failure"


def test_mutation_a_card_that_does_not_travel(released: Hub) -> None:
    origin.commit(released, swap(".github/workflows/train.yml", " +model-card.md\n", ""))
    instead = decided() | trained(released)
    released.run(RETRAIN, by_clock(released), instead=instead).ended(0, YES)
    assert "model-card.md" not in changed(released)
