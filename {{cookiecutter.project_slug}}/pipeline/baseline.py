"""The plain model to beat: logistic or ridge regression, saved like the network."""

import numpy as np
import torch

from pipeline.features import FIRST, Inputs, Spec
from pipeline.model import Model
from pipeline.network import Network

ROWS = 50_000  # more do not change a linear model


def fit(inputs: Inputs, answers: np.ndarray, spec: Spec) -> Model:
    """Fit scikit-learn's linear model to n encoded rows and their answers (n,)."""
    from sklearn.linear_model import LogisticRegression, Ridge

    network = Network(spec, hidden=[])
    step = max(1, -(-len(answers) // ROWS))
    table, answers = design(Inputs(*(part[::step] for part in inputs)), spec), answers[::step]
    if spec["task"] == "regression":
        answers = (answers - spec["center"]) / spec["scale"]
        linear = Ridge().fit(table, answers)
    else:
        linear = LogisticRegression(max_iter=300).fit(table, answers)
    weights = np.zeros((network.linear.out_features, table.shape[1]))
    biases = np.full(len(weights), -30.0)  # a class that the rows lack never wins
    seen = linear.classes_ if spec["task"] == "multiclass" else np.arange(1)
    if len(seen) == 2 and len(weights) > 1:  # two of many classes: one row of weights
        weights[seen[1]], biases[seen[1]], biases[seen[0]] = (
            linear.coef_[0],
            linear.intercept_[0],
            0,
        )
    else:
        weights[seen], biases[seen] = np.atleast_2d(linear.coef_), linear.intercept_
    plain = network.linear.in_features
    with torch.no_grad():
        network.linear.weight.copy_(torch.from_numpy(weights[:, :plain]))
        network.linear.bias.copy_(torch.from_numpy(biases))
        network.levels.linear.copy_(torch.from_numpy(weights[:, plain:].T.copy()))
    return Model(spec, {"hidden": []}, network)


def design(inputs: Inputs, spec: Spec) -> np.ndarray:
    """(n, columns): numbers with gaps as 0, which of them are missing, one column per level."""
    lacking = [i for i, number in enumerate(spec["numbers"]) if number["missing"]]
    gaps = np.isnan(inputs.numbers)
    levels = [
        np.eye(FIRST + len(category["levels"]), dtype=np.float32)[inputs.codes[:, i]]
        for i, category in enumerate(spec["categories"])
    ]
    return np.hstack([np.where(gaps, 0, inputs.numbers), gaps[:, lacking], *levels])
