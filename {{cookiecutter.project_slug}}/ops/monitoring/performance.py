"""How good the answers were, period by period, now that the truth of some is known."""

from typing import Any

import numpy as np
import pandas as pd

from core import tables
from core.errors import Problem, nearest
from core.paths import RETRAIN
from core.tables import to_pandas
from ops.monitoring import reference
from ops.monitoring.reference import ANSWER
from ops.monitoring.retrain_yaml import Performance
from pipeline import metrics
from pipeline.features import encode_target
from pipeline.model import Model
from pipeline.params import load_params


def periods(wanted: Performance, model: Model) -> list[dict[str, Any]]:
    """The last `wanted.periods` periods, newest first: from, rows, value (None: not known).

    The newest ends with the newest labelled row. Raises `Problem` (exit 2) for an unknown metric,
    and for rows that cannot be read or scored.
    """
    where = f"{RETRAIN}: performance"
    known = known_metrics(model.task)
    if wanted.metric not in known:
        why = "; of labels only these can be computed" if model.task == "multiclass" else ""
        raise Problem(
            f"{where}.metric: no score {wanted.metric!r}{nearest(wanted.metric, known)}; "
            f"known: {', '.join(sorted(known))}{why}"
        )
    columns = [model.target, ANSWER, wanted.time]
    try:
        rows = to_pandas(tables.read(wanted.labelled, columns))
        rows = rows[rows[model.target].notna()].reset_index(drop=True)  # truth is late
        if not len(rows):
            raise Problem(f"{wanted.labelled}: no row has its {model.target}")
        truth, guess = (
            encode_target(_typed(rows[model.target], model), model.task, model.classes),
            _guess(rows, model),
        )
    except (Problem, TypeError, ValueError) as problem:
        raise Problem(f"{where}.labelled: {problem}") from None
    time = _dates(rows[wanted.time], f"{where}.time: {wanted.time}")
    newest = time.max()
    age = ((newest - time) / pd.Timedelta(days=1)).to_numpy(np.float64)
    number = np.floor(age / wanted.period_days).astype(np.int64)
    results = []
    for i in range(wanted.periods):
        mine = number == i
        start = newest - pd.Timedelta(days=wanted.period_days * (i + 1))
        value = None
        if mine.sum() >= wanted.min_rows:
            value = _score(wanted.metric, model.task, truth[mine], guess[mine])
        results.append(
            {"after": f"{start:%Y-%m-%d %H:%M}", "rows": int(mine.sum()), "value": value}
        )
    return results


def _typed(target: pd.Series, model: Model) -> pd.Series:
    """Labels as training saw them, where missing ones beside them have made 1.0 of 1."""
    whole = model.classes and all(type(one) is int for one in model.classes)
    if whole and pd.api.types.is_float_dtype(target) and (target == target.round()).all():
        return target.astype("int64")
    return target


def _guess(rows: pd.DataFrame, model: Model) -> np.ndarray:
    """The answers as the scores want them; labels as certain probabilities."""
    answer = rows[ANSWER]
    if answer.isna().any():
        raise Problem(f"{int(answer.isna().sum()):,} rows have no {ANSWER}")
    if model.task == "multiclass":
        names = [str(one) for one in model.classes]
        named = reference.labels(answer, model.classes)
        codes = named.cat.set_categories(names).cat.codes.to_numpy()
        if (codes < 0).any():
            raise Problem(f"{int((codes < 0).sum()):,} answers are none of {', '.join(names)}")
        return np.eye(len(names))[codes]
    numbers = answer.to_numpy(np.float64)
    if not np.isfinite(numbers).all():
        raise Problem("an answer is not finite")
    if model.task == "binary" and (numbers.min() < 0 or numbers.max() > 1):
        raise Problem("an answer is no probability")
    return numbers


def _dates(time: pd.Series, where: str) -> pd.Series:
    """When each answer was given."""
    if not pd.api.types.is_datetime64_any_dtype(time):  # nanoseconds are text to CSV's reader
        time = pd.to_datetime(time.astype("str"), errors="coerce", format="ISO8601", utc=True)
    if time.isna().any():
        raise Problem(f"{where}: want a date in every row")
    return time


def known_metrics(task: str) -> list[str]:
    """The metrics that captured answers allow; of many classes these are labels."""
    all_of = metrics.of_task(task)
    return [one.name for one in all_of if task != "multiclass" or one.needs == "labels"]


def _score(metric: str, task: str, truth: np.ndarray, guess: np.ndarray) -> float | None:
    settings = load_params().evaluate
    scores = metrics.evaluate(task, truth, guess, settings.threshold, settings.calibration_bins)
    return scores.get(metric)  # one class only has no roc_auc
