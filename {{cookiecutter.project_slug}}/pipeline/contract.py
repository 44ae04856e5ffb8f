"""The data contract schema.yaml: read strictly, checked with Pandera.

Pandera takes `isinn: [0, 1]` for a column without any check, so every key is
looked at before Pandera sees it. Checking is fast first: a column that a few
reductions (smallest, largest, levels) clear is done; only the others go through
Pandera's row-by-row checks, which name the rows that break the contract.
"""

import datetime
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pandera.pandas as pa
import yaml
from pandera.errors import SchemaErrors
from pydantic import AfterValidator, Field

from pipeline import config
from pipeline.errors import Problem, nearest
from pipeline.findings import Finding, found

PATH = Path("schema.yaml")
DTYPES = ("int64", "float64", "bool", "category", "str", "datetime64[us]")
CHECKS = {
    name: list(inspect.signature(getattr(pa.Check, name)).parameters)
    for name in [
        *("equal_to", "not_equal_to", "greater_than", "greater_than_or_equal_to", "less_than"),
        *("less_than_or_equal_to", "in_range", "isin", "notin", "unique_values_eq"),
        *("str_contains", "str_endswith", "str_length", "str_matches", "str_startswith"),
    ]
}


def _refuse(value: bool) -> bool:
    if value:
        raise ValueError("found True; must be false, for nothing of it would be done")
    return value


Off = Annotated[bool, AfterValidator(_refuse)]


class Rule(config.Strict):
    """What schema.yaml may say of a column."""

    dtype: Literal["int64", "float64", "bool", "category", "str", "datetime64[us]"]
    nullable: bool = False
    unique: bool = False
    required: bool = True
    coerce: Off = False
    regex: Off = False
    title: str | None = None
    description: str | None = None
    checks: dict[str, Any] | None = None


class Contract(config.Strict):
    """What schema.yaml may say."""

    schema_type: Literal["dataframe"]
    version: str | None = None
    columns: dict[str, Rule] = Field(min_length=1)
    strict: bool = False
    coerce: Off = False
    ordered: bool = False
    title: str | None = None
    description: str | None = None


def load(path: str | Path = PATH) -> pa.DataFrameSchema:
    """schema.yaml as a Pandera schema; what Pandera would overlook is a `Problem` (exit 2)."""
    content = config.read_yaml(path)
    contract = config.check(Contract, content, path)
    wrong = [
        f"{path}: columns.{name}.checks.{message}"
        for name, rule in contract.columns.items()
        for message in _wrong_checks(rule)
    ]
    wrong += _read_otherwise(content, path)
    if wrong:
        raise Problem("\n".join(wrong), 2)
    try:
        return pa.DataFrameSchema.from_yaml(Path(path))
    except (TypeError, ValueError) as error:
        raise Problem(f"{path}: Pandera cannot use it: {str(error)[:200]}", 2) from None


def _read_otherwise(content: Any, path: str | Path) -> list[str]:
    """Columns that Pandera, which reads YAML 1.1, would take for something else."""
    theirs = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))["columns"]
    return [
        f"{path}: columns.{name}: YAML 1.1 reads it otherwise; quote yes, no, on, off; write 1.0e-5"
        for name, rule in content["columns"].items()
        if theirs.get(name) != rule
    ]


def _wrong_checks(rule: Rule) -> list[str]:
    """Checks that Pandera does not know, or whose values cannot be meant."""
    wrong = []
    for check, value in (rule.checks or {}).items():
        if check not in CHECKS:
            wrong.append(f"{check}: unknown check{nearest(check, CHECKS)}")
            continue
        values = value if isinstance(value, dict) else {CHECKS[check][0]: value}
        for key, one in values.items():
            if key not in CHECKS[check] and key != "options":
                wrong.append(f"{check}.{key}: unknown key{nearest(key, CHECKS[check])}")
            elif want := _wrong_value(rule, check, key, one):
                wrong.append(f"{check}.{key}: found {one!r}; want {want}")
    return wrong


def _wrong_value(rule: Rule, check: str, key: str, value: Any) -> str:
    """What would be right instead of `value`, or "" when it is."""
    if key.startswith("include_"):
        return "" if isinstance(value, bool) else "true or false"
    if check == "str_length":
        return "" if _is(value, "int64") else "a whole number"
    want = {"category": "text", "str": "text", "bool": "true or false"}.get(rule.dtype, "a number")
    want = "a date such as 2026-01-31" if rule.dtype.startswith("datetime64") else want
    if check not in ("isin", "notin", "unique_values_eq"):
        return "" if _is(value, "str" if check.startswith("str_") else rule.dtype) else want
    listed = isinstance(value, list) and value and all(_is(one, rule.dtype) for one in value)
    return "" if listed else f"a list, each value {want}"


def _is(value: Any, dtype: str) -> bool:
    """Whether a value of schema.yaml can be compared with a column of this type; NaN cannot."""
    if dtype in ("category", "str"):
        return isinstance(value, str)
    if dtype == "bool" or isinstance(value, bool):
        return dtype == "bool" and isinstance(value, bool)
    if dtype.startswith("datetime64"):
        return isinstance(value, datetime.date)
    return isinstance(value, (int, float)) and math.isfinite(value)


def check_names(schema: pa.DataFrameSchema, names: list[str], rows: int) -> list[Finding]:
    """Columns that are missing, not allowed, or (where `ordered`) out of order."""
    findings = [
        found("missing column", name, rows, rows, says="schema.yaml requires it")
        for name, column in schema.columns.items()
        if column.required and name not in names
    ]
    if schema.strict:
        findings += [
            found("unknown column", name, rows, rows, says="add it to schema.yaml, or take it out"
                  + nearest(name, schema.columns))
            for name in names
            if name not in schema.columns
        ]  # fmt: skip
    listed = [name for name in schema.columns if name in names]
    if schema.ordered and listed != [name for name in names if name in listed]:
        findings.append(found("column order", "", rows, rows, says=f"want {', '.join(listed)}"))
    return findings


def check_column(column: pa.Column, values: pd.Series) -> list[Finding]:
    """Everything in `values` (one column, any length) that breaks its rule, with counts."""
    values, findings = _as_declared(values, str(column.dtype))
    if not _clear(column, values):
        findings += _pandera(column, values)
    return findings


def check_frame(schema: pa.DataFrameSchema, frame: pd.DataFrame) -> list[Finding]:
    """All findings of a table in memory; `frame` has one row per sample."""
    findings = check_names(schema, [str(name) for name in frame], len(frame))
    for name, column in schema.columns.items():
        if name in frame:
            findings += check_column(column, frame[name])
    return findings


def _as_declared(values: pd.Series, dtype: str) -> tuple[pd.Series, list[Finding]]:
    """`values` in the declared type; whatever cannot be is found, and missing from then on."""
    name = str(values.name)
    if dtype == "category":
        same = isinstance(values.dtype, pd.CategoricalDtype)
        return (values if same else values.astype("category")), []
    if dtype == "str":
        return values.astype("str").where(values.notna()), []
    if dtype == "bool":
        if pd.api.types.is_bool_dtype(values):
            return values, []
        wrong = ~values.isin([True, False, "true", "false"]) & values.notna()
        return values.where(~wrong), _cases("not true or false", name, values, wrong)
    if dtype.startswith("datetime64"):
        dates = pd.to_datetime(values.astype("str").where(values.notna()), errors="coerce",
                               format="ISO8601") if not _is_date(values) else values  # fmt: skip
        return dates, _cases("not a date", name, values, dates.isna() & values.notna())
    if pd.api.types.is_bool_dtype(values) or _is_date(values):
        wrong = values.notna()
        return values.where(~wrong), _cases("not a number", name, values, wrong)
    if not pd.api.types.is_numeric_dtype(values):
        text = values.astype("object").where(values.notna(), None)
        numbers = pd.to_numeric(text, errors="coerce")
        findings = _cases("not a number", name, values, numbers.isna() & values.notna())
    else:
        numbers, findings = values, []
    if numbers.dtype.kind == "f":
        array = numbers.to_numpy()
        findings += _cases("not finite", name, values, np.isinf(array))
        if dtype == "int64":
            whole = np.isnan(array) | np.isinf(array) | (array == np.round(array))
            findings += _cases("not a whole number", name, values, ~whole)
    return numbers, findings


def _is_date(values: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(values)


def _cases(check: str, name: str, values: pd.Series, wrong: Any) -> list[Finding]:
    wrong = np.asarray(wrong, dtype=bool)
    if not wrong.any():
        return []
    cases = values[wrong]
    return [found(check, name, len(cases), len(values), cases.head(100).unique())]


def _extremes(values: pd.Series) -> tuple[Any, Any]:
    if values.dtype.kind in "iuf":
        array = values.to_numpy()
        return np.fmin.reduce(array), np.fmax.reduce(array)
    return values.min(), values.max()


def _levels(values: pd.Series) -> set[Any]:
    if isinstance(values.dtype, pd.CategoricalDtype):
        used = np.bincount(
            values.cat.codes.to_numpy() + 1, minlength=len(values.cat.categories) + 1
        )
        return set(values.cat.categories[used[1:] > 0])
    return set(values.dropna().unique())


def _between(values: pd.Series, min_value: Any, max_value: Any, include_min: bool = True,
             include_max: bool = True) -> bool:  # fmt: skip
    low, high = _extremes(values)
    above = low >= min_value if include_min else low > min_value
    return bool(above and (high <= max_value if include_max else high < max_value))


REDUCTIONS: dict[str, Callable[..., bool]] = {
    "in_range": _between,
    "greater_than": lambda values, min_value: bool(_extremes(values)[0] > min_value),
    "greater_than_or_equal_to": lambda values, min_value: bool(_extremes(values)[0] >= min_value),
    "less_than": lambda values, max_value: bool(_extremes(values)[1] < max_value),
    "less_than_or_equal_to": lambda values, max_value: bool(_extremes(values)[1] <= max_value),
    "isin": lambda values, allowed_values: _levels(values) <= set(allowed_values),
    "notin": lambda values, forbidden_values: not _levels(values) & set(forbidden_values),
}


def _clear(column: pa.Column, values: pd.Series) -> bool:
    """Whether a few reductions prove the column good; False only means: look closer."""
    if not column.nullable and values.hasnans:
        return False
    if column.unique and not _distinct(values):
        return False
    return all(
        check.name in REDUCTIONS and REDUCTIONS[check.name](values, **(check.statistics or {}))
        for check in column.checks
    )


def _distinct(values: pd.Series) -> bool:
    if values.dtype.kind not in "iu":
        return values.is_unique
    ranked = np.sort(values.to_numpy())  # a quarter of the time of is_unique, which hashes
    return bool((ranked[1:] != ranked[:-1]).all())


def _pandera(column: pa.Column, values: pd.Series) -> list[Finding]:
    """Pandera's own checks of one column, every failing value counted."""
    rule = pa.Column(None, column.checks, nullable=column.nullable, unique=column.unique)
    try:
        pa.DataFrameSchema({values.name: rule}).validate(
            values.reset_index(drop=True).to_frame(), lazy=True, inplace=True
        )
    except SchemaErrors as errors:
        cases = errors.failure_cases
        return [
            found(_readable(str(check)), str(values.name), len(some), len(values),
                  some["failure_case"].head(100).unique())
            for check, some in cases.groupby("check", sort=False)
        ]  # fmt: skip
    return []


def _readable(check: str) -> str:
    return {"not_nullable": "missing value", "field_uniqueness": "repeated value"}.get(check, check)
