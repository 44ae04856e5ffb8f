"""Curves, groups and costs of an evaluation are what a hand computes, and follow params.yaml."""

import os
import resource
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file

from core.errors import Problem
from core.paths import MODEL
from core.yaml_io import check_yaml, read_yaml
from ops.gates.gates_yaml import Gates
from ops.monitoring.retrain_yaml import Performance
from pipeline import evaluate, latency, metrics, plots, slices
from pipeline.params import Evaluate

TRUTH = np.array([0, 0, 1, 1])
SCORES = np.array([0.1, 0.4, 0.35, 0.8])
FRAME = pd.DataFrame({"used": SCORES, "unused": [1.0, 2, 3, 4]})


def settings(**changes: Any) -> Evaluate:
    content = read_yaml("params.yaml")["evaluate"] | {"min_slice_rows": 1}
    return check_yaml(Evaluate, content | changes, "params.yaml")


def model(score: Any = lambda frame: frame["used"].to_numpy(), **changes: Any) -> Any:
    inputs = [SimpleNamespace(name=name, kind="number") for name in FRAME]
    about = {"task": "binary", "target": "y", "classes": ["no", "yes"], "inputs": inputs}
    return SimpleNamespace(**about | {"score": score} | changes)


def tables(**changes: Any) -> dict[str, pd.DataFrame]:
    return plots.tables(model(), FRAME, TRUTH, SCORES, settings(**changes))


@pytest.mark.parametrize(
    ("bins", "gaps"), [(2, [0.15, 0.2]), (3, [0.1, 0.25, 0.2]), (5, [0.1, 0.65, 0.4, 0.2])]
)
def test_the_calibration_error_has_as_many_bins_as_asked(bins: int, gaps: list[float]) -> None:
    assert metrics.ece(SCORES, TRUTH == 1, bins) == pytest.approx(sum(gaps) / 4)
    assert metrics.ece(np.array([1.0]), np.array([True]), bins) == 0


def test_the_bins_of_the_calibration_curve_follow_params() -> None:
    curve = tables(calibration_bins=2)["calibration"]
    assert curve.to_numpy() == pytest.approx(np.array([[0.85 / 3, 1 / 3, 3], [0.8, 1, 1]]))
    assert len(tables(calibration_bins=10)["calibration"]) == 4


def test_actual_classes_stand_down_and_predicted_ones_across() -> None:
    assert metrics.Answers("binary", TRUTH, SCORES, 0.38, 15).table.tolist() == [[1, 1], [1, 1]]
    assert metrics.Answers("binary", TRUTH, SCORES, 0.3, 15).table.tolist() == [[1, 1], [0, 2]]
    found = metrics.evaluate("binary", TRUTH, SCORES, 0.3, 15)
    assert (found["precision"], found["recall"]) == (pytest.approx(2 / 3, abs=1e-6), 1.0)
    for threshold, predicted in ((0.3, "no yes yes yes"), (0.5, "no no no yes")):
        confusion = tables(threshold=threshold)["confusion"]
        assert list(confusion["actual"]) == ["no", "no", "yes", "yes"]
        assert list(confusion["predicted"]) == predicted.split()


def test_points_of_the_roc_and_the_precision_recall_curve() -> None:
    true, false, thresholds = metrics.curve(TRUTH == 1, SCORES)
    assert list(zip(true, false, thresholds, strict=True)) == [
        (1, 0, 0.8), (1, 1, 0.4), (2, 1, 0.35), (2, 2, 0.1)
    ]  # fmt: skip
    drawn = tables()
    roc = drawn["roc"].set_index("fpr")["tpr"]
    assert (roc[0.25], roc[0.75]) == (0.5, 1.0)
    pr = drawn["pr"].set_index("recall")["precision"]
    assert (pr[0.25], pr[0.75]) == (1.0, pytest.approx(2 / 3))


def test_scores_of_a_group_stand_under_its_own_name() -> None:
    protected = pd.DataFrame({"kind": pd.Categorical(["z", "a", "z", None], ["z", "unused", "a"])})
    found = slices.slices(protected, "binary", TRUTH, SCORES, settings(threshold=0.3))["kind"]
    rows = {name: (one["rows"], one["accuracy"]) for name, one in found.items()}
    assert rows == {"a": (1, 0.0), "z": (2, 1.0), "missing": (1, 1.0)}
    shares = ("selection_rate", "positive_rate", "false_positive_rate")
    assert [found["z"][name] for name in shares] == [0.5, 0.5, 0.0]
    assert [found["a"][name] for name in shares] == [1.0, 0.0, 1.0]


def test_groups_of_a_number_are_quarters_and_small_ones_have_no_scores() -> None:
    ages = pd.DataFrame({"age": np.arange(40.0)[::-1]})
    truth = np.repeat([1, 0], 20)
    scores = np.where(np.arange(40) < 10, 0.9, 0.1)  # right but for rows 10 to 19
    found = slices.slices(ages, "binary", truth, scores, settings(min_slice_rows=10))["age"]
    accuracies = {name: one["accuracy"] for name, one in found.items()}
    assert accuracies == {"0 to 9": 1.0, "10 to 19": 1.0, "20 to 29": 0.0, "30 to 39": 1.0}
    few = slices.slices(ages, "binary", truth, scores, settings(min_slice_rows=11))["age"]
    assert few["0 to 9"] == {"rows": 10}


def test_importance_is_what_a_shuffled_column_costs() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"unused": rng.random(500), "used": rng.random(500)})
    truth = (frame["used"] > 0.5).astype(int).to_numpy()
    found = plots.importance(model(), frame, truth, settings()).set_index("column")["loss"]
    assert list(found.index) == ["used", "unused"]
    assert found["used"] == pytest.approx(0.5, abs=0.1)  # from 1 to chance
    assert found["unused"] == 0


def test_a_score_that_is_not_finite_is_a_problem() -> None:
    broken = model(lambda frame: np.array([0.1, np.nan, np.inf, -np.inf]))
    with pytest.raises(Problem, match=r"3 of 4 test rows are given no finite score") as problem:
        evaluate.finite_scores(broken, FRAME, MODEL)
    assert problem.value.code == 2


def test_a_busy_moment_is_no_latency() -> None:
    calls = iter(range(10_000))

    def score(frame: pd.DataFrame) -> np.ndarray:
        if next(calls) < 30:
            time.sleep(0.03)
        return np.zeros(len(frame))

    found = latency.percentiles(model(score), [FRAME] * 10)
    assert max(found.values()) < 30


def test_latency_is_in_milliseconds() -> None:
    def score(frame: pd.DataFrame) -> np.ndarray:
        time.sleep(0.012)
        return np.zeros(len(frame))

    found = latency.percentiles(model(score), [FRAME] * 2)
    assert list(found) == ["p50", "p95", "p99"]
    assert all(12 < one < 50 and one != int(one) for one in found.values())


def test_a_metric_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def mcc(of: metrics.Answers) -> float | None:
        value = np.corrcoef(of.truth, of.labels)[0, 1]
        return float(value) if np.isfinite(value) else None

    entry = metrics.Metric("mcc", "MCC", mcc, metrics.CLASSES, True, "labels")
    monkeypatch.setitem(metrics.METRICS, "mcc", entry)
    expected = pytest.approx(1 / 3**0.5, abs=1e-6)  # quality.json and slices.json
    assert metrics.evaluate("binary", TRUTH, SCORES, 0.3, 15)["mcc"] == expected
    content = {"labelled": "a", "time": "t", "metric": "mcc", "period_days": 7.0, "periods": 1}
    assert check_yaml(Performance, content | {"min_rows": 9, "min": 0.2}, "retrain.yaml").min == 0.2
    with pytest.raises(Problem, match="mcc wants a limit `min`"):
        check_yaml(Performance, content | {"min_rows": 9, "max": 0.2}, "retrain.yaml")
    gates = read_yaml("gates.yaml")
    gates["performance"] = {"mcc": {"min": 0.2}}
    assert check_yaml(Gates, gates, "gates.yaml").performance


def test_numbers_with_few_values_are_groups_and_many_are_cut_in_quarters() -> None:
    truth, scores = np.zeros(18, int), np.full(18, 0.1)

    def groups(values: Any) -> dict[str, int]:
        frame = pd.DataFrame({"n": values})
        found = slices.slices(
            frame, "binary", truth[: len(frame)], scores[: len(frame)], settings()
        )
        return {name: one["rows"] for name, one in found["n"].items()}

    assert groups(np.arange(8) + 0.5) == {f"{i + 0.5}": 1 for i in range(8)}
    assert groups(np.arange(9)) == {"0 to 2": 3, "3 to 4": 2, "5 to 6": 2, "7 to 8": 2}
    gaps = [*np.arange(16) / 2, np.nan, np.nan]
    assert groups(gaps) == {
        "0 to 1.5": 4, "2 to 3.5": 4, "4 to 5.5": 4, "6 to 7.5": 4, "missing": 2
    }  # fmt: skip
    assert groups([*[0] * 8, *range(1, 11)]) == {"0 to 1": 9, "2 to 5": 4, "6 to 10": 5}
    assert groups(list("abcdefghij")) == dict.fromkeys("abcdefghij", 1)


def test_groups_hold_the_rows_in_which_they_stand() -> None:
    protected = pd.DataFrame({"g": list("baab"), "h": list("xxxy")})
    found = slices.slices(protected, "binary", TRUTH, SCORES, settings(threshold=0.4))
    assert found["g"]["b"]["selection_rate"] == found["g"]["a"]["selection_rate"] == 0.5
    assert (found["h"]["x"]["selection_rate"], found["h"]["x"]["positive_rate"]) == (0.333333,) * 2
    assert "false_positive_rate" not in found["h"]["y"], "no negative row"
    number = slices.slices(protected, "regression", TRUTH * 1.0, SCORES, settings())["h"]["x"]
    assert set(number) == {"rows", "mae", "rmse", "r2"}


def test_a_number_or_many_classes_without_a_finite_score_are_a_problem() -> None:
    scores = np.array([[0.5, 0.5], [np.nan, 1], [1, np.inf], [0, 1]])
    with pytest.raises(Problem, match=r"models/model.safetensors: 2 of 4 test rows"):
        evaluate.finite_scores(model(lambda frame: scores), FRAME, MODEL)
    assert evaluate.finite_scores(model(lambda frame: scores[[0, 3]]), FRAME[:2], MODEL).shape == (
        (2, 2)
    )


def test_what_a_model_costs_is_measured_on_rows_and_batches(tmp_path: Any) -> None:
    sizes: list[int] = []

    def score(frame: pd.DataFrame) -> np.ndarray:
        sizes.append(len(frame))
        assert torch.get_num_threads() == 1
        assert list(frame) == list(FRAME)
        return np.zeros(len(frame))

    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros((3, 4)), "b": np.zeros(5)}, path)
    threads = torch.get_num_threads()
    found = latency.cost(model(score), FRAME, path)
    assert torch.get_num_threads() == threads
    single, batch = latency.SINGLE * latency.ROUNDS + 3, latency.BATCHES * latency.ROUNDS + 3
    assert sizes == [1] * single + [latency.BATCH] * batch
    assert (found["parameters"], found["model_bytes"]) == (17, path.stat().st_size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert found["peak_memory_mb"] == pytest.approx(peak, rel=1e-2)
    assert found["load_average"] == pytest.approx(os.getloadavg()[0], abs=0.1)
