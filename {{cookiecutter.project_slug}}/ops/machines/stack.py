"""Create or update a stack of CloudFormation, and tell what becomes of it."""

import time
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from core.errors import Problem

POLL = 5.0  # seconds


def ask(call: Any, **how: Any) -> Any:
    """One call of AWS; what it refuses is a `Problem`."""
    try:
        return call(**how)
    except NoCredentialsError:
        raise Problem("no credentials of AWS: log in by `aws sso login` or `aws login`") from None
    except (BotoCoreError, ClientError) as error:
        raise Problem(f"aws: {error}") from None


def find(cloudformation: Any, name: str) -> dict[str, Any] | None:
    """The stack, or None."""
    try:
        described: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise Problem(f"aws: {error}") from None
    return None if described["StackStatus"] == "DELETE_COMPLETE" else described


def parameters(stack: dict[str, Any] | None) -> dict[str, str]:
    """What a stack was made with."""
    given = stack.get("Parameters", ()) if stack else ()
    return {one["ParameterKey"]: one["ParameterValue"] for one in given}


def deploy(cloudformation: Any, name: str, body: str, values: dict[str, str]) -> dict[str, str]:
    """Create or update the stack and wait for it; its outputs."""
    old = find(cloudformation, name)
    if old and old["StackStatus"] in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
        fix = f"aws cloudformation delete-stack --stack-name {name}"
        raise Problem(f"the stack {name} was never made: {old['StackStatus']}; first: {fix}")
    known = {one["EventId"] for one in _events(cloudformation, name)} if old else set()
    call = cloudformation.update_stack if old else cloudformation.create_stack
    try:
        call(
            StackName=name,
            TemplateBody=body,
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in values.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise Problem(f"aws: {error}") from None
        print(f"{name} is up to date")
    else:
        print(f"{'updating' if old else 'creating'} {name}: some minutes", flush=True)
    return _wait(cloudformation, name, known)


def _wait(cloudformation: Any, name: str, known: set[str]) -> dict[str, str]:
    failures = []
    while True:
        for one in _events(cloudformation, name):
            if one["EventId"] not in known:
                known.add(one["EventId"])
                status = one.get("ResourceStatus", "")
                print(f"  {status:30}{one.get('LogicalResourceId', '')}", flush=True)
                if status.endswith("FAILED") and "cancelled" not in one["ResourceStatusReason"]:
                    failures.append(f"{one['LogicalResourceId']}: {one['ResourceStatusReason']}")
        now = ask(cloudformation.describe_stacks, StackName=name)["Stacks"][0]
        status = now["StackStatus"]
        if not status.endswith("IN_PROGRESS"):
            break
        time.sleep(POLL)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        why = failures or [now.get("StackStatusReason", "AWS did not say why")]
        raise Problem(f"the stack {name} ended as {status}\n" + "\n".join(why))
    return {one["OutputKey"]: one["OutputValue"] for one in now.get("Outputs", ())}


def _events(cloudformation: Any, name: str) -> Iterator[dict[str, Any]]:
    """What has happened to the stack, the oldest first."""
    pages = cloudformation.get_paginator("describe_stack_events")
    listed = ask(lambda: list(pages.paginate(StackName=name)))
    yield from reversed([one for page in listed for one in page["StackEvents"]])
