"""What schema.yaml says is held against a column, value by value, and a mistake in it is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
import yaml

from core.errors import Problem
from core.validation import check_schema
from core.validation.fast_checks import clear
from core.validation.schema import load_schema

NAN = float("nan")
DAY = pd.Timestamp("2026-01-31")


def schema(columns: dict[str, Any], **more: Any) -> pa.DataFrameSchema:
    """As it is read from a file."""
    Path("schema.yaml").write_text(
        yaml.safe_dump({"schema_type": "dataframe", "columns": columns, **more}), encoding="utf-8"
    )
    return load_schema()


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def column(dtype: str, **rule: Any) -> pa.Column:
    checks = {key: rule.pop(key) for key in list(rule) if key not in ("nullable", "unique")}
    return schema({"x": {"dtype": dtype, **rule, "checks": checks}}).columns["x"]


def found(rule: pa.Column, values: Any) -> list[tuple[Any, ...]]:
    findings = check_schema.check_column(rule, pd.Series(values, name="x"))
    assert {one.column for one in findings} <= {"x"}
    assert all(one.share == pytest.approx(one.count / len(values)) for one in findings)
    return [(one.check, one.count, one.examples) for one in findings]


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("int64", [1, 2], []),
        ("int64", [1.0, -2.0, NAN], []),
        ("int64", [1.5, 2.0, NAN, -0.5], [("not_an_integer", 2, ["1.5", "-0.5"])]),
        ("int64", [np.inf, 1.0, -np.inf, NAN], [("not_finite", 2, ["inf", "-inf"])]),
        ("float64", [1.5, NAN], []),
        ("float64", [0.5, np.inf], [("not_finite", 1, ["inf"])]),
        ("float64", ["1.5", "a", None, "b"], [("not_a_number", 2, ["a", "b"])]),
        ("int64", ["1", "2.5", None], [("not_an_integer", 1, ["2.5"])]),
        ("float64", [True, False], [("not_a_number", 2, ["True", "False"])]),
        ("float64", [DAY, pd.NaT], [("not_a_number", 1, ["2026-01-31 00:00:00"])]),
        ("bool", [True, False], []),
        ("bool", ["true", "false", None], []),
        ("bool", [False, "true", None], []),
        ("bool", [True, "yes", None, 7], [("not_boolean", 2, ["yes", "7"])]),
        ("datetime64[us]", ["2026-01-31", "2026-01-31T12:00:00", None], []),
        ("datetime64[us]", ["31.1.2026", None, "2026-01-31"], [("not_a_date", 1, ["31.1.2026"])]),
        ("datetime64[us]", [DAY, pd.NaT], []),
        ("category", ["a", None], []),
        ("str", ["a", None], []),
        ("str", [7, None], []),
    ],
)
def test_a_value_has_the_type_of_its_column(dtype: str, values: Any, expected: Any) -> None:
    assert found(column(dtype, nullable=True), values) == expected


def test_the_rest_of_a_column_with_a_wrong_type_is_checked_too() -> None:
    rule = column("int64", greater_than=0)
    expected = [("not_a_number", 1, ["a"]), ("missing_value", 1, ["nan"])]
    assert found(rule, ["a", "1", "2"]) == expected
    assert found(rule, ["1", "-2", "3"]) == [("greater_than(0)", 1, ["-2"])]
    expected = [("not_boolean", 1, ["no"]), ("missing_value", 1, ["nan"])]
    assert found(column("bool"), ["true", "no", "false"]) == expected
    expected = [("not_a_number", 2, ["True", "False"]), ("missing_value", 2, ["nan"])]
    assert found(column("float64"), [True, False]) == expected
    dates = column("datetime64[us]", nullable=True, less_than=DAY.to_pydatetime())
    late = [("not_a_date", 1, ["?"]), (f"less_than({DAY})", 1, ["2026-02-01 00:00:00"])]
    assert found(dates, ["2026-01-01", "?", "2026-02-01"]) == late
    words = column("bool", nullable=True)
    assert found(words, ["true", "no", "no"]) == [("not_boolean", 2, ["no"])]


def test_examples_are_three_and_different() -> None:
    assert found(column("float64"), list("aabcd1"))[0] == (("not_a_number", 5, ["a", "b", "c"]))


CHECKS: list[tuple[str, Any, list[Any], list[Any]]] = [  # name, value, good values, bad ones
    ("in_range", {"min_value": 1, "max_value": 3}, [1, 2, 3], [0, 4]),
    ("in_range", {"min_value": 1, "max_value": 3, "include_max": False}, [1, 2], [3]),
    ("in_range", {"min_value": 1, "max_value": 3, "include_min": False}, [2, 3], [1]),
    ("greater_than", 1, [2, 3], [1, 0]),
    ("greater_than_or_equal_to", 1, [1, 2], [0]),
    ("less_than", 3, [1, 2], [3, 4]),
    ("less_than_or_equal_to", 3, [2, 3], [4]),
    ("isin", [1, 3], [1, 3, 3], [2]),
    ("notin", [1, 3], [2, 2], [1, 3]),
]


@pytest.mark.parametrize(("check", "value", "good", "bad"), CHECKS)
@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_a_check_holds_up_to_its_limits(
    dtype: str, check: str, value: Any, good: list[Any], bad: list[Any]
) -> None:
    rule = column(dtype, nullable=True, **{check: value})
    gap = [NAN] if dtype == "float64" else []
    assert clear(rule, pd.Series([*gap, *good, *gap], name="x")), "no row is looked at"
    assert found(rule, [*gap, *good]) == []
    for one in bad:
        assert not clear(rule, pd.Series([*good, one, *gap], name="x"))
        [(name, count, examples)] = found(rule, [*good, one, *gap])
        assert (name.startswith(check), count, float(examples[0])) == (True, 1, one)


def test_levels_of_text_are_those_that_occur() -> None:
    rule = column("category", nullable=True, isin=["a", "b"])
    values = pd.Series(pd.Categorical(["a", None, "b"], ["b", "unused", "a"]), name="x")
    assert clear(rule, values)
    values.iloc[0] = "unused"
    assert not clear(rule, values)
    assert found(rule, values) == [("isin(['a', 'b'])", 1, ["unused"])]
    words = column("str", notin=["b"])
    assert clear(words, pd.Series(["a", "c"]))
    assert not clear(words, pd.Series(["b", "a"]))


def test_dates_have_a_first_and_a_last() -> None:
    rule = column("datetime64[us]", in_range={"min_value": DAY.date(), "max_value": DAY.date()})
    assert clear(rule, pd.Series([DAY, DAY]))
    assert not clear(rule, pd.Series([DAY, DAY + pd.Timedelta("1D")]))


@pytest.mark.parametrize("values", [[3, 1, 2], ["c", "a", "b"], [0.5, 0.25, NAN]])
def test_values_may_have_to_be_there_and_to_differ(values: list[Any]) -> None:
    kind = {int: "int64", str: "str", float: "float64"}[type(values[0])]
    rule = column(kind, nullable=True, unique=True)
    assert clear(rule, pd.Series(values))
    assert not clear(rule, pd.Series([*values, values[0]]))
    [(name, count, examples)] = found(rule, [*values, values[0]])
    assert (name, count, examples) == ("repeated_value", 2, [str(values[0])])
    strict = column(kind)
    assert clear(strict, pd.Series(values)) == (kind != "float64")
    assert not clear(strict, pd.Series([*values, None]))
    [(name, count, _)] = found(strict, [*values[:2], None])
    assert (name, count) == ("missing_value", 1)


def test_a_check_without_a_short_cut_is_panderas() -> None:
    rule = column("str", nullable=True, str_length={"max_value": 2})
    assert not clear(rule, pd.Series(["a"]))
    assert found(rule, ["a", "bb"]) == []
    assert found(rule, ["a", "bbb", "ccc", None]) == [("str_length(None, 2)", 2, ["bbb", "ccc"])]


def test_names_are_missing_unknown_or_out_of_order() -> None:
    columns = {"a": {"dtype": "int64"}, "bee": {"dtype": "int64", "required": False}}
    loose = schema(columns)
    assert check_schema.check_names(loose, ["other", "a"], 4) == []
    assert check_schema.check_names(loose, ["bee", "a"], 4) == []
    [missing] = check_schema.check_names(loose, ["bee"], 4)
    assert missing[:4] == ("missing_column", "a", 4, 1.0)
    assert "schema.yaml requires it" in missing.message
    strict = schema(columns, strict=True, ordered=True)
    [unknown] = check_schema.check_names(strict, ["a", "beee"], 4)
    assert unknown[:4] == ("unknown_column", "beee", 4, 1.0)
    assert unknown.message.endswith("take it out (did you mean 'bee'?)")
    [order] = check_schema.check_names(strict, ["bee", "a"], 4)
    assert order[:4] == ("column_order", "", 4, 1.0)
    assert order.message == "want a, bee"


def test_a_table_in_memory_is_checked_by_name_and_by_column() -> None:
    rules = schema(
        {"a": {"dtype": "int64"}, "b": {"dtype": "int64"}, "c": {"dtype": "int64"}}, strict=True
    )
    frame = pd.DataFrame({"a": [1.5, 1.0], "c": [2.5, 0.5], "d": [1, 1]})
    findings = check_schema.check_frame(rules, frame)
    assert [(one.check, one.column, one.count) for one in findings] == [
        ("missing_column", "b", 2),
        ("unknown_column", "d", 2),
        ("not_an_integer", "a", 1),
        ("not_an_integer", "c", 2),
    ]


@pytest.mark.parametrize(
    ("dtype", "checks", "message"),
    [
        ("int64", {"isinn": [1]}, r"isinn: unknown check \(did you mean 'isin'\?\)"),
        (
            "int64",
            {"in_range": {"min_valu": 1}},
            r"min_valu: unknown key \(did you mean 'min_value",
        ),
        ("int64", {"greater_than": {"min_value": 1, "options": {}}}, "options: unknown key"),
        ("int64", {"isin": {"args": [1]}}, "args: unknown key"),
        ("int64", {"in_range": {"include_max": 1}}, "include_max: found 1; want true or false"),
        ("int64", {"isin": [1, "a"]}, r"isin.allowed_values: .* want a list, each value a number"),
        ("int64", {"isin": []}, "want a list, each value a number"),
        ("int64", {"isin": 1}, "want a list, each value a number"),
        ("int64", {"unique_values_eq": 1}, "want a list, each value a number"),
        ("int64", {"notin": [True]}, "want a list, each value a number"),
        ("float64", {"less_than": NAN}, "found nan; want a number"),
        ("float64", {"less_than": "a"}, "less_than.max_value: found 'a'; want a number"),
        ("category", {"isin": [1]}, "want a list, each value text"),
        ("str", {"str_matches": 1}, "str_matches.pattern: found 1; want text"),
        ("str", {"str_length": {"max_value": "2"}}, "found '2'; want a whole number"),
        ("bool", {"equal_to": 1}, "found 1; want true or false"),
        ("datetime64[us]", {"less_than": 2026}, "found 2026; want a date such as 2026-01-31"),
    ],
)
def test_a_check_that_cannot_be_meant_is_named(dtype: str, checks: Any, message: str) -> None:
    with pytest.raises(Problem, match=rf"^schema.yaml: columns\.x\.checks\..*{message}"):
        column(dtype, **checks)


@pytest.mark.parametrize(
    ("dtype", "checks"),
    [
        ("bool", {"equal_to": True}),
        ("category", {"isin": ["a"]}),
        ("datetime64[us]", {"less_than": DAY.date()}),
        ("str", {"str_length": {"min_value": 1, "max_value": 2}}),
        ("str", {"str_startswith": "a"}),
        ("float64", {"in_range": {"min_value": 1, "max_value": 2.5, "include_min": False}}),
        ("int64", {"isin": {"allowed_values": [1, 2]}}),
    ],
)
def test_a_check_that_can_be_meant_is_taken(dtype: str, checks: Any) -> None:
    assert len(column(dtype, **checks).checks) == 1


def test_mistakes_are_told_together_and_yaml_1_1_is_not_trusted() -> None:
    text = "schema_type: dataframe\ncolumns:\n  x:\n    dtype: float64\n    checks:\n"
    checks = "      lessthan: 1\n      isinn: [1]\n      greater_than: 1e-5\n"
    Path("schema.yaml").write_text(text + checks)
    with pytest.raises(Problem) as problem:
        load_schema()
    first, second, third = str(problem.value).split("\n")
    assert "checks.lessthan: unknown check" in first
    assert "checks.isinn: unknown check" in second
    assert third.startswith("schema.yaml: columns.x: YAML 1.1 reads it otherwise")


def test_what_pandera_would_not_do_must_be_off() -> None:
    for key in ("coerce", "regex"):
        with pytest.raises(Problem, match=f"columns.x.{key}: found True; must be false"):
            schema({"x": {"dtype": "int64", key: True}})
