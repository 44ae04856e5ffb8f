"""Where a version comes from: recorded in its tag, computed again from what can be fetched."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import base, config, model, strict
from pipeline.errors import Problem
from pipeline.strict import Strict
from pipeline.versions import Version

RAW = str(config.RAW)
CARD = "model-card.md"
QUALITY = "metrics/quality.json"
FILES = (
    base.LOCK,
    "dvc.yaml",
    "params.yaml",
    "schema.yaml",
    "gates.yaml",
    "requirements.txt",
    QUALITY,
    "reports/slices.json",
    CARD,
)
CACHE = Path(".dvc/cache/files/md5")


class Lineage(Strict):
    """What the tag of a version says."""

    version: str
    commit: str
    model: str  # md5, as all that follow
    data: str
    files: dict[str, str]
    metrics: dict[str, float]
    baseline: str | None  # what the regression gate compared it with

    def message(self, why: str) -> str:
        """The tag's message: a line for people, then all of it as JSON."""
        scores = ", ".join(f"{name} {value:g}" for name, value in list(self.metrics.items())[:6])
        return f"{self.version}: {why}; {scores}\n\n{self.model_dump_json(indent=2)}\n"


class Row(NamedTuple):
    """One thing that was looked at: what it should be, and what it is."""

    what: str
    wanted: str
    found: str | None
    ok: bool


def told(version: Version) -> Lineage:
    """What the version's tag says. Raises `Problem` (exit 1) where that is no lineage."""
    start = version.message.find("{")
    try:
        if start < 0:
            raise ValueError
        content = json.loads(version.message[start:])
        return strict.check(Lineage, content, version.tag)
    except (ValueError, Problem) as wrong:
        why = f": {wrong}" if isinstance(wrong, Problem) else ""
        raise Problem(
            f"{version.tag} holds no lineage{why}; only `python -m pipeline.registry register` "
            "makes versions that can be verified"
        ) from None


def lock(folder: Path = Path()) -> dict[str, Any]:
    """The stages of a folder's dvc.lock. Raises `Problem` (exit 2) where there are none."""
    content = strict.read_yaml(folder / base.LOCK)
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict):
        raise Problem(f"{base.LOCK}: no stages in it; git checkout HEAD -- {base.LOCK}", 2)
    return stages


def outputs(stages: dict[str, Any]) -> dict[str, str]:
    """{path of an output: md5}."""
    outs = (out for one in stages.values() for out in one.get("outs", ()))
    return {out["path"]: str(out.get("md5")) for out in outs}


def data(stages: dict[str, Any]) -> str:
    """md5 of the raw data that the stage prepare has read."""
    deps = (stages.get("prepare") or {}).get("deps", ())
    return next((str(one["md5"]) for one in deps if one["path"] == RAW), "none")


def record(version: str, laid: base.Base, baseline: str | None) -> Lineage:
    """The lineage of a commit that is laid out. Raises `Problem` (exit 1) for what it lacks."""
    files = {name: base.md5(laid.folder / name) for name in FILES}
    if missing := [name for name, md5 in files.items() if md5 is None]:
        raise Problem(f"{', '.join(missing)}: not in this commit; git add and commit it")
    stages = lock(laid.folder)
    return Lineage(
        version=version,
        commit=laid.sha,
        model=outputs(stages).get(str(model.MODEL), "none"),
        data=data(stages),
        files={name: md5 for name, md5 in files.items() if md5},
        metrics=_scores((laid.folder / QUALITY).read_bytes()),
        baseline=baseline,
    )


def lay(rev: str) -> base.Base:
    """Lay a commit out anew: what lies there from before proves nothing."""
    sha = base.git("rev-parse", f"{rev}^{{commit}}")
    shutil.rmtree(base.FOLDER / sha[:12], ignore_errors=True)
    return base.lay(sha, exact=True)


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


def _files(of: Lineage, sha: str) -> Iterator[Row]:
    """The files in the commit, and the scores that the tag tells of."""
    for name, md5 in of.files.items():
        shown = subprocess.run(["git", "show", f"{sha}:./{name}"], capture_output=True)
        there = not shown.returncode
        yield _row(name, md5, hashlib.md5(shown.stdout).hexdigest() if there else None)
        if name == QUALITY and there:
            yield _row("scores in the tag", _told(of.metrics), _told(_scores(shown.stdout)))


def _scores(content: bytes) -> dict[str, float]:
    try:
        found = json.loads(content).items()
        return {name: float(one) for name, one in found if not isinstance(one, dict)}
    except (ValueError, TypeError, AttributeError):
        return {}


def _told(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in sorted(scores.items()))


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
    rows = [_row(path, md5, hashed(folder / path)) for path, md5 in sorted(ours.items())]
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
    if any(_found(folder / path, md5) != md5 for path, md5 in (outs | raw).items()):
        pull(folder)
    for path, md5 in sorted(outs.items()):
        yield _row(path, md5, _found(folder / path, md5))
    lost = any(_found(folder / path, md5) != md5 for path, md5 in raw.items())
    yield _row(RAW, of.data, None if lost else _folder(_members(folder / RAW) | _kept(raw)))


def _members(folder: Path) -> dict[str, str | None]:
    """{file: md5} of a folder."""
    files = [one for one in folder.rglob("*") if one.is_file()]
    return {one.relative_to(folder).as_posix(): base.md5(one) for one in files}


def _kept(raw: dict[str, str]) -> dict[str, str | None]:
    """{file: md5} of what DVC keeps below the raw data, folders with their members."""
    found: dict[str, str | None] = {}
    for path, md5 in raw.items():
        name = path.removeprefix(f"{RAW}/")
        inside = _listed(md5).items() if md5.endswith(".dir") else ()
        found |= {f"{name}/{one}": each for one, each in inside} or {name: md5}
    return found


def _found(there: Path, md5: str) -> str | None:
    """The true md5 of what is laid out, or else in the cache under this name."""
    return hashed(there) if there.exists() else cached(md5)


def pull(folder: Path) -> None:
    """Bring what a laid-out commit lacks, as far as the storage has it."""
    base.join(folder)
    command = [sys.executable, "-m", "dvc", "pull", "-q", "--allow-missing"]
    subprocess.run(command, cwd=folder, capture_output=True)


def cached(md5: str) -> str | None:
    """The true md5 of an object in the cache, members of a folder included; None if it is gone."""
    found = base.md5(CACHE / md5[:2] / md5[2:])
    if found is None or not md5.endswith(".dir"):
        return found
    good = all(cached(one) == one for one in _listed(md5).values())
    return f"{found}.dir" if good else None


def _listed(md5: str) -> dict[str, str]:
    """{file: md5} of a folder in the cache; none where its list cannot be read."""
    try:
        entries = json.loads((CACHE / md5[:2] / md5[2:]).read_text("utf-8"))
        return {one["relpath"]: one["md5"] for one in entries}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def hashed(path: Path) -> str | None:
    """md5 of a file or a folder, as DVC computes it; None where there is none."""
    if not path.is_dir():
        return base.md5(path)
    return _folder(_members(path))


def _folder(members: dict[str, str | None]) -> str:
    """md5 of a folder's list of files, in the order of their names."""
    listed = json.dumps([{"md5": md5, "relpath": name} for name, md5 in sorted(members.items())])
    return hashlib.md5(listed.encode()).hexdigest() + ".dir"
