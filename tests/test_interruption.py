"""Killed at any moment: no half output, no orphan, and the same weights in the end."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
import yaml
from s3 import BUCKET, S3, keys
from shell import BIN, dvc, run
from trained import Copy

MODEL = "models/model.safetensors"
KILLED_AT_THE_FIRST_REPLACE = """
import os, runpy, signal, sys
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
runpy.run_module(sys.argv.pop(), run_name="__main__")
"""
PATH = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def start(project: Path, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *command], cwd=project, env=PATH | dict(os.environ) | PATH,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def wait_for(path: Path, changed_after: float = 0, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists() or path.stat().st_mtime <= changed_after:
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def test_a_killed_training_goes_on_and_ends_with_the_same_weights(trained_copy: Path) -> None:
    whole = md5(trained_copy / MODEL)
    (trained_copy / MODEL).unlink()
    checkpoint = trained_copy / "models/checkpoint.safetensors"
    epochs = []
    for pause in (0.0, 0.13, 0.31, 0.05, 0.21):
        before = checkpoint.stat().st_mtime if checkpoint.exists() else 0
        process = start(trained_copy, "pipeline.train")
        wait_for(checkpoint, before)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (trained_copy / MODEL).exists()
        epochs.append(_epoch(checkpoint))
    assert epochs == sorted(set(epochs)), "every run must get further than the one before"
    said = run(sys.executable, "-m", "pipeline.train", cwd=trained_copy)
    assert f"resuming after epoch {epochs[-1]}" in said
    assert md5(trained_copy / MODEL) == whole
    assert not checkpoint.exists()


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_a_machine_that_is_taken_away_leaves_its_checkpoint(
    where: str, trained_copy: Path, s3: S3
) -> None:
    whole = md5(trained_copy / MODEL)
    (trained_copy / MODEL).unlink()
    if where == "s3":
        dvc("remote", "modify", "storage", "url", f"s3://{BUCKET}/dvc", cwd=trained_copy)

    def kept() -> bool:
        if where == "s3":
            return any("dvc/checkpoints/" in key for key in keys(s3))
        return bool(list(trained_copy.parent.glob("credit-risk-storage/checkpoints/*")))

    hired = s3 | {"KEEP_CHECKPOINTS": "true"}
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.train"], cwd=trained_copy, env=hired,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 60
    while not kept():
        assert time.monotonic() < end
        time.sleep(0.05)
    process.kill()
    process.wait()
    (trained_copy / "models/checkpoint.safetensors").unlink()
    said = run(sys.executable, "-m", "pipeline.train", cwd=trained_copy, env=hired)
    assert "resuming after epoch 1" in said
    assert md5(trained_copy / MODEL) == whole


def test_training_goes_on_where_checkpoints_cannot_be_kept(trained_copy: Path) -> None:
    dvc("remote", "modify", "storage", "url", "s3://no-such-bucket/dvc", cwd=trained_copy)
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    nowhere |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "KEEP_CHECKPOINTS": "true"}
    said = run(sys.executable, "-m", "pipeline.train", cwd=trained_copy, env=nowhere)
    assert "checkpoint not fetched at s3://no-such-bucket/dvc/checkpoints/" in said
    assert "trained: epochs" in said


def _epoch(checkpoint: Path) -> int:
    import json

    from safetensors import safe_open

    with safe_open(checkpoint, "np") as file:
        return len(json.loads(file.metadata()["about"])["history"])


def test_a_checkpoint_of_other_settings_is_not_resumed(trained_copy: Path) -> None:
    process = start(trained_copy, "pipeline.train")
    checkpoint = trained_copy / "models/checkpoint.safetensors"
    wait_for(checkpoint)
    process.kill()
    process.wait()
    params = yaml.safe_load((trained_copy / "params.yaml").read_text())
    params["train"] |= {"lr": 0.01, "epochs": 1}
    (trained_copy / "params.yaml").write_text(yaml.safe_dump(params))
    assert "resuming" not in run(sys.executable, "-m", "pipeline.train", cwd=trained_copy)


def test_only_an_edit_of_code_that_trains_discards_a_checkpoint(trained_copy: Path) -> None:
    process = start(trained_copy, "pipeline.train")
    checkpoint = trained_copy / "models/checkpoint.safetensors"
    wait_for(checkpoint)
    process.kill()
    process.wait()
    kept = checkpoint.read_bytes()

    def edit(*names: str) -> str:
        checkpoint.write_bytes(kept)
        for name in names:
            with (trained_copy / name).open("a") as file:
                file.write("# edited\n")
        return run(sys.executable, "-m", "pipeline.train", cwd=trained_copy)

    others = ("pipeline/evaluate.py", "pipeline/plots.py", "core/pictures.py")
    assert "resuming" in edit(*others, "ops/report/report.py")
    for name in ("pipeline/network.py", "core/tables.py"):
        assert "resuming" not in edit(name)


@pytest.mark.parametrize("stage", ["prepare", "validate", "evaluate"])
def test_a_killed_stage_leaves_no_half_output(stage: str, trained_copy: Path) -> None:
    begin = time.monotonic()
    run(sys.executable, "-m", f"pipeline.{stage}", cwd=trained_copy)
    length = time.monotonic() - begin
    names = yaml.safe_load((trained_copy / "dvc.lock").read_text())["stages"][stage]["outs"]
    outs = [trained_copy / out["path"] for out in names]
    whole = {path: _content(path) for path in outs if path.name != "cost.json"}
    for i in range(6):
        for path in whole:
            if path.is_file():
                path.unlink()
        process = start(trained_copy, f"pipeline.{stage}")
        time.sleep(length * (0.4 + 0.1 * i))
        process.kill()
        process.wait()
        for path, content in whole.items():
            if path.is_file():
                assert _content(path) == content, f"{path.name} is half written"


@pytest.mark.parametrize("stage", ["prepare", "validate", "evaluate"])
def test_an_output_takes_its_place_when_it_is_whole(stage: str, trained_copy: Path) -> None:
    names = yaml.safe_load((trained_copy / "dvc.lock").read_text())["stages"][stage]["outs"]
    files = [path for out in names if (path := trained_copy / out["path"]).is_file()]
    for path in files:
        path.unlink()
    killed = (sys.executable, "-c", KILLED_AT_THE_FIRST_REPLACE, f"pipeline.{stage}")
    run(*killed, cwd=trained_copy, code=-signal.SIGKILL)
    assert files
    assert not [path for path in files if path.exists()]


def _content(path: Path) -> object:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    return path.read_bytes() if path.is_file() else None


def test_terminating_dvc_ends_the_training_too(trained_copy: Path) -> None:
    params = yaml.safe_load((trained_copy / "params.yaml").read_text())
    params["train"] |= {"epochs": 10_000, "patience": 10_000}
    (trained_copy / "params.yaml").write_text(yaml.safe_dump(params))
    process = start(trained_copy, "dvc", "repro")
    checkpoint = trained_copy / "models/checkpoint.safetensors"
    wait_for(checkpoint)
    children = psutil.Process(process.pid).children(recursive=True)
    assert any("pipeline.train" in " ".join(child.cmdline()) for child in children)
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert not alive, [child.cmdline() for child in alive]
    assert len(gone) == len(children)
    assert not (trained_copy / MODEL).exists()


def test_a_forced_run_and_a_clone_give_the_same_bytes(trained_copy: Path, copy_of: Copy) -> None:
    clone = copy_of(trained_copy).parent / "a clone"
    run("git", "clone", "-q", str(trained_copy), str(clone), cwd=trained_copy)
    dvc("repro", "--force", cwd=clone, env={"OMP_NUM_THREADS": "2"})  # made on one
    assert _outputs(clone) == _outputs(trained_copy)
    assert run("git", "status", "--porcelain", cwd=clone).split() in (
        [], ["M", "dvc.lock", "M", "metrics/cost.json"]
    )  # fmt: skip


def _outputs(project: Path) -> dict[str, str]:
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"].values()
    outs = {out["path"]: out["md5"] for stage in stages for out in stage["outs"]}
    assert outs.pop("metrics/cost.json")
    return outs
