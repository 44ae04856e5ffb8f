"""cruft makes the same project as cookiecutter does, and brings it up to date."""

import json
import shutil
import subprocess
from pathlib import Path

import cruft
import pytest
from conftest import FOLDER, Generate, tree


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.mark.parametrize("remote", ["local", "s3"])
def test_cruft_creates_checks_and_updates(
    template: Path, generate: Generate, tmp_path: Path, remote: str
) -> None:
    answers = {"dvc_remote": remote, "author": 'Zoë "Z" \\ O\'Brien', "description": "<a> & b: #"}
    source = shutil.copytree(template, tmp_path / "source")
    project = cruft.create(str(source), tmp_path / "cruft", extra_context=answers)
    state = json.loads((project / ".cruft.json").read_text())
    assert state["context"]["cookiecutter"].items() >= answers.items()
    files = {name: content for name, content in tree(project).items() if name != ".cruft.json"}
    assert files == tree(generate(tmp_path / "cookiecutter", **answers))
    assert cruft.check(project)

    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "Mine"]):
        git(project, *command)
    (project / "data/raw/mine.csv").write_text("x,y\n1,2\n")
    git(project, "add", ".")
    git(project, "commit", "-qm", "My data")

    with (source / FOLDER / "mypy.ini").open("a") as settings:
        settings.write("# new\n")
    with (source / FOLDER / "data/raw/sample.csv").open("a") as sample:
        sample.write("another row\n")
    git(source, "commit", "-qam", "Two")
    assert not cruft.check(project)
    assert cruft.update(project, skip_apply_ask=True)
    assert cruft.check(project)
    assert git(project, "status", "--porcelain").split() == ["M", ".cruft.json", "M", "mypy.ini"]
    assert tree(project) == files | {
        ".cruft.json": (project / ".cruft.json").read_bytes(),
        "data/raw/mine.csv": b"x,y\n1,2\n",
        "mypy.ini": files["mypy.ini"] + b"# new\n",
    }


def test_cruft_leaves_the_first_commit_to_the_user(
    template: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))  # for the hook, which is silent below it
    project = cruft.create(str(template), tmp_path)
    assert "git init -b main && git add . && git commit" in capfd.readouterr().out
    assert not (project / ".git").exists()
