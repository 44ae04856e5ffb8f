"""What `dvc plots` draws: the curves of an evaluation as small tables."""

from pathlib import Path

import numpy as np
import pandas as pd

from core.files import replacing
from pipeline import metrics
from pipeline.model import Model
from pipeline.params import Evaluate

FOLDER = Path("plots/test")  # evaluate's; plots/training.csv is train's
POINTS = 200  # of a curve
REPEATS = 3  # permutations per column
MANY = 100  # columns
BLOCK = 10_000  # rows to score at once


def tables(
    model: Model, test: pd.DataFrame, truth: np.ndarray, guess: np.ndarray, settings: Evaluate
) -> dict[str, pd.DataFrame]:
    """A table per plot, by file name without ending.

    `truth` and `guess` are as for the scores of the task, one per row of `test`.
    """
    curves = {"importance": importance(model, test, truth, settings)}
    if model.task == "regression":
        some = np.linspace(0, len(truth) - 1, min(len(truth), 1000)).astype(int)
        curves["predicted"] = pd.DataFrame({"actual": truth[some], "predicted": guess[some]})
        return {**curves, "scores": _histogram(guess, {"all": np.full(len(guess), True)})}
    labels = np.array([str(one) for one in model.classes])
    if model.task == "binary":
        each = [(truth == 1, guess)]
        predicted, sure, right = (guess >= settings.threshold).astype(int), guess, truth == 1
        groups = {"negative": ~right, "positive": right}
    else:
        each = [(truth == k, guess[:, k]) for k in np.unique(truth)]
        predicted = guess.argmax(1)
        sure, right = guess.max(1), predicted == truth
        groups = {"right": right, "wrong": ~right}
    curves["roc"], curves["pr"] = _curves(each)
    curves["calibration"] = _calibration(sure, right, settings.calibration_bins)
    # a row per test row and no more than dvc plots can draw
    some = np.linspace(0, len(truth) - 1, min(len(truth), 5000)).astype(int)
    curves["confusion"] = pd.DataFrame(
        {"actual": labels[truth[some]], "predicted": labels[predicted[some]]}
    )
    curves["scores"] = _histogram(sure, groups)
    return curves


def write(curves: dict[str, pd.DataFrame]) -> None:
    """Write each table to plots/test/NAME.csv; tables of another task are removed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.csv"):
        old.unlink()
    for name, table in curves.items():
        with replacing(FOLDER / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")


def importance(
    model: Model, test: pd.DataFrame, truth: np.ndarray, settings: Evaluate
) -> pd.DataFrame:
    """Score lost when a column is shuffled (Breiman 2001; Fisher et al. 2019), largest first.

    Of more than `MANY` columns, each is shuffled once, in fewer rows: the time of scoring grows
    with the columns otherwise by their square.
    """
    names = [one.name for one in model.inputs]
    rows, repeats = min(len(test), settings.importance_rows), REPEATS
    if len(names) > MANY:
        rows, repeats = max(1, rows * MANY // len(names)), 1
    some = np.linspace(0, len(test) - 1, rows).astype(int)
    frame, truth = test.iloc[some].reset_index(drop=True), truth[some]
    watched = metrics.headline(model.task)

    def score(guess: np.ndarray) -> float:
        answers = metrics.Answers(model.task, truth, guess)  # a headline has no threshold
        return watched.function(answers) or 0.0

    rng, full = np.random.default_rng(0), score(model.score(frame))
    shuffles = [(name, rng.permutation(rows)) for name in names for _ in range(repeats)]
    at_once = max(1, BLOCK // rows)
    scores: list[float] = []
    for start in range(0, len(shuffles), at_once):
        block = shuffles[start : start + at_once]
        scores += map(score, np.split(model.score(_shuffled(frame, block)), len(block)))
    lost = full - np.reshape(scores, (len(names), repeats)).mean(axis=1)
    table = pd.DataFrame({"column": names, "loss": np.round(lost, 6)})
    return table.sort_values("loss", ascending=False, kind="stable")


def _shuffled(frame: pd.DataFrame, block: list[tuple[str, np.ndarray]]) -> pd.DataFrame:
    """A copy of the frame for each (column, order), one below the other, the column in that order.

    Encoding one long table takes a fraction of the time that many short ones take.
    """
    n = len(frame)
    as_it_is = np.tile(np.arange(n), len(block))
    orders: dict[str, np.ndarray] = {}
    for i, (name, order) in enumerate(block):
        orders.setdefault(name, as_it_is.copy())[i * n : (i + 1) * n] = order
    columns = {name: frame[name].array.take(order) for name, order in orders.items()}
    return frame.take(as_it_is).reset_index(drop=True).assign(**columns)


def _curves(each: list[tuple[np.ndarray, np.ndarray]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """ROC and PR curve; of many classes, the mean of the classes' curves."""
    at = np.linspace(0, 1, POINTS + 1)
    tpr, precision = [], []
    for yes, chance in each:
        true, false, _ = metrics.curve(yes, chance)
        rate, recall = false / max(1, false[-1]), true / max(1, true[-1])
        tpr.append(np.interp(at, np.append(0, rate), np.append(0, recall)))
        best = np.maximum.accumulate((true / (true + false))[::-1])[::-1]
        precision.append(best[np.searchsorted(recall, at).clip(max=len(best) - 1)])
    roc = pd.DataFrame({"fpr": at, "tpr": np.mean(tpr, axis=0)})
    return roc, pd.DataFrame({"recall": at, "precision": np.mean(precision, axis=0)})


def _calibration(sure: np.ndarray, right: np.ndarray, bins: int) -> pd.DataFrame:
    at = metrics.calibration_bins(sure, bins)
    rows = np.bincount(at, minlength=bins)
    used = rows > 0
    predicted, was = np.bincount(at, sure, bins)[used], np.bincount(at, right, bins)[used]
    return pd.DataFrame(
        {"predicted": predicted / rows[used], "actual": was / rows[used], "rows": rows[used]}
    )


def _histogram(values: np.ndarray, groups: dict[str, np.ndarray]) -> pd.DataFrame:
    """Counts of each group of rows in 30 bins."""
    edges = np.linspace(values.min(), values.max(), 31)
    counts = {name: np.histogram(values[rows], edges)[0] for name, rows in groups.items()}
    return pd.DataFrame({"score": (edges[1:] + edges[:-1]) / 2, **counts})
