"""Say whether this checkout can run and publish, and what mends it where it cannot."""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

from pipeline.checking import checkup
from pipeline.checking.checkup import Note, fail
from pipeline.checking.git import Git
from pipeline.errors import Problem

STYLES = {"ok": "green", "note": "cyan", "warn": "yellow", "FAIL": "bold red"}


def examine(offline: bool) -> Iterator[Note]:
    """Everything that is worth a line, the cheap things first."""
    git = Git()
    yield from git.notes()
    marks = checkup.conflicts(git.pointers(), git.unmerged)
    yield from marks.values()
    wrong = set(marks)
    for note in checkup.settings(marks):
        yield note
        if note.level == "FAIL":
            wrong.add(f"{note.about}.yaml")
    if marks.keys() & {"dvc.lock", "dvc.yaml", "params.yaml", ".dvc/config"}:
        yield Note("warn", "data", "not looked at while there are conflict markers")
    elif not Path(".dvc/config").is_file():
        mend = "git checkout HEAD -- .dvc" if git.has(".dvc/config") else "dvc init"
        yield fail("storage", ".dvc/config: no such file", mend)
    else:
        yield from data(git, offline, wrong)


def data(git: Git, offline: bool, wrong: set[str]) -> Iterator[Note]:
    """What DVC keeps: its remote, its cache, its lock file; `wrong` is not told twice."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo, lock_repo
    from scmrepo.exceptions import SCMError

    from pipeline.checking import lock, storage, tracked

    try:
        with Repo(".") as repo:
            yield from storage.settings(repo.config, git)
            with lock_repo(repo):
                listed = tracked.things(repo)
                here = tracked.cached(listed)  # before DVC looks, which deletes what is altered
                steps = lock.step(repo, git)
            name, there = repo.config["core"].get("remote"), None
            if name in repo.config["remote"] and not offline:
                note, there = storage.reach(repo, name)
                yield note
            yield from tracked.kept(listed, here, git, there)
            yield from (one for one in steps if one.says.split(":")[0] not in wrong)
    except LockError:
        yield Note("warn", "data", "another DVC process is at work: try again when it is done")
    except (DvcException, SCMError) as error:
        says = " ".join(f"{error} {getattr(error, 'exc', '')}".split())
        names = {"dvc.lock": "dvc.lock", "params.yaml": "params.yaml", "config file": ".dvc/config"}
        broken = next((file for name, file in names.items() if name in says), "dvc.yaml")
        if git.wrong or wrong & {broken, "params.yaml", "dvc.yaml"}:
            yield Note("warn", "data", "not looked at before the above is mended")
            return
        mend = "rm dvc.lock && dvc repro" if broken == "dvc.lock" else f"edit {broken}"
        yield fail("data", says, mend)


def show(note: Note, plain: bool = False) -> None:
    """Print one line, which is never broken; the command that mends it comes last."""
    says, mend = f"{note.about:10}{note.says}", f"  ->  {note.mend}" if note.mend else ""
    if plain:
        print(f"{note.level:5}{says}{mend}")
        return
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble((f"{note.level:5}", STYLES[note.level]), says, (mend, "bold"))
    Console().print(line, soft_wrap=True)


def main() -> None:
    """`python -m pipeline.doctor`: exit 1 if something would fail or be lost."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.doctor", description=__doc__)
    parser.add_argument("--offline", action="store_true", help="skip what needs the network")
    offline = parser.parse_args().offline
    tools = [checkup.python(), *checkup.packages()]
    able = all(note.level != "FAIL" for note in tools)
    for note in tools:
        show(note, plain=not able)
    if not able:
        raise Problem("the rest is not looked at before this is mended")
    logging.disable(logging.ERROR)  # DVC's own words about what is told here
    levels = []
    for note in examine(offline):
        show(note)
        levels.append(note.level)
    if "FAIL" in levels:
        raise Problem(f"{levels.count('FAIL')} of these would fail or lose something")


if __name__ == "__main__":
    from pipeline import stage

    stage.run("doctor", main)
