"""What a checkout needs besides its data: Python, packages, settings without a mistake."""

import importlib.util
import re
import sys
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

from core.errors import Problem

STAGES = ("prepare", "validate", "train", "evaluate")
INSTALL = "pip install -r requirements.txt"
Level = Literal["ok", "note", "warn", "FAIL"]


class Note(NamedTuple):
    """One line of the doctor's: what was looked at, how it is, what fixes it."""

    level: Level
    about: str
    message: str
    fix: str = ""


def fail(about: str, message: str, fix: str) -> Note:
    """A finding that lets the doctor exit 1."""
    return Note("FAIL", about, message, fix)


def named(names: list[str]) -> str:
    """Say the first three, and how many there are: `"a, b, c and 4 others"`."""
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more:,} other{'s' * (more > 1)}" if more > 0 else "")


def python(path: Path = Path("pyproject.toml")) -> Note:
    """This Python against requires-python; works even where no package is installed."""
    here = ".".join(map(str, sys.version_info[:3]))
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    wanted = re.search(r"^requires-python\s*=\s*[\"'](.+?)[\"']", text, re.MULTILINE)
    if not wanted:
        message = f"{here}; {path} does not say which it wants"
        return Note("warn", "python", message, f"git checkout HEAD -- {path}")
    for sign, version in re.findall(r"(>=|<=|<|>|==)\s*([\d.]+)", wanted[1]):
        limit = tuple(map(int, version.strip(".").split(".")))
        mine = tuple(sys.version_info[: len(limit)])
        good = {">=": mine >= limit, ">": mine > limit, "<": mine < limit, "<=": mine <= limit}
        if not good.get(sign, mine == limit):
            message = f"{here}; {path} wants {wanted[1]}"
            return fail("python", message, "make the environment anew with such a Python")
    return Note("ok", "python", here)


def packages(path: Path = Path("requirements.txt")) -> list[Note]:
    """Installed versions against the pins of requirements.txt."""
    if not path.is_file():
        return [Note("warn", "packages", f"{path}: no such file", f"git checkout HEAD -- {path}")]
    if not importlib.util.find_spec("packaging"):
        return [fail("packages", f"{path} is not installed", INSTALL)]
    from packaging.requirements import InvalidRequirement, Requirement

    missing, other, pinned = [], [], 0
    for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        text = re.split(r"\s#|^#|\s--", line)[0].strip()
        if not text or text.startswith("-"):
            continue
        try:
            pin = Requirement(text)
        except InvalidRequirement:
            return [fail("packages", f"{path}: cannot read {text!r}", f"git diff {path}")]
        if pin.marker and not pin.marker.evaluate():
            continue
        pinned += 1
        try:
            here = metadata.version(pin.name)
        except metadata.PackageNotFoundError:
            missing.append(pin.name)
            continue
        if not pin.specifier.contains(here, prereleases=True):
            other.append(f"{pin.name} {here}, pinned {pin.specifier}")
    notes = []
    if missing:
        notes.append(fail("packages", f"not installed: {named(missing)}", INSTALL))
    if other:
        notes.append(Note("warn", "packages", named(other), INSTALL))
    return notes or [Note("ok", "packages", f"{pinned} as pinned")]


def conflicts(pointers: Iterable[str], unmerged: Iterable[str]) -> dict[str, Note]:
    """Conflict markers that a merge has left, by file, with the line of the first.

    `pointers` are the *.dvc files, `unmerged` what Git is in the middle of merging.
    """
    notes = {}
    for path in [*_loaders(), "dvc.lock", ".dvc/config", *sorted(pointers)]:
        if not Path(path).is_file():
            continue
        lines = Path(path).read_bytes().splitlines()
        marks = [n for n, line in enumerate(lines, 1) if re.match(rb"(<{7}|>{7})( |$)", line)]
        if not marks:
            continue
        fix = f"edit {path}"
        if path == "dvc.lock":  # nobody can merge hashes
            fix = "git checkout --ours" if path in unmerged else "rm"
            fix += " dvc.lock && dvc repro"
        notes[path] = fail("conflict", f"{path}:{marks[0]}: conflict marker", fix)
    return notes


def settings(skip: Iterable[str]) -> list[Note]:
    """Mistakes in the YAML files, but for those in `skip`."""
    notes, good = [], []
    for path, load in _loaders().items():
        if path in skip:
            continue
        try:
            load()
            good.append(path)
        except Problem as problem:
            fix = f"edit {path}" if Path(path).exists() else f"git checkout HEAD -- {path}"
            lines = str(problem).splitlines()
            notes += [fail(path.removesuffix(".yaml"), line, fix) for line in lines]
    return notes + ([Note("ok", "settings", ", ".join(good))] if good else [])


def _loaders() -> dict[str, Callable[[], Any]]:
    from core.validation.schema import load_schema
    from ops.gates.gates_yaml import load_gates
    from ops.machines.machine_yaml import load_machine
    from ops.monitoring.retrain_yaml import load_retrain
    from pipeline.params import load_params

    return {
        "params.yaml": load_params,
        "schema.yaml": load_schema,
        "gates.yaml": load_gates,
        "retrain.yaml": load_retrain,
        "machine.yaml": load_machine,
        "dvc.yaml": _stages,
    }


def _stages() -> None:
    """Raises `Problem` when dvc.yaml lacks one of the four stages: DVC calls that up to date."""
    from core.yaml_io import read_yaml

    content = read_yaml("dvc.yaml")
    stages = (content or {}).get("stages") if isinstance(content or {}, dict) else None
    missing = [name for name in STAGES if name not in (stages or {})]
    if missing:
        raise Problem(f"dvc.yaml: stage {' and '.join(missing)} missing; `dvc repro` would pass")
