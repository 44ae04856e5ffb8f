"""The prepared data: where it lies and how it is loaded."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import Problem

FOLDER = Path("data/prepared")
SIDES = ("train", "val", "test")


def path(side: str) -> Path:
    """The file of one side of the split."""
    return FOLDER / f"{side}.parquet"


def names() -> list[str]:
    """The columns, in the order of the raw file."""
    return list(_schema("train").names)


def rows(side: str) -> int:
    """How many rows a side has."""
    return int(pq.read_metadata(_there(side)).num_rows)


def column(name: str, sides: tuple[str, ...] = SIDES) -> pd.Series:
    """One column of the sides, one after the other; text with few values is a category."""
    tables = [_read(side, [name]) for side in sides]
    return to_pandas(pa.concat_tables(tables))[name]


def frame(side: str, columns: list[str] | None = None) -> pd.DataFrame:
    """One side of the split as a DataFrame of shape (rows, columns)."""
    return to_pandas(_read(side, columns))


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as pandas, dates as datetime64, dictionaries as categories."""
    return table.to_pandas(self_destruct=True, split_blocks=True)


def _read(side: str, columns: list[str] | None) -> pa.Table:
    # pq.read_table goes through datasets: a fifth more time for a single file
    table = pq.ParquetFile(_there(side)).read(columns)
    return table.select(columns) if columns else table


def _schema(side: str) -> pa.Schema:
    return pq.read_schema(_there(side))


def _there(side: str) -> Path:
    if not path(side).exists():
        raise Problem(f"{path(side)}: no such file; `dvc repro prepare` makes it")
    return path(side)
