"""New rows in, answers out: the model's own, whatever the file, and nothing of a bad one."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from inside import TEMPLATE
from shell import ml, run

SAMPLE = "data/raw/sample.csv"
assert TEMPLATE.is_dir()  # its code is imported from there
STAMPED = ["answer", "model_version", "predicted_at"]


def answers(file: Path) -> np.ndarray:
    return pd.read_csv(file)["answer"].to_numpy()


def score(project: Path, file: Path) -> np.ndarray:
    from core import tables
    from pipeline.model import load_model

    frame = tables.to_pandas(tables.read(file))
    return load_model(project / "models/model.safetensors").score(frame)


def test_answers_are_those_of_the_model_beside_the_rows(trained: Path, tmp_path: Path) -> None:
    said = ml("predict", SAMPLE, str(tmp_path / "out.csv"), cwd=trained)
    assert said.startswith("10,000 rows scored by md5:")
    rows, scored = pd.read_csv(trained / SAMPLE), pd.read_csv(tmp_path / "out.csv")
    assert list(scored) == [*rows, *STAMPED]
    assert (scored["application_id"] == rows["application_id"]).all()
    assert np.abs(scored["answer"] - score(trained, trained / SAMPLE)).max() < 1e-6
    lock = (trained / "dvc.lock").read_text()
    assert scored["model_version"].unique()[0].removeprefix("md5:") in lock
    assert pd.to_datetime(scored["predicted_at"]).nunique() == 1


def test_the_same_rows_give_the_same_answers_however_they_are_cut(
    trained: Path, tmp_path: Path
) -> None:
    rows = pd.concat([pd.read_csv(trained / SAMPLE)] * 7)  # more than are in memory at once
    (tmp_path / "folder").mkdir()
    cuts = [0, 1, 70, 5_000, 69_999, 70_000]
    for i, (start, end) in enumerate(pairwise(cuts)):
        rows[start:end].to_csv(tmp_path / f"folder/{i}.csv", index=False)
    rows.to_csv(tmp_path / "whole.csv", index=False)
    rows[5_000:69_999].to_parquet(tmp_path / "part.parquet", index=False)
    for name in ("folder", "whole.csv", "part.parquet"):
        ml("predict", str(tmp_path / name), str(tmp_path / f"{name}.out.csv"), cwd=trained)
    whole = answers(tmp_path / "whole.csv.out.csv")
    assert (answers(tmp_path / "folder.out.csv") == whole).all()
    assert (answers(tmp_path / "part.parquet.out.csv") == whole[5_000:69_999]).all()
    ml("predict", str(tmp_path / "folder/0.csv"), str(tmp_path / "one.csv"), cwd=trained)
    assert answers(tmp_path / "one.csv") == whole[0]


@pytest.mark.parametrize("name", ["out.parquet", "out.csv.gz"])
def test_the_ending_says_the_format(trained: Path, tmp_path: Path, name: str) -> None:
    for file in ("plain.csv", name):
        ml("predict", SAMPLE, str(tmp_path / file), cwd=trained)
    if name.endswith(".parquet"):
        got = pq.read_table(tmp_path / name).to_pandas()["answer"]
    else:
        got = pd.read_csv(tmp_path / name, compression="gzip")["answer"]
    assert (got == answers(tmp_path / "plain.csv")).all()


def test_a_bad_row_stops_it_before_anything_is_written(trained: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(trained / SAMPLE, dtype=str, keep_default_na=False)
    rows.loc[3, "years_employed"] = "abc"  # the whole column is read as text for it
    rows.loc[9_000, ["income", "housing"]] = ["-5", "castle"]
    rows.to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "out.csv"
    said = ml("predict", str(tmp_path / "new.csv"), str(out), cwd=trained, code=1)
    assert "2 of 10,000 rows break schema.yaml; nothing was written" in said
    for words in ("not a number", "abc", "castle", "income"):
        assert words in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.csv"]

    said = ml("predict", str(tmp_path / "new.csv"), str(out), "--skip-bad", cwd=trained)
    assert "9,998 rows scored" in said
    ml("predict", SAMPLE, str(tmp_path / "all.csv"), cwd=trained)
    assert (answers(out) == np.delete(answers(tmp_path / "all.csv"), [3, 9_000])).all()
    refused = pd.read_csv(tmp_path / "out.refused.csv", dtype=str)
    assert list(refused["application_id"]) == list(rows["application_id"][[3, 9_000]])
    first, second = refused["reasons"]
    assert first == "years_employed: not a number"
    assert "income: " in second
    assert "housing: " in second


@pytest.mark.parametrize(
    ("source", "output", "options", "code", "message"),
    [
        ("nope.csv", "x.csv", (), 2, "predict: nope.csv: no such file"),
        (SAMPLE, "x.xlsx", (), 2, "predict: x.xlsx: unknown kind of file"),
        (SAMPLE, SAMPLE, (), 2, "is what is read; name another file"),
        (SAMPLE, "x.csv", ("--model", "v9"), 2, "v9: no such version"),
        (SAMPLE, "x.csv", ("--model", "production"), 2, "nothing is in production"),
        (SAMPLE, "x.csv", ("--model", "x.safetensors"), 2, "x.safetensors: no such file"),
        ("few.csv", "x.csv", (), 1, "14 of the model's 15 columns are missing"),
        ("taken.csv", "x.csv", (), 2, "has a column 'answer' already"),
    ],
)
def test_mistakes_are_one_message(
    trained_copy: Path, source: str, output: str, options: Any, code: int, message: str
) -> None:
    (trained_copy / "few.csv").write_text("age\n41\n")
    (trained_copy / "taken.csv").write_text("age,answer\n41,1\n")
    before = (trained_copy / SAMPLE).read_bytes()
    said = ml("predict", source, output, *options, cwd=trained_copy, code=code)
    assert message in said
    assert not (trained_copy / "x.csv").exists()
    assert (trained_copy / SAMPLE).read_bytes() == before


def test_drift_reads_what_it_writes_and_a_version_scores_as_it_did(trained_copy: Path) -> None:
    run("git", "tag", "-a", "model@v1.0.0", "-m", "One", cwd=trained_copy)
    run("git", "tag", "-a", "model#production#1", "-m", "One", "model@v1.0.0^{}", cwd=trained_copy)
    ml("predict", SAMPLE, "scored.csv", cwd=trained_copy)
    said = ml("drift", "--live", "scored.csv", "--json", cwd=trained_copy)
    report = json.loads(said[said.index("{") :])
    assert (report["answers"], report["drift"], report["findings"]) == ("compared", False, [])
    model = trained_copy / "models/model.safetensors"
    kept = model.read_bytes()
    (trained_copy / "models/baseline.safetensors").rename(model)
    said = ml("predict", SAMPLE, "altered.csv", cwd=trained_copy, code=2)
    assert "models/model.safetensors" in said
    for name in ("v1.0.0", "production"):
        told = ml("predict", SAMPLE, "old.csv", "--model", name, "--json", cwd=trained_copy)
        assert json.loads(told.splitlines()[-1])["model_version"] == "v1.0.0"
        assert (answers(trained_copy / "old.csv") == answers(trained_copy / "scored.csv")).all()
    assert model.read_bytes() != kept


def test_codes_of_a_category_are_whole_beside_missing_ones(tmp_path: Path) -> None:
    """pandas makes 1.0 of 1 in a column that lacks a value, which no model has ever seen."""
    from ops.serving.predict import Predictor, predict
    from pipeline.features import Input

    class Echo:
        task, classes, inputs = "regression", (), (Input("code", "category", ["1", "2"]),)

        def score(self, frame: pd.DataFrame) -> np.ndarray:
            return frame["code"].map({"1": 1.0, "2": 2.0}).fillna(-1.0).to_numpy(np.float64)

    model: Any = Echo()
    (tmp_path / "in.csv").write_text("id,code\na,1\nb,\nc,2\n")
    predict(tmp_path / "in.csv", tmp_path / "out.csv", Predictor(model, {}, "v1"))
    assert list(answers(tmp_path / "out.csv")) == [1.0, -1.0, 2.0]
