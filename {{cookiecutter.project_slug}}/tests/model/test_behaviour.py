"""What the trained model must get right, whatever its scores: cases, invariance, stability."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import config, model, prepared
from pipeline.model import MODEL, Model

CASES = Path("tests/model/critical_cases.csv")
pytestmark = pytest.mark.skipif(
    not MODEL.exists(), reason=f"no {MODEL} yet: dvc repro, or dvc pull"
)


@pytest.fixture(scope="module")
def fitted() -> Model:
    return model.load()


@pytest.fixture(scope="module")
def test_rows() -> pd.DataFrame:
    return prepared.frame("test").head(200)


def test_the_critical_cases_are_answered_as_expected(fitted: Model) -> None:
    with CASES.open(encoding="utf-8", newline="") as file:
        if not list(csv.DictReader(file)):
            pytest.skip(f"no case in {CASES} yet: add rows whose answer you are sure of")
    cases = pd.read_csv(CASES)
    scores = fitted.score(cases)
    task, classes = fitted.spec["task"], [str(one) for one in fitted.spec["classes"]]
    if task == "regression":
        wrong = (scores < cases["expected_low"]) | (scores > cases["expected_high"])
    else:
        said = (
            (scores >= config.load().evaluate.threshold) if task == "binary" else scores.argmax(1)
        )
        wrong = np.array(classes)[said.astype(int)] != cases["expected"].astype(str)
    assert not wrong.any(), f"wrong answers:\n{cases[wrong].assign(score=scores[wrong])}"


def test_the_same_rows_get_the_same_answers(fitted: Model, test_rows: pd.DataFrame) -> None:
    first = fitted.score(test_rows)
    assert first.tobytes() == fitted.score(test_rows).tobytes()
    shuffled = test_rows.sample(frac=1, random_state=0)
    again = pd.Series(list(fitted.score(shuffled)), shuffled.index).reindex(test_rows.index)
    assert np.allclose(np.array(again.tolist()), first, atol=1e-5)


def test_columns_that_it_must_not_see_do_not_matter(fitted: Model, test_rows: pd.DataFrame) -> None:
    without = test_rows.drop(columns=list(config.load().data.aside()))
    assert np.array_equal(fitted.score(without), fitted.score(test_rows))


def test_every_row_gets_a_finite_answer(fitted: Model, test_rows: pd.DataFrame) -> None:
    empty = pd.DataFrame([dict.fromkeys(test_rows.columns)])
    assert np.isfinite(fitted.score(test_rows)).all()
    assert np.isfinite(fitted.score(empty)).all(), "a row with every value missing"
