"""Say whether this checkout can run and publish, and what fixes it where it cannot."""

import itertools
import json
import logging
from collections.abc import Iterator
from pathlib import Path

from core.errors import Refused
from ops.doctor import dependencies, environment
from ops.doctor.environment import Note, fail
from ops.doctor.git import Git

STYLES = {"ok": "green", "note": "cyan", "warn": "yellow", "FAIL": "bold red"}


def examine(offline: bool) -> Iterator[Note]:
    """Everything that is worth a line, the cheap checks first."""
    git = Git()
    yield from git.notes()
    marks = environment.conflicts(git.pointers(), git.unmerged)
    yield from marks.values()
    wrong = set(marks)
    for note in environment.settings(marks):
        yield note
        if note.level == "FAIL":
            wrong.add(f"{note.about}.yaml")
    if "dvc.yaml" not in wrong and (undeclared := dependencies.note()):
        yield undeclared
    if marks.keys() & {"dvc.lock", "dvc.yaml", "params.yaml", ".dvc/config"}:
        yield Note("warn", "data", "not looked at while there are conflict markers")
    elif not Path(".dvc/config").is_file():
        fix = "git checkout HEAD -- .dvc" if git.has(".dvc/config") else "dvc init"
        yield fail("storage", ".dvc/config: no such file", fix)
    else:
        yield from data(git, offline, wrong)


def data(git: Git, offline: bool, wrong: set[str]) -> Iterator[Note]:
    """What DVC keeps: its remote, its cache, its lock file; `wrong` is not reported twice."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo, lock_repo
    from dvc.rwlock import RWLockFileCorruptedError, RWLockFileFormatError
    from scmrepo.exceptions import SCMError

    from ops.doctor import lock, storage, tracked

    try:
        with Repo(".") as repo:
            yield from storage.settings(repo.config, git)
            with lock_repo(repo):
                listed = tracked.objects(repo)
                here = tracked.cached(listed)  # before DVC looks, which deletes what is altered
                steps = lock.step(repo, git)
            name, there = repo.config["core"].get("remote"), None
            if name in repo.config["remote"] and not offline:
                note, there = storage.reach(repo, name)
                yield note
            stale = any(one.fix == "dvc repro" for one in steps)
            yield from tracked.kept(listed, here, git, there, stale)
            yield from (one for one in steps if one.message.split(":")[0] not in wrong)
    except LockError:
        yield Note("warn", "data", "another DVC process is at work: try again when it is done")
    except (RWLockFileCorruptedError, RWLockFileFormatError) as error:
        yield fail("data", f"{error}; a process was cut off", "rm .dvc/tmp/rwlock")
    except (DvcException, SCMError) as error:
        message = " ".join(f"{error} {getattr(error, 'exc', '')}".split())
        names = {"dvc.lock": "dvc.lock", "params.yaml": "params.yaml", "config file": ".dvc/config"}
        broken = next((file for name, file in names.items() if name in message), "dvc.yaml")
        if git.wrong or wrong & {broken, "params.yaml", "dvc.yaml"}:
            yield Note("warn", "data", "not looked at before the above is fixed")
            return
        fix = "rm dvc.lock && dvc repro" if broken == "dvc.lock" else f"edit {broken}"
        yield fail("data", message, fix)


def show(note: Note, plain: bool = False) -> None:
    """Print one line, which is never broken; the command that fixes it comes last."""
    message, fix = f"{note.about:10}{note.message}", f"  ->  {note.fix}" if note.fix else ""
    if plain:
        print(f"{note.level:5}{message}{fix}")
        return
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble((f"{note.level:5}", STYLES[note.level]), message, (fix, "bold"))
    Console().print(line, soft_wrap=True)


def main(offline: bool = False, as_json: bool = False) -> None:
    """`ml doctor`: exit 1 if something would fail or be lost.

    As JSON: {"passed": bool, "checks": [{"level", "about", "message", "fix"}]}.
    """
    tools = [environment.python(), *environment.packages()]
    able = all(note.level != "FAIL" for note in tools)
    logging.disable(logging.ERROR)  # what DVC logs is among the checks
    checks = []
    for note in itertools.chain(tools, examine(offline) if able else ()):
        checks.append(note)
        if not as_json:
            show(note, plain=not able)
    failures = [note for note in checks if note.level == "FAIL"]
    if as_json:
        content = {"passed": not failures, "checks": [note._asdict() for note in checks]}
        print(json.dumps(content, indent=2))
    if not able:
        raise Refused("the rest is not looked at before this is fixed")
    if failures:
        raise Refused(f"{len(failures)} of these would fail or lose something")
