"""Hired machines on gcp and azure, asked for by the clouds' own commands."""

import datetime
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from ops.machines.lifetime import Resource, readable, run_command, run_json


def gcp(ours: str) -> Iterator[Resource]:
    """The project's instances that carry our label, and the firewall rules that go with each."""
    command = ["gcloud", "compute", "instances", "list", f"--filter=labels.project={ours}"]
    for one in run_json(*command, "--format=json"):
        labels = one.get("labels", {})
        state = one["status"].lower()
        zone = one["zone"].rpartition("/")[2]
        end = partial(_end_gcp, one["name"], zone)
        yield Resource("instance", one["name"], *_who(labels), _time(one), state, end)


def _end_gcp(name: str, zone: str) -> None:
    run_command("gcloud", "compute", "instances", "delete", name, f"--zone={zone}", "--quiet")
    rules = [f"{name}-ingress", f"{name}-egress"]
    run_command("gcloud", "compute", "firewall-rules", "delete", *rules, "--quiet")


def azure(ours: str) -> Iterator[Resource]:
    """The subscription's resource groups that carry our tag: CML makes one for each machine.

    A group does not say when it was made; without a readable tag `expires` it is taken for
    old, because every machine is hired with one.
    """
    for one in run_json("az", "group", "list", "--tag", f"project={ours}", "-o", "json"):
        name, state = one["name"], one["properties"]["provisioningState"].lower()
        if state != "deleting":
            owner, run, expires = _who(one.get("tags") or {})
            delete = ("az", "group", "delete")
            since = time.time() if readable(expires) else 0.0
            end = partial(run_command, *delete, "--name", name, "--yes", "--no-wait")
            yield Resource("group", name, owner, run, expires, since, state, end)


def _who(tags: dict[str, str]) -> tuple[str, str, str]:
    return tags.get("project", ""), tags.get("run", ""), tags.get("expires", "")


def _time(one: dict[str, Any]) -> float:
    made = str(one["creationTimestamp"]).replace("Z", "+00:00")
    return datetime.datetime.fromisoformat(made).timestamp()
