"""Run a stage or a verb as a process: its arguments, messages, exit status and seconds."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import Problem
from core.files import md5, write_json
from core.paths import PIPELINE

SECONDS = Path(".dvc/tmp/seconds.json")  # of this machine's last runs: neither Git's nor DVC's
HASHED = 50_000_000  # bytes of an output that is hashed to know a run by


def run_stage(name: str, work: Callable[[], Any]) -> None:
    """Run `work` as the stage `name` of dvc.yaml and end the process with its exit status.

    A stage takes its settings from params.yaml and no arguments: `--help` says so, anything else
    is refused (exit 2). The seconds that it took are noted for metrics/cost.json.
    """
    arguments = sys.argv[1:]
    if arguments:
        refuse_arguments(name, arguments)
    if "DVC_STAGE" in os.environ:
        _end_with_parents()
    start = time.perf_counter()
    run_verb(name, work)
    if SECONDS.parent.is_dir():
        seconds = round(time.perf_counter() - start, 2)
        write_json(SECONDS, {**_runs(), name: {"seconds": seconds, "outputs": _outputs(name)}})


def refuse_arguments(name: str, arguments: list[str]) -> None:
    """Explain a stage and exit: 0 for `--help`, 2 for anything else."""
    about = (sys.modules["__main__"].__doc__ or name).strip()
    usage = (
        f"python -m pipeline.{name} takes no arguments: its settings are in params.yaml.\n"
        f"  dvc repro {name}                  run it, and what it needs\n"
        f"  dvc exp run -S train.lr=0.5      run an experiment with another setting"
    )
    if arguments in (["--help"], ["-h"]):
        print(f"{about}\n\n{usage}")
        sys.exit(0)
    print(f"{name}: unexpected {' '.join(arguments)}\n{usage}", file=sys.stderr)
    sys.exit(2)


def run_verb(name: str, work: Callable[[], Any]) -> None:
    """Run `work`; a `Problem`, or what the system refuses, ends the process with one message."""
    try:
        work()
    except Problem as problem:
        print(f"{name}: {problem}", file=sys.stderr)
        sys.exit(problem.code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{name}: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        sys.exit(130)


def stage_seconds(outputs: dict[str, str] | None = None) -> dict[str, float]:
    """Seconds that each stage took to make its `outputs` ({path: md5}; default: those here).

    Without a stage whose outputs come from a cache, a pull, or a run that a later one replaced.
    """
    return {
        name: run["seconds"]
        for name, run in _runs().items()
        if run["outputs"]
        and all(
            oid == (md5(path) if outputs is None else outputs.get(path))
            for path, oid in run["outputs"].items()
        )
    }


def _runs() -> dict[str, dict[str, Any]]:
    """{stage: {"seconds", "outputs": {path: md5}}} of this machine's last runs."""
    try:
        runs = json.loads(SECONDS.read_text())
        return {
            name: {"seconds": float(run["seconds"]), "outputs": dict(run["outputs"])}
            for name, run in runs.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _outputs(stage: str) -> dict[str, str | None]:
    """{path: md5} of a stage's outputs that are files and not too large to hash."""
    from core.yaml_io import read_yaml

    try:
        declared = read_yaml(PIPELINE)["stages"][stage]
        entries = [*declared.get("outs", ()), *declared.get("metrics", ())]
        paths = [str(one if isinstance(one, str) else next(iter(one))) for one in entries]
        small = [path for path in map(Path, paths) if path.is_file()]
        return {str(path): md5(path) for path in small if path.stat().st_size <= HASHED}
    except (Problem, OSError, KeyError, TypeError, AttributeError, StopIteration):
        return {}


def _end_with_parents() -> None:
    """End with DVC: when it is killed, its child would go on and write outputs later."""
    import psutil

    parents = psutil.Process().parents()[:2]  # the shell and DVC, or DVC and its parent
    dvc = next((p for p in parents if "dvc" in " ".join(p.cmdline()[:3])), parents[0])

    def watch() -> None:
        while dvc.is_running() and dvc.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1)
        os._exit(143)

    threading.Thread(target=watch, daemon=True).start()
