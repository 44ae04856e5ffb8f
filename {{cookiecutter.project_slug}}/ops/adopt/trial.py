"""Try data out before it is adopted: which schema fits it, which limits does it exceed."""

import contextlib
import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from core import yaml_edit
from core.errors import Problem
from core.files import read_json, write_json
from core.paths import PROFILE, REFERENCE, SCHEMA
from core.validation import check_schema
from core.validation.findings import Finding
from core.validation.schema import load_schema
from ops.adopt import infer
from pipeline import dataset, prepare, slices, validate
from pipeline.params import Data, Params

SHARES = {
    "dominant_class": "max_class_share",
    "nearly_constant": "max_same_value",
    "duplicate_rows": "max_duplicates",
    "test_rows_in_train": "max_overlap",
}
POWERS = [10**n for n in range(1, 16)]
COUNTS = ("too_few_rows", "rare_class")
GROUP = 50  # rows of a group that say something of it


class Trial(NamedTuple):
    """What is known of the data after prepare and validate went over it once."""

    data: Data  # as given, constant columns dropped
    columns: list[tuple[str, str, infer.Rule]]  # name, part, rule for schema.yaml
    schema: str  # the text of schema.yaml
    limits: dict[str, float]  # of params.yaml: validate, where the data exceeds them
    left: list[Finding]  # what validation will refuse none the less
    hints: list[str]
    profile: dict[str, Any]
    groups: dict[str, int]  # min_rows of the protected attributes whose groups can be compared


def run(params: Params, file: Path, schema: str, present: Data) -> Trial:
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
        kinds = pq.read_schema(dataset.path("train"))
        parts, columns, hints, constant = _parts(given, kinds.names), [], [], []
        for name in kinds.names:
            values = dataset.column(name)
            if parts[name] == "feature" and values.nunique(dropna=False) == 1:
                parts[name] = "dropped"
                constant.append(name)
            rule = infer.rule(values, kinds.field(name).type, parts[name], given.task)
            columns.append((name, parts[name], rule))
            hints += infer.hints(values) if parts[name] == "feature" else []
        drop = {"drop": [*given.drop, *constant]}
        given = given.model_copy(update=drop)
        params = params.model_copy(update={"data": here.model_copy(update=drop)})
        SCHEMA.write_text(schema, encoding="utf-8")
        if given != present or not _fits(kinds.names):
            schema = yaml_edit.set_block(
                schema, "columns", {name: rule for name, _, rule in columns}
            )
            SCHEMA.write_text(schema, encoding="utf-8")
        write_json(REFERENCE, {})
        problems, _ = validate.validate(params)
        limits = _limits(problems, dataset.column(given.target))
        left = [one for one in problems if one.check not in (*SHARES, *COUNTS)]
        profile = read_json(PROFILE)
        groups = _groups(given.protected, params.evaluate.min_slice_rows)
    return Trial(given, columns, schema, limits, left, hints, profile, groups)


def _parts(data: Data, names: list[str]) -> dict[str, str]:
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
        schema = load_schema()
    except Problem:
        return False
    return set(schema.columns) == set(names) and not any(
        check_schema.check_column(schema.columns[name], dataset.column(name)) for name in names
    )


def _limits(problems: list[Finding], target: pd.Series) -> dict[str, float]:
    """The limits that the data exceeds, moved just beyond it."""
    limits: dict[str, float] = {}
    for one in problems:
        if one.check == "too_few_rows":
            limits["min_rows"] = _below(one.count)
        elif one.check == "rare_class":
            counts = target.value_counts()
            limits["min_class_rows"] = _below(int(counts[counts > 0].min()))
        elif key := SHARES.get(one.check):
            room = (1 - one.share) / 2 if one.share > 0.5 else one.share / 2
            limits[key] = max(limits.get(key, 0), _above(one.share, room))
    return limits


def _groups(protected: list[str], least: int) -> dict[str, int]:
    """{attribute: rows that a group must have}; none where two groups of the test rows have not."""
    test = pd.read_parquet(dataset.path("test"), columns=protected)
    groups = {}
    for name in protected:
        sizes = np.sort(np.bincount(slices.groups_of(test[name])[0]))
        second = int(sizes[-2]) * 4 // 5 if len(sizes) > 1 else 0  # some room for other rows
        if second >= least:
            groups[name] = min(GROUP, second)
    return groups


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
