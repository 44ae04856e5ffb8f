"""The stages one after the other, on a small table: what they write, and what they refuse."""

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn import metrics as sklearn_metrics

from core import csv_reader, paths, pictures, runner
from core.errors import Problem, Refused
from core.files import md5, write_json
from core.yaml_io import read_yaml
from pipeline import dataset, evaluate, latency, prepare, train, validate
from pipeline.model import load_model

ROWS = 1200
PARAMS = read_yaml("params.yaml")
LIMITS = {
    "min_rows": 100, "min_class_rows": 10, "max_class_share": 0.95, "max_same_value": 0.95,
    "max_duplicates": 0.01, "max_overlap": 0.01, "max_leakage": 0.99, "max_psi": 0.2,
    "max_missing": 0.05, "false_alarms": 0.01,
}  # fmt: skip
COLUMNS = {
    "id": {"dtype": "int64", "unique": True},
    "day": {"dtype": "datetime64[us]"},
    "known": {"dtype": "datetime64[us]"},
    "x": {"dtype": "float64", "nullable": True},
    "noise": {"dtype": "float64"},
    "word": {"dtype": "category"},
    "y": {"dtype": "int64", "checks": {"isin": [0, 1]}},
}


def raw() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x, word = rng.normal(size=ROWS).round(6), rng.choice(["a", "b", "c"], ROWS)
    y = (x + (word == "a") + 0.5 * rng.normal(size=ROWS) > 0).astype(int)
    day = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(ROWS) // 4, "D")
    frame = pd.DataFrame({"id": np.arange(ROWS), "day": day, "known": day + pd.Timedelta("9D")})
    frame["x"], frame["noise"] = np.where(rng.random(ROWS) < 0.1, np.nan, x), rng.random(ROWS)
    return frame.assign(word=word, y=y)


def write(frame: pd.DataFrame, **changes: Any) -> None:
    Path("data/raw").mkdir(parents=True, exist_ok=True)
    frame.to_csv("data/raw/t.csv", index=False)
    content = {section: dict(PARAMS[section]) for section in PARAMS}
    content["data"] |= {"path": "data/raw/t.csv", "target": "y", "task": "binary", "id": "id"}
    content["data"] |= {"time": "day", "label_time": "known", "group": None}
    content["data"] |= {"protected": ["word"], "drop": []}
    content["prepare"] |= {"split": "hash", "val": 0.15, "test": 0.15, "sample": 1.0, "seed": 0}
    content["validate"] = LIMITS
    content["train"] |= {"epochs": 3, "threads": 1, "device": "cpu"}
    content["evaluate"] |= {"min_slice_rows": 30, "calibration_bins": 15}
    content = {section: dict(values) for section, values in content.items()}
    for name, value in changes.items():
        section = next(s for s in content if name in content[s])
        content[section][name] = value
    Path("params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    contract = {"schema_type": "dataframe", "strict": True, "columns": COLUMNS}
    Path("schema.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    paths.REFERENCE.parent.mkdir(parents=True, exist_ok=True)
    if not paths.REFERENCE.exists():
        paths.REFERENCE.write_text("{}")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def sheet(tables: dict[str, pd.DataFrame], title: str, path: Path) -> None:
    """Instead of a picture, which takes seconds: its title and what would be drawn."""
    about = {"title": title, "tables": {name: list(table) for name, table in tables.items()}}
    path.write_text(json.dumps(about), encoding="utf-8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("trained"))
        write(raw(), threshold=0.7)
        patch.setattr(latency, "ROUNDS", 1)
        patch.setattr(pictures, "sheet", sheet)
        patch.setattr(csv_reader, "BLOCK_BYTES", 1 << 14)  # several
        with redirect_stdout(io.StringIO()) as said:
            for stage in (prepare, validate, train):
                stage.main()
            outputs = {str(paths.MODEL): md5(paths.MODEL)}
            write_json(runner.SECONDS, {"train": {"seconds": 1.5, "outputs": outputs}})
            evaluate.main()
        Path("said.txt").write_text(said.getvalue(), encoding="utf-8")
        yield Path.cwd()


@pytest.fixture
def project(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a trained model; to look at."""
    monkeypatch.chdir(trained)
    return trained


def test_prepare_keeps_every_row_and_describes_the_columns(project: Path) -> None:
    sides = [dataset.frame(side) for side in dataset.SIDES]
    whole = pd.concat(sides).sort_values("id").reset_index(drop=True)
    pd.testing.assert_frame_equal(whole, raw(), check_dtype=False, check_categorical=False)
    assert dataset.names() == list(COLUMNS)
    report = read(paths.PROFILE)
    assert report["rows"] == {
        side: len(rows) for side, rows in zip(dataset.SIDES, sides, strict=True)
    }
    about = report["columns"]
    assert list(about) == list(COLUMNS)
    assert about["x"]["mean"] == pytest.approx(raw()["x"].mean())
    assert about["word"]["levels"] == raw()["word"].value_counts().to_dict()


def test_a_column_is_read_side_by_side_and_a_table_in_the_order_asked(project: Path) -> None:
    both = dataset.column("id", ("val", "test"))
    parts = [dataset.frame(side)["id"] for side in ("val", "test")]
    assert both.tolist() == [*parts[0], *parts[1]]
    assert list(dataset.frame("val", ["y", "x"])) == ["y", "x"]
    assert [dataset.rows(side) for side in ("val", "test")] == list(map(len, parts))
    with pytest.raises(KeyError):
        dataset.frame("val", ["y", "nothing"])


def test_validate_says_that_nothing_is_wrong(project: Path) -> None:
    assert read(paths.VALIDATION) == {"passed": True, "rows": ROWS, "problems": [], "drift": {}}
    assert read(paths.VALIDATED) == {"passed": True}


def test_train_writes_the_best_epoch_and_no_checkpoint(project: Path) -> None:
    curve = pd.read_csv(paths.TRAINING_CURVE)
    assert list(curve) == ["epoch", "train_loss", "val_loss", "val_roc_auc"]
    best = curve.loc[curve["val_loss"].idxmin()]
    expected = {"epochs": len(curve), "best_epoch": best["epoch"]}
    expected |= {name: best[name] for name in ("train_loss", "val_loss")}
    said = read(paths.TRAINING)
    assert said == pytest.approx(expected, abs=1e-5)
    assert said == {name: round(value, 6) for name, value in said.items()}
    for line in paths.TRAINING_CURVE.read_text().splitlines()[1:]:
        assert [f"{float(cell):.6g}" for cell in line.split(",")] == line.split(",")
    assert not paths.CHECKPOINT.exists()
    assert (load_model(paths.MODEL).kind, load_model(paths.BASELINE).kind) == ("network", "linear")


def test_evaluate_scores_the_test_rows(project: Path) -> None:
    test, quality, slices = dataset.frame("test"), read(paths.QUALITY), read(paths.SLICES)
    scores = {path: load_model(path).score(test) for path in (paths.MODEL, paths.BASELINE)}
    auc = {path: sklearn_metrics.roc_auc_score(test["y"], one) for path, one in scores.items()}
    assert quality["roc_auc"] == pytest.approx(auc[paths.MODEL], abs=1e-6)
    found = scores[paths.MODEL][test["y"] == 1] >= 0.7
    assert quality["recall"] == pytest.approx(found.mean(), abs=1e-6), "the threshold of params"
    assert set(quality["baseline"]) == {"roc_auc", "log_loss"}
    assert quality["baseline"]["roc_auc"] == pytest.approx(auc[paths.BASELINE], abs=1e-6)
    assert slices["rows"] == len(test)
    assert slices["overall"] == {name: quality[name] for name in quality if name != "baseline"}
    assert slices["baseline"]["overall"]["roc_auc"] == quality["baseline"]["roc_auc"]
    groups = {name: one["rows"] for name, one in slices["slices"]["word"].items()}
    assert groups == test["word"].astype(str).value_counts().to_dict()
    assert set(slices["baseline"]["slices"]["word"]) == set(groups)


def test_evaluate_draws_and_measures_costs(project: Path) -> None:
    plots = {path.stem for path in Path("plots/test").iterdir()}
    assert plots == {"roc", "pr", "calibration", "confusion", "scores", "importance"}
    drawn, quality = read(paths.EVALUATION), read(paths.QUALITY)
    assert set(drawn["tables"]) == plots | {"training"}
    assert drawn["tables"]["training"][0] == "epoch"
    title = f"roc_auc {quality['roc_auc']:.3f}   log_loss {quality['log_loss']:.3f}"
    assert drawn["title"] == title
    cost = read(paths.COST)
    assert set(cost) == {
        "latency_ms", "load_average", "model_bytes", "parameters", "peak_memory_mb", "seconds"
    }  # fmt: skip
    assert set(cost["latency_ms"]) == {"single_row", "batch_of_1000"}
    for taken in cost["latency_ms"].values():
        assert 0 < taken["p50"] <= taken["p95"] <= taken["p99"] < 2000
    single, batch = (cost["latency_ms"][name]["p50"] for name in ("single_row", "batch_of_1000"))
    assert single < batch * 1.5
    assert cost["model_bytes"] == paths.MODEL.stat().st_size
    assert 4 * cost["parameters"] == pytest.approx(cost["model_bytes"], rel=0.2)
    assert 50 < cost["peak_memory_mb"] < 20_000
    seconds = cost["seconds"]
    assert 0 < seconds.pop("evaluate") < 600
    assert seconds == {"prepare": None, "validate": None, "train": 1.5}


def test_the_stages_say_what_they_did(project: Path) -> None:
    said = Path("said.txt").read_text(encoding="utf-8").splitlines()
    lines = {line.split()[0]: line for line in said}
    rows, quality = [dataset.rows(side) for side in dataset.SIDES], read(paths.QUALITY)
    assert lines["prepared"].split()[1::2] == [*map(str, rows), "rows"]
    assert lines["validated"].startswith(f"validated 1,200 rows in {len(COLUMNS)} columns")
    assert f"best_epoch {read(paths.TRAINING)['best_epoch']}" in lines["trained:"]
    assert set(quality) - {"baseline"} < set(lines)
    told = f"(linear baseline {quality['baseline']['roc_auc']:.4f})"
    assert lines["roc_auc"].split(maxsplit=2)[1:] == [f"{quality['roc_auc']:.4f}", told]
    assert lines["f1"].split() == ["f1", f"{quality['f1']:.4f}"]


def test_evaluate_scores_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "ROUNDS", 1)
    monkeypatch.setattr(pictures, "sheet", sheet)
    write(raw().assign(y=raw()["noise"] * 7 + raw()["y"]), task="regression", label_time=None)
    contract = {"schema_type": "dataframe", "columns": COLUMNS | {"y": {"dtype": "float64"}}}
    Path("schema.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    for stage in (prepare, validate, train, evaluate):
        stage.main()
    test, found = dataset.frame("test"), read(paths.QUALITY)
    guess = load_model(paths.MODEL).score(test)
    assert set(found) == {"r2", "rmse", "mae", "mape", "baseline"}
    assert found["r2"] == pytest.approx(sklearn_metrics.r2_score(test["y"], guess), abs=1e-6)
    for group, scores in read(paths.SLICES)["slices"]["word"].items():
        rows = test["word"] == group
        expected = sklearn_metrics.mean_absolute_error(test["y"][rows], guess[rows])
        assert scores["mae"] == pytest.approx(expected, abs=1e-6)


def test_evaluate_names_a_group_that_the_data_lacks() -> None:
    write(raw())
    prepare.main()
    train.main()
    write(raw(), protected=["wrod"])
    with pytest.raises(Problem, match=r"'wrod', which the data lacks \(did you mean 'word'\?\)"):
        evaluate.main()


@pytest.mark.parametrize("part", ["target", "id", "time", "group"])
def test_prepare_needs_the_columns_that_say_where_a_row_goes(part: str) -> None:
    write(raw(), **{part: "wrod"})
    with pytest.raises(Problem, match=rf"column 'wrod', .* as data.{part} .did you mean 'word'"):
        prepare.main()
    assert not dataset.path("train").exists()


def test_prepare_refuses_an_empty_side_and_what_cannot_be_described() -> None:
    write(raw().head(3))
    with pytest.raises(Problem, match=r"data/raw/t.csv: no row falls to \w+ \(rows: .*'train'"):
        prepare.main()
    frame = raw()
    frame.loc[0, "x"] = 1e300
    write(frame)
    with pytest.raises(Problem, match=r"column 'x' goes from -\d.* to 1e\+300, too far"):
        prepare.main()


def refused(frame: pd.DataFrame, **changes: Any) -> list[tuple[str, str, int]]:
    """What validate finds: check, column and rows."""
    write(frame, **changes)
    prepare.main()
    with pytest.raises(Refused, match="problems, also in reports/validation"):
        validate.main()
    report = read(paths.VALIDATION)
    assert not report["passed"]
    assert not paths.VALIDATED.exists()
    return [(one["check"], one["column"], one["count"]) for one in report["problems"]]


def test_validate_finds_everything_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    frame = raw()
    frame.loc[5, "id"] = 6
    frame.loc[7, "day"] = frame["known"].max() + pd.Timedelta("1D")
    frame["word"] = "a"
    frame["leak"] = frame["y"] * 2.5 + 1
    assert sorted(refused(frame, protected=["gender"], min_rows=5000)) == [
        ("dated_after_label", "day", 1),
        ("missing_column", "gender", 0),
        ("nearly_constant", "word", ROWS),
        ("repeated_value", "id", 2),
        ("target_leak", "leak", ROWS),
        ("too_few_rows", "", ROWS),
        ("unknown_column", "leak", ROWS),
    ]
    assert "7 problems in the data" in capsys.readouterr().out


def test_validate_counts_classes() -> None:
    assert refused(raw(), min_class_rows=1000) == [("rare_class", "y", ROWS)]


def test_validate_looks_for_copies_without_id_and_time() -> None:
    frame = raw()
    copies = frame.sample(ROWS // 2, random_state=0).assign(id=np.arange(ROWS // 2) + ROWS)
    copies["day"], copies["known"] = pd.Timestamp("2020-01-01"), pd.Timestamp("2027-01-01")
    found = {check: count for check, _, count in refused(pd.concat([frame, copies]))}
    assert found["duplicate_rows"] >= ROWS // 2
    assert found["test_rows_in_train"] > 50
    assert set(found) == {"duplicate_rows", "test_rows_in_train"}


def test_validate_measures_drift_from_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    write(raw())
    prepare.main()
    validate.main()
    assert "no reference profile" in capsys.readouterr().out
    paths.REFERENCE.write_bytes(paths.PROFILE.read_bytes())
    validate.main()
    assert "no reference profile" not in capsys.readouterr().out
    assert paths.VALIDATED.exists()
    drift = read(paths.VALIDATION)["drift"]
    assert set(drift) == {"x", "noise", "word", "y"}, "neither the id nor dates"
    assert (drift["x"]["psi"], drift["x"]["drift"]) == (pytest.approx(0, abs=1e-9), False)
    assert not {"bins", "before", "after"} & set(drift["x"])
    paths.VALIDATED.unlink()
    assert refused(raw().assign(x=raw()["x"] + 2)) == [("drift", "x", ROWS)]
    paths.REFERENCE.write_text('{"columns": []}')
    with pytest.raises(Problem, match="not a profile"):
        validate.main()
