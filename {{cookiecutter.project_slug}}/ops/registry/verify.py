"""Whether a version is what its tag records: every md5 computed again from what can be fetched."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import Refused
from core.files import md5
from core.git import git
from core.paths import LOCK, MODEL, QUALITY, RAW
from ops.checkout import checkout, share_cache
from ops.dvc_lock import (
    Stages,
    changed_inputs,
    dependencies,
    file_or_cache_md5,
    folder_members,
    members_md5,
    outputs,
    raw_data,
    raw_pointers,
    read_lock,
    tracked_members,
    used_params,
)
from ops.registry.lineage import Lineage, scores


class Row(NamedTuple):
    """One check: what was recorded, and what is there now."""

    what: str
    wanted: str
    actual: str | None
    ok: bool


def verify(of: Lineage, rev: str, *, everything: bool = True) -> list[Row]:
    """Compute every md5 of a version again from what can be fetched.

    Without `everything`, of what answers: its model, code, settings and scores. Where its own
    files are not those recorded, nothing more is read.
    """
    sha = git("rev-parse", f"{rev}^{{commit}}")
    rows = [_row("commit", of.commit, sha), *_files(of, sha)]
    if not all(row.ok for row in rows):
        return rows
    folder = checkout(sha, exact=True, fresh=True).folder
    stages = read_lock(folder)
    rows += [
        _row(f"{MODEL} in {LOCK}", of.model, outputs(stages).get(str(MODEL))),
        _row(f"{RAW} in {LOCK}", of.data, raw_data(stages)),
        *_inputs(stages, folder),
        _row(str(MODEL), of.model, md5(folder / MODEL)),
    ]
    return [*rows, *_objects(of, stages, folder)] if everything else rows


def _files(of: Lineage, sha: str) -> Iterator[Row]:
    """The files in the commit, and the scores that the tag records."""
    for name, oid in of.files.items():
        shown = subprocess.run(["git", "show", f"{sha}:./{name}"], capture_output=True)
        there = not shown.returncode
        yield _row(name, oid, hashlib.md5(shown.stdout).hexdigest() if there else None)
        if name == str(QUALITY) and there:
            yield _row("scores in the tag", _text(of.metrics), _text(scores(shown.stdout)))


def _text(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in sorted(metrics.items()))


def refuse(tag: str, rows: list[Row]) -> None:
    """Raise `Refused` (exit 1) that names everything that does not match."""
    mismatches = [
        f"  {row.what}: want {row.wanted[:100]}, "
        + ("which cannot be had" if row.actual is None else f"found {row.actual[:100]}")
        for row in rows
        if not row.ok
    ]
    if mismatches:
        raise Refused("\n".join([f"{tag} is not what was recorded:", *mismatches]))


def _row(what: str, wanted: str, actual: str | None) -> Row:
    return Row(what, wanted, actual, wanted == actual)


def _inputs(stages: Stages, folder: Path) -> Iterator[Row]:
    """The code, settings and parameters that the stages ran with, as dvc.lock has them."""
    changed = list(changed_inputs(stages, folder))
    yield from (Row(one.what, one.wanted, one.actual, False) for one in changed)
    for what, known in (("files", dependencies(stages)), ("parameters", used_params(stages))):
        if not changed or not known:
            count = f"{len(known)} {what}"
            yield Row(f"{what} that {LOCK} names", count, count, bool(known))


def _objects(of: Lineage, stages: dict[str, Any], folder: Path) -> Iterator[Row]:
    """The raw data and every output, fetched where they are not here."""
    outs = outputs(stages)
    outs.pop(str(MODEL), None)
    raw = raw_pointers(folder)
    if any(file_or_cache_md5(folder / path, oid) != oid for path, oid in (outs | raw).items()):
        _pull(folder)
    for path, oid in sorted(outs.items()):
        yield _row(path, oid, file_or_cache_md5(folder / path, oid))
    lost = any(file_or_cache_md5(folder / path, oid) != oid for path, oid in raw.items())
    here = folder_members(folder / RAW) | tracked_members(raw)
    yield _row(str(RAW), of.data, None if lost else members_md5(here))


def _pull(folder: Path) -> None:
    """Bring what a checkout lacks, as far as the storage has it."""
    share_cache(folder)
    command = [sys.executable, "-m", "dvc", "pull", "-q", "--allow-missing"]
    subprocess.run(command, cwd=folder, capture_output=True)
