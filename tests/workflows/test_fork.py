"""A pull request from a fork: it is trained, and reaches nothing that is worth stealing."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from workflows import events, origin
from workflows.act import Hub, Result
from workflows.edits import REFUSED, STRICTER, both, machine
from workflows.events import Event
from workflows.test_pull_request import GREEN, TRAIN, cut, nothing_leaked

COMMENT = "comment.yml"
FORK = dict.fromkeys(GREEN, "skipped") | {"machine": "success", "fork": "success"}
UPLOAD = {
    "uses": "actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a",
    "with": {"name": "report", "path": "reports/report.md"},
}
# What a thief would do first. HOME outlives the run, for us to look at.
THIEF = """
import os, pathlib, subprocess
loot = repr(dict(os.environ)) + pathlib.Path(".git/config").read_text()
pathlib.Path(os.environ["HOME"], "loot").write_text(loot)
"""


def steal(project: Path) -> None:
    with (project / "ops/gates/gate.py").open("a") as gate:
        gate.write(THIEF)


def made(report: str) -> dict[str, list[dict[str, Any]]]:
    """Steps for `fork` that upload this report, in no time."""
    write = f"mkdir -p reports; {report} > reports/report.md"
    return {"fork": [{"run": write, "shell": "bash"}, UPLOAD]}


def follow(hub: Hub, event: Event, run: Result, **also: Any) -> Result:
    """comment.yml, which GitHub starts when train.yml has ended."""
    main = hub.git("rev-parse", "main")
    after = events.workflow_run(hub.repo, main, event, name="train", run_id=run.run_id)
    return hub.run(COMMENT, after, **also)


@pytest.fixture
def rich(small_hub: Hub) -> Hub:
    """A repository whose data is in Git, and whose settings hold everything."""
    small_hub.secrets = {"machines": {"CML_TOKEN": "ghp_forRunnersOnly"}, "": {"X": "ghp_other"}}
    return small_hub


def loot(result: Result) -> str:
    return (result.homes / "fork/loot").read_text()


def test_a_fork_is_trained_and_its_report_posted(rich: Hub) -> None:
    event = origin.pull_request(rich, both(STRICTER, steal), fork=True)
    run = rich.run(TRAIN, event).ended(0, FORK)
    assert "Passed" in run.summary
    assert not rich.github.on(7)
    # nothing to steal, and nobody asked for more than the code
    assert {call.who for call in rich.github.calls} <= {"machine", "fork"}
    assert {(call.method, call.status) for call in rich.github.calls} == {("GET", 200)}
    assert not rich.github.issued
    for secret in ("ghs_", "ghp_", "oidc-", "ACTIONS_ID_TOKEN", "extraheader"):
        assert secret not in loot(run)
    granted = [may for who, may in rich.github.tokens.values() if who in FORK]
    assert not any("write" in may.values() for may in granted)

    posted = follow(rich, event, run).ended(0, {"comment": "success"})
    (comment,) = rich.github.on(7)
    assert "Passed" in comment["body"].splitlines()[0]
    nothing_leaked(rich, posted)


def test_a_refused_fork_is_red_and_its_comment_brought_up_to_date(rich: Hub) -> None:
    event = origin.pull_request(rich, STRICTER, fork=True)
    follow(rich, event, rich.run(TRAIN, event, instead=made("echo First"))).ended(
        0, {"comment": "success"}
    )
    event = origin.pull_request(rich, REFUSED, fork=True, action="synchronize")
    run = rich.run(TRAIN, event).ended(1, FORK | {"fork": "failure"})
    follow(rich, event, run).ended(0, {"comment": "success"})
    (comment,) = rich.github.on(7)
    assert comment["edits"] == 1
    assert "Refused" in comment["body"].splitlines()[0]


@pytest.mark.parametrize("use", ["aws", "self-hosted"])
def test_a_fork_hires_nothing(rich: Hub, use: str) -> None:
    """Even one that says so in machine.yaml."""
    rich.github.add_runner("ours", ["gpu"])
    event = origin.pull_request(rich, machine(use), fork=True)
    rich.run(TRAIN, event, instead=made("echo Hello")).ended(0, FORK)
    assert not rich.github.hired


def test_data_in_a_bucket_is_out_of_a_forks_reach(hub: Hub) -> None:
    event = origin.pull_request(hub, STRICTER, fork=True)
    run = hub.run(TRAIN, event).ended(0, FORK)
    assert "a maintainer trains" in run.summary
    follow(hub, event, run).ended(0, {"comment": "success"})
    assert not hub.github.on(7)


def test_own_branches_are_not_commented_twice(rich: Hub) -> None:
    event = origin.pull_request(rich, STRICTER)
    done = rich.run(TRAIN, event, instead={"train": made("echo A report")["fork"]})
    follow(rich, event, done).ended(0, {"comment": "skipped"})


def test_the_report_of_a_fork_is_data(rich: Hub) -> None:
    """Too long, with zero bytes, from a branch whose name is a command."""
    event = origin.pull_request(
        rich,
        STRICTER,
        fork=True,
        title='"; touch /tmp/x #',
    )
    branch = '$(touch injected)"; touch injected; #&state=all'
    for pull in (event.payload["pull_request"], rich.github.pulls[7]):
        pull["head"] |= {"ref": branch, "label": f"mallory:{branch}"}
    long = "head --bytes=300000 /dev/zero | tr '\\0' 'x'; printf '\\0\\0'"
    run = rich.run(TRAIN, event, instead=made(f"{{ {long}; }}")).ended(0, FORK)
    posted = follow(rich, event, run).ended(0, {"comment": "success"})
    (comment,) = rich.github.on(7)
    assert 60000 < len(comment["body"]) <= 65536
    assert "\0" not in comment["body"]
    found = subprocess.run(
        ["find", str(rich.folder), "-name", "injected"], capture_output=True, text=True
    )
    assert not found.stdout, posted


def test_a_fork_cannot_choose_whom_to_comment(rich: Hub) -> None:
    """The number comes from GitHub, by the branch and the commit, not from the artifact."""
    event = origin.pull_request(rich, STRICTER, fork=True)
    run = rich.run(TRAIN, event, instead=made("echo Hello"))
    rich.github.pulls[7]["head"] = rich.github.pulls[7]["head"] | {"sha": "f" * 40}
    posted = follow(rich, event, run)
    assert posted.jobs == {"comment": "failure"}, f"{posted}"
    assert not rich.github.comments


SAME = r"(?s) &&\n      github.event.workflow_run.head_repository.full_name != github.repository"


@pytest.mark.parametrize(
    "mutation",
    [
        cut("pull-requests: write", "pull-requests: read"),
        cut("actions: read", "actions: none"),
        cut("--target=", "--goal="),
        cut(r"head --bytes=65000", "head --bytes=99000"),
        cut(r"completed\]", "requested]"),
        cut(r"workflows: \[train\]", "workflows: [ci]"),
    ],
)
def test_mutations_of_the_second_workflow(rich: Hub, mutation: Any) -> None:
    event = origin.pull_request(rich, STRICTER, fork=True)
    long = "head --bytes=99000 /dev/zero | tr '\\0' 'x'"
    run = rich.run(TRAIN, event, instead=made(long)).ended(0, FORK)
    follow(rich, event, run, change=mutation)
    assert not rich.github.on(7)


def test_mutation_without_its_guard_it_comments_own_branches(rich: Hub) -> None:
    event = origin.pull_request(rich, STRICTER)
    done = rich.run(TRAIN, event, instead={"train": made("echo A report")["fork"]})
    result = follow(rich, event, done, change=cut(SAME))
    assert result.jobs != {"comment": "skipped"}


@pytest.mark.parametrize("job", ["launch", "train"])
def test_mutation_without_its_guard_a_fork_gets_in(rich: Hub, job: str) -> None:
    """The map of jobs tells; what is behind the door is judged in test_static.py."""
    guard = (
        rf"(?s)(\n  {job}:\n.*?) &&\n      \(github.event_name != 'pull_request' \|\|\n"
        r".*?github.repository\)"
    )
    event = origin.pull_request(rich, machine("aws"), fork=True)
    run = rich.run(TRAIN, event, change=cut(guard, r"\1"), instead=made("echo Hello"))
    assert run.jobs != FORK, f"{run}"


def test_mutation_kept_credentials_can_be_stolen(rich: Hub) -> None:
    event = origin.pull_request(rich, STRICTER, fork=True)
    change = cut("persist-credentials: false", "persist-credentials: true")
    steps = [
        {
            "uses": "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1",
            "with": {"persist-credentials": "true"},
        },
        {"run": f'"$STAND_IN_PYTHON" - <<"END"{THIEF}END', "shell": "bash"},
    ]
    run = rich.run(TRAIN, event, change=change, instead={"fork": steps}).ended(0, FORK)
    assert "extraheader" in loot(run)
