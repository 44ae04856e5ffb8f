"""Whether dvc.lock is in step with the data, code and settings that lie here."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import Problem
from core.paths import LOCK, QUALITY, RAW
from ops.doctor.environment import Note, fail, named
from ops.doctor.git import Git
from pipeline.params import load_params


def step(repo: Any, git: Git) -> list[Note]:
    """Whether dvc.lock is there, and says of every stage what is here."""
    notes: list[Note] = []
    if not Path(LOCK).exists():
        notes.append(_no_lock(git))
    outs = {os.path.relpath(out.fs_path): out for out in repo.index.outs}
    ran = {out.stage.addressing for out in outs.values() if out.hash_info}
    gone = _no_data(git, outs)
    raw = str(RAW)
    fetched = all(os.path.lexists(out) for out in outs if out.startswith(f"{raw}/"))
    for stage, entries in repo.status().items():
        changed = ["its command"] if "changed command" in entries else []
        for path, how in _changes(entries):
            out = outs.get(path)
            if path == raw and (gone or not fetched):
                continue  # of no use to compare, and reported elsewhere
            if how not in ("deleted", "not in cache"):
                changed.append(path)
            elif not out or (not out.use_cache and out.stage.addressing in ran):
                fix = "dvc repro" if out else f"get {path} from elsewhere"
                fix = f"git checkout HEAD -- {path}" if git.has(path) else fix
                gone[path] = fail("data", f"{path}: no such file", fix)
        if changed and stage.endswith(".dvc"):
            fix = " && ".join(f"dvc add {path}" for path in changed)
            notes.append(fail("data", f"{named(changed)} not as {stage} says", fix))
        elif changed and Path(LOCK).exists():
            what = "has not run" if stage not in ran else f"changed since it ran: {named(changed)}"
            notes.append(fail("lock", f"{stage}: {what}", "dvc repro"))
    return [*gone.values(), *notes] or [Note("ok", "lock", f"{LOCK} is in step")]


def _no_data(git: Git, outs: dict[str, Any]) -> dict[str, Note]:
    """The raw data, where it is missing and no *.dvc file stands for it."""
    try:
        path = load_params().data.path
    except Problem:
        return {}  # reported already, with the other settings
    if Path(path).exists() or any(out.split("/")[:3] == path.split("/")[:3] for out in outs):
        return {}
    fix = f"get {path} from elsewhere, or edit params.yaml"
    tracked = next((file for file in (path, f"{path}.dvc") if git.has(file)), None)
    fix = f"git checkout HEAD -- {tracked}" if tracked else fix
    return {path: fail("data", f"{path}: no such file", fix)}


def _no_lock(git: Git) -> Note:
    if git.has(str(LOCK)):
        return fail("lock", f"{LOCK} is gone", f"git checkout HEAD -- {LOCK}")
    if git.ever_knew(str(LOCK)) or git.has(str(QUALITY)):
        return fail("lock", f"{LOCK} is gone: nobody can get the data", "dvc repro")
    return Note("note", "lock", f"no {LOCK}: the pipeline has not run yet", "dvc repro")


def _changes(entries: list[Any]) -> Iterator[tuple[str, str]]:
    """(path, how) for all that DVC's status says of one stage; a parameter as params.yaml: key."""
    for entry in entries:
        for kind in ("changed deps", "changed outs") if isinstance(entry, dict) else ():
            for path, how in entry.get(kind, {}).items():
                if isinstance(how, dict):
                    yield from ((f"{path}: {key}", str(one)) for key, one in how.items())
                else:
                    yield path, str(how)
