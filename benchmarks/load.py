"""Loading the prepared data, as every later stage does, beside reading the CSV again."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from measure import Row, by_cpu, compare
from workspace import RAW, ROWS, SIZE, prepared_loans

from pipeline import dataset


def parquet(folder: Path) -> Callable[[], Any]:
    os.chdir(folder)
    return lambda: [dataset.frame(side) for side in dataset.SIDES]


def csv(folder: Path) -> Callable[[], Any]:
    return lambda: pd.read_csv(folder / RAW)


def rows() -> Iterator[Row]:
    folder = prepared_loans(ROWS)
    ours, theirs = compare(9, (parquet, folder), (csv, folder))
    yield by_cpu(f"load the prepared data, {SIZE}", "pandas.read_csv", ours, theirs, 0.45)
