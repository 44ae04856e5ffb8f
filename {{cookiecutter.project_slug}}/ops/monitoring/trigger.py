"""Is it time to train again? By retrain.yaml, against the model in production."""

import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.errors import Problem
from core.files import github_output, write_json
from core.git import git
from ops.dvc_lock import is_current
from ops.monitoring import drift, new_rows, performance, reference
from ops.monitoring.reference import Reference
from ops.monitoring.retrain_yaml import Performance, Retraining, load_retrain

REPORT = Path("reports/trigger.json")
DAY = 86_400
SAME = "but HEAD's model comes of just this data, code and these settings: it would be the same"
NAMES = ("schedule", "new_rows", "drift", "performance")


def decide(force: bool | str = False) -> dict[str, Any]:
    """The decision with every number and reason; it is written to reports/trigger.json.

    `force` may say why.

    Without a model in production, HEAD's is what is looked at; without any model, a retraining is
    due. Where HEAD's has learnt from just what lies here, another one would come out the same, and
    only `force` makes it. Raises `Problem` (exit 2) where a trigger that is on cannot be judged,
    unless forced.
    """
    for stale in (REPORT, drift.REPORT, drift.PICTURE):
        stale.unlink(missing_ok=True)
    asked, why = load_retrain(), [force if isinstance(force, str) else "forced"] * bool(force)
    triggers: dict[str, Any] = {name: _trigger(False, "off") for name in NAMES}
    against, first = None, False
    try:
        against = reference.find(trained=True)
        first = against is None
        triggers = _triggers(asked, against) if against else triggers
    except Problem as problem:
        if not force:
            raise
        why.append(f"not judged: {problem}")
    on = [name for name, one in triggers.items() if one["on"]]
    fired = [name for name in on if triggers[name]["fired"]]
    enough = bool(fired) and (asked.combine == "any" or fired == on)
    same = enough and not force and is_current()
    if first:
        why.append("there is no model yet")
    elif enough:
        why += [triggers[name]["why"] for name in fired]
    if same:
        why = [f"{', '.join(fired)} fired; {SAME}"]
    elif not why:
        why = _why_not(asked, on, fired)
    decision = {
        "retrain": bool(force) or first or (enough and not same),
        "why": why,
        "production": against.name if against and against.what == "production" else None,
        "against": against
        and {
            "what": against.what,
            "name": against.name,
            "commit": against.commit,
            "rows": against.rows,
        },
        "combine": asked.combine,
        "triggers": triggers,
    }
    write_json(REPORT, decision)
    return decision


def _why_not(asked: Retraining, on: list[str], fired: list[str]) -> list[str]:
    if not on:
        return ["no trigger is on"]
    if fired:
        rest = ", ".join(name for name in on if name not in fired)
        return [f"{', '.join(fired)} fired; combine: {asked.combine} waits for {rest}"]
    return [f"none of {', '.join(on)} fired"]


def _trigger(on: bool, why: str, fired: bool = False, **numbers: Any) -> dict[str, Any]:
    return {"on": on, "fired": fired, "numbers": numbers, "why": why}


def _triggers(asked: Retraining, against: Reference) -> dict[str, Any]:
    triggers = {name: _trigger(False, "off") for name in NAMES}
    if asked.schedule != "off":
        triggers["schedule"] = _schedule(asked.schedule.max_age_days, against)
    if asked.data != "off":
        new = new_rows.find(against)
        if asked.data.min_new_rows != "off":
            rows, least = new.total, asked.data.min_new_rows
            why = f"{rows:,} new rows, {least:,} are enough ({new.how})"
            triggers["new_rows"] = _trigger(True, why, rows >= least, rows=rows, enough=least)
        if asked.data.drift:
            triggers["drift"] = _drift(new, against)
    if asked.performance != "off":
        triggers["performance"] = _performance(asked.performance, against)
    return triggers


def _schedule(most: float, against: Reference) -> dict[str, Any]:
    """The age of the model is that of its commit: the tagged one, else the last new dvc.lock."""
    seconds = time.time() - int(git("log", "-1", "--format=%ct", str(against.commit)))
    days = round(seconds / DAY, 2)
    why = f"the model of {against.name} is {days:g} days old, {most:g} are allowed"
    return _trigger(True, why, days > most, days=days, allowed=most)


def _drift(new: new_rows.NewRows, against: Reference) -> dict[str, Any]:
    if new.rows is None:
        return _trigger(True, f"nothing new to compare ({new.how})", rows=0)
    report = drift.measure(new.rows, against)
    drift.record(report)
    drifted, table = report["drifted"], report["columns"]
    psi = {
        name: [round(table[name][key], 4) for key in ("psi", "limit")]
        for name in drifted
        if name in table
    }
    message = [
        f"{one['column']} ({one['check']}: {one['message']})"
        for one in report["findings"]
        if one["drift"]
    ]
    shown = "; ".join(message[:5]) + (f"; and {len(message) - 5} more" if len(message) > 5 else "")
    why = f"{len(drifted)} of {report['compared']} columns drifted in {len(new.rows):,} rows"
    numbers = {"rows": len(new.rows), "columns": report["compared"], "drifted": drifted}
    why += f": {shown}" if message else ""
    return _trigger(True, why, report["drift"], **numbers, psi_and_limit=psi)


def _performance(wanted: Performance, against: Reference) -> dict[str, Any]:
    assert against.model
    periods = performance.periods(wanted, against.model)
    limit, worse = wanted.limit(), "below" if wanted.min is not None else "above"
    bad = [
        one["value"] is not None
        and (one["value"] < limit) == (worse == "below")
        and one["value"] != limit
        for one in periods
    ]
    values = ", ".join(
        f"{one['value']:.4g}" if one["value"] is not None else f"untold ({one['rows']} rows)"
        for one in periods
    )
    why = (
        f"{wanted.metric} {worse} {limit:g} in {sum(bad)} of the last {len(periods)} periods of "
        f"{wanted.period_days:g} days: {values}"
    )
    return _trigger(True, why, all(bad), metric=wanted.metric, limit=limit, periods=periods)


def show(decision: dict[str, Any]) -> None:
    """Print every trigger with its numbers, and the decision."""
    table = Table("trigger", "", "why")
    for name, one in decision["triggers"].items():
        state = "[bold red]fired" if one["fired"] else "no" if one["on"] else "off"
        table.add_row(name.replace("_", " "), state, escape(one["why"]) if one["on"] else "")
    console = Console(width=None if Console().is_terminal else 140)
    console.print(table)
    if not decision["production"]:
        against = decision["against"]
        looked = f"; looked at the model of {against['name']}" if against else ""
        console.print(f"no model is in production{looked}", highlight=False)
    verdict = "retrain" if decision["retrain"] else "do not retrain"
    console.print(
        escape(f"{verdict}: {'; '.join(decision['why'])}"), highlight=False, soft_wrap=True
    )


def main(force: str = "", as_json: bool = False) -> None:
    """`ml trigger`: exit 0 whatever the decision, 2 when there is none.

    `force` is the reason to retrain in any case; "" lets the triggers decide.
    """
    decision = decide(force)
    if as_json:
        print(json.dumps(decision, indent=2, ensure_ascii=False))
    else:
        show(decision)
    github_output(retrain=decision["retrain"], automerge=load_retrain().automerge)
