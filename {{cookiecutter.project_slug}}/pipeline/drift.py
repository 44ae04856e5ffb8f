"""Has the live data, or what the model answers to it, moved away from what the model knows?"""

import argparse
import os
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline import config, prepared, raw, stage
from pipeline.errors import Problem
from pipeline.validate import REFERENCE
from pipeline.watching import beside, moved, reference, retraining
from pipeline.watching.moved import Finding
from pipeline.watching.reference import Reference

REPORT = Path("reports/drift.json")
PICTURE = Path("reports/drift.png")
ANSWER = "answer"


def measure(live: pd.DataFrame, against: Reference) -> dict[str, Any]:
    """Everything about the drift of `live` (a row per request), JSON-ready.

    `drift` says whether any finding is more than chance and more than the limits of params.yaml
    and retrain.yaml. Raises `Problem` (exit 2) where it cannot be measured.
    """
    data, limits = config.load().data, retraining.load().drift
    aside = {data.id, data.time, data.label_time, data.group, *data.drop}
    columns, inputs = dict(against.columns), against.inputs()
    if ANSWER in live and ANSWER not in columns and against.model:
        columns[ANSWER] = reference.answers(against)
        classes = against.model.spec["classes"]
        if against.model.spec["task"] == "multiclass":
            live = live.assign(**{ANSWER: reference.labels(live[ANSWER], classes)})
    findings = [
        Finding("gone", name, "the model needs this column") for name in inputs if name not in live
    ]
    both = [name for name in columns if name in live and (name in inputs or name not in aside)]
    if not both and not findings:
        raise Problem(f"not one column is the same: {', '.join(map(str, live))[:200]}", 2)
    share = moved.chance(limits.false_alarms, len(both))
    held = moved.Limits(config.load().validation.max_psi, limits.max_missing, share)
    table: dict[str, Any] = {}
    for name in both:
        row, found = moved.compare(name, columns[name], live[name], held)
        findings += found
        table |= {name: row | {"drift": any(one.drift for one in found)}} if row else {}
    findings += [
        Finding("new", str(name), "the model does not know this column", drift=False)
        for name in live
        if name not in columns and name != ANSWER
    ]
    drifted = sorted({one.column for one in findings if one.drift})
    return {
        "drift": bool(drifted),
        "drifted": drifted,
        "compared": len(both),
        "answers": "compared" if ANSWER in columns and ANSWER in live else "not captured",
        "reference": {"what": against.what, "name": against.name, "commit": against.commit,
                      "rows": against.rows},
        "rows": len(live),
        "findings": [one._asdict() for one in findings],
        "columns": table,
    }  # fmt: skip


def record(found: dict[str, Any]) -> None:
    """Write reports/drift.json and, a picture per column, reports/drift.png."""
    stage.write_json(REPORT, found)
    beside.sheet(found, PICTURE)


def show(found: dict[str, Any]) -> None:
    """Print the columns with their numbers, drifted ones first, and what was found."""
    table = Table("column", "psi", "limit", "KS or chi2", "p", "missing", "before", "verdict")
    for name, row in sorted(found["columns"].items(), key=_far):
        second = "ks" if "ks" in row else "chi2"
        numbers = (row["psi"], row["limit"], row[second], row[f"{second}_p"])
        shares = (row["missing"], row["missing_before"])
        cells = [f"{one:.3g}" for one in numbers] + [f"{one:.1%}" for one in shares]
        table.add_row(escape(name), *cells, "[bold red]drift" if row["drift"] else "")
    console = Console(width=None if Console().is_terminal else 120)
    console.print(table)
    for one in found["findings"]:
        said = "drift" if one["drift"] else "note"
        console.print(escape(f"{said}: {one['column']}: {one['what']}: {one['says']}"),
                      highlight=False, soft_wrap=True)  # fmt: skip
    against = found["reference"]
    answers = "" if found["answers"] == "compared" else f"; no column {ANSWER!r}: answers were not"
    console.print(escape(f"{found['rows']:,} rows against {against['rows']:,} of {against['name']}"
                         f"{answers}"), highlight=False, soft_wrap=True)  # fmt: skip


def _far(one: tuple[str, dict[str, Any]]) -> tuple[bool, float]:
    return not one[1]["drift"], -one[1]["psi"]


def live(path: str | Path) -> pd.DataFrame:
    """A table of live rows. Raises `Problem` (exit 2) where it cannot be read."""
    try:
        return prepared.to_pandas(raw.read(path))
    except Problem as problem:
        raise Problem(str(problem), 2) from None


def main() -> None:
    """`python -m pipeline.drift`: exit 0 no drift, 1 drift (0 to report only), 2 not judged."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.drift", description=__doc__)
    parser.add_argument("--live", metavar="FILE|FOLDER", required=True, help="CSV or Parquet")
    parser.add_argument("--reference", metavar="REV", help="default: production, else HEAD")
    parser.add_argument("--report-only", action="store_true", help="drift is no failure")
    args = parser.parse_args()
    for stale in (REPORT, PICTURE):
        stale.unlink(missing_ok=True)
    against = reference.find(args.reference)
    if not against:
        raise Problem(f"nothing to compare with: no model, and {REFERENCE} is empty", 2)
    found = measure(live(args.live), against)
    record(found)
    show(found)
    if output := os.environ.get("GITHUB_OUTPUT"):
        with open(output, "a", encoding="utf-8") as file:
            file.write(f"drift={str(found['drift']).lower()}\n")
    says = f"{', '.join(found['drifted'])} moved; see {REPORT} and {PICTURE}"
    if found["drift"] and not args.report_only:
        raise Problem(says)
    print(says if found["drift"] else "no drift")


if __name__ == "__main__":
    stage.run("drift", main)
