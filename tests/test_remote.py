"""Data goes to the storage and comes back: a folder, and a server that speaks S3."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import s3 as server
import yaml

BIN = Path(sys.executable).parent
OUTS = ("models/model.safetensors", "data/prepared/train.parquet", "reports/evaluation.png")


COPY = """
stages:
  copy:
    cmd: cp ../params.yaml copied.yaml
    deps: [../params.yaml]
    outs: [copied.yaml]
"""


class Team(NamedTuple):
    """Somebody's checkout, what a clone of it is made with, and where both push to."""

    folder: Path
    env: dict[str, str]
    storage: str

    def run(self, *command: str, folder: Path | None = None, code: int = 0) -> str:
        env = self.env | {"PATH": f"{BIN}{os.pathsep}{self.env['PATH']}"}
        done = subprocess.run(
            command, cwd=folder or self.folder, env=env, capture_output=True, text=True, timeout=120
        )
        said = done.stdout + done.stderr
        assert (done.returncode == 0) == (code == 0), said
        return said

    def commit(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", "Run", "--allow-empty")

    def clone(self) -> Path:
        there = self.folder.parent / "elsewhere" / self.folder.name
        self.run("git", "clone", "-q", str(self.folder), str(there))
        if self.storage == "folder":  # found beside the clone too, as a network drive would be
            beside = f"{self.folder.name}-storage"
            (there.parent / beside).symlink_to(self.folder.parent / beside)
        return there

    def objects(self) -> set[str]:
        """The names of what the storage holds."""
        if self.storage == "s3":
            return server.keys(self.env)
        root = self.folder.parent / f"{self.folder.name}-storage"
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}

    def alter(self, oid: str) -> None:
        """Put nine other bytes in an object's place."""
        key = next(key for key in self.objects() if key.endswith(f"{oid[:2]}/{oid[2:]}"))
        if self.storage == "s3":
            client = server.client(self.env)
            client.put_object(Bucket=server.BUCKET, Key=key, Body=b"corrupted")
        else:
            file = self.folder.parent / f"{self.folder.name}-storage" / key
            file.chmod(0o644)
            file.write_bytes(b"corrupted")
            file.chmod(0o444)  # so that DVC believes it


@pytest.fixture(params=["folder", "s3"])
def team(request: pytest.FixtureRequest, trained_copy: Path) -> Team:
    """A trained project with its results committed and nothing pushed yet."""
    env: dict[str, str] = dict(os.environ)
    if request.param == "s3":
        env = request.getfixturevalue("s3")
    team = Team(trained_copy, env, request.param)
    if request.param == "s3":
        team.run("dvc", "remote", "modify", "storage", "url", f"s3://{server.BUCKET}/dvc")
    team.commit()
    return team


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def oid(folder: Path, out: str) -> str:
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"].values()
    return next(one["md5"] for stage in stages for one in stage["outs"] if one["path"] == out)


def test_push_and_pull_on_a_fresh_clone(team: Team) -> None:
    team.run("dvc", "push")
    assert "in sync" in team.run("dvc", "status", "--cloud")
    clone = team.clone()
    assert not any((clone / out).exists() for out in OUTS)
    team.run("dvc", "pull", folder=clone)
    for out in OUTS:
        assert md5(clone / out) == md5(team.folder / out) == oid(clone, out)
    assert "up to date" in team.run("dvc", "status", folder=clone)
    assert "up to date" in team.run("dvc", "repro", folder=clone)
    assert not team.run("git", "status", "--porcelain", folder=clone)


def test_nothing_runs_on_a_clone_that_pulled(team: Team) -> None:
    team.run("dvc", "push", "--run-cache")
    clone = team.clone()
    team.run("dvc", "pull", "--run-cache", folder=clone)
    said = team.run("dvc", "repro", folder=clone)
    assert "Running stage" not in said
    assert said.count("didn't change, skipping") == 4
    assert not team.run("git", "status", "--porcelain", folder=clone)


@pytest.mark.parametrize("pushed", [True, False])
def test_the_run_cache_travels(team: Team, pushed: bool) -> None:
    """Of a stage that ran elsewhere; its lines of dvc.lock have not been seen here."""
    (team.folder / "copy").mkdir()
    (team.folder / "copy/dvc.yaml").write_text(COPY)
    team.commit()
    clone = team.clone()
    team.run("dvc", "repro", "copy/dvc.yaml")
    team.run("dvc", "push", *(["--run-cache"] if pushed else []))
    assert any("/runs/" in f"/{key}" for key in team.objects()) is pushed
    team.run("dvc", "fetch", "--run-cache", "prepare", folder=clone)
    said = team.run("dvc", "repro", "--pull", "copy/dvc.yaml", folder=clone)
    assert ("is cached - skipping run" in said) is pushed
    assert ("Running stage" in said) is not pushed
    assert md5(clone / "copy/copied.yaml") == md5(clone / "params.yaml")


@pytest.mark.parametrize("verify", ["true", "false"])
def test_an_altered_object_is_refused(team: Team, verify: str) -> None:
    team.run("dvc", "push")
    team.alter(oid(team.folder, OUTS[0]))
    clone = team.clone()
    if verify == "true":
        assert OUTS[0] in team.run("dvc", "pull", folder=clone, code=1)
        assert not (clone / OUTS[0]).exists()
        assert md5(clone / OUTS[1]) == oid(clone, OUTS[1])
    else:  # what would happen, was it not for this line of .dvc/config
        team.run("dvc", "remote", "modify", "storage", "verify", "false", folder=clone)
        team.run("dvc", "pull", folder=clone)
        assert (clone / OUTS[0]).read_bytes() == b"corrupted"


def test_a_missing_object_is_no_success(team: Team) -> None:
    team.run("dvc", "push")
    clone = team.clone()
    team.run("dvc", "remote", "modify", "storage", "url",
             "../../nowhere" if team.storage == "folder" else f"s3://{server.BUCKET}/nowhere",
             folder=clone)  # fmt: skip
    team.run("dvc", "pull", folder=clone, code=1)


def test_no_credentials_are_written_down(team: Team) -> None:
    team.run("dvc", "push")
    config = (team.folder / ".dvc/config").read_text()
    assert "verify = true" in config
    assert not (team.folder / ".dvc/config.local").exists()
    for value in (team.env.get("AWS_ACCESS_KEY_ID"), team.env.get("AWS_ENDPOINT_URL")):
        assert value is None or value not in config


def test_a_project_made_for_s3_is_pushed_first(
    generate: Callable[..., Path], tmp_path: Path, s3: server.S3
) -> None:
    folder = generate(tmp_path, dvc_remote="s3")
    team = Team(folder, s3, "s3")
    sample = folder / "data/raw/sample.csv"
    assert "data/raw/sample.csv" not in team.run("git", "ls-files").split()
    team.run("dvc", "push")
    assert server.keys(s3) == {f"dvc/files/md5/{md5(sample)[:2]}/{md5(sample)[2:]}"}
    clone = team.clone()
    assert not (clone / "data/raw/sample.csv").exists()
    team.run("dvc", "pull", "data/raw/sample.csv", folder=clone)
    assert md5(clone / "data/raw/sample.csv") == md5(sample)


@pytest.mark.parametrize("team", ["s3"], indirect=True)
def test_without_credentials_push_fails(team: Team) -> None:
    nobody = {name: value for name, value in team.env.items() if "KEY" not in name}
    nobody |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(team.folder.parent)}
    said = team._replace(env=nobody).run("dvc", "push", code=255)
    assert "credentials" in said
    assert not server.keys(team.env)
