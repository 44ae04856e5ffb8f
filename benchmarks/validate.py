"""The data contract on 14 columns: type, gaps, range, levels and a unique id.

Beside it the same by hand in numpy, as little as can be done, and Pandera as
most people write it: text columns as pandas.read_csv gives them, lazy=True.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from measure import Row, by_cpu, compare
from project import PROJECT
from workspace import RAW, ROWS, SIZE, frame, prepared_loans

from core.validation import check_schema
from core.validation.schema import load_schema

LEFT_OUT = ["applied_on", "open_lines", "term_months", "has_guarantor"]
FEW = 1000  # rows to warm up on, so that no import is measured


def schema() -> pa.DataFrameSchema:
    return load_schema(PROJECT / "schema.yaml").remove_columns(LEFT_OUT)


def ours(folder: Path) -> Callable[[], Any]:
    table, rules = frame(folder).drop(columns=LEFT_OUT), schema()
    assert not check_schema.check_frame(rules, table.head(FEW))
    return lambda: len(check_schema.check_frame(rules, table))


def by_hand(folder: Path) -> Callable[[], Any]:
    table = frame(folder).drop(columns=LEFT_OUT)
    rules = {
        name: (str(column.dtype), column.nullable, column.unique, column.checks)
        for name, column in schema().columns.items()
    }
    plain = {
        name: (dtype, nullable, unique, {c.name: c.statistics for c in checks})
        for name, (dtype, nullable, unique, checks) in rules.items()
    }
    return lambda: sum(not good(table[name], *rule) for name, rule in plain.items())


def good(column: pd.Series, dtype: str, nullable: bool, unique: bool, checks: dict) -> bool:
    if str(column.dtype) != dtype:
        return False
    if dtype == "category":
        levels = column.cat.categories
        used = np.bincount(column.cat.codes.to_numpy() + 1, minlength=len(levels) + 1)
        return used[0] == 0 and set(levels[used[1:] > 0]) <= set(checks["isin"]["allowed_values"])
    values = column.to_numpy()
    if dtype == "float64" and not nullable and np.isnan(values).any():
        return False
    if unique:
        ranked = np.sort(values)
        if (ranked[1:] == ranked[:-1]).any():
            return False
    if "isin" in checks and not np.isin(values, checks["isin"]["allowed_values"]).all():
        return False
    if "in_range" in checks:
        limits = checks["in_range"]
        low, high = np.fmin.reduce(values), np.fmax.reduce(values)
        return bool(low >= limits["min_value"] and high <= limits["max_value"])
    return True


def lazy_pandera(folder: Path) -> Callable[[], Any]:
    table = pd.read_csv(folder / RAW).drop(columns=LEFT_OUT)
    rules = pa.DataFrameSchema(
        {
            name: pa.Column(
                str if str(column.dtype) == "category" else str(column.dtype),
                column.checks,
                nullable=column.nullable,
                unique=column.unique,
            )
            for name, column in schema().columns.items()
        },
        strict=True,
    )
    rules.validate(table.head(FEW), lazy=True)
    return lambda: len(rules.validate(table, lazy=True)) - len(table)


def rows() -> Iterator[Row]:
    folder = prepared_loans(ROWS)
    mine, hand, lazy = compare(5, (ours, folder), (by_hand, folder), (lazy_pandera, folder))
    assert mine.result == hand.result == lazy.result == 0
    yield by_cpu(f"validate, {SIZE}, 14 columns", "by hand in numpy", mine, hand, 5)
    faster = by_cpu(f"validate, {SIZE}, 14 columns", "lazy Pandera", mine, lazy, 3)
    yield faster._replace(ratio=lazy.cpu / mine.cpu, most=False)
