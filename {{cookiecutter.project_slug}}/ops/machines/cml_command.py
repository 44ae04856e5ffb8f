"""The order for a machine: the command line of CML 0.20.6 that asks for what is declared."""

import base64
import os
import re

from core.errors import Problem
from ops.machines import lifetime
from ops.machines.machine import number, run_label
from ops.machines.machine_yaml import MARGIN, Gcp, Machine

CML, PROVIDER = "0.20.6", "0.11.20"  # the last releases, whose sources this was written by
IDLE = 300  # seconds that a machine waits for its job
IDENTIFIER = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# the variables of the repository that each cloud needs, and what they look like
NEEDS = {
    "aws": {
        "AWS_SECURITY_GROUP": r"sg-[0-9a-f]+",
        "AWS_SUBNET": r"subnet-[0-9a-f]+",
        "AWS_INSTANCE_PROFILE": r"arn:aws[a-z-]*:iam::\d{12}:instance-profile/[\w+=,.@/-]+",
    },
    "gcp": {"GCP_PROJECT": r"[a-z][a-z0-9-]{4,28}[a-z0-9]"},
    "azure": {"AZURE_TENANT_ID": IDENTIFIER, "AZURE_SUBSCRIPTION_ID": IDENTIFIER},
}


def startup(minutes: int) -> str:
    """What the machine runs as root before CML: it ends itself, whatever becomes of CML."""
    return (
        "# the end of this machine, whatever becomes of CML, of the job and of the network\n"
        f"shutdown -P +{minutes} || (sleep {minutes * 60}; poweroff -f) &\n"
    )


def variables(cloud: str) -> dict[str, str]:
    """The repository's variables, which the workflow hands on; a `Problem` says how to set one."""
    values = {}
    for name, pattern in NEEDS[cloud].items():
        value = values[name] = os.environ.get(name, "")
        if not re.fullmatch(pattern, value, re.ASCII):
            what = f"is {value!r}, which cannot be" if value else "is not set"
            fix = f"gh variable set {name} --body VALUE"
            raise Problem(f"{name} {what}; set it by: {fix} (ops/machines/README.md says to what)")
    return values


def order(machine: Machine, repository: str, now: float) -> list[str]:
    """The words of the command line; `now` in seconds since 1970."""
    place = machine.hired
    if place is None:
        raise Problem(f"machine.yaml says use: {machine.use}: there is nothing to hire")
    known = variables(machine.use)
    minutes = machine.timeout_minutes + MARGIN
    script = base64.b64encode(startup(minutes).encode()).decode()
    tags = {
        "project": lifetime.owner(machine.use, repository),
        "run": number("GITHUB_RUN_ID", "0"),
        "expires": str(int(now) + minutes * 60),
    }
    kind = place.type
    if isinstance(place, Gcp) and place.accelerator:
        kind += f"+{place.accelerator}"
    words = [
        os.environ.get("CML_BIN") or "cml",
        "runner",
        "launch",
        "--single",
        "--no-retry=true",  # without "=true" CML 0.20.6 reads "retry: false" and refuses it
        f"--idle-timeout={IDLE}",
        f"--name={run_label()}",
        f"--labels=cml,{run_label()}",
        f"--cloud={machine.use}",
        f"--cloud-region={machine.region}",
        f"--cloud-type={kind}",
        f"--cloud-image={place.image}",
        f"--cloud-hdd-size={place.disk_gb}",
        *(f"--cloud-metadata={name}={value}" for name, value in tags.items()),
        f"--cloud-startup-script={script}",
        f"--tpi-version== {PROVIDER}",
        f"--cml-version={CML}",
    ]
    if place.spot:
        words.append("--cloud-spot")
    if machine.use == "aws":
        words += [
            f"--cloud-aws-security-group={known['AWS_SECURITY_GROUP']}",
            f"--cloud-aws-subnet={known['AWS_SUBNET']}",
            f"--cloud-permission-set={known['AWS_INSTANCE_PROFILE']}",
        ]
    return words
