"""Rows fall on the sides that params.yaml says, and stay there."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from core import tables
from core.errors import Problem
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


@pytest.mark.parametrize(("split", "together"), [("hash", "id"), ("group", "shop")])
def test_a_sample_is_of_whole_rows_or_of_whole_groups(split: str, together: str) -> None:
    block = rows()
    kept = splitter(params(split=split, sample=0.5))(block) != LEFT_OUT
    values = block.column(together).to_numpy()
    assert 0.4 < kept.mean() < 0.6
    assert set(values[kept]).isdisjoint(values[~kept])
    shops = block.column("shop").to_numpy()
    assert set(shops[kept]).isdisjoint(shops[~kept]) == (split == "group")
    other = splitter(params(split=split, sample=0.5, seed=1))(block) != LEFT_OUT
    assert not np.array_equal(kept, other)


def test_without_an_id_a_sample_is_at_random_and_the_same_again() -> None:
    content = params(split="random", sample=0.5)
    content = content.model_copy(update={"data": content.data.model_copy(update={"id": None})})
    kept = splitter(content)(rows()) != LEFT_OUT
    assert 0.45 < kept.mean() < 0.55
    assert np.array_equal(kept, splitter(content)(rows()) != LEFT_OUT)


def test_the_hash_is_of_the_text_and_the_seed() -> None:
    block = rows()
    text = pa.RecordBatch.from_pydict({"id": block.column("id").cast(pa.string())})
    sides = splitter(params(split="hash"))(block)
    assert np.array_equal(splitter(params(split="hash"))(text), sides)
    expected = pd.util.hash_array(
        block.column("id").cast(pa.string()).to_numpy(zero_copy_only=False),
        hash_key="split0----------",
        categorize=False,
    )
    assert np.array_equal(sides, np.digitize(expected / 2.0**64, [0.7, 0.85]))
    empty = pa.RecordBatch.from_pydict({"id": pa.array([None, None, ""], pa.string())})
    assert len(set(splitter(params(split="hash"))(empty))) == 1


@pytest.mark.parametrize(
    ("val", "test", "size"), [(0.2, 0.1, 10), (0.15, 0.1, 20), (0.07, 0.2, 100)]
)
def test_at_random_every_block_holds_the_shares(val: float, test: float, size: int) -> None:
    side = splitter(params(split="random", val=val, test=test))
    block = rows(1, 45)  # one class alone
    sides = np.concatenate([side(block) for _ in range(40)])
    expected = np.round(np.array([1 - val - test, val, test]) * size).tolist()
    assert np.all([np.bincount(part, minlength=3) == expected for part in sides.reshape(-1, size)])
    parts = sides.reshape(-1, size)
    assert any((one != parts[0]).any() for one in parts), "in an order of its own"


def test_at_random_odd_shares_and_numbers_are_split_too() -> None:
    sides = splitter(params(split="random", val=0.1234, test=0.2))(rows(1, 49))
    assert set(sides) <= {0, 1, 2}
    content = params(split="random", seed=1)
    content = content.model_copy(
        update={"data": content.data.model_copy(update={"task": "regression"})}
    )
    block = pa.RecordBatch.from_pydict({"y": np.random.default_rng(0).random(ROWS)})
    sides = splitter(content)(block)
    assert np.bincount(sides).tolist() == [2800, 600, 600]
    assert np.array_equal(sides, splitter(content)(block))
    missing = pa.RecordBatch.from_pydict({"y": pa.array([None] * 40 + [1] * 40)})
    sides = splitter(params(split="random"))(missing)
    assert [np.bincount(part).tolist() for part in (sides[:40], sides[40:])] == [[28, 6, 6]] * 2


def test_at_random_the_seed_decides() -> None:
    one, again, other = (splitter(params(split="random", seed=s))(rows()) for s in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


DAYS = pd.date_range("2026-01-01", periods=100, freq="h")


def by_time(values: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Any:
    """The sides of the rows of a table that is read as `prepare` reads it."""
    content = params(split="random", **changes)
    monkeypatch.chdir(folder)
    Path("data/raw").mkdir(parents=True)
    table = pd.DataFrame({"x": 7.5, "day": values})
    table.to_parquet("data/raw/t.parquet")
    data = content.data.model_copy(update={"time": "day", "path": "data/raw/t.parquet"})
    prepare = content.prepare.model_copy(update={"split": "time"})
    content = content.model_copy(update={"data": data, "prepare": prepare})
    [block] = tables.read(data.path).combine_chunks().to_batches()
    return splitter(content)(block)


CLOCKS = {
    "dates": lambda order: pd.Series(DAYS)[order],
    "text": lambda order: pd.Series(DAYS.strftime("%Y-%m-%dT%H:%M:%S"))[order],
    "clock ticks": lambda order: pd.Series(10**18 + np.arange(100) * 1000 + 1)[order],
    "numbers": lambda order: pd.Series(np.arange(100) + 0.5)[order],
}


@pytest.mark.parametrize("kind", CLOCKS)
def test_by_time_the_oldest_rows_train_and_the_newest_test(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = np.random.default_rng(0).permutation(100)
    sides = by_time(CLOCKS[kind](order), tmp_path, monkeypatch, val=0.2, test=0.1)
    expected = np.repeat([0, 1, 2], [70, 20, 10])[order]
    assert np.array_equal(sides, expected)


def test_by_time_rows_without_a_date_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = pd.Series([*DAYS, pd.NaT, pd.NaT])
    sides = by_time(values, tmp_path, monkeypatch, val=0.2, test=0.1)
    assert sides.tolist() == [0] * 70 + [1] * 20 + [2] * 10 + [0, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["2026-01-31", "soon"] * 9, r"data/raw/t.parquet: data.time is 'day', .* no date"),
        ([pd.NaT, pd.NaT], r"data/raw/t.parquet: column 'day' is empty"),
    ],
)
def test_what_is_no_date_is_named(
    values: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Problem, match=message):
        by_time(pd.Series(values), tmp_path, monkeypatch)
