"""How far a column has moved from a reference, and whether that is more than chance."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline import profile
from pipeline.profile import Profile

CHECKS = 3  # of one column: psi, missing values, levels
SHOWN = 3  # levels that a finding names


class Limits(NamedTuple):
    """Beyond what a column has drifted."""

    max_psi: float  # as in params.yaml
    max_missing: float  # as in retrain.yaml
    chance: float  # of one check to raise an alarm where nothing has changed


class Finding(NamedTuple):
    """What has changed; not all of it is drift."""

    what: str
    column: str
    says: str
    drift: bool = True


def chance(false_alarms: float, columns: int) -> float:
    """What is left to each check when all together may raise so few alarms (Bonferroni)."""
    return false_alarms / max(1, CHECKS * columns)


def compare(
    name: str, reference: Profile, column: pd.Series, limits: Limits
) -> tuple[dict[str, Any], list[Finding]]:
    """A JSON-ready row about the column, and what was found; {} where it cannot be measured.

    `limit` is the larger of max_psi and what psi exceeds by chance: between two samples of n and m
    rows of one distribution, psi * n * m / (n + m) is about chi-square with bins - 1 degrees of
    freedom (Yurdakul, Statistical Properties of Population Stability Index, 2018). With rare
    levels or few rows it is exceeded at most about twice as often as that says, or less often.
    """
    column, other = _as_reference(reference, column)
    if other:
        says = f"was {reference['kind']}, is {other}, such as {_examples(column)}"
        return {}, [Finding("type", name, says)]
    if reference["kind"] == "text":
        return {}, []
    findings = _unseen(name, reference, column, limits) if reference["kind"] == "category" else []
    drawn = len(column) > profile.ROWS
    moved = profile.drift(reference, column)
    assert moved is not None
    del moved["noise"]
    some = column.iloc[profile.some(len(column))] if drawn else column
    before, after, _ = profile.counts(reference, some)
    rows = 1 / (1 / len(some) + 1 / len(column)) if drawn else len(column)  # drawn with return
    by_chance = _quantile(int(((before + after) > 0).sum()) - 1, limits.chance)
    limit = max(limits.max_psi, by_chance * (1 / max(1, before.sum()) + 1 / rows))
    row = {"kind": reference["kind"], **moved, "limit": limit}
    row |= {"missing": after[-1] / len(some), "missing_before": before[-1] / max(1, before.sum())}
    row |= {"bins": _names(reference), "before": before.tolist(), "after": after.tolist()}
    if moved["psi"] > limit:
        findings.append(Finding("psi", name, f"{moved['psi']:.3f}; at most {limit:.3f}"))
    return row, findings + _missing(name, row, rows / len(some), limits)


def _as_reference(reference: Profile, column: pd.Series) -> tuple[pd.Series, str]:
    """The column as the reference has it, and its kind where that is another one."""
    wanted, kind = reference["kind"], profile.kind_of(column)
    if column.isna().all():
        kinds: dict[str, Any] = {"date": "datetime64[us]", "number": "float64"}
        nothing = pd.Series([None] * len(column), name=column.name)
        return nothing.astype(kinds.get(wanted, "category")), ""
    if wanted == "category" and kind == "text":  # few rows show few of each level
        return column.astype("category"), ""
    if wanted == "text" and kind == "category" and column.dtype != bool:
        return column, ""
    return column, "" if kind == wanted else kind


def _examples(column: pd.Series) -> str:
    return ", ".join(repr(str(one)[:40]) for one in column.dropna().head(SHOWN).unique())


def _unseen(name: str, reference: Profile, column: pd.Series, limits: Limits) -> list[Finding]:
    """Levels that the reference never had; nobody knows where it does not name all of its own."""
    found, _ = profile.levels(column)
    new = {level: count for level, count in found.items() if level not in reference["levels"]}
    if not new or reference["other"]:
        return []
    ranked = sorted(new, key=lambda level: -new[level])
    share = len(column) / (len(column) + reference["rows"])
    odds = _tail(new[ranked[0]], new[ranked[0]], share) * (len(found) + len(reference["levels"]))
    shown = ", ".join(f"{level!r} in {new[level]:,}" for level in ranked[:SHOWN])
    more = f" and {len(new) - SHOWN} more" if len(new) > SHOWN else ""
    says = f"{shown}{more} of {len(column):,} rows, in none of {reference['rows']:,} before"
    return [Finding("unseen level", name, says, odds < limits.chance)]


def _missing(name: str, row: dict[str, Any], drawn: float, limits: Limits) -> list[Finding]:
    """More or fewer missing values than before: by enough to matter, and not by chance."""
    change = row["missing"] - row["missing_before"]
    if abs(change) <= limits.max_missing:
        return []
    some, rows = drawn * row["after"][-1], drawn * sum(row["after"])
    there, before = row["before"][-1], sum(row["before"])
    if change < 0:  # the same question about the rows before
        some, there, rows, before = there, some, before, rows
    odds = 2 * _tail(some, some + there, rows / (rows + before))
    if odds >= limits.chance:
        return []
    says = f"{row['missing']:.1%} of the rows, {row['missing_before']:.1%} before"
    return [Finding("missing values", name, says)]


def _tail(least: float, of: float, share: float) -> float:
    """The chance of `least` or more among `of`, each with this chance; from above for a sample."""
    from scipy.special import bdtrc

    return float(bdtrc(round(least) - 1, round(of), share)) if least >= 1 else 1.0


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
