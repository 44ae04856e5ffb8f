"""The drift of new rows against a stored profile, beside scipy's tests on both raw tables.

The columns are those that validate measures: all but the id and the date.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from measure import Row, by_cpu, compare
from scipy.stats import chi2_contingency, ks_2samp
from workspace import RAW, ROWS, SIZE, frame, prepared_loans

from core.validation import column_drift, profile

ASIDE = ["application_id", "applied_on"]
FEW = 1000


def ours(before: Path, after: Path) -> Callable[[], Any]:
    old, new = (frame(folder).drop(columns=ASIDE) for folder in (before, after))
    reference = {name: profile.describe(old[name]) for name in old}

    limits = column_drift.Limits(0.2, 0.05, 1e-4)

    def work(table: pd.DataFrame) -> None:
        for name in table:
            column_drift.compare(name, reference[name], table[name], limits)

    work(new.head(FEW))
    return lambda: work(new)


def scipy(before: Path, after: Path) -> Callable[[], Any]:
    tables = [pd.read_csv(path / RAW).drop(columns=ASIDE) for path in (before, after)]

    def work(old: pd.DataFrame, new: pd.DataFrame) -> None:
        for name in old:
            if old[name].dtype.kind in "if":
                ks_2samp(old[name].dropna(), new[name].dropna())
            else:
                counts = [table[name].value_counts() for table in (old, new)]
                chi2_contingency(pd.concat(counts, axis=1).fillna(0))

    work(*(table.head(FEW) for table in tables))
    return lambda: work(*tables)


def rows() -> Iterator[Row]:
    folders = prepared_loans(ROWS), prepared_loans(ROWS, 1)
    mine, theirs = compare(3, (ours, *folders), (scipy, *folders))
    row = by_cpu(f"drift (PSI, KS, chi2), {SIZE}", "scipy on both raw tables", mine, theirs, 40)
    yield row._replace(ratio=theirs.cpu / mine.cpu, most=False)
