"""The tables that are drawn are what a hand computes, whatever the task."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.yaml_io import check_yaml, read_yaml
from pipeline import plots
from pipeline.params import Evaluate

KNOBS = read_yaml("params.yaml")["evaluate"] | {"importance_rows": 2000}
CHANCES = np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.1, 0.3, 0.6]])
CLASS = np.array([0, 1, 1, 2])


def settings(**changes: Any) -> Evaluate:
    return check_yaml(Evaluate, KNOBS | changes, "params.yaml")


def model(task: str, columns: list[str], score: Any) -> Any:
    inputs = [SimpleNamespace(name=name) for name in columns]
    classes = {"binary": [False, True], "multiclass": ["a", "b", "c"]}.get(task, [])
    return SimpleNamespace(task=task, classes=classes, inputs=inputs, score=score)


def tables(task: str, truth: np.ndarray, guess: np.ndarray, **changes: Any) -> Any:
    frame = pd.DataFrame({"x": np.arange(len(truth))})
    fitted = model(task, ["x"], lambda table: guess[table["x"]])
    return plots.tables(fitted, frame, truth, guess, settings(**changes))


def test_of_two_classes() -> None:
    truth, guess = np.array([0, 1, 0, 1]), np.array([0.1, 0.3, 0.5, 0.9])
    drawn = tables("binary", truth, guess, threshold=0.5, calibration_bins=2)
    confusion = drawn["confusion"]
    assert confusion["actual"].tolist() == ["False", "True", "False", "True"]
    assert confusion["predicted"].tolist() == ["False", "False", "True", "True"]
    scores = drawn["scores"]
    assert list(scores) == ["score", "negative", "positive"]
    assert (len(scores), scores["negative"].sum(), scores["positive"].sum()) == (30, 2, 2)
    assert scores["score"].iloc[[0, -1]].tolist() == pytest.approx([0.1 + 0.8 / 60, 0.9 - 0.8 / 60])
    assert scores.index[scores["positive"] == 1].tolist() == [7, 29]
    assert scores.index[scores["negative"] == 1].tolist() == [0, 15]
    assert list(drawn["calibration"]) == ["predicted", "actual", "rows"]
    assert drawn["calibration"].to_numpy().tolist() == [[0.2, 0.5, 2], [0.7, 0.5, 2]]


def test_of_two_classes_one_may_be_lacking_or_rare() -> None:
    drawn = tables("binary", np.zeros(3, int), np.array([0.1, 0.3, 1.0]), calibration_bins=2)
    assert drawn["pr"]["precision"].tolist() == [0.0] * (plots.POINTS + 1)
    assert drawn["roc"]["tpr"].tolist() == [0.0] * (plots.POINTS + 1)
    assert drawn["calibration"]["rows"].tolist() == [2, 1], "certainty is in the last bin"
    rare = tables("binary", np.array([0, 1, 1]), np.array([0.2, 0.3, 0.1]))["roc"]
    assert rare["tpr"].iloc[[1, 100, 199]].tolist() == [0.5, 0.5, 0.5]


def test_of_many_classes() -> None:
    drawn = tables("multiclass", CLASS, CHANCES, calibration_bins=2)
    assert drawn["confusion"]["actual"].tolist() == ["a", "b", "b", "c"]
    assert drawn["confusion"]["predicted"].tolist() == ["a", "a", "b", "c"]
    scores = drawn["scores"]
    assert list(scores) == ["score", "right", "wrong"]
    assert (scores["right"].sum(), scores["wrong"].sum(), scores["wrong"].iloc[0]) == (3, 1, 1)
    expected = [[(0.7 + 0.5 + 0.8 + 0.6) / 4, 0.75, 4]]
    assert drawn["calibration"].to_numpy() == pytest.approx(np.array(expected))
    assert drawn["roc"]["tpr"].tolist() == [1.0] * (plots.POINTS + 1)
    assert drawn["pr"]["precision"].tolist() == [1.0] * (plots.POINTS + 1)


def test_curves_of_many_classes_are_the_mean() -> None:
    chances = np.array([[0.6, 0.4], [0.2, 0.8], [0.9, 0.1], [0.7, 0.3]])
    truth = np.array([0, 1, 1, 0])  # for class 0: no, yes, yes, no from the top
    drawn = tables("multiclass", truth, chances)
    roc = drawn["roc"].set_index("fpr")["tpr"]
    assert list(roc.index[[0, 100, 200]]) == [0, 0.5, 1]
    assert (roc[0.25], roc[0.75]) == (0.25, 0.75)
    one, other = [2 / 3, 2 / 3], [1, 0.5]  # precision at half and at all of the recall
    pr = drawn["pr"].set_index("recall")["precision"]
    assert (pr[0.5], pr[1.0]) == pytest.approx(np.mean([one, other], axis=0))


def test_of_a_number() -> None:
    truth = np.arange(3000.0)
    drawn = tables("regression", truth, truth + 1, importance_rows=10)
    assert set(drawn) == {"importance", "predicted", "scores"}
    predicted = drawn["predicted"]
    assert predicted["actual"].iloc[[0, 1, -1]].tolist() == [0, 3, 2999]
    assert (len(predicted), (predicted["predicted"] - predicted["actual"]).tolist()) == (
        (1000, [1] * 1000)
    )
    assert drawn["scores"]["all"].tolist() == [100] * 30
    few = tables("regression", truth[:3], truth[:3])["predicted"]
    assert few["actual"].tolist() == [0, 1, 2]


def test_no_more_rows_than_can_be_drawn() -> None:
    truth = np.arange(9000) % 2
    confusion = tables("binary", truth, truth * 0.5 + 0.2)["confusion"]
    assert len(confusion) == 5000
    assert (confusion["actual"] == confusion["predicted"]).all()
    first = [str(bool(one)) for one in truth[np.linspace(0, 8999, 5000).astype(int)]]
    assert confusion["actual"].tolist() == first


def test_importance_is_measured_on_rows_from_first_to_last() -> None:
    seen: list[pd.DataFrame] = []

    def score(table: pd.DataFrame) -> np.ndarray:
        seen.extend(table[at : at + 34] for at in range(0, len(table), 34))
        return np.asarray(table["x"] / 100)

    frame = pd.DataFrame({"x": np.arange(100), "other": np.arange(100)})
    fitted = model("binary", ["other", "x"], score)
    truth = (frame["x"] >= 50).astype(int).to_numpy()
    found = plots.importance(fitted, frame, truth, settings(importance_rows=34))
    assert len(seen) == 1 + 2 * plots.REPEATS
    assert list(seen[0]) == ["x", "other"]
    assert seen[0]["x"].tolist() == list(range(0, 100, 3))
    assert all(sorted(one["x"]) == list(range(0, 100, 3)) for one in seen)
    as_it_was = [one["x"].tolist() == seen[0]["x"].tolist() for one in seen]
    assert as_it_was == [True] * 4 + [False] * 3
    assert len({tuple(one["x"]) for one in seen[4:]}) == 3, "shuffled anew"
    lost = found.set_index("column")["loss"]
    assert (list(lost.index), lost["other"]) == (["x", "other"], 0)
    expected = 1 - np.mean(
        [(one["x"].to_numpy()[17:, None] > one["x"].to_numpy()[:17]).mean() for one in seen[4:]]
    )
    assert lost["x"] == pytest.approx(expected, abs=1e-6)
    again = plots.importance(fitted, frame, truth, settings(importance_rows=34))
    pd.testing.assert_frame_equal(found, again)


def test_of_many_columns_each_is_shuffled_once_in_fewer_rows() -> None:
    rows = 0

    def score(table: pd.DataFrame) -> np.ndarray:
        nonlocal rows
        rows += len(table)
        return np.asarray(table["x0"] / 1000)

    names = [f"x{i}" for i in range(2 * plots.MANY)]
    frame = pd.DataFrame(dict.fromkeys(names, np.arange(1000)))
    fitted, truth = model("binary", names, score), (np.arange(1000) >= 500).astype(int)
    found = plots.importance(fitted, frame, truth, settings(importance_rows=400))
    assert rows == 200 * (1 + len(names))  # half the rows, for there are twice as many columns
    assert found["column"].iloc[0] == "x0"
    assert found["loss"].iloc[0] == pytest.approx(0.5, abs=0.15)
    assert (found["loss"].iloc[1:] == 0).all()


def test_tables_of_another_task_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plots.write({"roc": pd.DataFrame({"fpr": [1 / 3, 2.0]})})
    assert Path("plots/test/roc.csv").read_text() == "fpr\n0.333333\n2\n"
    plots.write({"predicted": pd.DataFrame({"actual": [1]})})
    assert [path.name for path in Path("plots/test").iterdir()] == ["predicted.csv"]
