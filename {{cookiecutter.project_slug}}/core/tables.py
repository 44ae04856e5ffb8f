"""Read raw tables block by block, and refuse files that are not what they seem.

A table is a CSV (plain, .gz, .zst) or a Parquet file, or a folder of them.
Types are inferred from the first block; a later value that does not fit widens
its column (whole number, number, text) and reading starts again, so that no
value is guessed or lost. Memory stays at a few blocks whatever the size.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from core import csv_reader
from core.csv_reader import Types
from core.errors import Problem, nearest

CSV = (".csv", ".csv.gz", ".csv.zst")
PARQUET = (".parquet", ".pq")
BLOCK_ROWS = 1 << 16
CATEGORY = pa.dictionary(pa.int32(), pa.string())
CATEGORY_SHARE = 0.2  # text with fewer distinct values per row than this is a category
Result = TypeVar("Result")


def files(path: str | Path) -> list[Path]:
    """The table's files, also those in folders inside, by path. Raises `Problem` for none."""
    path = Path(path)
    if path.is_dir():
        inside = (p for p in path.rglob("*") if p.name.endswith(CSV + PARQUET))
        paths = sorted(p for p in inside if not str(p.relative_to(path)).startswith("."))
        if not paths:
            raise Problem(f"{path}: this folder holds no {', '.join(CSV + PARQUET)}")
        return paths
    if not path.exists():
        raise Problem(f"{path}: no such file; git checkout HEAD -- {path}, or dvc pull")
    if not path.name.endswith(CSV + PARQUET):
        raise Problem(f"{path}: unknown kind of file; want {', '.join(CSV + PARQUET)}")
    return [path]


def through(
    path: str | Path,
    work: Callable[[Iterator[pa.RecordBatch]], Result],
    columns: list[str] | None = None,
) -> Result:
    """Call `work` with the blocks of the table at `path` and return its result.

    `work` gets record batches of one schema (int64, float64, bool, timestamp in
    UTC, string, or a dictionary of strings), and is called afresh, from the first
    block, when a column has to be widened. `columns` reads these only. Raises
    `Problem` for a file that is empty, cut off, not UTF-8, ragged, wrongly
    separated or without rows.
    """
    paths = files(path)
    types = _infer(paths[0])
    _need(columns or [], types, path)
    while True:
        try:
            return work(_blocks(paths, types, columns))
        except csv_reader.Widen as wider:
            types[wider.column] = wider.kind


def types(path: str | Path) -> Types:
    """Names and types of the columns, from the first block; a later block may widen them."""
    return {name: _naive(kind) for name, kind in _infer(files(path)[0]).items()}


def read(path: str | Path, columns: list[str] | None = None) -> pa.Table:
    """The whole table in memory; see `through`."""
    return through(path, lambda blocks: pa.Table.from_batches(list(blocks)), columns)


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as pandas, dates as datetime64, dictionaries as categories."""
    return table.to_pandas(self_destruct=True, split_blocks=True)


def _need(columns: list[str], types: Types, path: str | Path) -> None:
    for column in columns:
        if column not in types:
            raise Problem(f"{path}: no column {column!r}{nearest(column, types)}")


def _blocks(paths: list[Path], types: Types, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    names = columns or list(types)
    schema = pa.schema([(name, _naive(types[name])) for name in names])
    total = sum(file.stat().st_size for file in paths)
    rows = 0
    with tqdm(
        total=total, unit="B", unit_scale=True, desc="read", delay=2, leave=False, disable=None
    ) as bar:
        for file in paths:
            read_file = _of_csv if file.name.endswith(CSV) else _of_parquet
            for batch in read_file(file, types, names, bar):
                rows += batch.num_rows
                yield batch.cast(schema) if batch.schema != schema else batch
    if not rows:
        raise Problem(f"{paths[0]}: a header and no rows")


def _same(names: list[str], types: Types, file: Path) -> None:
    """All files of a folder must have the same columns, in any order."""
    more, less = set(names) - set(types), set(types) - set(names)
    if more or less:
        raise Problem(
            f"{file}: not the columns of the folder's first file"
            + (f"; more: {', '.join(sorted(more))}" if more else "")
            + (f"; missing: {', '.join(sorted(less))}" if less else "")
        )


def _of_csv(file: Path, types: Types, names: list[str], bar: Any) -> Iterator[pa.RecordBatch]:
    header = csv_reader.first(file).schema.names
    _same(header, types, file)
    yield from csv_reader.blocks(file, header, types, names, bar)


def _of_parquet(file: Path, types: Types, names: list[str], bar: Any) -> Iterator[pa.RecordBatch]:
    try:
        categories = [name for name in names if types[name] == CATEGORY]
        table = pq.ParquetFile(file, read_dictionary=categories)
        _same(table.schema_arrow.names, types, file)
        for batch in table.iter_batches(BLOCK_ROWS, columns=names):
            yield batch.select(names).cast(pa.schema([(name, types[name]) for name in names]))
            bar.update(file.stat().st_size * batch.num_rows // max(1, table.metadata.num_rows))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise Problem(f"{file}: cannot be read as Parquet: {str(error)[:200]}") from None


def _infer(file: Path) -> Types:
    """Names and plain types of the columns, from the first block of the file."""
    if file.name.endswith(CSV):
        first = csv_reader.first(file)
    else:
        try:
            table = pq.ParquetFile(file)
            first = next(table.iter_batches(BLOCK_ROWS), None)
        except (pa.ArrowInvalid, OSError) as error:
            raise Problem(f"{file}: cannot be read as Parquet: {str(error)[:200]}") from None
        first = first or pa.RecordBatch.from_pylist([], schema=table.schema_arrow)
    return {name: _plain(file, name, first.column(name)) for name in first.schema.names}


def _plain(file: Path, name: str, column: pa.Array) -> pa.DataType:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_binary(kind):
        raise Problem(f"{file}: column {name!r} is not UTF-8; iconv -f latin1 -t utf-8 OLD > NEW")
    if pa.types.is_integer(kind) or pa.types.is_null(kind):
        return pa.int64()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_boolean(kind):
        return kind
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz=_known_zone(file, name, getattr(kind, "tz", None)))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        few = len(column.unique()) <= max(2, CATEGORY_SHARE * len(column))
        return CATEGORY if few else pa.string()
    raise Problem(f"{file}: column {name!r} holds {kind}; want numbers, text, dates or booleans")


def _known_zone(file: Path, name: str, zone: str | None) -> str | None:
    try:
        return zone and pa.lib.string_to_tzinfo(zone) and zone
    except pa.ArrowInvalid:
        message = f"{zone!r}, which is no time zone; want UTC or one such as Europe/Berlin"
        raise Problem(f"{file}: column {name!r} holds times of {message}") from None


def _naive(kind: pa.DataType) -> pa.DataType:
    """Times are UTC and name no zone, so that they can be compared with dates of schema.yaml."""
    return pa.timestamp("us") if pa.types.is_timestamp(kind) else kind
