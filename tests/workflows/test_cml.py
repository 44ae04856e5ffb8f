"""The `cml` that the workflows get, ours or the real one, takes and asks what CML 0.20.6 does.

With CML_BIN naming a real CML 0.20.6 the same table is tried on it; that is how ours was made.
"""

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from workflows.act import HERE, cml
from workflows.github import GitHub

PULL = {
    "number": 7,
    "state": "open",
    "html_url": "https://github.com/acme/credit-risk/pull/7",
    "head": {"ref": "feature", "sha": "a" * 40, "label": "acme:feature"},
    "base": {"ref": "main"},
}
COMMENT = ["comment", "update", "--publish=false", "--watermark-title=train"]
LAUNCH = ["runner", "launch", "--single", "--no-retry=true", "--idle-timeout=300"]
SCRIPT = base64.b64encode(b"shutdown -P +130 &\n").decode()


class Desk:
    """Somewhere to type `cml`, in a job of a pull request."""

    def __init__(self, folder: Path, github: GitHub) -> None:
        self.folder, self.github = folder, github
        (folder / "home").mkdir()
        (folder / "bin").mkdir()
        (folder / "bin/terraform").symlink_to(HERE / "bin/terraform")
        (folder / "report.md").write_text("# Scores\n\n| a | b |\n| --- | --- |\n| 1\\|2 | _x_ |\n")
        (folder / "event.json").write_text(json.dumps({"pull_request": PULL}))
        github.pulls[7] = PULL
        github.grant("ghs_comment", {"pull-requests": "write"}, "comment")
        github.grant("ghs_reader", {"contents": "read", "pull-requests": "read"}, "reader")
        github.grant("ghp_launch", {"administration": "write"}, "PAT")

    def type(self, *arguments: str, code: int = 0, **env: str | None) -> str:
        """What it printed."""
        job = {
            "HOME": str(self.folder / "home"),
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "CML_REPO": "https://github.com/acme/credit-risk",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "alice",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_REPOSITORY": "acme/credit-risk",
            "GITHUB_RUN_ID": "42",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": "b" * 40,
            "GITHUB_WORKFLOW": "train",
            "ITERATIVE_DO_NOT_TRACK": "1",
            "STAND_IN_GITHUB": self.github.url,
            "REPO_TOKEN": "ghs_comment",
        }
        job = {k: v for k, v in (job | self.github.env | env).items() if v is not None}
        done = subprocess.run(
            [cml(), *arguments],
            cwd=self.folder,
            env=job,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def log(self) -> list[tuple[str, str, int]]:
        """(method, what, status) of the requests since the last time, users aside."""
        calls = [(c.method, c.path, c.status) for c in self.github.calls if "/users/" not in c.path]
        self.github.calls.clear()
        return [
            (m, p.removeprefix("/repos/acme/credit-risk/").replace("&page=1", ""), s)
            for m, p, s in calls
            if not p.startswith("/_/")
        ]


@pytest.fixture
def desk(tmp_path: Path, github: GitHub) -> Desk:
    (tmp_path / "desk").mkdir()
    return Desk(tmp_path / "desk", github)


def test_a_comment_is_posted_once_and_then_edited(desk: Desk) -> None:
    said = desk.type(*COMMENT, "report.md")
    assert "https://github.com/acme/credit-risk/pull/7#issuecomment-" in said
    assert desk.log() == [
        ("GET", "issues/7/comments", 200),
        ("POST", "issues/7/comments", 201),
    ]
    desk.type(*COMMENT, "report.md")
    number = desk.github.comments[0]["id"]
    assert desk.log() == [
        ("GET", "issues/7/comments", 200),
        ("PATCH", f"issues/comments/{number}", 200),
    ]
    report = (desk.folder / "report.md").read_text()
    mark = f'![](https://cml.dev/watermark.png#{"a" * 40} "CML watermark train")'
    assert [one["body"] for one in desk.github.on(7)] == [f"{report}\n\n{mark}"]
    desk.type(*COMMENT[:-1], "--watermark-title=other_one", "report.md")
    assert len(desk.github.on(7)) == 2
    assert '"CML watermark other\\_one")' in desk.github.on(7)[1]["body"]


def test_thirty_comments_hide_the_one_to_edit(desk: Desk) -> None:
    for number in range(31):
        desk.github.comments.append({"id": number, "issue": 7, "body": "hello", "edits": 0})
    desk.type(*COMMENT, "report.md")
    desk.type(*COMMENT, "report.md")
    assert len(desk.github.on(7)) == 33


@pytest.mark.parametrize(
    ("target", "event", "calls"),
    [
        ("pr/7", "workflow_run", ["GET issues/7/comments", "POST issues/7/comments"]),
        ("pr", "pull_request", ["GET issues/7/comments", "POST issues/7/comments"]),
        (
            f"commit/{'c' * 40}",
            "push",
            [f"GET commits/{'c' * 40}/comments", f"POST commits/{'c' * 40}/comments"],
        ),
    ],
)
def test_targets(desk: Desk, target: str, event: str, calls: list[str]) -> None:
    desk.github.grant("ghs_all", {"pull-requests": "write", "contents": "write"}, "all")
    desk.type(
        *COMMENT, f"--target={target}", "report.md", GITHUB_EVENT_NAME=event, REPO_TOKEN="ghs_all"
    )
    assert [f"{method} {path}" for method, path, _ in desk.log()] == calls


def test_a_push_finds_its_pull_request_by_the_commit(desk: Desk) -> None:
    desk.type(*COMMENT, "report.md", GITHUB_EVENT_NAME="push", GITHUB_SHA="a" * 40)
    assert desk.log()[0] == ("GET", f"commits/{'a' * 40}/pulls?state=open", 200)
    assert len(desk.github.on(7)) == 1
    said = desk.type(*COMMENT, "--target=pr", "report.md", GITHUB_EVENT_NAME="push", code=1)
    assert "not found" in said


@pytest.mark.parametrize(
    "env",
    [{"REPO_TOKEN": "ghs_reader"}, {"REPO_TOKEN": "ghs_wrong"}, {"REPO_TOKEN": ""}],
    ids=["may not write", "bad token", "no token"],
)
def test_no_comment_without_a_token_that_may(desk: Desk, env: dict[str, str]) -> None:
    desk.type(*COMMENT, "report.md", code=1, **env)
    assert not desk.github.comments


def test_a_long_report_is_refused(desk: Desk) -> None:
    (desk.folder / "report.md").write_text("x" * 65536)
    desk.type(*COMMENT, "report.md", code=1)
    assert not desk.github.comments


@pytest.mark.parametrize(
    "line",
    [
        "comment update --publish=false",
        "comment update --publish=false report.md other.md",
        "comment update --publish=false nowhere.md",
        "comment update --publish=false --bogus report.md",
        "comment update --publish=false --title=train report.md",
        "comment update --publish=false --pr --target=pr/7 report.md",
        "comment update --publish=false --rm-watermark report.md",
        "comment update --publish=false --target=seven report.md",
        "comment update --publish=false --target=mr/7 report.md",
        "comment replace report.md",
        "comment update -p report.md",
        "runner launch --cloud=aws --no-retry",
        "runner launch --cloud=ibm --single",
        "runner launch --cloud=aws --single --reuse",
        "runner launch --cloud=aws --spot",
        "runner launch --cloud=aws --cloud-disk=100",
        "runner launch --cloud=aws extra",
        "runner start --cloud=aws",
        "pr create --bogus",
        "bogus",
    ],
)
def test_wrong_command_lines(desk: Desk, line: str) -> None:
    desk.type(*line.split(), code=1, REPO_TOKEN="ghp_launch")
    assert not desk.github.comments
    assert not list(desk.folder.rglob("main.tf.json"))


def test_wrong_environment(desk: Desk) -> None:
    desk.type(*COMMENT, "report.md", code=1, CML_COMMENT_BOGUS="1")
    desk.type(*COMMENT, "report.md", code=1, CML_REPO="acme/credit-risk")
    assert not desk.github.comments


def request(desk: Desk) -> dict[str, Any]:
    (file,) = (desk.folder / "home/.cml").rglob("main.tf.json")
    asked: dict[str, Any] = json.loads(file.read_text())
    return asked


CLOUDS = {
    "aws": """
        --cloud-region=us-east-1 --cloud-type=g4dn.xlarge --cloud-hdd-size=100 --cloud-spot
        --cloud-image=ubuntu/images/x-* --cloud-aws-security-group=sg-1 --cloud-aws-subnet=s-1
        --cloud-permission-set=arn:aws:iam::1:instance-profile/cml --cloud-gpu=nogpu
    """,
    "gcp": "--cloud-region=us-central1-a --cloud-type=n1-standard-4+nvidia-tesla-t4*1",
    "azure": "--cloud-region=eastus --cloud-type=Standard_NC4as_T4_v3 --cloud-spot=false",
}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_launch(desk: Desk, cloud: str) -> None:
    """Pinned to what the real CML 0.20.6 wrote for the same command line."""
    options = CLOUDS[cloud].split()
    said = desk.type(
        *LAUNCH,
        f"--cloud={cloud}",
        *options,
        "--name=cml-42",
        "--labels=cml,run-42",
        "--cloud-metadata=project=acme/credit-risk",
        "--cloud-metadata=expires=1",
        f"--cloud-startup-script={SCRIPT}",
        "--tpi-version==0.11.20",
        REPO_TOKEN="ghp_launch",
    )
    assert desk.log() == [
        ("POST", "actions/runners/registration-token", 201),
        ("GET", "actions/runners?per_page=100", 200),
    ]
    assert [one["name"] for one in desk.github.runners] == ["cml-42"]
    assert "ghp_launch" not in said
    expected = {
        "cloud": cloud,
        "cml_version": "0.20.6",
        "docker_volumes": [],
        "driver": "github",
        "idle_timeout": 300,
        "labels": "cml,run-42",
        "metadata": {"project": "acme/credit-risk", "expires": "1"},
        "name": "cml-42",
        "region": options[0].partition("=")[2],
        "repo": "https://github.com/acme/credit-risk",
        "single": True,
        "spot_price": -1,
        "startup_script": SCRIPT,
        "token": "ghp_launch",
        "instance_type": options[1].partition("=")[2],
        "kubernetes_node_selector": {},
    }
    if cloud == "aws":
        expected |= {
            "image": "ubuntu/images/x-*",
            "aws_security_group": "sg-1",
            "aws_subnet_id": "s-1",
            "instance_hdd_size": 100,
            "instance_permission_set": "arn:aws:iam::1:instance-profile/cml",
            "spot": True,
        }
    provider = {"source": "iterative/iterative", "version": "=0.11.20"}
    assert request(desk) == {
        "terraform": {"required_providers": {"iterative": provider}},
        "provider": {"iterative": {}},
        "resource": {"iterative_cml_runner": {"runner": expected}},
    }


def test_launch_that_fails(desk: Desk) -> None:
    line = [*LAUNCH, "--cloud=aws", "--name=cml-42", "--labels=cml,run-42"]
    said = desk.type(*line, code=1)
    assert "403" in said or "Resource not accessible" in said
    desk.type(*line, REPO_TOKEN="ghs_wrong", code=1)
    said = desk.type(*line, REPO_TOKEN="ghp_launch", STAND_IN_TERRAFORM="fail", code=1)
    assert "InsufficientInstanceCapacity" in said
    assert not desk.github.runners
    desk.github.add_runner("cml-42", ["cml"])
    said = desk.type(*line, REPO_TOKEN="ghp_launch", code=1)
    assert "already in use" in said
    (desk.folder / "bin/terraform").unlink()
    said = desk.type(*line, "--name=other", REPO_TOKEN="ghp_launch", code=1)


def test_a_runner_is_used_again(desk: Desk) -> None:
    line = ["runner", "launch", "--cloud=aws", "--name=cml-43", "--labels=cml"]
    desk.github.add_runner("cml-42", ["self-hosted", "cml"])
    desk.type(*line, "--reuse", REPO_TOKEN="ghp_launch")
    desk.github.runners[0]["busy"] = True
    desk.type(*line, "--reuse", REPO_TOKEN="ghp_launch")
    assert len(desk.github.runners) == 1
    desk.type(*line, "--reuse-idle", REPO_TOKEN="ghp_launch")
    assert len(desk.github.runners) == 2


def test_many_runners_are_all_looked_at(desk: Desk) -> None:
    for number in range(150):
        desk.github.add_runner(f"cml-{number}", ["cml"])
    line = ["runner", "launch", "--cloud=aws", "--name=cml-149"]
    assert "already in use" in desk.type(*line, REPO_TOKEN="ghp_launch", code=1)


def test_git_is_prepared(desk: Desk) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=desk.folder, check=True)
    url = "https://github.com/acme/credit-risk"
    subprocess.run(["git", "remote", "add", "origin", url], cwd=desk.folder, check=True)
    desk.type("ci", code=1)  # CML_REPO is read as an option of `ci` without a name
    desk.type("ci", CML_REPO=None)
    config = (desk.folder / ".git/config").read_text()
    assert "https://token:ghs_comment@github.com/acme/credit-risk.git" in config
    assert "olivaw@iterative.ai" in config
