"""What dvc.lock and the *.dvc files name: intact in the cache, kept in the storage."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from core.errors import Problem
from core.files import md5
from core.paths import LOCK
from ops.doctor.environment import Level, Note, fail, named
from ops.doctor.git import Git
from ops.doctor.storage import Storage

Verdict = tuple[Level, str, str]  # as in Note: level, message, fix


class Tracked(NamedTuple):
    """An object of the cache: a file that is tracked, or a folder's list of files."""

    path: str
    oid: str  # its md5; that of a folder's list ends in .dir
    size: int | None
    owner: str  # the file that names it
    target: str  # what DVC calls the stage
    push: bool
    cache: str


def objects(repo: Any) -> list[Tracked]:
    """All objects that dvc.lock and the *.dvc files name, folders with their members."""
    listed = []
    for out in repo.index.outs:
        tracked = out.use_cache and out.hash_info and out.hash_name == "md5"
        if not tracked or out.stage.is_repo_import:
            continue
        target, oid = out.stage.addressing, out.hash_info.value
        owner = target if target.endswith(".dvc") else str(LOCK)
        size = None if out.hash_info.isdir else out.meta.size
        cache = os.path.relpath(repo.cache.local.oid_to_path(oid))
        path = os.path.relpath(out.fs_path)
        one = Tracked(path, oid, size, owner, target, out.can_push, cache)
        listed.append(one)
        for member, oid in _members(one) if out.hash_info.isdir else ():
            cache = os.path.relpath(repo.cache.local.oid_to_path(oid))
            listed.append(one._replace(path=f"{path}/{member}", oid=oid, cache=cache))
    return list({one.oid: one for one in listed}.values())


def _members(folder: Tracked) -> list[tuple[str, str]]:
    """Path and md5 of the files in a folder; none when its list is missing or altered."""
    try:
        return [(one["relpath"], one["md5"]) for one in json.loads(Path(folder.cache).read_text())]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def cached(listed: list[Tracked]) -> list[str | None]:
    """The true md5 of every object that is in the cache, None for what is not.

    DVC believes the name of a file that is read-only; here the bytes are read.
    """
    files = [one.cache for one in listed]
    sizes = [os.path.getsize(file) if os.path.isfile(file) else 0 for file in files]
    bar = tqdm(
        None, "reading the cache", sum(sizes), leave=False, delay=2, unit="B", unit_scale=True
    )
    sums = []
    with ThreadPoolExecutor(os.cpu_count()) as pool, bar:
        for size, actual in zip(sizes, pool.map(md5, files), strict=True):
            sums.append(actual)
            bar.update(size)
    return sums


def kept(
    listed: list[Tracked],
    here: list[str | None],
    git: Git,
    storage: Storage | None,
    stale: bool = False,
) -> list[Note]:
    """What is altered, lost, or here only; `here` are the md5 sums of what the cache holds.

    `storage` is None when it cannot be asked; where a stage is `stale`, `dvc checkout` may refuse
    to overwrite what that stage has left.
    """
    if not listed:
        return []
    try:
        there = storage.sizes([one.oid for one in listed if one.push]) if storage else {}
    except Problem as problem:
        return [fail("storage", str(problem), "try again, or pass --offline")]
    groups: dict[Verdict, list[str]] = {}
    for one, actual in zip(listed, here, strict=True):
        for verdict in _verdicts(one, actual, there.get(one.oid), storage, git, stale):
            groups.setdefault(verdict, []).append(one.path)
    notes = [
        Note(level, "data", f"{named(paths)} {message}", fix)
        for (level, message, fix), paths in groups.items()
    ]
    pushed = " and pushed" if storage else ""
    return notes or [Note("ok", "data", f"{len(listed):,} files intact{pushed}")]


def _verdicts(
    one: Tracked,
    actual: str | None,
    size: int | None,
    storage: Storage | None,
    git: Git,
    stale: bool,
) -> Iterator[Verdict]:
    """What is to say of an object whose bytes in the cache have the md5 `found`.

    `size` is that in the storage. Where the storage is yet to be made, a stage's
    output that is not in it is no failure: `dvc repro` makes it.
    """
    good = actual == one.oid.removesuffix(".dir")
    held = size is not None and one.size in (None, size)
    serious = one.owner != str(LOCK) or bool(storage and storage.used)
    if good and not os.path.lexists(one.path):
        yield "note", "in the cache, not in the folder", "dvc repro" if stale else "dvc checkout"
    if actual and not good:
        copied = f" {one.path}" if md5(one.path) == actual else ""
        fix = f"rm -f {one.cache}{copied} && {_restore(one, held)}"
        yield "FAIL", "altered in the cache", fix
    if storage and size is not None and not held:
        message = f"altered in the storage: {size:,} bytes there, {one.size:,} in {one.owner}"
        yield "FAIL", message, storage.copy(one.cache, one.oid) if good else _restore(one, held)
    elif good and one.push and storage and not held:
        fails = serious and git.committed(one.owner)
        message = "would be lost: committed, not pushed" if fails else "not pushed yet"
        yield "FAIL" if fails else "warn", message, "dvc push"
    elif not actual and held:
        ran = Path(LOCK).exists()  # before, `dvc pull` misses the outputs and fails
        yield "note", "in the storage, not here", "dvc pull" if ran else f"dvc pull {one.target}"
    elif not actual and one.push and not storage:
        yield "warn", "not in the cache; the storage was not asked", "dvc pull"
    elif not actual:
        fix = _restore(one, held)
        where = "in the folder only" if fix.startswith("dvc commit") else "lost"
        message = f"{where}: neither in the cache nor in the storage"
        yield "FAIL" if serious else "warn", message, fix


def _restore(one: Tracked, held: bool) -> str:
    """The command that brings an object back to the cache."""
    if held:
        return f"dvc pull {one.target}"
    if md5(one.path) == one.oid:
        return f"dvc commit -f {one.target}"
    return "dvc repro" if one.owner == str(LOCK) else f"get {one.path} from elsewhere"
