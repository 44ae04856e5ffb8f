"""End hired machines that have outlived their tag, and remove the runners that they leave behind.

Without --delete it only says what it would do. What another repository has hired, and what
carries no tag of ours, is never touched.
"""

import argparse
import time
from collections.abc import Iterable

from infra import aws, clouds, hired, runners
from infra.declared import load
from infra.hired import Thing, Verdict
from pipeline.errors import Problem

Judged = tuple[Thing, Verdict]


def look(cloud: str, region: str, repository: str) -> Iterable[Thing]:
    """What there is on a cloud."""
    ours = hired.owner(cloud, repository)
    if cloud == "aws":
        return aws.seen(region, ours)
    return clouds.gcp(ours) if cloud == "gcp" else clouds.azure(ours)


def left(things: Iterable[Thing], alive: set[str]) -> list[Judged]:
    """Offline runners: to be removed, but for those whose machine is still starting."""
    verdicts = {
        True: Verdict(False, "its machine lives"),
        False: Verdict(True, "its machine is gone"),
    }
    return [(thing, verdicts[thing.run in alive]) for thing in things]


def table(judged: list[Judged]) -> str:
    """A line for each thing of ours, and how many others there are."""
    ours = [(thing, verdict) for thing, verdict in judged if verdict.ours]
    rows = [("what", "", "run", "state", "")]
    for thing, verdict in ours:
        does = f"{'end' if verdict.end else 'keep'}: {verdict.why}"
        rows.append((thing.kind, thing.id, thing.run or "?", thing.state, does))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "  ".join([*(cell.ljust(n) for cell, n in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    ]
    others = len(judged) - len(ours)
    return "\n".join([*(lines if ours else ["nothing of ours"]), f"not ours: {others}"])


def reap(judged: list[Judged]) -> list[str]:
    """End what is to be ended; what could not be, and why."""
    failures = []
    for thing, verdict in judged:
        if verdict.end:
            try:
                thing.end()
                print(f"ended {thing.kind} {thing.id}")
            except Problem as problem:
                failures.append(f"{thing.kind} {thing.id}: {problem}")
    return failures


def main() -> None:
    """`python -m infra.reap`: exit 1 where something could not be looked at or ended."""
    parser = argparse.ArgumentParser(prog="python -m infra.reap", description=__doc__)
    parser.add_argument("--delete", action="store_true", help="do it; otherwise say it only")
    parser.add_argument("--cloud", choices=["aws", "gcp", "azure"], help="default: machine.yaml's")
    asked = parser.parse_args()
    machine, repository = load(), hired.repository()
    cloud = asked.cloud or (machine.use if machine.hired else None)
    judged: list[Judged] = []
    failures: list[str] = []
    alive: set[str] = set()
    if cloud:
        ours, now = hired.owner(cloud, repository), time.time()
        try:
            things = list(look(cloud, machine.aws.region, repository))
            judged = [(thing, hired.judge(thing, ours, now)) for thing in things]
            alive = {t.run for t, v in judged if v.ours and not v.end and t.kind != "key"}
        except Problem as problem:
            failures.append(str(problem))
    if not failures:  # which machines live is known
        try:
            judged += left(runners.offline(repository, repository), alive)
        except Problem as problem:
            failures.append(str(problem))
    print(table(judged))
    if asked.delete:
        failures = reap(judged) + failures
    elif any(verdict.end for _, verdict in judged):
        print("nothing was ended: that takes --delete")
    if failures:
        raise Problem("\n".join(failures))


if __name__ == "__main__":
    from pipeline import stage

    stage.run("reap", main)
