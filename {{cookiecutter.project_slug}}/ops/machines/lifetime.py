"""What a hired machine and its leftovers have in common on every cloud: whose, and until when."""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable
from typing import Any, NamedTuple

from core.errors import Problem
from ops.machines.machine_yaml import LONGEST, MARGIN

REPOSITORY = re.compile(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}")


class Resource(NamedTuple):
    """Something that costs money or is left over, as a cloud reports it."""

    kind: str
    id: str
    owner: str  # the tag `project`; "" if it has none
    run: str  # the tag `run`
    expires: str  # the tag `expires`, seconds since 1970, as it stands there
    since: float  # seconds since 1970
    state: str
    end: Callable[[], object]


class Verdict(NamedTuple):
    """Whether a resource is to be ended, and why."""

    end: bool
    why: str
    ours: bool = True


def repository() -> str:
    """The repository that this runs for, as owner/name."""
    name = os.environ.get("GITHUB_REPOSITORY", "")
    if not REPOSITORY.fullmatch(name):
        raise Problem(f"GITHUB_REPOSITORY is {name!r}; must be owner/name")
    return name


def owner(cloud: str, name: str) -> str:
    """What the tag `project` says for the repository `name`.

    Labels of gcp hold neither capitals nor a slash; the digest keeps apart what then looks alike.
    """
    if cloud != "gcp":
        return name
    digest = hashlib.sha256(name.lower().encode()).hexdigest()[:8]
    return f"{re.sub('[^a-z0-9-]', '_', name.lower())[:50]}-{digest}"


def readable(expires: str) -> bool:
    """Whether a tag `expires` is seconds since 1970."""
    return re.fullmatch(r"[0-9]{1,12}", expires) is not None


def judge(resource: Resource, ours: str, now: float) -> Verdict:
    """Whether `resource` has outlived its tag; only what the tag `project` says is ours can be.

    Without a readable tag `expires`, and whatever that tag says, ours ends when it is older
    than the longest training that machine.yaml can declare.
    """
    if resource.owner != ours:
        return Verdict(False, "another repository's, or nobody's", ours=False)
    end = resource.since + (LONGEST + MARGIN) * 60
    if readable(resource.expires):
        end = min(end, float(resource.expires))
    minutes = (now - end) / 60
    if minutes < 0:
        return Verdict(False, f"{-minutes:.0f} minutes left")
    return Verdict(True, f"expired {minutes:.0f} minutes ago")


def run_command(*command: str) -> str:
    """What a command of a cloud or of GitHub prints; that it failed is a `Problem`."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except FileNotFoundError:
        raise Problem(f"{command[0]} is not on PATH: install it, and log in with it") from None
    except subprocess.TimeoutExpired:
        raise Problem(f"{command[0]} did not answer within ten minutes") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it did not say why"]
        raise Problem(f"`{' '.join(command[:4])}` failed: {' '.join(lines)[:500]}")
    return done.stdout


def run_json(*command: str) -> Any:
    """What a command says in JSON."""
    text = run_command(*command)
    try:
        return json.loads(text or "null")
    except ValueError:
        raise Problem(f"`{' '.join(command[:4])}` answered no JSON: {text[:200]}") from None
