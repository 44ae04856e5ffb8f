"""Every metric, declared once: add an entry to METRICS, and evaluate, gates, report and monitoring
have it.

They are numpy: one sort feeds ROC AUC and PR AUC, one table the label metrics. They agree with
scikit-learn's functions of the same names (tests/code/test_metrics.py) in a tenth of the time.
"""

import math
from collections.abc import Callable
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

Scores = dict[str, float]
TINY = 1e-15  # probabilities are kept so far from 0 before a logarithm
BINARY, MULTICLASS, REGRESSION = "binary", "multiclass", "regression"
CLASSES = (BINARY, MULTICLASS)


class Answers:
    """n test rows and what a model answered; what several metrics need is computed once."""

    def __init__(
        self,
        task: str,
        truth: np.ndarray,
        scores: np.ndarray,
        threshold: float = math.nan,
        bins: int = 0,
    ) -> None:
        """`truth` is (n,): 0 or 1, positions of classes, or numbers.

        `scores` is (n,) probabilities of 1, (n, classes) probabilities, or (n,) numbers. ROC AUC,
        losses and errors need neither `threshold` nor `bins`.
        """
        self.task, self.truth, self.scores = task, truth, scores
        self.threshold, self.bins = threshold, bins

    @cached_property
    def labels(self) -> np.ndarray:
        """(n,) positions of the answered classes."""
        if self.task == BINARY:
            return (self.scores >= self.threshold).astype(np.int64)
        return self.scores.argmax(1)

    @cached_property
    def table(self) -> np.ndarray:
        """(classes, classes) counts: actual classes down, answered ones across."""
        classes = 2 if self.task == BINARY else self.scores.shape[1]
        pairs = self.truth.astype(np.int64) * classes + self.labels
        return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    @cached_property
    def right(self) -> np.ndarray:
        """(n,) the probability that was given to the true class."""
        if self.task == BINARY:
            return np.where(self.truth == 1, self.scores, 1 - self.scores)
        return self.scores[np.arange(len(self.truth)), self.truth]

    @cached_property
    def areas(self) -> tuple[float, float] | None:
        """ROC AUC and PR AUC, of many classes the mean; None where there is one class only."""
        n = len(self.truth)
        if self.task == BINARY:
            yes = self.truth == 1
            return areas(yes, self.scores) if 0 < yes.sum() < n else None
        counts = self.table.sum(1)
        each = [
            areas(self.truth == k, self.scores[:, k])
            for k in np.flatnonzero((counts > 0) & (counts < n))
        ]
        return (
            (float(np.mean([a for a, _ in each])), float(np.mean([b for _, b in each])))
            if each
            else None
        )

    @cached_property
    def error(self) -> np.ndarray:
        """(n,) answered minus true numbers."""
        return self.scores - self.truth


def accuracy(of: Answers) -> float:
    """The share of right answers."""
    return float(np.diag(of.table).sum() / of.table.sum())


def balanced_accuracy(of: Answers) -> float | None:
    """Recall, averaged over the classes that occur; of one class only it means nothing."""
    hits, actual = np.diag(of.table), of.table.sum(1)
    there = actual > 0
    if of.task == BINARY and not there.all():
        return None
    return float((hits[there] / actual[there]).mean())


def _per_class(of: Answers, above: np.ndarray, below: np.ndarray) -> float:
    """above / below of the positive class; of many classes, averaged over those that occur."""
    each = above / np.maximum(1, below)
    if of.task == BINARY:
        return float(each[1])
    return float(each[(of.table.sum(0) + of.table.sum(1)) > 0].mean())


def f1(of: Answers) -> float:
    """The harmonic mean of precision and recall."""
    return _per_class(of, 2 * np.diag(of.table), of.table.sum(0) + of.table.sum(1))


def precision(of: Answers) -> float:
    """The share of an answer that is true."""
    return _per_class(of, np.diag(of.table), of.table.sum(0))


def recall(of: Answers) -> float:
    """The share of a class that is found."""
    return _per_class(of, np.diag(of.table), of.table.sum(1))


def roc_auc(of: Answers) -> float | None:
    """Area under the ROC curve; one against the rest."""
    return of.areas[0] if of.areas else None


def pr_auc(of: Answers) -> float | None:
    """Area under the precision-recall curve, as average precision."""
    return of.areas[1] if of.areas else None


def log_loss(of: Answers) -> float:
    """Minus the mean logarithm of the probability that was given to the true class."""
    return float(-np.log(np.maximum(of.right, TINY)).mean())


def brier(of: Answers) -> float:
    """Mean squared error of the probabilities (Brier 1950); of many classes, summed over them."""
    if of.task == BINARY:
        return float(((of.scores - of.truth) ** 2).mean())
    return float(((of.scores - np.eye(of.scores.shape[1])[of.truth]) ** 2).sum(1).mean())


def expected_calibration_error(of: Answers) -> float:
    """See `ece`; of many classes, of the answered one."""
    if of.task == BINARY:
        return ece(of.scores, of.truth == 1, of.bins)
    return ece(of.scores.max(1), of.labels == of.truth, of.bins)


def mae(of: Answers) -> float:
    """Mean absolute error."""
    return float(np.abs(of.error).mean())


def rmse(of: Answers) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt((of.error**2).mean()))


def r2(of: Answers) -> float | None:
    """The share of the variance that is explained; of a constant it means nothing."""
    spread = ((of.truth - of.truth.mean()) ** 2).sum()
    return float(1 - (of.error**2).sum() / spread) if spread > 0 else None


def mape(of: Answers) -> float | None:
    """Mean absolute error as a share of the true value; undefined where that is 0."""
    return float(np.abs(of.error / of.truth).mean()) if (of.truth != 0).all() else None


class Metric(NamedTuple):
    """A metric: its name in every file, its title for people, and what it needs."""

    name: str
    title: str
    function: Callable[[Answers], float | None]  # None where the rows do not define it
    tasks: tuple[str, ...]
    higher_is_better: bool
    needs: Literal["labels", "scores"] = "scores"  # of many classes: can labels alone be judged?
    headline: bool = False  # reported first, and beside the linear model's


METRICS = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", "ROC AUC", roc_auc, CLASSES, True, headline=True),
        Metric("pr_auc", "PR AUC", pr_auc, CLASSES, True),
        Metric("log_loss", "Log loss", log_loss, CLASSES, False, headline=True),
        Metric("accuracy", "Accuracy", accuracy, CLASSES, True, "labels"),
        Metric(
            "balanced_accuracy", "Balanced accuracy", balanced_accuracy, CLASSES, True, "labels"
        ),
        Metric("f1", "F1", f1, CLASSES, True, "labels"),
        Metric("precision", "Precision", precision, CLASSES, True, "labels"),
        Metric("recall", "Recall", recall, CLASSES, True, "labels"),
        Metric("brier", "Brier score", brier, CLASSES, False),
        Metric("ece", "Calibration error", expected_calibration_error, CLASSES, False),
        Metric("r2", "R²", r2, (REGRESSION,), True, headline=True),
        Metric("rmse", "RMSE", rmse, (REGRESSION,), False, headline=True),
        Metric("mae", "MAE", mae, (REGRESSION,), False),
        Metric("mape", "MAPE", mape, (REGRESSION,), False),
    )
}


def of_task(task: str) -> list[Metric]:
    """The metrics of a task, in their order."""
    return [metric for metric in METRICS.values() if task in metric.tasks]


def headline(task: str) -> Metric:
    """The metric that every summary reports first."""
    return next(metric for metric in of_task(task) if metric.headline)


def lower_is_better(name: str) -> bool:
    """Whether less of it is better; False for what is no metric."""
    return name in METRICS and not METRICS[name].higher_is_better


def evaluate(
    task: str, truth: np.ndarray, scores: np.ndarray, threshold: float, bins: int
) -> Scores:
    """{metric: value} of the rows; what they do not define is left out. See `Answers` for shapes.

    Values are rounded, so that noise in the last digits is no change.
    """
    answers = Answers(task, truth, scores, threshold, bins)
    values = {metric.name: metric.function(answers) for metric in of_task(task)}
    return {name: round(float(one), 6) for name, one in values.items() if one is not None}


def curve(yes: np.ndarray, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True positives, false positives and thresholds, from the highest score down, ties as one.

    `yes` is (n,) bool, `chance` (n,) probabilities.
    """
    order = np.argsort(-chance)
    ranked = chance[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true = np.cumsum(yes[order])[last]
    return true, 1 + last - true, ranked[last]


def areas(yes: np.ndarray, chance: np.ndarray) -> tuple[float, float]:
    """ROC AUC, and PR AUC as average precision; both classes must occur."""
    true, false, _ = curve(yes, chance)
    roc = np.trapezoid(np.append(0, true), np.append(0, false)) / (true[-1] * false[-1])
    share = true / (true + false)
    return float(roc), float((np.diff(true, prepend=0) * share).sum() / true[-1])


def calibration_bins(chance: np.ndarray, bins: int) -> np.ndarray:
    """(n,) the bin of each probability, of `bins` of equal width."""
    return np.minimum((chance * bins).astype(np.int64), bins - 1)


def ece(chance: np.ndarray, yes: np.ndarray, bins: int) -> float:
    """Expected calibration error over `bins` of equal width (Guo et al. 2017)."""
    at = calibration_bins(chance, bins)
    predicted = np.bincount(at, chance, bins)
    actual = np.bincount(at, yes, bins)
    return float(np.abs(predicted - actual).sum() / len(chance))
