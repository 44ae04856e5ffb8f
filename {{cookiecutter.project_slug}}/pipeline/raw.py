"""Read raw tables block by block, and refuse files that are not what they seem.

A table is a CSV (plain, .gz, .zst) or a Parquet file, or a folder of them.
Types are inferred from the first block; a later value that does not fit widens
its column (whole number, number, text) and reading starts again, so that no
value is guessed or lost. Memory stays at a few blocks whatever the size.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from pyarrow import compute
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


def _csv(file: Path, types: Types, names: list[str], bar: Any) -> Iterator[pa.RecordBatch]:
    header = _first(file).schema.names
    _same(header, types, file)
    before = bar.n
    try:
        with pa.OSFile(str(file)) as raw, _open(_stream(raw, file), types, names) as reader:
            for batch in reader:
                _no_null_bytes(batch)
                yield batch
                bar.update(before + raw.tell() - bar.n)
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


def _no_null_bytes(batch: pa.RecordBatch) -> None:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        text = column.dictionary if pa.types.is_dictionary(column.type) else column
        if (
            pa.types.is_string(text.type)
            and compute.any(compute.match_substring(text, "\0")).as_py()
        ):
            raise OSError(f"null bytes in column {name!r}: this is no text file, or it is UTF-16")


def _open(stream: Any, types: Types, names: list[str] | None) -> pc.CSVStreamingReader:
    return pc.open_csv(
        stream,
        pc.ReadOptions(block_size=BLOCK_BYTES),
        pc.ParseOptions(newlines_in_values=True),
        pc.ConvertOptions(column_types=types, strings_can_be_null=True, include_columns=names),
    )


def _stream(raw: pa.OSFile, file: Path) -> Any:
    kind = {".gz": "gzip", ".zst": "zstd"}.get(file.suffix)
    return pa.CompressedInputStream(raw, kind) if kind else raw


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
    if file.name.endswith(CSV):
        first = _first(file)
    else:
        try:
            table = pq.ParquetFile(file)
            first = next(table.iter_batches(BLOCK_ROWS), None)
        except (pa.ArrowInvalid, OSError) as error:
            raise Problem(f"{file}: cannot be read as Parquet: {str(error)[:200]}") from None
        first = first or pa.RecordBatch.from_pylist([], schema=table.schema_arrow)
    return {name: _plain(file, name, first.column(name)) for name in first.schema.names}


def _first(file: Path) -> pa.RecordBatch:
    """The first block of a CSV, its header checked."""
    with file.open("rb") as start:
        if start.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise Problem(f"{file}: UTF-16; convert it: iconv -f utf-16 -t utf-8 OLD > NEW")
    try:
        with pa.OSFile(str(file)) as raw, _open(_stream(raw, file), {}, None) as reader:
            _check_header(file, reader.schema.names)
            empty = pa.RecordBatch.from_pylist([], schema=reader.schema)
            return next(iter(reader), empty)
    except (pa.ArrowInvalid, OSError) as error:
        raise _explain(file, str(error), {}, []) from None


def _check_header(file: Path, names: list[str]) -> None:
    if len(names) == 1 and (other := re.search(r"[;\t|]", names[0])):
        raise Problem(f"{file}: separated by {other[0]!r}; want commas (and points in numbers)")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise Problem(f"{file}: column {twice[0]!r} stands {names.count(twice[0])} times")
    if any("\0" in name for name in names):
        raise Problem(f"{file}: null bytes: this is not a text file, or it is UTF-16")
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
