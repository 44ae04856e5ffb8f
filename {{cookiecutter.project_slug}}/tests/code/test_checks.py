"""What a schema cannot say is found, and what is fine is not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from core.validation import column_drift, profile
from core.yaml_io import check_yaml, read_yaml
from pipeline import data_checks
from pipeline.params import Params, Validate

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


def limits(**changes: float) -> Validate:
    return check_yaml(Validate, read_yaml("params.yaml")["validate"] | changes, "params.yaml")


def params(**changes: float) -> Params:
    content = read_yaml("params.yaml")
    content["data"] |= {"protected": ["agee"], "drop": ["gone"], "label_time": "known"}
    content["data"] |= {"target": "defaulted", "task": "binary", "group": None}
    content["data"] |= {"id": "application_id", "time": "applied_on"}
    content["prepare"] |= {"split": "hash", "sample": 1.0}
    content["prepare"] |= {name: changes.pop(name) for name in list(changes) if name == "sample"}
    content["validate"] |= changes
    return check_yaml(Params, content, "params.yaml")


def test_columns_that_params_name_must_be_there() -> None:
    found = data_checks.named_columns(params().data, ["age", "gone", "x"])
    assert [(one.check, one.column, one.count, one.share) for one in found] == [
        ("missing_column", "agee", 0, 0), ("missing_column", "known", 0, 0)
    ]  # fmt: skip
    assert found[0].message == "data.protected names it (did you mean 'age'?)"
    assert found[1].message == "data.label_time names it"
    assert data_checks.named_columns(params().data, ["agee", "gone", "known"]) == []
    unknown = params().data.model_copy(update={"label_time": None})
    assert data_checks.named_columns(unknown, ["agee", "gone"]) == []
    [gone] = data_checks.named_columns(params().data, ["agee", "known"])
    assert gone.message.startswith("data.drop names it")


def test_of_a_sample_fewer_rows_are_enough() -> None:
    [few] = data_checks.size(99, params(min_rows=100))
    assert few[:5] == ("too_few_rows", "", 99, 1.0, [])
    assert few.message == "want 100 or more (validate.min_rows)"
    assert data_checks.size(100, params(min_rows=100)) == []
    assert data_checks.size(25, params(min_rows=100, sample=0.25)) == []
    assert data_checks.size(24, params(min_rows=100, sample=0.25))


def test_classes_may_be_alone_rare_or_overwhelming() -> None:
    def of(sample: float = 1.0, **counts: int) -> list[tuple[object, ...]]:
        names = pd.Categorical([name for name, n in counts.items() for _ in range(n)])
        series = pd.Series(names.add_categories(["unused"]), name="y")
        knobs = limits(min_class_rows=10, max_class_share=0.8)
        return [tuple(one) for one in data_checks.classes(series, knobs, sample)]

    assert of(a=10, b=40) == []
    assert of(a=7) == [("one_class_only", "y", 7, 1.0, ["a"], "nothing can be learnt")]
    rare = "want 10 or more (validate.min_class_rows)"
    assert of(a=9, b=8, c=33) == [("rare_class", "y", 17, 0.34, ["a", "b"], rare)]
    assert of(a=20, b=10, c=1) == [("rare_class", "y", 1, 1 / 31, ["c"], rare)]
    assert of(a=1, b=1)[0][:5] == ("rare_class", "y", 2, 1.0, ["a", "b"])
    assert of(a=5, b=20, sample=0.5) == []
    assert of(a=4, b=16, sample=0.5)[0][-1] == "want 5 or more (validate.min_class_rows)"
    most = "at most 80.0% (validate.max_class_share)"
    assert of(a=10, b=41) == [("dominant_class", "y", 41, 41 / 51, ["b"], most)]


def test_a_column_that_says_the_same_is_found_missing_values_or_not() -> None:
    knobs = limits(max_same_value=0.75)
    assert data_checks.same_value(pd.Series([1, 1, 1, 2], name="x"), knobs) == []
    [same] = data_checks.same_value(pd.Series([1.0] + [np.nan] * 4, name="x"), knobs)
    assert same[:5] == ("nearly_constant", "x", 4, 0.8, ["nan"])
    assert same.message.startswith("at most 75.0% (validate.max_same_value)")


def test_equal_values_have_equal_fingerprints_whatever_their_codes() -> None:
    words = pd.Series(["b", "a", None, "b"])
    one = data_checks.fingerprint(pd.Series(pd.Categorical(words, ["a", "b"])))
    other = data_checks.fingerprint(pd.Series(pd.Categorical(words, ["b", "unused", "a"])))
    assert one.tolist() == other.tolist()
    assert (one.dtype, len(set(one.tolist())), one[0] == one[3]) == (np.uint64, 3, True)
    for values in (words, pd.Series([2.5, 1, np.nan, 2.5]), pd.Series([True, False, None, True])):
        found = data_checks.fingerprint(values)
        assert (len(set(found.tolist())), found[0] == found[3]) == (3, True)
    days = data_checks.fingerprint(pd.Series(pd.to_datetime(["2026-01-01", "2026-01-02"])))
    assert days[0] != days[1]


def test_copies_are_counted_once_and_the_overlap_is_that_of_train_and_test() -> None:
    knobs = limits(max_duplicates=2 / 11, max_overlap=0.5)
    train, val, test = [1, 2, 3, 4, 5, 6], [7, 8, 10], [1, 9]
    rows = np.array([*train, *val, *test], np.uint64)
    assert data_checks.copies(rows, [6, 3, 2], knobs) == []
    rows[-1] = 6
    [overlap] = data_checks.copies(rows, [6, 3, 2], knobs)
    assert overlap[:5] == ("test_rows_in_train", "", 2, 1.0, [])
    assert overlap.message == "at most 50.0% of test (validate.max_overlap)"
    rows[-1] = 8  # of val: a copy, and no overlap; larger than all of train
    assert data_checks.copies(rows, [6, 3, 2], knobs) == []
    rows[1] = 1
    [copies] = data_checks.copies(rows, [6, 3, 2], knobs)
    assert copies[:5] == ("duplicate_rows", "", 3, 3 / 11, [])
    assert copies.message == "at most 18.2% (validate.max_duplicates)"


def test_leakage_is_scikit_learns_auc_in_the_better_direction() -> None:
    values = np.round(rng.normal(size=2000) - TARGET, 1)  # with ties
    area = roc_auc_score(TARGET, -values)
    assert data_checks.leakage(pd.Series(values), TARGET, "binary") == pytest.approx(area)
    assert data_checks.leakage(pd.Series(-values), TARGET, "binary") == pytest.approx(area)
    days = pd.Series(pd.Timestamp("2026-01-01") + pd.to_timedelta(values * 10, "D"))
    assert data_checks.leakage(days, TARGET, "binary") == pytest.approx(area)
    assert data_checks.leakage(days.where(TARGET == 0), TARGET, "binary") > 0.99
    words = pd.Series(rng.choice(["c", "a", "b"], 2000)).where(TARGET == 0, "b").astype("category")
    means = TARGET.groupby(words, observed=True).transform("mean")
    expected = roc_auc_score(TARGET, means)
    assert data_checks.leakage(words, TARGET, "binary") == pytest.approx(expected)
    text = pd.Series([f"{one}-{i}" for i, one in enumerate(TARGET)])
    assert data_checks.leakage(text, TARGET, "binary") == 0
    assert data_checks.leakage(pd.Series(values), TARGET.where(TARGET > 0), "binary") == 0
    assert data_checks.leakage(pd.Series(values), TARGET * 0, "binary") == 0


def test_leakage_is_measured_on_every_so_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_checks, "ROWS", 900)  # of 2,000: every second
    told = TARGET.where(TARGET.index % 2 == 0, 0.5)
    assert data_checks.leakage(told, TARGET, "binary") == 1
    monkeypatch.setattr(data_checks, "ROWS", 2000)
    assert data_checks.leakage(told, TARGET, "binary") < 0.9


def test_leakage_of_many_classes_is_that_of_the_best_against_the_rest() -> None:
    target = pd.Series(rng.permutation(np.arange(2000) % 3))
    target[0] = 0  # the class that is told apart is not the first
    values = pd.Series(rng.normal(size=2000) + 2 * (target == 2))
    best = roc_auc_score(target == 2, values)
    assert data_checks.leakage(values, target, "multiclass") == pytest.approx(best)


def test_leakage_of_a_number_is_the_variance_between_levels_or_parts() -> None:
    words = pd.Series(rng.choice(["a", "b"], 2000)).astype("category")
    target = 2 * (words == "a").astype(float) + rng.normal(size=2000)
    means = target.groupby(words, observed=True).transform("mean")
    expected = means.var() / target.var()
    assert data_checks.leakage(words, target, "regression") == pytest.approx(expected)
    assert data_checks.leakage(words, target * 0, "regression") == 0
    column = pd.Series(np.arange(2000.0) % 1000)
    parts = pd.qcut(column, 50, labels=False)
    target = (column - 500) ** 2 + 1e4 * pd.Series(rng.normal(size=2000))
    expected = target.groupby(parts).transform("mean").var() / target.var()
    assert data_checks.leakage(column, target, "regression") == pytest.approx(expected, abs=2e-3)
    gaps = column.where(column > 100)
    assert data_checks.leakage(gaps, gaps.isna().astype(float), "regression") > 0.95


def test_a_leak_is_a_column_beyond_the_limit() -> None:
    assert data_checks.leaks("x", 0.9, 5, limits(max_leakage=0.9)) == []
    [leak] = data_checks.leaks("x", 0.95, 5, limits(max_leakage=0.9))
    assert leak[:5] == ("target_leak", "x", 5, 1.0, [])
    assert leak.message.startswith("predicts the target alone with 0.950; at most 0.9 ")


def test_numbers_may_be_times_and_late_rows_are_shown() -> None:
    time, label = (pd.Series(v, name=n) for v, n in (([1, 9, 8, 7, 6], "t"), ([5] * 5, "l")))
    [late] = data_checks.late(time, label)
    assert late[:5] == ("dated_after_label", "t", 4, 0.8, ["9 > 5", "8 > 5", "7 > 5"])
    assert late.message == "t must not be after l"
    assert data_checks.late(label, label) == []
    [mixed] = data_checks.late(pd.Series(pd.to_datetime(["2026-01-01"]), name="t"), label[:1])
    assert mixed[:5] == ("not_a_date", "l", 1, 1.0, [])
    assert mixed.message == "t and l must both be dates to be compared"


def test_drift_is_watched_of_features_and_target() -> None:
    names = ["application_id", "applied_on", "known", "gone", "age", "defaulted"]
    assert data_checks.watched(params().data, names) == ["age", "defaulted"]
    knobs = limits(max_psi=0.3, max_missing=0.2, false_alarms=0.06)
    assert data_checks.drift_limits(knobs, 2) == pytest.approx((0.3, 0.2, 0.01))
    found = [column_drift.Finding("psi", "x", "0.5"), column_drift.Finding("level", "x", "", False)]
    [one] = data_checks.drifted(found, 7)
    assert one == ("drift", "x", 7, 1.0, [], "psi: 0.5")
