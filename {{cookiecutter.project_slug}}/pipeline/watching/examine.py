"""What keeps a batch from joining the data: the contract, its rows, the files beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import checks, config, conform, drift, prepared, profile, raw
from pipeline.errors import Problem
from pipeline.findings import Finding, found
from pipeline.watching import batches


def examine(
    file: Path, place: batches.Place, params: config.Params, schema: Any, against: Any
) -> tuple[int, list[Finding], dict[str, Any]]:
    """Rows of the batch, what keeps it from joining, and its drift ({}: not measured)."""
    try:
        frame = prepared.to_pandas(raw.read(file))
    except Problem as problem:
        says = str(problem).replace(str(file), file.name)
        return 0, [found("unreadable", "", 0, 0, says=says)], {}
    rows, names = len(frame), [str(name) for name in frame]
    reasons = conform.check_frame(schema, frame) + checks.named_columns(params.data, names)
    told = {one.column for one in reasons}
    there = raw.types(place.now())
    other = sorted(set(there) ^ set(names))
    how = {True: "the data has this column", False: "the data has no such column"}
    reasons += [
        found("other columns", one, rows, rows, says=how[one in there])
        for one in other
        if one not in told
    ]
    if other:
        return rows, reasons, {}
    rest = _rows(frame, place, params)
    reasons += [one for one in rest if one.column not in told or one.check == "id is there already"]
    moved = drift.measure(frame, against) if against else {}
    reasons += [found(one["what"], one["column"], rows, rows, says=one["says"])
                for one in moved.get("findings", []) if one["what"] in ("type", "gone")
                and one["column"] not in told]  # fmt: skip
    if not reasons and (wrong := batches.together(place, file)):
        reasons.append(found("does not fit the data", "", rows, rows, says=wrong))
    return rows, reasons, moved


def _rows(frame: pd.DataFrame, place: batches.Place, params: config.Params) -> list[Finding]:
    """Rows without a label, dated after it, or that are there already."""
    data, limit, rows = params.data, params.validation.max_duplicates, len(frame)
    reasons = []
    unlabelled = frame[data.target].isna()
    if unlabelled.any():
        reasons.append(found("missing label", data.target, unlabelled.sum(), rows))
    if data.time and data.label_time:
        reasons += checks.late(frame[data.time], frame[data.label_time])
    aside = [name for name in (data.id, data.time, data.label_time) if name]
    prints = _prints(frame.drop(columns=aside))
    repeated = rows - len(np.unique(prints))
    says = f"at most {limit:.1%} (validate.max_duplicates)"
    if repeated > limit * rows:
        reasons.append(found("duplicate rows", "", repeated, rows, says=says))
    if data.id:
        ids = prepared.to_pandas(raw.read(place.now(), [data.id]))[data.id]
        mine = frame[data.id]
        twice = mine.duplicated()
        if twice.any():
            reasons.append(found("repeated id", data.id, twice.sum(), rows, mine[twice]))
        if ids.dtype != mine.dtype:
            ids, mine = ids.astype("str"), mine.astype("str")
        known = np.isin(mine.to_numpy(), ids.to_numpy())
        if known.any():
            reasons.append(found("id is there already", data.id, known.sum(), rows, mine[known]))
        return reasons
    known = np.isin(prints, _prints(prepared.to_pandas(raw.read(place.now(), list(map(str, frame))))
                                    .drop(columns=aside)))  # fmt: skip
    if known.sum() > limit * rows:
        reasons.append(found("rows are there already", "", known.sum(), rows, says=says))
    return reasons


def _prints(frame: pd.DataFrame) -> np.ndarray:
    """A uint64 per row; equal rows have equal ones, whatever type a file's values took."""
    total = np.zeros(len(frame), np.uint64)
    for name in sorted(map(str, frame)):
        values, kind = frame[name], profile.kind_of(frame[name])
        values = values.astype("float64") if kind == "number" else values
        values = values.astype("category") if kind == "text" else values
        total = total * np.uint64(1_000_003) ^ checks.fingerprint(values)
    return total
