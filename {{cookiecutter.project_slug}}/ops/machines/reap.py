"""End hired machines that have outlived their tag, and remove the runners that they leave behind.

Without --delete it only says what it would do. What another repository has hired, and what
carries no tag of ours, is never touched.
"""

import time
from collections.abc import Iterable

from core.errors import Problem
from ops.machines import ec2, gcp_azure, github_runners, lifetime
from ops.machines.lifetime import Resource, Verdict
from ops.machines.machine_yaml import load_machine

Judged = tuple[Resource, Verdict]


def look(cloud: str, region: str, repository: str) -> Iterable[Resource]:
    """What there is on a cloud."""
    ours = lifetime.owner(cloud, repository)
    if cloud == "aws":
        return ec2.resources(region, ours)
    return gcp_azure.gcp(ours) if cloud == "gcp" else gcp_azure.azure(ours)


def left(resources: Iterable[Resource], alive: set[str]) -> list[Judged]:
    """Offline runners: to be removed, but for those whose machine is still starting."""
    verdicts = {
        True: Verdict(False, "its machine lives"),
        False: Verdict(True, "its machine is gone"),
    }
    return [(resource, verdicts[resource.run in alive]) for resource in resources]


def table(judged: list[Judged]) -> str:
    """A line for each resource of ours, and how many others there are."""
    ours = [(resource, verdict) for resource, verdict in judged if verdict.ours]
    rows = [("what", "", "run", "state", "")]
    for resource, verdict in ours:
        does = f"{'end' if verdict.end else 'keep'}: {verdict.why}"
        rows.append((resource.kind, resource.id, resource.run or "?", resource.state, does))
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
    for resource, verdict in judged:
        if verdict.end:
            try:
                resource.end()
                print(f"ended {resource.kind} {resource.id}")
            except Problem as problem:
                failures.append(f"{resource.kind} {resource.id}: {problem}")
    return failures


def main(delete: bool = False, cloud: str | None = None) -> None:
    """`ml machine reap`: exit 2 where something could not be looked at or ended."""
    machine, repository = load_machine(), lifetime.repository()
    cloud = cloud or (machine.use if machine.hired else None)
    judged: list[Judged] = []
    failures: list[str] = []
    alive: set[str] = set()
    if cloud:
        ours, now = lifetime.owner(cloud, repository), time.time()
        try:
            resources = list(look(cloud, machine.aws.region, repository))
            judged = [(resource, lifetime.judge(resource, ours, now)) for resource in resources]
            alive = {t.run for t, v in judged if v.ours and not v.end and t.kind != "key"}
        except Problem as problem:
            failures.append(str(problem))
    if not failures:  # which machines live is known
        try:
            judged += left(github_runners.offline(repository, repository), alive)
        except Problem as problem:
            failures.append(str(problem))
    print(table(judged))
    if delete:
        failures = reap(judged) + failures
    elif any(verdict.end for _, verdict in judged):
        print("nothing was ended: that takes --delete")
    if failures:
        raise Problem("\n".join(failures))
