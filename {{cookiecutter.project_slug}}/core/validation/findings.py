"""What is wrong with the data: one finding per check and column."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

TITLES = {  # of a check, for people; Pandera's own checks have none: in_range(18, 100)
    "column_order": "column order",
    "dated_after_label": "dated after its label",
    "does_not_fit": "does not fit the data",
    "dominant_class": "one class dominates",
    "drift": "drift",
    "duplicate_rows": "duplicate rows",
    "known_id": "id is there already",
    "known_rows": "rows are there already",
    "missing_column": "missing column",
    "missing_label": "missing label",
    "missing_value": "missing value",
    "nearly_constant": "nearly constant",
    "not_a_date": "not a date",
    "not_a_number": "not a number",
    "not_an_integer": "not a whole number",
    "not_boolean": "not true or false",
    "not_finite": "not finite",
    "one_class_only": "one class only",
    "other_columns": "other columns",
    "rare_class": "rare class",
    "repeated_id": "repeated id",
    "repeated_value": "repeated value",
    "target_leak": "gives the target away",
    "test_rows_in_train": "test rows stand in train",
    "too_few_rows": "too few rows",
    "unknown_column": "unknown column",
    "unreadable": "unreadable",
}


class Finding(NamedTuple):
    """A check that failed (a key of TITLES): where, in how many rows, up to three examples."""

    check: str
    column: str
    count: int  # type: ignore[assignment]  # a tuple has a method of this name
    share: float
    examples: list[str]
    message: str = ""


def finding(
    check: str, column: str, count: int, rows: int, examples: Iterable[Any] = (), message: str = ""
) -> Finding:
    """A finding about `count` of `rows` rows; three of the examples are kept."""
    texts = [str(example)[:40] for example in list(examples)[:3]]
    return Finding(check, column, int(count), count / max(1, rows), texts, message)


def show(findings: list[Finding]) -> None:
    """Print the findings as a table."""
    head = f"{len(findings)} problem{'s' * (len(findings) != 1)} in the data"
    table = Table("check", "column", title=head, expand=False)
    table.add_column("rows", justify="right")
    table.add_column("share", justify="right")
    table.add_column("examples, or what would be right")
    for one in findings:
        about = "; ".join([*one.examples, *([one.message] if one.message else [])])
        cells = (
            TITLES.get(one.check, one.check),
            one.column,
            f"{one.count:,}",
            f"{one.share:.2%}",
            about,
        )
        table.add_row(*map(escape, cells))
    Console(width=None if Console().is_terminal else 120).print(table)
