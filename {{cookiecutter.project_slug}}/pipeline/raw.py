"""Read raw tables block by block, and refuse files that are not what they seem.

A table is a CSV (plain, .gz, .zst) or a Parquet file, or a folder of them.
Types are inferred from the first block; a later value that does not fit widens
its column (whole number, number, text) and reading starts again, so that no
value is guessed or lost. Memory stays at a few blocks whatever the size.
"""

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from pipeline.errors import Problem, nearest

CSV = (".csv", ".csv.gz", ".csv.zst")
PARQUET = (".parquet", ".pq")
BLOCK_BYTES = 8 << 20
BLOCK_ROWS = 1 << 16
CATEGORY = pa.dictionary(pa.int32(), pa.string())
CATEGORY_SHARE = 0.2  # text with fewer distinct values per row than this is a category
WIDER = {pa.int64(): pa.float64(), pa.float64(): pa.string()}
Types = dict[str, pa.DataType]
Result = TypeVar("Result")


class _Widen(Exception):
    def __init__(self, column: str, kind: pa.DataType) -> None:
        super().__init__(column)
        self.column, self.kind = column, kind


def files(path: str | Path) -> list[Path]:
    """The table's files, sorted by name. Raises `Problem` when there is none."""
    path = Path(path)
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.name.endswith(CSV + PARQUET))
        if not found:
            raise Problem(f"{path}: this folder holds no {', '.join(CSV + PARQUET)}")
        return found
    if not path.exists():
        raise Problem(f"{path}: no such file; `dvc pull` fetches tracked data, or mend data.path")
    if not path.name.endswith(CSV + PARQUET):
        raise Problem(f"{path}: unknown kind of file; want {', '.join(CSV + PARQUET)}")
    return [path]


def through(
    path: str | Path,
    work: Callable[[Iterator[pa.RecordBatch]], Result],
    columns: list[str] | None = None,
) -> Result:
    """Call `work` with the blocks of the table at `path` and return its result.

    `work` gets record batches of one schema (int64, float64, bool, timestamp,
    string, or a dictionary of strings), and is called afresh, from the first
    block, when a column has to be widened. `columns` reads these only. Raises
    `Problem` for a file that is empty, cut off, not UTF-8, ragged, wrongly
    separated or without rows.
    """
    found = files(path)
    types = _infer(found[0])
    _need(columns or [], types, path)
    while True:
        try:
            return work(_blocks(found, types, columns))
        except _Widen as wider:
            types[wider.column] = wider.kind


def types(path: str | Path) -> Types:
    """Names and types of the columns, from the first block; a later block may widen them."""
    return _infer(files(path)[0])


def read(path: str | Path, columns: list[str] | None = None) -> pa.Table:
    """The whole table in memory; see `through`."""
    return through(path, lambda blocks: pa.Table.from_batches(list(blocks)), columns)


def _need(columns: list[str], types: Types, path: str | Path) -> None:
    for column in columns:
        if column not in types:
            raise Problem(f"{path}: no column {column!r}{nearest(column, types)}")


def _blocks(found: list[Path], types: Types, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    names = columns or list(types)
    schema = pa.schema([(name, types[name]) for name in names])
    total = sum(file.stat().st_size for file in found)
    rows = 0
    with tqdm(
        total=total, unit="B", unit_scale=True, desc="read", delay=2, leave=False, disable=None
    ) as bar:
        for file in found:
            read_file = _csv if file.name.endswith(CSV) else _parquet
            for batch in read_file(file, types, names, bar):
                rows += batch.num_rows
                yield batch.cast(schema) if batch.schema != schema else batch
    if not rows:
        raise Problem(f"{found[0]}: a header and no rows")


def _csv(file: Path, types: Types, names: list[str], bar: Any = None) -> Iterator[pa.RecordBatch]:
    header = _header(file)
    _same(header, types, file)
    try:
        with _open(file, types, names, bar) as reader:
            yield from reader
    except (pa.ArrowInvalid, OSError) as error:
        raise _explain(file, str(error), types, header) from None


def _same(names: list[str], types: Types, file: Path) -> None:
    """All files of a folder must have the same columns, in any order."""
    more, less = set(names) - set(types), set(types) - set(names)
    if more or less:
        raise Problem(
            f"{file}: not the columns of the folder's first file"
            + (f"; more: {', '.join(sorted(more))}" if more else "")
            + (f"; missing: {', '.join(sorted(less))}" if less else "")
        )


def _header(file: Path) -> list[str]:
    try:
        with _open(file, {}, None, None) as reader:
            names: list[str] = reader.schema.names
    except (pa.ArrowInvalid, OSError) as error:
        raise _explain(file, str(error), {}, []) from None
    _check_header(file, names)
    return names


def _open(file: Path, types: Types, names: list[str] | None, bar: Any) -> pc.CSVStreamingReader:
    return pc.open_csv(
        pa.PythonFile(_Text(file, bar), mode="r"),
        pc.ReadOptions(block_size=BLOCK_BYTES),
        pc.ParseOptions(newlines_in_values=True),
        pc.ConvertOptions(column_types=types, strings_can_be_null=True, include_columns=names),
    )


def _explain(file: Path, error: str, types: Types, header: list[str]) -> Exception:
    """What Arrow says of a CSV, in the words of somebody who has to mend the file."""
    if match := re.search(r"column #(\d+): CSV conversion error.*?: (.*)", error):
        if "UTF8" in match[2]:
            return Problem(f"{file}: not UTF-8; convert it: iconv -f latin1 -t utf-8 OLD > NEW")
        column = header[int(match[1])]
        return _Widen(column, WIDER.get(types[column], pa.string()))
    if match := re.search(r"Expected (\d+) columns, got (\d+): (.*)", error, re.DOTALL):
        line = match[3].split("\n")[0][:60]
        return Problem(
            f"{file}: the header has {match[1]} columns, but this line has {match[2]} values: "
            f"{line!r}; the file is cut off, or a value holds an unquoted comma"
        )
    if "Empty CSV" in error:
        return Problem(f"{file}: the file is empty")
    return Problem(f"{file}: cannot be read: {error[:200]}")


class _Text(io.RawIOBase):
    """The bytes of a text file, unpacked; a null byte is a `Problem`."""

    def __init__(self, file: Path, bar: Any) -> None:
        super().__init__()
        self.file, self.bar, self.done = file, bar, 0
        self.raw = pa.OSFile(str(file))
        kind = {".gz": "gzip", ".zst": "zstd"}.get(file.suffix)
        self.stream = pa.CompressedInputStream(self.raw, kind) if kind else self.raw

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block: bytes = self.stream.read(size)
        if b"\0" in block:
            raise OSError("null bytes: this is not a text file, or it is UTF-16")
        if self.bar is not None:
            self.bar.update(self.raw.tell() - self.done)
            self.done = self.raw.tell()
        return block


def _parquet(file: Path, types: Types, names: list[str], bar: Any) -> Iterator[pa.RecordBatch]:
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
    try:
        if file.name.endswith(CSV):
            with _open(file, {}, None, None) as reader:
                names, first = reader.schema.names, next(iter(reader), None)
                _check_header(file, names)
                first = first or pa.RecordBatch.from_pylist([], schema=reader.schema)
        else:
            table = pq.ParquetFile(file)
            first = next(table.iter_batches(BLOCK_ROWS), None)
            first = first or pa.RecordBatch.from_pylist([], schema=table.schema_arrow)
    except (pa.ArrowInvalid, OSError) as error:
        raise _explain(file, str(error), {}, []) from None
    return {name: _plain(file, name, first.column(name)) for name in first.schema.names}


def _check_header(file: Path, names: list[str]) -> None:
    if len(names) == 1 and (other := re.search(r"[;\t|]", names[0])):
        raise Problem(f"{file}: separated by {other[0]!r}; want commas (and points in numbers)")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise Problem(f"{file}: column {twice[0]!r} stands {names.count(twice[0])} times")
    if "" in names:
        raise Problem(f"{file}: column {names.index('') + 1} has no name in the header")


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
        return pa.timestamp("us", tz=getattr(kind, "tz", None))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        few = len(column.unique()) <= max(2, CATEGORY_SHARE * len(column))
        return CATEGORY if few else pa.string()
    raise Problem(f"{file}: column {name!r} holds {kind}; want numbers, text, dates or booleans")
