"""What a model is judged by: its files read once, its test rows scored once."""

import math
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline import config, features, model, prepared, scores, stage
from pipeline.errors import Problem, nearest
from pipeline.judging import bootstrap

QUALITY = Path("metrics/quality.json")
COST = Path("metrics/cost.json")
SLICES = Path("reports/slices.json")
AGREE = 2e-4  # other processors sum in another order


class Judgement(NamedTuple):
    """One gate: what was found, what is allowed."""

    gate: str
    about: str
    value: float
    limit: str
    passed: bool
    low: float | None = None
    high: float | None = None
    note: str = ""


class Evidence:
    """The model in models/, the test rows, and what evaluate wrote of them."""

    def __init__(self, params: config.Params) -> None:
        self.params, self.knobs = params, params.evaluate
        self.model = model.load()
        self.task = self.model.spec["task"]
        self.test = prepared.frame("test")
        self.truth = features.answers(self.test[self.model.spec["target"]], self.model.spec)
        self.guess = self.model.score(self.test)
        self.scores = self.scoring(self.truth, self.guess)
        self.quality, self.cost = _read(QUALITY), _read(COST)
        self.slices = _read(SLICES)
        self._same_model()

    def scoring(self, truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
        """The scores of some rows, as evaluate computes them."""
        score: Callable[..., dict[str, float]] = scores.OF_TASK[self.task]
        return score(truth, guess, self.knobs.threshold, self.knobs.calibration_bins)

    @cached_property
    def deviations(self) -> dict[str, np.ndarray]:
        """Each score's deviations on resampled test rows."""
        return bootstrap.spread(self.scoring, self.truth, [self.guess])[0]

    def _same_model(self) -> None:
        """metrics/quality.json must be of this model and these rows, or it proves nothing."""
        for name, value in self.scores.items():
            told = number(self.quality, name, f"{QUALITY}")
            if not math.isclose(told, value, rel_tol=AGREE, abs_tol=AGREE):
                raise Problem(
                    f"{QUALITY}: {name} is {told:g}, but {model.MODEL} reaches {value:g} on the "
                    "test rows here; `dvc repro` brings them into step",
                    2,
                )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = stage.read_json(path)
    except Problem as problem:
        raise Problem(str(problem), 2) from None
    if not isinstance(content, dict):
        raise Problem(f"{path}: not a mapping of names to values; `dvc repro -f evaluate`", 2)
    return content


def number(content: dict[str, Any], path: str, file: str) -> float:
    """The finite number at a dotted path. Raises `Problem` (exit 2): unknown, or none such."""
    known = flat(content)
    if path not in known:
        raise Problem(f"{file} has no {path}{nearest(path, known)}", 2)
    value = known[path]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Problem(f"{file}: {path} is {value!r}; want a finite number", 2)
    return float(value)


def flat(content: Any, path: str = "") -> dict[str, Any]:
    """Nested mappings as {dotted path: value}."""
    if not isinstance(content, dict):
        return {path: content}
    found: dict[str, Any] = {}
    for name, inner in content.items():
        found |= flat(inner, f"{path}.{name}" if path else str(name))
    return found
