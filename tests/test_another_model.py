"""docs/another-model.md is followed word by word, and everything around the model goes on."""

import json
import re
from pathlib import Path

import pytest
from conftest import Generate
from shell import dvc, ml, run


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```\w+\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def boosted(generate: Generate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose model is that of the page."""
    project = generate(tmp_path_factory.mktemp("boosted"))
    code, lines, dep = blocks(project / "docs/another-model.md")
    (project / "pipeline/boosting.py").write_text(code)
    model, pipeline = project / "pipeline/model.py", project / "dvc.yaml"
    imported, trained = (line for line in lines.split("\n") if line)
    text = model.read_text()
    first = "from pipeline.features import Input\n"
    assert first in text
    text = text.replace(first, f"{imported}\n{first}")
    model.write_text(re.sub(r"^TRAINED = .*$", trained, text, flags=re.MULTILINE))
    text = pipeline.read_text()
    evaluate = text.index("  evaluate:")
    train = text.index("  train:")
    for stage in (evaluate, train):
        at = text.index("    deps:\n", stage) + len("    deps:\n")
        text = text[:at] + dep + text[at:]
    pipeline.write_text(text)
    dvc("repro", cwd=project)
    run("git", "add", "--all", cwd=project)
    run("git", "commit", "-qm", "Gradient boosting", cwd=project)
    return project


def test_the_page_changes_two_files_of_the_pipeline_and_two_keys(boosted: Path) -> None:
    changed = run("git", "diff", "--name-only", "HEAD~1", cwd=boosted).split()
    ours = [name for name in changed if name.split("/")[0] in ("core", "pipeline", "ops")]
    assert ours == ["pipeline/boosting.py", "pipeline/model.py"]
    lines = run("git", "diff", "-U0", "HEAD~1", "--", "dvc.yaml", "params.yaml", cwd=boosted)
    added = [line for line in lines.splitlines() if re.match(r"\+[^+]", line)]
    assert added == ["+      - pipeline/boosting.py"] * 2


def test_it_has_learnt(boosted: Path) -> None:
    """As well as trees do on the sample, whose truth is nearly linear."""
    quality = json.loads((boosted / "metrics/quality.json").read_text())
    assert quality["roc_auc"] > 0.775
    assert quality["ece"] < 0.07


def test_its_project_passes_its_own_checks(boosted: Path) -> None:
    tests = ("tests/code/test_dependencies.py", "tests/model", "-k", "not critical")
    run("python", "-m", "pytest", "-q", *tests, cwd=boosted)
    run("mypy", cwd=boosted)
    run("ruff", "check", "pipeline", cwd=boosted)


def test_gates_report_card_and_drift_work(boosted: Path) -> None:
    assert "ROC AUC" in ml("report", cwd=boosted)
    verdict = json.loads((boosted / "reports/gates.json").read_text())
    assert verdict["verdict"] in ("passed", "refused")
    assert {one["gate"] for one in verdict["gates"]} >= {"performance", "stability", "invariance"}
    assert all(one["passed"] for one in verdict["gates"] if one["gate"] == "stability")
    ml("card", cwd=boosted)
    assert "Gradient boosted trees" in (boosted / "model-card.md").read_text()
    ml("drift", "--live", "data/raw/sample.csv", cwd=boosted)
