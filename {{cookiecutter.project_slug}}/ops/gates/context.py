"""What a model is judged by: its files read once, its test rows scored once."""

import math
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.errors import Problem, nearest
from core.files import read_json
from core.paths import COST, MODEL, QUALITY, SLICES
from ops.gates import bootstrap
from ops.snapshot import flat
from pipeline import dataset, metrics
from pipeline.features import encode_target
from pipeline.model import load_model
from pipeline.params import Params

AGREE = 2e-4  # other processors sum in another order


class Judgement(NamedTuple):
    """One check of a gate: a value, what is allowed, and whether it passed."""

    gate: str
    about: str
    value: float
    limit: str
    passed: bool
    low: float | None = None
    high: float | None = None
    note: str = ""


class Evidence:
    """The model in models/, the test rows, and what evaluate wrote of them.

    A model whose answers are not all finite has no scores, and its files are not read.
    """

    def __init__(self, params: Params) -> None:
        self.params, self.settings = params, params.evaluate
        self.model = load_model()
        self.task = self.model.task
        self.test = dataset.frame("test")
        self.truth = encode_target(self.test[self.model.target], self.task, self.model.classes)
        self.guess = self.model.score(self.test)  # (n,), or (n, classes)
        self.not_finite = int((~np.isfinite(self.guess)).reshape(len(self.test), -1).any(1).sum())
        if self.not_finite:
            return
        self.scores = self.scoring(self.truth, self.guess)
        self.quality, self.cost, self.slices = _read(QUALITY), _read(COST), _read(SLICES)
        self._same_model()

    def scoring(self, truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
        """The scores of some rows, as evaluate computes them."""
        at, bins = self.settings.threshold, self.settings.calibration_bins
        return metrics.evaluate(self.task, truth, guess, at, bins)

    @cached_property
    def deviations(self) -> dict[str, np.ndarray]:
        """Each score's deviations on resampled test rows."""
        return bootstrap.spread(self.scoring, self.truth, [self.guess])[0]

    def interval(self, name: str, confidence: float) -> bootstrap.Interval:
        """A score with its bounds; `name` is one of `deviations`."""
        value, low, high = bootstrap.interval(self.scores[name], self.deviations[name], confidence)
        if metrics.lower_is_better(name) and value >= 0:
            low = max(low, 0.0)  # an error, which is never negative
        return bootstrap.Interval(value, low, high)

    def _same_model(self) -> None:
        """metrics/quality.json must be of this model and these rows, or it proves nothing."""
        for name, value in self.scores.items():
            written = number(self.quality, name, f"{QUALITY}")
            if not math.isclose(written, value, rel_tol=AGREE, abs_tol=AGREE):
                raise Problem(
                    f"{QUALITY}: {name} is {written:g}, but {MODEL} reaches {value:g} on the "
                    "test rows here; `dvc repro` brings them into step",
                )


def bound(what: str, value: float, sign: str, limit: float | None) -> list[str]:
    """["upper bound 0.0345 > 0.03"] where that is so, in as many digits as show it; else []."""
    if limit is None or not (value < limit if sign == "<" else value > limit):
        return []
    texts = (f"{value:.{digits}g}" for digits in (3, 4, 6, 9, 17))
    shown = next((text for text in texts if float(text) != limit), repr(value))
    return [f"{what} {shown} {sign} {limit:g}"]


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise Problem(f"{path}: not a mapping of names to values; `dvc repro -f evaluate`")
    return content


def number(content: dict[str, Any], path: str, file: str) -> float:
    """The finite number at a dotted path. Raises `Problem` (exit 2): unknown, or none such."""
    known = flat(content)
    if path not in known:
        raise Problem(f"{file} has no {path}{nearest(path, known)}")
    value = known[path]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Problem(f"{file}: {path} is {value!r}; want a finite number")
    return float(value)
