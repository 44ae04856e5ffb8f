"""Describe a column in a few numbers, and tell how far another one has drifted from it."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

BINS = 20  # of equal mass in the reference; ties make fewer
ROWS = 100_000  # of a longer column, drawn at random, are enough for drift: psi to +-0.0005
LEVELS = 50  # categories told apart; the rest counts as one
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
        found, _ = levels(column)
        ranked = sorted(found.items(), key=lambda level: -level[1])
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


def drift(reference: Profile, column: pd.Series) -> Profile | None:
    """How far `column` is from the profile `reference`; None where that says nothing (text).

    `psi` is the population stability index over the reference's own bins, the
    missing values being one of them. `noise` is what psi exceeds only once in
    30,000 times when nothing has changed: psi is then about chi-square with
    bins - 1 degrees of freedom times 1/n + 1/m (Yurdakul and Naranjo, 2020).
    Numbers add the Kolmogorov-Smirnov distance at the reference's percentiles,
    categories the chi-square statistic, with their p values.
    """
    if reference["kind"] == "text":
        return None
    if len(column) > ROWS:
        column = column.iloc[some(len(column))]
    before, after, values = counts(reference, column)
    extra = {} if values is None else _kolmogorov_smirnov(reference, values)
    used = (before + after) > 0
    before, after = before[used], after[used]
    noise = _chi_square_quantile(len(before) - 1) * (1 / before.sum() + 1 / max(1, after.sum()))
    return {"psi": psi(before, after), "noise": noise, **(extra or _chi_square(before, after))}


def counts(
    reference: Profile, column: pd.Series
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Rows of the reference and of `column` in the reference's own bins, the last for missing.

    Of categories the bin before the last holds the levels that the reference does not name. Of
    numbers and dates also the sorted values, without missing ones; else None.
    """
    if reference["kind"] == "category":
        before = np.array([*reference["levels"].values(), reference["other"], reference["missing"]])
        found, missing = levels(column)
        known = [found.pop(name, 0) for name in reference["levels"]]
        return before, np.array([*known, sum(found.values()), missing]), None
    numbers = _numbers(column) if kind_of(column) in ("number", "date") else np.empty(0)
    values = _finite(np.sort(numbers.astype(np.float32)))  # half the time, and fine enough
    binned = _binned(values, np.array(reference["edges"]))
    return np.array(reference["counts"]), np.array([*binned, len(column) - len(values)]), values


@cache
def some(rows: int) -> np.ndarray:
    """The same positions for every column of so many rows; in order, which is kind to memory."""
    return np.sort(np.random.default_rng(0).integers(0, rows, ROWS))


def psi(before: np.ndarray, after: np.ndarray) -> float:
    """Population stability index of two arrays of counts over the same bins; 0 is no drift."""
    p = (before + 0.5) / (before.sum() + 0.5 * len(before))
    q = (after + 0.5) / (after.sum() + 0.5 * len(after))
    return float(((q - p) * np.log(q / p)).sum())


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


def _kolmogorov_smirnov(reference: Profile, values: np.ndarray) -> Profile:
    from scipy.special import kolmogorov

    before = reference["rows"] - reference["missing"]
    if not before or not len(values):
        return {"ks": 1.0, "ks_p": 0.0}
    points, first = np.unique(reference["percentiles"], return_index=True)
    last = (np.append(first[1:], 101) - 1) / 100  # share of the reference up to each point
    now = np.searchsorted(values, points.astype(np.float32), side="right") / len(values)
    distance = float(np.abs(now - last).max())
    scale = np.sqrt(before * len(values) / (before + len(values)))
    return {"ks": distance, "ks_p": float(kolmogorov(distance * scale))}


def _chi_square(before: np.ndarray, after: np.ndarray) -> Profile:
    from scipy.special import chdtrc

    table = np.array([before, after], dtype=float)
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    statistic = float(((table - expected) ** 2 / np.maximum(expected, 1e-12)).sum())
    return {"chi2": statistic, "chi2_p": float(chdtrc(max(1, len(before) - 1), statistic))}


def _chi_square_quantile(freedom: int, z: float = 4.0) -> float:
    """About the 0.99997 quantile of chi-square (Wilson and Hilferty, 1931)."""
    k = max(1, freedom)
    return float(k * (1 - 2 / (9 * k) + z * np.sqrt(2 / (9 * k))) ** 3)
