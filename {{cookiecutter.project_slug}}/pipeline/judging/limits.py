"""The gates that hold a number against a limit: scores, costs, and gaps between groups."""

import math
from collections.abc import Iterator
from typing import Any

from pipeline.errors import Problem, nearest
from pipeline.judging import bootstrap, gates
from pipeline.judging.evidence import COST, QUALITY, SLICES, Evidence, Judgement, number
from pipeline.judging.gates import Gates, Limit, Score


def says(low: float | None, high: float | None) -> str:
    """A limit in signs, as in ">= 0.75"."""
    bounds = ((">=", low), ("<=", high))
    return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


def _within(limit: Limit, low: float, high: float) -> bool:
    least = -math.inf if limit.min is None else limit.min
    most = math.inf if limit.max is None else limit.max
    return least <= low and high <= most


def performance(asked: Gates, found: Evidence) -> Iterator[Judgement]:
    """Any score of metrics/quality.json."""
    for name, limit in asked.performance.items():
        yield _score("performance", name, limit, found)


def calibration(asked: Gates, found: Evidence) -> Iterator[Judgement]:
    """Expected calibration error and Brier score."""
    assert asked.calibration != "off"
    for name, limit in asked.calibration.items():
        yield _score("calibration", name, limit, found)


def _score(gate: str, name: str, limit: Score, found: Evidence) -> Judgement:
    value = number(found.quality, name, f"{gates.PATH}: {gate}.{name}: {QUALITY}")
    allowed = says(limit.min, limit.max)
    if limit.confidence is None:
        return Judgement(gate, name, value, allowed, _within(limit, value, value))
    if name not in found.deviations:
        raise Problem(
            f"{gates.PATH}: {gate}.{name}: no confidence interval for it"
            f"{nearest(name, found.deviations)}; leave `confidence` out",
            2,
        )
    _, low, high = bootstrap.interval(value, found.deviations[name], limit.confidence)
    least = low if limit.min is not None else value
    most = high if limit.max is not None else value
    note = f"with {limit.confidence:.0%} confidence"
    return Judgement(gate, name, value, allowed, _within(limit, least, most), low, high, note)


def latency(asked: Gates, found: Evidence) -> Iterator[Judgement]:
    """Milliseconds of one row and of a batch."""
    assert asked.latency != "off"
    for calls, limits in asked.latency.items():
        for percentile, most in limits.model_dump(exclude_none=True).items():
            path = f"latency_ms.{calls}.{percentile}"
            value = number(found.cost, path, f"{gates.PATH}: latency.{calls}.{percentile}: {COST}")
            about = f"{calls} {percentile}, ms"
            yield Judgement("latency", about, value, says(None, most), value <= most)


def size(asked: Gates, found: Evidence) -> Iterator[Judgement]:
    """Megabytes of the model's file."""
    assert asked.size != "off"
    for name, most in asked.size.items():
        value = number(found.cost, "model_bytes", str(COST)) / 1e6
        yield Judgement("size", name, value, says(None, most), value <= most)


def memory(asked: Gates, found: Evidence) -> Iterator[Judgement]:
    """Megabytes of the process that evaluated, at its peak."""
    assert asked.memory != "off"
    for name, most in asked.memory.items():
        value = number(found.cost, "peak_memory_mb", str(COST))
        yield Judgement("memory", name, value, says(None, most), value <= most)


def fairness(asked: Gates, found: Evidence) -> Iterator[Judgement]:
    """The largest gap between the groups of an attribute, and its worst group."""
    assert asked.fairness != "off"
    slices = found.slices.get("slices")
    known: dict[str, Any] = slices if isinstance(slices, dict) else {}
    for attribute, limits in asked.fairness.items():
        where = f"{gates.PATH}: fairness.{attribute}"
        if attribute not in known:
            raise Problem(
                f"{where}: {SLICES} has no such attribute{nearest(attribute, known)}; "
                "data.protected in params.yaml names them",
                2,
            )
        rows = {group: number(one, "rows", f"{SLICES}: {group}")
                for group, one in known[attribute].items()}  # fmt: skip
        groups = {
            group: known[attribute][group] for group in rows if rows[group] >= limits.min_rows
        }
        if len(groups) < 2:
            raise Problem(f"{where}: fewer than two groups have {limits.min_rows} rows", 2)
        small = sorted(rows.keys() - groups.keys())
        left = f"; not judged, under {limits.min_rows} rows: {', '.join(small)}" if small else ""
        for name, most in limits.max_gap.items():
            values = _of_groups(groups, name, f"{where}.max_gap.{name}")
            lowest, highest = (
                min(values, key=values.__getitem__),
                max(values, key=values.__getitem__),
            )
            gap = values[highest] - values[lowest]
            note = f"{lowest} {values[lowest]:.3f}, {highest} {values[highest]:.3f}{left}"
            about = f"{attribute}: gap in {name}"
            yield Judgement("fairness", about, gap, says(None, most), gap <= most, note=note)
        for name, limit in (limits.worst or {}).items():
            values = _of_groups(groups, name, f"{where}.worst.{name}")
            for pick, bound in ((min, limit.min), (max, limit.max)):
                if bound is None:
                    continue
                worst = pick(values, key=values.__getitem__)
                one = Limit(min=bound) if pick is min else Limit(max=bound)
                yield Judgement(
                    "fairness",
                    f"{attribute}: worst {name}",
                    values[worst],
                    says(one.min, one.max),
                    _within(one, values[worst], values[worst]),
                    note=f"{worst}{left}",
                )


def _of_groups(groups: dict[str, Any], name: str, where: str) -> dict[str, float]:
    return {
        group: number(one, name, f"{where}: {SLICES}: {group}") for group, one in groups.items()
    }
