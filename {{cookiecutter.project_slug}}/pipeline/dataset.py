"""The prepared data: where it lies and how it is loaded."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import Problem
from core.paths import PREPARED
from core.tables import to_pandas

SIDES = ("train", "val", "test")


def path(side: str) -> Path:
    """The file of one side of the split."""
    return PREPARED / f"{side}.parquet"


def names() -> list[str]:
    """The columns, in the order of the raw file."""
    return list(pq.read_schema(_there("train")).names)


def rows(side: str) -> int:
    """How many rows a side has."""
    return int(pq.read_metadata(_there(side)).num_rows)


def column(name: str, sides: tuple[str, ...] = SIDES) -> pd.Series:
    """One column of the sides, one after the other; text with few values is a category."""
    return read_column(name, [_there(side) for side in sides])


def read_column(name: str, files: list[Path]) -> pd.Series:
    """One column of Parquet files of one schema, one after the other."""
    return to_pandas(pa.concat_tables([_read(file, [name]) for file in files]))[name]


def frame(side: str, columns: list[str] | None = None) -> pd.DataFrame:
    """One side of the split as a DataFrame of shape (rows, columns)."""
    return to_pandas(_read(_there(side), columns))


def _read(file: Path, columns: list[str] | None) -> pa.Table:
    # pq.read_table goes through datasets: a fifth more time for a single file
    table = pq.ParquetFile(file).read(columns)
    return table.select(columns) if columns else table


def _there(side: str) -> Path:
    if not path(side).exists():
        raise Problem(f"{path(side)}: no such file; `dvc repro prepare` makes it")
    return path(side)
