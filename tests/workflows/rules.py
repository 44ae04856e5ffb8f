"""What must hold of a repository's `.github`, judged by reading it; each rule lists what it finds.

act and GitHub run a workflow that breaks these without a word, so they are read, not run.
"""

import itertools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from workflows import forks
from workflows import workflow as wf

Files = dict[str, str]  # {".github/workflows/ci.yml": its text}
BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]  # what GitHub makes of `shell: bash`
# Settings that decide which way a script goes
VALUES = {"SAMPLE": ("1.0", "0.25"), "DELETE": ("true", "false")}
DEPLOY = {"staging", "production"}  # they push a tag and read the bucket
CANCELS = {"ci.yml": True, "comment.yml": True, "train.yml": False, "reaper.yml": False}


def workflows(files: Files) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, text in files.items():
        if "/workflows/" in name:
            yield name.rpartition("/")[2], wf.read(text)


def jobs(files: Files) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """(file, job's name, job, workflow)"""
    for name, workflow in workflows(files):
        for job, body in workflow["jobs"].items():
            yield name, job, body, workflow


def pinned(files: Files) -> Iterator[str]:
    """Every action by its commit, with its version; no trigger that gives forks secrets."""
    for name, text in files.items():
        for line in re.findall(r"(?m)^[\s-]*uses: *(.*)$", text):
            if not re.fullmatch(r"(\./\S+( #.*)?|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)", line):
                yield f"{name}: uses {line}"
        if "pull_request_target" in text or "docker://" in text:
            yield f"{name}: pull_request_target or docker://"


def permissions(files: Files) -> Iterator[str]:
    for name, workflow in workflows(files):
        if workflow.get("permissions") != {}:
            yield f"{name}: permissions are not {{}} at the top"
    for name, job, body, _ in jobs(files):
        said = body.get("permissions")
        if not isinstance(said, dict):
            yield f"{name}: {job} names no permissions of its own"
            continue
        writes = [scope for scope, level in said.items() if level == "write"]
        if len(writes) > (2 if "uses" in body or job in DEPLOY else 1):  # `uses`: only a ceiling
            yield f"{name}: {job} may write {writes}"
        if any(level not in ("read", "write") for level in said.values()):
            yield f"{name}: {job} has a permission that is neither read nor write"
    for name, text in files.items():
        for line in re.findall(r"(?m)^ +[a-z-]+: (?:write|read)\b.*$", text):
            if not re.search(r" # \w+", line):
                yield f"{name}: nobody says what for:{line}"


def credentials(files: Files) -> Iterator[str]:
    """No token stays in .git/config, but in the one job that pushes."""
    pushing = []
    for name, job, body, _ in jobs(files):
        for step in body.get("steps", []):
            if step.get("uses", "").startswith("actions/checkout@") and (
                step.get("with", {}).get("persist-credentials") is not False
            ):
                pushes = "git push" in " ".join(wf.strings(body))
                pushing += [f"{name}: {job}"] if pushes else []
                if not pushes or len(pushing) > 1:
                    yield f"{name}: {job} leaves its token in .git/config"


def timeouts(files: Files) -> Iterator[str]:
    for name, job, body, _ in jobs(files):
        if "timeout-minutes" not in body and "uses" not in body:  # there it stands in what is used
            yield f"{name}: {job} may run for ever"


def concurrency(files: Files) -> Iterator[str]:
    for name, workflow in workflows(files):
        said = workflow.get("concurrency")
        if not isinstance(said, dict) or not said.get("group"):
            yield f"{name}: no concurrency"
        elif said.get("cancel-in-progress") is not CANCELS.get(name, False):
            yield f"{name}: cancel-in-progress is {said.get('cancel-in-progress')}"
    for name, job, body, _ in jobs(files):
        if "ops machine launch" in " ".join(wf.strings(body)):
            said = body.get("concurrency", {})
            if said.get("cancel-in-progress") is not False:
                yield f"{name}: {job} hires, and may be cancelled half-way"


def keys(files: Files) -> Iterator[str]:
    for name, text in files.items():
        for word in re.findall("AWS_ACCESS_KEY_ID|AWS_SECRET_ACCESS_KEY|aws-access-key-id", text):
            yield f"{name}: {word}"


def secrets(files: Files) -> Iterator[str]:
    """No expression in a script, no secret but in one job behind an environment."""
    for name, workflow in workflows(files):
        for job, step in wf.steps(workflow):
            if "${{" in step.get("run", ""):
                yield f"{name}: {job} has an expression in its script: {step['run']}"
            printed = re.findall(r"(?:secrets|github)\.\w*token\w*", step.get("run", ""), re.I)
            if printed:
                yield f"{name}: {job}: {printed}"
        holders = []
        for job, body in workflow["jobs"].items():
            if body.get("secrets") == "inherit":
                yield f"{name}: {job} inherits secrets"
            used = set(re.findall(r"secrets\.(\w+)", " ".join(wf.strings(body))))
            if used - {"GITHUB_TOKEN"}:
                holders.append(job)
                if not wf.environment(body):
                    yield f"{name}: {job} has {used} behind no environment"
        if len(holders) > 1:
            yield f"{name}: secrets in {holders}"
        outside = {key: value for key, value in workflow.items() if key != "jobs"}
        if "secrets." in " ".join(wf.strings(outside)):
            yield f"{name}: a secret for all jobs"


def shell(files: Files) -> Iterator[str]:
    for name, workflow in workflows(files):
        if workflow.get("defaults", {}).get("run", {}).get("shell") != "bash":
            yield f"{name}: without shell: bash, what fails before a | is not seen"
        for job, step in wf.steps(workflow):
            if step.get("shell", "bash") != "bash":
                yield f"{name}: {job} has a shell of its own"
    for name, text in files.items():
        if name.endswith("action.yml"):
            for _, step in wf.steps(wf.read(text)):
                if "run" in step and step.get("shell") != "bash":
                    yield f"{name}: shell"


def scripts(files: Files) -> Iterator[tuple[str, str]]:
    for name, text in files.items():
        if "dependabot" not in name:
            for _, step in wf.steps(wf.read(text)):
                if "run" in step:
                    yield name, step["run"]


def failures(files: Files, bash: list[str] = BASH) -> Iterator[str]:
    """Let every command of every script fail in turn: the script must fail too."""
    for name, script in scripts(files):
        asked = [key for key in VALUES if f"${key}" in script]
        for chosen in itertools.product(*(VALUES[key] for key in asked)):
            env = dict(zip(asked, chosen, strict=True))
            code, called = play(script, env, "", bash)
            if code:
                yield f"{name}: fails although nothing in it does: {script}"
            for command in called:
                if play(script, env, command, bash)[0] == 0:
                    yield f"{name}: {command} may fail unseen: {script}"


def play(script: str, env: dict[str, str], failing: str, bash: list[str]) -> tuple[int, list[str]]:
    """Run a script whose every command is pretended; its status, and what it has called."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bin").mkdir()
        (folder / "reports").mkdir()
        (folder / "report.md").touch()
        words = set(re.findall(r"(?<![\w./$-])[a-z][\w-]*", script))
        for word in words | set(re.findall(r"(?m)^\.[\w-]*/[\w./-]+", script)):
            text = f'#!/bin/sh\necho {word} >> "{folder}/called"\n/bin/cat > /dev/null\necho 7\n'
            text += "exit 1\n" if word == failing else ""
            program = folder / (word if "/" in word else f"bin/{word}")
            program.parent.mkdir(exist_ok=True)
            program.write_text(text)
            program.chmod(0o755)
        files = {f"GITHUB_{key}": str(folder / key) for key in ("OUTPUT", "STEP_SUMMARY", "ENV")}
        interpreter = shutil.which(bash[0]) or bash[0]
        done = subprocess.run(
            [interpreter, *bash[1:], "-c", script],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            env=files | env | {"PATH": str(folder / "bin")},
            capture_output=True,
        )
        log = folder / "called"
        return done.returncode, sorted(set(log.read_text().split())) if log.exists() else []


def shellcheck(files: Files) -> Iterator[str]:
    for name, script in scripts(files):
        done = subprocess.run(
            ["shellcheck", "--shell=bash", "--enable=quote-safe-variables", "-"],
            input=script,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            yield f"{name}: {done.stdout}"


def comments(files: Files) -> Iterator[str]:
    for name, script in scripts(files):
        for line in re.findall(r"cml comment.*", re.sub(r"\\?\n\s*", " ", script)):
            for wanted in ("--publish=false", "--watermark-title=", "comment update", "--target="):
                if wanted not in line:
                    yield f"{name}: a comment without {wanted}"


def dependabot(files: Files) -> Iterator[str]:
    text = files.get(".github/dependabot.yml")
    updates = yaml.safe_load(text)["updates"] if text else []
    for wanted in ("github-actions", "pip"):
        found = [one for one in updates if one["package-ecosystem"] == wanted]
        if not found or any(one.get("cooldown", {}).get("default-days", 0) < 7 for one in found):
            yield f"dependabot: {wanted} is not updated a week after its release"


def zizmor(files: Files) -> Iterator[str]:
    """Its auditor's findings, and inline ignores that are many or without a reason."""
    with tempfile.TemporaryDirectory() as name:
        for path, text in files.items():
            (Path(name) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(name) / path).write_text(text)
        options = ["--offline", "--persona=auditor", "--strict-collection", "--no-progress"]
        done = subprocess.run(["zizmor", *options, name], capture_output=True, text=True)
    if done.returncode:
        yield done.stdout + done.stderr
    ignores = [line for t in files.values() for line in re.findall(r"zizmor: ignore\[.*", t)]
    if len(ignores) > 2 or any(not re.search(r"\] \w+ \w+", line) for line in ignores):
        yield f"zizmor is told to look away: {ignores}"


def schemas(files: Files) -> Iterator[str]:
    kinds = {"/workflows/": "github-workflows", "/actions/": "github-actions"}
    for name, text in files.items():
        kind = next((value for key, value in kinds.items() if key in name), "dependabot")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name.rpartition("/")[2]
            path.write_text(text)
            command = ["check-jsonschema", f"--builtin-schema=vendor.{kind}", str(path)]
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            yield f"{name}: {done.stdout}"


def reachable(files: Files) -> Iterator[str]:
    """What a fork's pull request gets to must hold nothing; forks.py knows what it gets to."""
    for name, workflow in workflows(files):
        yield from (f"{name}: {finding}" for finding in forks.findings(workflow))


RULES: dict[str, Callable[[Files], Iterator[str]]] = {
    rule.__name__: rule
    for rule in (
        comments,
        concurrency,
        credentials,
        dependabot,
        failures,
        keys,
        permissions,
        pinned,
        reachable,
        schemas,
        secrets,
        shell,
        shellcheck,
        timeouts,
        zizmor,
    )
}
