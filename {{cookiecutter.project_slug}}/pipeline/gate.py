"""Judge the model by gates.yaml: 0 passed, 1 refused, 2 could not judge."""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline import config, stage
from pipeline.errors import Problem
from pipeline.judging import behaviour, gates, limits, regression
from pipeline.judging.evidence import Evidence, Judgement

VERDICT = Path("reports/gates.json")
KINDS = {
    **{kind.__name__: kind for kind in (limits.performance, limits.calibration, limits.latency)},
    **{kind.__name__: kind for kind in (limits.size, limits.memory, limits.fairness)},
    **{kind.__name__: kind for kind in (behaviour.behaviour, behaviour.invariance)},
    **{kind.__name__: kind for kind in (behaviour.direction, behaviour.stability)},
}


def judge(rev: str | None = None) -> dict[str, Any]:
    """Judge the model in models/ and write reports/gates.json, whose content this returns.

    The baseline is the model at `rev`, else the one in production, else main's, else the plain
    one. Raises `Problem` (exit 2), after writing the reason, where it cannot judge: what cannot
    be judged has not passed.
    """
    VERDICT.unlink(missing_ok=True)
    try:
        verdict = _judge(rev)
    except Problem as problem:
        why = {"verdict": "could not judge", "why": str(problem), "baseline": None, "rows": 0}
        stage.write_json(VERDICT, why | {"gates": [], "comparison": {}})
        raise Problem(str(problem), 2) from None
    stage.write_json(VERDICT, verdict)
    return verdict


def _judge(rev: str | None) -> dict[str, Any]:
    asked, found = gates.load(), Evidence(config.load())
    judged: list[Judgement] = []
    for name, kind in KINDS.items():
        if getattr(asked, name) != "off":
            judged += kind(asked, found)
    about, table = _compare(asked, found, rev, judged)
    passed = all(one.passed for one in judged)
    return {
        "verdict": "passed" if passed else "refused",
        "baseline": about,
        "rows": len(found.test),
        "gates": [one._asdict() for one in sorted(judged, key=lambda one: one.passed)],
        "comparison": table,
    }


def _compare(
    asked: gates.Gates, found: Evidence, rev: str | None, judged: list[Judgement]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What it was compared with, and how; without the gate, what cannot be compared is a note."""
    wanted = asked.regression
    try:
        against = regression.find(rev, found.model.spec)
        confidence = None if wanted == "off" else wanted.confidence
        table = regression.compare(found, against, confidence or regression.CONFIDENCE)
    except Problem as problem:
        if wanted != "off" or rev:
            raise
        nothing = {"what": None, "name": None, "commit": None, "rows": "other"}
        return nothing | {"note": str(problem)}, {}
    if wanted != "off":
        judged += regression.regression(asked, against, table)
    about = against._asdict()
    del about["model"]
    return about, table


def show(verdict: dict[str, Any]) -> None:
    """Print the judgements as a table, failed ones first."""
    table = Table("gate", "about", "value", "limit", "verdict", "note")
    for one in verdict["gates"]:
        low, high = one["low"], one["high"]
        interval = "" if low is None else f" ({low:.4g} to {high:.4g})"
        said = "passed" if one["passed"] else "[bold red]refused"
        cells = (one["about"], f"{one['value']:.4g}{interval}", one["limit"])
        table.add_row(one["gate"], *map(escape, cells), said, escape(one["note"]))
    console = Console(width=None if Console().is_terminal else 140)
    console.print(table)
    against = verdict["baseline"]
    if against["what"]:
        named = dict.fromkeys((against["what"], escape(against["name"])))
        console.print(f"baseline: {', '.join(named)}", highlight=False)
    if against["what"] and against["rows"] == "other":
        console.print("it was tested on other rows: here it is scored again, on some that it may "
                      "have been trained on", highlight=False)  # fmt: skip
    if against["note"]:
        console.print(f"note: {escape(against['note'])}", highlight=False)


def main() -> None:
    """`python -m pipeline.gate`"""
    parser = argparse.ArgumentParser(prog="python -m pipeline.gate", description=__doc__)
    parser.add_argument("--baseline", metavar="REV", help="default: production, else main")
    verdict = judge(parser.parse_args().baseline)
    show(verdict)
    refused = [one["about"] for one in verdict["gates"] if not one["passed"]]
    if refused:
        raise Problem(f"the model is refused: {'; '.join(refused)}")
    print("the model passed every gate")


if __name__ == "__main__":
    stage.run("gate", main)
