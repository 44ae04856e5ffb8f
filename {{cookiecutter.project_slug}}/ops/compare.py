"""`ml compare`: this commit and its experiments, best first, and what was changed in each."""

import json
import subprocess
import sys
from typing import Any, NamedTuple

from core.errors import Problem
from core.paths import PARAMS, QUALITY
from ops.snapshot import flat
from pipeline import dataset
from pipeline.metrics import METRICS, headline, of_task


class Run(NamedTuple):
    """A commit or an experiment: {dotted parameter: value}, {metric: value}, its test rows' md5."""

    name: str
    params: dict[str, Any]
    metrics: dict[str, Any]
    test: str | None


def main(as_json: bool = False) -> None:
    """Print the table, or one JSON document. Raises `Problem` where DVC cannot tell."""
    runs, waiting = read(exp_show())
    base = runs[0]
    task = str(base.params.get("data.task"))
    metric = headline(task) if any(task in one.tasks for one in METRICS.values()) else None
    if metric is None:
        raise Problem(f"{PARAMS}: data.task is {task!r}, for which no metric is declared")
    titles = {one.name: one.title for one in of_task(task) if one.headline}
    names = {name: None for run in runs for name in run.params}
    changed = [name for name in names if len({json.dumps(r.params.get(name)) for r in runs}) > 1]
    sign = -1 if metric.higher_is_better else 1
    runs = sorted(
        runs, key=lambda r: sign * r.metrics[metric.name] if metric.name in r.metrics else 1e308
    )
    if as_json:
        print(json.dumps(document(runs, base, list(titles), changed, waiting), indent=2))
    else:
        show(runs, base, titles, changed, waiting)


def exp_show() -> list[dict[str, Any]]:
    """What `dvc exp show` answers: the workspace, this commit, its experiments."""
    command = [sys.executable, "-m", "dvc", "exp", "show", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        entry: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError:
        lines = done.stderr.strip().splitlines() or ["no answer"]
        raise Problem(f"dvc exp show: {lines[0].removeprefix('ERROR: ')}") from None
    return entry


def read(answer: list[dict[str, Any]]) -> tuple[list[Run], int]:
    """This commit first, then its experiments and what is not committed; how many have no result.

    The workspace is left out where it is the same as another run.
    """
    workspace = run("workspace", answer[0])
    runs, waiting = [], 0
    for commit in answer[1:]:
        runs += [run(commit["name"] or commit["rev"][:7], commit)]
        for experiment in commit["experiments"] or []:
            for one in experiment["revs"] or [{}]:
                name = experiment["name"] or one.get("name") or one.get("rev", "")[:7]
                done = run(name, one)
                runs += [done] if done.metrics else []
                waiting += not done.metrics
    if not any(workspace[1:] == other[1:] for other in runs):
        runs.append(workspace)
    return runs, waiting


def run(name: str, entry: dict[str, Any]) -> Run:
    """One entry of DVC's answer; empty where it could not be read."""
    data = entry.get("data") or {}
    params = data.get("params", {}).get(str(PARAMS), {}).get("data", {})
    metrics = data.get("metrics", {}).get(str(QUALITY), {}).get("data", {})
    return Run(
        name,
        flat(params),
        flat(metrics),
        data.get("deps", {}).get(str(dataset.path("test")), {}).get("hash"),
    )


def settings(one: Run, base: Run, changed: list[str]) -> dict[str, Any]:
    """The parameters to show of a run: where it differs from this commit; all of this commit."""
    return {
        name: one.params.get(name)
        for name in changed
        if one is base or one.params.get(name) != base.params.get(name)
    }


def document(
    runs: list[Run], base: Run, titles: list[str], changed: list[str], waiting: int
) -> dict[str, Any]:
    """The JSON document of `--json`."""
    return {
        "headline": titles,
        "changed": changed,
        "without_result": waiting,
        "runs": [
            {
                "name": one.name,
                "params": {name: one.params.get(name) for name in changed},
                "metrics": one.metrics,
                "same_test_rows": one.test == base.test,
            }
            for one in runs
        ],
    }


def show(
    runs: list[Run], base: Run, titles: dict[str, str], changed: list[str], waiting: int
) -> None:
    """Print a table that fits 80 columns, whatever was changed."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("run", overflow="fold")
    table.add_column("changed parameters", overflow="fold")
    for title in titles.values():
        table.add_column(title, justify="right", no_wrap=True)
    scored = [one for one in runs if one.metrics]
    if not scored:
        raise Problem("no scores yet: make run")
    for one in scored:
        params = settings(one, base, changed).items()
        scores = [one.metrics.get(name) for name in titles]
        table.add_row(
            Text(one.name, style="bold" if one is base else ""),
            Text("\n".join(f"{name} {json.dumps(value)}" for name, value in params)),
            *("" if score is None else f"{score:.4f}" for score in scores),
        )
    Console(highlight=False).print(table)
    others = [one.name for one in scored if one.test != base.test]
    if others and base.metrics:
        print(f"Tested on other rows than {base.name}, so not comparable: {', '.join(others)}")
    if waiting:
        print(f"{waiting} more without a result: dvc queue status")
    if len(scored) == 1:
        print("An experiment: dvc exp run -S train.lr=0.001    Every score: dvc metrics show")
    else:
        print("Keep one: dvc exp apply NAME    Every score: dvc exp show")
