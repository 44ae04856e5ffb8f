"""How good the answers were, period by period, now that the truth of some is known."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline import config, features, prepared, raw, scores
from pipeline.errors import Problem, nearest
from pipeline.features import Spec
from pipeline.watching import reference
from pipeline.watching.retraining import PATH, Performance

ANSWER = "answer"
OF_LABELS = {"accuracy", "balanced_accuracy", "f1", "precision", "recall"}  # want no score
KNOWN = {  # whatever the rows are like
    "binary": OF_LABELS | {"roc_auc", "pr_auc", "log_loss", "brier", "ece"},
    "multiclass": OF_LABELS,
    "regression": {"mae", "rmse", "r2", "mape"},
}


def periods(wanted: Performance, spec: Spec) -> list[dict[str, Any]]:
    """The last `wanted.periods` periods, newest first: from, rows, value (None: tells nothing).

    The newest ends with the newest labelled row. Raises `Problem` (exit 2) for an unknown metric,
    and for rows that cannot be read or scored.
    """
    where = f"{PATH}: performance"
    known = KNOWN[spec["task"]]
    if wanted.metric not in known:
        why = "; of labels only these can be computed" if spec["task"] == "multiclass" else ""
        raise Problem(f"{where}.metric: no score {wanted.metric!r}{nearest(wanted.metric, known)}; "
                      f"known: {', '.join(sorted(known))}{why}", 2)  # fmt: skip
    columns = [spec["target"], ANSWER, wanted.time]
    try:
        rows = prepared.to_pandas(raw.read(wanted.labelled, columns))
        rows = rows[rows[spec["target"]].notna()].reset_index(drop=True)  # truth is late
        if not len(rows):
            raise Problem(f"{wanted.labelled}: no row has its {spec['target']}")
        truth, guess = (
            features.answers(_typed(rows[spec["target"]], spec), spec),
            _guess(rows, spec),
        )
    except (Problem, TypeError, ValueError) as problem:
        raise Problem(f"{where}.labelled: {problem}", 2) from None
    time = _dates(rows[wanted.time], f"{where}.time: {wanted.time}")
    newest = time.max()
    age = ((newest - time) / pd.Timedelta(days=1)).to_numpy(np.float64)
    number = np.floor(age / wanted.period_days).astype(np.int64)
    found = []
    for i in range(wanted.periods):
        mine = number == i
        start = newest - pd.Timedelta(days=wanted.period_days * (i + 1))
        value = None
        if mine.sum() >= wanted.min_rows:
            value = _score(wanted.metric, spec["task"], truth[mine], guess[mine])
        found.append({"after": f"{start:%Y-%m-%d %H:%M}", "rows": int(mine.sum()), "value": value})
    return found


def _typed(target: pd.Series, spec: Spec) -> pd.Series:
    """Labels as training saw them, where missing ones beside them have made 1.0 of 1."""
    whole = spec["classes"] and all(type(one) is int for one in spec["classes"])
    if whole and pd.api.types.is_float_dtype(target) and (target == target.round()).all():
        return target.astype("int64")
    return target


def _guess(rows: pd.DataFrame, spec: Spec) -> np.ndarray:
    """The answers as the scores want them; labels as certain probabilities."""
    answer = rows[ANSWER]
    if answer.isna().any():
        raise Problem(f"{int(answer.isna().sum()):,} rows have no {ANSWER}")
    if spec["task"] == "multiclass":
        names = [str(one) for one in spec["classes"]]
        named = reference.labels(answer, spec["classes"])
        codes = named.cat.set_categories(names).cat.codes.to_numpy()
        if (codes < 0).any():
            raise Problem(f"{int((codes < 0).sum()):,} answers are none of {', '.join(names)}")
        return np.eye(len(names))[codes]
    numbers = answer.to_numpy(np.float64)
    if not np.isfinite(numbers).all():
        raise Problem("an answer is not finite")
    if spec["task"] == "binary" and (numbers.min() < 0 or numbers.max() > 1):
        raise Problem("an answer is no probability")
    return numbers


def _dates(time: pd.Series, where: str) -> pd.Series:
    """When each answer was given."""
    if not pd.api.types.is_datetime64_any_dtype(time):  # nanoseconds are text to CSV's reader
        time = pd.to_datetime(time.astype("str"), errors="coerce", format="ISO8601", utc=True)
    if time.isna().any():
        raise Problem(f"{where}: want a date in every row", 2)
    return time


def _score(metric: str, task: str, truth: np.ndarray, guess: np.ndarray) -> float | None:
    knobs = config.load().evaluate
    found = scores.OF_TASK[task](truth, guess, knobs.threshold, knobs.calibration_bins)
    return found.get(metric)  # one class only has no roc_auc
