"""Markdown as GitHub shows it: names from data stay text, tables stay whole, length is bounded."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

LIMIT = 64_900  # GitHub refuses a comment of more than 65,536 characters
WIDTH = 60  # characters of a name that are shown
ROWS = (150, 60, 25, 8, 0)  # rows per table, tried until the report is short enough
INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs"}  # control, invisible, reversing, no character at all
LEFT_OUT = "Left out here: the report would be too long for a comment."
Row = Iterable[str]


class Part(NamedTuple):
    """A section; without a title it brings its own. `text(rows)` cuts tables to so many rows."""

    title: str
    text: Callable[[int], str]
    weight: int  # the lightest are shortened first


def one_line(text: Any, most: int) -> str:
    """Text without line breaks and invisible characters, at most so long."""
    seen = visible(" ".join(str(text)[: 4 * most].split()))
    return seen if len(seen) <= most and len(str(text)) <= 4 * most else f"{seen[: most - 1]}…"


def visible(text: str) -> str:
    """Control characters, and those that cannot be seen or turn text around, made plain."""
    return "".join("\ufffd" if unicodedata.category(c) in INVISIBLE else c for c in text)


def code(text: Any, most: int = WIDTH) -> str:
    """Text as an inline code span: nothing in it is Markdown, HTML, a link or a mention.

    A bar would end the cell of a table, even in code; it stands between two spans.
    """
    parts = [_span(part) for part in one_line(text, most).split("|")]
    return "&#124;".join(parts) if any(parts) else "`(empty)`" if len(parts) == 1 else "`(bars)`"


def _span(text: str) -> str:
    if not text.strip():
        return ""
    runs = [len(run) for run in re.findall("`+", text)]
    fence = "`" * next(n for n in range(1, len(runs) + 2) if n not in runs)
    space = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{space}{text}{space}{fence}"


def fence(lines: Iterable[str], language: str = "") -> str:
    """A block of code that nothing in the lines can end."""
    text = "\n".join(lines)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{text}\n{marks}"


def is_finite(value: Any) -> bool:
    """Whether it is a number to print: finite, and no integer beyond all floats."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < 1e300


def number(value: Any, digits: int = 4) -> str:
    """A number for people; what is none is shown as it is, in code."""
    if not is_finite(value):
        return "" if value is None else code(value)
    size = abs(value)
    if size < 1e15 and (isinstance(value, int) or (size >= 10 and value == int(value))):
        return f"{int(value):,}"
    if size >= 1000:
        return f"{value:,.0f}" if size < 1e15 else f"{value:.3e}"
    if size == 0 or size >= 0.5 * 10**-digits:
        return f"{value:.{max(0, digits - sum(size >= bound for bound in (1, 10, 100)))}f}"
    return f"{value:.1e}"


def signed(value: Any, digits: int = 4) -> str:
    """A difference, with its sign, to the digits that its score is shown with."""
    if not is_finite(value):
        return number(value, digits)
    text = f"{abs(value):.{digits}f}" if abs(value) < 10 else number(abs(value), digits)
    zero = not text.strip("0.")
    return text if zero else f"{'+' if value > 0 else '-'}{text}"


def table(heads: list[str], rows: Iterable[Row], right: Iterable[int] = ()) -> str:
    """A table; the columns `right` are aligned there. Cells are Markdown already."""
    marks = ["---:" if i in set(right) else "---" for i in range(len(heads))]
    lines = [" | ".join(row) for row in ([*heads], marks, *map(list, rows))]
    return "\n".join(f"| {line} |" for line in lines)


def truncate(rows: list[Any], most: int, where: object) -> tuple[list[Any], str]:
    """The first rows, and a line that says how many more there are, and where."""
    more = len(rows) - most
    return rows[:most], f"\n\n… and {more:,} more in `{where}`" if more > 0 else ""


def fold(summary: str, text: str) -> str:
    """Text behind a click; `summary` is HTML and holds nothing that comes from data."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def length(text: str) -> int:
    """Characters as JavaScript counts them, which is never less than Python does."""
    return len(text) + sum(c > "\uffff" for c in text)


def fit(head: str, parts: list[Part], limit: int = LIMIT) -> str:
    """The head and the sections, the least important ones shortened until all of it fits."""
    texts = [_titled(part, ROWS[0]) for part in parts]
    for level in ROWS[1:]:
        for i in sorted(range(len(parts)), key=lambda i: parts[i].weight):
            if length(head) + sum(length(text) + 2 for text in texts) < limit:
                break
            texts[i] = _titled(parts[i], level)
    return "\n\n".join([head, *filter(None, texts)]) + "\n"


def _titled(part: Part, rows: int) -> str:
    text = part.text(rows or 1)
    if text and not rows:
        text = LEFT_OUT
    return f"#### {part.title}\n\n{text}" if text and part.title else text
