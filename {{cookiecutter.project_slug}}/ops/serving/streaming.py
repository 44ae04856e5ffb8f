"""A table as it streams by: in chunks of one size, written to a file that is whole or not there."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from core import tables
from core.files import replacing

CHUNK = 1 << 16  # rows in memory at once


class TableWriter:
    """A CSV or Parquet file, written chunk by chunk; not there unless all went well."""

    def __init__(self, path: Path) -> None:
        self.path, self.stack = path, ExitStack()
        self.writer: Any = None

    def __enter__(self) -> "TableWriter":
        return self

    def write(self, chunk: pa.Table, more: dict[str, Any]) -> None:
        """Write the rows of a chunk, with more columns: a value per row, or one for all."""
        for name, values in more.items():
            one = isinstance(values, str)
            column = pa.repeat(values, len(chunk)) if one else pa.array(values)
            chunk = chunk.append_column(name, column)
        chunk = chunk.cast(pa.schema([(one.name, _written(one.type)) for one in chunk.schema]))
        if not self.writer:
            temporary = self.stack.enter_context(replacing(self.path))
            if self.path.name.endswith(tables.PARQUET):
                open_writer: Any = pa.parquet.ParquetWriter
                file: Any = temporary
            else:
                open_writer = pa.csv.CSVWriter
                packed = {".gz": "gzip", ".zst": "zstd"}.get(self.path.suffix)
                file = self.stack.enter_context(pa.output_stream(temporary, packed))
            self.writer = self.stack.enter_context(open_writer(file, chunk.schema))
        self.writer.write_table(chunk)

    def __exit__(self, *error: Any) -> None:
        self.stack.__exit__(*error)


def _written(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_dictionary(kind) else kind


def chunks(blocks: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows, CHUNK of them at a time."""
    held: list[pa.RecordBatch] = []
    for block in blocks:
        held.append(block)
        if sum(one.num_rows for one in held) >= CHUNK:
            table = pa.Table.from_batches(held)
            whole = len(table) // CHUNK * CHUNK
            for start in range(0, whole, CHUNK):
                yield table.slice(start, CHUNK)
            held = table.slice(whole).to_batches()
    if held:
        yield pa.Table.from_batches(held)
