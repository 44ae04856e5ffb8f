"""Which models there are, which is in production, and how one gets there and back: Git tags.

`register` makes this commit a version, `promote` puts one in a stage, `rollback` the one before;
`lineage` computes again where one comes from. Without a verb: all versions.
"""

import argparse
import json
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline import base, stage
from pipeline.errors import Problem
from pipeline.releases import lineage, verify, versions
from pipeline.releases.register import BUMPS, register
from pipeline.releases.versions import ARTIFACT, STAGES, Registry, Version


def promote(name: str, to: str, push: bool) -> None:
    """Put a version in a stage, if all that it was made of is what its tag says."""
    versions.check_stage(to)
    known = versions.known(push)
    version = known.version(name)
    there = known.stages[to][-1] if known.stages[to] else None
    if there == version:
        print(f"{version.tag} is in {to} already")
        versions.publish(known.tags[to], push, new=False)
        return
    told = lineage.told(version)
    verify.refuse(version.tag, verify.verify(told, version.tag))
    before = f", before it {there.name}" if there else ""
    _assign(known, version, to, f"{version.name} to {to}{before}", push)


def rollback(of: str, push: bool) -> None:
    """Put back the version that was in a stage before the one that is there now.

    That one is left for good: until it is promoted again, no rollback returns to it. What answers
    is verified, the data that it was trained on is not waited for.
    """
    versions.check_stage(of)
    known = versions.known(push)
    line = known.stages[of]
    if not known.now(of):
        raise Problem(f"nothing is in {of}; python -m pipeline.registry promote VERSION {of}")
    if len(line) == 1:
        raise Problem(f"{line[-1].tag} is the first in {of}: there is nothing to roll back to")
    bad, version = line[-1], line[-2]
    rows = verify.verify(lineage.told(version), version.tag, everything=False)
    verify.refuse(version.tag, rows)
    _assign(known, version, of, f"{of} back to {version.name}, from {bad.name}", push)


def _assign(known: Registry, version: Version, to: str, why: str, push: bool) -> None:
    tag = f"{ARTIFACT}#{to}#{known.counter + 1}"
    versions.put(tag, version.sha, f"{why}\n", known.last)
    versions.publish(tag, push)
    print(f"{version.tag} is in {to}: {why}")


def trace(what: str) -> None:
    """Print where a version, or what is in a stage, comes from; exit 1 where it does not match."""
    known = versions.read()
    there = known.now(what) if what in STAGES else known.version(what)
    if not there:
        raise Problem(f"nothing is in {what}")
    told = lineage.told(there)
    rows = verify.verify(told, there.tag)
    table = Table("", "recorded", "found")
    for row in rows:
        found = escape(str(row.found or "not to be had"))
        cells = (escape(row.what), escape(row.wanted))
        table.add_row(*cells, "the same" if row.ok else f"[bold red]{found}")
    console = _console()
    console.print(f"{there.tag}, compared with {told.baseline or 'nothing'}", highlight=False)
    console.print(table)
    verify.refuse(there.tag, rows)
    print(f"to have it here:\n  git checkout '{there.tag}'\n  dvc pull\n  dvc status")


def show() -> None:
    """Print what is in each stage, and what a rollback would put back."""
    known = versions.read()
    table = Table("stage", "version", "since", "commit", "scores", "a rollback puts back")
    for name in STAGES:
        line, now = known.stages[name], known.now(name)
        if not now:
            table.add_row(name, "nothing", *("",) * 4)
            continue
        before = line[-2].name if len(line) > 1 else "nothing"
        table.add_row(name, now.tag, _since(known.tags[name]), now.sha[:10], _scores(now), before)
    _console().print(table)


def listing() -> None:
    """Print every version, newest first."""
    known = versions.read()
    table = Table("version", "in", "registered", "commit", "data", "model", "scores")
    for one in reversed(known.versions):
        stages = ", ".join(name for name in STAGES if known.stages[name][-1:] == [one])
        try:
            told = lineage.told(one)
            md5s = (told.data[:8], told.model[:8])
        except Problem:
            md5s = ("no lineage", "")
        table.add_row(one.tag, stages, _date(one.at), one.sha[:10], *md5s, _scores(one))
    _console().print(table)
    for name in STAGES:
        known.now(name)  # or a problem that is worth an exit status
    if not known.versions:
        print("no version yet: python -m pipeline.registry register")


def _scores(version: Version) -> str:
    """The headline scores, from metrics/quality.json of the version's commit."""
    try:
        content = json.loads(base.git("show", f"{version.sha}:./metrics/quality.json"))
        names = list(content.get("baseline", content))
        return ", ".join(f"{name} {content[name]:.4f}" for name in names)
    except (Problem, ValueError, KeyError, TypeError, AttributeError):
        return "none"


def _since(tag: str) -> str:
    """When a version came to a stage, and by whom."""
    told = base.git("for-each-ref", "--format=%(taggerdate:unix) %(taggername)", f"refs/tags/{tag}")
    at, _, who = told.partition(" ")
    return f"{_date(int(at))}, {escape(who)}"


def _date(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"


def _console() -> Console:
    return Console(width=None if Console().is_terminal else 160)


def main(arguments: list[str] | None = None) -> None:
    """`python -m pipeline.registry`"""
    about = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m pipeline.registry", description=about)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    pushing = argparse.ArgumentParser(add_help=False)
    pushing.add_argument("--push", action="store_true", help="bring the tag to origin")
    verbs.add_parser("show", help="what is in production and staging")
    one = verbs.add_parser("register", parents=[pushing], help="make this commit a version")
    one.add_argument("--bump", choices=("auto", *BUMPS), default="auto",
                     help="auto: patch when only the data changed, else minor")  # fmt: skip
    one = verbs.add_parser("promote", parents=[pushing], help="put a version in a stage")
    one.add_argument("version")
    one.add_argument("stage", help=" or ".join(STAGES))
    one = verbs.add_parser("rollback", parents=[pushing], help="put back the version before")
    one.add_argument("stage", help=" or ".join(STAGES))
    one = verbs.add_parser("lineage", help="where a version comes from, computed again")
    one.add_argument("what", metavar="VERSION|STAGE")
    args = parser.parse_args(arguments)
    if args.verb == "register":
        register(args.bump, args.push)
    elif args.verb == "promote":
        promote(args.version, args.stage, args.push)
    elif args.verb == "rollback":
        rollback(args.stage, args.push)
    elif args.verb == "lineage":
        trace(args.what)
    else:
        show() if args.verb == "show" else listing()


if __name__ == "__main__":
    stage.run("registry", main)
