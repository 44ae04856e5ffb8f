"""dvc.lock, and whether files are what it names: one reader, true md5s as DVC computes them."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import Problem
from core.files import md5
from core.paths import LOCK, PARAMS, PIPELINE, RAW
from core.yaml_io import read_yaml

CACHE = Path(".dvc/cache/files/md5")
Stages = dict[str, dict[str, Any]]


def read_lock(folder: Path = Path()) -> Stages:
    """{stage: its entry} of a folder's dvc.lock; {} where there is none.

    Raises `Problem` for a file that DVC has not written.
    """
    if not (folder / LOCK).exists():
        return {}
    content = read_yaml(folder / LOCK) or {}
    stages = content.get("stages", {}) if isinstance(content, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(one, dict) for one in stages.values()):
        raise Problem(f"{LOCK}: no stages in it; git checkout HEAD -- {LOCK}")
    return stages


def outputs(stages: Stages) -> dict[str, str]:
    """{path of an output: md5} of all stages."""
    outs = (out for one in stages.values() for out in one.get("outs") or ())
    return {str(out["path"]): str(out.get("md5")) for out in outs}


def dependencies(stages: Stages) -> dict[str, str]:
    """{path of a dependency: md5} of all stages, what another stage makes left out."""
    made = outputs(stages)
    deps = (dep for one in stages.values() for dep in one.get("deps") or ())
    return {str(dep["path"]): str(dep.get("md5")) for dep in deps if dep["path"] not in made}


def raw_data(stages: Stages) -> str:
    """md5 of the raw data that the stage prepare has read; "none" where it has not run."""
    return dependencies({"prepare": stages.get("prepare", {})}).get(str(RAW), "none")


def at_key(content: Any, path: str) -> Any:
    """The value at a dotted path of nested mappings; None where there is none."""
    for part in path.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content


class Difference(NamedTuple):
    """An input that is not what a stage ran with; `found` is None for what is gone."""

    what: str
    wanted: str
    actual: str | None


def changed_inputs(stages: Stages, folder: Path = Path()) -> Iterator[Difference]:
    """Code, settings and parameters in `folder` that are not those dvc.lock was made of.

    The raw data is left out: it may be large; see `path_md5`.
    """
    for path, wanted in sorted(dependencies(stages).items()):
        if path != str(RAW) and (actual := path_md5(folder / path)) != wanted:
            yield Difference(path, wanted, actual)
    params = read_yaml(folder / PARAMS)
    for key, value in used_params(stages).items():
        if (actual := at_key(params, key)) != value:
            yield Difference(f"{PARAMS}: {key}", str(value), str(actual))


def used_params(stages: Stages) -> dict[str, Any]:
    """{dotted key of params.yaml: value} that the stages ran with."""
    return {
        key: value
        for one in stages.values()
        for key, value in ((one.get("params") or {}).get(str(PARAMS)) or {}).items()
    }


def stale() -> Iterator[str]:
    """Why a stage's outputs are not those of what is here, a line per stage: none if they are.

    What `dvc status` compares, without importing DVC. Raises `Problem` for a broken file.
    """
    stages, pipeline = read_lock(), read_yaml(PIPELINE)
    declared = pipeline.get("stages") if isinstance(pipeline, dict) else None
    if not isinstance(declared, dict):
        raise Problem(f"{PIPELINE}: no stages in it; git checkout HEAD -- {PIPELINE}")
    made, changed = outputs(stages), {one.what for one in changed_inputs(stages)}
    changed |= {str(RAW)} if raw_data(stages) != raw_md5() else set()
    for name, stage in declared.items():
        if name not in stages and "cmd" in stage:
            yield f"{name}: has not run"
        elif what := sorted(_stage_changes(stage, stages.get(name, {}), made, changed)):
            more = f" and {len(what) - 3} more" if len(what) > 3 else ""
            yield f"{name}: changed since it ran: {', '.join(what[:3])}{more}"


def _stage_changes(
    stage: dict[str, Any], entry: dict[str, Any], made: dict[str, str], changed: set[str]
) -> set[str]:
    """What a stage ran with and is other now, or is no longer declared, or only now."""
    if "cmd" not in stage:  # a template of stages, whose names dvc.lock spells out
        return set()
    deps = {str(one["path"]): str(one.get("md5")) for one in entry.get("deps") or ()}
    keys = {f"{PARAMS}: {key}" for key in (entry.get("params") or {}).get(str(PARAMS)) or ()}
    params = {f"{PARAMS}: {key}" for key in stage.get("params") or () if isinstance(key, str)}
    declared = {str(one) for one in stage.get("deps") or ()}
    what = {path for path, oid in deps.items() if made.get(path, oid) != oid}
    what |= (deps.keys() | keys) & changed
    if "$" not in json.dumps(stage, default=str):
        what |= (declared | params) ^ (deps.keys() | keys)
        what |= {"its command"} if stage["cmd"] != entry.get("cmd") else set()
    return what


def is_current() -> bool:
    """Whether dvc.lock was made of just the raw data, code and parameters that are here."""
    try:
        return bool(read_lock()) and not any(stale())
    except Problem:
        return False


def check_outputs(*paths: Path) -> None:
    """Raise `Problem` (exit 2) where an output is not, byte by byte, the one of dvc.lock."""
    locked = outputs(read_lock())
    for path in paths:
        oid, true = locked.get(str(path), "none"), md5(path)
        if true is None:
            raise Problem(f"{path} is not here; dvc pull, or dvc repro")
        if true != oid:
            intact = cached_md5(oid) == oid
            fix = f"dvc checkout -f {path}" if intact else f"rm -f {cache_path(oid)}; dvc repro -f"
            raise Problem(f"{path} is not the one that {LOCK} names; {fix}")


def raw_md5(folder: Path = Path()) -> str | None:
    """md5 of the raw data, as DVC computes it; None where there is none.

    What a .dvc file stands for and is not here counts as what that file says.
    """
    if not (folder / RAW).is_dir():
        return path_md5(folder / RAW)
    return members_md5(tracked_members(raw_pointers(folder)) | folder_members(folder / RAW))


def raw_pointers(folder: Path) -> dict[str, str]:
    """{path: md5} of the raw data that .dvc files stand for."""
    return {
        (path.parent / out["path"]).relative_to(folder).as_posix(): str(out["md5"])
        for path in sorted((folder / RAW).rglob("*.dvc"))
        for out in read_yaml(path)["outs"]
    }


def tracked_members(pointers: dict[str, str]) -> dict[str, str | None]:
    """{file below the raw data: md5} of what .dvc files stand for, folders with their members."""
    members: dict[str, str | None] = {}
    for path, oid in pointers.items():
        name = path.removeprefix(f"{RAW}/")
        within = cached_members(oid).items() if oid.endswith(".dir") else ()
        members |= {f"{name}/{one}": each for one, each in within} or {name: oid}
    return members


def path_md5(path: Path) -> str | None:
    """md5 of a file or a folder, as DVC computes it; None where there is none."""
    return members_md5(folder_members(path)) if path.is_dir() else md5(path)


def folder_members(folder: Path) -> dict[str, str | None]:
    """{file: md5} of a folder."""
    files = [one for one in folder.rglob("*") if one.is_file()]
    return {one.relative_to(folder).as_posix(): md5(one) for one in files}


def members_md5(md5s: dict[str, str | None]) -> str:
    """md5 of a folder's list of files, in the order of their names."""
    text = json.dumps([{"md5": md5, "relpath": name} for name, md5 in sorted(md5s.items())])
    return hashlib.md5(text.encode()).hexdigest() + ".dir"


def cache_path(oid: str) -> Path:
    """Where the cache keeps an object."""
    return CACHE / oid[:2] / oid[2:]


def cached_md5(oid: str) -> str | None:
    """The true md5 of an object in the cache, members of a folder included; None if it is gone.

    DVC believes the name of a file in its cache; here the bytes are read.
    """
    true = md5(cache_path(oid))
    if true is None or not oid.endswith(".dir"):
        return true
    intact = all(cached_md5(one) == one for one in cached_members(oid).values())
    return f"{true}.dir" if intact else None


def cached_members(oid: str) -> dict[str, str]:
    """{file: md5} of a folder in the cache; none where its list cannot be read."""
    try:
        entries = json.loads(cache_path(oid).read_text("utf-8"))
        return {one["relpath"]: one["md5"] for one in entries}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def file_or_cache_md5(path: Path, oid: str) -> str | None:
    """The true md5 of what is at `path`, or else in the cache under this name."""
    return path_md5(path) if path.exists() else cached_md5(oid)
