"""Generate projects from a clean copy of the template, apart from whoever runs the tests."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "{{cookiecutter.project_slug}}"
LEFTOVERS = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "*.tmp"
)

os.environ["OMP_NUM_THREADS"] = "1"  # as many processes as cores run beside each other
Generate = Callable[..., Path]
pytest_plugins = ["s3", "trained"]
CREDIT = Path(os.environ.get("ML_CICD_DATA", ROOT.parent / "shared/data")) / (
    "credit_card_default.csv"
)
needs_credit = pytest.mark.skipif(
    not CREDIT.exists(), reason=f"no {CREDIT.name} beside the template"
)


LONG = ("test_story.py", "test_pull_request.py", "test_ci.py", "test_real_data.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: item.path.name not in LONG)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but Git's and DVC's own, with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {".git", "cache"} & set(path.relative_to(folder).parts)
    }


@pytest.fixture(scope="session", autouse=True)
def _apart(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the settings of this machine's user out of the tests, and the tests out of them."""
    home = tmp_path_factory.mktemp("home")
    (home / "gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.com\n")
    (home / "cookiecutter.yaml").write_text(
        json.dumps({name: str(home / name) for name in ("cookiecutters_dir", "replay_dir")})
    )
    for name in [name for name in os.environ if name.startswith(("GIT_", "AWS_", "DVC_"))]:
        del os.environ[name]
    os.environ |= {
        "COOKIECUTTER_CONFIG": str(home / "cookiecutter.yaml"),
        "DVC_GLOBAL_CONFIG_DIR": str(home),
        "DVC_SYSTEM_CONFIG_DIR": str(home),
        "DVC_SITE_CACHE_DIR": str(home / "dvc"),
        "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as a clone of it would be, in a Git repository of its own."""
    copy = tmp_path_factory.mktemp("template") / "ml-cicd-template"
    copy.mkdir()
    for name in ("cookiecutter.json", "hooks", FOLDER):
        source = ROOT / name
        copying = shutil.copy if source.is_file() else shutil.copytree
        copying(source, copy / name, **({} if source.is_file() else {"ignore": LEFTOVERS}))
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "One"]):
        subprocess.run(["git", *command], cwd=copy, check=True)
    return copy


@pytest.fixture(scope="session")
def generate(template: Path) -> Generate:
    """`generate(folder, **prompts)`: the project, made below the folder with these answers."""

    def project(folder: Path, **prompts: str) -> Path:
        return Path(
            cookiecutter(
                str(template), no_input=True, extra_context=prompts, output_dir=str(folder)
            )
        )

    return project


@pytest.fixture(scope="session")
def project(generate: Generate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the default answers, to look at and not to change."""
    return generate(tmp_path_factory.mktemp("project"))
