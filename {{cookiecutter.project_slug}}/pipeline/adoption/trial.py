"""Try data out before it is adopted: which schema fits it, which limits does it exceed."""

import contextlib
import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from pipeline import config, conform, contract, prepare, prepared, stage, validate
from pipeline.adoption import edits, infer
from pipeline.errors import Problem
from pipeline.findings import Finding

SHARES = {
    "one class dominates": "max_class_share",
    "nearly constant": "max_same_value",
    "duplicate rows": "max_duplicates",
    "test rows stand in train": "max_overlap",
}
POWERS = [10**n for n in range(1, 16)]
COUNTS = ("too few rows", "rare class")


class Trial(NamedTuple):
    """What is known of the data after prepare and validate went over it once."""

    data: config.Data  # as given, constant columns dropped
    columns: list[tuple[str, str, infer.Rule]]  # name, part, rule for schema.yaml
    schema: str  # the text of schema.yaml
    limits: dict[str, float]  # of params.yaml: validate, where the data exceeds them
    left: list[Finding]  # what validation will refuse none the less
    hints: list[str]
    profile: dict[str, Any]


def run(params: config.Params, file: Path, schema: str, present: config.Data) -> Trial:
    """Prepare and validate the data in `file`, in a folder that is thrown away.

    `schema` is the text of schema.yaml; it is kept where it fits the data and
    no column changes its part against `present`. Raises `Problem` when the data
    cannot be prepared.
    """
    given = params.data
    here = given.model_copy(update={"path": str(file.resolve())})
    whole = params.prepare.model_copy(update={"sample": 1.0})
    params = params.model_copy(update={"data": here, "prepare": whole})
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        prepare.prepare(params)
        kinds = pq.read_schema(prepared.path("train"))
        parts, columns, hints, constant = _parts(given, kinds.names), [], [], []
        for name in kinds.names:
            values = prepared.column(name)
            if parts[name] == "feature" and values.nunique(dropna=False) == 1:
                parts[name] = "dropped"
                constant.append(name)
            rule = infer.rule(values, kinds.field(name).type, parts[name], given.task)
            columns.append((name, parts[name], rule))
            hints += infer.hints(values) if parts[name] == "feature" else []
        drop = {"drop": [*given.drop, *constant]}
        given = given.model_copy(update=drop)
        params = params.model_copy(update={"data": here.model_copy(update=drop)})
        contract.PATH.write_text(schema, encoding="utf-8")
        if given != present or not _fits(kinds.names):
            schema = edits.set_block(schema, "columns", {name: rule for name, _, rule in columns})
            contract.PATH.write_text(schema, encoding="utf-8")
        stage.write_json(validate.REFERENCE, {})
        problems, _ = validate.validate(params)
        limits = _limits(problems, prepared.column(given.target))
        left = [one for one in problems if one.check not in (*SHARES, *COUNTS)]
        profile = stage.read_json(prepare.PROFILE)
    return Trial(given, columns, schema, limits, left, hints, profile)


def _parts(data: config.Data, names: list[str]) -> dict[str, str]:
    """The part that each column plays; the last one named here counts."""
    parts = dict.fromkeys(names, "feature") | dict.fromkeys(data.protected, "protected")
    parts |= dict.fromkeys(data.drop, "dropped")
    for part in ("target", "id", "time", "label_time", "group"):
        if column := getattr(data, part):
            parts[column] = part
    return parts


def _fits(names: list[str]) -> bool:
    """Whether the schema.yaml that is there describes these columns, and all rows meet it."""
    try:
        schema = contract.load()
    except Problem:
        return False
    return set(schema.columns) == set(names) and not any(
        conform.check_column(schema.columns[name], prepared.column(name)) for name in names
    )


def _limits(problems: list[Finding], target: pd.Series) -> dict[str, float]:
    """The limits that the data exceeds, moved just beyond it."""
    limits: dict[str, float] = {}
    for one in problems:
        if one.check == "too few rows":
            limits["min_rows"] = _below(one.count)
        elif one.check == "rare class":
            counts = target.value_counts()
            limits["min_class_rows"] = _below(int(counts[counts > 0].min()))
        elif key := SHARES.get(one.check):
            room = (1 - one.share) / 2 if one.share > 0.5 else one.share / 2
            limits[key] = max(limits.get(key, 0), _above(one.share, room))
    return limits


def _below(count: int) -> int:
    """A round number about a fifth below `count`, at least 1."""
    step = int(10 ** max(0, len(str(count)) - 2))
    return max(1, count * 4 // 5 // step * step)


def _above(share: float, room: float) -> float:
    """A short number in (share, share + room]; 1 for 1."""
    if share >= 1:
        return 1.0
    short = (math.floor((share + room) * scale) / scale for scale in map(float, POWERS))
    return next(limit for limit in short if limit > share)
