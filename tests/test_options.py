"""Every pair of options: the generated project passes its own linters and tests."""

import json
import os
import subprocess
import sys
import tomllib
from itertools import combinations, product
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Generate, tree

PROMPTS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
OPTIONS = {
    name: choices
    for name, choices in PROMPTS.items()
    if name[0] != "_" and isinstance(choices, list)
}
Answers = dict[str, str]
LICENCES = {
    "MIT": "MIT License",
    "Apache-2.0": "Apache License",
    "BSD-3-Clause": "BSD 3-Clause License",
    "Proprietary": "All rights reserved.",
}


def pairs(answers: Answers) -> set[frozenset[tuple[str, str]]]:
    return {frozenset(pair) for pair in combinations(answers.items(), 2)}


def pairwise(options: dict[str, list[str]]) -> list[Answers]:
    """Few sets of answers that hold every pair of choices, each the richest in new pairs."""
    every = [dict(zip(options, choices, strict=True)) for choices in product(*options.values())]
    chosen: list[Answers] = []
    missing = set().union(*map(pairs, every))
    while missing:
        chosen.append(max(every, key=lambda answers: len(pairs(answers) & missing)))
        missing -= pairs(chosen[-1])
    return chosen


def passes(project: Path, *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env=os.environ | {"RUFF_NO_CACHE": "true", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "answers", pairwise(OPTIONS), ids=lambda answers: "-".join(answers.values())
)
def test_options_fit_together(generate: Generate, tmp_path: Path, answers: Answers) -> None:
    project = generate(tmp_path, **answers)
    for path in {*project.rglob("*.y*ml")} - {
        project / "ops/machines/bootstrap.yaml"
    }:  # !Ref and the like
        yaml.safe_load(path.read_text(encoding="utf-8"))
    machine = yaml.safe_load((project / "machine.yaml").read_text(encoding="utf-8"))
    assert machine["use"] == answers["machine"]
    stated = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert stated["requires-python"] == f">={answers['python_version']}"
    assert (project / ".python-version").read_text() == answers["python_version"] + "\n"
    licence = (project / "LICENSE").read_text(encoding="utf-8")
    assert [name for name, words in LICENCES.items() if words in licence] == [answers["license"]]
    assert stated["license"] == answers["license"].replace("Prop", "LicenseRef-Prop")
    passes(project, "ruff", "check")
    passes(project, "ruff", "format", "--check")


def test_options_leave_the_code_as_it_is(generate: Generate, project: Path, tmp_path: Path) -> None:
    """What the linters and the tests look at is the same in every project."""
    other = generate(tmp_path, **{name: choices[-1] for name, choices in OPTIONS.items()})
    changed = {name for name, _ in tree(other).items() ^ tree(project).items()}
    rendered = {
        ".dvc/config",
        ".python-version",
        "LICENSE",
        "README.md",
        "machine.yaml",
        "pyproject.toml",
    }
    assert changed <= rendered | {"data/raw/.gitignore", "data/raw/sample.csv.dvc"}


@pytest.mark.parametrize("remote", OPTIONS["dvc_remote"])
def test_project_passes_its_own_checks(generate: Generate, tmp_path: Path, remote: str) -> None:
    """Number 75, too: the way to the project holds spaces and letters of other alphabets."""
    project = generate(tmp_path / "Zoë's \N{ROCKET} models", dvc_remote=remote)
    passes(project, "yamllint", "--strict", ".")
    passes(project, "pytest", "-q", "tests/code")
