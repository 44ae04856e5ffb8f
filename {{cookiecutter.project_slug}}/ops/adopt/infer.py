"""Look at a table that nobody has described: what is its task, what may be asked of its columns."""

import datetime
import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from core.errors import Problem
from core.validation import profile

CLASSES = 20  # whole numbers with more distinct values than this are a quantity
CODES = 10  # a feature's whole numbers with at most so many distinct values may be codes
LEVELS = 50  # a category with more levels may grow new ones
IDENTIFIER = re.compile(r"(^|[_ ])(id|uuid|guid|key|number|no|nr)$|[a-z]Id$|ID$", re.IGNORECASE)
PROTECTED = re.compile(
    r"(^|[_ ])(sex|gender|age|race|ethnic\w*|nationality|religion|disab\w*|marital\w*|marriage|"
    r"pregnan\w*|orientation)([_ ]|$)",
    re.IGNORECASE,
)
Rule = dict[str, Any]


def task(target: pd.Series, wanted: str | None = None) -> tuple[str, str]:
    """The task that a target asks for, or `wanted` where it fits, and the reason in words.

    Raises `Problem` (exit 2) for a target that nothing can be learnt from, or
    that does not fit `wanted`.
    """
    name, kind, distinct = target.name, profile.kind_of(target), int(target.nunique())
    about = f"{name!r} has {distinct:,} distinct values"
    quantity = kind == "number"
    if distinct < 2:
        raise Problem(f"--target {name}: {about}; nothing can be learnt")
    if kind == "date":
        raise Problem(f"--target {name}: holds dates; want numbers or classes")
    if wanted == "regression" and not quantity:
        raise Problem(f"--target {name}: regression wants numbers, but it holds {kind}")
    if wanted == "binary" and distinct != 2:
        raise Problem(f"--target {name}: binary wants two values, but {about}")
    few = (
        distinct <= CLASSES and bool((target.dropna() == target.dropna().round()).all())
        if quantity
        else True
    )
    guess = "binary" if distinct == 2 else "multiclass" if few else "regression"
    chosen = wanted or guess
    if chosen == "multiclass" and distinct > max(CLASSES, 0.1 * len(target)):
        raise Problem(f"--target {name}: {about} in {len(target):,} rows, too many for classes")
    return chosen, "given" if wanted else f"inferred: {about}"


def rule(values: pd.Series, kind: pa.DataType, part: str, task: str) -> Rule:
    """What schema.yaml is to say of a column: its type, and limits with room for new rows.

    `values` is the whole column, `kind` its Arrow type, `part` its part in
    params.yaml (`feature` for none).
    """
    column: Rule = {"dtype": _dtype(kind)}
    if part in ("time", "label_time") and column["dtype"] in ("category", "str"):
        column["dtype"] = "datetime64[us]"
    if values.isna().any() and part not in ("target", "id"):
        column["nullable"] = True
    if part == "id":
        return {**column, "unique": True}
    checks = (
        _checks(values, column["dtype"], part, task) if part not in ("group", "dropped") else {}
    )
    return {**column, "checks": checks} if checks else column


def not_a_time(values: pd.Series) -> str:
    """Why `values` cannot tell when a row came to be, with count and examples; "" if they can."""
    if profile.kind_of(values) in ("date", "number"):
        return ""
    dates = pd.to_datetime(
        values.astype("str").where(values.notna()), errors="coerce", format="ISO8601"
    )
    wrong = values[dates.isna() & values.notna()]
    cases = ", ".join(map(str, wrong.unique()[:3]))
    message = f"no date in {len(wrong):,} of {len(values):,} rows, for example {cases}"
    return f"{message}; want 2026-01-31" if len(wrong) else ""


def _dtype(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return "category"
    if pa.types.is_timestamp(kind):
        return "datetime64[us]"
    return "str" if pa.types.is_string(kind) else {"double": "float64"}.get(str(kind), str(kind))


def _checks(values: pd.Series, dtype: str, part: str, task: str) -> Rule:
    is_class = part == "target" and task != "regression"
    counts = values.value_counts()
    counts = counts[counts > 0]
    if not len(counts) or dtype == "bool" or (dtype == "str" and not is_class):
        return {}
    if dtype == "datetime64[us]":
        return _since(values)
    if dtype in ("category", "str"):
        few = is_class or len(counts) <= LEVELS
        return {"isin": sorted(map(str, counts.index))} if few else {}
    codes = (
        dtype == "int64" and len(counts) <= CODES and counts.min() >= max(10, len(values) / 1000)
    )
    if is_class or (codes and part not in ("time", "label_time")):
        return {"isin": [_readable(value) for value in sorted(counts.index)]}
    limits = _range(values, whole=dtype == "int64")
    if limits and part in ("time", "label_time"):
        return {"greater_than_or_equal_to": limits["min_value"]}
    return {"in_range": limits} if limits else {}


def _since(values: pd.Series) -> Rule:
    """Dates have a floor, a good way before the first of them, and no ceiling: time goes on."""
    dates = pd.to_datetime(values.astype("str").where(values.notna()), format="ISO8601", utc=True)
    years = dates.max().year - dates.min().year
    aware = getattr(values.dtype, "tz", None)  # Pandera cannot compare these with a plain date
    floor = max(1, dates.min().year - max(1, years))
    return {} if aware else {"greater_than_or_equal_to": datetime.date(floor, 1, 1)}


def _range(values: pd.Series, whole: bool) -> dict[str, float]:
    """Half the spread more on each side, twice that where a tail is long, rounded outward.

    What is never negative stays so, and a share stays between 0 and 1.
    """
    array = values.to_numpy(np.float64, na_value=np.nan)
    array = array[np.isfinite(array)]
    if not len(array):
        return {}
    low, near, far, high = map(float, np.quantile(array, [0, 0.01, 0.99, 1]))
    if not whole and low >= 0 and 0.5 < high <= 1:
        return {"min_value": 0, "max_value": 1}
    spread = high - low or max(1.0, abs(high))
    tail = (far - near) / 2
    least = low - spread / (1 if near - low > tail else 2)
    most = high + spread / (1 if high - far > tail else 2)
    least, most = max(least, 0) if low >= 0 else least, min(most, 0) if high <= 0 else most
    if not math.isfinite(most - least):
        return {}
    step = 10.0 ** math.floor(math.log10(spread)) / 2
    step = max(1.0, step) if whole else step
    digits = max(0, 1 - math.floor(math.log10(step)))
    ends = math.floor(least / step) * step, math.ceil(most / step) * step
    return {
        key: _readable(round(end, digits))
        for key, end in zip(("min_value", "max_value"), ends, strict=True)
    }


def _readable(value: Any) -> Any:
    """A plain Python number or boolean, whole where it is."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


def hints(values: pd.Series) -> list[str]:
    """Parts that a feature seems to play, as options to give."""
    name, kind, lines = str(values.name), profile.kind_of(values), []
    whole = pd.api.types.is_integer_dtype(values)
    if (whole or kind == "text") and values.is_unique:
        in_a_row = whole and values.max() - values.min() + 1 == len(values)
        if in_a_row or IDENTIFIER.search(name):
            lines.append(f"{name!r} differs in every row; --id {name}?")
    if kind == "date":
        lines.append(f"{name!r} holds dates; --time {name}?")
    if PROTECTED.search(name):
        lines.append(f"{name!r} may need watching; --protected {name}?")
    return lines
