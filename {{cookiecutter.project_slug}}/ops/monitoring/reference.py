"""What live data is compared with: the data and the answers of the model in production."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from core.errors import Problem
from core.files import read_json
from core.git import git
from core.paths import LOCK, MODEL, PROFILE, REFERENCE
from core.validation import profile
from core.validation.profile import Profile
from ops.checkout import checkout
from ops.tags import production
from pipeline import dataset
from pipeline.model import Model, load_model

ANSWER = "answer"  # the column of a capture that holds what the model answered
STAMPS = ("model_version", "predicted_at")  # what `ml predict` adds besides


class Reference(NamedTuple):
    """The profile of some data, and the model that learnt from it."""

    what: str  # production, HEAD, revision or file
    name: str
    commit: str | None
    rows: int
    columns: dict[str, Profile]
    model: Model | None
    folder: Path | None  # where its commit is checked out

    def inputs(self) -> list[str]:
        """The columns that the model takes in."""
        if not self.model:
            return []
        return [one.name for one in self.model.inputs]


def find(rev: str | None = None, *, trained: bool = False) -> Reference | None:
    """The model in production, else HEAD's, else the profile in data/reference; or that of `rev`.

    Where it must be `trained`, None says that there is no model at all. Raises `Problem` (exit 2)
    when one is known and its files cannot be had.
    """
    version = None if rev else production()
    what = "revision" if rev else "production" if version else "HEAD"
    base = checkout(rev or version or _trained(), exact=True)
    if what == "HEAD":
        base = base._replace(rev="HEAD")
    known = str(MODEL) in base.outputs
    if known or what != "HEAD":
        for path in (PROFILE, MODEL):
            if not (base.folder / path).exists():
                raise Problem(
                    f"nothing to compare with: {base.missing or f'{base.rev} has no {path}'}"
                    "; `dvc fetch --all-tags` may bring it"
                )
        fitted = load_model(base.folder / MODEL)
        columns, rows = _read(base.folder / PROFILE)
        return Reference(what, base.rev, base.commit, rows, columns, fitted, base.folder)
    if trained:
        return None
    columns, rows = _read(REFERENCE)
    return Reference("file", str(REFERENCE), None, rows, columns, None, None) if columns else None


def _trained() -> str:
    """The commit that HEAD's model is from: data that came later is new to it."""
    return git("log", "-1", "--format=%H", "--", str(LOCK)) or "HEAD"


def _read(path: Path) -> tuple[dict[str, Profile], int]:
    """The columns of a profile, and how many rows it is of."""
    content = read_json(path)
    columns = content.get("columns") if isinstance(content, dict) else None
    if not isinstance(columns, dict):
        return {}, 0
    return columns, max([one["rows"] for one in columns.values()], default=0)


def answers(reference: Reference) -> Profile:
    """The profile of the model's answers to its own test rows: what it was judged by.

    Raises `Problem` (exit 2) where the model or its test rows cannot be had.
    """
    if not reference.model or not reference.folder:
        raise Problem(f"{reference.name} is of no model: no answers to compare with")
    path = reference.folder / dataset.path("test")
    if not path.exists():
        raise Problem(
            f"{path.name} of {reference.name} is neither in the cache nor in the storage"
            "; `dvc fetch --all-tags` may bring it"
        )
    return profile.describe(captured(reference.model, pd.read_parquet(path)))


def captured(fitted: Model, rows: pd.DataFrame) -> pd.Series:
    """The answers as a service gives them: of many classes the label, else the score."""
    guess = fitted.score(rows)
    if fitted.task != "multiclass":
        return pd.Series(guess, name=ANSWER)
    labels = np.array([str(one) for one in fitted.classes])
    return pd.Series(labels[guess.argmax(1)], name=ANSWER).astype("category")


def labels(answer: pd.Series, classes: list[Any]) -> pd.Series:
    """Captured labels as `captured` writes them: a file may have made 1 of "1", and 1.0 of 1."""
    if pd.api.types.is_numeric_dtype(answer) and not pd.api.types.is_bool_dtype(answer):
        place = {float(one): str(one) for one in classes if isinstance(one, int | float)}
        named = answer.map(lambda one: place.get(float(one), f"{one:g}"), na_action="ignore")
        return named.astype("category")
    return answer.astype("str").where(answer.notna()).astype("category")
