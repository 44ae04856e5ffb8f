"""Scores of every group of every protected attribute."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline import metrics
from pipeline.params import Evaluate

PARTS = 4  # a protected number is cut into so many parts of equal size


def slices(
    protected: pd.DataFrame, task: str, truth: np.ndarray, guess: np.ndarray, settings: Evaluate
) -> dict[str, dict[str, Any]]:
    """{attribute: {group: {"rows": n, score: value, ...}}}.

    `protected` holds a column per attribute for the n test rows; `truth` and
    `guess` are as for the scores of the task. A group of fewer rows than
    `min_slice_rows` has a count and no scores: they would be chance.
    """
    result: dict[str, dict[str, Any]] = {}
    for name in protected:
        codes, groups = groups_of(protected[name])
        order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[order], np.arange(len(groups) + 1))
        result[str(name)] = {}
        for i, group in enumerate(groups):
            rows = order[bounds[i] : bounds[i + 1]]
            scored = {}
            if len(rows) >= settings.min_slice_rows:
                scored = metrics.evaluate(
                    task, truth[rows], guess[rows], settings.threshold, settings.calibration_bins
                )
                scored |= _shares(task, truth[rows], guess[rows], settings.threshold)
            if len(rows):
                result[str(name)][group] = {"rows": len(rows), **scored}
    return result


def groups_of(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """A code per row and the groups' names; missing values are a group of their own."""
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > 2 * PARTS:
        codes = pd.qcut(column, PARTS, labels=False, duplicates="drop").fillna(-1).to_numpy(int)
        ends = column[codes >= 0].groupby(codes[codes >= 0]).agg(["min", "max"])
        names = [f"{low:g} to {high:g}" for low, high in ends.to_numpy()]
    else:
        kept = column.astype("category").cat.remove_unused_categories()
        order = np.argsort(kept.cat.categories.astype(str))
        codes = np.append(np.argsort(order), -1)[kept.cat.codes.to_numpy()]
        names = [str(kept.cat.categories[i]) for i in order]
    return np.where(codes < 0, len(names), codes), [*names, "missing"]


def _shares(task: str, truth: np.ndarray, guess: np.ndarray, threshold: float) -> dict[str, float]:
    """What fairness looks at: how often the answer is yes, and should have been."""
    if task != "binary":
        return {}
    selected, no = guess >= threshold, truth == 0
    shares = {"selection_rate": selected.mean(), "positive_rate": truth.mean()}
    if no.any():
        shares["false_positive_rate"] = selected[no].mean()
    return {name: round(float(share), 6) for name, share in shares.items()}
