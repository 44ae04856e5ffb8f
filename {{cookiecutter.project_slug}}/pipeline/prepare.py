"""Split the raw data into train, val and test, and describe it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import config, prepared, profile, raw, stage
from pipeline.errors import Problem, nearest
from pipeline.prepared import SIDES
from pipeline.split import splitter

PROFILE = Path("reports/profile.json")


def prepare(params: config.Params) -> dict[str, int]:
    """Write data/prepared/{train,val,test}.parquet and reports/profile.json.

    Returns the number of rows on each side. Raises `Problem` when the raw data
    cannot be read, lacks a column that params.yaml names, or leaves a side empty.
    """
    rows = raw.through(params.data.path, lambda blocks: _split(blocks, params))
    for side, count in rows.items():
        if not count:
            raise Problem(
                f"{params.data.path}: no row falls to {side} (rows: {rows}); use more data, or "
                f"other shares or another way in params.yaml: prepare.split"
            )
    columns = {name: profile.describe(prepared.column(name)) for name in prepared.names()}
    stage.write_json(PROFILE, {"rows": rows, "columns": columns})
    return rows


def _split(blocks: Iterator[pa.RecordBatch], params: config.Params) -> dict[str, int]:
    """Write each block's rows to the files of their sides."""
    rows = dict.fromkeys(SIDES, 0)
    side_of = splitter(params)
    with ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}
        for block in blocks:
            if not writers:
                _check_columns(params.data, block.schema.names)
                for side in SIDES:
                    name = stack.enter_context(stage.replacing(prepared.path(side)))
                    writer = pq.ParquetWriter(name, block.schema, compression="lz4")
                    writers[side] = stack.enter_context(writer)
            sides = side_of(block)
            for code, side in enumerate(SIDES):
                mine = np.flatnonzero(sides == code)
                rows[side] += len(mine)
                if len(mine):
                    writers[side].write_batch(block.take(pa.array(mine)))
    return rows


def _check_columns(data: config.Data, names: list[str]) -> None:
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
    rows = prepare(config.load())
    print("prepared " + ", ".join(f"{count:,} {side}" for side, count in rows.items()) + " rows")


if __name__ == "__main__":
    stage.run("prepare", main)
