"""Prepare and validate ten times as many rows, beside the same with pandas.read_csv.

The plain way holds the table in memory as read_csv gives it, and does what the
two stages do: split by a hash of the id, write three Parquet files, describe
every column, check the contract, classes, near constants, copies, overlap,
leaks and drift.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measure import Row, by_cpu, compare
from project import PROJECT
from sklearn.metrics import roc_auc_score
from workspace import RAW, ROWS, raw_loans, settings

from core.files import read_json, write_json
from core.paths import REFERENCE
from core.validation.schema import load_schema
from pipeline import prepare, validate
from pipeline.params import Validate

TARGET, ASIDE = "defaulted", ["application_id", "applied_on"]
AT = np.linspace(0, 1, 101)
LEAK_ROWS = 200_000


def stages(folder: Path) -> Callable[[], Any]:
    os.chdir(folder)
    params = settings()

    def work() -> int:
        prepare.prepare(params)
        problems, _ = validate.validate(params)
        return len(problems)

    return work


def plain(folder: Path) -> Callable[[], Any]:
    os.chdir(folder)
    schema = load_schema(PROJECT / "schema.yaml")
    reference = read_json(REFERENCE)["columns"]
    return lambda: by_pandas(schema, reference, settings().validation)


def by_pandas(schema: Any, reference: dict[str, Any], limits: Validate) -> int:
    """How many checks failed."""
    table = pd.read_csv(RAW)
    share = pd.util.hash_array(table["application_id"].to_numpy()) / 2.0**64
    side = np.searchsorted([0.7, 0.85], share, side="right")
    for code, name in enumerate(("train", "val", "test")):
        table[side == code].to_parquet(f"{name}.parquet", compression="lz4", index=False)
    about = {name: describe(table[name]) for name in table}
    write_json("about.json", about)

    good = [breaks(schema.columns[name], table[name]) == 0 for name in table]
    shares = table[TARGET].value_counts(normalize=True)
    good += [len(table) >= limits.min_rows, shares.max() <= limits.max_class_share]
    features = table.drop(columns=[TARGET, *ASIDE])
    for name in features:
        top = features[name].value_counts(normalize=True, dropna=False).iloc[0]
        good.append(top <= limits.max_same_value)
        told = leakage(features[name][side == 0], table[TARGET][side == 0])
        good.append(told <= limits.max_leakage)
    prints = pd.util.hash_pandas_object(features, index=False)
    good.append(prints.duplicated().mean() <= limits.max_duplicates)
    good.append(prints[side == 2].isin(prints[side == 0]).mean() <= limits.max_overlap)
    good += [psi(reference[name], features[name]) <= limits.max_psi for name in features]
    return len(good) - sum(good)


def describe(column: pd.Series) -> dict[str, Any]:
    if pd.api.types.is_numeric_dtype(column) and column.dtype != bool:
        return {**column.describe().to_dict(), "percentiles": column.quantile(AT).tolist()}
    return {str(k): int(v) for k, v in column.value_counts().head(50).items()}


def breaks(rule: Any, column: pd.Series) -> int:
    """Values that break the contract."""
    wrong = 0 if rule.nullable else int(column.isna().sum())
    wrong += int(column.duplicated().sum()) if rule.unique else 0
    if str(rule.dtype).startswith("datetime"):
        column = pd.to_datetime(column)
    for check in rule.checks:
        limits = check.statistics
        if check.name == "isin":
            wrong += int((~column.isin(limits["allowed_values"])).sum())
        elif check.name == "in_range":
            inside = column.between(limits["min_value"], limits["max_value"]) | column.isna()
            wrong += int((~inside).sum())
        else:
            wrong += int((column < pd.Timestamp(limits["min_value"])).sum())
    return wrong


def leakage(column: pd.Series, target: pd.Series) -> float:
    step = max(1, len(column) // LEAK_ROWS)
    column, target = column.iloc[::step], target.iloc[::step]
    if not pd.api.types.is_numeric_dtype(column):
        column = target.groupby(column).transform("mean")
    area = roc_auc_score(target, column.fillna(column.min() - 1))
    return max(area, 1 - area)


def psi(reference: dict[str, Any], column: pd.Series) -> float:
    if reference["kind"] == "category":
        counts = column.astype(str).str.lower().value_counts()
        before = {name.lower(): count for name, count in reference["levels"].items()}
        pairs = [(count, counts.get(name, 0)) for name, count in before.items()]
    else:
        edges = [-np.inf, *reference["edges"], np.inf]
        after = pd.cut(column, edges).value_counts(sort=False)
        pairs = list(zip(reference["counts"], [*after, column.isna().sum()], strict=True))
    before, after = np.array(pairs, float).T + 0.5
    before, after = before / before.sum(), after / after.sum()
    return float(((after - before) * np.log(after / before)).sum())


def rows() -> Iterator[Row]:
    folder = raw_loans(10 * ROWS, 0)
    ours, theirs = compare(1, (stages, folder), (plain, folder))
    assert ours.result == theirs.result == 0
    what = f"prepare and validate, {10 * ROWS / 1e6:g} M rows"
    yield by_cpu(what, "the same with pandas.read_csv", ours, theirs, 1.2)
    shown = f"{ours.peak:,.0f} MB", f"{theirs.peak:,.0f} MB"
    yield Row(what, "the same with pandas.read_csv", *shown, ours.peak / theirs.peak, 0.5)
    yield Row(f"{what}, peak", "-", shown[0], "-", ours.peak, 2000)
