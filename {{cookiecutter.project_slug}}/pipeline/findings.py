"""What is wrong with the data: one finding per check and column."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Finding(NamedTuple):
    """A check that failed: where, for how many rows, with up to three examples."""

    check: str
    column: str
    count: int  # type: ignore[assignment]  # a tuple has a method of this name
    share: float
    examples: list[str]
    says: str = ""


def found(
    check: str, column: str, count: int, rows: int, examples: Iterable[Any] = (), says: str = ""
) -> Finding:
    """A finding about `count` of `rows` rows; three of the examples are kept."""
    texts = [str(example)[:40] for example in list(examples)[:3]]
    return Finding(check, column, int(count), count / max(1, rows), texts, says)


def show(findings: list[Finding]) -> None:
    """Print the findings as a table."""
    title = f"{len(findings)} problem{'s' * (len(findings) != 1)} in the data"
    table = Table("check", "column", title=title, expand=False)
    table.add_column("rows", justify="right")
    table.add_column("share", justify="right")
    table.add_column("examples, or what would be right")
    for one in findings:
        about = "; ".join([*one.examples, *([one.says] if one.says else [])])
        cells = (one.check, one.column, f"{one.count:,}", f"{one.share:.2%}", about)
        table.add_row(*map(escape, cells))
    Console(width=None if Console().is_terminal else 120).print(table)
