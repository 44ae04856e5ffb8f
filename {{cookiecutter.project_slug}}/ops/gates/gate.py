"""Judge the model by gates.yaml: 0 passed, 1 refused, 2 could not judge."""

import json
from collections import Counter
from typing import Any

from rich.console import Console
from rich.markup import escape

from core.errors import Problem, Refused
from core.files import lock, write_json
from core.paths import BASELINE, COST, MODEL, QUALITY, SLICES, VERDICT
from ops.dvc_lock import check_outputs, stale
from ops.gates import behaviour, fairness, regression, thresholds
from ops.gates.context import Evidence, Judgement
from ops.gates.gates_yaml import Gates, load_gates
from pipeline import dataset
from pipeline.params import load_params

KINDS = {
    "performance": thresholds.performance,
    "calibration": thresholds.calibration,
    "latency": thresholds.latency,
    "size": thresholds.size,
    "memory": thresholds.memory,
    "fairness": fairness.fairness,
    "behaviour": behaviour.behaviour,
    "invariance": behaviour.invariance,
    "direction": behaviour.direction,
    "stability": behaviour.stability,
}
NO_BASELINE = {"what": None, "name": None, "commit": None, "rows": "other"}


@lock()
def judge(rev: str | None = None) -> dict[str, Any]:
    """Judge the model in models/ and write reports/gates.json, whose content this returns.

    The baseline is the model at `rev`, else the one in production, else main's, else the linear
    one. Raises `Problem` (exit 2), after writing the reason, where it cannot judge: what cannot
    be judged has not passed.
    """
    VERDICT.unlink(missing_ok=True)
    try:
        verdict = _judge(rev)
    except Problem as problem:
        write_json(VERDICT, _not_judged(problem))
        raise Problem(str(problem)) from None
    write_json(VERDICT, verdict)
    return verdict


def _not_judged(problem: Problem) -> dict[str, Any]:
    why = {"verdict": "could not judge", "why": str(problem), "baseline": None, "rows": 0}
    return why | {"gates": [], "comparison": {}}


def _judge(rev: str | None) -> dict[str, Any]:
    asked = load_gates()
    if why := list(stale()):
        raise Problem("\n".join(["the model here is not up to date; dvc repro", *why]))
    check_outputs(MODEL, BASELINE, dataset.path("test"))
    evidence = Evidence(load_params())
    if evidence.not_finite:
        note = f"of {len(evidence.test)} test rows; nothing else was judged"
        bad = Judgement(
            "stability", "answers not finite", evidence.not_finite, "<= 0", False, note=note
        )
        return _verdict(evidence, [bad], NO_BASELINE | {"note": "it has no scores to compare"}, {})
    judged: list[Judgement] = []
    for name, kind in KINDS.items():
        if getattr(asked, name) != "off":
            judged += kind(asked, evidence)
    about, table = _compare(asked, evidence, rev, judged)
    check_outputs(QUALITY, COST, SLICES)
    return _verdict(evidence, judged, about, table)


def _verdict(
    evidence: Evidence, judged: list[Judgement], about: dict[str, Any], table: dict[str, Any]
) -> dict[str, Any]:
    return {
        "verdict": "passed" if all(one.passed for one in judged) else "refused",
        "baseline": about,
        "rows": len(evidence.test),
        "gates": [one._asdict() for one in sorted(judged, key=lambda one: one.passed)],
        "comparison": table,
    }


def _compare(
    asked: Gates, evidence: Evidence, rev: str | None, judged: list[Judgement]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What it was compared with, and how; without the gate, what cannot be compared is a note."""
    wanted = asked.regression
    try:
        against = regression.find(rev, evidence.model)
        confidence = None if wanted == "off" else wanted.confidence
        table = regression.compare(evidence, against, confidence or regression.CONFIDENCE)
    except Problem as problem:
        if wanted != "off" or rev:
            raise
        return NO_BASELINE | {"note": str(problem)}, {}
    if wanted != "off":
        judged += regression.regression(asked, against, table)
    about = against._asdict()
    del about["model"]
    return about, table


def show(verdict: dict[str, Any], show_all: bool = False) -> None:
    """Print what failed, a line for each kind that passed (or each check), and the baseline."""
    console = Console(highlight=False, soft_wrap=False)
    checks = verdict["gates"]
    for one in checks:
        if one["passed"] and not show_all:
            continue
        interval = "" if one["low"] is None else f" ({one['low']:.4g} to {one['high']:.4g})"
        mark = "[green]passed [/]" if one["passed"] else "[bold red]refused[/]"
        console.print(f"{mark}  {one['gate']}: {escape(one['about'])}")
        console.print(f"         {one['value']:.4g}{interval}, wanted {escape(one['limit'])}")
        if one["note"]:
            console.print(f"         {escape(one['note'])}", style="dim" if one["passed"] else None)
    failed = {one["gate"] for one in checks if not one["passed"]}
    for kind, count in Counter(one["gate"] for one in checks).items():
        if not show_all and kind not in failed:
            console.print(
                f"[green]passed [/]  {kind}" + (f" ({count} checks)" if count > 1 else "")
            )
    against = verdict["baseline"]
    if against["what"]:
        console.print(
            f"baseline: {', '.join(dict.fromkeys((against['what'], against['name'])))}",
            markup=False,
        )
    if against["what"] and against["rows"] == "other":
        console.print(
            "it was tested on other rows: here it is scored again, on some that it may have been "
            "trained on"
        )
    if against["note"]:
        console.print(f"note: {against['note']}", markup=False)


def main(baseline: str | None = None, show_all: bool = False, as_json: bool = False) -> None:
    """`ml gate`: exit 0 passed, 1 refused, 2 could not judge."""
    try:
        verdict = judge(baseline)
    except Problem as problem:
        if as_json:
            print(json.dumps(_not_judged(problem)))
        raise
    if as_json:
        print(json.dumps(verdict))
    else:
        show(verdict, show_all)
    if refused := [one["about"] for one in verdict["gates"] if not one["passed"]]:
        raise Refused(f"the model is refused: {'; '.join(refused)}")
    if not as_json:
        more = "" if show_all else "; `ml gate --all` lists the checks"
        print(f"the model passed every gate{more}")
