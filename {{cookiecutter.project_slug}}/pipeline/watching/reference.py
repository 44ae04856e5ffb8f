"""What live data is compared with: the data and the answers of the model in production."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline import base, model, prepared, profile, stage
from pipeline.errors import Problem
from pipeline.judging import regression
from pipeline.profile import Profile
from pipeline.validate import REFERENCE

PROFILE = Path("reports/profile.json")


class Reference(NamedTuple):
    """The profile of some data, and the model that learnt from it."""

    what: str  # production, HEAD, revision or file
    name: str
    commit: str | None
    rows: int
    columns: dict[str, Profile]
    model: model.Model | None
    folder: Path | None  # where its commit is laid out

    def inputs(self) -> list[str]:
        """The columns that the model takes in."""
        if not self.model:
            return []
        spec = self.model.spec
        return [one["name"] for one in [*spec["numbers"], *spec["categories"]]]


def find(rev: str | None = None, *, trained: bool = False) -> Reference | None:
    """The model in production, else HEAD's, else the profile in data/reference; or that of `rev`.

    Where it must be `trained`, None says that there is no model at all. Raises `Problem` (exit 2)
    when one is known and its files cannot be had.
    """
    version = None if rev else regression.production()
    what = "revision" if rev else "production" if version else "HEAD"
    laid = base.lay(rev or version or _trained(), exact=True)
    if what == "HEAD":
        laid = laid._replace(rev="HEAD")
    known = str(model.MODEL) in base.locked(laid.folder)
    if known or what != "HEAD":
        for path in (PROFILE, model.MODEL):
            if not (laid.folder / path).exists():
                raise Problem(f"nothing to compare with: {laid.note or f'{laid.rev} has no {path}'}"
                              "; `dvc fetch --all-tags` may bring it", 2)  # fmt: skip
        fitted = model.load(laid.folder / model.MODEL)
        columns, rows = _read(laid.folder / PROFILE)
        return Reference(what, laid.rev, laid.sha, rows, columns, fitted, laid.folder)
    if trained:
        return None
    columns, rows = _read(REFERENCE)
    return Reference("file", str(REFERENCE), None, rows, columns, None, None) if columns else None


def _trained() -> str:
    """The commit that HEAD's model is from: data that came later is new to it."""
    return base.git("log", "-1", "--format=%H", "--", base.LOCK) or "HEAD"


def _read(path: Path) -> tuple[dict[str, Profile], int]:
    """The columns of a profile, and how many rows it is of."""
    content = stage.read_json(path)
    columns = content.get("columns") if isinstance(content, dict) else None
    if not isinstance(columns, dict):
        return {}, 0
    return columns, max([one["rows"] for one in columns.values()], default=0)


def answers(reference: Reference) -> Profile:
    """The profile of the model's answers to its own test rows: what it was judged by.

    Raises `Problem` (exit 2) where the model or its test rows cannot be had.
    """
    if not reference.model or not reference.folder:
        raise Problem(f"{reference.name} is of no model: no answers to compare with", 2)
    path = reference.folder / prepared.path("test")
    if not path.exists():
        raise Problem(f"{path.name} of {reference.name} is neither in the cache nor in the storage"
                      "; `dvc fetch --all-tags` may bring it", 2)  # fmt: skip
    return profile.describe(said(reference.model, pd.read_parquet(path)))


def said(fitted: model.Model, rows: pd.DataFrame) -> pd.Series:
    """The answers as a service gives them: of many classes the label, else the score."""
    guess = fitted.score(rows)
    if fitted.spec["task"] != "multiclass":
        return pd.Series(guess, name="answer")
    labels = np.array([str(one) for one in fitted.spec["classes"]])
    return pd.Series(labels[guess.argmax(1)], name="answer").astype("category")


def labels(answer: pd.Series, classes: list[Any]) -> pd.Series:
    """Captured labels as `said` writes them: a file may have made 1 of "1", and 1.0 of 1."""
    if pd.api.types.is_numeric_dtype(answer) and not pd.api.types.is_bool_dtype(answer):
        place = {float(one): str(one) for one in classes if isinstance(one, int | float)}
        named = answer.map(lambda one: place.get(float(one), f"{one:g}"), na_action="ignore")
        return named.astype("category")
    return answer.astype("str").where(answer.notna()).astype("category")
