"""Say which machine trains, as machine.yaml declares it: for people, and for the workflow."""

import json
import os
from pathlib import Path

from core.errors import Problem
from core.files import github_output
from ops.machines.machine_yaml import Machine, load_machine

FULL = "full-train"  # the label of a pull request that trains on all rows


def run_label() -> str:
    """The label of this workflow run's machine, which no other run's job asks for."""
    return f"run-{number('GITHUB_RUN_ID', '0')}-{number('GITHUB_RUN_ATTEMPT', '1')}"


def number(name: str, default: str) -> str:
    """An environment variable of GitHub's that must be a number."""
    value = os.environ.get(name, default)
    if not (value.isascii() and value.isdigit()):
        raise Problem(f"{name} is {value!r}, not a number")
    return value


def runs_on(machine: Machine) -> list[str]:
    """The labels that a job needs to get to this machine."""
    if machine.hired:
        return ["self-hosted", "cml", run_label()]
    return [machine.hosted.runs_on] if machine.use == "hosted" else machine.self_hosted.labels


def labels_of(event: Path) -> list[str] | None:
    """The labels of the pull request that GitHub's event is about; None if it is about none."""
    try:
        content = json.loads(event.read_text(encoding="utf-8"))
        about = content.get("pull_request")
        return about and [str(label["name"]) for label in about.get("labels") or []]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise Problem(f"{event}: not an event of GitHub's") from None


def outputs(machine: Machine, labels: list[str] | None) -> dict[str, str]:
    """What the workflow wants to know; None for `labels` means no pull request, thus all rows."""
    part = machine.sample if labels is not None and FULL not in labels else 1.0
    price = machine.price_per_hour
    values = {
        "runs_on": json.dumps(runs_on(machine)),
        "launch": json.dumps(machine.hired is not None),
        "cloud": machine.use if machine.hired else "none",
        "region": machine.region,
        "gpu": json.dumps(machine.gpu),
        "timeout": str(machine.timeout_minutes),
        "sample": repr(part),
        "price": "" if price is None else repr(price),
    }
    for name, value in values.items():
        if len(value.splitlines()) > 1:  # a second line would be an output of its own
            raise Problem(f"machine.yaml: {name} has more than one line: {value!r}")
    return values


def describe(machine: Machine, values: dict[str, str]) -> str:
    """The choice in words, a line each."""
    kind = {"hosted": "one of GitHub's runners", "self-hosted": "a runner of yours"}
    lines = [("machine", kind.get(machine.use, f"hired on {machine.use} by CML"))]
    if here := machine.hired:
        price = "at the spot price" if here.spot else "on demand"
        lines.append(("", f"{here.type} in {machine.region}, {here.disk_gb} GB, {price}"))
        lines.append(("", here.image))
    share = float(values["sample"])
    lines += [
        ("runs-on", ", ".join(json.loads(values["runs_on"]))),
        ("GPU", "yes: nvidia-smi is the first step" if machine.gpu else "no"),
        ("ends after", f"{values['timeout']} minutes"),
        ("trains on", "all rows" if share == 1 else f"{share:.4g} of the rows"),
        ("price", f"{values['price']} USD per hour" if values["price"] else "not declared"),
    ]
    return "\n".join(f"{name:12}{value}" for name, value in lines)


def main(event: str | None = None, labels: list[str] | None = None, as_json: bool = False) -> None:
    """`ml machine`: print the choice, as JSON what $GITHUB_OUTPUT gets for the workflow."""
    machine = load_machine()
    event = event or os.environ.get("GITHUB_EVENT_PATH")
    if labels is None and event:
        labels = labels_of(Path(event))
    values = outputs(machine, labels)
    print(json.dumps(values, indent=2) if as_json else describe(machine, values))
    github_output(**values)
