"""False alarms of drift: runs in which two samples of one distribution are told apart.

Each run makes two tables of loans, the score of the best possible model among their columns. With
`by chance only`, validate.max_psi is out of the way and what chance allows is the only limit.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from loans import loans
from measure import Row, once, say
from project import PROJECT
from workspace import ROWS, root

from core.validation import profile
from ops.monitoring import drift
from ops.monitoring.reference import Reference
from pipeline.params import load_params

RUNS = 1000 if ROWS >= 1_000_000 else 40
SIZES = (500, 5_000, 50_000)
ASIDE = ["application_id", "applied_on"]


def here() -> Path:
    """The shipped settings, but for a limit of psi that chance alone is beyond."""
    folder = root() / "alarms"
    folder.mkdir(exist_ok=True)
    limit = load_params(PROJECT / "params.yaml").validation.max_psi
    params = (PROJECT / "params.yaml").read_text()
    assert f"max_psi: {limit}" in params
    (folder / "params.yaml").write_text(params.replace(f"max_psi: {limit}", "max_psi: 1.0e-9"))
    return folder


def alarms(rows: int, seed: int, limit: float) -> tuple[bool, bool]:
    """Whether a run raises any alarm: with the shipped limits, and by chance only."""
    old, new = (
        loans(rows, 2 * seed + i).rename(columns={"chance": "answer"}).astype(TEXT) for i in (0, 1)
    )
    columns = {name: profile.describe(old[name]) for name in old.columns.drop(ASIDE)}
    found = drift.measure(new, Reference("file", "old", None, rows, columns, None, None))
    moved = (row["psi"] > max(limit, row["limit"]) for row in found["columns"].values())
    others = (one["drift"] for one in found["findings"] if one["check"] not in ("psi", "new"))
    return any(moved) or any(others), found["drift"]


TEXT = dict.fromkeys(
    ["gender", "education", "employment", "housing", "region", "purpose"], "category"
)


def counting(folder: Path, rows: int, runs: int) -> Callable[[], Any]:
    os.chdir(folder)
    limit = load_params(PROJECT / "params.yaml").validation.max_psi

    def count() -> float:
        both = [alarms(rows, seed, limit) for seed in range(runs)]
        return sum(a for a, _ in both) + sum(b for _, b in both) / 10_000

    return count


def rows() -> Iterator[Row]:
    for size in SIZES:
        say(f"{RUNS} runs of {size:,} rows")
        counted = once(counting, here(), size, RUNS).result
        assert counted is not None
        shipped, chance = int(counted), round((counted % 1) * 10_000)
        for limits, found in (("drift, alarms", shipped), ("drift, alarms by chance only", chance)):
            what = f"{limits}, {RUNS:,} runs of {size:,} rows"
            yield Row(what, "the same distribution", f"{found}", f"{RUNS:,}", found, RUNS / 100)
    say("")
