"""A trained project, made once for all tests that want one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Generate
from shell import dvc, run

Copy = Callable[[Path], Path]


@pytest.fixture(scope="session")
def trained(generate: Generate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A default project after its first `dvc repro`, committed; to look at and not to change."""
    project = generate(tmp_path_factory.mktemp("trained"))
    dvc("repro", cwd=project)
    run("git", "add", "--all", cwd=project)
    run("git", "commit", "-qm", "First model", cwd=project)
    return project


@pytest.fixture(scope="session")
def copy_of(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """`copy_of(project)`: the same project in a folder of its own, to change as one likes."""

    def copy(project: Path) -> Path:
        there = tmp_path_factory.mktemp("copy") / project.name
        shutil.copytree(project, there, symlinks=True)
        return there

    return copy


@pytest.fixture
def trained_copy(trained: Path, copy_of: Copy) -> Path:
    """The trained project, to change as one likes."""
    return copy_of(trained)
