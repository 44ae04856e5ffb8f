"""Another commit of this repository, in a folder of its own: its files, model and test rows."""

import io
import os
import secrets
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from core import yaml_edit
from core.errors import Problem
from core.files import lock, md5
from core.git import git, run_git
from core.paths import BASELINE, COST, LOCK, MODEL, PARAMS, PROFILE, QUALITY, SLICES
from core.yaml_io import read_yaml
from ops.dvc_lock import at_key, cache_path, outputs, read_lock
from pipeline import dataset
from pipeline.params import load_params

FOLDER = Path(".dvc/tmp/base")


class Checkout(NamedTuple):
    """A commit as it was: all that others ask of it."""

    rev: str  # as it was asked for
    commit: str
    folder: Path
    outputs: dict[str, str]  # {path: md5}, as its dvc.lock has them
    sample: Any  # the share of the rows that it takes (prepare.sample); None where it is not said
    missing: str  # which outputs cannot be had, and why; "" when all are here

    @property
    def has_model(self) -> bool:
        """Whether the model that its dvc.lock names is in the folder."""
        return (self.folder / MODEL).exists()

    @property
    def same_rows(self) -> bool:
        """Whether its model was tested on the test rows that are here."""
        path = dataset.path("test")
        return self.outputs.get(str(path), "none") == md5(path)


def main_branch() -> str | None:
    """origin/main, else main; None where neither is."""
    return next((rev for rev in ("origin/main", "main") if _knows(rev)), None)


def _knows(rev: str) -> bool:
    return not run_git("rev-parse", "-q", "--verify", f"{rev}^{{commit}}").returncode


def merge_base(rev: str) -> str:
    """The commit at which this branch left `rev`, which may have gone on since.

    Raises `Problem` for a revision that is unknown or shares no history.
    """
    shallow = git("rev-parse", "--is-shallow-repository") == "true"
    hint = "; this clone is shallow: git fetch --unshallow" if shallow else ""
    if not _knows(rev):
        raise Problem(f"{rev}: no such revision here{hint or '; git fetch origin'}")
    try:
        return git("merge-base", "HEAD", rev)
    except Problem:
        raise Problem(f"{rev}: shares no commit with this branch{hint}") from None


@lock()
def checkout(rev: str, *, exact: bool = False, fresh: bool = False) -> Checkout:
    """Check out the merge base with `rev`; when `exact`, `rev` itself as it is.

    Where this branch takes another share of the rows (prepare.sample), so does the merge base: it
    then has a model only if `train` has run. With `fresh`, what is in the folder from before is
    not believed. Raises `Problem` for an unknown revision.
    """
    commit = git("rev-parse", f"{rev}^{{commit}}") if exact else merge_base(rev)
    folder = FOLDER / commit[:12]
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    _unpack(commit, folder)
    here = None if exact else load_params().prepare.sample
    if here is not None and _sample(folder) != here:
        folder = FOLDER / f"{commit[:12]}-{here:g}"
        _unpack(commit, folder, here)
    known = outputs(read_lock(folder))
    return Checkout(rev, commit, folder, known, _sample(folder), _fetch(rev, folder, known))


def _unpack(commit: str, folder: Path, sample: float | None = None) -> None:
    """Write a commit's files; `git worktree` would write the whole of a larger repository."""
    if folder.exists():
        return
    archive = ["git", "archive", "--format=zip", commit]
    packed = subprocess.run(archive, capture_output=True, check=True).stdout
    temporary = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.tmp")
    with zipfile.ZipFile(io.BytesIO(packed)) as files:
        files.extractall(temporary)
    if sample is not None:
        _set_sample(temporary, sample)
    os.replace(temporary, folder)


def _sample(folder: Path) -> Any:
    """The share of the rows that a commit takes; None where its params.yaml does not say."""
    try:
        return at_key(read_yaml(folder / PARAMS), "prepare.sample")
    except Problem:
        return None


def _set_sample(folder: Path, sample: float) -> None:
    """Take another share of the rows; results of the old share are no results of this one."""
    path = folder / PARAMS
    path.write_text(yaml_edit.set_values(path.read_text("utf-8"), "prepare", {"sample": sample}))
    for stale in (LOCK, QUALITY, COST, SLICES):
        (folder / stale).unlink(missing_ok=True)


def _fetch(rev: str, folder: Path, known: dict[str, str]) -> str:
    """Bring what dvc.lock names, from the cache or the storage; what cannot be had, and why.

    DVC believes the name of a file in its cache; here every file's bytes are compared.
    """
    if str(MODEL) not in known:
        return f"{rev} has no trained model; `ml checkout {rev} --train` trains it"
    wanted = {
        path: known[str(path)]
        for path in (MODEL, BASELINE, dataset.path("test"), PROFILE)
        if str(path) in known and md5(folder / path) != known[str(path)]
    }
    for path, oid in wanted.items():
        (folder / path).unlink(missing_ok=True)
        if md5(cache_path(oid)) == oid:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(cache_path(oid), folder / path)
    missing = [str(path) for path in wanted if not (folder / path).exists()]
    if missing:
        share_cache(folder)
        pull = [sys.executable, "-m", "dvc", "pull", "-q", *missing]
        subprocess.run(pull, cwd=folder, capture_output=True)
        for name in missing:
            if md5(folder / name) != known[name]:
                (folder / name).unlink(missing_ok=True)
        missing = [path for path in missing if not (folder / path).exists()]
    if missing:
        return f"{', '.join(missing)} of {rev} is neither in the cache nor in the storage"
    return ""


def share_cache(folder: Path) -> None:
    """Let DVC in the folder use this checkout's cache and storage."""
    from dvc.repo import Repo

    with Repo(".") as repo:
        lines = ["[core]", "    no_scm = true", "    autostage = false"]
        lines += ["[cache]", f"    dir = {repo.cache.local_cache_dir}"]
        for name, remote in repo.config["remote"].items():
            lines += [f"['remote \"{name}\"']", f"    url = {remote['url']}"]
    (folder / ".dvc").mkdir(exist_ok=True)
    (folder / ".dvc/config.local").write_text("\n".join(lines) + "\n", encoding="utf-8")


@lock()
def train(base: Checkout) -> Checkout:
    """Run the commit's own pipeline in its folder, from the run cache where that knows it.

    Raises `Problem` when it fails.
    """
    if not base.missing:
        return base
    share_cache(base.folder)
    environment = os.environ | {"PYTHONPATH": "", "DVC_NO_ANALYTICS": "1"}
    tracked = [str(one.relative_to(base.folder)) for one in base.folder.glob("data/**/*.dvc")]
    for command in (["pull", "-q", *tracked] if tracked else [], ["repro", "--pull"]):
        dvc = [sys.executable, "-m", "dvc", *command]
        if command and subprocess.run(dvc, cwd=base.folder, env=environment).returncode:
            raise Problem(f"{base.rev}: dvc {command[0]} failed, see above")
    return base._replace(missing="", outputs=outputs(read_lock(base.folder)))


def main(rev: str | None = None, train_it: bool = False) -> None:
    """Check out `rev` (default: origin/main) beside this commit, and say where it is."""
    rev = rev or main_branch()
    if not rev:
        raise Problem("neither origin/main nor main is known here; name a revision")
    base = checkout(rev)
    base = train(base) if train_it else base
    print(f"{base.rev} ({base.commit[:12]}) is in {base.folder}")
    if base.missing:
        print(f"note: {base.missing}")
