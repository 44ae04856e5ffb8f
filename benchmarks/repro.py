"""`dvc repro` on the shipped sample: from nothing, and with nothing to do."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measure import Row, by_wall, compare
from workspace import apart, call, generated, root

VERBS = ["prepare", "validate", "train", "evaluate"]
IN_ONE = "; ".join(f"from pipeline import {verb}; {verb}.main()" for verb in VERBS)
OUTPUTS = ["models/model.safetensors", "metrics/quality.json", "reports/evaluation.png"]
TRUE = "\n".join(f"  {verb}: {{cmd: 'true', deps: [input]}}" for verb in VERBS)


def dvc(project: Path, environment: dict[str, str]) -> Callable[[], Any]:
    here = fresh(project)
    return lambda: run(["dvc", "repro"], here, environment)


def one_process(project: Path, environment: dict[str, str]) -> Callable[[], Any]:
    here = fresh(project)
    return lambda: run([sys.executable, "-c", IN_ONE], here, environment)


def fresh(project: Path) -> Path:
    here = project.parent / "fresh"
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(project, here, symlinks=True)
    return here


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    call(command, folder, environment)
    missing = [name for name in OUTPUTS if not (folder / name).exists()]
    assert not missing, f"{command[0]} has not written {missing}"


def nothing_to_do(folder: Path, environment: dict[str, str]) -> Callable[[], Any]:
    return lambda: call(["dvc", "repro"], folder, environment)


def of_true(environment: dict[str, str]) -> Path:
    """A repository whose four stages do nothing, already run."""
    folder = root() / "true"
    folder.mkdir()
    (folder / "input").write_text("1\n")
    (folder / "dvc.yaml").write_text(f"stages:\n{TRUE}\n")
    for command in ("git init -q", "dvc init -q", "dvc repro"):
        call(command.split(), folder, environment)
    return folder


def rows() -> Iterator[Row]:
    project, environment = generated(), apart()
    ours, theirs = compare(3, (dvc, project, environment), (one_process, project, environment))
    yield by_wall("dvc repro from nothing", "the stages in one process", ours, theirs, 1.8)
    yield Row("dvc repro from nothing, seconds", "-", f"{ours.wall:.3g} s", "-", ours.wall, 25)
    done = root() / "done"
    shutil.copytree(project, done, symlinks=True)
    call(["dvc", "repro"], done, environment)
    sides = [(nothing_to_do, folder, environment) for folder in (done, of_true(environment))]
    ours, theirs = compare(9, *sides)
    yield by_wall("dvc repro with nothing to do", "four stages of true", ours, theirs, 1.2)
