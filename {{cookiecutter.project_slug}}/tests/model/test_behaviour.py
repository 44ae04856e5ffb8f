"""What the trained model must get right, whatever its scores: cases, invariance, stability."""

import numpy as np
import pandas as pd
import pytest

from core.paths import CASES, MODEL
from ops.gates import behaviour
from pipeline import dataset
from pipeline.model import Model, load_model
from pipeline.params import load_params

pytestmark = pytest.mark.skipif(
    not MODEL.exists(), reason=f"no {MODEL} yet: dvc repro, or dvc pull"
)


@pytest.fixture(scope="module")
def fitted() -> Model:
    return load_model()


@pytest.fixture(scope="module")
def test_rows() -> pd.DataFrame:
    return dataset.frame("test").head(200)


def test_the_critical_cases_are_answered_as_expected(fitted: Model) -> None:
    if behaviour.read_cases().empty:
        pytest.skip(f"no case in {CASES} yet: add rows whose answer you are sure of")
    cases = behaviour.read_cases()
    wrong = ~behaviour.passes(fitted, cases, load_params().evaluate.threshold)
    assert not wrong.any(), f"wrong answers:\n{cases[wrong]}"


def test_the_same_rows_get_the_same_answers(fitted: Model, test_rows: pd.DataFrame) -> None:
    first = fitted.score(test_rows)
    assert first.tobytes() == fitted.score(test_rows).tobytes()
    shuffled = test_rows.sample(frac=1, random_state=0)
    again = pd.Series(list(fitted.score(shuffled)), shuffled.index).reindex(test_rows.index)
    assert np.allclose(np.array(again.tolist()), first, atol=1e-5)


def test_columns_that_it_must_not_see_do_not_matter(fitted: Model, test_rows: pd.DataFrame) -> None:
    without = test_rows.drop(columns=list(load_params().data.aside()))
    assert np.array_equal(fitted.score(without), fitted.score(test_rows))


def test_every_row_gets_a_finite_answer(fitted: Model, test_rows: pd.DataFrame) -> None:
    empty = pd.DataFrame([dict.fromkeys(test_rows.columns)])
    assert np.isfinite(fitted.score(test_rows)).all()
    assert np.isfinite(fitted.score(empty)).all(), "a row with every value missing"
