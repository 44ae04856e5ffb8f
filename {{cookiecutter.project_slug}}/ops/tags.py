"""The registry: annotated Git tags in GTO's format, model@v1.2.0 and model#production#3.

What is in a stage follows from the order of the tags' counters. Going back to a version that was
there takes off all that came after it, so that no rollback ever returns to what was rolled back.
"""

import os
import re
import subprocess
import time
from typing import NamedTuple

from core.errors import Problem, nearest
from core.git import git, run_git

ARTIFACT = "model"  # as in dvc.yaml
STAGES = ("staging", "production")
ORIGIN = "origin"
VERSION = re.compile(rf"{ARTIFACT}@(v(\d+)\.(\d+)\.(\d+))(!)?")
ASSIGNED = re.compile(rf"{ARTIFACT}#([\w-]+?)(!)?#(\d+)")
FIELDS = "%1f".join(
    f"%({name})"
    for name in (
        "refname:strip=2",
        "objecttype",
        "*objecttype",
        "*objectname",
        "taggerdate:unix",
        "contents",
    )
)


class Version(NamedTuple):
    """A registered model."""

    name: str  # v1.2.0
    number: tuple[int, int, int]
    sha: str  # the commit that it is
    at: int  # seconds since 1970
    message: str

    @property
    def tag(self) -> str:
        """model@v1.2.0"""
        return f"{ARTIFACT}@{self.name}"


class Registry(NamedTuple):
    """All that the tags say."""

    versions: list[Version]  # oldest first
    stages: dict[str, list[Version]]  # who came before whom; the last one is there now
    tags: dict[str, str]  # of what is in each stage
    stray: dict[str, str]  # tags of stages whose last assignment is of no known version
    counter: int  # of the last assignment
    last: int  # seconds since 1970, of the last tag

    def version(self, name: str) -> Version:
        """The version v1.2.0, also as 1.2.0 or model@v1.2.0; else a `Problem` (exit 2)."""
        wanted = "v" + name.removeprefix(f"{ARTIFACT}@").removeprefix("v")
        for one in self.versions:
            if one.name == wanted:
                return one
        known = [one.name for one in self.versions]
        hint = nearest(wanted, known) if known else "; none is registered yet"
        raise Problem(f"{name}: no such version{hint}")

    def now(self, stage: str) -> Version | None:
        """The version in a stage; None where there is none.

        Raises `Problem` (exit 2) where that is not certain: another is never taken for it.
        """
        if stage in self.stray:
            raise Problem(
                f"{self.stray[stage]} is of a commit that is no version: a tag was moved or "
                f"deleted; `git fetch --tags --force {ORIGIN}`, or promote a version to {stage}",
            )
        return self.stages[stage][-1] if self.stages[stage] else None

    def at(self, sha: str) -> Version | None:
        """The version that a commit is registered as."""
        return next((one for one in self.versions if one.sha == sha), None)


def check_stage(name: str) -> str:
    """`name`, if it is a stage. Raises `Problem` (exit 2) with the nearest one."""
    if name not in STAGES:
        hint = nearest(name, STAGES) or f"; want {' or '.join(STAGES)}"
        raise Problem(f"{name}: no such stage{hint}")
    return name


def production() -> str | None:
    """The version in production, as a revision: model@v1.2.0; None where there is none."""
    there = read().now("production")
    return there.tag if there else None


def read() -> Registry:
    """What the tags say. Raises `Problem` (exit 2) in a shallow clone, which lacks some of them."""
    if git("rev-parse", "--is-shallow-repository") == "true":
        raise Problem(
            "this clone is shallow: it lacks tags, so nobody can tell what is in production; "
            "git fetch --unshallow --tags",
        )
    versions, gone, assigned, last = {}, set(), [], 0
    listed = git("for-each-ref", f"--format={FIELDS}%00", f"refs/tags/{ARTIFACT}[@#]*")
    for entry in filter(None, listed.split("\0\n")):
        tag, kind, of_kind, sha, at, message = entry.rstrip("\0").split("\x1f", 5)
        if kind != "tag":
            continue  # a tag without a message is none of the registry's
        if of_kind != "commit":
            sha = git("rev-parse", f"{sha}^{{commit}}")  # a tag of a tag
        last = max(last, int(at))
        if match := VERSION.fullmatch(tag):
            number = (int(match[2]), int(match[3]), int(match[4]))
            versions[match[1]] = Version(match[1], number, sha, int(at), message)
            gone |= {match[1]} if match[5] else set()
        elif match := ASSIGNED.fullmatch(tag):
            assigned.append((int(match[3]), match[1], bool(match[2]), sha))
    ordered = sorted((v for v in versions.values() if v.name not in gone), key=lambda v: v.number)
    of = {version.sha: version for version in versions.values()}
    stages: dict[str, list[Version]] = {stage: [] for stage in STAGES}
    tags: dict[str, str] = {}
    stray: dict[str, str] = {}
    for n, stage, taken, sha in sorted(assigned):
        tags[stage] = f"{ARTIFACT}#{stage}#{n}"
        stray.pop(stage, None)
        if sha in of:
            stages[stage] = _after(stages.get(stage, []), of[sha], taken)
        elif not taken:
            stages[stage], stray[stage] = [], tags[stage]
    lines = {stage: [one for one in line if one in ordered] for stage, line in stages.items()}
    counter = max((one[0] for one in assigned), default=0)
    return Registry(ordered, lines, tags, stray, counter, last)


def _after(there: list[Version], version: Version, taken: bool) -> list[Version]:
    """The line of versions in a stage once `version` has been assigned, or taken away."""
    if taken:
        return [one for one in there if one != version]
    if version in there:
        return there[: there.index(version) + 1]
    return [*there, version]


def put(tag: str, sha: str, message: str, last: int) -> None:
    """Make a tag that is later than all others, as GTO goes by the second."""
    at = max(int(time.time()), last + 1)
    done = subprocess.run(
        ["git", "tag", "-a", "--cleanup=verbatim", "-F", "-", tag, sha],
        input=message,
        capture_output=True,
        text=True,
        env=os.environ | {"GIT_COMMITTER_DATE": f"{at} +0000"},
    )
    if done.returncode:
        raise Problem(f"git tag {tag}: {' '.join(done.stderr.split())[:300]}")


def known(push: bool) -> Registry:
    """What the tags say; those of others too where the next one is for them."""
    if push:
        read()  # a shallow clone is refused before the network is asked
        fetch()
    return read()


def fetch() -> None:
    """Learn what others have registered and promoted. Raises `Problem` (exit 2)."""
    done = run_git("fetch", "--tags", ORIGIN)
    clash = re.findall(r"\[rejected\]\s+(\S+)", done.stderr)
    if clash:
        raise Problem(
            f"{ORIGIN} has another {clash[0]} than this clone: someone was faster; "
            f"git tag -d '{clash[0]}' && git fetch --tags {ORIGIN}",
        )
    if done.returncode:
        raise Problem(f"git fetch {ORIGIN}: {_message(done.stderr)}")


def publish(tag: str, push: bool, *, new: bool = True) -> str:
    """Bring a tag to origin, or say how; where a new one is refused it is taken back.

    Raises `Problem` (exit 2) where origin does not take it: all or nothing.
    """
    if not push:
        return f"only in this clone: git push {ORIGIN} '{tag}'"
    done = run_git("push", "--quiet", ORIGIN, f"refs/tags/{tag}")
    if not done.returncode:
        return ""
    if new:
        run_git("tag", "-d", tag)
    if "already exists" in done.stderr or "[rejected]" in done.stderr:
        raise Problem(
            f"someone else was faster: {ORIGIN} has another {tag}; nothing has changed; see "
            f"`git fetch --tags {ORIGIN} && ml registry show`, then decide again"
        )
    raise Problem(f"{ORIGIN} did not take {tag}: {_message(done.stderr)}; nothing has changed")


def _message(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.strip() and not line.startswith("hint:")]
    return " ".join(" ".join(lines).split())[:300]
