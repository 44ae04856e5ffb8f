"""Drift: alarms are rare where nothing has changed, and every change is caught."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import inside
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from shell import run

sys.path.append(str(ROOT / "benchmarks"))
from loans import LEVELS, loans

from core.errors import Problem, Refused
from core.validation import column_drift, profile
from ops.monitoring import drift, reference
from ops.monitoring.reference import Reference
from pipeline.params import load_params

ASIDE = ["application_id", "applied_on"]
Change = Callable[[pd.DataFrame], pd.DataFrame]


def sample(rows: int, seed: int) -> pd.DataFrame:
    """Loans with an answer, as a service would keep them."""
    table = loans(rows, seed).rename(columns={"chance": "answer"}).drop(columns="defaulted")
    return table.astype(dict.fromkeys(LEVELS, "category"))


def profiled(table: pd.DataFrame) -> Reference:
    columns = {str(name): profile.describe(table[name]) for name in table.columns.drop(ASIDE)}
    return Reference("file", "before", None, len(table), columns, None, None)


@pytest.fixture(scope="module")
def before() -> Reference:
    return profiled(sample(10_000, 1))


@pytest.fixture(scope="module")
def after() -> pd.DataFrame:
    return sample(2_000, 2)


@pytest.fixture(autouse=True)
def here(tmp_path: Path) -> Iterator[Path]:
    """In a folder with the shipped settings."""
    with inside.workspace(tmp_path / "here") as folder:
        yield folder


def findings(found: dict[str, Any], *, drifted: bool = True) -> set[tuple[str, str]]:
    return {(one["check"], one["column"]) for one in found["findings"] if one["drift"] == drifted}


@pytest.mark.parametrize("rows", [500, 5_000, 50_000])
def test_alarms_are_rare_where_nothing_has_changed(rows: int) -> None:
    """By chance alone, so that max_psi hides nothing; benchmarks/alarms.py has 1,000 runs."""
    inside.set_params(validate={"max_psi": 1e-9})
    tables = (sample(rows, seed) for seed in range(101))
    alarms = sum(drift.measure(new, profiled(old))["drift"] for old, new in pairwise(tables))
    assert alarms <= 3


def test_chance_is_shared_by_all_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above would see a limit that lets each column raise an alarm once in 100 runs."""
    inside.set_params(validate={"max_psi": 1e-9})
    monkeypatch.setattr(column_drift, "chance", lambda share, _: share)
    tables = (sample(500, seed) for seed in range(101))
    alarms = sum(drift.measure(new, profiled(old))["drift"] for old, new in pairwise(tables))
    assert alarms > 3


RARE = {
    "one rare level of two": [0.995, 0.005],
    "four rare levels": [0.97, 0.01, 0.01, 0.005, 0.005],
    "forty levels, ever rarer": 1 / np.arange(1, 41),
    "forty-nine rare levels": [0.9, *[0.1 / 49] * 49],
    "twenty bins": [1] * 20,
}


@pytest.mark.parametrize("shares", RARE)
@pytest.mark.parametrize("rows", [(500, 500), (10_000, 20), (10_000, 3), (30, 10_000), (40, 40)])
def test_the_quantile_holds_for_rare_levels_and_few_rows(
    shares: str, rows: tuple[int, int]
) -> None:
    """At most twice as often as it says (20,000 tables; the bound leaves room for their chance)."""
    rng, times, chance = np.random.default_rng(0), 20_000, 0.002
    p = np.array(RARE[shares]) / np.sum(RARE[shares])
    n, m = rows
    old, new = rng.multinomial(n, p, times), rng.multinomial(m, p, times)
    used = (old + new) > 0
    bins = used.sum(1)
    a, b = ((x + 0.5) / (k + 0.5 * bins)[:, None] for x, k in ((old, n), (new, m)))
    psi = np.where(used, (b - a) * np.log(b / a), 0).sum(1)
    quantile = np.array([column_drift._quantile(k, chance) for k in range(len(p) + 1)])
    assert (psi > quantile[bins - 1] * (1 / n + 1 / m)).mean() <= 2 * chance + 0.001
    assert np.isclose(psi[0], column_drift.psi(old[0][used[0]], new[0][used[0]]))


@pytest.mark.parametrize(("n", "m"), [(10_000, 2_000), (500, 500), (10_000, 30)])
def test_missing_values_and_unseen_levels_are_more_than_chance(n: int, m: int) -> None:
    """Of a column with 8% missing and rare levels, at most one alarm in 400 runs."""
    limits = column_drift.Limits(1e9, 1e-9, 0.0005)
    rng, names = np.random.default_rng(0), [f"level {i}" for i in range(30)]
    shares = 1 / np.arange(1, 31) ** 2
    alarms = 0
    for _ in range(400):
        some = rng.choice(names, n + m, p=shares / shares.sum())
        column = pd.Series(some).where(rng.random(n + m) > 0.08).astype("category")
        old = profile.describe(column[:n].cat.remove_unused_categories())
        _, found = column_drift.compare("x", old, column[n:], limits)
        alarms += any(one.drift for one in found)
    assert alarms <= 1


def test_the_shipped_limits_leave_an_equal_sample_alone(
    before: Reference, after: pd.DataFrame
) -> None:
    found = drift.measure(after, before)
    assert not found["drift"]
    assert found["compared"] == len(found["columns"]) == 16
    assert all(row["limit"] == 0.2 for row in found["columns"].values())
    json.dumps(found, allow_nan=False)


def stretch(name: str, by: float) -> Change:
    return lambda table: table.assign(**{name: table[name] * by})


def lacking(name: str, share: float) -> Change:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        keep = np.random.default_rng(0).random(len(table)) > share
        return table.assign(**{name: table[name].where(keep)})

    return change


def levels(name: str, level: str, rows: int) -> Change:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        values = table[name].astype("str")
        values.iloc[:rows] = level
        return table.assign(**{name: values.astype("category")})

    return change


SHIFTS: dict[str, tuple[Change, tuple[str, str]]] = {
    "a number grows by half": (stretch("income", 1.5), ("psi", "income")),
    "a number in thousands": (stretch("loan_amount", 0.001), ("psi", "loan_amount")),
    "a number that is always the same": (stretch("open_lines", 0), ("psi", "open_lines")),
    "a level takes over": (levels("region", "north", 800), ("psi", "region")),
    "a new level, ten times": (levels("purpose", "boat", 10), ("unseen level", "purpose")),
    "one new level for all": (levels("housing", "tent", 2000), ("psi", "housing")),
    "other words for the levels": (
        lambda table: table.assign(gender=table["gender"].cat.rename_categories(["f", "m"])),
        ("unseen level", "gender"),
    ),
    "missing values where there were none": (
        lacking("debt_to_income", 0.07), ("missing values", "debt_to_income"),
    ),
    "twice as many missing values": (
        lacking("years_employed", 0.08), ("missing values", "years_employed"),
    ),
    "no missing values any more": (
        lambda table: table.assign(years_employed=table["years_employed"].fillna(1.0)),
        ("missing values", "years_employed"),
    ),
    "nothing but missing values": (lacking("age", 1.1), ("missing values", "age")),
    "no level at all": (lacking("employment", 1.1), ("missing values", "employment")),
    "yes turns to no": (
        lambda table: table.assign(has_guarantor=~table["has_guarantor"]),
        ("psi", "has_guarantor"),
    ),
    "text where numbers were": (
        lambda table: table.assign(age=table["age"].astype("str") + " years"), ("type", "age"),
    ),
    "numbers where levels were": (lambda table: table.assign(region=1.5), ("type", "region")),
    "a boolean as a number": (
        lambda table: table.assign(has_guarantor=table["has_guarantor"].astype(int)),
        ("type", "has_guarantor"),
    ),
    "dates where numbers were": (
        lambda table: table.assign(age=table["applied_on"]), ("type", "age"),
    ),
    "higher answers": (
        lambda table: table.assign(answer=table["answer"] ** 0.5), ("psi", "answer"),
    ),
    "one answer for all": (lambda table: table.assign(answer=0.3), ("psi", "answer")),
}  # fmt: skip


@pytest.mark.parametrize("rows", [2_000, 500])
@pytest.mark.parametrize("shift", SHIFTS)
def test_every_shift_is_caught(
    before: Reference, after: pd.DataFrame, shift: str, rows: int
) -> None:
    change, expected = SHIFTS[shift]
    found = drift.measure(change(after).head(rows), before)
    weak = {"twice as many missing values": 2_000, "a new level, ten times": 100}
    if rows >= weak.get(shift, 0):
        assert expected in findings(found)
        assert {column for _, column in findings(found)} == {expected[1]}


def test_a_mutated_limit_is_noticed(
    before: Reference, after: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shifts above are not caught by accident."""
    monkeypatch.setattr(column_drift, "_quantile", lambda *_: 1e9)
    change, expected = SHIFTS["a number grows by half"]
    assert expected not in findings(drift.measure(change(after), before))


def test_few_rows_widen_the_limit_and_still_tell_what_is_far_off(
    before: Reference, after: pd.DataFrame
) -> None:
    few = after.head(30)
    limits = [row["limit"] for row in drift.measure(few, before)["columns"].values()]
    assert min(limits) > 0.2
    assert max(limits) < 3
    assert not drift.measure(few, before)["drift"]
    far = few.assign(income=few["income"] * 100)
    assert ("psi", "income") in findings(drift.measure(far, before))


def test_text_of_few_rows_is_compared_as_levels(before: Reference, after: pd.DataFrame) -> None:
    few = after.head(12).astype({"region": "str"})
    found = drift.measure(few, before)
    assert not found["drift"]
    assert "region" in found["columns"]


def test_the_declared_limits_hold(before: Reference, after: pd.DataFrame) -> None:
    shifted = lacking("debt_to_income", 0.07)(after)
    assert ("missing values", "debt_to_income") in findings(drift.measure(shifted, before))
    inside.set_params(validate={"max_missing": 0.1})
    assert ("missing values", "debt_to_income") not in findings(drift.measure(shifted, before))
    inside.set_params(validate={"max_psi": 5.0})
    grown = stretch("income", 1.5)(after)
    assert not drift.measure(grown, before)["drift"]
    few = after.head(30)
    limits = []
    for share in (0.4, 0.01, 1e-6):
        inside.set_params(validate={"max_psi": 1e-9, "false_alarms": share})
        limits.append(drift.measure(few, before)["columns"]["income"]["limit"])
    assert limits == sorted(set(limits))


@pytest.mark.parametrize("rows", [2_000, 300])
@pytest.mark.parametrize("shift", [*SHIFTS, "none"])
def test_validate_and_drift_are_one_verdict(shift: str, rows: int) -> None:
    """Of the same rows against the same reference: the same numbers, limits and columns."""
    from pipeline import dataset, validate

    columns = json.loads(Path("data/reference/profile.json").read_text())["columns"]
    against = Reference("file", "reference", None, 10_000, columns, None, None)
    change = SHIFTS[shift][0] if shift in SHIFTS else lambda table: table
    table = (
        change(sample(2_000, 2))
        .head(rows)
        .drop(columns="answer")
        .assign(defaulted=[0, 1] * (rows // 2))
    )
    for side, part in zip(dataset.SIDES, np.array_split(np.arange(rows), 3), strict=True):
        dataset.path(side).parent.mkdir(parents=True, exist_ok=True)
        table.iloc[part].to_parquet(dataset.path(side))
    problems, measured = validate.validate(load_params())
    report = drift.measure(table, against)
    assert sorted({one.column for one in problems if one.check == "drift"}) == report["drifted"]
    assert {name: (row["psi"], row["limit"], row["drift"]) for name, row in measured.items()} == {
        name: (row["psi"], row["limit"], row["drift"]) for name, row in report["columns"].items()
    }


def test_a_million_rows_are_told_by_a_sample_of_them(before: Reference) -> None:
    many = sample(column_drift.ROWS + 50_000, 5)
    found = drift.measure(many, before)
    assert not found["drift"]
    assert sum(found["columns"]["age"]["after"]) == column_drift.ROWS
    late = many.assign(purpose=many["purpose"].astype("str"))
    late.loc[late.index[-60:], "purpose"] = "boat"  # few of them in the sample
    unseen = [one for one in drift.measure(late, before)["findings"] if one["column"] == "purpose"]
    assert "'boat' in 60 of 150,000 rows" in unseen[0]["message"]


# Against a trained model


@pytest.fixture
def project(trained_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained_copy)
    return trained_copy


def write(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


def test_live_rows_as_a_user_would_compare_them(
    project: Path, after: pd.DataFrame, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    against = reference.find()
    assert against
    assert (against.what, against.name, against.rows) == ("HEAD", "HEAD", 10_000)
    # the model's own answers, which have not moved
    after = after.assign(answer=reference.captured(against.model, after))  # type: ignore[arg-type]
    found = drift.measure(after, against)
    assert not found["drift"], found["findings"]
    assert found["answers"] == "compared"
    live = write(after.assign(answer=after["answer"] / 3, day=1), tmp_path / "live.csv")
    command = [sys.executable, "-m", "ops", "drift", "--live", str(live)]
    said = run(*command, cwd=project, code=1)
    assert "answer drifted; see reports/drift.json" in said
    assert "2,000 rows against 10,000 of HEAD" in said
    told = json.loads((project / "reports/drift.json").read_text())
    assert (told["drift"], told["drifted"]) == (True, ["answer"])
    assert findings(told, drifted=False) == {("new", "day")}
    assert (project / "reports/drift.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(Refused):
        drift.main(str(live), as_json=True)
    assert json.loads(capsys.readouterr().out) == told  # and nothing else is printed
    # a column that the model takes in
    write(after.drop(columns="income"), live)
    assert "income: gone: the model needs this column" in run(*command, cwd=project, code=1)
    # no answers; the columns that are no input are no one's business
    write(after.drop(columns=["answer", *ASIDE]), live)
    said = run(*command, cwd=project)
    assert "no column 'answer': answers were not" in said
    assert "no drift" in said
    # answers, and nobody's model to compare them with
    run("git", "rm", "-q", "--cached", "dvc.lock", cwd=project)
    run("git", "commit", "-qm", "No model", cwd=project)
    write(after, live)
    said = run(*command, cwd=project)
    assert "data/reference/profile.json has no model: answers were not compared" in said


def test_what_cannot_be_judged_is_no_verdict(
    project: Path, after: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = write(after, tmp_path / "live.csv")

    def judged(rows: Path | str, rev: str | None = None) -> inside.Said:
        Path("reports/drift.json").write_text("{}")
        said = inside.stage("drift", lambda: drift.main(str(rows), rev), capsys)
        assert said.code != 2 or not Path("reports/drift.json").exists()
        return said

    for text, words in (
        ("", "the file is empty"),
        ("age,income\n", "a header and no rows"),
        ("a;b\n1;2\n", "separated by ';'"),
        ("colour,size\nred,1\n", None),
    ):
        other = tmp_path / "other.csv"
        other.write_text(text)
        said = judged(other)
        assert said.code == (2 if words else 1), said.text
        assert (words or "gone") in said.text
    assert judged("nowhere.csv").code == 2
    assert judged(live, "nowhere").code == 2
    first = run("git", "rev-list", "--max-parents=0", "HEAD", cwd=project).strip()
    said = judged(live, first)
    assert (said.code, "has no trained model" in said.text) == (2, True)
    for lost in project.glob(".dvc/cache/files/md5/*/*"):
        lost.chmod(0o644)
        lost.unlink()
    shutil.rmtree(project / ".dvc/tmp/base")
    said = judged(live)
    assert (said.code, "nothing to compare with" in said.text) == (2, True)


def test_a_shallow_clone_says_so(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("git", "clone", "-q", "--depth", "1", f"file://{trained}", "clone", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "clone")
    with pytest.raises(Problem, match="git fetch --unshallow --tags"):
        reference.find()


def test_without_a_model_the_reference_profile_is_compared(
    project: Path, after: pd.DataFrame
) -> None:
    first = run("git", "rev-list", "--max-parents=0", "HEAD", cwd=project).strip()
    run("git", "reset", "-q", "--soft", first, cwd=project)
    run("git", "rm", "-q", "--cached", "dvc.lock", cwd=project)
    against = reference.find()
    assert against
    assert (against.what, against.rows) == ("file", 10_000)
    assert not drift.measure(after.drop(columns="answer"), against)["drift"]
    assert drift.measure(stretch("income", 1.5)(after), against)["drifted"] == ["income"]
    Path("data/reference/profile.json").write_text("{}")
    assert reference.find() is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 1], ["1", "2", "1"]),
        ([1.0, np.nan, 2.0], ["1", None, "2"]),
        (["1", "2", None], ["1", "2", None]),
        ([1, 7, 2], ["1", "7", "2"]),
        ([1, 7, np.nan], ["1", "7", None]),
    ],
)
def test_labels_are_the_same_however_a_file_holds_them(
    values: list[Any], expected: list[Any]
) -> None:
    named = reference.labels(pd.Series(values, name="answer"), [1, 2, 3])
    assert [None if pd.isna(one) else one for one in named] == expected
