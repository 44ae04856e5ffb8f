"""Columns are described in a few numbers, and drift from them is what a hand computes."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from core.validation import column_drift, findings, profile
from core.validation.column_drift import Limits

LOOSE = Limits(max_psi=9, max_missing=0.9, chance=1e-9)
STRICT = Limits(max_psi=0.2, max_missing=0.05, chance=1e-3)
NAN = float("nan")
DAYS = pd.Series(pd.to_datetime(["1970-01-03", None, "1970-01-02"]), name="d")


def words(**counts: int) -> pd.Series:
    values = [{"missing": None}.get(w, w) for w, n in counts.items() for _ in range(n)]
    return pd.Series(pd.Categorical(values), name="w")


def compare(
    before: pd.Series, after: pd.Series, limits: Limits = STRICT
) -> tuple[dict[str, Any], list[column_drift.Finding]]:
    row, found = column_drift.compare("c", profile.describe(before), after, limits)
    assert {one.column for one in found} <= {"c"}
    return row, found


def test_a_number_is_described() -> None:
    about = profile.describe(pd.Series([3.0, 1, NAN, 2, np.inf, -np.inf, 4]))
    assert {name: about[name] for name in ("kind", "rows", "missing")} == {
        "kind": "number", "rows": 7, "missing": 1
    }  # fmt: skip
    assert (about["min"], about["max"], about["mean"]) == (1, 4, 2.5)
    assert about["std"] == pytest.approx(1.25**0.5)
    assert [about["percentiles"][at] for at in (0, 33, 67, 100)] == [1, 2, 3, 4]
    assert about["edges"] == [1, 2, 3, 4]
    assert about["counts"] == [1, 1, 1, 1, 0, 3], "infinities count as missing"


def test_bins_hold_equal_shares() -> None:
    about = profile.describe(pd.Series(np.arange(1000.0)))
    assert len(about["percentiles"]) == 101
    assert len(about["edges"]) == 19
    assert about["edges"] == [about["percentiles"][at] for at in range(5, 100, 5)]
    assert about["counts"][-1] == 0
    assert np.abs(np.array(about["counts"][:-1]) - 50).max() <= 1


def test_dates_are_days_since_1970_and_other_kinds_have_levels_or_none() -> None:
    about = profile.describe(DAYS)
    assert (about["kind"], about["missing"]) == ("date", 1)
    assert (about["min"], about["max"], about["counts"][-1]) == (1, 2, 1)
    yes = profile.describe(pd.Series([True, False, True]))
    assert (yes["kind"], yes["missing"], yes["levels"]) == ("category", 0, {"True": 2, "False": 1})
    text = profile.describe(pd.Series(["a", "b", "a", None]))
    assert text == {"kind": "text", "rows": 4, "missing": 1, "distinct": 2}
    nothing = profile.describe(pd.Series([NAN, NAN]))
    assert (nothing["edges"], nothing["counts"], nothing["missing"]) == ([], [0, 2], 2)


def test_the_most_frequent_levels_are_named() -> None:
    about = profile.describe(words(**{f"w{i}": 60 - i for i in range(52)}, missing=3))
    assert list(about["levels"].items())[:2] == [("w0", 60), ("w1", 59)]
    assert len(about["levels"]) == 50
    assert (about["other"], about["missing"], about["rows"]) == (10 + 9, 3, 1797)
    unused = pd.Series(pd.Categorical(["a"], ["a", "b"]))
    assert profile.describe(unused)["levels"] == {"a": 1}


def test_another_column_is_counted_in_the_references_bins() -> None:
    reference = profile.describe(pd.Series([1.0, 2, 3, 4]))
    before, after, values = profile.counts(reference, pd.Series([9.0, 2, 1.5, NAN, 0]))
    assert (before.tolist(), after.tolist()) == ([1, 1, 1, 1, 0, 0], [1, 2, 0, 0, 1, 1])
    assert values is not None
    assert values.tolist() == [0, 1.5, 2, 9]
    yes = profile.describe(pd.Series([True, False, True]))
    _, after, _ = profile.counts(yes, pd.Series([True]))
    assert after.tolist() == [1, 0, 0, 0]
    levels = profile.describe(words(a=2, b=1, missing=1))
    before, after, values = profile.counts(levels, words(b=3, new=2, newer=1, missing=4))
    assert (before.tolist(), after.tolist(), values) == ([2, 1, 0, 1], [0, 3, 3, 4], None)


def test_psi_is_its_formula_with_half_a_row_more_in_every_bin() -> None:
    before, after = np.array([10, 30, 0]), np.array([4, 4, 2])
    p, q = (before + 0.5) / 41.5, (after + 0.5) / 11.5
    assert column_drift.psi(before, after) == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert column_drift.psi(before, before * 1) == 0
    row, _ = compare(words(a=9, b=1), words(a=10), LOOSE)
    assert row["psi"] == column_drift.psi(np.array([9, 1]), np.array([10, 0])), "no empty bins"


def test_false_alarms_are_shared_by_all_checks_of_all_columns() -> None:
    assert column_drift.chance(0.03, 10) == pytest.approx(0.001)
    assert column_drift.chance(0.03, 0) == 0.03


def test_the_limit_is_what_chance_exceeds_or_the_knob() -> None:
    rng = np.random.default_rng(0)
    before, after = pd.Series(rng.normal(size=4000)), pd.Series(rng.normal(size=500))
    row, none = compare(before, after, STRICT._replace(max_psi=1e-9))
    chance = stats.chi2.isf(1e-3, 20 - 1) * (1 / 4000 + 1 / 500)
    assert (row["limit"], none) == (pytest.approx(chance), [])
    row, _ = compare(words(a=500, b=500), words(a=50, b=50), STRICT._replace(max_psi=1e-9))
    assert row["limit"] == pytest.approx(stats.chi2.isf(1e-3, 1) * (1 / 1000 + 1 / 100))
    row, none = compare(before, after, STRICT)
    assert (row["limit"], row["drift"], row["why"], none) == (0.2, False, [], [])
    row, [moved] = compare(before, after + 1)
    assert (moved.check, moved.column, row["why"]) == ("psi", "c", ["psi"])
    assert moved.message == f"{row['psi']:.3f}; at most 0.200 (validate.max_psi)"
    _, [moved] = compare(before, after + 1, STRICT._replace(max_psi=1e-9))
    assert moved.message.endswith("(by chance)")


def test_distance_and_p_value_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    before, after = pd.Series(rng.normal(size=4000)), pd.Series(rng.normal(0.1, 1, 1000))
    row, _ = compare(before, after, LOOSE)
    theirs = stats.ks_2samp(before, after, method="asymp")
    assert row["ks"] == pytest.approx(theirs.statistic, abs=0.012)
    effective = np.sqrt(4000 * 1000 / 5000) * row["ks"]
    assert row["ks_p"] == pytest.approx(stats.kstwobign.sf(effective))
    few = pd.Series([0.0] * 50 + [1.0] * 51)  # of its percentiles, 50 are 0
    assert compare(few, pd.Series([0.0, 0, 0, 1]), LOOSE)[0]["ks"] == pytest.approx(0.75 - 0.49)
    assert compare(few, few + 5, LOOSE)[0]["ks"] == 1
    row, _ = compare(words(a=3, b=1), words(a=3), LOOSE)
    theirs = stats.chi2_contingency([[3, 1], [3, 0]], correction=False)
    assert (row["chi2"], row["chi2_p"]) == pytest.approx((theirs.statistic, theirs.pvalue))
    old, new = words(a=30, b=50, c=20), words(a=20, b=20, c=20)
    row, _ = compare(old, new, LOOSE)
    theirs = stats.chi2_contingency([[50, 30, 20], [20, 20, 20]], correction=False)
    assert (row["chi2"], row["chi2_p"]) == pytest.approx((theirs.statistic, theirs.pvalue))


def test_a_row_names_its_bins() -> None:
    row, _ = compare(words(a=3, b=1), words(b=1, missing=3), LOOSE)
    assert row["bins"] == ["a", "b", "other", "missing"]
    assert (row["before"], row["after"]) == ([3, 1, 0, 0], [0, 1, 0, 3])
    assert (row["missing"], row["missing_before"], row["kind"]) == (0.75, 0, "category")
    row, _ = compare(pd.Series([1.0, 2, 3]), pd.Series([2.0]), LOOSE)
    assert row["bins"] == ["to 1", "to 2", "to 3", "over 3", "missing"]
    assert compare(pd.Series([NAN]), pd.Series([2.0]), LOOSE)[0]["bins"] == ["any", "missing"]
    row, _ = compare(DAYS, DAYS, LOOSE)
    assert row["bins"] == ["to 1970-01-02", "to 1970-01-03", "over 1970-01-03", "missing"]


def test_a_column_of_another_kind_is_not_measured() -> None:
    numbers, text = pd.Series([1.0, 2.0]), pd.Series(["x", "x", "y"])
    row, [wrong] = compare(numbers, text)
    assert (row, wrong.check, wrong.drift) == ({}, "type", True)
    assert wrong.message == "was number, is text, such as 'x', 'y'"
    long = pd.Series([None, "a" * 50, "b", "c", "d"])
    assert compare(numbers, long)[1][0].message.endswith(f"such as '{'a' * 40}', 'b', 'c'")
    assert compare(text, text) == ({}, [])
    assert compare(text, words(a=3)) == ({}, [])
    assert compare(text, pd.Series([True]))[1][0].check == "type"
    row, _ = compare(words(x=2, y=1), text, LOOSE)
    assert row["after"] == [2, 1, 0, 0], "few rows: their levels are text"


@pytest.mark.parametrize("before", [pd.Series(np.arange(99.0)), words(a=50, b=49), DAYS])
def test_a_column_with_nothing_in_it_has_missing_values(before: pd.Series) -> None:
    row, found = compare(before, pd.Series([None] * 99))
    assert row["after"] == [0] * (len(row["bins"]) - 1) + [99]
    assert row["missing"] == 1
    again, _ = compare(before, pd.Series(pd.Categorical([None] * 99)))
    assert again == row
    assert row["kind"] == "category" or (row["ks"], row["ks_p"]) == (1, 0)
    assert {one.check for one in found} >= ({"missing values"} if len(before) > 3 else set())


def gaps(missing: int, rows: int = 1000) -> pd.Series:
    return pd.Series(np.where(np.arange(rows) < missing, NAN, np.arange(rows) % 7.0))


@pytest.mark.parametrize(
    ("before", "after", "alarm"),
    [(0, 100, True), (100, 0, True), (50, 100, False), (100, 50, False), (50, 101, True)],
)
def test_more_or_fewer_missing_values_are_found(before: int, after: int, alarm: bool) -> None:
    limits = STRICT._replace(max_psi=9)
    row, found = compare(gaps(before), gaps(after), limits)
    assert (row["missing_before"], row["missing"]) == (before / 1000, after / 1000)
    assert [one.check for one in found] == ["missing values"] * alarm
    if alarm:
        says = f"{after / 1000:.1%} of the rows, {before / 1000:.1%} before; at most 5.0% more"
        assert found[0].message.startswith(says)


@pytest.mark.parametrize(("before", "after"), [(20, 130), (130, 20)])
def test_missing_values_are_an_alarm_where_chance_is_not_enough(before: int, after: int) -> None:
    old, new = gaps(before, 1000), gaps(after // 10, 100)
    low, high = sorted([(before, 1000), (after // 10, 100)], key=lambda one: one[0] / one[1])
    odds = 2 * stats.binom.sf(high[0] - 1, low[0] + high[0], high[1] / 1100)
    for chance, alarm in ((odds * 1.01, True), (odds * 0.99, False)):
        assert bool(compare(old, new, Limits(9, 0.05, chance))[1]) == alarm


def test_a_new_level_is_drift_where_it_is_not_chance() -> None:
    old = words(a=500, b=500)
    _, [new] = compare(old, words(a=450, b=490, z=10, y=45, x=3, v=2), LOOSE)
    assert (new.check, new.drift) == ("unseen level", True)
    expected = "'y' in 45, 'z' in 10, 'x' in 3 and 1 more of 1,000 rows, in none of 1,000 before"
    assert new.message == expected
    row, [one] = compare(old, words(a=499, b=500, z=1), LOOSE)
    assert (one.drift, row["drift"], one.message.split(" of ")[0]) == (False, False, "'z' in 1")
    many = words(**{f"w{i}": 9 for i in range(60)})
    assert compare(many, words(w0=500, new=40), LOOSE)[1] == [], "w59 may have been new as well"


def test_how_rare_a_new_level_is_depends_on_the_rows_and_the_levels() -> None:
    old, new = words(a=300, b=300), words(a=190, b=200, z=10)
    odds = 0.4**10 * (3 + 2)  # ten of 1,000 rows, all of them among the last 400
    for chance, drift in ((odds * 1.01, True), (odds * 0.99, False)):
        assert compare(old, new, LOOSE._replace(chance=chance))[1][0].drift == drift


def test_of_a_long_column_some_rows_are_enough() -> None:
    column_drift.some.cache_clear()
    positions = column_drift.some(200_000)
    assert (len(positions), positions[0] < 20, 199_980 < positions[-1] < 200_000) == (
        100_000,
        True,
        True,
    )
    assert (np.diff(positions) >= 0).all()
    column_drift.some.cache_clear()
    assert np.array_equal(column_drift.some(200_000), positions)
    long = pd.Series(np.random.default_rng(0).normal(size=200_000))
    row, none = compare(long, long, STRICT._replace(max_psi=1e-9))
    assert (sum(row["after"]), none) == (100_000, [])
    drawn = 1 / (1 / 100_000 + 1 / 200_000)
    assert row["limit"] == pytest.approx(stats.chi2.isf(1e-3, 19) * (1 / 200_000 + 1 / drawn))


def test_a_finding_keeps_three_short_examples(capsys: pytest.CaptureFixture[str]) -> None:
    one = findings.finding("not_finite", "x", np.int64(2), 8, ["a" * 50, 2, 3, 4], "says")
    assert one == ("not_finite", "x", 2, 0.25, ["a" * 40, "2", "3"], "says")
    assert findings.finding("drift", "x", 0, 0)[2:] == (0, 0.0, [], "")
    findings.show([one._replace(examples=["[b]", "c"]), one._replace(check="in_range(1, 2)")])
    said = capsys.readouterr().out
    assert "2 problems in the data" in said
    rows = [[cell.strip() for cell in re.split("[┃│]", line)] for line in said.splitlines()]
    head = ["", "check", "column", "rows", "share", "examples, or what would be right", ""]
    assert rows[2] == head
    assert rows[4] == ["", "not finite", "x", "2", "25.00%", "[b]; c; says", ""]
    assert rows[5][1:4] == ["in_range(1, 2)", "x", "2"]
    findings.show([one._replace(message="", count=1234)])
    assert re.search(r"x +│ +1,234 │ +25.00% │ a+; 2; 3 +│", capsys.readouterr().out)
    findings.show([one])
    assert "1 problem in the data" in capsys.readouterr().out
