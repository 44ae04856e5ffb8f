"""The data that params.yaml names keeps the contract, and its split is clean."""

import json
from pathlib import Path

import pandas as pd
import pytest

from core import tables
from core.files import read_json
from core.paths import REFERENCE, VALIDATION
from core.tables import to_pandas
from core.validation import check_schema
from core.validation.schema import load_schema
from pipeline import dataset
from pipeline.params import load_params

DATA = load_params().data
there = pytest.mark.skipif(
    not Path(DATA.path).exists(), reason=f"no {DATA.path} here: dvc pull fetches it"
)
split = pytest.mark.skipif(
    not all(dataset.path(side).exists() for side in dataset.SIDES),
    reason="no split yet: dvc repro prepare makes it",
)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return to_pandas(tables.read(DATA.path))


@there
def test_the_raw_data_keeps_the_contract(table: pd.DataFrame) -> None:
    problems = check_schema.check_frame(load_schema(), table)
    assert not problems, "\n".join(map(str, problems))


@there
def test_every_column_that_params_name_is_there(table: pd.DataFrame) -> None:
    named = [DATA.target, DATA.id, DATA.time, DATA.label_time, DATA.group]
    missing = {name for name in [*named, *DATA.protected, *DATA.drop] if name} - set(table)
    assert not missing, f"{DATA.path} lacks {missing}; params.yaml names them"


@there
def test_a_row_that_breaks_the_contract_is_found(table: pd.DataFrame) -> None:
    broken = table.drop(columns=DATA.target)
    broken["a column that nobody knows"] = 1
    found = {one.column for one in check_schema.check_frame(load_schema(), broken)}
    assert DATA.target in found, "schema.yaml does not ask for the target"


@there
def test_the_reference_profile_describes_these_columns(table: pd.DataFrame) -> None:
    reference = read_json(REFERENCE).get("columns")
    assert not reference or set(reference) == set(table), "drift of the others goes unseen"


@split
def test_no_row_is_on_two_sides_of_the_split() -> None:
    apart = DATA.group if load_params().prepare.split == "group" else DATA.id
    if not apart:
        pytest.skip("params.yaml names no id")
    ids = [set(dataset.column(apart, (side,))) for side in dataset.SIDES]
    shared = [len(one & other) for i, one in enumerate(ids) for other in ids[:i]]
    assert shared == [0, 0, 0], f"{apart} of val and train, test and train, test and val"


@split
def test_the_split_has_passed_validation() -> None:
    if not VALIDATION.exists():
        pytest.skip("not validated yet: dvc repro validate")
    report = json.loads(VALIDATION.read_text(encoding="utf-8"))
    assert report["passed"], report["problems"]
    assert report["rows"] == sum(dataset.rows(side) for side in dataset.SIDES)
