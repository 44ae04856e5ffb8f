"""Where batches of data lie: those that joined in the folder data.path, others in quarantine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pyarrow as pa

from core import tables, yaml_edit
from core.dvc_config import remote_url
from core.errors import Problem
from core.files import file_md5, remove_half_written, replacing, write_json
from core.paths import PARAMS
from core.yaml_io import read_yaml

QUARANTINE = Path("data/quarantine")


class Place(NamedTuple):
    """The data as params.yaml has it, and the folder that it is, or becomes with a batch."""

    path: Path
    folder: Path

    def current(self) -> Path:
        """The data, batches of this run included."""
        return self.folder if self.folder.is_dir() else self.path

    def by_md5(self) -> dict[str, Path]:
        """{md5: file} of the data."""
        return {file_md5(file): file for file in tables.files(self.current())}


def find(path: str) -> Place:
    """The place of the data at `path`; half of a move by an interrupted run is fine.

    Half copies of a killed run are removed, so `core.files.lock` must be held. Raises `Problem`
    (exit 2) where the data is not here, or no file can join it.
    """
    data = Path(path)
    if not data.exists():
        raise Problem(f"{data}: no such file; `dvc pull` fetches tracked data, or fix data.path")
    pointer = Path(f"{data}.dvc")
    if pointer.exists() and "deps" in (read_yaml(pointer) or {}):
        raise Problem(f"{data} is imported; new data comes with `dvc update {pointer}`")
    if data.is_dir():
        remove_half_written(data)
        return Place(data, data)
    suffix = next(one for one in tables.CSV + tables.PARQUET if data.name.endswith(one))
    folder = data.with_name(data.name.removesuffix(suffix))
    remove_half_written(folder)
    begun = folder / data.name
    other = folder.exists() and not (begun.exists() and file_md5(begun) == file_md5(data))
    if other and (not folder.is_dir() or any(folder.iterdir())):
        raise Problem(
            f"{data} becomes the folder {folder} with its first batch, which is there "
            "already and holds something else; rename it"
        )
    if other:
        folder.rmdir()
    return Place(data, folder)


def conflict(place: Place, batch: Path) -> str:
    """What keeps the batch from being read as one table with the data; "" for nothing."""
    before = tables.through(place.current(), _last)
    with TemporaryDirectory() as folder:
        for file in tables.files(place.current()):
            os.symlink(file.resolve(), Path(folder, file.name))
        os.symlink(batch.resolve(), Path(folder, target_name(place, batch)))
        try:
            after = tables.through(folder, _last)
        except Problem as problem:
            return str(problem).replace(f"{folder}/", "")
    texts = [
        one.name
        for one in after
        if one.type == pa.string()
        and before.field(one.name).type not in (pa.string(), tables.CATEGORY)
    ]
    return f"would turn {', '.join(texts)} into text" if texts else ""


def _last(blocks: Any) -> pa.Schema:
    schema = pa.schema([])
    for block in blocks:
        schema = block.schema
    return schema


def target_name(place: Place, batch: Path) -> str:
    """What the batch is called among the data: after its first file, which the types are from."""
    taken = {file.name for file in tables.files(place.current())}
    first = min(taken)
    wanted = batch.name if batch.name > first else f"{first.split('.')[0]}_{batch.name}"
    stem, dot, rest = wanted.partition(".")
    return f"{stem}_{file_md5(batch)[:8]}{dot}{rest}" if wanted in taken else wanted


def add(place: Place, batch: Path) -> Path:
    """Copy the batch to the data, whole or not at all; the copy."""
    target = place.folder / target_name(place, batch)
    if not place.folder.exists():
        _copy(place.path, place.folder / place.path.name)
    _copy(batch, target)
    _release(file_md5(batch))
    return target


def _copy(file: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(file, temporary)


def quarantine(batch: Path, reasons: dict[str, Any]) -> Path:
    """Keep the batch in quarantine, with its reasons beside it; the copy."""
    target = QUARANTINE / batch.name
    if target.exists() and file_md5(target) != file_md5(batch):
        stem, dot, rest = batch.name.partition(".")
        target = QUARANTINE / f"{stem}_{file_md5(batch)[:8]}{dot}{rest}"
    write_json(_reasons(target), reasons)
    if not target.exists():
        _copy(batch, target)
    return target


def _reasons(batch: Path) -> Path:
    return batch.with_name(f"{batch.name}.reasons.json")


def _release(content: str) -> None:
    """What has joined by now is no longer in quarantine."""
    for file in QUARANTINE.glob("*"):
        if not file.name.endswith(".reasons.json") and file_md5(file) == content:
            file.unlink()
            _reasons(file).unlink(missing_ok=True)


def track(place: Place) -> bool:
    """Let DVC track the folder where it tracks data, and params.yaml name it; whether it does.

    Whatever an interrupted run has left to do is done.
    """
    pointer = Path(f"{place.path}.dvc")
    tracked = pointer.exists() or remote_url().startswith("s3://")
    if tracked and place.current().is_dir():
        _dvc("add", "--quiet", str(place.folder))
    if place.path == place.folder or not place.folder.is_dir():
        return tracked
    text = yaml_edit.set_values(yaml_edit.read(PARAMS), "data", {"path": place.folder.as_posix()})
    with replacing(PARAMS) as temporary:
        temporary.write_text(text, encoding="utf-8")
    if pointer.exists():
        _dvc("remove", "--quiet", str(pointer))
    place.path.unlink(missing_ok=True)
    return tracked


def _dvc(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"dvc {' '.join(arguments)}: {done.stderr.strip()[:300]}")
