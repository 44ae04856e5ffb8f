"""The rows that a model has not learnt from: what came to the data since its commit."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from core import tables
from core.errors import Problem
from core.files import file_md5, replacing
from core.paths import RAW
from core.tables import to_pandas
from core.yaml_io import read_yaml
from ops.monitoring.reference import Reference
from pipeline.params import load_params


class NewRows(NamedTuple):
    """The new rows, None for none; how many there are, and how they were recognised."""

    rows: pd.DataFrame | None
    total: int
    how: str


def find(against: Reference) -> NewRows:
    """New files of the folder, else rows dated after the model's, else all rows of other data.

    Raises `Problem` (exit 2) where the data, or what the model's data was, cannot be had.
    """
    data = load_params().data
    files = tables.files(data.path)
    assert against.folder
    known = _contents(against.folder)
    new = [file for file in files if file_md5(file) not in known]
    if not new:
        return NewRows(None, 0, "the data is what the model learnt from")
    if len(new) < len(files):
        rows = pd.concat([to_pandas(tables.read(one)) for one in new], ignore_index=True)
        return NewRows(rows, len(rows), f"{len(new)} new of {len(files)} files")
    rows = to_pandas(tables.read(data.path))
    last = against.columns.get(data.time or "", {})
    if data.time and last.get("kind") == "date" and "max" in last and data.time in rows:
        until = pd.Timestamp(0) + pd.Timedelta(days=last["max"])
        later = rows[pd.to_datetime(rows[data.time]) > until].reset_index(drop=True)
        how = f"{data.time} after {until:%Y-%m-%d}"
        return NewRows(later if len(later) else None, len(later), how)
    more = max(0, len(rows) - against.rows)
    return NewRows(rows, more, f"{len(rows):,} rows, not {against.rows:,}; all are compared")


def _contents(folder: Path) -> set[str]:
    """The md5 of every raw file that a commit has, in Git or in DVC."""
    md5s = set[str]()
    for file in (folder / RAW).rglob("*"):
        if file.suffix == ".dvc":
            for out in (read_yaml(file) or {}).get("outs", []):
                oid = str(out.get("md5"))
                md5s |= set(_members(oid)) if oid.endswith(".dir") else {oid}
        elif file.is_file():
            md5s.add(file_md5(file))
    return md5s


def _members(oid: str) -> list[str]:
    """The md5 of the files in a folder that DVC keeps, from the cache or the storage."""
    from dvc.repo import Repo

    with Repo(".") as repo:
        listed = Path(repo.cache.local.oid_to_path(oid))
        if not listed.exists():
            _fetch(repo, oid, listed)
    content: list[dict[str, Any]] = json.loads(listed.read_text())
    return [str(one["md5"]) for one in content]


def _fetch(repo: Any, oid: str, target: Path) -> None:
    """Get a folder's list, and not what is in the folder."""
    try:
        remote = repo.cloud.get_remote_odb()
        with replacing(target) as temporary:
            remote.fs.get_file(remote.oid_to_path(oid), str(temporary))
            if file_md5(temporary) != oid.removesuffix(".dir"):
                raise ValueError("altered in the storage")
    except Exception as error:  # a remote of any kind may fail in any way
        why = " ".join(str(error).split())[:200]
        raise Problem(
            f"what the model learnt from ({oid}) cannot be had: {why}; "
            "`dvc fetch --all-tags` may bring it"
        ) from None
