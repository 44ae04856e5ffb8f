"""What gates.yaml may say: every kind of gate, with its limits."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from core.paths import GATES
from core.yaml_io import Count, Name, Strict, check_yaml, read_yaml
from pipeline.metrics import headline

Off = Literal["off"]
Level = Annotated[float, Field(gt=0.5, lt=1)]
Amount = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class Limit(Strict):
    """The smallest and the largest value that is allowed, or one of them."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a limit without min or max would let everything pass")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: nothing would pass")
        return self


class Score(Limit):
    """With `confidence`, the bound of the interval has to keep the limit, not the score alone."""

    confidence: Level | None = None


class Change(Strict):
    """How much worse than the baseline a score may be, or how much better it has to be."""

    max_degradation: Amount | None = None
    min_improvement: Amount | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.max_degradation is None) == (self.min_improvement is None):
            raise ValueError("want either max_degradation or min_improvement")
        return self

    def least(self) -> float:
        """The least difference to the baseline, where more is better."""
        if self.min_improvement is not None:
            return self.min_improvement
        assert self.max_degradation is not None
        return -self.max_degradation


class Regression(Strict):
    """Against the model in production, else main's, else the linear baseline."""

    confidence: Level | None = None
    other_rows: Literal["rescore", "refuse"]
    metrics: Annotated[dict[str, Change], Field(min_length=1)]


class Percentiles(Strict):
    """Milliseconds."""

    p50: Positive | None = None
    p95: Positive | None = None
    p99: Positive | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("want p50, p95 or p99")
        return self


class Fairness(Strict):
    """Between the groups of one protected attribute."""

    min_rows: Count
    max_gap: Annotated[dict[str, Amount], Field(min_length=1)]
    worst: Annotated[dict[str, Limit], Field(min_length=1)] | None = None


class Behaviour(Strict):
    """tests/model/critical_cases.csv"""

    min_pass_rate: Annotated[float, Field(gt=0, le=1)]


class Invariance(Strict):
    """Columns that may be exchanged without moving the answer by more than `max_change`."""

    max_change: Amount
    columns: Annotated[list[Name], Field(min_length=1)]


class Direction(Strict):
    """Columns that move the answer up or down when raised; the other way, by `tolerance`."""

    tolerance: Amount
    columns: Annotated[dict[str, Literal["up", "down"]], Field(min_length=1)]


class Stability(Strict):
    """Hostile rows that are scored, twice."""

    rows: Count


class Gates(Strict):
    """The whole of gates.yaml: a kind that is not wanted is off, none is left out by accident."""

    performance: Annotated[dict[str, Score], Field(min_length=1)]
    calibration: Annotated[dict[Literal["ece", "brier"], Score], Field(min_length=1)] | Off
    regression: Regression | Off
    latency: Annotated[dict[str, Percentiles], Field(min_length=1)] | Off
    size: Annotated[dict[Literal["model_mb"], Positive], Field(min_length=1)] | Off
    memory: Annotated[dict[Literal["peak_mb"], Positive], Field(min_length=1)] | Off
    fairness: Annotated[dict[str, Fairness], Field(min_length=1)] | Off
    behaviour: Behaviour | Off
    invariance: Invariance | Off
    direction: Direction | Off
    stability: Stability | Off


def load_gates(path: str | Path = GATES) -> Gates:
    """Read and check gates.yaml; every mistake is in one `Problem` (exit 2)."""
    return check_yaml(Gates, read_yaml(path), path)


def starting_gates(task: str, groups: dict[str, int]) -> dict[str, Any]:
    """The sections for new data: better than guessing and than the linear baseline, fair, sound.

    `groups` has min_rows of every protected attribute that can be judged.
    """
    watched = headline(task).name
    fair: dict[str, Any] = {
        name: {"min_rows": rows, "max_gap": {"accuracy": 0.2}} for name, rows in groups.items()
    }
    guessing = 0.0 if task == "regression" else 0.5
    against = {"other_rows": "rescore", "metrics": {watched: {"max_degradation": 0.02}}}
    return {
        "performance": {watched: {"min": guessing}},
        "calibration": "off" if task == "regression" else {"ece": {"max": 0.2}},
        "regression": against,
        "fairness": "off" if task == "regression" or not fair else fair,
        "behaviour": "off",
        "invariance": "off",
        "direction": "off",
    }
