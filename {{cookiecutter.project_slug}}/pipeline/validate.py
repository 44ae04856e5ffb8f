"""Refuse bad data, telling everything that is wrong with it at once."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline import checks, config, conform, contract, findings, prepared, profile, stage
from pipeline.errors import Problem
from pipeline.findings import Finding

REPORT = Path("reports/validation.json")
VALIDATED = Path("reports/validated.json")  # says no more than yes: train waits for it
REFERENCE = Path("data/reference/profile.json")


def validate(params: config.Params) -> tuple[list[Finding], dict[str, Any]]:
    """All findings about the prepared data, and the drift of every column.

    One column is in memory at a time. Raises `Problem` when schema.yaml or the
    reference profile cannot be used.
    """
    schema, reference = contract.load(), _reference()
    data, limits = params.data, params.validation
    names, sizes = prepared.names(), checks.sizes()
    rows = sum(sizes)
    problems = conform.check_names(schema, names, rows)
    problems += checks.named_columns(data, names) + checks.size(rows, params)

    target = prepared.column(data.target)
    if data.task != "regression":
        problems += checks.classes(target, limits, params.prepare.sample)
    aside = {data.id, data.time, data.label_time}
    copies = np.zeros(rows, np.uint64)
    drift: dict[str, Any] = {}
    for name in names:
        values = prepared.column(name)
        if name in schema.columns:
            problems += conform.check_column(schema.columns[name], values)
        if name not in aside:
            copies = copies * np.uint64(1_000_003) ^ checks.fingerprint(values)
        if name not in data.aside():
            problems += checks.same_value(values, limits)
            told = checks.leakage(values[: sizes[0]], target[: sizes[0]], data.task)
            problems += checks.leaks(name, told, rows, limits)
        if name in reference and name not in aside | {data.group}:
            moved = profile.drift(reference[name], values)
            if moved:
                drift[name] = moved
                problems += checks.drifted(name, moved, rows, limits)
    problems += checks.copies(copies, sizes, limits)
    if data.time and data.label_time in names:
        problems += checks.late(prepared.column(data.time), prepared.column(str(data.label_time)))
    return problems, drift


def _reference() -> dict[str, Any]:
    """Profiles of the columns as they were when the reference was taken; {} for none yet."""
    content = stage.read_json(REFERENCE)
    if not isinstance(content.get("columns", {}), dict):
        raise Problem(f"{REFERENCE}: not a profile; copy reports/profile.json there", 2)
    columns: dict[str, Any] = content.get("columns", {})
    return columns


def main() -> None:
    """`python -m pipeline.validate`: exit 0 good, 1 bad data."""
    problems, drift = validate(config.load())
    report = {
        "passed": not problems,
        "rows": sum(checks.sizes()),
        "problems": [one._asdict() for one in problems],
        "drift": drift,
    }
    stage.write_json(REPORT, report)
    if problems:
        findings.show(problems)
        raise Problem(f"{len(problems)} problems, also in {REPORT}; training does not start")
    if not drift:
        print(f"no reference profile to measure drift against; make this data the reference: "
              f"cp reports/profile.json {REFERENCE}")  # fmt: skip
    stage.write_json(VALIDATED, {"passed": True})
    print(f"validated {report['rows']:,} rows in {len(prepared.names())} columns: nothing wrong")


if __name__ == "__main__":
    stage.run("validate", main)
