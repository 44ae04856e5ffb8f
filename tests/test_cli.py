"""`ml`: every verb is listed, wrong use is one line and exit 2, and the stages refuse arguments."""

import json
import sys
from pathlib import Path

import inside
import pytest
from shell import run
from trained import Copy

VERBS = ["adopt", "doctor", "gate", "report", "compare", "checkout", "ingest", "drift", "trigger"]
VERBS += ["predict", "card", "registry", "machine", "bootstrap"]


def ml(*words: str, cwd: Path, code: int = 0, env: dict[str, str] | None = None) -> str:
    return run(
        sys.executable, "-m", "ops", *words, cwd=cwd, code=code, env={"COLUMNS": "80"} | (env or {})
    )


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_verb_in_one_line(project: Path, flag: str) -> None:
    lines = ml(flag, cwd=project).splitlines()
    assert all(len(line) <= 80 for line in lines)
    listed = [line.split()[0] for line in lines if line.startswith("  ") and ".  " not in line]
    assert set(VERBS) <= set(listed)
    for verb in VERBS:
        (line,) = (line for line in lines if line.split()[:1] == [verb])
        assert line.endswith((".", "?")), "one line, whole"


def test_help_is_there_outside_of_a_project_and_the_rest_says_where_to_go(tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(inside.TEMPLATE), "PYTHONDONTWRITEBYTECODE": "1"}
    for words in ([], ["gate"], ["registry", "promote"], ["machine", "reap"]):
        assert "Usage: ml" in ml(*words, "-h", cwd=tmp_path, env=env)
    said = ml("gate", cwd=tmp_path, code=2, env=env)
    assert said == "gate: no dvc.yaml here: cd to the folder of your project\n"
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "data").mkdir()
    said = ml("gate", cwd=tmp_path / "data", code=2, env=env)
    assert said == f"gate: no dvc.yaml here: cd {tmp_path}\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("gaet", "ml: no verb 'gaet' (did you mean 'gate'?)"),
        ("registry promot v1 staging", "ml registry: no verb 'promot' (did you mean 'promote'?)"),
        ("adopt", "ml adopt: Missing argument 'file'"),
        ("adopt my.csv", "ml adopt: Missing option '--target'"),
        ("registry promote v1", "ml registry promote: Missing argument 'stage'"),
        ("gate --basline main", "ml gate: No such option: --basline (Possible options: --base"),
        ("gate main", "ml gate: Got unexpected extra argument"),
        ("registry register --bump big", "ml registry register: Invalid value for '--bump'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(project: Path, words: str, says: str) -> None:
    said = ml(*words.split(), cwd=project, code=2)
    assert said.startswith(says)
    assert said.count("\n") == 1
    assert "--help` " in said


def test_a_missing_package_is_one_line(project: Path, tmp_path: Path) -> None:
    """As before `make setup`: of the packages, this Python has none."""
    said = run(sys.executable, "-BIS", "-c", NOTHING, str(project), cwd=tmp_path, code=2)
    assert said == (
        "ml: typer is not installed for this Python: make setup, then . .venv/bin/activate\n"
    )


def test_an_old_python_is_one_line(project: Path, tmp_path: Path) -> None:
    old = "import sys; sys.version_info = (3, 10, 4); sys.version = '3.10.4 (main)';" + NOTHING
    said = run(sys.executable, "-BIS", "-c", old, str(project), cwd=tmp_path, code=2)
    assert said == "ml: Python 3.11 or newer is needed; this is 3.10.4: make setup\n"


NOTHING = "import sys; sys.path.insert(0, sys.argv[1]); from ops.__main__ import main; main()"


@pytest.mark.parametrize("stage", ["prepare", "validate", "train", "evaluate"])
def test_stages_refuse_arguments(project: Path, stage: str) -> None:
    command = (sys.executable, "-m", f"pipeline.{stage}")
    before = {path for path in project.rglob("*") if ".git" not in path.parts}
    for flag in ("-h", "--help"):
        assert "dvc exp run -S train.lr=0.5" in run(*command, flag, cwd=project)
    said = run(*command, "--lr", "0.5", cwd=project, code=2)
    assert f"{stage}: unexpected --lr 0.5" in said
    assert "dvc exp run -S train.lr=0.5" in said
    made = {path for path in project.rglob("*") if ".git" not in path.parts} - before
    assert not [path for path in made if "__pycache__" not in path.parts]


ANSWER = """[
 {"name": null, "data": {"params": {"params.yaml": {"data": PARAMS}}, "metrics": {}}},
 {"name": "main", "rev": "0123", "data": {"params": {"params.yaml": {"data": PARAMS}},
   "metrics": {"metrics/quality.json": {"data": {"roc_auc": 0.8, "log_loss": 0.5, "f1": 0.4}}},
   "deps": {"data/prepared/test.parquet": {"hash": "a"}}},
  "experiments": [
   {"name": "faster", "revs": [{"rev": "4567", "data": {
     "params": {"params.yaml": {"data": FASTER}},
     "metrics": {"metrics/quality.json": {"data": {"roc_auc": 0.85, "log_loss": 0.6}}},
     "deps": {"data/prepared/test.parquet": {"hash": "b"}}}}]},
   {"name": "waits", "revs": [{"rev": "89ab", "data": null}]}]}]"""
PARAMS = '{"data": {"task": "binary"}, "train": {"lr": 0.1, "patience": 3}}'


@pytest.fixture
def answered(project: Path, copy_of: Copy, tmp_path: Path) -> Path:
    """A project in which `dvc exp show --json` answers ANSWER."""
    there = copy_of(project)
    text = ANSWER.replace("PARAMS", PARAMS).replace("FASTER", PARAMS.replace("0.1", "0.2"))
    (there / "dvc.py").write_text(f"print({text!r})\n")
    return there


def test_compare_shows_what_was_changed_best_first(answered: Path) -> None:
    said = ml("compare", cwd=answered)
    lines = said.splitlines()
    assert all(len(line) <= 80 for line in lines)
    names = [line.split()[0] for line in lines if "train.lr" in line]
    assert names == ["faster", "main"]
    assert "0.8500" in said
    assert "train.patience" not in said
    assert "F1" not in said
    assert "Tested on other rows than main, so not comparable: faster" in said
    assert "1 more without a result" in said


def test_compare_as_json_is_one_document(answered: Path) -> None:
    found = json.loads(ml("compare", "--json", cwd=answered))
    assert found["headline"] == ["roc_auc", "log_loss"]
    assert found["changed"] == ["train.lr"]
    assert [one["name"] for one in found["runs"]] == ["faster", "main", "workspace"]
    assert found["runs"][0]["params"] == {"train.lr": 0.2}
    assert found["runs"][1]["metrics"]["f1"] == 0.4
    assert [one["same_test_rows"] for one in found["runs"][:2]] == [False, True]


def test_compare_outside_of_a_repository_is_one_line(project: Path, copy_of: Copy) -> None:
    there = copy_of(project)
    (there / "dvc.py").write_text("import sys; sys.exit('ERROR: you are not inside of DVC')\n")
    said = ml("compare", cwd=there, code=2)
    assert said == "compare: dvc exp show: you are not inside of DVC\n"


def test_compare_before_the_first_commit_of_a_model(answered: Path) -> None:
    """What `make run` ends with the first time: one line of scores, compared with nothing."""
    data = json.loads(ANSWER.replace("PARAMS", PARAMS).replace("FASTER", PARAMS))
    workspace, main = data
    workspace["data"], main["data"]["metrics"] = main["data"].copy(), {}
    main["experiments"] = None
    (answered / "dvc.py").write_text(f"print({json.dumps(json.dumps(data))})\n")
    said = ml("compare", cwd=answered)
    assert "workspace" in said
    assert "main" not in said
    assert "dvc exp run" in said
    workspace["data"]["metrics"] = {}
    (answered / "dvc.py").write_text(f"print({json.dumps(json.dumps(data))})\n")
    assert ml("compare", cwd=answered, code=2) == "compare: no scores yet: make run\n"
