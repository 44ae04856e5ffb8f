"""Read workflow files, and know what GitHub makes of them where act does not."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
SCOPES = (
    *("actions", "attestations", "checks", "contents", "deployments", "discussions", "id-token"),
    *("issues", "models", "packages", "pages", "pull-requests", "security-events", "statuses"),
)
HOSTED = re.compile(r"(ubuntu|windows|macos)-[\w.-]+")


class Loader(yaml.SafeLoader):
    """YAML 1.2's booleans: the key `on` is a word."""


Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("true|false|True|False|TRUE|FALSE"), list("tTfF")
)


def read(text: str) -> Json:
    """A workflow or an action."""
    loaded: Json = yaml.load(text, Loader)
    return loaded


def load(path: Path) -> Json:
    return read(path.read_text(encoding="utf-8"))


def steps(workflow: Json) -> Iterator[tuple[str, Json]]:
    """(job, step) of a workflow; ("", step) of a composite action."""
    for step in workflow.get("runs", {}).get("steps", []):
        yield "", step
    for name, job in workflow.get("jobs", {}).items():
        for step in job.get("steps", []):
            yield name, step


def uses(root: Path, workflow: Json) -> set[str]:
    """Every external action, also those that local composite actions use: {"owner/name@ref"}."""
    found: set[str] = set()
    for job in workflow.get("jobs", {}).values():
        if job.get("uses", "").startswith("./"):
            found |= uses(root, load(root / job["uses"]))
        elif "uses" in job:
            found.add(job["uses"])
    for _, step in steps(workflow):
        if "uses" not in step:
            continue
        if step["uses"].startswith("./"):
            for name in ("action.yml", "action.yaml"):
                if (root / step["uses"] / name).exists():
                    found |= uses(root, load(root / step["uses"] / name))
        else:
            found.add(step["uses"])
    return found


def strings(node: Any) -> Iterator[str]:
    """Every text below a node, keys aside."""
    if isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


def permissions(workflow: Json, job: Json) -> dict[str, str]:
    """What the job's token may do: {"contents": "read"}; nothing where nothing is said of it."""
    said = job.get("permissions", workflow.get("permissions"))
    if said is None:  # the repository's default, of which the worst is assumed
        said = "write-all"
    if isinstance(said, str):
        return {scope: said.partition("-")[0] for scope in SCOPES}
    return {scope: level for scope, level in said.items() if level != "none"}


def environment(job: Json) -> str:
    """The name of the job's environment, or nothing."""
    said = job.get("environment", "")
    return said.get("name", "") if isinstance(said, dict) else said


def labels(job: Json) -> list[str] | None:
    """What the job wants of its runner; None where an expression decides."""
    said = job.get("runs-on", [])
    if isinstance(said, dict):
        said = said.get("labels", [])
    said = [said] if isinstance(said, str) else said
    return None if any("${{" in label for label in said) else said


def needs(job: Json) -> list[str]:
    said = job.get("needs", [])
    return [said] if isinstance(said, str) else said


def pattern(glob: str) -> re.Pattern[str]:
    """GitHub's globs: `*` stays within a folder, `**` does not."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\+)", glob)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "?", "+": "+"}
    return re.compile("".join(known.get(part) or re.escape(part) for part in parts))


def matches(name: str, globs: Iterable[str]) -> bool:
    """The last pattern that fits decides; `!` takes away."""
    fits = False
    for glob in globs:
        if pattern(glob.removeprefix("!")).fullmatch(name):
            fits = not glob.startswith("!")
    return fits


def triggers(workflow: Json) -> Json:
    """{"pull_request": {...}, "push": {}}, however it is written."""
    said = workflow["on"]
    if isinstance(said, str):
        return {said: {}}
    if isinstance(said, list):
        return {name: {} for name in said}
    return {name: value or {} for name, value in said.items()}


def starts(workflow: Json, event: str, payload: Json, ref: str, changed: Iterable[str]) -> bool:
    """Whether GitHub would start the workflow: act starts it whatever the filters say."""
    said = triggers(workflow).get(event)
    if said is None:
        return False
    if event == "schedule":
        return any(one["cron"] == payload.get("schedule") for one in said)
    if event == "repository_dispatch":
        return payload["action"] in said.get("types", [payload["action"]])
    if event == "workflow_run":
        run = payload["workflow_run"]
        types = said.get("types", ["requested", "completed"])
        branches = said.get("branches", ["**"])
        return (
            payload["action"] in types
            and run["name"] in said["workflows"]
            and matches(run["head_branch"], branches)
        )
    if event in ("push", "pull_request"):
        branch = payload["pull_request"]["base"]["ref"] if event == "pull_request" else ref
        branch = branch.removeprefix("refs/heads/")
        types = said.get("types", ["opened", "synchronize", "reopened"])
        if event == "pull_request" and payload["action"] not in types:
            return False
        only_tags = "tags" in said and not {"branches", "branches-ignore"} & set(said)
        if event == "push" and only_tags and not ref.startswith("refs/tags/"):
            return False
        if not matches(branch, said.get("branches", ["**"])):
            return False
        if matches(branch, said.get("branches-ignore", [])):
            return False
        changed = list(changed)
        if "paths" in said and not any(matches(path, said["paths"]) for path in changed):
            return False
        ignored = said.get("paths-ignore", [])
        if ignored and all(matches(path, ignored) for path in changed):
            return False
    return True
