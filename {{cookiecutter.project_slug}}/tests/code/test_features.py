"""A table becomes numbers and codes; what does not fit is named."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.errors import Problem
from core.yaml_io import check_yaml, read_yaml
from pipeline import features
from pipeline.features import Input
from pipeline.params import Data

DAY = pd.Timestamp("1970-01-02")
SPEC: Any = {
    "target": "y", "task": "multiclass", "classes": ["a", "b"], "center": 0.0, "scale": 1.0,
    "numbers": [{"name": "x", "mean": 1.0, "std": 2.0, "missing": False}],
    "categories": [{"name": "w", "levels": ["u", "v"]}],
}  # fmt: skip


def data(task: str = "regression") -> Data:
    parts = dict.fromkeys(["id", "time", "label_time", "group"])
    content = read_yaml("params.yaml")["data"] | parts | {"protected": [], "drop": []}
    return check_yaml(Data, content | {"target": "y", "task": task}, "params.yaml")


def learn(task: str = "regression", **columns: Any) -> Any:
    frame = pd.DataFrame(columns)
    return features.learn(frame if "y" in frame else frame.assign(y=1.0), data(task))


def test_numbers_dates_and_booleans_are_standardised() -> None:
    days = pd.Series([DAY, DAY + pd.Timedelta("2D"), pd.NaT])
    found = learn(x=[1.0, 3.0, np.inf], day=days, yes=[True, False, True], same=[4, 4, 4])
    assert found["numbers"] == [
        {"name": "x", "mean": 2.0, "std": 1.0, "missing": True},
        {"name": "day", "mean": 2.0, "std": 1.0, "missing": True},
        {
            "name": "yes",
            "mean": pytest.approx(2 / 3),
            "std": pytest.approx(2**0.5 / 3),
            "missing": False,
        },
        {"name": "same", "mean": 4.0, "std": 1.0, "missing": False},
    ]
    assert learn(x=[1.0, 2], empty=[np.nan] * 2)["numbers"][1] == (
        {"name": "empty", "mean": 0.0, "std": 1.0, "missing": True}
    )
    frame = pd.DataFrame({"x": [3.0, None], "day": [DAY, None], "yes": [True, False], "same": 4})
    encoded = features.encode(frame, found).numbers
    assert encoded[:, :2] == pytest.approx(np.array([[1, -1], [np.nan, np.nan]]), nan_ok=True)
    assert encoded.dtype == np.float32
    assert encoded[:, 3].tolist() == [0, 0]


def test_text_is_left_out_and_something_must_be_left() -> None:
    assert learn(text=["a", "b"], x=[1, 2])["categories"] == []
    with pytest.raises(Problem, match="no column is left to learn from"):
        learn(text=["a", "b"])
    words = learn(w=pd.Categorical(["b"] * 5 + ["a"] * 5))
    assert (words["numbers"], words["categories"]) == ([], [{"name": "w", "levels": ["a", "b"]}])


def test_what_is_to_be_answered() -> None:
    found = learn(x=[1, 2], y=[2.0, 6.0])
    assert (found["task"], found["target"]) == ("regression", "y")
    assert (found["classes"], found["center"], found["scale"]) == ([], 4.0, 2.0)
    assert learn(x=[1, 2], y=[3.0, 3.0])["scale"] == 1.0
    with pytest.raises(Problem, match=r"y: not a number; .* regression needs one"):
        learn(x=[1, 2], y=["a", "b"])
    found = learn("binary", x=[1, 2, 3], y=[True, False, True])
    assert (found["classes"], found["center"], found["scale"]) == ([False, True], 0.0, 1.0)
    assert learn("multiclass", x=[1, 2, 3], y=["b", "c", "a"])["classes"] == ["a", "b", "c"]
    mixed = learn("multiclass", x=[1, 2, 3], y=pd.Series(["b", 10, 9], dtype=object))
    assert mixed["classes"] == [9, 10, "b"], "by type first"
    with pytest.raises(Problem, match=r"y: 3 classes in train; .* binary needs 2"):
        learn("binary", x=[1, 2, 3], y=[1, 2, 3])


def test_a_target_is_positions_of_its_classes() -> None:
    target = pd.Series(["b", "a", "b"], name="y")
    found = features.encode_target(target, "multiclass", ["a", "b", "c"])
    assert (found.tolist(), found.dtype) == ([1, 0, 1], np.int64)
    numbers = features.encode_target(pd.Series([1, 2], name="y"), "regression", [])
    assert (numbers.tolist(), numbers.dtype) == ([1.0, 2.0], np.float64)
    assert features.encode_target(pd.Series([7, 3]), "binary", [3, 7]).tolist() == [1, 0]
    with pytest.raises(Problem, match=r"y: labels \['b'\] are none of \['a'\]"):
        features.encode_target(target, "binary", ["a"])
    with pytest.raises(Problem, match=r"y: labels missing are none of \['a', 'b'\]"):
        features.encode_target(target.where(target == "b"), "binary", ["a", "b"])


def test_levels_are_text_and_columns_are_found_by_name() -> None:
    spec: Any = {**SPEC, "categories": [{"name": "w", "levels": ["1", "2"]}]}
    frame = pd.DataFrame({"other": 0, "w": [2, 1, 3, None], "x": [3, 1, None, 100]})
    codes = features.encode(pd.DataFrame({"w": ["2", "1", "3", None], "x": 0}), spec).codes
    assert (codes[:, 0].tolist(), codes.dtype) == ([3, 2, 0, 1], np.int64)
    assert features.encode(frame, spec).numbers[:2, 0].tolist() == [1, 0]
    assert features.encode(frame, spec).numbers[3, 0] == features.CLIP
    with pytest.raises(Problem, match=r"column 'x' is missing \(did you mean 'xx'\?\)"):
        features.encode(pd.DataFrame({"xx": [1]}), spec)
    with pytest.raises(Problem, match="column 'x': not a number: could not convert string"):
        features.encode(pd.DataFrame({"x": ["a"], "w": ["1"]}), spec)


def test_inputs_are_numbers_and_then_categories() -> None:
    assert features.inputs_of(SPEC) == [
        Input("x", "number", []),
        Input("w", "category", ["u", "v"]),
    ]


def test_logits_become_answers() -> None:
    logits = np.array([[0.0, np.log(3)], [1000, 0]])
    many = features.link(logits, SPEC)
    assert many == pytest.approx(np.array([[0.25, 0.75], [1, 0]]))
    cooled = features.link(logits, SPEC, temperature=2.0)
    assert cooled[0] == pytest.approx([1 / (1 + 3**0.5), 3**0.5 / (1 + 3**0.5)])
    two: Any = {**SPEC, "task": "binary"}
    assert features.link(np.array([[np.log(4)]]), two) == pytest.approx([0.8])
    assert features.link(np.array([[np.log(4)]]), two, 2.0) == pytest.approx([2 / 3])
    number: Any = {**SPEC, "task": "regression", "center": 5.0, "scale": 2.0}
    assert features.link(np.array([[1.5]]), number, 7.0).tolist() == [8.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["a", "a"]}, r"something is named twice: \['a', 'a'\]"),
        ({"categories": [{"name": "x", "levels": []}]}, r"named twice: \['x', 'x'\]"),
        ({"categories": [{"name": "w", "levels": ["u", "u"]}]}, r"named twice: \['u', 'u'\]"),
        ({"classes": []}, "multiclass with 0 classes"),
        ({"task": "binary", "classes": ["a"]}, "binary with 1 classes"),
        ({"task": "regression", "classes": ["a"]}, "regression with 1 classes"),
        ({"numbers": [], "categories": []}, "no columns"),
        ({"more": 1}, "Extra inputs are not permitted"),
        ({"target": 1}, "valid string"),
        ({"scale": 0.0}, "greater than 0"),
        ({"center": "1.0"}, "valid number"),
    ],
)
def test_what_training_would_never_say_is_refused(changes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        features.check_spec({**SPEC, **changes})


def test_what_training_says_is_taken() -> None:
    one: Any = {**SPEC, "classes": ["a"]}
    for spec in (SPEC, one, {**SPEC, "task": "regression", "classes": []}):
        assert features.check_spec(spec) == spec
