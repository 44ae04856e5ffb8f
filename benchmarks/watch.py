"""Drift and trigger on a million new rows, as commands: seconds that a person waits, and memory."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from judge import command, trained
from loans import loans
from measure import Row, compare
from workspace import ROWS, SIZE, apart, call, root

SECONDS, MEGABYTES = 10, 1000


def live(project: Path, environment: dict[str, str]) -> Path:
    """Its model in production, that many new rows beside its data; the same file is live."""
    folder = root() / "watch"
    shutil.copytree(project, folder, symlinks=True)
    for line in ("register model HEAD --version v1.0.0",
                 "assign model --version v1.0.0 --stage production"):  # fmt: skip
        call(["gto", *line.split()], folder, environment)
    data = folder / "data/raw/sample"
    data.mkdir()
    (folder / "data/raw/sample.csv").rename(data / "sample.csv")
    params = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(re.sub(r"(path: data/raw/sample)\.csv", r"\1", params))
    table = loans(ROWS, 11).drop(columns="chance")
    table["application_id"] += 10**9
    table["has_guarantor"] = table["has_guarantor"].map({True: "true", False: "false"})
    table.to_csv(data / "sample_new.csv", index=False, lineterminator="\n")
    return folder


def drifting(folder: Path) -> Callable[[], Any]:
    os.chdir(folder)
    from core import tables
    from ops.monitoring import drift, reference

    def work() -> None:
        against = reference.find()
        assert against
        rows = tables.to_pandas(tables.read("data/raw/sample/sample_new.csv"))
        drift.record(drift.measure(rows, against))

    return work


def deciding(folder: Path) -> Callable[[], Any]:
    os.chdir(folder)
    from ops.monitoring import trigger

    return lambda: trigger.decide() and None


def rows() -> Iterator[Row]:
    environment = apart()
    folder = live(trained(), environment)
    options = ["--live", "data/raw/sample/sample_new.csv"]
    for verb, more, inside in (("drift", options, drifting), ("trigger", [], deciding)):
        (ours,) = compare(3, (command, folder, environment, "-m", "ops", verb, *more))
        (alone,) = compare(1, (inside, folder))
        what = f"{verb}, {SIZE}, 18 columns"
        yield Row(what, "-", f"{ours.wall:.3g} s", "-", ours.wall, SECONDS)
        yield Row(f"{what}, peak", "-", f"{alone.peak:,.0f} MB", "-", alone.peak, MEGABYTES)
