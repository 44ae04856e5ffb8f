"""The linear baseline: logistic or ridge regression on the same encoded columns."""

import json
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from safetensors import safe_open
from safetensors.numpy import save_file

from core.files import replacing
from pipeline import features
from pipeline.features import FIRST, Input, Inputs, Spec
from pipeline.params import Data

ROWS = 50_000  # more do not change a linear model
BLOCK = 1 << 16  # rows to score at once


class LinearModel:
    """Logistic regression, or ridge regression of a number, by scikit-learn."""

    kind: ClassVar[str] = "linear"

    def __init__(self, spec: Spec, weights: np.ndarray, biases: np.ndarray) -> None:
        """`weights` is (columns of `design`, outputs), `biases` (outputs,)."""
        self.spec, self.weights, self.biases = spec, weights, biases

    @property
    def task(self) -> str:
        """binary, multiclass or regression."""
        return self.spec["task"]

    @property
    def target(self) -> str:
        """The column that it predicts."""
        return self.spec["target"]

    @property
    def classes(self) -> list[Any]:
        """Sorted; of two, the second is the positive one."""
        return self.spec["classes"]

    @property
    def inputs(self) -> list[Input]:
        """The columns that it needs."""
        return features.inputs_of(self.spec)

    @classmethod
    def fit(cls, train: pd.DataFrame, data: Data) -> Self:
        """Fit the training rows; of more than `ROWS` every so-manieth."""
        from sklearn.linear_model import LogisticRegression, Ridge

        spec = features.learn(train, data)
        some = train.iloc[:: max(1, -(-len(train) // ROWS))]
        table = design(features.encode(some, spec), spec)
        answers = features.encode_target(some[spec["target"]], spec["task"], spec["classes"])
        if spec["task"] == "regression":
            linear = Ridge().fit(table, (answers - spec["center"]) / spec["scale"])
            return cls(spec, linear.coef_[:, None], np.array([linear.intercept_]))
        linear = LogisticRegression(max_iter=300).fit(table, answers)
        if spec["task"] == "binary":
            return cls(spec, linear.coef_.T, linear.intercept_)
        weights = np.zeros((table.shape[1], len(spec["classes"])))
        biases = np.full(len(spec["classes"]), -30.0)  # a class that the rows lack never wins
        seen = linear.classes_
        if len(seen) == 2:  # two of many classes: one row of weights
            weights[:, seen[1]], biases[seen[1]], biases[seen[0]] = (
                linear.coef_[0],
                linear.intercept_[0],
                0,
            )
        else:
            weights[:, seen], biases[seen] = linear.coef_.T, linear.intercept_
        return cls(spec, weights, biases)

    def score(self, frame: pd.DataFrame) -> np.ndarray:
        """Score a table of n rows; see `pipeline.model.Model`."""
        blocks = [frame.iloc[at : at + BLOCK] for at in range(0, max(1, len(frame)), BLOCK)]
        tables = (design(features.encode(block, self.spec), self.spec) for block in blocks)
        logits = np.concatenate([table @ self.weights + self.biases for table in tables])
        return features.link(logits, self.spec)

    def save(self, path: str | Path) -> None:
        """Write weights and preprocessing; the same model gives the same bytes."""
        about = {"kind": self.kind, "spec": self.spec}
        tensors = {"weights": np.ascontiguousarray(self.weights), "biases": self.biases}
        with replacing(path) as temporary:
            save_file(tensors, temporary, {"model": json.dumps(about, sort_keys=True)})
            temporary.chmod(0o644)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read it back. Raises `ValueError` where weights and columns do not fit each other."""
        with safe_open(path, "numpy") as file:
            about = json.loads(file.metadata()["model"])
            weights, biases = file.get_tensor("weights"), file.get_tensor("biases")
        spec = features.check_spec(about["spec"])
        lacking = sum(number["missing"] for number in spec["numbers"])
        levels = sum(FIRST + len(category["levels"]) for category in spec["categories"])
        outputs = len(spec["classes"]) if spec["task"] == "multiclass" else 1
        wanted = (len(spec["numbers"]) + lacking + levels, outputs)
        if weights.shape != wanted or biases.shape != wanted[1:]:
            raise ValueError(f"weights of {weights.shape}, want {wanted}")
        if {weights.dtype.kind, biases.dtype.kind} != {"f"}:
            raise ValueError(f"weights are {weights.dtype} and {biases.dtype}, not numbers")
        return cls(spec, weights, biases)


def design(inputs: Inputs, spec: Spec) -> np.ndarray:
    """(n, columns): numbers with gaps as 0, which of them are missing, one column per level."""
    lacking = [i for i, number in enumerate(spec["numbers"]) if number["missing"]]
    gaps = np.isnan(inputs.numbers)
    levels = [
        np.eye(FIRST + len(category["levels"]), dtype=np.float32)[inputs.codes[:, i]]
        for i, category in enumerate(spec["categories"])
    ]
    return np.hstack([np.where(gaps, 0, inputs.numbers), gaps[:, lacking], *levels])
