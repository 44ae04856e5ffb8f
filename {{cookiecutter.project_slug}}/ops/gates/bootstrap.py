"""How far a score may be chance: resampled test rows (Efron 1979), the same for all models."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

TIMES = 500
ROWS = 20_000  # of one resample; more only cost time: see `spread`
Scoring = Callable[[np.ndarray, np.ndarray], dict[str, float]]


class Interval(NamedTuple):
    """A value, and bounds that each hold with the confidence that was asked for."""

    value: float
    low: float
    high: float


def spread(
    scoring: Scoring, truth: np.ndarray, guesses: Sequence[np.ndarray]
) -> list[dict[str, np.ndarray]]:
    """For each model, how its scores on resampled rows differ from those on all rows.

    `truth` is (n,), each of `guesses` (n,) or (n, classes); every resample takes the same rows
    for all models, so that differences between them are paired. Of more than `ROWS` rows, that
    many are drawn and the deviations shrunk by sqrt(ROWS / n): the m-out-of-n bootstrap
    (Bickel, Goetze, van Zwet 1997). The values are arrays of (TIMES,) per score; a score that
    some resample does not define is left out.
    """
    n = len(truth)
    m = min(n, ROWS)
    scale, rng = math.sqrt(m / n), np.random.default_rng(0)
    drawn: list[list[dict[str, float]]] = [[] for _ in guesses]
    for _ in range(TIMES):
        rows = rng.integers(n, size=m)
        for scores, guess in zip(drawn, guesses, strict=True):
            scores.append(scoring(truth[rows], guess[rows]))
    deviations = []
    for scores, guess in zip(drawn, guesses, strict=True):
        on_all = scoring(truth, guess)
        names = set(on_all).intersection(*scores)
        deviations.append(
            {k: scale * (np.array([one[k] for one in scores]) - on_all[k]) for k in names}
        )
    return deviations


def interval(value: float, deviations: np.ndarray, confidence: float) -> Interval:
    """The value with bounds of its spread, each of which holds with this confidence.

    The mean of the deviations is taken off: it is the bootstrap's estimate of bias (Efron and
    Tibshirani 1993, chapter 10). Resampling adds it to a score such as the calibration error,
    whose percentiles would all lie above the value itself.
    """
    low, high = np.quantile(deviations - deviations.mean(), [1 - confidence, confidence])
    return Interval(value, value + min(float(low), 0.0), value + max(float(high), 0.0))
