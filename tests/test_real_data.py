"""Somebody's own data, from `adopt` to a judged model, with no other edit."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import CREDIT, Generate, needs_credit
from shell import dvc, ml, run
from sklearn import datasets


def adopt(project: Path, *arguments: str) -> dict[str, Any]:
    """Adopt, run, judge; the headline scores.

    The gate has to refuse a model that the linear baseline beats, which on a hundred test rows
    depends on the last digits of the machine's arithmetic, and to admit any other.
    """
    ml("adopt", *arguments, cwd=project)
    dvc("repro", cwd=project)
    quality: dict[str, Any] = json.loads((project / "metrics/quality.json").read_text())
    watched = "r2" if "r2" in quality else "roc_auc"
    beaten = quality[watched] < quality["baseline"][watched]
    ml("gate", cwd=project, code=int(beaten))
    verdict = json.loads((project / "reports/gates.json").read_text())
    assert verdict["baseline"]["commit"] is None  # the linear baseline's
    checks = {one["about"]: one["passed"] for one in verdict["gates"]}
    assert checks[f"{watched} against {verdict['baseline']['name']}"] is not beaten
    passed = run(sys.executable, "-m", "pytest", "-q", cwd=project)
    assert " passed" in passed
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
