"""What each stage of the pipeline did: ran, was fetched, did not change, failed."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from core.files import md5
from core.markdown import code, fold, table, truncate
from core.paths import PIPELINE, QUALITY
from core.runner import stage_seconds
from ops.dvc_lock import at_key
from ops.report import log
from ops.snapshot import Snapshot, changes

State = Literal["ran", "fetched", "unchanged", "failed", "waits"]
INPUTS = ("cmd", "deps", "params")
READ = 50_000_000  # bytes of a file that is read to see whether it changed
LEGEND: dict[State, str] = {  # the colours of mermaid.FILL
    "ran": "green: ran here",
    "fetched": "purple: taken from the cache",
    "unchanged": "grey: unchanged",
    "failed": "red: failed",
    "waits": "brown: not reached",
}


class Step(NamedTuple):
    """A stage: which ones it waits for, what became of it, seconds if it ran here, and why."""

    name: str
    after: list[str]
    state: State
    seconds: float | None = None
    why: str = ""


def steps(here: Snapshot, base: Snapshot | None, lines: list[str]) -> list[Step]:
    """The stages of dvc.yaml in the order in which they run.

    One whose inputs are not those of dvc.lock has not run with them: it failed, or was never
    started. `lines` are what DVC printed, if that is known: they name the stage that failed.
    """
    declared = here.yaml(PIPELINE).get("stages")
    after = _order(declared if isinstance(declared, dict) else {})
    stopped = log.failed_stage(lines)
    seconds, known = stage_seconds(here.outputs), dict[str, Step]()
    for name, first in after.items():
        old = base.lock.get(name) if base else None
        why = _outdated(here, name)
        if name == stopped:
            step = Step(name, first, "failed", None, "it ended with an error")
        elif any(known[one].state in ("failed", "waits") for one in first):
            step = Step(name, first, "waits", None, "an earlier stage has not run")
        elif why:
            step = Step(name, first, "waits" if stopped else "failed", None, why)
        elif old and all(old.get(part) == here.lock[name].get(part) for part in INPUTS):
            step = Step(name, first, "unchanged")
        elif name in seconds:
            step = Step(name, first, "ran", seconds[name])
        else:
            step = Step(name, first, "fetched")
        known[name] = step
    return list(known.values())


def status(step: Step) -> str:
    """What became of a stage, in two words."""
    if step.state == "ran" and step.seconds is not None:
        return f"ran {step.seconds:,.1f} s"
    words = {"fetched": "from the cache", "waits": "not reached"}
    return words.get(step.state, step.state)


def section(listed: list[Step], graph: str, failed: bool, most: int) -> str:
    """The stages behind a click: as a graph, drawn already, or "" for a table; why some wait."""
    ran = sum(step.state == "ran" for step in listed)
    late = [[code(step.name), code(step.why, 160)] for step in listed if step.why]
    shown, more = truncate(late, most, "dvc status")
    why = table(["stage", "why it has no result"], shown) + more if late else ""
    used = [words for state, words in LEGEND.items() if any(s.state == state for s in listed)]
    legend = f"{used[0][0].upper()}{'; '.join(used)[1:]}." if used else ""
    drawn = [graph, legend] if graph else [_table(listed, most)]
    summary = f"<b>Pipeline</b>: {ran:,} of {len(listed):,} stages ran"
    summary += ", 1 failed" if failed else ""
    return fold(summary, "\n\n".join(filter(None, [*drawn, why]))) if listed else ""


def _table(listed: list[Step], most: int) -> str:
    rows = [[code(step.name), status(step), ", ".join(map(code, step.after))] for step in listed]
    shown, more = truncate(rows, most, PIPELINE)
    return table(["stage", "what became of it", "reads from"], shown) + more


def _order(declared: dict[str, Any]) -> dict[str, list[str]]:
    """{stage: the stages whose outputs it reads}, each after those; one of many stays apart."""
    outs = {
        path: name
        for name, one in declared.items()
        if isinstance(one, dict)
        for kind in ("outs", "metrics", "plots")
        for path in map(_path, one.get(kind) or ())
    }
    needs = {
        name: list(
            dict.fromkeys(
                outs[path]
                for path in map(_path, (isinstance(one, dict) and one.get("deps")) or ())
                if path in outs and outs[path] != name
            )
        )
        for name, one in declared.items()
    }
    ordered: dict[str, list[str]] = {}
    while needs:
        ready = [name for name, first in needs.items() if all(one in ordered for one in first)]
        for name in ready or list(needs)[:1]:  # a circle is DVC's to refuse
            ordered[name] = [one for one in needs.pop(name) if one in ordered]
    return ordered


def _path(entry: Any) -> str:
    return str(next(iter(entry), "")) if isinstance(entry, dict) else str(entry)


def _outdated(here: Snapshot, name: str) -> str:
    """Why dvc.lock does not fit what lies here; "" where it does."""
    locked = here.lock.get(name)
    if not locked:
        return "it has not run yet"
    for file, values in (locked.get("params") or {}).items():
        content = here.yaml(file)
        changed = changes(dict(values), {key: at_key(content, key) for key in values})
        if changed:
            return f"{changed[0].name} in {file} has changed since it ran"
    for dep in locked.get("deps") or ():
        path, oid = str(dep.get("path")), str(dep.get("md5"))
        if here.outputs.get(path, oid) != oid:
            return f"{path} has changed since it ran"
        if path not in here.outputs and _differs(here.folder / path, dep):
            return f"{path} has changed since it ran"
    for out in locked.get("outs") or ():
        if out.get("path") == str(QUALITY) and here.md5(QUALITY) != out.get("md5"):
            return f"{QUALITY} is not what it wrote"
    return ""


def _differs(file: Path, dep: dict[str, Any]) -> bool:
    """Whether a dependency is no longer what a stage has read.

    A folder of raw data, which may be large, is left to DVC.
    """
    if str(dep.get("md5")).endswith(".dir") or file.is_dir():
        return False
    if not file.is_file():
        return True
    size = file.stat().st_size
    return size != dep.get("size", size) or (size <= READ and md5(file) != dep.get("md5"))
