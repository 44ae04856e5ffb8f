"""Rows fall on the sides that params.yaml says, and stay there."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.yaml_io import check_yaml, read_yaml
from pipeline.params import Params
from pipeline.split import LEFT_OUT, splitter

ROWS = 4000


def params(**changes: Any) -> Params:
    content = read_yaml("params.yaml")
    content["data"] |= {"target": "y", "task": "binary", "protected": [], "drop": []}
    content["data"] |= {"id": "id", "group": "shop", "time": None, "label_time": None}
    content["prepare"] |= {"val": 0.15, "test": 0.15, "sample": 1.0, "seed": 0, **changes}
    return check_yaml(Params, content, "params.yaml")


def rows(first: int = 0, count: int = ROWS) -> pa.RecordBatch:
    rng = np.random.default_rng(first)
    ids = np.arange(first, first + count)
    columns = {"id": ids, "shop": rng.integers(0, 200, count), "y": (ids % 50 == 0).astype(int)}
    return pa.RecordBatch.from_pydict({name: pa.array(values) for name, values in columns.items()})


@pytest.mark.parametrize("split", ["hash", "random", "group"])
def test_the_shares_are_as_asked(split: str) -> None:
    sides = splitter(params(split=split))(rows())
    shares = np.bincount(sides, minlength=3) / ROWS
    assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.06 if split == "group" else 0.02)


def test_by_hash_a_row_never_changes_side() -> None:
    before = splitter(params(split="hash"))(rows())
    more = splitter(params(split="hash"))
    more(rows(ROWS, 500))
    assert np.array_equal(more(rows()), before)
    other = splitter(params(split="hash", seed=1))(rows())
    assert not np.array_equal(other, before)


def test_by_group_a_group_stays_together() -> None:
    block = rows()
    sides = splitter(params(split="group"))(block)
    shops = block.column("shop").to_numpy()
    assert all(len(set(sides[shops == shop])) == 1 for shop in set(shops))


def test_at_random_classes_keep_their_shares() -> None:
    block = rows()
    side = splitter(params(split="random"))
    parts = [side(block.slice(start, 700)) for start in range(0, ROWS, 700)]
    sides, y = np.concatenate(parts), block.column("y").to_numpy()
    rare = np.bincount(sides[y == 1], minlength=3)
    assert rare.tolist() == [56, 12, 12]


def test_a_sample_is_a_part_of_the_whole() -> None:
    whole = splitter(params(split="hash"))(rows())
    part = splitter(params(split="hash", sample=0.25))(rows())
    kept = part != LEFT_OUT
    assert kept.mean() == pytest.approx(0.25, abs=0.03)
    assert np.array_equal(part[kept], whole[kept])
