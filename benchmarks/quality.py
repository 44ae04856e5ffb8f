"""Quality on real data: the pipeline's network beside gradient boosting and a linear model.

    python benchmarks/quality.py [DATASET ...]

Every fold gives the three the same train, validation and test rows. Gradient
boosting is tuned a little: the best of four settings on the validation rows.
The score is ROC AUC (one class against the rest), or R2 for numbers.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from project import PROJECT, params  # first: puts the generated code on the path
from sklearn import datasets
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, mean_squared_error, r2_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from core.paths import PREPARED
from pipeline import dataset, train

CREDIT = PROJECT.parent.parent / "shared" / "data" / "credit_card_default.csv"
FOLDS = 5
SETTINGS = [
    {"learning_rate": rate, "max_leaf_nodes": leaves, "min_samples_leaf": 20, "max_iter": 200}
    for rate in (0.05, 0.1)
    for leaves in (6, 31)
]


def load(name: str) -> tuple[pd.DataFrame, str]:
    """A table whose target is the column `target`, and its task."""
    if name == "credit_card_default":
        table = pd.read_csv(CREDIT).drop(columns="id")
        table = table.rename(columns={"default_next_month": "target"})
        return table.astype(dict.fromkeys(table.select_dtypes("str"), "category")), "binary"
    made = getattr(datasets, f"load_{name}")(as_frame=True)
    table = made.frame.rename(columns={made.target.name: "target"})
    classes = table["target"].nunique()
    return table, "binary" if classes == 2 else "multiclass" if classes < 20 else "regression"


NAMES = ["breast_cancer", "wine", "digits", "diabetes", "credit_card_default"]


def score(task: str, truth: pd.Series, guess: np.ndarray) -> float:
    """ROC AUC, one against the rest, or R2."""
    if task == "regression":
        return float(r2_score(truth, guess))
    return float(roc_auc_score(truth, guess, multi_class="ovr"))


def network(parts: dict[str, pd.DataFrame], task: str, **changes: object) -> np.ndarray:
    """The answers of the pipeline's own network for the test rows."""
    with tempfile.TemporaryDirectory() as folder:
        here = os.getcwd()
        os.chdir(folder)
        PREPARED.mkdir(parents=True)
        for side, frame in parts.items():
            frame.to_parquet(dataset.path(side), index=False)
        model, _, _ = train.train(params(target="target", task=task, **changes))
        os.chdir(here)
    return model.score(parts["test"])


def features(parts: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {side: frame.drop(columns="target") for side, frame in parts.items()}


def linear(parts: dict[str, pd.DataFrame], task: str) -> np.ndarray:
    x = features(parts)
    words = list(x["train"].select_dtypes("category"))
    numbers = [name for name in x["train"] if name not in words]
    table = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), words),
    )
    kind = Ridge() if task == "regression" else LogisticRegression(max_iter=1000)
    model = make_pipeline(table, kind).fit(x["train"], parts["train"]["target"])
    return answer(model, x["test"], task)


def boosting(parts: dict[str, pd.DataFrame], task: str) -> np.ndarray:
    x = features(parts)
    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    best = (np.inf, None)
    for setting in SETTINGS:
        model = kind(
            **setting, early_stopping=False, random_state=0, categorical_features="from_dtype"
        )
        model.fit(x["train"], parts["train"]["target"])
        stages = model.staged_predict if task == "regression" else model.staged_predict_proba
        loss = mean_squared_error if task == "regression" else log_loss
        truth = parts["val"]["target"]
        losses = [loss(truth, p) for p in list(stages(x["val"]))[9::10]]
        if min(losses) < best[0]:
            best = (min(losses), (setting, 10 * (int(np.argmin(losses)) + 1)))
    setting, rounds = best[1]
    model = kind(**{**setting, "max_iter": rounds}, early_stopping=False, random_state=0,
                 categorical_features="from_dtype")  # fmt: skip
    return answer(model.fit(x["train"], parts["train"]["target"]), x["test"], task)


def answer(model, table: pd.DataFrame, task: str) -> np.ndarray:
    if task == "regression":
        return model.predict(table)
    chances = model.predict_proba(table)
    return chances[:, 1] if task == "binary" else chances


def folds(table: pd.DataFrame, task: str):
    """Train, validation and test rows of every fold."""
    kind = KFold if task == "regression" else StratifiedKFold
    classes = None if task == "regression" else table["target"]
    for rest, test in kind(FOLDS, shuffle=True, random_state=0).split(table, classes):
        some = None if classes is None else classes.iloc[rest]
        fit, val = train_test_split(rest, test_size=0.15, stratify=some, random_state=0)
        rows = {"train": fit, "val": val, "test": test}
        yield {side: table.iloc[at].reset_index(drop=True) for side, at in rows.items()}


def measure(name: str, **changes: object) -> dict[str, float]:
    """Mean score of each kind of model over the folds."""
    table, task = load(name)
    found: dict[str, list[float]] = {"network": [], "boosting": [], "linear": []}
    for parts in folds(table, task):
        truth = parts["test"]["target"]
        found["network"].append(score(task, truth, network(parts, task, **changes)))
        found["boosting"].append(score(task, truth, boosting(parts, task)))
        found["linear"].append(score(task, truth, linear(parts, task)))
    return {kind: float(np.mean(values)) for kind, values in found.items()}


def main(names: list[str]) -> None:
    print(f"{'data set':22}{'network':>9}{'boosting':>10}{'linear':>9}{'network - better':>18}")
    ahead = []
    for name in names:
        if name == "credit_card_default" and not Path(CREDIT).exists():
            print(f"{name:22}  not measured: no {CREDIT.name} beside the checkout")
            continue
        got = measure(name)
        ahead.append(got["network"] - max(got["boosting"], got["linear"]))
        print(f"{name:22}{got['network']:9.4f}{got['boosting']:10.4f}{got['linear']:9.4f}"
              f"{ahead[-1]:+18.4f}", flush=True)  # fmt: skip
    print(f"{'mean':22}{np.mean(ahead):+46.4f}   (not below 0; none below -0.005)")


if __name__ == "__main__":
    main(sys.argv[1:] or NAMES)
