"""What a generated project consists of, and that its files are sound where they stand."""

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path, PurePosixPath

import pytest
import yaml
from conftest import FOLDER, ROOT, Generate, tree
from dvc.config import Config

FILES = """
.dvc/.gitignore
.dvc/config
.dvcignore
.gitattributes
.gitignore
.python-version
.yamllint.yaml
LICENSE
Makefile
README.md
data/raw/sample.csv
data/reference/profile.json
docs/another-model.md
docs/comment.png
docs/evaluation.png
dvc.yaml
gates.yaml
machine.yaml
mypy.ini
params.yaml
pyproject.toml
requirements.txt
retrain.yaml
ruff.toml
schema.yaml

.github/dependabot.yml
.github/workflows/ci.yml
.github/workflows/comment.yml
.github/workflows/monitor.yml
.github/workflows/reaper.yml
.github/workflows/release.yml
.github/workflows/retrain.yml
.github/workflows/train.yml

core/__init__.py
core/checkpoint_upload.py
core/csv_reader.py
core/dvc_config.py
core/errors.py
core/files.py
core/git.py
core/markdown.py
core/paths.py
core/pictures.py
core/runner.py
core/tables.py
core/validation/__init__.py
core/validation/check_schema.py
core/validation/column_drift.py
core/validation/fast_checks.py
core/validation/findings.py
core/validation/profile.py
core/validation/schema.py
core/yaml_edit.py
core/yaml_io.py

pipeline/__init__.py
pipeline/checkpoint.py
pipeline/data_checks.py
pipeline/dataset.py
pipeline/evaluate.py
pipeline/features.py
pipeline/latency.py
pipeline/linear.py
pipeline/metrics.py
pipeline/model.py
pipeline/network.py
pipeline/network_model.py
pipeline/optimizer.py
pipeline/params.py
pipeline/plots.py
pipeline/prepare.py
pipeline/slices.py
pipeline/split.py
pipeline/train.py
pipeline/training_loop.py
pipeline/validate.py

ops/__init__.py
ops/__main__.py
ops/adopt/__init__.py
ops/adopt/adopt.py
ops/adopt/arguments.py
ops/adopt/infer.py
ops/adopt/plots.yaml
ops/adopt/trial.py
ops/checkout.py
ops/cli.py
ops/compare.py
ops/doctor/__init__.py
ops/doctor/dependencies.py
ops/doctor/doctor.py
ops/doctor/environment.py
ops/doctor/git.py
ops/doctor/lock.py
ops/doctor/storage.py
ops/doctor/tracked.py
ops/dvc_lock.py
ops/gates/__init__.py
ops/gates/behaviour.py
ops/gates/bootstrap.py
ops/gates/context.py
ops/gates/fairness.py
ops/gates/gate.py
ops/gates/gates_yaml.py
ops/gates/regression.py
ops/gates/thresholds.py
ops/machines/README.md
ops/machines/__init__.py
ops/machines/account.py
ops/machines/azure_token.py
ops/machines/bootstrap.py
ops/machines/bootstrap.yaml
ops/machines/cml_command.py
ops/machines/ec2.py
ops/machines/gcp_azure.py
ops/machines/github.py
ops/machines/github_runners.py
ops/machines/launch.py
ops/machines/lifetime.py
ops/machines/machine.py
ops/machines/machine_yaml.py
ops/machines/reap.py
ops/machines/stack.py
ops/monitoring/__init__.py
ops/monitoring/batches.py
ops/monitoring/check_batch.py
ops/monitoring/drift.py
ops/monitoring/ingest.py
ops/monitoring/new_rows.py
ops/monitoring/performance.py
ops/monitoring/plot_drift.py
ops/monitoring/reference.py
ops/monitoring/retrain_yaml.py
ops/monitoring/trigger.py
ops/registry/__init__.py
ops/registry/card_facts.py
ops/registry/lineage.py
ops/registry/model_card.py
ops/registry/register.py
ops/registry/registry.py
ops/registry/verify.py
ops/report/__init__.py
ops/report/changes.py
ops/report/context.py
ops/report/cost.py
ops/report/details.py
ops/report/html.py
ops/report/log.py
ops/report/mermaid.py
ops/report/report.py
ops/report/reproduce.py
ops/report/scores.py
ops/report/stages.py
ops/serving/__init__.py
ops/serving/predict.py
ops/serving/streaming.py
ops/snapshot.py
ops/tags.py

tests/code/test_checks.py
tests/code/test_config.py
tests/code/test_dependencies.py
tests/code/test_drift.py
tests/code/test_evaluation.py
tests/code/test_features.py
tests/code/test_metrics.py
tests/code/test_model.py
tests/code/test_network.py
tests/code/test_optimizer.py
tests/code/test_plots.py
tests/code/test_resume.py
tests/code/test_schema.py
tests/code/test_split.py
tests/code/test_stages.py
tests/code/test_training.py
tests/conftest.py
tests/data/test_contract.py
tests/model/critical_cases.csv
tests/model/test_behaviour.py
"""

FILES_OF = {
    "local": [],
    "s3": ["data/raw/.gitignore", "data/raw/sample.csv.dvc"],
}

JINJA = re.compile(rb"\{\{[^{}]*cookiecutter|\{%-? ")
NOT_ON_WINDOWS = re.compile(r'[<>:"|?*\\\x00-\x1f]|[ .]$')


def in_place(*command: str, folder: Path = ROOT / FOLDER) -> None:
    """Run a linter of this environment where the template stands, leaving no cache in it."""
    caches = {"RUFF_NO_CACHE": "true", "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache")}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=os.environ | caches,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("remote", ["local", "s3"])
def test_exactly_these_files(generate: Generate, tmp_path: Path, remote: str) -> None:
    project = generate(tmp_path, dvc_remote=remote)
    assert sorted(tree(project)) == sorted(FILES.split() + FILES_OF[remote])


def test_no_jinja_is_left(project: Path) -> None:
    assert not [name for name, content in tree(project).items() if JINJA.search(content)]


def test_few_files_hold_jinja(template: Path) -> None:
    files = tree(template / FOLDER)
    assert len([name for name, content in files.items() if JINJA.search(content)]) <= 6


def test_same_names_on_every_system(project: Path) -> None:
    names = [PurePosixPath(name) for name in tree(project)]
    assert not [name for name in names if any(map(NOT_ON_WINDOWS.search, name.parts))]
    assert len({str(name).lower() for name in names}) == len(names)


def test_the_sample_is_the_one_that_dvc_tracks(generate: Generate, tmp_path: Path) -> None:
    project = generate(tmp_path, dvc_remote="s3")
    sample = (project / "data/raw/sample.csv").read_bytes()
    md5 = hashlib.md5(sample).hexdigest()
    tracked = yaml.safe_load((project / "data/raw/sample.csv.dvc").read_text())
    assert tracked["outs"] == [
        {"md5": md5, "size": len(sample), "hash": "md5", "path": "sample.csv"}
    ]
    assert (project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).read_bytes() == sample


def storage(project: Path) -> str:
    """The URL that DVC itself reads from the project's settings, after checking all of them."""
    settings = Config(str(project / ".dvc"))
    wanted = {"analytics": False, "autostage": True, "remote": "storage"}
    assert settings["core"].items() >= wanted.items()
    assert settings["remote"]["storage"]["verify"] is True
    return str(settings["remote"]["storage"]["url"])


def test_dvc_keeps_data_beside_the_project(project: Path) -> None:
    assert Path(storage(project)).resolve() == project.with_name("credit-risk-storage")


@pytest.mark.parametrize(
    ("answers", "url"),
    [
        ({}, "s3://credit-risk-storage/dvc"),
        ({"s3_bucket": "ours", "s3_prefix": "a/b"}, "s3://ours/a/b"),
        ({"s3_bucket": "ours", "s3_prefix": ""}, "s3://ours"),
    ],
)
def test_dvc_keeps_data_in_the_bucket(
    generate: Generate, tmp_path: Path, answers: dict[str, str], url: str
) -> None:
    assert storage(generate(tmp_path, dvc_remote="s3", **answers)) == url


def test_the_python_passes_ruff_in_place() -> None:
    in_place("ruff", "check", folder=ROOT)
    in_place("ruff", "format", "--check", folder=ROOT)


def test_the_python_passes_mypy_in_place() -> None:
    in_place("mypy")


def test_the_hooks_pass_mypy_in_place() -> None:
    for hook in sorted((ROOT / "hooks").glob("*.py")):
        in_place("mypy", "--config-file=", "--strict", str(hook))


def test_the_yaml_passes_yamllint_in_place() -> None:
    in_place("yamllint", "--strict", ".")


def test_the_toml_is_valid_in_place() -> None:
    for path in (ROOT / FOLDER).glob("*.toml"):
        tomllib.loads(path.read_text(encoding="utf-8"))


def test_requirements_pin_what_the_project_needs(project: Path) -> None:
    pins = dict(
        line.lower().replace("_", "-").split("==")
        for line in (project / "requirements.txt").read_text().splitlines()
        if not line.startswith("#")
    )
    wanted = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    for need in wanted["dependencies"] + wanted["optional-dependencies"]["dev"]:
        name, _, least = need.lower().partition(">=")
        pinned = pins[name.partition("[")[0]].split(".")
        assert [int(part) for part in pinned[:2]] >= [int(part) for part in least.split(".")], need
