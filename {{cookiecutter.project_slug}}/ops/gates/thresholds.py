"""The gates that hold a number against a limit: scores and costs."""

import math
from collections.abc import Iterator

from core.errors import Problem, nearest
from core.paths import COST, GATES, QUALITY
from ops.gates.context import Evidence, Judgement, bound, number
from ops.gates.gates_yaml import Gates, Limit, Score


def signs(low: float | None, high: float | None) -> str:
    """A limit in signs, as in ">= 0.75"."""
    bounds = ((">=", low), ("<=", high))
    return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


def within(limit: Limit, low: float, high: float) -> bool:
    """Whether both values keep the limit."""
    least = -math.inf if limit.min is None else limit.min
    most = math.inf if limit.max is None else limit.max
    return least <= low and high <= most


def performance(asked: Gates, evidence: Evidence) -> Iterator[Judgement]:
    """Any score of metrics/quality.json."""
    for name, limit in asked.performance.items():
        yield _score("performance", name, limit, evidence)


def calibration(asked: Gates, evidence: Evidence) -> Iterator[Judgement]:
    """Expected calibration error and Brier score."""
    assert asked.calibration != "off"
    for name, limit in asked.calibration.items():
        yield _score("calibration", name, limit, evidence)


def _score(gate: str, name: str, limit: Score, evidence: Evidence) -> Judgement:
    value = number(evidence.quality, name, f"{GATES}: {gate}.{name}: {QUALITY}")
    allowed = signs(limit.min, limit.max)
    if limit.confidence is None:
        return Judgement(gate, name, value, allowed, within(limit, value, value))
    if name not in evidence.deviations:
        raise Problem(
            f"{GATES}: {gate}.{name}: no confidence interval for it"
            f"{nearest(name, evidence.deviations)}; leave `confidence` out",
        )
    _, low, high = evidence.interval(name, limit.confidence)
    least = low if limit.min is not None else value
    most = high if limit.max is not None else value
    notes = [f"with {limit.confidence:.0%} confidence"]
    notes += bound("lower bound", low, "<", limit.min) + bound("upper bound", high, ">", limit.max)
    passed = within(limit, least, most)
    return Judgement(gate, name, value, allowed, passed, low, high, "; ".join(notes))


def latency(asked: Gates, evidence: Evidence) -> Iterator[Judgement]:
    """Milliseconds of one row and of a batch."""
    assert asked.latency != "off"
    for calls, limits in asked.latency.items():
        for percentile, most in limits.model_dump(exclude_none=True).items():
            path = f"latency_ms.{calls}.{percentile}"
            value = number(evidence.cost, path, f"{GATES}: latency.{calls}.{percentile}: {COST}")
            about = f"{calls} {percentile}, ms"
            yield Judgement("latency", about, value, signs(None, most), value <= most)


def size(asked: Gates, evidence: Evidence) -> Iterator[Judgement]:
    """Megabytes of the model's file."""
    assert asked.size != "off"
    for name, most in asked.size.items():
        value = number(evidence.cost, "model_bytes", str(COST)) / 1e6
        yield Judgement("size", name, value, signs(None, most), value <= most)


def memory(asked: Gates, evidence: Evidence) -> Iterator[Judgement]:
    """Megabytes of the process that evaluated, at its peak."""
    assert asked.memory != "off"
    for name, most in asked.memory.items():
        value = number(evidence.cost, "peak_memory_mb", str(COST))
        yield Judgement("memory", name, value, signs(None, most), value <= most)
