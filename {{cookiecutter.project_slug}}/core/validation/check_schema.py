"""Hold data against the contract: fast first, then row by row.

A column that a few reductions clear is done; only the others go through
Pandera's own checks, which name the rows that break the contract.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from core.errors import nearest
from core.validation.fast_checks import clear
from core.validation.findings import Finding, finding


def check_names(schema: pa.DataFrameSchema, names: list[str], rows: int) -> list[Finding]:
    """Columns that are missing, not allowed, or (where `ordered`) out of order."""
    findings = [
        finding("missing_column", name, rows, rows, message="schema.yaml requires it")
        for name, column in schema.columns.items()
        if column.required and name not in names
    ]
    if schema.strict:
        findings += [
            finding(
                "unknown_column",
                name,
                rows,
                rows,
                message="add it to schema.yaml, or take it out" + nearest(name, schema.columns),
            )
            for name in names
            if name not in schema.columns
        ]
    listed = [name for name in schema.columns if name in names]
    if schema.ordered and listed != [name for name in names if name in listed]:
        findings.append(
            finding("column_order", "", rows, rows, message=f"want {', '.join(listed)}")
        )
    return findings


class Failure(NamedTuple):
    """A check that a column of n rows fails: in which rows, and values that do."""

    check: str
    rows: np.ndarray  # (n,) bool
    examples: np.ndarray


def failures(column: pa.Column, values: pd.Series) -> list[Failure]:
    """Everything in `values` (one column, any length) that breaks its rule, by row."""
    values, failed = _as_declared(values, str(column.dtype))
    return failed if clear(column, values) else failed + _pandera(column, values)


def check_column(column: pa.Column, values: pd.Series) -> list[Finding]:
    """Everything in `values` (one column, any length) that breaks its rule, with counts."""
    return [
        finding(one.check, str(values.name), one.rows.sum(), len(values), one.examples)
        for one in failures(column, values)
    ]


def check_frame(schema: pa.DataFrameSchema, frame: pd.DataFrame) -> list[Finding]:
    """All findings of a table in memory; `frame` has one row per sample."""
    findings = check_names(schema, [str(name) for name in frame], len(frame))
    for name, column in schema.columns.items():
        if name in frame:
            findings += check_column(column, frame[name])
    return findings


def _as_declared(values: pd.Series, dtype: str) -> tuple[pd.Series, list[Failure]]:
    """`values` in the declared type; whatever cannot be is found, and missing from then on."""
    if dtype == "category":
        same = isinstance(values.dtype, pd.CategoricalDtype)
        return (values if same else values.astype("category")), []
    if dtype.startswith("str"):  # Pandera says string[pyarrow] where pandas has Arrow's text
        return values.astype("str").where(values.notna()), []
    if dtype == "bool":
        if pd.api.types.is_bool_dtype(values):
            return values, []
        wrong = ~values.isin([True, False, "true", "false"]) & values.notna()
        return values.where(~wrong), _failed("not_boolean", values, wrong)
    if dtype.startswith("datetime64"):
        dates = (
            pd.to_datetime(
                values.astype("str").where(values.notna()), errors="coerce", format="ISO8601"
            )
            if not _is_date(values)
            else values
        )
        return dates, _failed("not_a_date", values, dates.isna() & values.notna())
    if pd.api.types.is_bool_dtype(values) or _is_date(values):
        wrong = values.notna()
        return values.where(~wrong), _failed("not_a_number", values, wrong)
    if not pd.api.types.is_numeric_dtype(values):
        text = values.astype("object").where(values.notna(), None)
        numbers = pd.to_numeric(text, errors="coerce")
        failed = _failed("not_a_number", values, numbers.isna() & values.notna())
    else:
        numbers, failed = values, []
    if numbers.dtype.kind == "f":
        array = numbers.to_numpy()
        failed += _failed("not_finite", values, np.isinf(array))
        if dtype == "int64":
            whole = np.isnan(array) | np.isinf(array) | (array == np.round(array))
            failed += _failed("not_an_integer", values, ~whole)
    return numbers, failed


def _is_date(values: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(values)


def _failed(check: str, values: pd.Series, wrong: Any) -> list[Failure]:
    rows = np.asarray(wrong, dtype=bool)
    return [Failure(check, rows, values[rows].head(100).unique())] if rows.any() else []


def _pandera(column: pa.Column, values: pd.Series) -> list[Failure]:
    """Pandera's own checks of one column, every failing row named."""
    rule = pa.Column(None, column.checks, nullable=column.nullable, unique=column.unique)
    try:
        pa.DataFrameSchema({values.name: rule}).validate(
            values.reset_index(drop=True).to_frame(), lazy=True, inplace=True
        )
    except SchemaErrors as errors:
        failed = []
        for check, cases in errors.failure_cases.groupby("check", sort=False):
            of_all = cases["index"].isna().any()  # a check of the column as a whole
            rows = np.full(len(values), of_all)
            rows[[] if of_all else cases["index"].to_numpy(np.int64)] = True
            examples = cases["failure_case"].head(100).unique()
            failed.append(Failure(_readable(str(check)), rows, examples))
        return failed
    return []


def _readable(check: str) -> str:
    return {"not_nullable": "missing_value", "field_uniqueness": "repeated_value"}.get(check, check)
