"""Turn a table into numbers and codes: one way for training, scoring and serving."""

from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from core.errors import Problem, nearest
from pipeline.params import Data, Task

CLIP = 8.0  # standard deviations; what lies beyond counts as this
RARE = 5  # a level seen in fewer training rows is treated as unseen
UNSEEN, MISSING, FIRST = 0, 1, 2  # codes of a category
BLOCK = 1 << 16  # rows encoded at once
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[Finite, Field(gt=0)]


class Number(TypedDict):
    """A numeric input: dates are days since 1970, booleans 0 and 1."""

    name: str
    mean: Finite
    std: Positive
    missing: bool  # some training rows lack it, so that lacking it may tell something


class Category(TypedDict):
    """A categorical input, its levels as text; level i has code FIRST + i."""

    name: str
    levels: list[str]


class Spec(TypedDict):
    """What a model takes in and gives out; it is saved in the model's file."""

    target: str
    task: Task
    classes: list[bool | int | float | str]  # sorted; of two, the second is the positive one
    center: Finite  # of a number to predict
    scale: Positive
    numbers: list[Number]
    categories: list[Category]


SPEC = TypeAdapter(Spec)


def check_spec(content: Any) -> Spec:
    """The spec of a model's file. Raises `ValueError` for what `learn` would never say."""
    spec = SPEC.validate_python(content, strict=True, extra="forbid")
    names = [one["name"] for one in spec["numbers"]]
    names += [one["name"] for one in spec["categories"]]
    unique: list[list[Any]] = [one["levels"] for one in spec["categories"]]
    for values in (names, list[Any](spec["classes"]), *unique):
        if len(set(values)) < len(values):
            raise ValueError(f"something is named twice: {values}"[:200])
    count = len(spec["classes"])
    if {"binary": count != 2, "multiclass": count < 1, "regression": count > 0}[spec["task"]]:
        raise ValueError(f"{spec['task']} with {count} classes")
    if not names:
        raise ValueError("no columns")
    return spec


class Input(NamedTuple):
    """A column that a model needs."""

    name: str
    kind: str  # number (also dates and booleans) or category
    levels: list[str]  # that it knows, of a category


def inputs_of(spec: Spec) -> list[Input]:
    """The columns of a spec, numbers first."""
    numbers = [Input(one["name"], "number", []) for one in spec["numbers"]]
    return numbers + [Input(one["name"], "category", one["levels"]) for one in spec["categories"]]


class Inputs(NamedTuple):
    """A table of n rows, encoded."""

    numbers: np.ndarray  # float32 (n, numbers): standardised, clipped, NaN where missing
    codes: np.ndarray  # int64 (n, categories)


def learn(train: pd.DataFrame, data: Data) -> Spec:
    """Statistics, levels and classes of the training rows.

    Free text (neither numbers, dates nor few levels) is left out. Raises
    `Problem` when no column is left, or the target does not fit the task.
    """
    numbers: list[Number] = []
    categories: list[Category] = []
    aside = data.aside()
    for name in (str(name) for name in train if name not in aside):
        column = train[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            counts = column.value_counts()
            levels = sorted(str(level) for level, count in counts.items() if count >= RARE)
            categories.append({"name": name, "levels": levels})
        elif _is_number(column):
            values = _floats(column)
            some = values[~np.isnan(values)]
            mean, std = (float(some.mean()), float(some.std())) if len(some) else (0.0, 1.0)
            lacking = len(some) < len(values)
            numbers.append({"name": name, "mean": mean, "std": std or 1.0, "missing": lacking})
    if not numbers and not categories:
        raise Problem("no column is left to learn from; see data.drop in params.yaml")
    classes, center, scale = _answers(train[data.target], data.task)
    return {
        "target": data.target,
        "task": data.task,
        "classes": classes,
        "center": center,
        "scale": scale,
        "numbers": numbers,
        "categories": categories,
    }


def encode(frame: pd.DataFrame, spec: Spec) -> Inputs:
    """Encode a table of n rows; more columns than needed do no harm.

    Missing values and unseen levels are fine. Raises `Problem` for a missing
    column, or text where a number is due.
    """
    n = len(frame)
    numbers = np.empty((n, len(spec["numbers"])), np.float32)
    names = [_column(frame, one["name"]).name for one in spec["numbers"]]
    mean, std = (np.array([one[key] for one in spec["numbers"]]) for key in ("mean", "std"))
    for start in range(0, n, BLOCK):
        values = _matrix(frame.iloc[start : start + BLOCK], names)
        numbers[start : start + BLOCK] = np.clip((values - mean) / std, -CLIP, CLIP)
    codes = np.empty((n, len(spec["categories"])), np.int64)
    for i, category in enumerate(spec["categories"]):
        column = _column(frame, category["name"]).astype("category")
        place = {level: FIRST + j for j, level in enumerate(category["levels"])}
        known = [place.get(str(level), UNSEEN) for level in column.cat.categories]
        codes[:, i] = np.array([*known, MISSING])[column.cat.codes.to_numpy()]
    return Inputs(numbers, codes)


def encode_target(target: pd.Series, task: str, classes: list[Any]) -> np.ndarray:
    """The target of n rows: int64 positions in `classes`, or float64 numbers.

    Raises `Problem` for a label that is missing or that training has not seen.
    """
    if task == "regression":
        return target.to_numpy(np.float64)
    place = {label: i for i, label in enumerate(classes)}
    labels = pd.Categorical(target)
    unknown = [str(one) for one in labels.categories if as_python(one) not in place]
    if unknown or (labels.codes < 0).any():
        raise Problem(f"{target.name}: labels {unknown or 'missing'} are none of {classes}")
    return np.array([place[as_python(one)] for one in labels.categories], np.int64)[labels.codes]


def link(logits: np.ndarray, spec: Spec, temperature: float = 1.0) -> np.ndarray:
    """Logits (n, outputs) as answers: (n,) probabilities, (n, classes) probabilities, (n,) numbers.

    A number was learnt standardised; probabilities are of logits divided by `temperature`.
    """
    if spec["task"] == "regression":
        return np.asarray(logits[:, 0] * spec["scale"] + spec["center"])
    logits = logits / temperature
    if spec["task"] == "binary":
        return np.asarray(1 / (1 + np.exp(-logits[:, 0])))
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


def as_python(label: Any) -> Any:
    """A label as JSON has it."""
    return label.item() if isinstance(label, np.generic) else label


def _answers(target: pd.Series, task: str) -> tuple[list[Any], float, float]:
    if task == "regression":
        if not pd.api.types.is_numeric_dtype(target):
            raise Problem(f"{target.name}: not a number; data.task: regression needs one")
        return [], float(target.mean()), float(target.std(ddof=0)) or 1.0
    classes = sorted(
        {as_python(label) for label in target.unique()}, key=lambda one: (str(type(one)), one)
    )
    if task == "binary" and len(classes) != 2:
        raise Problem(f"{target.name}: {len(classes)} classes in train; data.task: binary needs 2")
    return classes, 0.0, 1.0


def _is_number(column: pd.Series) -> bool:
    kinds = pd.api.types
    return bool(kinds.is_numeric_dtype(column) or kinds.is_datetime64_any_dtype(column))


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    if name not in frame:
        raise Problem(f"column {name!r} is missing{nearest(name, map(str, frame))}")
    return frame[name]


def _matrix(frame: pd.DataFrame, names: list[Any]) -> np.ndarray:
    """Columns as float64 (n, names); see `_floats`, which takes longer for many columns."""
    part = frame[names]
    if not all(isinstance(kind, np.dtype) and kind.kind in "iufb" for kind in part.dtypes):
        return np.stack([_floats(part[name]) for name in names], axis=1)
    values = np.array(part.to_numpy(np.float64))
    values[np.isinf(values)] = np.nan
    return values


def _floats(column: pd.Series) -> np.ndarray:
    """A column as a new float64 array; dates as days since 1970, infinity as missing."""
    if pd.api.types.is_datetime64_any_dtype(column):
        values = column.to_numpy("datetime64[s]").astype(np.float64) / 86400
        values[column.isna().to_numpy()] = np.nan
        return values
    try:
        values = np.array(column.to_numpy(np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        raise Problem(f"column {column.name!r}: not a number: {str(error)[:80]}") from None
    values[np.isinf(values)] = np.nan
    return values
