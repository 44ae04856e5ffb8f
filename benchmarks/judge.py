"""Judging and reporting, on the sample and on 100,000 test rows; a pull request without effect."""

import functools
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from loans import write
from measure import Row, compare
from workspace import ROWS, apart, call, generated, root

from ops.gates import gate

TEST_ROWS = ROWS // 10
SCORE = "from pipeline import dataset, model; model.load_model().score(dataset.frame('test'))"


def command(folder: Path, environment: dict[str, str], *arguments: str) -> Callable[[], Any]:
    return lambda: call([sys.executable, *arguments], folder, environment)


def judging(folder: Path) -> Callable[[], Any]:
    os.chdir(folder)
    return lambda: gate.judge() and None


@functools.cache
def trained() -> Path:
    """The sample's project on a branch of its own, nothing to do."""
    folder = root() / "branch"
    shutil.copytree(generated(), folder, symlinks=True)
    for line in ("dvc repro -q", "git add -A", "git commit -qm Model", "git checkout -qb branch"):
        call(line.split(), folder, apart())
    return folder


def large(project: Path, environment: dict[str, str]) -> Path:
    """The same with that many test rows; its model has seen them for one epoch."""
    folder = root() / "large"
    shutil.copytree(project, folder, symlinks=True)
    write(round(TEST_ROWS / 0.15), str(folder / "data/raw/sample.csv"), 3)
    params = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(re.sub(r"epochs: auto", "epochs: 1", params))
    call(["dvc", "repro", "-q"], folder, environment)
    return folder


def rows() -> Iterator[Row]:
    environment = apart()
    project = trained()
    report = (command, project, environment, "-m", "ops", "report")
    ours, theirs = compare(3, report, (command, project, environment, "-c", SCORE))
    taken = ours.wall - theirs.wall
    yield Row("report on the sample", "one scoring", f"{ours.wall:.3g} s", f"{theirs.wall:.3g} s",
              taken, 3)  # fmt: skip
    (nothing,) = compare(3, (command, project, environment, "-m", "dvc", "repro"))
    whole = nothing.wall + ours.wall
    yield Row("a change without effect: repro, report", "-", f"{whole:.3g} s", "-", whole, 30)
    (ours,) = compare(1, (judging, large(project, environment)))
    about = f"gate on {TEST_ROWS:,} test rows"
    yield Row(about, "-", f"{ours.cpu:.3g} CPU-s", "-", ours.cpu, 10)
    yield Row(f"{about}, peak", "-", f"{ours.peak:,.0f} MB", "-", ours.peak, 1000)
