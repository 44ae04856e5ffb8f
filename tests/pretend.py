"""A project that looks trained, made in no time: files as the stages write them, and dvc.lock."""

import contextlib
import csv
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inside import PACKAGES, TEMPLATE, YAML_FILES
from ruamel.yaml import YAML
from shell import run

SCORES = {"accuracy": 0.78, "roc_auc": 0.82, "f1": 0.5, "log_loss": 0.45, "ece": 0.03}
COST = {
    "latency_ms": {"single_row": {"p50": 1.5, "p95": 1.8}},
    "model_bytes": 320_000,
    "parameters": 78_597,
    "peak_memory_mb": 430,
    "seconds": {"train": 5.0},
}
COLUMNS = {"age": "number", "gender": "category"}
yaml = YAML(typ="safe")


def write_json(path: str, content: Any) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def write_csv(path: str, heads: list[str], rows: list[Any]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([heads, *rows])


def results(
    scores: dict[str, Any] = SCORES,
    groups: dict[str, Any] | None = None,
    labels: list[str] | None = None,
    columns: dict[str, str] = COLUMNS,
    rows: int = 1466,
    test: str = "rows",
) -> None:
    """What the stages write, into this folder; `test` stands for the content of the test rows."""
    write_json("metrics/quality.json", {**scores, "baseline": {"roc_auc": 0.8}})
    write_json("metrics/cost.json", COST)
    groups = groups or {"gender": {g: {"rows": 700, **scores} for g in ("female", "male")}}
    write_json("reports/slices.json", {"rows": rows, "overall": scores, "slices": groups})
    profile = {name: {"kind": kind, "rows": 10_000} for name, kind in columns.items()}
    sizes = {"train": 7000, "val": 1500, "test": rows}
    write_json("reports/profile.json", {"rows": sizes, "columns": profile})
    drift = {name: {"psi": 0.01, "limit": 0.2, "drift": False} for name in columns}
    write_json("reports/validation.json", {"passed": True, "problems": [], "drift": drift})
    labels = labels or ["0", "1"]
    pairs = [(a, p) for i, a in enumerate(labels) for p in labels[max(0, i - 1) : i + 2] * 2]
    write_csv("plots/test/confusion.csv", ["actual", "predicted"], pairs)
    even = [i / 20 for i in range(21)]
    write_csv("plots/test/roc.csv", ["fpr", "tpr"], [(x, x**0.3) for x in even])
    heads = ["predicted", "actual", "rows"]
    write_csv("plots/test/calibration.csv", heads, [(x, x**1.1, 9) for x in even])
    heads = ["epoch", "train_loss", "val_loss"]
    write_csv("plots/training.csv", heads, [(i, 1 / i, 1.1 / i) for i in range(1, 9)])
    lock(test)


def lock(test: str = "rows", *, stages: list[str] | None = None) -> None:
    """dvc.lock, in step with the files here; of the `stages`, if given, anew."""
    declared, params = yaml.load(Path("dvc.yaml"))["stages"], yaml.load(Path("params.yaml"))
    path = Path("dvc.lock")
    locked = yaml.load(path)["stages"] if path.exists() and stages else {}
    for name, one in declared.items():
        if stages and name not in stages:
            continue
        locked[name] = {
            "cmd": one["cmd"],
            "deps": [_entry(dep, test) for dep in one["deps"]],
            "params": {"params.yaml": {key: _at(params, key) for key in one["params"]}},
            "outs": [_entry(out, test) for out in [*one["outs"], *one.get("metrics", [])]],
        }
    with path.open("w") as file:
        YAML(typ="safe").dump({"schema": "2.0", "stages": locked}, file)


def _entry(path: Any, test: str) -> dict[str, Any]:
    name = path if isinstance(path, str) else next(iter(path))
    file = Path(name)
    content = file.read_bytes() if file.is_file() else f"{name} {test}".encode()
    md5 = hashlib.md5(content).hexdigest()
    if file.is_dir():
        return {"path": name, "md5": f"{md5}.dir"}
    return {"path": name, "md5": md5, "size": len(content)}


def _at(content: Any, path: str) -> Any:
    for part in path.split("."):
        content = content[part]
    return content


def git(*arguments: str) -> str:
    return run("git", *arguments, cwd=Path()).strip()


def commit(message: str) -> None:
    git("add", "--all")
    git("commit", "-qm", message, "--allow-empty")


@contextlib.contextmanager
def pretended(folder: Path) -> Iterator[Path]:
    """Be in such a project: trained on main, then on a branch of its own, where nothing differs."""
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(TEMPLATE / name, folder / name, dirs_exist_ok=True, ignore=ignored)
    for name in (*YAML_FILES, "requirements.txt", ".gitignore", "tests/model/critical_cases.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TEMPLATE / name, folder / name)
    for name in ("data/raw", "data/reference", ".dvc/tmp"):
        (folder / name).mkdir(parents=True)
    (folder / ".dvc/.gitignore").write_text("/tmp\n/cache\n")
    (folder / "data/reference/profile.json").write_text("{}")
    with contextlib.chdir(folder):
        git("init", "-qb", "main")
        results()
        commit("First model")
        git("checkout", "-qb", "branch")
        commit("Nothing yet")
        yield folder
