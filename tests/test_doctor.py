"""Everything the doctor can find is provoked once; what it tells to type is typed."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import s3 as server
import yaml
from shell import ENV, dvc, run

Env = dict[str, str]
MODEL = "models/model.safetensors"
TRAIN = "data/prepared/train.parquet"
PICTURE = "reports/evaluation.png"
SCORES = "metrics/quality.json"
SAMPLE = "data/raw/sample.csv"
CODE = "pipeline/slices.py"


def doctor(project: Path, *options: str, code: int = 0, env: Env | None = None) -> list[str]:
    """The doctor's lines."""
    said = run(sys.executable, "-m", "ops", "doctor", *options, cwd=project, code=code, env=env)
    assert "Traceback" not in said
    return said.splitlines()


def one(lines: list[str], *words: str) -> str:
    """The only line that holds all of `words`."""
    found = [line for line in lines if all(word in line for word in words)]
    assert len(found) == 1, "\n".join(lines)
    return found[0]


def typed(command: str, project: Path) -> None:
    """Type what the doctor says."""
    env = {**os.environ, **ENV}
    done = subprocess.run(command, shell=True, cwd=project, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def failures(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("FAIL")]


def edit(path: Path, pattern: str, by: str) -> None:
    """Replace what must be there."""
    text, count = re.subn(pattern, by, path.read_text(), flags=re.MULTILINE)
    assert count
    path.write_text(text)


def commit(project: Path) -> None:
    run("git", "add", "--all", cwd=project)
    run("git", "commit", "-qm", "More", cwd=project)


def lock(project: Path, out: str) -> tuple[str, int]:
    """Md5 and size of an output in dvc.lock."""
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"].values()
    return next((o["md5"], o["size"]) for s in stages for o in s["outs"] if o["path"] == out)


def cached(project: Path, out: str) -> Path:
    md5 = lock(project, out)[0]
    return project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def stored(project: Path, out: str) -> Path:
    storage = project.parent / f"{project.name}-storage"
    return storage / cached(project, out).relative_to(project / ".dvc/cache")


def alter(file: Path, mode: int = 0o444) -> None:
    """One bit is no longer what it was; the size is."""
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    file.chmod(mode)


@pytest.fixture(scope="module")
def pushed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A healthy project: trained, committed, pushed to the folder beside it."""
    project = tmp_path_factory.mktemp("pushed") / trained.name
    shutil.copytree(trained, project, symlinks=True)
    dvc("push", cwd=project)
    return project


@pytest.fixture
def project(pushed: Path, tmp_path: Path) -> Path:
    """The healthy project and its storage, to break."""
    for name in (pushed.name, f"{pushed.name}-storage"):
        shutil.copytree(pushed.parent / name, tmp_path / name, symlinks=True)
    return tmp_path / pushed.name


def test_a_healthy_project_is_told_so(project: Path) -> None:
    lines = doctor(project)
    assert {line.split()[0] for line in lines} == {"ok"}
    assert len(lines) == 7


def test_the_checks_are_one_document_of_json(project: Path) -> None:
    verb = "from ops.doctor.doctor import main; main(offline=True, as_json=True)"
    code = f"from core.runner import run_verb\ndef work():\n    {verb}\nrun_verb('doctor', work)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=project, capture_output=True)
    assert (done.returncode, json.loads(done.stdout)["passed"]) == (0, True)
    (project / CODE).unlink()
    done = subprocess.run(command, cwd=project, capture_output=True)
    content = json.loads(done.stdout)
    assert (done.returncode, content["passed"]) == (1, False)
    failed = [one for one in content["checks"] if one["level"] == "FAIL"]
    assert [one["fix"] for one in failed] == [f"git checkout HEAD -- {CODE}"]


def test_a_fresh_project_is_no_failure(generate: Callable[..., Path], tmp_path: Path) -> None:
    lines = doctor(generate(tmp_path))
    assert "dvc repro" in one(lines, "note", "no dvc.lock")
    assert "the first `dvc push` makes it" in one(lines, "ok", "storage")


def test_results_that_are_not_pushed_are_a_warning_without_storage(trained_copy: Path) -> None:
    assert "dvc push" in one(doctor(trained_copy), "warn", "not pushed yet")


def test_a_module_that_dvc_yaml_does_not_name_is_told(project: Path) -> None:
    (project / "pipeline/extra.py").write_text("RATE = 2\n")
    _append("pipeline/features.py", "\nfrom pipeline import extra  # noqa\n")(project)
    commit(project)
    lines = doctor(project, code=1)
    start = lines.index(one(lines, "FAIL", "deps", "train imports pipeline/extra.py"))
    assert lines[start].endswith("->  add to dvc.yaml:")
    assert lines[start + 1 : start + 4] == ["  train:", "    deps:", "      - pipeline/extra.py"]
    edit(project / "dvc.yaml", "^      - pipeline/features.py", r"\g<0>\n      - pipeline/extra.py")
    assert not [line for line in doctor(project, code=1) if "deps  " in line]
    (project / "pipeline/extra.py").write_text("RATE = (\n")
    one(doctor(project, code=1), "FAIL", "pipeline/extra.py:1: ", "edit pipeline/extra.py")


def test_what_dvc_draws_is_not_for_git(trained_copy: Path) -> None:
    dvc("plots", "diff", cwd=trained_copy)
    assert (trained_copy / "dvc_plots/index.html").exists()
    assert run("git", "status", "--porcelain", cwd=trained_copy) == ""


def test_after_bad_data_was_put_right_it_is_run_again(project: Path) -> None:
    # as a refused run leaves it: prepare's entry is of the bad data, validate was cut off
    (project / "reports/validated.json").unlink()
    _edit("dvc.lock", r"(- path: data/raw\n.*\n?      md5: )\w+", r"\g<1>" + "0" * 32)(project)
    validation = project / "reports/validation.json"
    text = validation.read_text()
    validation.unlink()
    validation.write_text(text + "\n")
    dvc("checkout", cwd=project, code=255)
    line = one(doctor(project, code=1), "note", "validated.json in the cache, not in the folder")
    assert line.endswith("->  dvc repro")
    typed("dvc repro", project)
    assert not failures(doctor(project, "--offline"))


def test_a_deleted_file_comes_back_from_git(project: Path) -> None:
    names = ["README.md", "plots/test/roc.csv"]
    for name in names:
        (project / name).unlink()
    line = one(doctor(project, code=1), "note", "deleted: ")
    assert line.endswith("->  git checkout HEAD -- README.md plots/test/roc.csv")
    for name in (SAMPLE, *names, CODE, SCORES):
        (project / name).unlink(missing_ok=True)
    said = run(sys.executable, "-m", "pipeline.prepare", cwd=project, code=2)
    assert f"git checkout HEAD -- {SAMPLE}" in said
    line = one(doctor(project, code=1), "note", "deleted: ")
    typed(line.split("  ->  ")[1], project)
    assert not failures(doctor(project, "--offline"))


class Case(NamedTuple):
    """How something is broken, words of the line about it, and how its command starts."""

    breaks: Callable[[Path], object]
    words: tuple[str, ...]
    fix: str


def _append(name: str, text: str = "\n") -> Callable[[Path], object]:
    return lambda project: (project / name).write_text((project / name).read_text() + text)


def _write(name: str, text: str) -> Callable[[Path], object]:
    return lambda project: (project / name).write_text(text)


def _edit(name: str, pattern: str, by: str) -> Callable[[Path], object]:
    return lambda project: edit(project / name, pattern, by)


def _remove(name: str) -> Callable[[Path], object]:
    def breaks(project: Path) -> None:
        path = project / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return breaks


def _no_commit(project: Path) -> None:
    shutil.rmtree(project / ".git")
    run("git", "init", "-q", "-b", "main", cwd=project)


def _secret(project: Path) -> None:
    _append(".dvc/config", "['remote \"other\"']\n    url = s3://b/c\n    secret_access_key = x\n")(
        project
    )


def _local_config(project: Path) -> None:
    (project / ".dvc/config.local").write_text("[core]\n")
    run("git", "add", "-f", ".dvc/config.local", cwd=project)


def _storage_is_a_file(project: Path) -> None:
    storage = project.parent / f"{project.name}-storage"
    shutil.rmtree(storage)
    storage.write_text("a file\n")


def _lock_gone_from_git(project: Path) -> None:
    (project / "dvc.lock").unlink()
    commit(project)


def _altered(mode: int) -> Callable[[Path], object]:
    return lambda project: alter(cached(project, MODEL), mode)


def _altered_and_copied(project: Path) -> None:
    alter(cached(project, MODEL))
    shutil.copy(cached(project, MODEL), project / MODEL)  # as `dvc checkout` would


def _altered_not_stored(project: Path) -> None:
    alter(cached(project, PICTURE))
    stored(project, PICTURE).unlink()


def _in_the_folder_only(project: Path) -> None:
    cached(project, TRAIN).unlink()
    stored(project, TRAIN).unlink()


def _not_pushed(project: Path) -> None:
    stored(project, PICTURE).unlink()


def _short(project: Path) -> None:
    file = stored(project, TRAIN)
    file.chmod(0o644)
    file.write_bytes(b"corrupted")


def _data_added(project: Path) -> None:
    (project / "data/more").mkdir(exist_ok=True)
    (project / "data/more/more.csv").write_text("a,b\n1,2\n")
    dvc("add", "data/more/more.csv", cwd=project)
    commit(project)


def _data_edited(project: Path) -> None:
    _data_added(project)
    dvc("push", "data/more/more.csv", cwd=project)
    (project / "data/more/more.csv").write_text("a,b\n1,3\n")


def _data_lost(project: Path) -> None:
    _data_added(project)
    _object(project, "data/more/more.csv").unlink()
    (project / "data/more/more.csv").unlink()


def _object(project: Path, name: str) -> Path:
    """Where the cache has what a .dvc file names."""
    md5 = yaml.safe_load((project / f"{name}.dvc").read_text())["outs"][0]["md5"]
    return project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def _folder_added(project: Path) -> Path:
    parts = project / "data/more/parts"
    parts.mkdir(parents=True)
    for n in range(3):
        (parts / f"{n}.csv").write_text(f"a,b\n{n},2\n")
    dvc("add", "data/more/parts", cwd=project)
    dvc("push", "data/more/parts", cwd=project)
    commit(project)
    return _object(project, "data/more/parts")


def _altered_list(project: Path) -> None:
    alter(_folder_added(project))


def _altered_file(project: Path) -> None:
    files = json.loads(_folder_added(project).read_text())
    md5 = next(file["md5"] for file in files if file["relpath"] == "1.csv")
    alter(project / ".dvc/cache/files/md5" / md5[:2] / md5[2:])


_lock_gone = _remove("dvc.lock")
_not_verified = _edit(".dvc/config", "verify = true", "verify = false")
_no_default = _edit(".dvc/config", "    remote = .*\n", "")
_no_remote = _edit(".dvc/config", "    remote = (.*\n)*", "")
_parameter = _edit("params.yaml", "importance_rows: 2000", "importance_rows: 50")

# What is broken together does not hide one another.
FIXED_AS_TOLD = {
    "results": [
        Case(_altered(0o644), (f"{MODEL} altered in the cache",), "rm -f .dvc/cache/"),
        Case(_not_pushed, (f"{PICTURE} would be lost: committed, not pushed",), "dvc push"),
        Case(_short, (f"{TRAIN} altered in the storage: 9 bytes there",), "cp -f .dvc/cache/"),
        Case(_remove(SAMPLE), (f"{SAMPLE}: no such file",), f"git checkout HEAD -- {SAMPLE}"),
        Case(_remove(CODE), (f"{CODE}: no such file",), f"git checkout HEAD -- {CODE}"),
        Case(_remove(SCORES), (f"{SCORES}: no such file",), f"git checkout HEAD -- {SCORES}"),
    ],
    "data": [
        Case(_altered(0o444), (f"{MODEL} altered in the cache",), "rm -f .dvc/cache/"),
        Case(_altered_file, ("data/more/parts/1.csv altered in the cache",), "rm -f .dvc/cache/"),
        Case(_data_edited, ("data/more/more.csv not as data/more/more.csv.dvc",), "dvc add data"),
    ],
    "copied": [
        Case(_altered_and_copied, (f"{MODEL} altered in the cache",), "rm -f .dvc/cache/"),
        Case(_altered_list, ("data/more/parts altered in the cache",), "rm -f .dvc/cache/"),
    ],
    "settings of DVC": [
        Case(_not_verified, ("storage", "verify is not on"), "dvc remote modify storage verify"),
        Case(_secret, (".dvc/config:10: secret_access_key",), "dvc remote modify --unset"),
        Case(_local_config, ("secrets", ".dvc/config.local is in Git"), "git rm --cached .dvc/"),
        Case(_lock_gone, ("dvc.lock is gone",), "git checkout HEAD -- dvc.lock"),
    ],
    "a parameter": [
        Case(_parameter, ("evaluate: changed since it ran: params.yaml: evaluate",), "dvc repro"),
    ],
    "no default": [Case(_no_default, ("no default remote",), "dvc remote default storage")],
    "no remote": [Case(_no_remote, ("no default remote",), "dvc remote add -d storage")],
    "no DVC": [Case(_remove(".dvc/config"), (".dvc/config: no",), "git checkout HEAD -- .dvc")],
    "a cut lock of DVC": [
        Case(_write(".dvc/tmp/rwlock", '{"write": {'), (".dvc/tmp/rwlock", "cut off"),
             "rm .dvc/tmp/rwlock"),
    ],
    "no folder": [Case(_storage_is_a_file, ("storage", "is not a folder"), "mv ")],
    "no repository": [Case(_remove(".git"), ("git", "not a repository"), "git init -b main &&")],
    "no commit": [Case(_no_commit, ("git", "no commit yet"), "git add -A && git commit")],
    "no params.yaml": [
        Case(_remove("params.yaml"), ("params", "no such file"), "git checkout HEAD -- params"),
    ],
}  # fmt: skip
LEFT_TO_THE_USER = {
    "files": [
        Case(_edit("params.yaml", "patience:", "patiense:"),
             ("train.patiense: unknown key (did you mean 'patience'?)",), "edit params.yaml"),
        Case(_edit("schema.yaml", "isin:", "isinn:"),
             ("columns.gender.checks.isinn: unknown check",), "edit schema.yaml"),
        Case(_edit("gates.yaml", "min: 0.75", "mni: 0.75"),
             ("mni: unknown key",), "edit gates.yaml"),
        Case(_edit("retrain.yaml", "max_age_days:", "max_age:"),
             ("schedule.max_age: unknown key (did you mean 'max_age_days'?)",),
             "edit retrain.yaml"),
        Case(_edit("machine.yaml", "timeout_minutes: 120", "timeout_minutes: 2"),
             ("timeout_minutes: found 2",), "edit machine.yaml"),
        Case(_append("core/tables.py"), ("prepare: changed", "core/tables.py"), "dvc repro"),
        Case(_edit("dvc.yaml", "python -m pipeline.validate", "python -O -m pipeline.validate"),
             ("validate: changed since it ran: its command",), "dvc repro"),
        Case(_edit("dvc.lock", r"^  train:(\n    .*)+\n", ""), ("train: has not",), "dvc repro"),
        Case(_append(SCORES), ("evaluate: changed since it ran", SCORES), "dvc repro"),
        Case(_altered_not_stored, (f"{PICTURE} altered in the cache",), "rm -f"),
        Case(_in_the_folder_only, (f"{TRAIN} in the folder only",), "dvc commit -f prepare"),
        Case(_data_lost, ("data/more/more.csv lost",), "get data/more/more.csv from elsewhere"),
    ],
    "python": [
        Case(_edit("pyproject.toml", "^requires-python.*", 'requires-python = ">=3.99"'),
             ("python", "pyproject.toml wants >=3.99"), "make the environment anew"),
        Case(_append("requirements.txt", "no-such-package==1.0\n"),
             ("packages", "not installed: no-such-package"), "pip install -r requirements.txt"),
    ],
    "address": [
        Case(_edit(".dvc/config", "url = .*", "url = ssh://me:secret@127.0.0.1:1/x"),
             (".dvc/config:6: an address with a password",), "edit .dvc/config"),
        Case(lambda _: None, ("requires 'dvc-ssh' to be installed",), "pip install dvc-ssh"),
    ],
    "configuration": [
        Case(_edit(".dvc/config", "verify", "verfiy"), ("config file error",), "edit .dvc/config"),
    ],
    "lock not in Git": [
        Case(_lock_gone_from_git, ("dvc.lock is gone: nobody can get the data",), "dvc repro"),
    ],
    "lock cut off": [
        Case(_write("dvc.lock", "stages: ["), ("data", "dvc.lock", "corrupted"), "rm dvc.lock &&"),
    ],
    "lock empty": [Case(_write("dvc.lock", ""), ("data", "dvc.lock"), "rm dvc.lock && dvc repro")],
    "stages": [
        Case(_write("dvc.yaml", "stages: {}\n"),
             ("stage prepare and validate and train and evaluate missing",), "edit dvc.yaml"),
    ],
    "stage": [
        Case(_edit("dvc.yaml", "^  evaluate:", "  evaluated:"),
             ("stage evaluate missing",), "edit dvc.yaml"),
    ],
    "dvc.yaml": [
        Case(_edit("dvc.yaml", "^    deps:", "    dep:"),
             ("extra keys not allowed @ data['stages']['prepare']['dep']",), "edit dvc.yaml"),
    ],
    "params.yaml": [
        Case(_append("params.yaml", "\t- : ["), ("params.yaml:", "not valid"), "edit params.yaml"),
    ],
}  # fmt: skip


def found(project: Path, cases: list[Case]) -> list[str]:
    """Break all of it; the commands that the doctor has for it."""
    for case in cases:
        case.breaks(project)
    lines = doctor(project, code=1)
    fixes = []
    for case in cases:
        line = one(lines, "FAIL", *case.words)
        fixes.append(line.split("  ->  ")[1])
        assert fixes[-1].startswith(case.fix)
    return fixes


@pytest.mark.parametrize("name", FIXED_AS_TOLD)
def test_the_command_fixes_it(project: Path, name: str) -> None:
    for fix in found(project, FIXED_AS_TOLD[name]):
        typed(fix, project)
    doctor(project)


@pytest.mark.parametrize("name", LEFT_TO_THE_USER)
def test_it_is_found(project: Path, name: str) -> None:
    found(project, LEFT_TO_THE_USER[name])


def test_another_version_is_a_warning(project: Path) -> None:
    edit(project / "requirements.txt", "^rich==.*", "rich==1.0")
    assert "pip install" in one(doctor(project), "warn", "packages", "rich", "pinned ==1.0")


def test_what_is_not_committed_is_a_note(project: Path) -> None:
    (project / "README.md").write_text("Mine\n")
    _append(".gitignore", "# more\n")(project)
    lines = doctor(project)
    one(lines, "note", "changed since the last commit: .gitignore", "git commit -a")


def test_conflict_markers_are_told_with_their_line(project: Path) -> None:
    _data_added(project)
    mark = "<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n"
    settings = ["params", "schema", "gates", "retrain", "machine", "dvc"]
    names = [*(f"{name}.yaml" for name in settings), "data/more/more.csv.dvc"]
    for name in names:
        path = project / name
        path.write_text("\n\n" + mark + path.read_text())
    lines = doctor(project, code=1)
    for name in names:
        assert f"edit {name}" in one(lines, "FAIL", "conflict", f"{name}:3: ")


def test_a_merge_that_leaves_a_conflict_in_the_lock_is_fixed(project: Path) -> None:
    def say(rows: int) -> None:
        edit(project / "dvc.lock", "min_slice_rows: .*", f"min_slice_rows: {rows}")
        commit(project)

    say(29)
    run("git", "checkout", "-qb", "other", cwd=project)
    say(31)
    run("git", "checkout", "-q", "main", cwd=project)
    say(30)
    run("git", "merge", "other", cwd=project, code=1)
    line = one(doctor(project, "--offline", code=1), "FAIL", "conflict", "dvc.lock:")
    fix = line.split("  ->  ")[1]
    assert fix == "git checkout --ours dvc.lock && dvc repro"
    typed(fix, project)
    assert not failures(doctor(project, "--offline"))


def test_a_fresh_clone_is_told_to_pull(project: Path) -> None:
    clone = project.parent / "elsewhere" / project.name
    run("git", "clone", "-q", str(project), str(clone), cwd=project)
    beside = f"{project.name}-storage"
    (clone.parent / beside).symlink_to(project.parent / beside)
    assert "dvc pull" in one(doctor(clone), "note", "in the storage, not here")
    one(doctor(clone, "--offline"), "warn", "the storage was not asked", "dvc pull")
    dvc("pull", cwd=clone)
    assert {line.split()[0] for line in doctor(clone)} == {"ok"}
    (clone / MODEL).unlink()
    one(doctor(clone), "note", f"{MODEL} in the cache, not in the folder", "dvc checkout")
    (clone.parent / beside).unlink()
    shutil.rmtree(clone / ".dvc/cache")
    one(doctor(clone), "warn", f"{MODEL} lost", "dvc repro")


def test_another_process_of_dvc_is_a_warning(project: Path) -> None:
    holds = "from dvc.repo import Repo\nwith Repo('.').lock: print('held', flush=True); input()"
    command = [sys.executable, "-c", holds]
    with subprocess.Popen(command, cwd=project, stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        one(doctor(project), "warn", "another DVC process is at work")
        holder.communicate("\n")


# The same with a bucket.


@pytest.fixture
def in_s3(project: Path, s3: server.S3) -> Path:
    """The healthy project, its storage a bucket."""
    dvc("remote", "modify", "storage", "url", f"s3://{server.BUCKET}/dvc", cwd=project)
    commit(project)
    dvc("push", cwd=project, env=s3)
    return project


def test_a_bucket_that_holds_everything(in_s3: Path, s3: server.S3) -> None:
    lines = doctor(in_s3, env=s3)
    assert {line.split()[0] for line in lines} == {"ok"}
    one(lines, "storage", f"s3://{server.BUCKET}/dvc")


def test_objects_missing_from_a_bucket_or_altered_there(in_s3: Path, s3: server.S3) -> None:
    bucket = server.client(s3)
    key = {name: next(key for key in server.keys(s3) if lock(in_s3, name)[0][2:] in key)
           for name in (MODEL, TRAIN)}  # fmt: skip
    bucket.delete_object(Bucket=server.BUCKET, Key=key[MODEL])
    bucket.put_object(Bucket=server.BUCKET, Key=key[TRAIN], Body=b"corrupted")
    lines = doctor(in_s3, code=1, env=s3)
    one(lines, "FAIL", f"{MODEL} would be lost", "dvc push")
    line = one(lines, "FAIL", f"{TRAIN} altered in the storage: 9 bytes there")
    copy, file, address = line.split("  ->  ")[1].rsplit(maxsplit=2)
    assert copy == "aws s3 cp"
    assert in_s3 / file == cached(in_s3, TRAIN)
    assert address == f"s3://{server.BUCKET}/{key[TRAIN]}"


def test_no_such_bucket(in_s3: Path, s3: server.S3) -> None:
    dvc("remote", "modify", "storage", "url", "s3://another-bucket/dvc", cwd=in_s3)
    line = one(doctor(in_s3, code=1, env=s3), "FAIL", "s3://another-bucket: no such bucket")
    assert "aws s3 mb s3://another-bucket" in line


def test_no_credentials(in_s3: Path, s3: server.S3, tmp_path: Path) -> None:
    nobody = {name: "" for name in s3 if "KEY" in name}
    nobody |= {"AWS_ENDPOINT_URL": s3["AWS_ENDPOINT_URL"], "HOME": str(tmp_path)}
    nobody["AWS_EC2_METADATA_DISABLED"] = "true"
    line = one(doctor(in_s3, code=1, env=nobody), "FAIL", "no AWS credentials")
    assert "AWS_ACCESS_KEY_ID" in line


@pytest.fixture(params=["refuses", "is silent"])
def bad_endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if request.param == "is silent":
            listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_does_not_answer(in_s3: Path, s3: server.S3, bad_endpoint: str) -> None:
    env = s3 | {"AWS_ENDPOINT_URL": bad_endpoint}
    lines = doctor(in_s3, code=1, env=env)
    assert "--offline" in one(failures(lines), "storage", f"s3://{server.BUCKET}", bad_endpoint)
    assert not failures(doctor(in_s3, "--offline", env=env))


def test_a_project_made_for_s3_is_told_to_push(
    generate: Callable[..., Path], tmp_path: Path, s3: server.S3
) -> None:
    made = generate(tmp_path, dvc_remote="s3")
    one(doctor(made, code=1, env=s3), "FAIL", "data/raw/sample.csv would be lost", "dvc push")
    dvc("push", cwd=made, env=s3)
    doctor(made, env=s3)
    clone = tmp_path / "clone"
    run("git", "clone", "-q", str(made), str(clone), cwd=tmp_path)
    line = one(doctor(clone, env=s3), "note", "in the storage, not here")
    dvc(*line.split("  ->  dvc ")[1].split(), cwd=clone, env=s3)
    assert (clone / "data/raw/sample.csv").exists()
