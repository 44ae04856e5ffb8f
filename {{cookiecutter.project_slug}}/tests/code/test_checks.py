"""What a schema cannot say is found, and what is fine is not."""

import numpy as np
import pandas as pd
import pytest

from core.validation import column_drift, profile
from pipeline import data_checks

rng = np.random.default_rng(0)
TARGET = pd.Series(rng.integers(0, 2, 2000), name="y")


@pytest.mark.parametrize(
    ("column", "tells"),
    [
        (TARGET * 7.5, 1.0),
        (TARGET.map({0: "no", 1: "yes"}).astype("category"), 1.0),
        (pd.Series(np.where(TARGET == 1, np.nan, 1.0)), 1.0),
        (pd.Series(rng.normal(size=2000)), 0.5),
    ],
    ids=["number", "category", "gaps", "noise"],
)
def test_a_column_that_tells_the_target_alone(column: pd.Series, tells: float) -> None:
    assert data_checks.leakage(column, TARGET, "binary") == pytest.approx(tells, abs=0.05)


def test_a_number_that_tells_a_number() -> None:
    target = pd.Series(rng.normal(size=2000))
    assert data_checks.leakage(target * 3 - 1, target, "regression") > 0.98
    assert data_checks.leakage(pd.Series(rng.normal(size=2000)), target, "regression") < 0.1


def test_a_date_after_its_label_and_one_that_is_none() -> None:
    time = pd.Series(pd.to_datetime(["2026-01-01", "2026-03-01"]), name="seen")
    label = pd.Series(pd.to_datetime(["2026-02-01", "2026-02-01"]), name="known")
    [late] = data_checks.late(time, label)
    assert (late.check, late.count) == ("dated_after_label", 1)
    assert not data_checks.late(time, label + pd.Timedelta(days=60))
    [wrong] = data_checks.late(time, pd.Series(["soon", "later"], name="known"))
    assert (wrong.check, wrong.column) == ("not_a_date", "known")


def test_drift_is_seen_and_chance_is_not() -> None:
    before = pd.Series(rng.normal(size=5000))
    reference, limits = profile.describe(before), column_drift.Limits(1e-9, 0.05, 1e-4)
    same, nothing = column_drift.compare("x", reference, before[:500] * 1, limits)
    assert (same["drift"], nothing) == (False, [])
    assert 0 < same["psi"] < same["limit"]
    shifted, [finding] = column_drift.compare("x", reference, before[:500] + 1, limits)
    assert (shifted["drift"], finding.check) == (True, "psi")
    assert shifted["psi"] > shifted["limit"] + 0.2
    assert shifted["ks"] == pytest.approx(0.38, abs=0.05)
    assert not column_drift.compare("x", reference, before + 1, limits._replace(max_psi=9))[1]
