"""Whether a version is what its tag records: every md5 computed again from what can be fetched."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import base, model, strict
from pipeline.errors import Problem
from pipeline.releases import hashes
from pipeline.releases.lineage import QUALITY, RAW, Lineage, data, lay, lock, outputs, scores


class Row(NamedTuple):
    """One thing that was looked at: what it should be, and what it is."""

    what: str
    wanted: str
    found: str | None
    ok: bool


def verify(of: Lineage, rev: str, *, everything: bool = True) -> list[Row]:
    """Compute every md5 of a version again from what can be fetched.

    Without `everything`, of what answers: its model, code, settings and scores. Where its own
    files are not those recorded, nothing more is read.
    """
    sha = base.git("rev-parse", f"{rev}^{{commit}}")
    rows = [_row("commit", of.commit, sha), *_files(of, sha)]
    if not all(row.ok for row in rows):
        return rows
    folder = lay(sha).folder
    stages = lock(folder)
    rows += [
        _row(f"{model.MODEL} in {base.LOCK}", of.model, outputs(stages).get(str(model.MODEL))),
        _row(f"{RAW} in {base.LOCK}", of.data, data(stages)),
        *_code(stages, folder),
        *_params(stages, folder),
        _row(str(model.MODEL), of.model, base.md5(folder / model.MODEL)),
    ]
    return [*rows, *_objects(of, stages, folder)] if everything else rows


def learnt() -> bool:
    """Whether dvc.lock was made of just the raw data, the code and the parameters that lie here."""
    here = Path()
    try:
        stages = lock(here)
    except Problem:
        return False
    rows = [*_code(stages, here), *_params(stages, here)]
    return all(row.ok for row in rows) and data(stages) == hashes.of(here / RAW)


def _files(of: Lineage, sha: str) -> Iterator[Row]:
    """The files in the commit, and the scores that the tag tells of."""
    for name, md5 in of.files.items():
        shown = subprocess.run(["git", "show", f"{sha}:./{name}"], capture_output=True)
        there = not shown.returncode
        yield _row(name, md5, hashlib.md5(shown.stdout).hexdigest() if there else None)
        if name == QUALITY and there:
            yield _row("scores in the tag", _told(of.metrics), _told(scores(shown.stdout)))


def _told(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in sorted(found.items()))


def refuse(tag: str, rows: list[Row]) -> None:
    """Raise `Problem` (exit 1) that tells everything that does not match."""
    found = [
        f"  {row.what}: want {row.wanted[:100]}, "
        + ("which cannot be had" if row.found is None else f"found {row.found[:100]}")
        for row in rows
        if not row.ok
    ]
    if found:
        raise Problem("\n".join([f"{tag} is not what was recorded:", *found]))


def _row(what: str, wanted: str, found: str | None) -> Row:
    return Row(what, wanted, found, wanted == found)


def _code(stages: dict[str, Any], folder: Path) -> Iterator[Row]:
    """The code and settings that the stages ran with, as dvc.lock has it, are the commit's."""
    made = {out["path"] for one in stages.values() for out in one.get("outs", ())}
    deps = {
        dep["path"]: str(dep.get("md5")) for one in stages.values() for dep in one.get("deps", ())
    }
    ours = {path: md5 for path, md5 in deps.items() if path not in made and path != RAW}
    rows = [_row(path, md5, hashes.of(folder / path)) for path, md5 in sorted(ours.items())]
    bad = [row for row in rows if not row.ok]
    count = f"{len(rows)} files"
    yield from bad or [Row(f"code that {base.LOCK} names", count, count, bool(rows))]


def _params(stages: dict[str, Any], folder: Path) -> Iterator[Row]:
    """The parameters that the stages ran with, as dvc.lock has them, are the commit's."""
    asked = strict.read_yaml(folder / "params.yaml")
    used = {
        key: value
        for one in stages.values()
        for key, value in (one.get("params") or {}).get("params.yaml", {}).items()
    }
    bad = []
    for key, value in used.items():
        found = asked
        for part in key.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if found != value:
            bad.append(Row(f"params.yaml: {key}", str(value), str(found), False))
    count = f"{len(used)} values"
    yield from bad or [Row(f"parameters that {base.LOCK} names", count, count, bool(used))]


def _objects(of: Lineage, stages: dict[str, Any], folder: Path) -> Iterator[Row]:
    """The raw data and every output, fetched where they are not here."""
    outs = outputs(stages)
    outs.pop(str(model.MODEL), None)
    pointers = sorted((folder / RAW).rglob("*.dvc"))
    raw = {(path.parent / out["path"]).relative_to(folder).as_posix(): str(out["md5"])
           for path in pointers for out in strict.read_yaml(path)["outs"]}  # fmt: skip
    if any(hashes.found(folder / path, md5) != md5 for path, md5 in (outs | raw).items()):
        _pull(folder)
    for path, md5 in sorted(outs.items()):
        yield _row(path, md5, hashes.found(folder / path, md5))
    lost = any(hashes.found(folder / path, md5) != md5 for path, md5 in raw.items())
    here = hashes.members(folder / RAW) | _kept(raw)
    yield _row(RAW, of.data, None if lost else hashes.listed(here))


def _pull(folder: Path) -> None:
    """Bring what a laid-out commit lacks, as far as the storage has it."""
    base.join(folder)
    command = [sys.executable, "-m", "dvc", "pull", "-q", "--allow-missing"]
    subprocess.run(command, cwd=folder, capture_output=True)


def _kept(raw: dict[str, str]) -> dict[str, str | None]:
    """{file: md5} of what DVC keeps below the raw data, folders with their members."""
    found: dict[str, str | None] = {}
    for path, md5 in raw.items():
        name = path.removeprefix(f"{RAW}/")
        within = hashes.inside(md5).items() if md5.endswith(".dir") else ()
        found |= {f"{name}/{one}": each for one, each in within} or {name: md5}
    return found
