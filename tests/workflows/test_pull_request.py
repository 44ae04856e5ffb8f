"""train.yml, run for real: what a pull request gets to see, and what turns it red."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from workflows import origin
from workflows import workflow as wf
from workflows.act import Hub, Result, git
from workflows.edits import (
    REFUSED,
    STRICTER,
    bad_data,
    both,
    docs,
    knob,
    machine,
    swap,
)

TRAIN = "train.yml"
GREEN = {
    "machine": "success",
    "launch": "skipped",
    "train": "success",
    "fork": "skipped",
    "comment": "success",
}
RED = GREEN | {"train": "failure"}
UPLOAD = {
    "uses": "actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a",
    "with": {"name": "report", "path": "reports/\nmetrics/\n"},
}


def trained(code: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Steps for `train` that leave a report and end so, in no time."""
    made = "mkdir -p reports metrics && echo '# A report' > reports/report.md"
    return {"train": [{"run": made}, UPLOAD, {"run": f"exit {code}"}]}


def cut(pattern: str, new: str = "") -> Callable[[str], str]:
    """Mutate a workflow: everything that matches."""

    def change(text: str) -> str:
        mutated, count = re.subn(pattern, new, text)
        assert count, f"nothing matches {pattern}"
        return mutated

    return change


def nothing_leaked(hub: Hub, result: Result) -> None:
    assert not hub.github.strangers
    assert "ghs_" not in str(result)
    assert "ghp_" not in str(result)


def test_the_report_is_posted_once_and_brought_up_to_date(hub: Hub) -> None:
    first = hub.run(TRAIN, origin.pull_request(hub, knob("lr", 0.004)))
    first.ended(0, GREEN)
    (comment,) = hub.github.on(7)
    assert "Passed" in comment["body"].splitlines()[0]
    assert re.search(r"\| `train\.lr` \| `0\.002` \| `0\.004` \|", comment["body"])
    assert re.search(r"\| `roc_auc` \| 0\.\d+ \| 0\.\d+ \| [↑↓=]", comment["body"])
    assert first.summary.strip() in comment["body"]
    ran = re.findall(r"Running stage '(\w+)'", first.log("train"))
    assert ran == ["train", "evaluate"]
    nothing_leaked(hub, first)

    # The second push finds in the bucket what the first has trained, and is refused.
    event = origin.pull_request(hub, REFUSED, action="synchronize")
    second = hub.run(TRAIN, event)
    second.ended(1, RED)
    assert second.step("train", "Judge").result == "failure"
    assert "Running stage 'train'" not in second.log("train")
    (comment,) = hub.github.on(7)
    assert comment["edits"] == 1
    assert "Refused" in comment["body"].splitlines()[0]
    assert [call.who for call in hub.github.asked("PATCH", "/issues/comments/")] == ["comment"]


def test_a_change_of_no_input_runs_no_stage(hub: Hub) -> None:
    result = hub.run(TRAIN, origin.pull_request(hub, STRICTER))
    result.ended(0, GREEN)
    assert "Running stage" not in result.log("train")
    assert "0 of 4 stages ran" in hub.github.on(7)[0]["body"]
    pipeline = ("Fetch data", "Run what", "Lay out", "Report", "Judge")
    assert sum(result.step("train", f" {name}").seconds for name in pipeline) < 60


def test_documentation_trains_nothing(hub: Hub) -> None:
    event = origin.pull_request(hub, docs)
    assert hub.run(TRAIN, event).jobs == {}
    assert not hub.github.on(7)
    text = git(hub.origin, "show", f"main:.github/workflows/{TRAIN}")
    mutated = wf.read(re.sub(r"(?s)    paths:\n.*?(?=  workflow_call)", "", text))
    assert wf.starts(mutated, "pull_request", event.payload, event.ref, ["README.md"])


@pytest.mark.parametrize(
    "path",
    [
        "params.yaml",
        "schema.yaml",
        "gates.yaml",
        "machine.yaml",
        "dvc.lock",
        "core/tables.py",
        "ops/gates/gate.py",
        "pipeline/train.py",
        "data/raw/sample.csv.dvc",
        "data/reference/profile.json",
        "requirements.txt",
        "tests/model/critical_cases.csv",
        ".github/workflows/train.yml",
    ],
)
def test_everything_that_may_change_a_model_starts_it(project: Any, path: str) -> None:
    workflow = wf.load(project / ".github/workflows" / TRAIN)
    payload = {"action": "opened", "pull_request": {"base": {"ref": "main"}}}
    assert wf.starts(workflow, "pull_request", payload, "", [path, "README.md"])


def test_bad_data_stops_before_training_and_is_reported(small_hub: Hub) -> None:
    result = small_hub.run(TRAIN, origin.pull_request(small_hub, bad_data))
    result.ended(1, RED)
    assert result.step("train", "Run what has changed").result == "failure"
    assert "Running stage 'validate'" in result.log("train")
    assert "Running stage 'train'" not in result.log("train", "Run what has changed")
    (comment,) = small_hub.github.on(7)
    assert "validate" in comment["body"]
    assert "age" in comment["body"]


def test_training_that_fails_is_reported(hub: Hub) -> None:
    result = hub.run(TRAIN, origin.pull_request(hub, knob("lr", "1.0e+30")))
    result.ended(1, RED)
    assert result.step("train", "Run what has changed").result == "failure"
    (comment,) = hub.github.on(7)
    assert re.search("train.*failed|failed.*train", comment["body"])


def test_the_first_pull_request_ever(small_hub: Hub) -> None:
    """main has been generated and pushed: it has neither model nor dvc.lock."""
    start = git(small_hub.origin, "rev-list", "--max-parents=0", "main")
    quick = git(small_hub.origin, "show", "main:params.yaml")
    small_hub.git("update-ref", "refs/heads/main", start)
    origin.commit(small_hub, lambda project: (project / "params.yaml").write_text(quick) and None)
    result = small_hub.run(TRAIN, origin.pull_request(small_hub, knob("threshold", 0.4)))
    result.ended(0, GREEN)
    (comment,) = small_hub.github.on(7)
    assert "Passed" in comment["body"].splitlines()[0]
    assert "evaluate.threshold" in comment["body"]


def test_a_branch_behind_main_is_compared_with_where_it_left(hub: Hub) -> None:
    left = git(hub.origin, "rev-parse", "main")
    head = origin.commit(hub, knob("threshold", 0.4), "feature")
    origin.commit(hub, both(knob("patience", 9), docs))
    result = hub.run(TRAIN, origin.open_pull(hub, head))
    result.ended(0, GREEN)
    (comment,) = hub.github.on(7)
    assert left[:9] in comment["body"]
    assert "evaluate.threshold" in comment["body"]
    assert "train.patience" not in comment["body"]


@pytest.mark.parametrize("ends", [0, 1], ids=["trained", "training failed"])
@pytest.mark.parametrize("answer", [None, 403, 500], ids=["posted", "refused", "broken"])
def test_the_comment_makes_no_model_worse(hub: Hub, ends: int, answer: int | None) -> None:
    """Bar: the run ends as the training does, whatever becomes of the comment."""
    hub.github.refuse = lambda method, path: answer if "comments" in path else None
    result = hub.run(TRAIN, origin.pull_request(hub, STRICTER), instead=trained(ends))
    result.ended(ends, RED if ends else GREEN)
    assert len(hub.github.on(7)) == (answer is None)
    assert ("could not be posted" in str(result)) == (answer is not None)


@pytest.mark.parametrize(
    ("mutation", "says"),
    [
        (cut(r"pull-requests: write", "pull-requests: read"), "not accessible by integration"),
        (cut(r"      - uses: iterative/setup-cml.*\n.*\n.*\n.*\n(?=      - id)"), "cml: "),
        (cut(r"--watermark-title=train", "--title=train"), "Unknown argument"),
        (cut(r'--target="pr/', '--target="mr/'), "unsupported comment target"),
        (cut(r"version: v0.20.6", "version: latest"), "pin v0.20.6"),
        (cut(r"reports/report.md\n      - if: steps", "report.md\n      - if: steps"), "ENOENT"),
        (cut(r"CML_REPO: .*"), "git config"),
    ],
)
def test_mutations_of_the_comment(hub: Hub, mutation: Any, says: str) -> None:
    """Each of these posts nothing, so the tests above would fail."""
    event = origin.pull_request(hub, STRICTER)
    result = hub.run(TRAIN, event, change=mutation, instead=trained())
    assert not hub.github.on(7), f"{result}"
    assert says in str(result)


@pytest.mark.parametrize(
    ("mutation", "job", "says"),
    [
        (cut("id-token: write", "id-token: none"), "train", "id-token"),
        (cut("contents: read", "contents: none"), "machine", "not accessible by integration"),
        (cut(r"      - uses: actions/setup-python.*\n.*\n.*\n"), "machine", "python"),
        (cut(r"needs: \[machine, launch\]", "needs: launch"), "train", ""),
    ],
)
def test_mutations_of_the_training(hub: Hub, mutation: Any, job: str, says: str) -> None:
    result = hub.run(TRAIN, origin.pull_request(hub, STRICTER), change=mutation)
    assert result.jobs != GREEN, f"{result}"
    assert result.jobs.get(job) != "success"
    assert says in str(result)


def test_mutation_a_shallow_clone_has_nothing_to_compare_with(hub: Hub) -> None:
    event = origin.pull_request(hub, STRICTER)
    result = hub.run(TRAIN, event, change=cut("fetch-depth: 0", "fetch-depth: 1"))
    assert "this clone is shallow" in result.log("train", "Lay out the base"), f"{result}"
    assert "Compared with `main`" not in hub.github.on(7)[0]["body"]


def test_mutation_without_the_last_step_a_refused_model_is_green(hub: Hub) -> None:
    event = origin.pull_request(hub, REFUSED)
    judge = r"      - name: Judge\n        run: python -m ops gate\n\n"
    around = r"      - name: (Lay out|Model card)[^\n]*\n(        [^\n]*\n)+"  # to save their time
    change = cut(f"{judge}|{around}")
    result = hub.run(TRAIN, event, change=change)
    result.ended(0, GREEN)


@pytest.mark.parametrize(
    ("labels", "action", "jobs", "sample"),
    [
        ((), "opened", GREEN, "0.25"),
        (("full-train",), "labeled", GREEN, "1.0"),
        (("bug",), "labeled", dict.fromkeys(GREEN, "skipped"), None),
        (("full-train", "bug"), "synchronize", GREEN, "1.0"),
    ],
)
def test_labels(hub: Hub, labels: Any, action: str, jobs: Any, sample: str | None) -> None:
    edit = swap("machine.yaml", r"sample: 1.0 ", "sample: 0.25 ")
    event = origin.pull_request(hub, edit, action=action, labels=labels)
    result = hub.run(TRAIN, event, instead=trained())
    result.ended(0, jobs)
    assert result.outputs("machine").get("sample") == sample


def test_a_machine_of_ones_own(hub: Hub) -> None:
    """`use: self-hosted` waits for the labels that are declared, and asks for its GPU first."""
    hub.programs = {"nvidia-smi": "#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n"}
    event = origin.pull_request(hub, machine("self-hosted"))
    assert hub.run(TRAIN, event, instead=trained()).jobs["train"] == "never started"
    hub.github.add_runner("ours", ["gpu"])
    assert hub.run(TRAIN, event, instead=trained()).jobs == GREEN
    result = hub.run(TRAIN, event)
    assert result.jobs["train"] == "failure", f"{result}"
    assert "NVIDIA-SMI has failed" in result.step("train", "Is there a GPU?").log
