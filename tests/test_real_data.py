"""Somebody's own data, from `adopt` to a judged model, with no other edit."""

import json
import sys
from pathlib import Path

import pytest
from conftest import CREDIT, Generate, needs_credit
from shell import dvc, run
from sklearn import datasets


def adopt(project: Path, *arguments: str) -> dict[str, float]:
    """Adopt, run, judge; the headline scores."""
    run(sys.executable, "-m", "pipeline.adopt", *arguments, cwd=project)
    dvc("repro", cwd=project)
    run(sys.executable, "-m", "pipeline.gate", cwd=project)
    passed = run(sys.executable, "-m", "pytest", "-q", cwd=project)
    assert " passed" in passed
    quality: dict[str, float] = json.loads((project / "metrics/quality.json").read_text())
    return quality


@needs_credit
def test_credit_card_clients(generate: Generate, tmp_path: Path) -> None:
    project = generate(tmp_path)
    arguments = ["--target", "default_next_month", "--id", "id", "--protected", "sex"]
    quality = adopt(project, str(CREDIT), *arguments)
    assert quality["roc_auc"] >= 0.77
    slices = json.loads((project / "reports/slices.json").read_text())["slices"]
    assert set(slices["sex"]) == {"female", "male"}


@pytest.mark.parametrize(
    ("name", "score", "least", "drawn"),
    [
        ("wine", "roc_auc", 0.98, {"roc", "pr", "calibration", "confusion"}),
        ("diabetes", "r2", 0.35, {"predicted"}),
    ],
)
def test_many_classes_and_numbers(
    generate: Generate, tmp_path: Path, name: str, score: str, least: float, drawn: set[str]
) -> None:
    project = generate(tmp_path / "made")
    table = getattr(datasets, f"load_{name}")(as_frame=True).frame
    table.to_csv(tmp_path / f"{name}.csv", index=False)
    quality = adopt(project, str(tmp_path / f"{name}.csv"), "--target", "target")
    assert quality[score] >= least
    assert {path.stem for path in (project / "plots/test").glob("*.csv")} == {
        *drawn, "scores", "importance"
    }  # fmt: skip
    dvc("plots", "show", "-o", "drawn", cwd=project)
    page = (project / "drawn/index.html").read_text()
    assert ("False positive rate" in page) == ("roc" in drawn)
