"""Profile new rows and measure their drift, beside scipy's tests on both raw tables."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from measure import Row, by_cpu, compare
from scipy.stats import chi2_contingency, ks_2samp
from validate import LEFT_OUT
from workspace import ROWS, SIZE, frame, prepared_loans

from pipeline import profile

FEW = 1000


def ours(before: Path, after: Path) -> Callable[[], Any]:
    old, new = (frame(folder).drop(columns=LEFT_OUT) for folder in (before, after))
    reference = {name: profile.describe(old[name]) for name in old}

    def work(table: pd.DataFrame) -> None:
        for name in table:
            profile.describe(table[name])
            profile.drift(reference[name], table[name])

    work(new.head(FEW))
    return lambda: work(new)


def scipy(before: Path, after: Path) -> Callable[[], Any]:
    tables = [pd.read_csv(path / "loans.csv").drop(columns=LEFT_OUT) for path in (before, after)]

    def work(old: pd.DataFrame, new: pd.DataFrame) -> None:
        for name in old:
            if pd.api.types.is_numeric_dtype(old[name]):
                ks_2samp(old[name].dropna(), new[name].dropna())
            else:
                counts = [table[name].value_counts() for table in (old, new)]
                chi2_contingency(pd.concat(counts, axis=1).fillna(0))

    work(*(table.head(FEW) for table in tables))
    return lambda: work(*tables)


def rows() -> Iterator[Row]:
    folders = prepared_loans(ROWS), prepared_loans(ROWS, 1)
    mine, theirs = compare(3, (ours, *folders), (scipy, *folders))
    row = by_cpu(f"drift profile and PSI, {SIZE}", "scipy KS and chi-square", mine, theirs, 40)
    yield row._replace(ratio=theirs.cpu / mine.cpu, most=False)
