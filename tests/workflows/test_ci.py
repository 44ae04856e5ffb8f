"""ci.yml, run for real: what every push and pull request hears in minutes."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from workflows import events, origin
from workflows.act import Hub
from workflows.edits import Edit, bad_data, swap

CI = "ci.yml"
GREEN = {"code": "success", "data": "success"}
STEPS = ("make lint", "pytest -q tests/code", "ops doctor", "pytest -q tests/data")


def pushed(hub: Hub, edit: Edit, branch: str = "feature") -> events.Event:
    """Somebody edits a branch and pushes."""
    before = hub.git("rev-parse", "main")
    after = origin.commit(hub, edit, branch)
    return events.push(hub.repo, before, after, f"refs/heads/{branch}")


def only(*wanted: str) -> Callable[[str], str]:
    """Leave out the steps that these tests are not about: they take half a minute."""

    def change(text: str) -> str:
        for name in set(STEPS) - set(wanted):
            text, count = re.subn(rf"      - run: .*{re.escape(name)}.*\n", "", text)
            assert count == 1, name
        return text

    return change


def test_a_sound_push_is_green(hub: Hub) -> None:
    """Every command of it, with the data in a bucket."""
    result = hub.run(CI, pushed(hub, lambda project: None)).ended(0, GREEN)
    assert "Success: no issues found" in result.log("code", "make lint")
    for job, name in (("code", STEPS[1]), ("data", STEPS[3])):
        assert " passed" in result.log(job, name)
    assert "lock      dvc.lock is in step" in result.log("code", STEPS[2])


def unused(project: Path) -> None:
    with (project / "pipeline/train.py").open("a") as code:
        code.write("import os\n")


MISTAKES = [
    (unused, "code", STEPS[0], "F401"),
    (swap("params.yaml", "  patience:", "  patiense:"), "code", STEPS[1], "patiense"),
    (swap("retrain.yaml", "combine: any", "combine: some"), "code", STEPS[2], "found 'some'"),
    (bad_data, "data", STEPS[3], "age"),
]


@pytest.mark.parametrize(("edit", "job", "step", "says"), MISTAKES, ids=STEPS)
def test_a_mistake_is_red(small_hub: Hub, edit: Edit, job: str, step: str, says: str) -> None:
    """Each by the one step that is there for it: without that step the push would be green."""
    event = pushed(small_hub, edit)
    result = small_hub.run(CI, event, change=only(step)).ended(1, GREEN | {job: "failure"})
    assert says in result.log(job, step)


def test_a_fork_reaches_no_data(hub: Hub) -> None:
    event = origin.pull_request(hub, lambda project: None, fork=True)
    result = hub.run(CI, event, change=only(STEPS[2]))
    result.ended(0, {"code": "success", "data": "skipped"})
