"""Run one verb of the pipeline as a process: messages, exit codes, timing, safe files."""

import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import Problem

SECONDS = Path(".dvc/tmp/seconds.json")  # of this machine's last runs: neither Git's nor DVC's


def run(verb: str, work: Callable[[], Any]) -> None:
    """Run `work` as the stage `verb` and end the process with its exit status.

    A `Problem` becomes its message on stderr and its code; the seconds that the
    stage took are noted for metrics/cost.json.
    """
    if "DVC_STAGE" in os.environ:
        _end_with_parents()
    start = time.perf_counter()
    try:
        work()
    except Problem as problem:
        print(f"{verb}: {problem}", file=sys.stderr)
        sys.exit(problem.code)
    except KeyboardInterrupt:
        print(f"{verb}: interrupted", file=sys.stderr)
        sys.exit(130)
    if SECONDS.parent.is_dir():
        taken = {**seconds(), verb: round(time.perf_counter() - start, 2)}
        write_json(SECONDS, taken)


def seconds() -> dict[str, float]:
    """Seconds that each stage took when it last ran on this machine."""
    try:
        taken: dict[str, float] = json.loads(SECONDS.read_text())
    except (OSError, ValueError):
        return {}
    return taken


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


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name to write to, renamed to `path` when all went well.

    Whoever is killed in between leaves the old file or none, never half of one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON for people and diffs: indented, a list of numbers on one line, no NaN."""
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        text = re.sub(r"\[[\d\s.,e+-]*\]", lambda found: " ".join(found[0].split()), text)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file of an earlier stage; a missing one is a `Problem`."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path}: no such file; `dvc repro` makes it") from None
    except ValueError as error:
        raise Problem(f"{path}: not JSON: {error}; `dvc repro -f` makes it anew") from None
