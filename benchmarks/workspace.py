"""Folders to measure in: loans of any size, as they come and prepared, and a generated project."""

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from loans import loans, write
from project import PROJECT, params

from pipeline import prepare
from pipeline.params import Params

TEMPLATE = PROJECT.parent
ROWS = int(os.environ.get("BENCH_ROWS", 1_000_000))
SIZE = f"{ROWS / 1e6:g} M rows"
CHUNK = 1_000_000
LEFTOVERS = shutil.ignore_patterns(".venv", "__pycache__", ".*_cache", "*.tmp")
RAW = "data/raw/loans.csv"
SECTIONS = {"id": "application_id", "time": "applied_on", "split": "hash", "path": RAW}


@functools.cache
def root() -> Path:
    """A folder for this run, gone at its end."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def settings(**changes: object) -> Params:
    """The shipped params.yaml, for RAW."""
    return params(**{**SECTIONS, **changes})


@functools.cache
def raw_loans(rows: int, seed: int) -> Path:
    """A folder with `rows` loans in RAW, the data contract and the reference profile."""
    folder = root() / f"{rows}-{seed}"
    (folder / RAW).parent.mkdir(parents=True)
    shutil.copy(PROJECT / "schema.yaml", folder)
    shutil.copytree(PROJECT / "data" / "reference", folder / "data" / "reference")
    if rows <= CHUNK:
        write(rows, str(folder / RAW), seed)
        return folder
    with (folder / RAW).open("w") as file:
        for first in range(0, rows, CHUNK):
            table = loans(min(CHUNK, rows - first), seed + first).drop(columns="chance")
            table["application_id"] += first
            table["has_guarantor"] = table["has_guarantor"].map({True: "true", False: "false"})
            table.to_csv(file, index=False, header=not first, lineterminator="\n")
    return folder


@functools.cache
def prepared_loans(rows: int, seed: int = 0) -> Path:
    """The same, with train, val and test under data/prepared."""
    folder, here = raw_loans(rows, seed), Path.cwd()
    os.chdir(folder)
    prepare.prepare(settings())
    os.chdir(here)
    return folder


def frame(folder: Path) -> pd.DataFrame:
    """The prepared rows of a folder, whatever their side."""
    sides = sorted((folder / "data" / "prepared").glob("*.parquet"))
    return pd.concat([pd.read_parquet(side) for side in sides], ignore_index=True)


@functools.cache
def template() -> Path:
    """The template as a clone of it would be, without what work has left in this one."""
    copy = root() / "template"
    copy.mkdir()
    shutil.copy(TEMPLATE / "cookiecutter.json", copy)
    for name in ("hooks", PROJECT.name):
        shutil.copytree(TEMPLATE / name, copy / name, ignore=LEFTOVERS)
    return copy


def apart() -> dict[str, str]:
    """An environment with this Python first, without the settings of this machine's user."""
    home = root() / "home"
    if not home.exists():
        home.mkdir()
        (home / "gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.com\n")
        (home / "cookiecutter.yaml").write_text(f"replay_dir: {home}\ncookiecutters_dir: {home}\n")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "AWS_", "DVC_"))}
    folders = ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR")
    return {
        **kept,
        **dict.fromkeys(folders, str(home)),
        "DVC_NO_ANALYTICS": "1",
        "COOKIECUTTER_CONFIG": str(home / "cookiecutter.yaml"),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }


def call(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run a command in silence; when it fails, its words are the error."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


@functools.cache
def generated() -> Path:
    """A project made by the template, with its Git repository, not yet run."""
    folder = root() / "project"
    command = ["cookiecutter", "--no-input", "-o", str(folder), str(template())]
    call(command, root(), apart())
    return next(folder.iterdir())
