"""Which models there are, which is in production, and how one gets there and back: Git tags.

`register` makes this commit a version, `promote` puts one in a stage, `rollback` the one before;
`lineage` computes again where one comes from. Without a verb: all versions.
"""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.errors import Problem
from core.files import lock
from core.git import git
from core.paths import QUALITY
from ops import tags
from ops.registry import lineage, verify
from ops.tags import ARTIFACT, STAGES, Registry, Version


@lock()
def promote(name: str, to: str, push: bool) -> None:
    """Put a version in a stage, if all that it was made of is what its tag says."""
    tags.check_stage(to)
    known = tags.known(push)
    version = known.version(name)
    there = known.stages[to][-1] if known.stages[to] else None
    if there == version:
        print(f"{version.tag} is in {to} already")
        _print(tags.publish(known.tags[to], push, new=False))
        return
    recorded = lineage.recorded(version)
    verify.refuse(version.tag, verify.verify(recorded, version.tag))
    before = f", before it {there.name}" if there else ""
    _assign(known, version, to, f"{version.name} to {to}{before}", push)


@lock()
def rollback(of: str, push: bool) -> None:
    """Put back the version that was in a stage before the one that is there now.

    That one is left for good: until it is promoted again, no rollback returns to it. What answers
    is verified, the data that it was trained on is not waited for.
    """
    tags.check_stage(of)
    known = tags.known(push)
    line = known.stages[of]
    if not known.now(of):
        raise Problem(f"nothing is in {of}; ml registry promote VERSION {of}")
    if len(line) == 1:
        raise Problem(f"{line[-1].tag} is the first in {of}: there is nothing to roll back to")
    bad, version = line[-1], line[-2]
    rows = verify.verify(lineage.recorded(version), version.tag, everything=False)
    verify.refuse(version.tag, rows)
    _assign(known, version, of, f"{of} back to {version.name}, from {bad.name}", push)


def _assign(known: Registry, version: Version, to: str, why: str, push: bool) -> None:
    tag = f"{ARTIFACT}#{to}#{known.counter + 1}"
    tags.put(tag, version.sha, f"{why}\n", known.last)
    _print(tags.publish(tag, push))
    print(f"{version.tag} is in {to}: {why}")


def _print(note: str) -> None:
    if note:
        print(note)


@lock()
def trace(what: str, as_json: bool = False) -> None:
    """Print where a version, or what is in a stage, comes from; exit 1 where it does not match."""
    known = tags.read()
    there = known.now(what) if what in STAGES else known.version(what)
    if not there:
        raise Problem(f"nothing is in {what}")
    recorded = lineage.recorded(there)
    rows = verify.verify(recorded, there.tag)
    if as_json:
        content = recorded.model_dump() | {"checks": [row._asdict() for row in rows]}
        print(json.dumps(content | {"verified": all(row.ok for row in rows)}))
        verify.refuse(there.tag, rows)
        return
    table = _table("", "recorded", "now")
    for row in rows:
        actual = escape(str(row.actual or "not to be had"))
        cells = (escape(row.what), escape(row.wanted))
        table.add_row(*cells, "the same" if row.ok else f"[bold red]{actual}")
    _console().print(f"{there.tag}, compared with {recorded.baseline or 'nothing'}")
    _console().print(table)
    verify.refuse(there.tag, rows)
    print(f"to have it here:\n  git checkout '{there.tag}'\n  dvc pull\n  dvc status")


def show(as_json: bool = False) -> None:
    """Print what is in each stage, and what a rollback would put back."""
    known = tags.read()
    stages: dict[str, Any] = {}
    for name in STAGES:
        line, now = known.stages[name], known.now(name)
        since, _, who = _assigned(known.tags[name]).partition(" ") if now else ("", "", "")
        stages[name] = now and {
            "version": now.name,
            "commit": now.sha,
            "since": int(since),
            "by": who,
            "rollback": line[-2].name if len(line) > 1 else None,
            "metrics": _metrics(now),
        }
    if as_json:
        print(json.dumps(stages))
        return
    table = _table("stage", "version", "since", "commit", "a rollback puts back", "scores")
    for name, one in stages.items():
        if not one:
            table.add_row(name, "nothing", *("",) * 4)
            continue
        since = f"{_date(one['since'])}, {escape(one['by'])}"
        tag, before = f"{ARTIFACT}@{one['version']}", one["rollback"] or "nothing"
        table.add_row(name, tag, since, one["commit"][:10], before, _scores(one["metrics"]))
    _console().print(table)


def listing(as_json: bool = False) -> None:
    """Print every version, newest first."""
    known = tags.read()
    for name in STAGES:
        known.now(name)  # or a problem that is worth an exit status
    versions = [_entry(known, one) for one in reversed(known.versions)]
    if as_json:
        print(json.dumps(versions))
        return
    table = _table("version", "in", "registered", "commit", "data", "model", "scores")
    for one in versions:
        md5s = (one["data"][:8], one["model"][:8]) if one["data"] else ("no lineage", "")
        cells = (", ".join(one["stages"]), _date(one["registered"]), one["commit"][:10], *md5s)
        table.add_row(f"{ARTIFACT}@{one['version']}", *cells, _scores(one["metrics"]))
    _console().print(table)
    if not versions:
        print("no version yet: ml registry register")


def _entry(known: Registry, version: Version) -> dict[str, Any]:
    """A version as `ml registry --json` has it; data and model are md5s, None without lineage."""
    md5s: dict[str, str | None] = {"data": None, "model": None}
    with suppress(Problem):
        recorded = lineage.recorded(version)
        md5s = {"data": recorded.data, "model": recorded.model}
    return {
        "version": version.name,
        "stages": [name for name in STAGES if known.stages[name][-1:] == [version]],
        "registered": version.at,
        "commit": version.sha,
        **md5s,
        "metrics": _metrics(version),
    }


def _metrics(version: Version) -> dict[str, float]:
    """The headline scores, from metrics/quality.json of the version's commit."""
    try:
        content = json.loads(git("show", f"{version.sha}:./{QUALITY}"))
        return {name: float(content[name]) for name in content.get("baseline", content)}
    except (Problem, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _scores(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()) or "none"


def _assigned(tag: str) -> str:
    """When a version came to a stage, in seconds since 1970, and by whom: "1700000000 Ada"."""
    return git("for-each-ref", "--format=%(taggerdate:unix) %(taggername)", f"refs/tags/{tag}")


def _date(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"


def _table(*heads: str) -> Table:
    return Table(*heads, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))


def _console() -> Console:
    return Console(width=None if Console().is_terminal else 160, highlight=False)
