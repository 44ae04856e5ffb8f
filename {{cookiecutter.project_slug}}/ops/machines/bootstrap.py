"""Make the AWS account ready for this repository: one stack, ops/machines/bootstrap.yaml.

A person runs it who may make roles in the account, logged in to AWS, and to GitHub by `gh`.
Run it again after a change of machine.yaml's section `aws`, or of the repository's name.
"""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from core.errors import Problem
from ops.machines import account, github, stack
from ops.machines.ec2 import client
from ops.machines.lifetime import REPOSITORY, run_command
from ops.machines.machine_yaml import Aws, load_machine

BODY = Path(__file__).with_name("bootstrap.yaml")


class Asked(NamedTuple):
    """The options of `ml bootstrap`."""

    email: str
    github_repository: str | None = None
    region: str | None = None
    bucket: str | None = None
    budget: int = 100
    subnet: str | None = None
    ssh_from: str = "0.0.0.0/0"
    subject: str | None = None
    stack: str | None = None
    variables: bool = False
    dry_run: bool = False


def values(asked: Asked, repository: str, machine: Aws, old: dict[str, str]) -> dict[str, str]:
    """The parameters of the stack: what is asked for, what it was made with, what there is."""
    region = asked.region or machine.region
    name = asked.bucket or old.get("Bucket") or account.bucket()
    chosen = {
        "Repository": repository,
        "Subject": asked.subject or github.subject(repository),
        "Bucket": name,
        "InstanceTypes": machine.type,
        "Email": asked.email,
        "BudgetUsd": str(asked.budget),
        "SshFrom": asked.ssh_from,
    }
    if old and not asked.subnet:
        chosen |= {key: old[key] for key in ("Vpc", "Subnet")}
    else:
        chosen |= account.place(client("ec2", region), machine.type, asked.subnet)
    if old:  # what the stack has made it keeps
        return chosen | {key: old[key] for key in ("MakeBucket", "MakeProvider")}
    makes = {
        "MakeBucket": account.new_bucket(client("s3", region), name),
        "MakeProvider": account.new_provider(client("iam", region)),
    }
    return chosen | {key: "yes" if make else "no" for key, make in makes.items()}


def check(asked: Asked) -> None:
    """Raises `Problem` for what cannot be meant."""
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", asked.email):
        raise Problem(f"--email {asked.email!r} is no e-mail address")
    if asked.region and not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", asked.region):
        raise Problem(f"--region {asked.region!r}; must be one of AWS, as us-east-1")
    if asked.github_repository and not REPOSITORY.fullmatch(asked.github_repository):
        raise Problem(f"--github-repository {asked.github_repository!r}; must be owner/name")


def main(asked: Asked) -> None:
    """`ml bootstrap --email you@example.com`"""
    check(asked)
    machine = load_machine().aws
    region = asked.region or machine.region
    repository = asked.github_repository or github.origin()
    name = asked.stack or re.sub("[^A-Za-z0-9]+", "-", repository.partition("/")[2]).strip("-")
    name = name if asked.stack else f"{name}-infra"
    who = stack.ask(client("sts", region).get_caller_identity)["Account"]
    cloudformation = client("cloudformation", region)
    old = stack.parameters(stack.find(cloudformation, name))
    chosen = values(asked, repository, machine, old)
    print(f"{'update' if old else 'create'} the stack {name} in {region}, account {who}")
    for key, value in chosen.items():
        print(f"  {key:15}{value}")
    if asked.dry_run:
        print("nothing was done: --dry-run")
        return
    if machine.spot:
        account.spot(client("iam", region))
    outputs = stack.deploy(cloudformation, name, BODY.read_text(encoding="utf-8"), chosen)
    commands = github.commands(repository, outputs)
    print("\nthe variables of the repository" + (": set" if asked.variables else ""))
    for command in commands:
        print(f"  {shlex.join(command)}")
        if asked.variables:
            run_command(*command)
    print("\nleft to do, once")
    for environment in ("machines", "production"):
        print(f"  gh api -X PUT repos/{repository}/environments/{environment}")
    print(f"  gh secret set CML_TOKEN --env machines --repo {repository}")
