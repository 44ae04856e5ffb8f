"""The headline scores mean what scikit-learn means by them."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from pipeline import metrics

rng = np.random.default_rng(0)
TRUTH = rng.integers(0, 2, 500)
CHANCE = np.round(np.clip(0.3 * TRUTH + 0.7 * rng.random(500), 0, 1), 2)  # with ties


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", sklearn_metrics.accuracy_score(TRUTH, CHANCE >= 0.5)),
        ("balanced_accuracy", sklearn_metrics.balanced_accuracy_score(TRUTH, CHANCE >= 0.5)),
        ("f1", sklearn_metrics.f1_score(TRUTH, CHANCE >= 0.5)),
        ("precision", sklearn_metrics.precision_score(TRUTH, CHANCE >= 0.5)),
        ("recall", sklearn_metrics.recall_score(TRUTH, CHANCE >= 0.5)),
        ("roc_auc", sklearn_metrics.roc_auc_score(TRUTH, CHANCE)),
        ("pr_auc", sklearn_metrics.average_precision_score(TRUTH, CHANCE)),
        ("log_loss", sklearn_metrics.log_loss(TRUTH, CHANCE)),
        ("brier", sklearn_metrics.brier_score_loss(TRUTH, CHANCE)),
    ],
)
def test_binary_scores_are_scikit_learns(name: str, expected: float) -> None:
    assert metrics.evaluate("binary", TRUTH, CHANCE, 0.5, 15)[name] == pytest.approx(
        expected, abs=1e-6
    )


def test_multiclass_scores_are_scikit_learns() -> None:
    truth = rng.integers(0, 4, 400)
    chances = rng.dirichlet(np.ones(4), 400) + np.eye(4)[truth]
    chances /= chances.sum(1, keepdims=True)
    said = chances.argmax(1)
    found = metrics.evaluate("multiclass", truth, chances, 0.5, 15)
    assert found["f1"] == pytest.approx(
        sklearn_metrics.f1_score(truth, said, average="macro"), abs=1e-6
    )
    roc_auc = sklearn_metrics.roc_auc_score(truth, chances, multi_class="ovr")
    assert found["roc_auc"] == pytest.approx(roc_auc, abs=1e-6)
    assert found["log_loss"] == pytest.approx(sklearn_metrics.log_loss(truth, chances), abs=1e-6)


def test_regression_scores_are_scikit_learns() -> None:
    truth = rng.normal(10, 2, 300)
    guess = truth + rng.normal(0, 1, 300)
    found = metrics.evaluate("regression", truth, guess, 0.5, 15)
    assert found["mae"] == pytest.approx(
        sklearn_metrics.mean_absolute_error(truth, guess), abs=1e-6
    )
    assert found["rmse"] == pytest.approx(
        sklearn_metrics.root_mean_squared_error(truth, guess), abs=1e-6
    )
    assert found["r2"] == pytest.approx(sklearn_metrics.r2_score(truth, guess), abs=1e-6)
    mape = sklearn_metrics.mean_absolute_percentage_error(truth, guess)
    assert found["mape"] == pytest.approx(mape, abs=1e-6)


def test_ece_is_zero_for_honest_and_large_for_false_certainty() -> None:
    chance = rng.random(200_000)
    assert metrics.ece(chance, rng.random(200_000) < chance, 15) < 0.01
    assert metrics.ece(np.full(100, 0.99), np.zeros(100), 15) == pytest.approx(0.99)


def test_a_score_that_is_not_defined_is_left_out() -> None:
    assert "roc_auc" not in metrics.evaluate("binary", np.ones(5, int), np.full(5, 0.7), 0.5, 15)


def test_what_one_class_alone_defines() -> None:
    def of(task: str, truth: list[int], guess: list[object]) -> dict[str, float]:
        return metrics.evaluate(task, np.array(truth), np.array(guess), 0.5, 2)

    assert set(of("binary", [1, 1], [0.9, 0.2])) == {
        "log_loss", "accuracy", "f1", "precision", "recall", "brier", "ece"
    }  # fmt: skip
    found = of("multiclass", [0, 0], [[0.9, 0.1, 0], [0.4, 0.6, 0]])
    assert "roc_auc" not in found
    assert found["balanced_accuracy"] == found["accuracy"] == 0.5
    assert of("multiclass", [0, 0, 1], [[0.9, 0.1]] * 3)["balanced_accuracy"] == 0.5
    never = of("binary", [1, 0], [0.1, 0.2])
    assert (never["precision"], never["recall"], never["f1"]) == (0, 0, 0)


def test_classes_that_neither_occur_nor_are_answered_do_not_count() -> None:
    truth = np.array([0, 0, 1, 3])  # class 2 is answered and class 4 is not
    said = np.array([0, 2, 1, 0])
    chances = np.eye(5)[said] * 0.6 + 0.08
    found = metrics.evaluate("multiclass", truth, chances, 0.5, 2)
    labels = {"average": "macro", "zero_division": 0}
    for name in ("f1", "precision", "recall"):
        expected = getattr(sklearn_metrics, f"{name}_score")(truth, said, **labels)
        assert found[name] == pytest.approx(expected, abs=1e-6)
    assert found["brier"] == pytest.approx(
        ((chances - np.eye(5)[truth]) ** 2).sum(1).mean(), abs=1e-6
    )
    assert found["ece"] == pytest.approx(0.68 - 0.5, abs=1e-6)
    chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    found = metrics.evaluate("multiclass", np.array([0, 0, 1]), chances, 0.5, 2)
    assert found["ece"] == pytest.approx(0.8 - 2 / 3, abs=1e-6)


def test_certainty_that_is_wrong_costs_much_but_not_all() -> None:
    found = metrics.evaluate("binary", np.array([1, 0]), np.array([0.0, 0.0]), 0.5, 2)
    assert found["log_loss"] == pytest.approx(-np.log(1e-15) / 2)
    assert found["ece"] == 0.5
    assert metrics.evaluate("binary", np.array([1, 0]), np.array([1.0, 0.0]), 0.5, 2)["ece"] == 0


def test_of_numbers_a_constant_has_no_r2_and_zero_no_mape() -> None:
    def of(truth: list[float]) -> set[str]:
        return set(metrics.evaluate("regression", np.array(truth), np.ones(2), 0.5, 2))

    assert of([2.0, 2.0]) == {"rmse", "mae", "mape"}
    assert of([0.0, 0.5]) == {"r2", "rmse", "mae"}
    assert of([1.0, 2.0]) == {"r2", "rmse", "mae", "mape"}


def test_a_metric_knows_its_direction_and_its_tasks() -> None:
    less = {name for name in [*metrics.METRICS, "seconds"] if metrics.lower_is_better(name)}
    assert less == {"log_loss", "brier", "ece", "rmse", "mae", "mape"}
    assert [metrics.headline(task).name for task in ("binary", "regression")] == ["roc_auc", "r2"]
    told = {one.name for one in metrics.METRICS.values() if one.headline}
    assert told == {"roc_auc", "log_loss", "r2", "rmse"}
    assert metrics.evaluate("regression", np.array([3.0, 4]), np.array([3.0, 3.0]), 0.5, 2) == {
        "r2": -1.0, "rmse": 0.707107, "mae": 0.5, "mape": 0.125
    }  # fmt: skip


def test_a_bin_holds_its_lower_edge_and_the_last_one_certainty() -> None:
    at = metrics.calibration_bins(np.array([0, 0.24, 0.25, 0.99, 1.0]), 4)
    assert at.tolist() == [0, 0, 1, 3, 3]
