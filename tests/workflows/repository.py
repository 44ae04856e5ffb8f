"""What GitHub does to a repository itself: git over HTTP, and the merge of a pull request."""

import base64
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

AS = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "GitHub"), ("EMAIL", "noreply@github.com"))
}
BACKEND = {"GIT_HTTP_EXPORT_ALL": "1", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": "1"} | {
    "GIT_CONFIG_KEY_0": "http.receivepack",
    "GIT_CONFIG_VALUE_0": "true",
}


class Answer(NamedTuple):
    """Of HTTP."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Conflict(Exception):
    """What cannot be merged."""


def git(origin: Path, *arguments: str) -> str:
    """What git says in the bare repository. Raises Conflict where it fails."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=origin, capture_output=True, text=True, env=os.environ | AS)
    if done.returncode:
        raise Conflict(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def token(authorization: str) -> str:
    """The token in a header: Bearer, token, or the password of Basic."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() != "basic":
        return value
    try:
        return base64.b64decode(value).decode().partition(":")[2]
    except ValueError:
        return ""


def need(path: str, query: str) -> str:
    """What a request of git's asks for: "contents:write" to push; "" where it is none of git's."""
    if path.endswith("/git-receive-pack") or "service=git-receive-pack" in query:
        return "contents:write"
    if path.endswith("/git-upload-pack") or "service=git-upload-pack" in query:
        return "contents:read"
    return ""


def backend(
    origin: Path, method: str, url: tuple[str, str], headers: Iterable[tuple[str, str]], body: bytes
) -> Answer:
    """Let git itself answer; `url` is what follows the repository's address, and the query."""
    given = {name.lower(): value for name, value in headers}
    env = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(origin.parent),
        "PATH_INFO": f"/{origin.name}{url[0]}",
        "QUERY_STRING": url[1],
        "REQUEST_METHOD": method,
        "CONTENT_TYPE": given.get("content-type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": given.get("content-encoding", ""),
        "GIT_PROTOCOL": given.get("git-protocol", ""),
        "REMOTE_USER": "x-access-token",
    }
    command = ["git", "http-backend"]
    done = subprocess.run(command, input=body, capture_output=True, env=env | BACKEND, check=True)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    lines = [line.partition(": ")[::2] for line in head.decode().splitlines()]
    status = next((int(value.split()[0]) for name, value in lines if name == "Status"), 200)
    return Answer(status, [one for one in lines if one[0] != "Status"], content)


def merge(origin: Path, base: str, head: str, method: str, title: str) -> str:
    """Merge a branch into another as GitHub's button does; the new commit. Raises Conflict."""
    ours, theirs = (git(origin, "rev-parse", f"refs/heads/{one}") for one in (base, head))
    tree = git(origin, "merge-tree", "--write-tree", ours, theirs).splitlines()[0]
    parents = {"squash": [ours], "merge": [ours, theirs]}[method]
    options = [part for one in parents for part in ("-p", one)]
    commit = git(origin, "commit-tree", tree, *options, "-m", title)
    git(origin, "update-ref", f"refs/heads/{base}", commit, ours)
    return commit
