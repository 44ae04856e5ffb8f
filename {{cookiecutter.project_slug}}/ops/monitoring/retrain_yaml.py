"""What retrain.yaml may say: what starts a retraining, and what may join the data."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from core.paths import RETRAIN
from core.yaml_io import Count, Name, Share, Strict, check_yaml, read_yaml
from pipeline.metrics import lower_is_better

Off = Literal["off"]
Days = Annotated[float, Field(gt=0, le=36_500)]


class Schedule(Strict):
    """The age of the model."""

    max_age_days: Days


class NewData(Strict):
    """What came since the model was trained."""

    min_new_rows: Count | Off
    drift: bool

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.min_new_rows == "off" and not self.drift:
            raise ValueError("neither min_new_rows nor drift: say `data: off`")
        return self


class Performance(Strict):
    """A score of labelled answers, period by period."""

    labelled: Name
    time: Name
    metric: Name
    min: float | None = None
    max: float | None = None
    period_days: Days
    periods: Count
    min_rows: Count

    @model_validator(mode="after")
    def _has_the_right_limit(self) -> Self:
        wanted = "max" if lower_is_better(self.metric) else "min"
        given = [name for name in ("min", "max") if getattr(self, name) is not None]
        if given != [wanted]:
            got = " and ".join(given) or "neither"
            raise ValueError(f"{self.metric} wants a limit `{wanted}`; found {got}")
        return self

    def limit(self) -> float:
        """The smallest value that is good enough, or the largest."""
        limit = self.max if self.min is None else self.min
        assert limit is not None
        return limit


class Ingest(Strict):
    """What may join the data."""

    max_drifted: Share


class Retraining(Strict):
    """The whole of retrain.yaml: a trigger that is not wanted is off, none is left out."""

    combine: Literal["any", "all"]
    automerge: bool
    schedule: Schedule | Off
    data: NewData | Off
    performance: Performance | Off
    ingest: Ingest

    @model_validator(mode="before")
    @classmethod
    def _drift_is_elsewhere(cls, content: Any) -> Any:
        if isinstance(content, dict) and "drift" in content:
            raise ValueError(
                "drift: false_alarms and max_missing are in params.yaml now, below validate; "
                "set them there and remove this section"
            )
        return content


def load_retrain(path: str | Path = RETRAIN) -> Retraining:
    """Read and check retrain.yaml; every mistake is in one `Problem` (exit 2)."""
    return check_yaml(Retraining, read_yaml(path), path)
