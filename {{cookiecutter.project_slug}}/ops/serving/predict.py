"""Score a table of new rows: a copy with the answers, which `ml drift --live` reads."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from core import tables
from core.errors import Problem, Refused
from core.files import file_md5
from core.paths import MODEL, SCHEMA
from core.validation import check_schema, findings
from core.validation.findings import Finding, finding
from core.validation.schema import load_schema
from ops import tags
from ops.checkout import checkout
from ops.dvc_lock import check_outputs
from ops.monitoring.reference import ANSWER, STAMPS, captured
from ops.serving.streaming import TableWriter, chunks
from pipeline.model import Model, load_model

ROWS = 1 << 12  # rows of one product: always so many, or a row's last bits would depend on others


class Predictor(NamedTuple):
    """A model, the rules that its inputs must keep to, and how its answers are stamped."""

    model: Model
    rules: dict[str, pandera.Column]
    version: str


class Result(NamedTuple):
    """What became of the rows."""

    rows: int
    written: int
    refused: Path | None  # the file of the rows that break the contract
    model_version: str
    output: Path


def find(name: str | None = None) -> Predictor:
    """The model in models/, of a file, of a version (v1.2.0), or in a stage (production).

    Raises `Problem` (exit 2) where there is none, or its files cannot be had.
    """
    if name is None or name.endswith(MODEL.suffix):
        path = Path(name or MODEL)
        model, schema = load_model(path), load_schema()
        if name is None:
            check_outputs(MODEL)
        version = f"md5:{file_md5(path)}"
    else:
        known = tags.read()
        there = known.now(name) if name in tags.STAGES else known.version(name)
        if not there:
            raise Problem(f"nothing is in {name}; `ml registry` lists the versions")
        base = checkout(there.tag, exact=True)
        if not base.has_model:
            raise Problem(base.missing)
        model, schema = load_model(base.folder / MODEL), load_schema(base.folder / SCHEMA)
        version = there.name
    wanted = [one.name for one in model.inputs if one.name in schema.columns]
    rules = {name: schema.columns[name] for name in wanted}
    for rule in rules.values():
        rule.unique = False  # somebody may be scored twice
    return Predictor(model, rules, version)


def predict(source: Path, output: Path, by: Predictor, skip_bad: bool = False) -> Result:
    """Write the rows of `source` (CSV or Parquet, a file or a folder) with the model's answers.

    Memory stays at a few chunks, whatever the size, and the same rows give the same answers to the
    last bit however they are cut into files. With `skip_bad`, rows that break the contract go to
    OUTPUT.refused, each with its reasons. Raises `Refused` (exit 1) for them otherwise, and writes
    nothing; `Problem` for a table that cannot be read, or has not the columns of the model.
    """
    kinds = tables.types(source)
    _check_columns(source, list(kinds), by)
    stamps = (by.version, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    apart = output.with_name(output.name.replace(".", ".refused.", 1))

    def work(blocks: Iterator[pa.RecordBatch]) -> tuple[int, int, list[Finding]]:
        """Rows, rows that break the contract, and how."""
        rows = refused = 0
        found: list[Finding] = []
        with ExitStack() as stack:
            good = stack.enter_context(TableWriter(output))
            bad = stack.enter_context(TableWriter(apart))
            for chunk in chunks(blocks):
                frame = _as_trained(chunk, by).to_pandas()
                reasons, some = _broken(frame, by)
                rows, found = rows + len(frame), found + some
                broken = reasons != ""
                refused += int(broken.sum())
                if skip_bad and broken.any():
                    bad.write(chunk.filter(pa.array(broken)), {"reasons": reasons[broken]})
                if skip_bad or not refused:
                    answers = score(by.model, frame[~broken])
                    named = dict(zip((ANSWER, *STAMPS), (answers, *stamps), strict=True))
                    good.write(chunk.filter(pa.array(~broken)), named)
            if refused and (not skip_bad or refused == rows):
                raise _Broken(rows, refused, found)
        return rows, refused, found

    try:
        rows, refused, _ = tables.through(source, work)
    except _Broken as broken:
        findings.show(_together(broken.findings, broken.rows))
        raise Refused(
            f"{broken.refused:,} of {broken.rows:,} rows break {SCHEMA}; nothing was written"
            + ("" if skip_bad else "; --skip-bad writes the others")
        ) from None
    return Result(rows, rows - refused, apart if refused else None, by.version, output)


def score(model: Model, frame: pd.DataFrame) -> np.ndarray:
    """(n,) answers as `captured` gives them, the same for a row whatever rows are with it."""
    parts = []
    for start in range(0, len(frame), ROWS):
        some = frame.iloc[start : start + ROWS]
        filled = some.take(np.minimum(np.arange(ROWS), len(some) - 1))
        parts.append(captured(model, filled).to_numpy()[: len(some)])
    return np.concatenate(parts) if parts else np.empty(0)


class _Broken(Exception):
    """Rows break the contract: how many, of how many, and how."""

    def __init__(self, rows: int, refused: int, found: list[Finding]) -> None:
        self.rows, self.refused, self.findings = rows, refused, found


def _as_trained(chunk: pa.Table, by: Predictor) -> pa.Table:
    """The model's columns; codes of a category as text, before missing ones make 1.0 of 1."""
    inputs = {one.name: one.kind for one in by.model.inputs}
    chunk = chunk.select(list(inputs))
    fields = [
        (one.name, pa.string())
        if inputs[one.name] == "category" and pa.types.is_integer(one.type)
        else (one.name, one.type)
        for one in chunk.schema
    ]
    return chunk.cast(pa.schema(fields))


def _check_columns(source: Path, names: list[str], by: Predictor) -> None:
    """Every column of the model must be there, and none that would be written is."""
    taken = {ANSWER, *STAMPS, "reasons"}.intersection(names)
    if taken:
        raise Problem(f"{source}: has a column {min(taken)!r} already; rename it")
    wanted = [one.name for one in by.model.inputs]
    lacking = [name for name in wanted if name not in names]
    if lacking:
        findings.show(
            [finding("missing_column", one, 0, 1, message="the model needs it") for one in lacking]
        )
        raise Refused(f"{source}: {len(lacking)} of the model's {len(wanted)} columns are missing")


def _broken(frame: pd.DataFrame, by: Predictor) -> tuple[np.ndarray, list[Finding]]:
    """Why each of n rows breaks the contract, "" for those that do not; and the findings."""
    reasons, found = np.full(len(frame), "", object), []
    for name, rule in by.rules.items():
        for one in check_schema.failures(rule, frame[name]):
            found.append(finding(one.check, name, one.rows.sum(), len(frame), one.examples))
            text = f"{name}: {findings.TITLES.get(one.check, one.check)}"
            before = reasons[one.rows]
            reasons[one.rows] = np.where(before == "", text, before + "; " + text)
    return reasons, found


def _together(found: list[Finding], rows: int) -> list[Finding]:
    """The findings of all chunks, one per check and column, as shares of all rows."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for one in found:
        groups.setdefault((one.check, one.column), []).append(one)
    return [
        finding(
            check,
            column,
            sum(one.count for one in some),
            rows,
            dict.fromkeys(text for one in some for text in one.examples),
        )
        for (check, column), some in groups.items()
    ]


def main(
    source: str,
    output: Path,
    model: str | None = None,
    skip_bad: bool = False,
    as_json: bool = False,
) -> None:
    """`ml predict IN OUT`: exit 0 written, 1 rows break the contract, 2 could not be done."""
    if not output.name.endswith(tables.CSV + tables.PARQUET):
        raise Problem(
            f"{output}: unknown kind of file; want {', '.join(tables.CSV + tables.PARQUET)}"
        )
    if Path(source).resolve() == output.resolve():
        raise Problem(f"{output}: is what is read; name another file")
    by = find(model)
    with TemporaryDirectory() as folder:
        result = predict(_fetched(source, folder), output, by, skip_bad)
    if as_json:
        print(json.dumps(result._asdict(), default=str))
        return
    print(f"{result.written:,} rows scored by {result.model_version}: {output}")
    if result.refused:
        print(f"{result.rows - result.written:,} rows break {SCHEMA}: {result.refused}")


def _fetched(source: str, folder: str) -> Path:
    """The table, fetched by DVC where it lies in a bucket."""
    if "://" not in source:
        return Path(source)
    command = [sys.executable, "-m", "dvc", "get-url", "--quiet", source, folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"{source}: {' '.join(done.stderr.split())[:300]}")
    return Path(folder, source.rstrip("/").rsplit("/", 1)[-1])
