"""What each stage of the pipeline did: ran, was fetched, did not change, failed."""

import hashlib
import re
from typing import Any, Literal, NamedTuple

from pipeline import stage
from pipeline.reporting.compare import Side, changes

State = Literal["ran", "fetched", "unchanged", "failed", "waits"]
INPUTS = ("cmd", "deps", "params")
SCORES = "metrics/quality.json"  # without it there is nothing to tell of
READ = 50_000_000  # bytes of a file that is read to see whether it changed
FAILED = re.compile(r"failed to reproduce '([^']+)'")  # DVC's words


class Step(NamedTuple):
    """A stage: which ones it waits for, what became of it, seconds if it ran here, and why."""

    name: str
    after: list[str]
    state: State
    seconds: float | None = None
    why: str = ""


def steps(here: Side, base: Side | None, log: list[str]) -> list[Step]:
    """The stages of dvc.yaml in the order in which they run.

    One whose inputs are not those of dvc.lock has not run with them: it failed, or was never
    started. `log` is what DVC printed, if that is known: it names the stage that failed.
    """
    declared = here.yaml("dvc.yaml").get("stages")
    after = _order(declared if isinstance(declared, dict) else {})
    told = FAILED.findall("\n".join(log))
    seconds, found = stage.seconds(), dict[str, Step]()
    for name, first in after.items():
        old = base.lock.get(name) if base else None
        why = _outdated(here, name)
        if told and name == told[-1]:
            step = Step(name, first, "failed", None, "it ended with an error")
        elif any(found[one].state in ("failed", "waits") for one in first):
            step = Step(name, first, "waits", None, "an earlier stage has not run")
        elif why:
            step = Step(name, first, "waits" if told else "failed", None, why)
        elif old and all(old.get(part) == here.lock[name].get(part) for part in INPUTS):
            step = Step(name, first, "unchanged")
        elif name in seconds:
            step = Step(name, first, "ran", seconds[name])
        else:
            step = Step(name, first, "fetched")
        found[name] = step
    return list(found.values())


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


def _outdated(here: Side, name: str) -> str:
    """Why dvc.lock does not fit what lies here; "" where it does."""
    locked = here.lock.get(name)
    if not isinstance(locked, dict):
        return "it has not run yet"
    for file, values in (locked.get("params") or {}).items():
        content = here.yaml(file)
        now = {key: _at(content, key) for key in values}
        moved = changes({k: values[k] for k in values}, now)
        if moved:
            return f"{moved[0].name} in {file} has changed since it ran"
    for one in locked.get("deps") or ():
        if _differs(here, name, one):
            return f"{one.get('path')} has changed since it ran"
    for one in locked.get("outs") or ():
        if one.get("path") == SCORES and here.md5_of(SCORES) != one.get("md5"):
            return f"{SCORES} is not what it wrote"
    return ""


def _at(content: Any, path: str) -> Any:
    """The value at a dotted path."""
    for part in path.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content


def _differs(here: Side, name: str, dep: dict[str, Any]) -> bool:
    """Whether a dependency is no longer what the stage `name` has read.

    What another stage makes is looked up in dvc.lock; a folder of raw data, which may be large,
    is left to DVC.
    """
    path, md5 = str(dep.get("path")), str(dep.get("md5"))
    makers = [
        out.get("md5")
        for other, one in here.lock.items()
        if other != name
        for out in one.get("outs", ())
        if out.get("path") == path
    ]
    if makers:
        return md5 not in makers
    file = here.folder / path
    if md5.endswith(".dir") or file.is_dir():
        return False
    if not file.is_file():
        return True
    if file.stat().st_size != dep.get("size", file.stat().st_size):
        return True
    return file.stat().st_size <= READ and hashlib.md5(file.read_bytes()).hexdigest() != md5
