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
