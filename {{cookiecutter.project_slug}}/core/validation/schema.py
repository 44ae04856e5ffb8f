"""The data contract schema.yaml, read strictly.

Pandera takes `isinn: [0, 1]` for a column without any check, so every key is
looked at before Pandera sees it.
"""

import datetime
import inspect
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pandera.pandas as pa
import yaml
from pydantic import AfterValidator, Field

from core.errors import Problem, nearest
from core.paths import SCHEMA
from core.yaml_io import Strict, check_yaml, read_yaml

CHECKS = {
    name: [
        one.name
        for one in inspect.signature(getattr(pa.Check, name)).parameters.values()
        if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
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


class Rule(Strict):
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


class Contract(Strict):
    """What schema.yaml may say."""

    schema_type: Literal["dataframe"]
    version: str | None = None
    columns: dict[str, Rule] = Field(min_length=1)
    strict: bool = False
    coerce: Off = False
    ordered: bool = False
    title: str | None = None
    description: str | None = None


def load_schema(path: str | Path = SCHEMA) -> pa.DataFrameSchema:
    """schema.yaml as a Pandera schema; what Pandera would overlook is a `Problem` (exit 2)."""
    content = read_yaml(path)
    contract = check_yaml(Contract, content, path)
    wrong = [
        f"{path}: columns.{name}.checks.{message}"
        for name, rule in contract.columns.items()
        for message in _wrong_checks(rule)
    ]
    wrong += _read_otherwise(content, path)
    if wrong:
        raise Problem("\n".join(wrong))
    try:
        return pa.DataFrameSchema.from_yaml(Path(path))
    except (TypeError, ValueError) as error:
        raise Problem(f"{path}: Pandera cannot use it: {str(error)[:200]}") from None


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
            if key not in CHECKS[check]:
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
