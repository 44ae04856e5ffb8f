"""A trained project on the pretended GitHub, for each test one of its own."""

import hashlib
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from s3 import BUCKET
from shell import dvc, run

from workflows import origin
from workflows.act import Hub
from workflows.edits import both, knob
from workflows.github import GitHub
from workflows.storage import fill, settings

REPO = "acme/credit-risk"
MACHINES = "machines"  # the environment that holds the runner token
QUICK = {"epochs": "3", "importance_rows": "200", "members": "2"}
FIT = both(knob("lr", 0.006), knob("epochs", 6))  # enough to beat the plain model

logging.getLogger("werkzeug").setLevel(logging.ERROR)


def quicken(project: Path) -> None:
    """Little training: these tests are about what is around it."""
    params = project / "params.yaml"
    text = params.read_text()
    for name, value in QUICK.items():
        text, count = re.subn(rf"(?m)^(  {name}:) \S+", rf"\1 {value}", text)
        assert count == 1, name
    params.write_text(text)


def first_model(generate: Any, folder: Path, **prompts: str) -> Path:
    project: Path = generate(folder, github_owner="acme", **prompts)
    quicken(project)
    dvc("repro", cwd=project)
    run("git", "add", "--all", cwd=project)
    run("git", "commit", "-qm", "First model", cwd=project)
    return project


@pytest.fixture(scope="session")
def trained_once(generate: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`trained_once("s3")`: a project after its first `dvc repro`, made once for all processes."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "workflows"
    shared.mkdir(exist_ok=True)

    def once(remote: str) -> Path:
        place = shared / remote
        with FileLock(shared / f"{remote}.lock"):
            if not (place / "done").exists():
                shutil.rmtree(place, ignore_errors=True)
                project = first_model(generate, place, dvc_remote=remote)
                (place / "done").write_text(project.name)
        return place / (place / "done").read_text()

    return once


def verb(project: Path, *arguments: str, code: int = 0, **env: str) -> str:
    """What `python -m ops VERB ...` prints in a project."""
    return run(sys.executable, "-m", "ops", *arguments, cwd=project, code=code, env=env)


def carded(project: Path, message: str) -> None:
    """Commit what lies there, with a model card."""
    verb(project, "card")
    run("git", "add", "--all", cwd=project)
    run("git", "commit", "-qm", message, cwd=project)


@pytest.fixture(scope="session")
def released_once(trained_once: Callable[[str], Path]) -> Path:
    """The project with a bucket: main is v1.0.0, in production; `better` has the next model."""
    first = trained_once("s3")
    place = first.parent.parent / "released" / first.name
    with FileLock(f"{place.parent}.lock"):
        if not (place.parent / "done").exists():
            shutil.rmtree(place.parent, ignore_errors=True)
            shutil.copytree(first, place, symlinks=True)
            FIT(place)
            dvc("repro", cwd=place)
            carded(place, "A better model")
            verb(place, "registry", "register")
            verb(place, "registry", "promote", "v1.0.0", "staging")
            verb(place, "registry", "promote", "v1.0.0", "production")
            run("git", "switch", "-qc", "better", cwd=place)
            knob("lr", 0.005)(place)
            dvc("repro", cwd=place)
            carded(place, "Learn faster")
            run("git", "switch", "-q", "main", cwd=place)
            (place.parent / "done").touch()
    return place


@pytest.fixture(scope="session")
def fit_once(trained_once: Callable[[str], Path], released_once: Path) -> Path:
    """The project without a bucket: the model of v1.0.0 and its card, nothing registered."""
    first = trained_once("local")
    place = first.parent.parent / "fit" / first.name
    with FileLock(f"{place.parent}.lock"):
        if not (place.parent / "done").exists():
            shutil.rmtree(place.parent, ignore_errors=True)
            shutil.copytree(first, place, symlinks=True)
            known = released_once / ".dvc/cache"  # what has been trained there is not, here
            shutil.copytree(known, place / ".dvc/cache", dirs_exist_ok=True)
            FIT(place)
            dvc("repro", cwd=place)
            carded(place, "A better model")
            (place.parent / "done").touch()
    return place


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHub]:
    with GitHub(tmp_path / "github", REPO) as server:
        yield server


@pytest.fixture
def hub(
    trained_once: Callable[[str], Path], tmp_path: Path, github: GitHub, s3: dict[str, str]
) -> Hub:
    """A project with its data, model and runs in a bucket, and a role that leads there."""
    return with_bucket(trained_once("s3"), tmp_path, github, s3)


@pytest.fixture
def released(released_once: Path, tmp_path: Path, github: GitHub, s3: dict[str, str]) -> Hub:
    """The same with a model in production, and the branch `better`."""
    made = with_bucket(released_once, tmp_path, github, s3)
    run("git", "push", "-q", str(made.origin), "better", cwd=released_once)
    return made


def with_bucket(project: Path, tmp_path: Path, github: GitHub, s3: dict[str, str]) -> Hub:
    made = origin.publish(project, tmp_path / "hub", github)
    fill(s3["AWS_ENDPOINT_URL"], f"s3://{BUCKET}/dvc", project / ".dvc/cache")
    known = settings()
    made.vars, made.environment_vars = known[""], {MACHINES: known[MACHINES]}
    made.secrets = {MACHINES: {"CML_TOKEN": "ghp_forRunnersOnly"}}
    made.env = {"AWS_ENDPOINT_URL": s3["AWS_ENDPOINT_URL"]}
    github.grant("ghp_forRunnersOnly", {"administration": "write", "metadata": "read"}, "PAT")
    return made


@pytest.fixture
def small_hub(trained_once: Callable[[str], Path], tmp_path: Path, github: GitHub) -> Hub:
    """A project with its data in Git and no bucket; no variable is set."""
    project = trained_once("local")
    made = origin.publish(project, tmp_path / "hub", github)
    keep_cache(made, project)
    return made


@pytest.fixture
def fit(fit_once: Path, tmp_path: Path, github: GitHub) -> Hub:
    """The same with a model on main that is fit to be registered; no run has left anything."""
    return origin.publish(fit_once, tmp_path / "hub", github)


def keep_cache(hub: Hub, project: Path) -> None:
    """What the last run on main has left with actions/cache."""
    name = hashlib.md5(b".dvc/cache").hexdigest()
    kept = hub.folder / "actions-cache/dvc-0-1" / name
    shutil.copytree(project / ".dvc/cache", kept, copy_function=os.link)
