"""What keeps a batch from joining the data: the contract, its rows, the files beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core import tables
from core.errors import Problem
from core.tables import to_pandas
from core.validation import check_schema, profile
from core.validation.findings import Finding, finding
from ops.monitoring import batches, drift
from pipeline import data_checks
from pipeline.params import Params


def examine(
    file: Path, place: batches.Place, params: Params, schema: Any, against: Any
) -> tuple[int, list[Finding], dict[str, Any]]:
    """Rows of the batch, what keeps it from joining, and its drift ({}: not measured)."""
    try:
        frame = to_pandas(tables.read(file))
    except Problem as problem:
        message = str(problem).replace(str(file), file.name)
        return 0, [finding("unreadable", "", 0, 0, message=message)], {}
    rows, names = len(frame), [str(name) for name in frame]
    reasons = check_schema.check_frame(schema, frame) + data_checks.named_columns(
        params.data, names
    )
    named = {one.column for one in reasons}
    there = tables.types(place.current())
    other = sorted(set(there) ^ set(names))
    how = {True: "the data has this column", False: "the data has no such column"}
    reasons += [
        finding("other_columns", one, rows, rows, message=how[one in there])
        for one in other
        if one not in named
    ]
    if other:
        return rows, reasons, {}
    rest = _rows(frame, place, params)
    reasons += [one for one in rest if one.column not in named or one.check == "known_id"]
    measured = drift.measure(frame, against) if against else {}
    reasons += [
        finding(one["check"], one["column"], rows, rows, message=one["message"])
        for one in measured.get("findings", [])
        if one["check"] in ("type", "gone") and one["column"] not in named
    ]
    if not reasons and (wrong := batches.conflict(place, file)):
        reasons.append(finding("does_not_fit", "", rows, rows, message=wrong))
    return rows, reasons, measured


def _rows(frame: pd.DataFrame, place: batches.Place, params: Params) -> list[Finding]:
    """Rows without a label, dated after it, or that are there already."""
    data, limit, rows = params.data, params.validation.max_duplicates, len(frame)
    reasons = []
    unlabelled = frame[data.target].isna()
    if unlabelled.any():
        reasons.append(finding("missing_label", data.target, unlabelled.sum(), rows))
    if data.time and data.label_time:
        reasons += data_checks.late(frame[data.time], frame[data.label_time])
    aside = [name for name in (data.id, data.time, data.label_time) if name]
    prints = _prints(frame.drop(columns=aside))
    repeated = rows - len(np.unique(prints))
    message = f"at most {limit:.1%} (validate.max_duplicates)"
    if repeated > limit * rows:
        reasons.append(finding("duplicate_rows", "", repeated, rows, message=message))
    if data.id:
        ids = to_pandas(tables.read(place.current(), [data.id]))[data.id]
        mine = frame[data.id]
        twice = mine.duplicated()
        if twice.any():
            reasons.append(finding("repeated_id", data.id, twice.sum(), rows, mine[twice]))
        if ids.dtype != mine.dtype:
            ids, mine = ids.astype("str"), mine.astype("str")
        known = np.isin(mine.to_numpy(), ids.to_numpy())
        if known.any():
            reasons.append(finding("known_id", data.id, known.sum(), rows, mine[known]))
        return reasons
    known = np.isin(
        prints,
        _prints(to_pandas(tables.read(place.current(), list(map(str, frame)))).drop(columns=aside)),
    )
    if known.sum() > limit * rows:
        reasons.append(finding("known_rows", "", known.sum(), rows, message=message))
    return reasons


def _prints(frame: pd.DataFrame) -> np.ndarray:
    """A uint64 per row; equal rows have equal ones, whatever type a file's values took."""
    total = np.zeros(len(frame), np.uint64)
    for name in sorted(map(str, frame)):
        values, kind = frame[name], profile.kind_of(frame[name])
        values = values.astype("float64") if kind == "number" else values
        values = values.astype("category") if kind == "text" else values
        total = total * np.uint64(1_000_003) ^ data_checks.fingerprint(values)
    return total
