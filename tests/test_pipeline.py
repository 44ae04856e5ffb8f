"""The pipeline as DVC runs it: what runs when, what depends on what, what comes out."""

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo
from inside import PACKAGES
from shell import dvc, dvc_json, run

STAGES = ["prepare", "validate", "train", "evaluate"]
OTHER = {  # another valid value for every knob
    "data.path": "data/raw",
    "data.target": "has_guarantor",
    "data.task": "regression",
    "data.id": "loan_amount",
    "data.time": None,
    "data.label_time": "applied_on",
    "data.group": "region",
    "data.protected": ["age"],
    "data.drop": ["region"],
    "prepare.split": "random",
    "prepare.val": 0.2,
    "prepare.test": 0.2,
    "prepare.sample": 0.5,
    "prepare.seed": 1,
    "validate.min_rows": 10,
    "validate.min_class_rows": 10,
    "validate.max_class_share": 0.9,
    "validate.max_same_value": 0.9,
    "validate.max_duplicates": 0.1,
    "validate.max_overlap": 0.1,
    "validate.max_leakage": 0.9,
    "validate.max_psi": 0.3,
    "validate.max_missing": 0.1,
    "validate.false_alarms": 0.1,
    "model.hidden": [32],
    "model.members": 2,
    "model.bins": 8,
    "model.embedding": 4,
    "model.dropout": 0.1,
    "train.seed": 1,
    "train.epochs": 2,
    "train.batch_size": 512,
    "train.lr": 0.01,
    "train.weight_decay": 0.5,
    "train.ema": 0.9,
    "train.patience": 2,
    "train.class_weights": True,
    "train.calibrate": False,
    "train.device": "cpu",
    "train.precision": "float32",
    "train.threads": 1,
    "train.resume": False,
    "evaluate.threshold": 0.3,
    "evaluate.calibration_bins": 10,
    "evaluate.min_slice_rows": 10,
    "evaluate.importance_rows": 100,
}
TRACE = """
import json, runpy, sys
from pydantic import BaseModel
from pipeline import params as settings

reads = set()
sections = {"data": "Data", "prepare": "Prepare", "validate": "Validate", "model": "Model",
            "train": "Train", "evaluate": "Evaluate"}
load = settings.load_params

def traced(*args):
    params = load(*args)
    for section, name in sections.items():
        kind = getattr(settings, name)
        def get(self, name, section=section, fields=set(kind.model_fields)):
            if name in fields:
                reads.add(f"{section}.{name}")
            return BaseModel.__getattribute__(self, name)
        def dump(self, exclude=(), section=section, **kwargs):
            reads.update(f"{section}.{f}" for f in type(self).model_fields if f not in exclude)
            return BaseModel.model_dump(self, exclude=exclude, **kwargs)
        kind.__getattribute__, kind.model_dump = get, dump
    return params

settings.load_params = traced
stage = sys.argv[1]
sys.argv = [stage]
try:
    runpy.run_module(f"pipeline.{stage}", run_name="__main__")
finally:
    ours = [name for name in sys.modules if name.startswith(("core.", "pipeline."))]
    files = {name.replace(".", "/") + ".py" for name in ours} - {"core/validation.py"}  # a package
    files = sorted({*files, f"pipeline/{stage}.py"})
    print("TRACE", json.dumps({"reads": sorted(reads), "files": files}))
"""


def declared(project: Path) -> dict[str, dict[str, set[str]]]:
    """Knobs and files of code that dvc.yaml gives each stage."""
    stages = yaml.safe_load((project / "dvc.yaml").read_text())["stages"]
    found = {}
    for name, stage in stages.items():
        knobs = {
            knob
            for param in stage["params"]
            for knob in OTHER
            if knob == param or knob.startswith(f"{param}.")
        }
        files = {dep for dep in stage["deps"] if dep.startswith(("core/", "pipeline/"))}
        found[name] = {"reads": knobs, "files": files}
    return found


def set_knob(project: Path, knob: str, value: Any) -> None:
    section, name = knob.split(".")
    params = yaml.safe_load((project / "params.yaml").read_text())
    params[section][name] = value
    (project / "params.yaml").write_text(yaml.safe_dump(params))


def test_a_model_is_trained_and_scored(trained: Path) -> None:
    quality = json.loads((trained / "metrics/quality.json").read_text())
    assert quality["roc_auc"] > 0.79
    assert quality["roc_auc"] > quality["baseline"]["roc_auc"]
    assert quality["log_loss"] < quality["baseline"]["log_loss"]
    slices = json.loads((trained / "reports/slices.json").read_text())["slices"]
    assert set(slices) == {"gender", "age"}
    assert sum(group["rows"] for group in slices["gender"].values()) == 1466
    cost = json.loads((trained / "metrics/cost.json").read_text())
    assert set(cost["latency_ms"]["single_row"]) == {"p50", "p95", "p99"}
    assert set(cost["seconds"]) == set(STAGES)
    assert (trained / "reports/evaluation.png").read_bytes().startswith(b"\x89PNG")


def test_a_first_run_leaves_git_clean(trained: Path) -> None:
    """All that it makes is committed by the fixture or ignored."""
    assert run("git", "status", "--porcelain", cwd=trained) == ""
    tracked = run("git", "ls-files", cwd=trained).split()
    assert "metrics/quality.json" in tracked
    assert not [name for name in tracked if name.endswith((".safetensors", ".parquet"))]


def test_with_nothing_to_do_nothing_runs(trained: Path) -> None:
    assert "up to date" in dvc("repro", cwd=trained)


def test_every_knob_has_another_value_to_test_with(trained: Path) -> None:
    params = yaml.safe_load((trained / "params.yaml").read_text())
    knobs = {f"{section}.{name}" for section, inner in params.items() for name in inner}
    assert knobs == set(OTHER)


def test_a_knob_changes_the_stages_that_name_it(trained_copy: Path) -> None:
    before = (trained_copy / "params.yaml").read_text()
    stages = declared(trained_copy)
    for knob, value in OTHER.items():
        set_knob(trained_copy, knob, value)
        assert changed(trained_copy) == {s for s in STAGES if knob in stages[s]["reads"]}, knob
        (trained_copy / "params.yaml").write_text(before)


def changed(project: Path) -> set[str]:
    """The stages that `dvc repro` would run for a change of their own."""
    with Repo(str(project)) as repo:
        return {name.rpartition(":")[2] for name in repo.status()}


def test_another_file_of_raw_data_changes_prepare(trained_copy: Path) -> None:
    (trained_copy / "data/raw/more.csv").write_text("a\n1\n")
    assert changed(trained_copy) == {"prepare"}


def trace(project: Path, stage: str) -> dict[str, set[str]]:
    """Knobs and files of code that a stage really uses."""
    done = subprocess.run(
        [sys.executable, "-c", TRACE, stage], cwd=project, capture_output=True, text=True
    )
    line = next(one for one in done.stdout.splitlines() if one.startswith("TRACE"))
    return {name: set(values) for name, values in json.loads(line[6:]).items()}


def test_a_stage_names_every_knob_and_module_that_it_uses(trained_copy: Path) -> None:
    """And no more: what dvc.yaml declares is exactly what the code reads and imports."""
    used = {stage: trace(trained_copy, stage) for stage in STAGES}
    for split in ("random", "group", "time"):
        set_knob(trained_copy, "prepare.split", split)
        set_knob(trained_copy, "data.group", "region")
        for name, values in trace(trained_copy, "prepare").items():
            used["prepare"][name] |= values
    for stage, expected in declared(trained_copy).items():
        assert used[stage]["reads"] == expected["reads"], stage
        assert used[stage]["files"] == expected["files"], stage


def test_a_limit_runs_validate_and_no_more(trained_copy: Path) -> None:
    set_knob(trained_copy, "validate.max_psi", 0.5)
    said = dvc("repro", cwd=trained_copy)
    assert "Running stage 'validate'" in said
    assert said.count("Running stage") == 1


def test_a_threshold_runs_evaluate_and_no_more(trained_copy: Path) -> None:
    before = json.loads((trained_copy / "metrics/quality.json").read_text())
    set_knob(trained_copy, "evaluate.threshold", 0.25)
    said = dvc("repro", cwd=trained_copy)
    assert said.count("Running stage") == 1
    after = json.loads((trained_copy / "metrics/quality.json").read_text())
    assert after["recall"] > before["recall"]
    assert after["roc_auc"] == before["roc_auc"]
    difference = dvc_json("metrics", "diff", cwd=trained_copy)
    assert "roc_auc" not in difference["metrics/quality.json"]


def test_bad_data_stops_before_training(trained_copy: Path) -> None:
    sample = trained_copy / "data/raw/sample.csv"
    text = sample.read_text().replace(",41,female", ",410,female")
    sample.write_text(text)
    model = (trained_copy / "models/model.safetensors").read_bytes()
    said = dvc("repro", cwd=trained_copy, code=255)
    assert "in_range" in said
    assert "410" in said
    assert "Running stage 'train'" not in said
    assert (trained_copy / "models/model.safetensors").read_bytes() == model
    report = json.loads((trained_copy / "reports/validation.json").read_text())
    assert report["problems"][0]["column"] == "age"


class Payload:
    """What a hostile file holds: loading it makes a file called `owned`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("owned"),)


def hostile(kind: str, path: Path) -> None:
    import joblib
    import torch

    write = {
        "pickle": lambda: path.write_bytes(pickle.dumps(Payload())),
        "joblib": lambda: joblib.dump(Payload(), path),
        "pt": lambda: torch.save(Payload(), path),
    }
    path.unlink()
    write[kind]()


def test_the_payload_is_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the tests below could not fail."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Payload()))
    assert Path("owned").exists()


@pytest.mark.parametrize("kind", ["pickle", "joblib", "pt"])
@pytest.mark.parametrize("name", ["model", "baseline"])
def test_a_hostile_file_is_refused_and_not_run(trained_copy: Path, kind: str, name: str) -> None:
    path = f"models/{name}.safetensors"
    hostile(kind, trained_copy / path)
    said = run(sys.executable, "-m", "pipeline.evaluate", cwd=trained_copy, code=2)
    assert f"{path}: not a model of this pipeline" in said
    assert "Traceback" not in said
    assert not (trained_copy / "owned").exists()


def test_a_hostile_checkpoint_is_not_resumed(trained_copy: Path) -> None:
    set_knob(trained_copy, "train.epochs", 1)
    checkpoint = trained_copy / "models/checkpoint.safetensors"
    checkpoint.touch()
    hostile("pickle", checkpoint)
    assert "resuming" not in run(sys.executable, "-m", "pipeline.train", cwd=trained_copy)
    assert not (trained_copy / "owned").exists()


def test_nothing_that_could_run_a_pickle_is_in_the_code(trained: Path) -> None:
    paths = [path for name in PACKAGES for path in (trained / name).rglob("*.py")]
    code = "".join(path.read_text() for path in paths)
    for word in ("import pickle", "joblib", "torch.load", "unsafe_load", "full_load", "shell=True"):
        assert word not in code, word
