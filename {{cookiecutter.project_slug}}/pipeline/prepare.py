"""Split the raw data into train, val and test, and describe it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core import tables
from core.errors import Problem, nearest
from core.files import replacing, write_json
from core.paths import PROFILE
from core.runner import run_stage
from core.validation import profile
from pipeline import dataset
from pipeline.dataset import SIDES
from pipeline.params import Data, Params, load_params
from pipeline.split import splitter


def prepare(params: Params) -> dict[str, int]:
    """Write data/prepared/{train,val,test}.parquet and reports/profile.json.

    Returns the number of rows on each side. Raises `Problem`, the files that are there left as
    they are, when the raw data cannot be read or described, lacks a column that params.yaml
    names, or leaves a side empty.
    """
    path = params.data.path
    with ExitStack() as stack:
        files = {side: stack.enter_context(replacing(dataset.path(side))) for side in SIDES}
        rows = tables.through(path, lambda blocks: _split(blocks, params, files))
        for side, count in rows.items():
            if not count:
                raise Problem(
                    f"{path}: no row falls to {side} (rows: {rows}); use more data, or other "
                    f"shares or another way in params.yaml: prepare.split"
                )
        names = pq.read_schema(files["train"]).names
        columns = {name: _describe(name, list(files.values()), path) for name in names}
    write_json(PROFILE, {"rows": rows, "columns": columns})
    return rows


def _split(
    blocks: Iterator[pa.RecordBatch], params: Params, files: dict[str, Path]
) -> dict[str, int]:
    """Write each block's rows to the files of their sides."""
    rows = dict.fromkeys(SIDES, 0)
    side_of = splitter(params)
    with ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}
        for block in blocks:
            if not writers:
                _check_columns(params.data, block.schema.names)
                for side, file in files.items():
                    writer = pq.ParquetWriter(file, block.schema, compression="lz4")
                    writers[side] = stack.enter_context(writer)
            sides = side_of(block)
            for code, side in enumerate(SIDES):
                mine = np.flatnonzero(sides == code)
                rows[side] += len(mine)
                if len(mine):
                    writers[side].write_batch(block.take(pa.array(mine)))
    return rows


def _describe(name: str, files: list[Path], path: str) -> profile.Profile:
    with np.errstate(over="ignore"):
        about = profile.describe(dataset.read_column(name, files))
    if not np.isfinite(about.get("std", 0)):
        raise Problem(
            f"{path}: column {name!r} goes from {about['min']:.3g} to {about['max']:.3g}, too far "
            "to be described; fix these values, or leave them empty"
        )
    return about


def _check_columns(data: Data, names: list[str]) -> None:
    """The columns that say where a row goes must be there; validate looks at the others."""
    for part in ("target", "id", "time", "group"):
        column = getattr(data, part)
        if column and column not in names:
            raise Problem(
                f"{data.path}: no column {column!r}, which params.yaml names as data.{part}"
                f"{nearest(column, names)}"
            )


def main() -> None:
    """`python -m pipeline.prepare`"""
    rows = prepare(load_params())
    print("prepared " + ", ".join(f"{count:,} {side}" for side, count in rows.items()) + " rows")


if __name__ == "__main__":
    run_stage("prepare", main)
