"""Lay out the commit that this one is compared with: its files, its model, its test rows."""

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import config, prepared, stage, strict
from pipeline.adoption import edits
from pipeline.errors import Problem

FOLDER = Path(".dvc/tmp/base")
LOCK = "dvc.lock"


class Base(NamedTuple):
    """A commit, laid out in a folder of its own."""

    rev: str  # as it was asked for
    sha: str
    folder: Path
    note: str  # what is missing of it, and why; "" when nothing is


def git(*arguments: str) -> str:
    """What Git answers. Raises `Problem` (exit 2) where it cannot."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"git {' '.join(arguments[:2])}: {done.stderr.strip()[:200]}", 2)
    return done.stdout.strip()


def main_branch() -> str | None:
    """origin/main, else main; None where neither is."""
    for rev in ("origin/main", "main"):
        if _knows(rev):
            return rev
    return None


def _knows(rev: str) -> bool:
    there = ["git", "rev-parse", "-q", "--verify", f"{rev}^{{commit}}"]
    return not subprocess.run(there, capture_output=True).returncode


def merge_base(rev: str) -> str:
    """The commit at which this branch left `rev`, which may have gone on since.

    Raises `Problem` (exit 2) for a revision that is unknown or shares no history.
    """
    shallow = git("rev-parse", "--is-shallow-repository") == "true"
    hint = "; this clone is shallow: git fetch --unshallow" if shallow else ""
    if not _knows(rev):
        raise Problem(f"{rev}: no such revision here{hint or '; git fetch origin'}", 2)
    try:
        return git("merge-base", "HEAD", rev)
    except Problem:
        raise Problem(f"{rev}: shares no commit with this branch{hint}", 2) from None


def lay(rev: str, *, exact: bool = False) -> Base:
    """Lay out the merge base with `rev`; when `exact`, `rev` itself as it is.

    Where this branch takes another share of the rows (prepare.sample), so does the merge base: it
    then has a model only if `train` has run. Raises `Problem` (exit 2) for an unknown revision.
    """
    sha = git("rev-parse", f"{rev}^{{commit}}") if exact else merge_base(rev)
    folder = FOLDER / sha[:12]
    if not folder.exists():
        _unpack(sha, folder)
    share = config.load().prepare.sample
    if not exact and share_of(folder) != share:
        folder = FOLDER / f"{sha[:12]}-{share:g}"
        if not folder.exists():
            _unpack(sha, folder)
            _set_share(folder, share)
    return Base(rev, sha, folder, _outputs(rev, folder))


def _unpack(sha: str, folder: Path) -> None:
    archive = ["git", "archive", "--format=zip", sha]
    packed = subprocess.run(archive, capture_output=True, check=True).stdout
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    with zipfile.ZipFile(io.BytesIO(packed)) as files:
        files.extractall(temporary)
    os.replace(temporary, folder)


def share_of(folder: Path) -> Any:
    """The share of the rows that a commit takes; None where its params.yaml does not say."""
    try:
        return strict.read_yaml(folder / "params.yaml")["prepare"]["sample"]
    except (Problem, KeyError, TypeError):
        return None


def _set_share(folder: Path, share: float) -> None:
    """Take the same share of the rows; results of another share are no results of this one."""
    path = folder / "params.yaml"
    path.write_text(edits.set_values(path.read_text("utf-8"), "prepare", {"sample": share}))
    for stale in (LOCK, "metrics/quality.json", "metrics/cost.json", "reports/slices.json"):
        (folder / stale).unlink(missing_ok=True)


def locked(folder: Path = Path()) -> dict[str, str]:
    """{path of an output: md5}, as the folder's dvc.lock has it."""
    if not (folder / LOCK).exists():
        return {}
    stages = (strict.read_yaml(folder / LOCK) or {}).get("stages") or {}
    return {out["path"]: out["md5"] for one in stages.values() for out in one.get("outs", ())}


def _outputs(rev: str, folder: Path) -> str:
    """Lay out what dvc.lock names, from the cache or the storage; what could not be had."""
    from pipeline import model  # and with it PyTorch, which many answers do without

    known = locked(folder)
    if str(model.MODEL) not in known:
        return f"{rev} has no trained model; `python -m pipeline.base {rev} --train` trains it"
    missing = []
    profile = Path("reports/profile.json")
    for path in (model.MODEL, model.BASELINE, prepared.path("test"), profile):
        there, wanted = folder / path, known.get(str(path))
        if not wanted or there.exists():
            continue
        cached = Path(".dvc/cache/files/md5", wanted[:2], wanted[2:])
        if md5(cached) == wanted:
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(cached, there)
        else:
            missing.append(str(path))
    if missing:
        join(folder)
        subprocess.run(
            [sys.executable, "-m", "dvc", "pull", "-q", *missing], cwd=folder, capture_output=True
        )
        missing = [path for path in missing if not (folder / path).exists()]
    if missing:
        return f"{', '.join(missing)} of {rev} is neither in the cache nor in the storage"
    return ""


def md5(path: Path) -> str | None:
    """DVC believes the name of a file in its cache; a baseline deserves a look at the bytes."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    except OSError:
        return None


def join(folder: Path) -> None:
    """Let the folder use this checkout's cache and storage."""
    from dvc.repo import Repo

    with Repo(".") as repo:
        lines = ["[core]", "    no_scm = true", "    autostage = false"]
        lines += ["[cache]", f"    dir = {repo.cache.local_cache_dir}"]
        for name, remote in repo.config["remote"].items():
            lines += [f"['remote \"{name}\"']", f"    url = {remote['url']}"]
    (folder / ".dvc").mkdir(exist_ok=True)
    (folder / ".dvc/config.local").write_text("\n".join(lines) + "\n", encoding="utf-8")


def train(base: Base) -> Base:
    """Run the base's own pipeline in its folder, from the run cache where that knows it.

    Raises `Problem` (exit 2) when it fails.
    """
    if not base.note:
        return base
    join(base.folder)
    environment = os.environ | {"PYTHONPATH": "", "DVC_NO_ANALYTICS": "1"}
    tracked = [str(one.relative_to(base.folder)) for one in base.folder.glob("data/**/*.dvc")]
    for command in (["pull", "-q", *tracked] if tracked else [], ["repro", "--pull"]):
        dvc = [sys.executable, "-m", "dvc", *command]
        if command and subprocess.run(dvc, cwd=base.folder, env=environment).returncode:
            raise Problem(f"{base.rev}: dvc {command[0]} failed, see above", 2)
    return base._replace(note="")


def main() -> None:
    """`python -m pipeline.base`"""
    parser = argparse.ArgumentParser(prog="python -m pipeline.base", description=__doc__)
    parser.add_argument("rev", nargs="?", default=main_branch(), help="default: origin/main")
    parser.add_argument("--train", action="store_true", help="train it where it has no model")
    args = parser.parse_args()
    if not args.rev:
        raise Problem("neither origin/main nor main is known here; name a revision", 2)
    base = lay(args.rev)
    base = train(base) if args.train else base
    print(f"{base.rev} ({base.sha[:12]}) is in {base.folder}")
    if base.note:
        print(f"note: {base.note}")


if __name__ == "__main__":
    stage.run("base", main)
