"""What a model is, which one is trained, and how any of them is read back.

To bring another one, write its class and name it here: docs/another-model.md.
"""

import json
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open

from core.errors import Problem
from core.paths import MODEL
from pipeline.features import Input
from pipeline.linear import LinearModel
from pipeline.network_model import NetworkModel


class Model(Protocol):
    """All that the gates, the report, the registry and the monitoring know of a model.

    Its class's docstring is what the model card says of how it works.
    """

    kind: ClassVar[str]  # stands in the metadata of its file

    @property
    def task(self) -> str:
        """binary, multiclass or regression."""

    @property
    def target(self) -> str:
        """The column that it predicts."""

    @property
    def classes(self) -> list[Any]:
        """Sorted; of two, the second is the positive one. Empty for regression."""

    @property
    def inputs(self) -> list[Input]:
        """The columns that it needs."""

    def score(self, frame: pd.DataFrame) -> np.ndarray:
        """Score a table of n rows; more columns than needed do no harm.

        binary: (n,) probability of the second class; multiclass: (n, classes) probabilities;
        regression: (n,) numbers. All float64. Raises `Problem` for a missing column, or text where
        a number is due.
        """

    def save(self, path: str | Path) -> None:
        """Write safetensors with `kind` in the metadata; the same model gives the same bytes."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read it back; any error of the file may be raised, `load_model` makes it a `Problem`."""


TRAINED = NetworkModel  # what the stage train fits
KINDS: dict[str, type[Model]] = {kind.kind: kind for kind in (TRAINED, NetworkModel, LinearModel)}
UNREADABLE = (SafetensorError, LookupError, TypeError, ValueError, RuntimeError, OverflowError)


def load_model(path: str | Path = MODEL) -> Model:
    """Read a model on the CPU. Raises `Problem` for a file that is none of `KINDS`."""
    try:
        with safe_open(path, "numpy") as file:
            kind = json.loads((file.metadata() or {})["model"])["kind"]
        return KINDS[kind].load(path)
    except FileNotFoundError:
        raise Problem(
            f"{path}: no such file; `dvc repro` trains it, `dvc pull` fetches it"
        ) from None
    except UNREADABLE as error:
        why = " ".join(str(error).split())[:200]
        raise Problem(f"{path}: not a model of this pipeline: {why}") from None
