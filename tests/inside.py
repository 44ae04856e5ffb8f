"""Run the generated project's code in this process: faster than a process per case."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import FOLDER, ROOT
from ruamel.yaml import YAML

TEMPLATE = ROOT / FOLDER
SAMPLE = TEMPLATE / "data/raw/sample.csv"
PACKAGES = ("core", "pipeline", "ops")
YAML_FILES = ("params.yaml", "schema.yaml", "gates.yaml", "dvc.yaml")
sys.path.append(str(TEMPLATE))  # none of its Python holds Jinja
Write = Callable[[Path], object]


class Said(NamedTuple):
    """What a stage printed on both streams, and its exit status."""

    code: int
    text: str


@contextlib.contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """Be in a folder that holds what the stages read, the raw data apart."""
    (folder / "data/raw").mkdir(parents=True)
    (folder / "data/reference").mkdir()
    for name in (*YAML_FILES, "data/reference/profile.json"):
        shutil.copy(TEMPLATE / name, folder / name)
    with contextlib.chdir(folder):
        yield folder


def stage(verb: str, work: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> Said:
    """Run one verb as its module does."""
    from core.runner import run_verb

    capsys.readouterr()
    code = 0
    try:
        run_verb(verb, work)
    except SystemExit as end:
        code = int(end.code or 0)
    said = capsys.readouterr()
    return Said(code, said.out + said.err)


def prepare_and_validate(capsys: pytest.CaptureFixture[str]) -> Said:
    """Run both stages here; the first that fails has the word."""
    from pipeline import prepare, validate

    said = stage("prepare", prepare.main, capsys)
    return said if said.code else stage("validate", validate.main, capsys)


def set_params(**sections: dict[str, Any]) -> None:
    """Change keys of the params.yaml that is here."""
    path, yaml = Path("params.yaml"), YAML()
    content = yaml.load(path.read_text())
    for section, values in sections.items():
        content[section] |= values
    with path.open("w") as file:
        yaml.dump(content, file)
