"""Other people's data comes in with one command, and then passes its own validation."""

import gzip
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inside
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from conftest import CREDIT, FOLDER, ROOT, Generate, needs_credit, tree
from inside import Said, prepare_and_validate, workspace
from ruamel.yaml import YAML
from shell import run

sys.path.append(str(ROOT / "benchmarks"))
Capture = pytest.CaptureFixture[str]
Make = Callable[[Path], Path]


def adopt(capsys: Capture, *words: object) -> Said:
    from ops import cli

    command = ["adopt", *map(str, words)]
    return inside.stage("adopt", lambda: cli.app(command, prog_name="ml"), capsys)


def params() -> Any:
    return YAML(typ="safe").load(Path("params.yaml").read_text())


def schema() -> Any:
    return YAML(typ="safe").load(Path("schema.yaml").read_text())["columns"]


def loans(rows: int = 4_000, seed: int = 5) -> pd.DataFrame:
    import loans as generator

    return generator.loans(rows, seed).drop(columns="chance")


def of_sklearn(name: str) -> Make:
    def make(folder: Path) -> Path:
        from sklearn import datasets

        table = getattr(datasets, f"load_{name}")(as_frame=True).frame
        table.to_csv(folder / f"{name}.csv", index=False)
        return folder / f"{name}.csv"

    return make


def as_parquet(folder: Path) -> Path:
    table = loans().astype({"has_guarantor": "boolean"})
    table.loc[::7, "has_guarantor"] = pd.NA
    table["when"] = table["applied_on"].dt.tz_localize("Europe/Paris")
    table["nothing"] = np.nan
    table.to_parquet(folder / "loans.parquet")
    return folder / "loans.parquet"


def as_folder(folder: Path) -> Path:
    (folder / "parts").mkdir()
    table = loans()
    table.iloc[:1_500].to_csv(folder / "parts/a.csv", index=False)
    table.iloc[1_500:, ::-1].to_csv(folder / "parts/b.csv", index=False)
    return folder / "parts"


def as_gz(folder: Path) -> Path:
    (folder / "loans.csv.gz").write_bytes(gzip.compress(loans().to_csv(index=False).encode()))
    return folder / "loans.csv.gz"


def as_zst(folder: Path) -> Path:
    table = loans()
    table["branch"] = 7_000 + np.arange(len(table)) ** 2 % 199
    with pa.CompressedOutputStream(str(folder / "loans.csv.zst"), "zstd") as stream:
        stream.write(table.to_csv(index=False).encode())
    return folder / "loans.csv.zst"


def odd(folder: Path) -> Path:
    """Names and values that YAML 1.1, YAML 1.2 or a table of text would mistake."""
    table = loans()
    table["gender"] = table["gender"].map({"female": "yes", "male": "no"})
    codes = {"north": "1", "south": "null", "east": "1e5", "west": ": x #", "centre": "[ü"}
    table["region"] = table["region"].map(codes)
    table["tiny"] = table["debt_to_income"] * 1e-7
    table["vast"] = table["debt_to_income"] * 1e19
    names = {
        "age": "on",
        "income": "Größe: (cm)",
        "housing": "[bold]",
        "open_lines": "y",
        "purpose": "1",
    }
    table.rename(columns=names).to_csv(folder / "odd.csv", index=False)
    return folder / "odd.csv"


LOANS = ("--target", "defaulted", "--id", "application_id", "--time", "applied_on")
SKLEARN = ("--target", "target")
# the file, the options, then what params.yaml must say
GOOD: dict[str, tuple[Make, tuple[str, ...], dict[str, Any]]] = {
    "breast_cancer": (of_sklearn("breast_cancer"), SKLEARN, {"task": "binary", "split": "random"}),
    "wine": (of_sklearn("wine"), SKLEARN, {"task": "multiclass", "min_class_rows": 38}),
    "digits": (of_sklearn("digits"), SKLEARN, {"task": "multiclass", "max_same_value": 0.9997}),
    "diabetes": (of_sklearn("diabetes"), SKLEARN, {"task": "regression", "min_rows": 350}),
    "parquet": (as_parquet, LOANS, {"split": "hash", "drop": ["nothing"]}),
    "folder": (as_folder, LOANS, {"path": "data/raw/parts", "time": "applied_on"}),
    "gz": (as_gz, (*LOANS[:2], *LOANS[4:]), {"split": "time", "id": None}),
    "zst": (as_zst, (*LOANS, "--group", "branch"), {"split": "group", "group": "branch"}),
    "odd": (odd, ("--target", "gender", "--protected", "on", "--drop", "y,1"), {"id": None}),
    "a number": (as_gz, ("--target", "income", "--protected", "age"), {"task": "regression"}),
    "text": (as_gz, ("--target", "purpose"), {"task": "multiclass", "protected": []}),
    "true or false": (as_gz, ("--target", "has_guarantor"), {"task": "binary"}),
    "credit": (
        lambda _: CREDIT,
        ("--target", "default_next_month", "--id", "id", "--protected", "sex"),
        {"task": "binary", "split": "hash", "protected": ["sex"], "min_rows": 1000},
    ),
}  # fmt: skip


CURVES = ("training", "test/roc", "test/pr", "test/calibration", "test/confusion")
EVERY = ("test/scores", "test/importance")
PLOTS = {
    "binary": (*CURVES, *EVERY),
    "multiclass": (*CURVES, *EVERY),
    "regression": ("training", "test/predicted", *EVERY),
}


def test_the_sample_declares_the_plots_of_its_task() -> None:
    files = (ROOT / FOLDER / "dvc.yaml", ROOT / FOLDER / "ops/adopt/plots.yaml")
    declared, plots = (YAML(typ="safe").load(file.read_text()) for file in files)
    assert declared["plots"] == plots["binary"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[needs_credit] * (name == "credit")) for name in GOOD]
)
def test_adopted_data_passes_its_validation_and_twice_is_harmless(
    name: str, tmp_path: Path, capsys: Capture
) -> None:
    from core.validation.schema import load_schema
    from ops.gates.gates_yaml import load_gates, starting_gates

    make, options, expected = GOOD[name]
    file = make(tmp_path)
    with workspace(tmp_path / "w") as here:
        said = adopt(capsys, file, *options)
        assert said.code == 0, said.text
        content = params()
        flat = {**content["data"], **content["prepare"], **content["validate"]}
        assert {key: flat[key] for key in expected} == expected
        assert set(schema()) == set(load_schema().columns)
        declared = YAML(typ="safe").load(Path("dvc.yaml").read_text())["plots"]
        tables = {name for entry in declared for name in entry}
        assert tables == {f"plots/{name}.csv" for name in PLOTS[flat["task"]]}
        limits = YAML(typ="safe").load(Path("gates.yaml").read_text())
        fair = limits["fairness"] if isinstance(limits["fairness"], dict) else {}
        assert set(fair) == (set(flat["protected"]) if flat["task"] != "regression" else set())
        wanted = starting_gates(flat["task"], {name: fair[name]["min_rows"] for name in fair})
        assert {kind: limits[kind] for kind in wanted} == wanted
        load_gates()
        first = tree(here)

        said = prepare_and_validate(capsys)
        assert said.code == 0, said.text
        made = Path("reports/profile.json").read_bytes()
        assert made == Path("data/reference/profile.json").read_bytes()
        shutil.rmtree("data/prepared")
        shutil.rmtree("reports")

        for source in (file, Path(flat["path"])):
            assert adopt(capsys, source, *options).code == 0
            assert tree(here) == first
        (first_row,) = Path("tests/model/critical_cases.csv").read_text().splitlines()
        assert "expected" in first_row.split(",")
        assert ("expected_low" in first_row) == (flat["task"] == "regression")


def test_comments_and_everything_else_stay(tmp_path: Path, capsys: Capture) -> None:
    with workspace(tmp_path / "w"):
        quoted = Path("params.yaml").read_text().replace("device: auto", 'device: "auto"')
        Path("params.yaml").write_text(quoted)
        before = {name: Path(name).read_text() for name in inside.YAML_FILES}
        assert adopt(capsys, of_sklearn("diabetes")(tmp_path), *SKLEARN).code == 0
        after = {name: Path(name).read_text() for name in inside.YAML_FILES}
    for name in ("params.yaml", "gates.yaml", "dvc.yaml"):
        comments = [line.split("#", 1)[1] for line in before[name].splitlines() if "#" in line]
        assert comments == [l.split("#", 1)[1] for l in after[name].splitlines() if "#" in l]  # noqa: E741
    same = [set(before[name].splitlines()) & set(after[name].splitlines()) for name in before]
    changed = set(after["params.yaml"].splitlines()) - same[0]
    keys = {line.split(":")[0].strip() for line in changed}
    assert keys == {"path", "target", "task", "id", "time", "protected", "split", "min_rows"}
    head, tail = before["schema.yaml"].split("columns:")[0], "strict: true "
    assert after["schema.yaml"].startswith(head)
    assert before["schema.yaml"].split(tail)[1] == after["schema.yaml"].split(tail)[1]
    stages = before["dvc.yaml"].split("\nplots:")[0]
    assert after["dvc.yaml"].startswith(stages)
    assert (
        before["dvc.yaml"].split("\nartifacts:")[1:] == after["dvc.yaml"].split("\nartifacts:")[1:]
    )


def test_dry_run_shows_the_edits_and_writes_nothing(tmp_path: Path, capsys: Capture) -> None:
    file = as_gz(tmp_path)
    with workspace(tmp_path / "w") as here:
        before = tree(here)
        said = adopt(capsys, file, *LOANS, "--protected", "age", "--dry-run")
        assert said.code == 0
        assert tree(here) == before
        assert adopt(capsys, file, *LOANS, "--protected", "age").code == 0
        for name in ("params.yaml", "schema.yaml"):
            assert f"--- a/{name}\n+++ b/{name}\n" in said.text
            now, old = Path(name).read_text().splitlines(), before[name].decode().splitlines()
            for line in set(now) - set(old):
                assert f"\n+{line}\n" in said.text
        assert f"data/raw/{file.name}: would be" in said.text
        again = adopt(capsys, file, *LOANS, "--protected", "age", "--dry-run")
        assert "---" not in again.text


def test_it_says_what_it_decided_and_what_comes_next(tmp_path: Path, capsys: Capture) -> None:
    with workspace(tmp_path / "w"):
        said = adopt(capsys, of_sklearn("wine")(tmp_path), *SKLEARN).text
        assert "inferred: 'target' has 3 distinct values" in said
        assert "was 1000; the data is beyond it" in said
        for word in ("alcohol", "float64", "feature", "0 to 25", "one of 0, 1, 2"):
            assert word in said
        shutil.copy(inside.SAMPLE, "data/raw/sample.csv")
        said = adopt(capsys, as_gz(tmp_path), "--target", "defaulted").text
        assert "data/raw/wine.csv is no longer used; it was left where it is" in said
        assert Path("data/raw/sample.csv").exists()
        assert Path("data/raw/wine.csv").exists()
        for hint in ("--id application_id?", "--time applied_on?", "--protected gender?"):
            assert hint in said
        assert "dvc repro\n  git add params.yaml schema.yaml" in said
        assert params()["data"]["id"] is None, "a hint is not a decision"


def test_the_sample_itself_changes_nothing(tmp_path: Path, capsys: Capture) -> None:
    with workspace(tmp_path / "w") as here:
        shutil.copy(inside.SAMPLE, "data/raw/sample.csv")
        (here / "tests/model").mkdir(parents=True)
        shutil.copy(inside.TEMPLATE / "tests/model/critical_cases.csv", here / "tests/model")
        before = tree(here)
        said = adopt(
            capsys, "data/raw/sample.csv", *LOANS, "--protected", "gender", "--protected", "age"
        )
        assert said.code == 0, said.text
        assert tree(here) == before


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_decisions_are_one_document_of_json(
    dry_run: bool, tmp_path: Path, capsys: Capture
) -> None:
    from ops.adopt.adopt import adopt
    from ops.adopt.arguments import Arguments

    file = str(of_sklearn("wine")(tmp_path))
    with workspace(tmp_path / "w"):
        adopt(Arguments(file, "target", dry_run=dry_run, as_json=True))
        content = json.loads(capsys.readouterr().out)
        assert content["written"] is not dry_run
        assert Path("data/raw/wine.csv").exists() is not dry_run
    assert (content["data"]["target"], content["data"]["task"]) == ("target", "multiclass")
    alcohol = next(one for one in content["columns"] if one["name"] == "alcohol")
    assert alcohol["rule"]["dtype"] == "float64"
    assert "validate.min_rows" in {one["key"] for one in content["decisions"]}


def test_what_was_written_by_hand_stays_where_it_fits(tmp_path: Path, capsys: Capture) -> None:
    file = as_gz(tmp_path)
    with workspace(tmp_path / "w") as here:
        assert adopt(capsys, file, *LOANS).code == 0
        mine = Path("schema.yaml").read_text().replace("max_value: 120", "max_value: 99")
        cases = Path("tests/model/critical_cases.csv")
        Path("schema.yaml").write_text(mine)
        strict = Path("gates.yaml").read_text().replace("min: 0.5", "min: 0.77")
        assert "min: 0.77" in strict
        Path("gates.yaml").write_text(strict)
        cases.write_text(cases.read_text() + ",".join(["1"] * 18) + "\n")
        before = tree(here)
        assert adopt(capsys, file, *LOANS).code == 0
        assert tree(here) == before
        Path("schema.yaml").write_text(mine.replace("max_value: 99", "max_value: 30"))
        assert adopt(capsys, file, *LOANS).code == 0
        assert "max_value: 120}" in Path("schema.yaml").read_text()
        assert Path("gates.yaml").read_text() == strict


def test_each_column_gets_the_rule_of_its_part(tmp_path: Path, capsys: Capture) -> None:
    table = loans()
    table["year"] = table["applied_on"].dt.year
    table["known"] = table["year"] + 1
    table["branch"] = np.arange(len(table)) % 9
    table["small"] = table["debt_to_income"] * 6e-8
    table.loc[:9, "income"] = -1
    table.drop(columns="applied_on").to_csv(tmp_path / "loans.csv", index=False)
    words = ("--time", "year", "--label-time", "known", "--group", "branch", "--drop", "housing")
    with workspace(tmp_path / "w"):
        said = adopt(capsys, tmp_path / "loans.csv", *LOANS[:4], *words)
        assert said.code == 0, said.text
        rules = schema()
        theirs = yaml.safe_load(Path("schema.yaml").read_text())["columns"]  # as Pandera reads it
    assert theirs == rules
    assert rules["application_id"] == {"dtype": "int64", "unique": True}
    assert rules["year"] == {"dtype": "int64", "checks": {"greater_than_or_equal_to": 2022}}
    assert rules["known"]["checks"] == {"greater_than_or_equal_to": 2023}
    assert rules["branch"] == {"dtype": "int64"}
    assert rules["housing"] == {"dtype": "category"}
    assert rules["small"]["checks"]["in_range"] == {"min_value": 0, "max_value": 9e-8}
    assert rules["income"]["checks"]["in_range"]["min_value"] < -1
    assert rules["age"]["checks"]["in_range"]["min_value"] == 0
    assert rules["debt_to_income"]["checks"]["in_range"] == {"min_value": 0, "max_value": 1}
    assert rules["years_employed"]["nullable"]
    assert rules["defaulted"] == {"dtype": "int64", "checks": {"isin": [0, 1]}}


def test_a_leak_is_shown_not_waved_through(tmp_path: Path, capsys: Capture) -> None:
    table = loans()
    table["repaid"] = 1 - table["defaulted"]
    table.to_csv(tmp_path / "leak.csv", index=False)
    with workspace(tmp_path / "w"):
        said = adopt(capsys, tmp_path / "leak.csv", *LOANS)
        assert said.code == 1
        assert "gives the target away" in said.text
        assert "repaid" in said.text
        assert "--drop" in said.text
        assert params()["validate"]["max_leakage"] == 0.99
        assert prepare_and_validate(capsys).code == 1
        said = adopt(capsys, tmp_path / "leak.csv", *LOANS, "--drop", "repaid")
        assert "gives the target away" not in said.text
        assert prepare_and_validate(capsys).code == 0


def test_limits_are_raised_just_beyond_the_data(tmp_path: Path, capsys: Capture) -> None:
    table = loans().drop(columns=["application_id", "applied_on"])
    table = pd.concat([table, table.head(200)])
    table["term_months"] = np.where(np.arange(len(table)) % 50, 36, 48)
    table["defaulted"] = (np.arange(len(table)) % 100 < 3).astype(int)
    table.to_csv(tmp_path / "poor.csv", index=False)
    with workspace(tmp_path / "w"):
        before = params()["validate"]
        assert adopt(capsys, tmp_path / "poor.csv", "--target", "defaulted").code == 0
        after = params()["validate"]
        assert prepare_and_validate(capsys).code == 0
    raised = {key: after[key] for key in after if after[key] != before[key]}
    assert raised == {
        "max_class_share": 0.98,
        "max_same_value": 0.99,
        "max_duplicates": 0.07,
        "max_overlap": raised["max_overlap"],
    }
    assert 0.03 < raised["max_overlap"] < 0.2


def test_ranges_leave_room_for_new_rows_and_none_for_another_unit(
    tmp_path: Path, capsys: Capture
) -> None:
    with workspace(tmp_path / "w"):
        assert adopt(capsys, as_gz(tmp_path), *LOANS).code == 0
        place = Path(params()["data"]["path"])
        for seed in range(6, 12):
            place.write_bytes(gzip.compress(loans(4_000, seed).to_csv(index=False).encode()))
            said = prepare_and_validate(capsys)
            assert said.code == 0, said.text
        table = loans(4_000, 6)
        table["income"] *= 100
        place.write_bytes(gzip.compress(table.to_csv(index=False).encode()))
        assert prepare_and_validate(capsys).code == 1
        problems = json.loads(Path("reports/validation.json").read_text())["problems"]
    assert ("in_range(0, 400000)", "income") in {(one["check"], one["column"]) for one in problems}


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "no file": (("nowhere.csv", *SKLEARN), "nowhere.csv: no such file"),
    "almost the file": (("DIR/loan.csv.gz", *SKLEARN), "loans.csv.gz'?)"),
    "an unknown target": (("FILE", "--target", "defautled"), "(did you mean 'defaulted'?)"),
    "every column wrong": (
        ("FILE", "--target", "x", "--id", "application", "--time", "applied", "--label-time", "z",
         "--group", "regoin", "--protected", "agee", "--drop", "genders"),
        "--target x: no such column in FILE; it has application_id, applied_on, age, gender, "
        "education, employment, years_employed, income\n"
        "--id application: no such column in FILE (did you mean 'application_id'?)\n"
        "--time applied: no such column in FILE (did you mean 'applied_on'?)\n"
        "--label-time z: no such column in FILE; it has application_id, applied_on, age, gender, "
        "education, employment, years_employed, income\n"
        "--group regoin: no such column in FILE (did you mean 'region'?)\n"
        "--protected agee: no such column in FILE (did you mean 'age'?)\n"
        "--drop genders: no such column in FILE (did you mean 'gender'?)\n",
    ),
    "an id that is not unique": (
        ("FILE", "--target", "defaulted", "--id", "age"),
        "--id age: not unique: 4,000 of 4,000 rows share theirs or have none, for example ",
    ),
    "an id with gaps": (("FILE", "--target", "defaulted", "--id", "years_employed"), "not unique"),
    "a time that is none": (
        ("FILE", "--target", "defaulted", "--time", "region"),
        "--time region: no date in 4,000 of 4,000 rows, for example ",
    ),
    "one column, two parts": (
        ("FILE", "--target", "defaulted", "--id", "defaulted", "--drop", "age", "--drop", "age"),
        "--id defaulted: that column is --target already\n"
        "--drop age: that column is --drop already",
    ),
    "a protected target": (("FILE", *LOANS, "--protected", "defaulted"), "is --target already"),
    "only a label time": (("FILE", *LOANS[:2], "--label-time", "applied_on"), "needs --time"),
    "regression on text": (("FILE", "--target", "region", "--task", "regression"), "wants numbers"),
    "binary, many values": (("FILE", "--target", "region", "--task", "binary"), "5 distinct"),
    "endless classes": (("FILE", "--target", "income", "--task", "multiclass"), "too many for"),
    "dates to predict": (("FILE", "--target", "applied_on"), "holds dates"),
    "nothing to learn": (("DIR/constant.csv", "--target", "same"), "1 distinct value"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_argument_is_refused_before_anything_is_written(
    name: str, tmp_path: Path, capsys: Capture
) -> None:
    words, says = BAD[name]
    file = as_gz(tmp_path)
    loans().assign(same=1).to_csv(tmp_path / "constant.csv", index=False)
    with workspace(tmp_path / "w") as here:
        before = tree(here)
        paths = {"FILE": str(file), "DIR": str(tmp_path)}
        given = [word.replace("FILE", paths["FILE"]).replace("DIR", paths["DIR"]) for word in words]
        said = adopt(capsys, *given)
        assert said.code == 2
        assert said.text.startswith("adopt: ")
        assert says.replace("FILE", str(file)) in said.text
        assert tree(here) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "Missing option '--target'"),
        ((*LOANS, "--protectd", "age"), "--protected"),
        ((*LOANS, "--task", "guess"), "'guess' is not one of 'binary', 'multiclass', 'regression'"),
    ],
)
def test_wrong_use_is_told(
    words: tuple[str, ...], says: str, tmp_path: Path, capsys: Capture
) -> None:
    with workspace(tmp_path / "w") as here:
        before = tree(here)
        said = adopt(capsys, "data.csv", *words)
        assert said.code == 2
        assert says in " ".join(said.text.replace("│", "").split())
        assert tree(here) == before


@pytest.mark.parametrize(
    "words", [("--drop", "age", "--drop", "income", "--drop", "a,b"), ("--drop", "age, income,a;b")]
)
def test_columns_are_given_one_by_one_or_with_commas(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    from ops.adopt import arguments

    last = "a,b" if len(words) > 2 else "a;b"
    pd.DataFrame({"age": [1], "income": [2], last: [3], "y": [4]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    asked = arguments.Arguments(str(tmp_path / "t.csv"), "y", drop=[*words[1::2]])
    assert arguments.check(asked).drop == ["age", "income", last]


def test_data_that_cannot_be_read_or_placed_is_refused(tmp_path: Path, capsys: Capture) -> None:
    with workspace(tmp_path / "w") as here:
        (tmp_path / "empty.csv").touch()
        said = adopt(capsys, tmp_path / "empty.csv", *SKLEARN)
        assert (said.code, "the file is empty" in said.text) == (2, True)
        parts = as_folder(tmp_path)
        (here / "data/raw/parts").mkdir()
        (here / "data/raw/parts/old.csv").write_text("a\n1\n")
        before = tree(here)
        said = adopt(capsys, parts, *LOANS)
        assert (said.code, "data/raw/parts holds old.csv too" in said.text) == (2, True)
        assert tree(here) == before


def test_curated_cases_outlive_a_new_column(tmp_path: Path, capsys: Capture) -> None:
    cases, table = Path("tests/model/critical_cases.csv"), loans()
    with workspace(tmp_path / "w"):
        table.to_csv(tmp_path / "loans.csv", index=False)
        assert adopt(capsys, tmp_path / "loans.csv", *LOANS).code == 0
        row = ",".join(map(str, table.drop(columns="defaulted").iloc[0]))
        cases.write_text(f"{cases.read_text()}{row},1\n")
        table["rating"] = np.arange(len(table)) % 7
        table.drop(columns="region").to_csv(tmp_path / "loans.csv", index=False)
        said = adopt(capsys, tmp_path / "loans.csv", *LOANS)
        assert said.code == 0
        assert "kept; fill in rating" in said.text
        (case,) = pd.read_csv(cases).to_dict("records")
        assert (case["income"], case["expected"]) == (table["income"][0], 1)
        assert np.isnan(case["rating"])
        assert "region" not in case
        other = pd.DataFrame({f"x{i}": np.arange(200) * i % 97 for i in range(1, 5)})
        other["y"] = np.arange(200) % 2
        other.to_csv(tmp_path / "other.csv", index=False)
        said = adopt(capsys, tmp_path / "other.csv", "--target", "y")
        assert "left out: they are of other columns" in said.text
        assert cases.read_text() == "x1,x2,x3,x4,expected\n"


def test_fairness_is_judged_where_the_test_rows_allow_it(tmp_path: Path, capsys: Capture) -> None:
    """Limits that nobody can meet would end the first gate in exit 2."""
    table = loans().head(1000)  # about 150 of them are test rows
    table["few"] = np.where(np.arange(len(table)) % 100, "most", "few")
    table["some"] = np.where(np.arange(len(table)) % 4, "most", "some")
    table.to_csv(tmp_path / "small.csv", index=False)
    with workspace(tmp_path / "w"):
        said = adopt(capsys, tmp_path / "small.csv", *LOANS, "--protected", "few,some")
        assert said.code == 0, said.text
        assert "not of few" in said.text
        fairness = YAML(typ="safe").load(Path("gates.yaml").read_text())["fairness"]
        assert list(fairness) == ["some"]
        assert prepare_and_validate(capsys).code == 0
        rows = pd.read_parquet("data/prepared/test.parquet")["some"].value_counts()
        assert fairness["some"]["min_rows"] == rows.min() * 4 // 5 == 30


def test_labels_that_are_missing_are_told(tmp_path: Path, capsys: Capture) -> None:
    table = loans().astype({"defaulted": "Int64"})
    table.loc[:4, "defaulted"] = pd.NA
    table.to_csv(tmp_path / "gaps.csv", index=False)
    with workspace(tmp_path / "w"):
        said = adopt(capsys, tmp_path / "gaps.csv", *LOANS)
        assert said.code == 1
        assert "missing value" in said.text
        assert "the stage validate will refuse this data" in said.text
        assert prepare_and_validate(capsys).code == 1


def tracked(project: Path) -> dict[str, bytes]:
    return {name: text for name, text in tree(project).items() if not name.startswith(".dvc/tmp")}


def test_with_s3_the_data_is_tracked_by_dvc(
    generate: Generate, tmp_path: Path, capsys: Capture
) -> None:
    project = generate(tmp_path, dvc_remote="s3", s3_bucket="some-bucket")
    file = of_sklearn("wine")(tmp_path)
    command = [sys.executable, "-m", "ops", "adopt", str(file), *SKLEARN]
    said = run(*command, cwd=project)
    assert "data/raw/wine.csv.dvc data/raw/.gitignore" in said
    assert "dvc push" in said
    before = tracked(project)
    assert "data/raw/wine.csv.dvc" in before
    assert "/wine.csv" in (project / "data/raw/.gitignore").read_text().split()
    run("git", "check-ignore", "data/raw/wine.csv", cwd=project)
    run(*command, cwd=project)
    assert tracked(project) == before
