"""Which side of the split a row goes to: train, val or test."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa

from core import tables
from core.errors import Problem
from pipeline.params import Params

LEFT_OUT = -1  # by prepare.sample
Sides = np.ndarray  # int8, one per row: a position in prepared.SIDES, or LEFT_OUT
Splitter = Callable[[pa.RecordBatch], Sides]


def splitter(params: Params) -> Splitter:
    """A function from a block of rows (a record batch) to the sides of its rows.

    Every way but `random` depends on nothing but the row itself (and, for
    `time`, on the dates of all rows), so that a row never changes side when
    rows are added. Blocks must come in the file's order.
    """
    data, prepare = params.data, params.prepare
    rng = np.random.default_rng([prepare.seed, 1])
    if prepare.split == "time":
        assign = _by_time(params)
    elif prepare.split == "random":
        assign = _at_random(params)
    else:
        column = str(data.id if prepare.split == "hash" else data.group)
        assign = _by_hash(column, params)
    column_of_sample = data.group if prepare.split == "group" else data.id

    def side(block: pa.RecordBatch) -> Sides:
        sides = assign(block)
        if prepare.sample < 1:
            if column_of_sample:
                at = _share(block, column_of_sample, f"sample{prepare.seed}")
            else:
                at = rng.random(block.num_rows)
            sides[at >= prepare.sample] = LEFT_OUT
        return sides

    return side


def _share(block: pa.RecordBatch, column: str, salt: str) -> np.ndarray:
    """A number in [0, 1) per row, from a hash of the column's text."""
    text = block.column(column).cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False)
    key = salt.ljust(16, "-")[:16]
    return pd.util.hash_array(text.astype(object), hash_key=key, categorize=False) / 2.0**64


def _cut(at: np.ndarray, params: Params) -> Sides:
    """Sides from a number in [0, 1): train first, then val, then test."""
    val, test = params.prepare.val, params.prepare.test
    return np.searchsorted([1 - val - test, 1 - test], at, side="right").astype(np.int8)


def _by_hash(column: str, params: Params) -> Splitter:
    salt = f"split{params.prepare.seed}"
    return lambda block: _cut(_share(block, column, salt), params)


def _at_random(params: Params) -> Splitter:
    """Permuted blocks within every class, as in clinical trials: random, with equal class shares.

    Source: Efron (1971), Forcing a sequential experiment to be balanced.
    """
    prepare, target = params.prepare, params.data.target
    shares = np.array([1 - prepare.val - prepare.test, prepare.val, prepare.test])
    whole = [n for n in (10, 20, 100) if np.allclose(shares * n, np.round(shares * n))]
    size = whole[0] if whole else 1000
    pattern = np.searchsorted(np.cumsum(shares) - 0.5 / size, np.arange(size) / size)
    rng = np.random.default_rng([prepare.seed, 0])
    left: dict[str, np.ndarray] = {}

    def assign(block: pa.RecordBatch) -> Sides:
        sides = np.zeros(block.num_rows, np.int8)
        if params.data.task == "regression":
            classes = np.zeros(block.num_rows, np.int32)
            names = ["all"]
        else:
            codes = block.column(target).cast(pa.string()).fill_null("").dictionary_encode()
            classes, names = codes.indices.to_numpy(), codes.dictionary.to_pylist()
        for code, name in enumerate(names):
            rows = np.flatnonzero(classes == code)
            queue = left.get(name, np.empty(0, np.int8))
            more = -(-max(0, len(rows) - len(queue)) // size)
            fresh = rng.permuted(np.tile(pattern, (more, 1)), axis=1).ravel()
            queue = np.concatenate([queue, fresh])
            sides[rows], left[name] = queue[: len(rows)], queue[len(rows) :]
        return sides

    return assign


def _by_time(params: Params) -> Splitter:
    column = str(params.data.time)
    times = np.sort(_ticks(tables.read(params.data.path, [column]).column(0), params))
    times = times[~np.isnan(times)]
    if not len(times):
        raise Problem(f"{params.data.path}: column {column!r} is empty; data.time must hold dates")
    shares = [1 - params.prepare.val - params.prepare.test, 1 - params.prepare.test]
    cuts = times[[int(share * len(times)) for share in shares]]

    def assign(block: pa.RecordBatch) -> Sides:
        at = _ticks(block.column(column), params)
        return np.where(np.isnan(at), 0, np.searchsorted(cuts, at, side="right")).astype(np.int8)

    return assign


def _ticks(column: pa.Array | pa.ChunkedArray, params: Params) -> np.ndarray:
    """Dates as float64 (NaN where missing); numbers stay what they are."""
    try:
        if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).cast(pa.timestamp("us"))
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    except pa.ArrowInvalid as error:
        raise Problem(
            f"{params.data.path}: data.time is {params.data.time!r}, which holds a value that is "
            f"no date ({str(error)[:80]}); want 2026-01-31 or 2026-01-31T12:00:00"
        ) from None
