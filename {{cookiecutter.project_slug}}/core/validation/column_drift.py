"""How far a column has drifted from a reference, and whether that is more than chance."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from core.validation import profile
from core.validation.profile import Profile

CHECKS = 3  # of one column: psi, missing values, levels
ROWS = 100_000  # of a longer column, drawn at random, are enough: psi to +-0.0005
SHOWN = 3  # levels that a finding names


class Limits(NamedTuple):
    """Beyond what a column has drifted: `validate` of params.yaml."""

    max_psi: float
    max_missing: float  # change of the share of missing values
    chance: float  # of one check to raise an alarm where nothing has changed


class Finding(NamedTuple):
    """What has changed; not all of it is drift."""

    check: str
    column: str
    message: str
    drift: bool = True


def chance(false_alarms: float, columns: int) -> float:
    """The share of each check when all together may raise so few false alarms (Bonferroni)."""
    return false_alarms / max(1, CHECKS * columns)


def compare(
    name: str, reference: Profile, column: pd.Series, limits: Limits
) -> tuple[dict[str, Any], list[Finding]]:
    """A JSON-ready row about the column, and the findings; {} where it cannot be measured.

    `psi` is the population stability index over the reference's own bins, the missing values being
    one of them. `limit` is the larger of max_psi and what psi exceeds by chance: between two
    samples of n and m rows of one distribution, psi * n * m / (n + m) is about chi-square with
    bins - 1 degrees of freedom (Yurdakul, Statistical Properties of Population Stability Index,
    2018). With rare levels or few rows it is exceeded at most about twice as often as that says,
    or less often. `drift` says whether any finding is drift, `why` which ones. Numbers add the
    Kolmogorov-Smirnov distance at the reference's percentiles, categories the chi-square
    statistic, with their p values.
    """
    column, other = _as_reference(reference, column)
    if other:
        message = f"was {reference['kind']}, is {other}, such as {_examples(column)}"
        return {}, [Finding("type", name, message)]
    if reference["kind"] == "text":
        return {}, []
    findings = _unseen(name, reference, column, limits) if reference["kind"] == "category" else []
    drawn = column.iloc[some(len(column))] if len(column) > ROWS else column
    rows: float = len(column)
    if drawn is not column:
        rows = 1 / (1 / len(drawn) + 1 / rows)  # drawn with return
    before, after, values = profile.counts(reference, drawn)
    used = (before + after) > 0
    statistic = psi(before[used], after[used])
    by_chance = _quantile(int(used.sum()) - 1, limits.chance)
    limit = max(limits.max_psi, by_chance * (1 / max(1, before.sum()) + 1 / rows))
    if statistic > limit:
        knob = "validate.max_psi" if limit == limits.max_psi else "by chance"
        findings.append(Finding("psi", name, f"{statistic:.3f}; at most {limit:.3f} ({knob})"))
    missing, missing_before = after[-1] / len(drawn), before[-1] / max(1, before.sum())
    findings += _missing(name, before, after, rows / len(drawn), limits)
    why = [one.check for one in findings if one.drift]
    test = (
        _chi_square(before[used], after[used])
        if values is None
        else _kolmogorov_smirnov(reference, values)
    )
    row = {"kind": reference["kind"], "psi": statistic, "limit": limit, "drift": bool(why)}
    row |= {"why": why, **test, "missing": missing, "missing_before": missing_before}
    row |= {"bins": _names(reference), "before": before.tolist(), "after": after.tolist()}
    return row, findings


@cache
def some(rows: int) -> np.ndarray:
    """The same positions for every column of so many rows; in order, which is kind to memory."""
    return np.sort(np.random.default_rng(0).integers(0, rows, ROWS))


def psi(before: np.ndarray, after: np.ndarray) -> float:
    """Population stability index of two arrays of counts over the same bins; 0 is no drift."""
    p = (before + 0.5) / (before.sum() + 0.5 * len(before))
    q = (after + 0.5) / (after.sum() + 0.5 * len(after))
    return float(((q - p) * np.log(q / p)).sum())


def _as_reference(reference: Profile, column: pd.Series) -> tuple[pd.Series, str]:
    """The column as the reference has it, and its kind where that is another one."""
    wanted, kind = reference["kind"], profile.kind_of(column)
    if column.isna().all():
        return column, ""
    if wanted == "category" and kind == "text":  # few rows show few of each level
        return column.astype("category"), ""
    if wanted == "text" and kind == "category" and column.dtype != bool:
        return column, ""
    return column, "" if kind == wanted else kind


def _examples(column: pd.Series) -> str:
    return ", ".join(repr(str(one)[:40]) for one in column.dropna().head(SHOWN).unique())


def _unseen(name: str, reference: Profile, column: pd.Series, limits: Limits) -> list[Finding]:
    """Levels that the reference never had; nobody knows where it does not name all of its own."""
    seen, _ = profile.levels(column)
    new = {level: count for level, count in seen.items() if level not in reference["levels"]}
    if not new or reference["other"]:
        return []
    ranked = sorted(new, key=lambda level: -new[level])
    share = len(column) / (len(column) + reference["rows"])
    odds = _tail(new[ranked[0]], new[ranked[0]], share) * (len(seen) + len(reference["levels"]))
    shown = ", ".join(f"{level!r} in {new[level]:,}" for level in ranked[:SHOWN])
    more = f" and {len(new) - SHOWN} more" if len(new) > SHOWN else ""
    message = f"{shown}{more} of {len(column):,} rows, in none of {reference['rows']:,} before"
    return [Finding("unseen level", name, message, odds < limits.chance)]


def _missing(
    name: str, before: np.ndarray, after: np.ndarray, drawn: float, limits: Limits
) -> list[Finding]:
    """More or fewer missing values than before: by enough to matter, and not by chance.

    The last of the counts is that of missing values; one of `after` stands for `drawn` rows.
    """
    share_before, share = before[-1] / max(1, before.sum()), after[-1] / after.sum()
    if abs(share - share_before) <= limits.max_missing:
        return []
    some, rows = drawn * after[-1], drawn * after.sum()
    others, rest = before[-1], before.sum()
    if share < share_before:  # the same question about the rows before
        some, rows, others, rest = others, rest, some, rows
    odds = 2 * _tail(some, some + others, rows / (rows + rest))
    if odds >= limits.chance:
        return []
    message = (
        f"{share:.1%} of the rows, {share_before:.1%} before; "
        f"at most {limits.max_missing:.1%} more or less (validate.max_missing)"
    )
    return [Finding("missing values", name, message)]


def _tail(least: float, of: float, share: float) -> float:
    """The chance of `least` or more among `of`, each with this chance; from above for a sample."""
    from scipy.special import bdtrc

    return float(bdtrc(round(least) - 1, round(of), share))


def _quantile(freedom: int, chance: float) -> float:
    """What chi-square exceeds with this chance."""
    from scipy.special import chdtri

    return float(chdtri(max(1, freedom), chance))


def _names(reference: Profile) -> list[str]:
    """What the bins hold, in words."""
    if reference["kind"] == "category":
        return [*reference["levels"], "other", "missing"]
    edges = reference["edges"]
    if not edges:
        return ["any", "missing"]
    show = _day if reference["kind"] == "date" else "{:.4g}".format
    between = (f"to {show(high)}" for high in edges)
    return [*between, f"over {show(edges[-1])}", "missing"]


def _day(days: float) -> str:
    return str(np.datetime64("1970-01-01") + np.timedelta64(int(days), "D"))


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
