"""Refuse bad data, telling everything that is wrong with it at once."""

from typing import Any

import numpy as np

from core.errors import Problem, Refused
from core.files import read_json, write_json
from core.paths import REFERENCE, VALIDATED, VALIDATION
from core.runner import run_stage
from core.validation import check_schema, column_drift, findings
from core.validation.findings import Finding
from core.validation.schema import load_schema
from pipeline import data_checks, dataset
from pipeline.params import Params, load_params

COUNTS = ("bins", "before", "after")  # of a column's drift: for its picture


@np.errstate(over="ignore")  # a number beyond float32 counts as infinite
def validate(params: Params) -> tuple[list[Finding], dict[str, Any]]:
    """All findings about the prepared data, and the drift of every column.

    One column is in memory at a time. Raises `Problem` when schema.yaml or the
    reference profile cannot be used.
    """
    schema, reference = load_schema(), _reference()
    data, limits = params.data, params.validation
    names, sizes = dataset.names(), data_checks.sizes()
    rows = sum(sizes)
    problems = check_schema.check_names(schema, names, rows)
    problems += data_checks.named_columns(data, names) + data_checks.size(rows, params)

    target = dataset.column(data.target)
    if data.task != "regression":
        problems += data_checks.classes(target, limits, params.prepare.sample)
    aside = {data.id, data.time, data.label_time}
    compared = [name for name in data_checks.watched(data, names) if name in reference]
    drift_limits = data_checks.drift_limits(limits, len(compared))
    copies = np.zeros(rows, np.uint64)
    drift: dict[str, Any] = {}
    for name in names:
        values = dataset.column(name)
        if name in schema.columns:
            problems += check_schema.check_column(schema.columns[name], values)
        if name not in aside:
            copies = copies * np.uint64(1_000_003) ^ data_checks.fingerprint(values)
        if name not in data.aside():
            problems += data_checks.same_value(values, limits)
            leakage = data_checks.leakage(values[: sizes[0]], target[: sizes[0]], data.task)
            problems += data_checks.leaks(name, leakage, rows, limits)
        if name in compared:
            row, changes = column_drift.compare(name, reference[name], values, drift_limits)
            problems += data_checks.drifted(changes, rows)
            if row:
                drift[name] = {key: row[key] for key in row if key not in COUNTS}
    problems += data_checks.copies(copies, sizes, limits)
    if data.time and data.label_time in names:
        problems += data_checks.late(
            dataset.column(data.time), dataset.column(str(data.label_time))
        )
    return problems, drift


def _reference() -> dict[str, Any]:
    """Profiles of the columns as they were when the reference was taken; {} for none yet."""
    content = read_json(REFERENCE)
    if not isinstance(content.get("columns", {}), dict):
        raise Problem(f"{REFERENCE}: not a profile; copy reports/profile.json there")
    columns: dict[str, Any] = content.get("columns", {})
    return columns


def main() -> None:
    """`python -m pipeline.validate`: exit 0 good, 1 bad data."""
    problems, drift = validate(load_params())
    report = {
        "passed": not problems,
        "rows": sum(data_checks.sizes()),
        "problems": [one._asdict() for one in problems],
        "drift": drift,
    }
    write_json(VALIDATION, report)
    if problems:
        findings.show(problems)
        raise Refused(f"{len(problems)} problems, also in {VALIDATION}; training does not start")
    if not drift:
        print(
            f"no reference profile to measure drift against; make this data the reference: "
            f"cp reports/profile.json {REFERENCE}"
        )
    write_json(VALIDATED, {"passed": True})
    print(f"validated {report['rows']:,} rows in {len(dataset.names())} columns: nothing wrong")


if __name__ == "__main__":
    run_stage("validate", main)
