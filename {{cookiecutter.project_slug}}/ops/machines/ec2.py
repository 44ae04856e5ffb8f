"""Hired machines on EC2, the requests for them, and their keys."""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from core.errors import Problem
from ops.machines.lifetime import Resource

ALIVE = ["pending", "running", "stopping", "stopped"]  # a stopped one still pays for its disk
Found = dict[str, Any]


def client(service: str, region: str) -> Any:
    """A client of AWS; its credentials come from where botocore finds them."""
    return botocore.session.Session().create_client(service, region)


def resources(region: str, ours: str) -> Iterator[Resource]:
    """The region's live instances and requests, and the keys of this repository.

    CML asks for a spot instance and tags it once it runs. One whose launch was cancelled in
    between has no tags: it is recognised by those of its request, or by the stack's own profile,
    which nothing else may have.
    """
    ec2 = client("ec2", region)
    requests = _all(ec2, "describe_spot_instance_requests", "SpotInstanceRequests")
    living = [{"Name": "instance-state-name", "Values": ALIVE}]
    reserved = _all(ec2, "describe_instances", "Reservations", Filters=living)
    tags = {one["SpotInstanceRequestId"]: _tags(one) for one in requests}
    for name, one in zip(tags, requests, strict=True):
        if one["State"] in ("open", "active"):
            end = partial(ec2.cancel_spot_instance_requests, SpotInstanceRequestIds=[name])
            yield _resource("spot request", name, tags[name], one["CreateTime"], one["State"], end)
    asked = {one["InstanceId"]: _tags(one) for one in requests if one.get("InstanceId")}
    profile = os.environ.get("AWS_INSTANCE_PROFILE", "-")
    for one in [instance for some in reserved for instance in some["Instances"]]:
        name, own = one["InstanceId"], _tags(one)
        if "project" not in own:
            own = asked.get(name, {})
        if "project" not in own and one.get("IamInstanceProfile", {}).get("Arn") == profile:
            own = {"project": ours}
        end = partial(ec2.terminate_instances, InstanceIds=[name])
        yield _resource("instance", name, own, one["LaunchTime"], one["State"]["Name"], end)
    mine = [{"Name": "tag:project", "Values": [ours]}]
    for one in _ask(ec2.describe_key_pairs, Filters=mine)["KeyPairs"]:
        end = partial(ec2.delete_key_pair, KeyName=one["KeyName"])
        yield _resource("key", one["KeyName"], _tags(one), one["CreateTime"], "", end)


def _ask(call: Any, **how: Any) -> Any:
    try:
        return call(**how)
    except (BotoCoreError, ClientError) as error:
        raise Problem(f"aws: {error}") from None


def _all(ec2: Any, call: str, key: str, **how: Any) -> list[Found]:
    """Every page of a list."""
    pages = _ask(lambda: list(ec2.get_paginator(call).paginate(**how)))
    return [one for page in pages for one in page[key]]


def _tags(one: Found) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}


def _resource(
    kind: str, name: str, tags: dict[str, str], since: Any, state: str, end: Any
) -> Resource:
    owner, run, expires = (tags.get(key, "") for key in ("project", "run", "expires"))
    return Resource(kind, name, owner, run, expires, since.timestamp(), state, partial(_ask, end))


def end_at_shutdown(region: str, ours: str, run: str) -> int:
    """Make the run's instances end, not stop, when they shut down; how many there are.

    EC2 stops an instance that is not spot, and goes on asking money for its disk; CML has no
    option for that.
    """
    ec2 = client("ec2", region)
    mine = [
        {"Name": "tag:project", "Values": [ours]},
        {"Name": "tag:run", "Values": [run]},
        {"Name": "instance-state-name", "Values": ALIVE},
    ]
    count = 0
    for some in _all(ec2, "describe_instances", "Reservations", Filters=mine):
        for one in some["Instances"]:
            if one.get("InstanceLifecycle") != "spot":
                _ask(
                    ec2.modify_instance_attribute,
                    InstanceId=one["InstanceId"],
                    Attribute="instanceInitiatedShutdownBehavior",
                    Value="terminate",
                )
                count += 1
    return count
