"""What people change in a project, for pull requests."""

import re
from collections.abc import Callable
from pathlib import Path

Edit = Callable[[Path], None]


def swap(name: str, pattern: str, new: str) -> Edit:
    """Replace the one place in a file that matches."""

    def edit(project: Path) -> None:
        text, count = re.subn(pattern, new, (project / name).read_text())
        assert count == 1, f"{name}: {count} places match {pattern}"
        (project / name).write_text(text)

    return edit


def knob(name: str, value: object) -> Edit:
    """A setting of params.yaml whose name comes up once."""
    return swap("params.yaml", rf"(?m)^(  {name}:) \S+", rf"\1 {value}")


def machine(use: str) -> Edit:
    return swap("machine.yaml", r'(?m)^use: "?[\w-]+"?', f"use: {use}")


REFUSED = swap("gates.yaml", r"roc_auc: \{min: 0.75", "roc_auc: {min: 0.99")
STRICTER = swap("gates.yaml", r"roc_auc: \{min: 0.75", "roc_auc: {min: 0.76")  # and still passed


def docs(project: Path) -> None:
    with (project / "README.md").open("a") as readme:
        readme.write("\nOne line more.\n")


def bad_data(project: Path) -> None:
    """A lender sends ages in months."""
    path = project / "data/raw/sample.csv"
    head, *rows = path.read_text().splitlines()
    column = head.split(",").index("age")
    for number, row in enumerate(rows[:300]):
        cells = row.split(",")
        cells[column] = str(int(cells[column]) * 12)
        rows[number] = ",".join(cells)
    path.write_text("\n".join([head, *rows]) + "\n")


def both(*edits: Edit) -> Edit:
    def edit(project: Path) -> None:
        for one in edits:
            one(project)

    return edit
