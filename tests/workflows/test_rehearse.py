"""`make rehearse PROJECT=path`, as somebody would use it."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT
from shell import run

from workflows.edits import REFUSED, Edit, docs

Copy = Callable[[Path], Path]


def rehearse(project: Path, tmp: Path, code: int = 0) -> str:
    env = {"PYTHONPATH": str(ROOT / "tests"), "TMPDIR": str(tmp), "PYTHONDONTWRITEBYTECODE": "1"}
    command = (sys.executable, "-m", "workflows.rehearse", str(project))
    return run(*command, cwd=ROOT, code=code, env=env)


@pytest.fixture
def project(trained_once: Callable[[str], Path], copy_of: Copy) -> Path:
    """Somebody's project, with main checked out."""
    return copy_of(trained_once("s3"))


def branch(project: Path, edit: Edit) -> None:
    run("git", "switch", "-qc", "change", cwd=project)
    edit(project)
    run("git", "commit", "-qam", "A change", cwd=project)


def test_the_comment_is_shown_and_kept(project: Path, tmp_path: Path) -> None:
    branch(project, REFUSED)
    before = run("git", "status", "--porcelain", "--ignored", cwd=project)
    said = rehearse(project, tmp_path, code=1)
    file = tmp_path / f"rehearsal-{project.name}/comment.md"
    assert str(file) in said
    assert file.read_text() in said
    (page,) = re.findall("as a page +(.*)", said)
    assert "data:image/png;base64," in Path(page).read_text()
    assert "Refused" in file.read_text().splitlines()[0]
    assert "train failed at: Judge" in said
    assert "red after" in said
    assert run("git", "status", "--porcelain", "--ignored", cwd=project) == before


def test_documentation_alone_is_said_to_post_nothing(project: Path, tmp_path: Path) -> None:
    branch(project, docs)
    assert "nothing would be trained or posted" in rehearse(project, tmp_path)


def test_what_is_not_committed_is_left_out(project: Path, tmp_path: Path) -> None:
    branch(project, docs)
    (project / "params.yaml").write_text("broken: [")
    said = rehearse(project, tmp_path)
    assert "left out, because not committed" in said
    assert "params.yaml" in said


def on_main(project: Path) -> None:
    pass


def detached(project: Path) -> None:
    run("git", "switch", "-q", "--detach", cwd=project)


def no_main(project: Path) -> None:
    run("git", "branch", "-m", "trunk", cwd=project)


def nothing_new(project: Path) -> None:
    run("git", "switch", "-qc", "change", cwd=project)


def conflict(project: Path) -> None:
    for name in ("change", "main"):
        run("git", "switch", "-q", *(["-c"] if name == "change" else []), name, cwd=project)
        (project / "README.md").write_text(f"{name}\n")
        run("git", "commit", "-qam", name, cwd=project)
    run("git", "switch", "-q", "change", cwd=project)


def another(project: Path) -> None:
    (project / "machine.yaml").unlink()


def no_git(project: Path) -> None:
    os.rename(project / ".git", project / "not.git")


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (on_main, "git switch -c my-change"),
        (detached, "no branch is checked out"),
        (no_main, "there is no branch main"),
        (nothing_new, "has no commit that main has not"),
        (conflict, "does not merge with main"),
        (another, "is no project of this template: it has no machine.yaml"),
        (no_git, "is no Git repository"),
    ],
)
def test_what_cannot_be_rehearsed(
    project: Path, tmp_path: Path, state: Callable[[Path], None], says: str
) -> None:
    state(project)
    said = rehearse(project, tmp_path, code=2)
    assert says in said
    assert "Traceback" not in said
