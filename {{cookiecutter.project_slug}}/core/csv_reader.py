"""Read a CSV (plain, .gz, .zst) block by block, and say what is wrong with it in plain words."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
from pyarrow import compute

from core.errors import Problem

BLOCK_BYTES = 8 << 20
WIDER = {pa.int64(): pa.float64(), pa.float64(): pa.string()}
Types = dict[str, pa.DataType]


class Widen(Exception):
    """A value does not fit its column's type: read again with a wider one."""

    def __init__(self, column: str, kind: pa.DataType) -> None:
        super().__init__(column)
        self.column, self.kind = column, kind


def blocks(
    file: Path, header: list[str], types: Types, names: list[str], bar: Any
) -> Iterator[pa.RecordBatch]:
    """The columns `names` in record batches; `bar` counts the bytes read.

    Raises `Widen`, and `Problem` for a file that is cut off, ragged or not UTF-8.
    """
    before = bar.n
    try:
        with pa.OSFile(str(file)) as raw, _open(_stream(raw, file), types, names) as reader:
            for batch in reader:
                _no_null_bytes(batch)
                yield batch
                bar.update(before + raw.tell() - bar.n)
    except (pa.ArrowInvalid, OSError) as error:
        raise _explain(file, str(error), types, header) from None


def first(file: Path) -> pa.RecordBatch:
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
    """What Arrow says of a CSV, in the words of somebody who has to fix the file."""
    if match := re.search(r"column #(\d+): (?:Row #\d+: )?CSV conversion error.*?: (.*)", error):
        if "UTF8" in match[2]:
            return Problem(f"{file}: not UTF-8; convert it: iconv -f latin1 -t utf-8 OLD > NEW")
        column = header[int(match[1])]
        return Widen(column, WIDER.get(types[column], pa.string()))
    if match := re.search(r"Expected (\d+) columns, got (\d+): (.*)", error, re.DOTALL):
        line = match[3].split("\n")[0][:60]
        return Problem(
            f"{file}: the header has {match[1]} columns, but this line has {match[2]} values: "
            f"{line!r}; the file is cut off, or a value holds an unquoted comma"
        )
    if "Empty CSV" in error:
        return Problem(f"{file}: the file is empty")
    return Problem(f"{file}: cannot be read: {error[:200]}")
