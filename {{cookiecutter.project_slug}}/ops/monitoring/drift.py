"""Has the live data, or what the model answers to it, drifted from what the model knows?"""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from core import tables
from core.errors import Problem, Refused
from core.files import github_output, write_json
from core.paths import REFERENCE
from core.tables import to_pandas
from core.validation import column_drift
from core.validation.column_drift import Finding
from ops.monitoring import plot_drift, reference
from ops.monitoring.reference import ANSWER, STAMPS, Reference
from pipeline import data_checks
from pipeline.params import load_params

REPORT = Path("reports/drift.json")
PICTURE = Path("reports/drift.png")


def measure(live: pd.DataFrame, against: Reference) -> dict[str, Any]:
    """Everything about the drift of `live` (a row per request), JSON-ready.

    `drift` says whether any finding is more than chance and more than the limits of params.yaml.
    Raises `Problem` (exit 2) where it cannot be measured.
    """
    params = load_params()
    columns, inputs = dict(against.columns), against.inputs()
    if ANSWER in live and ANSWER not in columns and against.model:
        columns[ANSWER] = reference.answers(against)
        classes = against.model.classes
        if against.model.task == "multiclass":
            live = live.assign(**{ANSWER: reference.labels(live[ANSWER], classes)})
    findings = [
        Finding("gone", name, "the model needs this column") for name in inputs if name not in live
    ]
    compared = {*inputs, *data_checks.watched(params.data, columns)}
    both = [name for name in columns if name in live and name in compared]
    if not both and not findings:
        raise Problem(f"not one column is the same: {', '.join(map(str, live))[:200]}")
    limits = data_checks.drift_limits(params.validation, len(both))
    table: dict[str, Any] = {}
    for name in both:
        row, changes = column_drift.compare(name, columns[name], live[name], limits)
        findings += changes
        table |= {name: row} if row else {}
    findings += [
        Finding("new", str(name), "the model does not know this column", drift=False)
        for name in live
        if name not in columns and name not in (ANSWER, *STAMPS)
    ]
    drifted = sorted({one.column for one in findings if one.drift})
    known = "compared" if ANSWER in columns else "no model"
    return {
        "drift": bool(drifted),
        "drifted": drifted,
        "compared": len(both),
        "answers": known if ANSWER in live else "not captured",
        "reference": {
            "what": against.what,
            "name": against.name,
            "commit": against.commit,
            "rows": against.rows,
        },
        "rows": len(live),
        "findings": [one._asdict() for one in findings],
        "columns": table,
    }


def record(report: dict[str, Any]) -> None:
    """Write reports/drift.json and, a picture per column, reports/drift.png."""
    write_json(REPORT, report)
    plot_drift.sheet(report, PICTURE)


def show(report: dict[str, Any]) -> None:
    """Print the columns with their numbers, drifted ones first, and the findings."""
    table = Table(Column("column", overflow="fold"), "psi", "limit", "p", "missing", "verdict")
    for name, row in sorted(report["columns"].items(), key=_far):
        numbers = (row["psi"], row["limit"], row["ks_p" if "ks" in row else "chi2_p"])
        missing = f"{row['missing']:.1%} ({row['missing_before']:.1%})"
        cells = [*(f"{one:.3g}" for one in numbers), missing]
        table.add_row(escape(name), *cells, "[bold red]drift" if row["drift"] else "")
    console = Console(width=None if Console().is_terminal else 120)
    console.print(table)
    for one in report["findings"]:
        kind = "drift" if one["drift"] else "note"
        console.print(
            escape(f"{kind}: {one['column']}: {one['check']}: {one['message']}"),
            highlight=False,
            soft_wrap=True,
        )
    against = report["reference"]
    answers = {
        "compared": "",
        "not captured": f"; no column {ANSWER!r}: answers were not compared",
        "no model": f"; {against['name']} has no model: answers were not compared",
    }[report["answers"]]
    rows = f"{report['rows']:,} rows against {against['rows']:,} of {against['name']}"
    console.print(escape(f"{rows}{answers}"), highlight=False, soft_wrap=True)


def _far(one: tuple[str, dict[str, Any]]) -> tuple[bool, float]:
    return not one[1]["drift"], -one[1]["psi"]


def main(
    rows: str, rev: str | None = None, report_only: bool = False, as_json: bool = False
) -> None:
    """`ml drift --live FILE`: exit 0 no drift, 1 drift (0 to report only), 2 not judged."""
    for stale in (REPORT, PICTURE):
        stale.unlink(missing_ok=True)
    against = reference.find(rev)
    if not against:
        raise Problem(f"nothing to compare with: no model, and {REFERENCE} is empty")
    report = measure(to_pandas(tables.read(rows)), against)
    record(report)
    github_output(drift=report["drift"])
    message = f"{', '.join(report['drifted'])} drifted; see {REPORT} and {PICTURE}"
    if as_json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        show(report)
    if report["drift"] and not report_only:
        raise Refused(message)
    if not as_json:
        print(message if report["drift"] else "no drift")
