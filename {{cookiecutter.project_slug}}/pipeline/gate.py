"""Judge the model by gates.yaml: 0 passed, 1 refused, 2 could not judge."""

import json
import math
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import Field, model_validator
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline import config, stage
from pipeline.errors import Problem, nearest

GATES = Path("gates.yaml")
QUALITY = Path("metrics/quality.json")
VERDICT = Path("reports/gates.json")
STARTING: dict[str, dict[str, dict[str, float]]] = {  # for new data: better than guessing
    "binary": {"roc_auc": {"min": 0.5}},
    "multiclass": {"roc_auc": {"min": 0.5}},
    "regression": {"r2": {"min": 0.0}},
}


class Limit(config.Strict):
    """A metric's smallest and largest value, or one of them."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a limit without min or max would let everything pass")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: nothing would pass")
        return self


class Gates(config.Strict):
    """The whole of gates.yaml."""

    performance: Annotated[dict[str, Limit], Field(min_length=1)]


class Judgement(NamedTuple):
    """One gate: what was found, what is allowed."""

    gate: str
    metric: str
    value: float
    limit: str
    passed: bool


def load(path: str | Path = GATES) -> Gates:
    """Read and check gates.yaml; every mistake is a `Problem` (exit 2)."""
    return config.check(Gates, config.read_yaml(path), path)


def judge(gates: Gates, quality: dict[str, Any]) -> list[Judgement]:
    """Hold each declared metric against its limit.

    Raises `Problem` (exit 2) for a metric that is missing or no finite number:
    what cannot be judged has not passed.
    """
    known = _flat(quality)
    judged = []
    for metric, limit in gates.performance.items():
        if metric not in known:
            raise Problem(
                f"{GATES}: performance.{metric}: {QUALITY} has no such metric"
                f"{nearest(metric, known)}",
                2,
            )
        value = known[metric]
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise Problem(f"{QUALITY}: {metric} is {value!r}; want a finite number", 2)
        low = -math.inf if limit.min is None else limit.min
        high = math.inf if limit.max is None else limit.max
        says = " and ".join(
            f"{sign} {bound:g}"
            for sign, bound in ((">=", low), ("<=", high))
            if math.isfinite(bound)
        )
        judged.append(Judgement("performance", metric, value, says, low <= value <= high))
    return judged


def _flat(content: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(content, dict):
        return {path: content}
    found: dict[str, Any] = {}
    for name, inner in content.items():
        found |= _flat(inner, f"{path}.{name}" if path else str(name))
    return found


def show(judged: list[Judgement]) -> None:
    """Print the judgements as a table, failed ones first."""
    table = Table("gate", "metric", "value", "limit", "verdict")
    for one in sorted(judged, key=lambda one: one.passed):
        verdict = "passed" if one.passed else "[bold red]refused"
        table.add_row(one.gate, escape(one.metric), f"{one.value:.4f}", one.limit, verdict)
    Console().print(table)


def main() -> None:
    """`python -m pipeline.gate`"""
    VERDICT.unlink(missing_ok=True)
    gates = load()
    try:
        quality = json.loads(QUALITY.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{QUALITY}: no such file; `dvc repro` makes it", 2) from None
    except ValueError as error:
        raise Problem(f"{QUALITY}: not JSON: {error}", 2) from None
    judged = judge(gates, quality)
    passed = all(one.passed for one in judged)
    stage.write_json(VERDICT, {"passed": passed, "gates": [one._asdict() for one in judged]})
    show(judged)
    if not passed:
        refused = ", ".join(one.metric for one in judged if not one.passed)
        raise Problem(f"the model is refused: {refused}")
    print("the model passed every gate")


if __name__ == "__main__":
    stage.run("gate", main)
