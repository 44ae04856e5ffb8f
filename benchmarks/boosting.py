"""CPU seconds to a good validation AUC, beside scikit-learn's gradient boosting.

Good is 0.005 under the better of the two when each may take its time. Each then
gets the fewest rounds (epochs, or trees) that reach it, and is timed doing just
those, on one thread, from a table in memory to the fitted model; the pipeline
scores the validation rows after every epoch, gradient boosting never.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measure import Row, by_cpu, compare, once, say
from sklearn.ensemble import HistGradientBoostingClassifier
from speed import as_tensors, ready
from threadpoolctl import threadpool_limits
from workspace import ROWS, SIZE, prepared_loans, settings

from pipeline import dataset, metrics
from pipeline.training_loop import fit

TREES, EPOCHS = 300, 4
BELOW = 0.005


def network(folder: Path, epochs: int) -> Callable[[], Any]:
    os.chdir(folder)
    table, held_out = dataset.frame("train"), dataset.frame("val")
    params = settings(epochs=epochs, threads=1, resume=False)

    def work() -> float:
        spec, rows, fresh, todo = ready(table, params)
        val = as_tensors(held_out, spec)
        _, history = fit(fresh, rows, val, spec, params, todo.batch, todo.epochs)
        return max(row["val_roc_auc"] for row in history)

    return work


def boosting(folder: Path, trees: int) -> Callable[[], Any]:
    table, answers = known(folder, "train")
    threadpool_limits(1)
    return lambda: boosted(trees).fit(table, answers) and None


def boosted(trees: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=trees, early_stopping=False, categorical_features="from_dtype", random_state=0
    )


def staged(folder: Path) -> list[float]:
    """The validation AUC of gradient boosting after each tree."""
    here = Path.cwd()
    table, answers = known(folder, "val")
    model = boosted(TREES).fit(*known(folder, "train"))
    os.chdir(here)
    chances = (chance[:, 1] for chance in model.staged_predict_proba(table))
    return [metrics.areas(answers == 1, chance)[0] for chance in chances]


def known(folder: Path, side: str) -> tuple[pd.DataFrame, np.ndarray]:
    """What a model may see of a side, and the answers."""
    os.chdir(folder)
    table, data = dataset.frame(side), settings().data
    return table.drop(columns=list(data.aside())), table[data.target].to_numpy()


def rows() -> Iterator[Row]:
    folder = prepared_loans(ROWS)
    say(f"boosting: {TREES} trees, to know how good a model can be")
    by_tree = staged(folder)
    say(f"boosting: {EPOCHS} epochs")
    target = max(*by_tree, once(network, folder, EPOCHS).result or 0) - BELOW
    trees = int(np.argmax(np.array(by_tree) >= target)) + 1
    say(f"boosting: fewest epochs to an AUC of {target:.4f}")
    tried = range(1, EPOCHS + 1)
    epochs = next(n for n in tried if (once(network, folder, n).result or 0) >= target)
    ours, theirs = compare(3, (network, folder, epochs), (boosting, folder, trees))
    what = f"train to AUC {target:.4f}, {SIZE}"
    yield by_cpu(what, f"HistGradientBoosting, {trees} trees", ours, theirs, 0.6)
