"""Experiments and comparisons give readable answers."""

import json
from pathlib import Path

import pytest
from shell import dvc, dvc_json, run
from trained import Copy

NO_HASHES = r".*/.*|schema\.yaml"


@pytest.fixture(scope="module")
def lab(trained: Path, copy_of: Copy) -> Path:
    """A trained project in which one experiment ran at once and two from the queue."""
    project = copy_of(trained)
    dvc("exp", "run", "-n", "slow", "-S", "train.lr=0.0005", "-S", "train.epochs=4", cwd=project)
    dvc("exp", "run", "--queue", "-n", "flat", "-S", "model.hidden=[]", cwd=project)
    dvc("exp", "run", "--queue", "-n", "narrow", "-S", "model.hidden=[16]", cwd=project)
    dvc("queue", "start", cwd=project)
    for name in ("flat", "narrow"):
        dvc("queue", "logs", name, "--follow", cwd=project)
    return project


def test_show_has_the_experiments_and_their_scores(lab: Path) -> None:
    shown = dvc("exp", "show", "--md", "--drop", NO_HASHES, cwd=lab)
    header, *rows = shown.splitlines()
    assert "roc_auc" in header
    assert "ece" in header
    for name in ("slow", "flat", "narrow", "main"):
        assert any(name in row for row in rows), name
    assert ".parquet" not in header


def test_the_headline_scores_are_a_screenful(lab: Path) -> None:
    quality = json.loads((lab / "metrics/quality.json").read_text())
    training = json.loads((lab / "metrics/training.json").read_text())
    assert len(quality) + len(training) <= 18


def test_make_compare_shows_what_differs_and_no_hash(lab: Path) -> None:
    shown = run("make", "compare", "READY=", cwd=lab)
    assert "train.lr" in shown
    assert "model.hidden" in shown
    assert "train.patience" not in shown
    assert "safetensors" not in shown


def test_exp_diff_names_the_knob_and_the_scores(lab: Path) -> None:
    found = dvc_json("exp", "diff", "main", "slow", cwd=lab)
    assert found["params"]["params.yaml"]["train.lr"] == {
        "old": 0.002, "new": 0.0005, "diff": pytest.approx(-0.0015)
    }  # fmt: skip
    assert "log_loss" in found["metrics"]["metrics/quality.json"]
    assert not any("latency" in name for file in found["metrics"].values() for name in file)


def test_an_applied_experiment_is_compared_with_main(lab: Path) -> None:
    dvc("exp", "apply", "flat", cwd=lab)
    assert "model.hidden" in dvc("params", "diff", cwd=lab)
    metrics = dvc("metrics", "diff", "main", "--md", cwd=lab)
    assert "roc_auc" in metrics
    assert "seconds" not in metrics
    dvc("plots", "diff", "main", "-o", "drawn", cwd=lab)
    page = (lab / "drawn/index.html").read_text()
    for title in ("ROC", "Calibration", "Confusion", "Permutation importance", "Training"):
        assert title in page, title
    assert "False positive rate" in page
    run("git", "checkout", "-f", "-q", "main", cwd=lab)


def test_what_was_trained_once_is_fetched_and_not_trained_again(
    trained_copy: Path, copy_of: Copy
) -> None:
    """Here from the run cache, and in a clone from the storage."""
    run("dvc", "exp", "run", "-S", "train.epochs=1", cwd=trained_copy)
    dvc("push", "--run-cache", cwd=trained_copy)
    run("git", "checkout", "--force", "-q", "main", cwd=trained_copy)
    dvc("checkout", cwd=trained_copy)
    once = ("exp", "run", "-S", "train.epochs=1")
    assert "Stage 'train' is cached - skipping run" in dvc(*once, cwd=trained_copy)

    clone = trained_copy.parent / "clone"  # beside it, and so with the same storage
    run("git", "clone", "-q", trained_copy.name, clone.name, cwd=trained_copy.parent)
    dvc("fetch", "--run-cache", cwd=clone)
    said = dvc(*once, "--pull", cwd=clone)
    for stage in ("prepare", "validate", "train"):
        assert f"Running stage '{stage}'" not in said
    assert "Running stage 'evaluate'" in said
