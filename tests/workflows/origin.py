"""A generated project as a repository on the pretended GitHub, with a pull request."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workflows import events
from workflows.act import Hub, git
from workflows.github import GitHub

NUMBER = 7
AS = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
Edit = Callable[[Path], None]


def publish(project: Path, folder: Path, github: GitHub, branch: str = "main") -> Hub:
    """Push the project's branch, as `main`, to a bare repository below the folder."""
    origin = folder / "origin.git"
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "--bare", "-b", "main", str(origin))
    git(project, "push", "-q", str(origin), f"{branch}:refs/heads/main", "--tags")
    github.origin = origin
    return Hub(github, origin, folder, github.repo)


def checkout(hub: Hub, branch: str) -> Path:
    """A fresh clone at a branch, which starts at main where it is new."""
    place = hub.folder / "work"
    shutil.rmtree(place, ignore_errors=True)
    git(hub.folder, "clone", "-q", str(hub.origin), str(place))
    known = git(place, "branch", "-r", "--list", f"origin/{branch}")
    git(place, "checkout", "-q", *([branch] if known else ["-b", branch]))
    return place


def commit(hub: Hub, edit: Edit, branch: str = "main", message: str = "A change") -> str:
    """Edit the files of a branch, commit, push; the commit."""
    place = checkout(hub, branch)
    edit(place)
    git(place, "add", "--all")
    git(place, *AS, "commit", "-q", "--allow-empty", "-m", message)
    git(place, "push", "-q", "origin", f"HEAD:refs/heads/{branch}")
    return git(place, "rev-parse", "HEAD")


def open_pull(
    hub: Hub, head: str, *, fork: bool = False, number: int = NUMBER, **also: Any
) -> events.Event:
    """A pull request of the commit into main: its refs, its entry on GitHub, its event."""
    place = checkout(hub, "main")
    base = git(place, "rev-parse", "HEAD")
    git(place, "fetch", "-q", "origin", head)
    git(place, "checkout", "-q", "--detach", base)
    git(place, *AS, "merge", "-q", "--no-ff", "-m", f"Merge {head} into {base}", head)
    merge = git(place, "rev-parse", "HEAD")
    git(place, "push", "-q", "-f", "origin", f"{merge}:refs/pull/{number}/merge")
    git(place, "push", "-q", "-f", "origin", f"{head}:refs/pull/{number}/head")
    event = events.pull_request(hub.repo, head, base, merge, fork=fork, number=number, **also)
    hub.github.pulls[number] = json.loads(json.dumps(event.payload["pull_request"]))
    hub.github.labels[number] = list(also.get("labels", ()))
    return event


def pull_request(
    hub: Hub, edit: Edit, *, branch: str = "feature", fork: bool = False, **also: Any
) -> events.Event:
    """Edit, commit, push, and open a pull request, or bring it up to date."""
    head = commit(hub, edit, branch)
    event = open_pull(hub, head, fork=fork, branch=branch, **also)
    if fork:  # the branch lies in another repository; only refs/pull/7 are here
        hub.git("update-ref", "-d", f"refs/heads/{branch}")
    return event
