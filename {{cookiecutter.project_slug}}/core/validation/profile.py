"""Describe a column in a few numbers, and count another one in its bins."""

from typing import Any

import numpy as np
import pandas as pd

BINS = 20  # of equal mass in the reference; ties make fewer
LEVELS = 50  # categories counted apart; the rest counts as one
Profile = dict[str, Any]


def describe(column: pd.Series) -> Profile:
    """A JSON-ready profile of one column of any length.

    Numbers and dates (as days since 1970): range, mean, standard deviation,
    percentiles, and counts in bins of about equal mass, the last count being
    the missing values. Categories and booleans: a count per level. Other text:
    the number of distinct values.
    """
    kind = kind_of(column)
    about: Profile = {"kind": kind, "rows": len(column), "missing": int(column.isna().sum())}
    if kind == "text":
        return {**about, "distinct": int(column.nunique())}
    if kind == "category":
        seen, _ = levels(column)
        ranked = sorted(seen.items(), key=lambda level: -level[1])
        other = sum(count for _, count in ranked[LEVELS:])
        return {**about, "levels": dict(ranked[:LEVELS]), "other": other}
    values = _finite(np.sort(_numbers(column)))
    if not len(values):
        return {**about, "edges": [], "counts": [0, len(column)]}
    percentiles = values[np.linspace(0, len(values) - 1, 101).round().astype(int)]
    edges = np.unique(percentiles[100 // BINS : 100 : 100 // BINS])
    return {
        **about,
        "min": float(values[0]),
        "max": float(values[-1]),
        "mean": float(values.mean()),
        "std": float(values.std()),
        "percentiles": percentiles.tolist(),
        "edges": edges.tolist(),
        "counts": [*_binned(values.astype(np.float32), edges), len(column) - len(values)],
    }


def counts(
    reference: Profile, column: pd.Series
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Rows of the reference and of `column` in the reference's own bins, the last for missing.

    Of categories the bin before the last holds the levels that the reference does not name. Of
    numbers and dates also the sorted values, without missing ones; else None.
    """
    if reference["kind"] == "category":
        before = np.array([*reference["levels"].values(), reference["other"], reference["missing"]])
        seen, missing = levels(column)
        known = [seen.pop(name, 0) for name in reference["levels"]]
        return before, np.array([*known, sum(seen.values()), missing]), None
    values = _finite(np.sort(_numbers(column).astype(np.float32)))  # half the time, and fine enough
    binned = _binned(values, np.array(reference["edges"]))
    return np.array(reference["counts"]), np.array([*binned, len(column) - len(values)]), values


def kind_of(column: pd.Series) -> str:
    """`number`, `date`, `category` (also booleans) or `text`."""
    if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(column):
        return "category"
    if pd.api.types.is_datetime64_any_dtype(column):
        return "date"
    return "number" if pd.api.types.is_numeric_dtype(column) else "text"


def _numbers(column: pd.Series) -> np.ndarray:
    """The column as float64, NaN where missing; dates as days since 1970."""
    if kind_of(column) == "date":
        days = column.to_numpy("datetime64[s]").astype(np.float64) / 86400
        return np.where(column.isna(), np.nan, days)
    return column.to_numpy(np.float64, na_value=np.nan)


def _finite(values: np.ndarray) -> np.ndarray:
    """Sorted values without infinities and NaN, which sort last."""
    return values[np.searchsorted(values, -np.inf, "right") : np.searchsorted(values, np.inf)]


def _binned(values: np.ndarray, edges: np.ndarray) -> list[int]:
    """How many of the sorted float32 values lie in each (edge, next edge]."""
    cuts = np.searchsorted(values, edges.astype(np.float32), side="right")
    return np.diff([0, *cuts, len(values)]).tolist()


def levels(column: pd.Series) -> tuple[dict[str, int], int]:
    """How often each level occurs, and how many values are missing."""
    if column.dtype == bool:
        yes = int(column.sum())
        return {"True": yes, "False": len(column) - yes}, 0
    kept = column.astype("category")
    codes = kept.cat.codes.to_numpy()
    missing, *counts = np.bincount(codes + 1, minlength=len(kept.cat.categories) + 1).tolist()
    return {str(name): n for name, n in zip(kept.cat.categories, counts, strict=True) if n}, missing
