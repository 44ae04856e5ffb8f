"""Generate where something is missing or in the way; numbered as in CONTRIBUTING.md."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT, Generate, tree
from cookiecutter.exceptions import OutputDirExistsException
from test_prompts import run

NETWORK = {"asyncio", "ftplib", "http", "smtplib", "socket", "ssl", "urllib", "xmlrpc"}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_first_commit_holds_everything(generate: Generate, tmp_path: Path) -> None:
    for remote in ("local", "s3"):
        project = generate(tmp_path / remote, dvc_remote=remote)
        assert git(project, "log", "--format=%an %s") == "Ada Start from ml-cicd-template"
        assert git(project, "branch", "--show-current") == "main"
        assert not git(project, "status", "--porcelain")
        ignored = set() if remote == "local" else {"data/raw/sample.csv"}
        assert set(git(project, "ls-files").splitlines()) == set(tree(project)) - ignored


def test_last_lines_say_what_to_type(template: Path, tmp_path: Path) -> None:
    done = run(template, tmp_path)
    assert done.stdout.splitlines()[-3:] == ["  cd credit-risk", "  make setup", "  make run"]
    assert not done.stderr


def test_66_folder_that_exists_is_left_alone(generate: Generate, tmp_path: Path) -> None:
    (generate(tmp_path) / "params.yaml").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(OutputDirExistsException):
        generate(tmp_path)
    assert tree(tmp_path) == before


def test_67_refusal_leaves_an_overwritten_project_alone(
    template: Path, generate: Generate, tmp_path: Path
) -> None:
    (generate(tmp_path) / "mine").write_text("mine")
    before = tree(tmp_path)
    assert run(template, tmp_path, "-f", "author= ").returncode == 1
    assert tree(tmp_path) == before


def test_68_69_no_git_and_no_dvc(template: Path, tmp_path: Path) -> None:
    done = run(template, tmp_path, PATH=str(tmp_path))
    assert done.returncode == 0
    assert "Git is missing" in done.stdout
    assert not (tmp_path / "credit-risk/.git").exists()


def test_git_does_not_know_who_it_is(template: Path, tmp_path: Path) -> None:
    done = run(template, tmp_path, GIT_CONFIG_GLOBAL=os.devnull)
    assert done.returncode == 0
    assert "git config --global user.name" in done.stdout
    assert "A  LICENSE" in git(tmp_path / "credit-risk", "status", "--short")


def test_70_no_network(template: Path, tmp_path: Path) -> None:
    apart = ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*apart, "true"]).returncode:
        pytest.skip("this system does not let the test take the network away")
    command = [*apart, sys.executable, "-m", "cookiecutter", "--no-input", template]
    subprocess.run([*command, "-o", tmp_path], check=True)
    assert (tmp_path / "credit-risk/LICENSE").exists()


@pytest.mark.parametrize("hook", ["pre_gen_project.py", "post_gen_project.py"])
def test_70_hooks_need_the_standard_library_only(hook: str) -> None:
    nodes = list(ast.walk(ast.parse((ROOT / "hooks" / hook).read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    roots = {name.partition(".")[0] for name in names}
    assert roots <= sys.stdlib_module_names - NETWORK


def test_71_nothing_may_be_written(template: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    folder = Path("/proc") if os.access(tmp_path, os.W_OK) else tmp_path  # root may write anywhere
    done = run(template, folder)
    tmp_path.chmod(0o755)
    assert done.returncode == 1
    assert "Unable to create directory" in done.stderr
    assert not list(tmp_path.iterdir())


def test_72_no_home(template: Path, tmp_path: Path) -> None:
    assert run(template, tmp_path, HOME="/proc/none").returncode == 0
    assert (tmp_path / "credit-risk/LICENSE").exists()


def test_73_no_locale(template: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        f'default_context: {{author: "Zoë \N{ROCKET}"}}\nreplay_dir: {tmp_path}', encoding="utf-8"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    folder = tmp_path / "Zoë"
    done = run(template, folder, COOKIECUTTER_CONFIG=str(settings), **plain)
    assert done.returncode == 0, done.stderr
    stated = tomllib.loads((folder / "credit-risk/pyproject.toml").read_text(encoding="utf-8"))
    assert stated["project"]["authors"] == [{"name": "Zoë \N{ROCKET}"}]


def test_74_line_ends_stay(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text("[core]\nautocrlf = true\n[user]\nname = Ada\nemail = ada@example.com\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    assert run(template, tmp_path).returncode == 0
    git(tmp_path, "clone", "-q", "credit-risk", "clone")
    files = tree(tmp_path / "clone")
    assert files == tree(tmp_path / "credit-risk")
    texts = {name: content for name, content in files.items() if b"\0" not in content}
    assert not [name for name, content in texts.items() if b"\r\n" in content]


def test_76_inside_another_repository(template: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    done = run(template, tmp_path)
    assert "A Git repository is here already" in done.stdout
    assert not (tmp_path / "credit-risk/.git").exists()
    assert git(tmp_path, "status", "--porcelain") == "?? credit-risk/"


@pytest.mark.parametrize("hook", ["pre_gen_project.py", "post_gen_project.py"])
def test_77_hook_is_ended(template: Path, tmp_path: Path, hook: str) -> None:
    copy, folder = shutil.copytree(template, tmp_path / "template"), tmp_path / "out"
    script = copy / "hooks" / hook
    script.write_text("import os; os.kill(os.getpid(), 15)\n" + script.read_text())
    assert run(copy, folder).returncode == 1
    assert not list(folder.iterdir())


def test_77_cookiecutter_is_ended(template: Path, project: Path, tmp_path: Path) -> None:
    copy, folder = shutil.copytree(template, tmp_path / "template"), tmp_path / "out"
    script = copy / "hooks/post_gen_project.py"
    script.write_text("import os; os.kill(os.getppid(), 15)\n" + script.read_text())
    assert run(copy, folder).returncode == -15
    assert tree(folder / "credit-risk") == tree(project)


def test_78_optimized_python_checks_as_well(template: Path, tmp_path: Path) -> None:
    done = run(template, tmp_path, "project_slug=class", PYTHONOPTIMIZE="2")
    assert done.returncode == 1
    assert "project_slug must not be a word of Python" in done.stderr
    assert not list(tmp_path.iterdir())


def test_79_the_same_answers_give_the_same_bytes(generate: Generate, tmp_path: Path) -> None:
    one, two = (generate(tmp_path / name, dvc_remote="s3") for name in ("one", "two"))
    assert tree(one) == tree(two)
    assert [(one / name).stat().st_mode for name in tree(one)] == [
        (two / name).stat().st_mode for name in tree(two)
    ]


def test_80_unknown_prompt_is_ignored(generate: Generate, project: Path, tmp_path: Path) -> None:
    assert tree(generate(tmp_path, no_such_prompt="x")) == tree(project)
