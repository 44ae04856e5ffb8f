"""Run a repository's workflow with act, on this machine, as GitHub would as far as that goes.

act 0.2.89 runs the jobs and steps but knows nothing of permissions, environments, filters and
forks. What it lacks is put in before it starts, into a copy of the workflow that only act sees:

- the filters of `on:` are judged here; a workflow that would not start is not run;
- each job gets a token of its own in the place of `github.token` and `secrets.GITHUB_TOKEN`, with
  the job's permissions, which GitHub's stand-in enforces call by call; a pull request from a fork
  has them cut to reading, and no OIDC;
- a secret or variable of an environment reads empty in the jobs that do not name that environment;
  a pull request from a fork sees neither secrets nor variables;
- the variables that ask for an OIDC token are there only in jobs with `id-token: write`;
- each job has a home folder of its own, as it would have a machine of its own; only the packages
  are the same for all, so that pip is not asked again for what it has found there;
- afterwards, the labels each job waited for must be those of a hosted machine or of a runner that
  had registered, or the run is held to have waited for ever.

The jobs of a workflow that is called stand in the result as "caller/job", beside the caller's own.
Not pretended: `timeout-minutes` of jobs, `concurrency`, approvals of environments, `services`,
containers. Those are judged by reading the file.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from workflows import workflow as wf
from workflows.events import Event
from workflows.github import GitHub

HERE = Path(__file__).resolve().parent
ACTIONS = HERE / "actions"
ACT = Path(sys.executable).parent / "act"
LIMIT_S = 300
PIP = "python -m pip install "
# act stops reading once a step has ended, and may have read nothing by then
BASH = """#!/bin/sh
{bash} "$@"
code=$?
sleep 0.03
exit $code
"""
INSTALLED: set[tuple[str, str]] = set()  # what pip was asked for, and the requirements.txt


class Unfit(Exception):
    """The workflow cannot be run here, and why."""


@dataclass
class Step:
    """One step of a job: what it is called, how it ended, what it printed."""

    job: str
    name: str
    result: str = ""
    log: str = ""
    seconds: float = 0.0
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(repr=False)
class Result:
    """What came of a run. `jobs`: {job: "success", "failure" or "skipped"}; {} if none started."""

    code: int
    jobs: dict[str, str]
    steps: list[Step]
    summaries: dict[str, str]
    artifacts: Path
    homes: Path
    seconds: float
    messages: list[str]
    run_id: str

    def log(self, job: str | None = None, step: str = "") -> str:
        """What the steps of a job printed whose name or id holds `step`."""
        return "".join(one.log for one in self.steps if job in (None, one.job) and step in one.name)

    def step(self, job: str, name: str) -> Step:
        """The one step of a job whose name or id holds `name`."""
        found = [one for one in self.steps if one.job == job and name in one.name]
        assert len(found) == 1, f"{name}: {[one.name for one in self.steps if one.job == job]}"
        return found[0]

    def ended(self, code: int, jobs: dict[str, str]) -> "Result":
        """Fail, with everything that was printed, unless it ended so."""
        assert (self.code, self.jobs) == (code, jobs), f"not {code}, {jobs}\n{self}"
        return self

    @property
    def summary(self) -> str:
        return "".join(self.summaries.values())

    def outputs(self, job: str) -> dict[str, str]:
        """All that the steps of a job wrote to GITHUB_OUTPUT."""
        return {k: v for one in self.steps if one.job == job for k, v in one.outputs.items()}

    def __repr__(self) -> str:
        lines = [f"exit status {self.code}, {self.seconds:.1f} s, jobs {self.jobs}"]
        for one in self.steps:
            lines += [
                f"--- {one.job} / {one.name}: {one.result}, {one.seconds:.1f} s",
                one.log.rstrip(),
            ]
        return "\n".join([*lines, *self.messages])


@dataclass
class Hub:
    """A repository on the pretended GitHub, and what its settings hold."""

    github: GitHub
    origin: Path  # bare repository
    folder: Path  # for what the runs leave behind
    repo: str
    vars: dict[str, str] = field(default_factory=dict)
    environment_vars: dict[str, dict[str, str]] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)  # by environment; "" is none
    env: dict[str, str] = field(default_factory=dict)  # what any program of this machine needs
    programs: dict[str, str] = field(default_factory=dict)  # {"nvidia-smi": "#!/bin/sh\n..."}
    runs: int = 0

    def git(self, *arguments: str) -> str:
        return git(self.origin, *arguments)

    def run(
        self,
        name: str,
        event: Event,
        *,
        change: Callable[[str], str] = lambda text: text,
        instead: Mapping[str, list[dict[str, Any]]] | None = None,
        on_line: Callable[[dict[str, Any]], None] = lambda line: None,
        limit_s: float = LIMIT_S,
    ) -> Result:
        """Run `.github/workflows/NAME` for the event.

        `change` alters its text first; `instead` gives jobs other steps, to save their time.
        """
        self.runs += 1
        run_id = str(1000 + self.runs)
        place = self.folder / f"run-{run_id}"
        place.mkdir(parents=True)
        source = place / "source"
        git(place, "clone", "-q", "--no-checkout", f"file://{self.origin}", str(source))
        git(source, "fetch", "-q", "origin", event.sha)
        git(source, "checkout", "-q", "--detach", event.sha)
        file = source / ".github/workflows" / name
        text = change(file.read_text(encoding="utf-8"))
        workflow = wf.read(text)
        empty = Result(0, {}, [], {}, self.artifacts(run_id), place / "homes", 0, [], run_id)
        since = [f"{event.base}...{event.sha}"] if event.base else [event.sha, event.sha]
        changed = git(source, "diff", "--name-only", *since).splitlines()
        if not wf.starts(workflow, event.name, event.payload, event.ref, changed):
            return empty
        called = {
            job: source / one["uses"]
            for job, one in workflow["jobs"].items()
            if one.get("uses", "").startswith("./")
        }
        inner = {job: wf.load(path) for job, path in called.items()}
        for job, steps in (instead or {}).items():
            caller, _, name_inside = job.rpartition("/")
            (inner[caller] if caller else workflow)["jobs"][name_inside]["steps"] = steps
        prepared = Prepared(self, event, source, place, run_id)
        prepared.write(file, workflow)
        for job, path in called.items():
            ceiling = wf.permissions(workflow, workflow["jobs"][job])
            prepared.write(path, inner[job], job, ceiling)
        (place / "event.json").write_text(json.dumps(event.payload))
        command = [*prepared.command(name, event), *self.mapping(source, workflow)]
        started = time.monotonic()
        jobs = {job: one.get("name", job) for job, one in workflow["jobs"].items()}
        result = run_act(command, prepared.base_env, empty, jobs, on_line, limit_s)
        result.seconds = time.monotonic() - started
        found = [one.name.partition(" ")[2] for one in result.steps if one.result == "success"]
        INSTALLED.update((line, prepared.pins) for line in found if line.startswith(PIP))
        self.note(workflow, event, result)
        self.had_runners(workflow, "", result)
        for job, body in inner.items():
            states = {result.jobs.setdefault(f"{job}/{one}", "skipped") for one in body["jobs"]}
            ran = "failure" if "failure" in states else "success"
            result.jobs[job] = "skipped" if states == {"skipped"} else ran
            self.had_runners(body, f"{job}/", result)
        return result

    def artifacts(self, run_id: str) -> Path:
        return self.github.artifacts / run_id

    def note(self, workflow: dict[str, Any], event: Event, result: Result) -> None:
        """Let the API know of the run."""
        conclusion = "failure" if result.code else "success"
        run = {"id": int(result.run_id), "name": workflow.get("name"), "event": event.name}
        self.github.runs.append(run | {"status": "completed", "conclusion": conclusion})

    def mapping(self, source: Path, workflow: dict[str, Any]) -> Iterator[str]:
        """act's options that lead every action to ours, and every label to this machine."""
        for used in sorted(wf.uses(source, workflow)):
            slug, _, ref = used.partition("@")
            action = "/".join(slug.split("/")[:2])
            if not (ACTIONS / slug / "action.yml").exists():
                raise Unfit(f"no stand-in for the action {used} in {ACTIONS.name}/")
            yield f"--local-repository={action}@{ref}={ACTIONS / action}"
        known = {"self-hosted", "ubuntu-latest", "ubuntu-24.04", "ubuntu-22.04"}
        for job in workflow["jobs"].values():
            known |= set(wf.labels(job) or [])
        for label in sorted(known):
            yield f"--platform={label}=-self-hosted"

    def had_runners(self, workflow: dict[str, Any], caller: str, result: Result) -> None:
        """Fail a run whose job ran on labels that nobody has."""
        registered = [{one["name"].lower() for one in r["labels"]} for r in self.github.runners]
        for job, body in workflow["jobs"].items():
            if result.jobs.get(caller + job, "skipped") == "skipped" or "uses" in body:
                continue
            asked = wf.labels(body)
            asked = resolved(workflow, job, caller, result) if asked is None else asked
            hosted = len(asked) == 1 and wf.HOSTED.fullmatch(asked[0])
            names = {one.lower() for one in asked}
            if not hosted and not any(names <= having for having in registered):
                result.jobs[caller + job] = "never started"
                result.code = result.code or 1
                result.messages.append(f"{caller + job}: no runner has all of the labels {asked}")


def resolved(workflow: dict[str, Any], job: str, caller: str, result: Result) -> list[str]:
    """The labels of `runs-on: ${{ fromJSON(needs.machine.outputs.runs_on) }}`, from the logs."""
    said = str(workflow["jobs"][job]["runs-on"])
    found = re.search(r"needs\.([\w-]+)\.outputs\.([\w-]+)", said)
    if not found:
        raise Unfit(f"{job}: cannot tell what runs-on: {said} comes to")
    other = workflow["jobs"][found[1]]["outputs"][found[2]]
    inner = re.search(r"steps\.([\w-]+)\.outputs\.([\w-]+)", other)
    value = result.outputs(caller + found[1])[inner[2]] if inner else ""
    labels = json.loads(value) if value.startswith(("[", '"')) else value
    return [labels] if isinstance(labels, str) else list(labels)


class Prepared:
    """The workflow as act gets to see it, with everything that has to be said around it."""

    def __init__(self, hub: Hub, event: Event, source: Path, place: Path, run_id: str) -> None:
        self.hub, self.event, self.source = hub, event, source
        self.place, self.run_id = place, run_id
        self.secrets = {"GITHUB_TOKEN": f"ghs_noJob{run_id}"}
        self.variables: dict[str, str] = {}
        self.base_env = {
            "PATH": os.pathsep.join(self.search_path()),
            "HOME": str(place / "home"),
            "LANG": "C.UTF-8",
            **{name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ},
        }
        (place / "home").mkdir()
        pins = source / "requirements.txt"
        self.pins = pins.read_text() if pins.exists() else ""
        hub.github.grant(self.secrets["GITHUB_TOKEN"], {}, "no job")
        for path in (source / ".github/actions").glob("*/action.y*ml"):
            if re.search(r"github\.token|secrets\.", path.read_text()):
                raise Unfit(f"{path.name} uses a token: give it as an input")

    def write(
        self,
        file: Path,
        workflow: dict[str, Any],
        caller: str = "",
        ceiling: dict[str, str] | None = None,
    ) -> None:
        """Put the workflow where the other one was; `ceiling` is what its caller may do."""
        prepared = json.loads(json.dumps(workflow))
        for name, job in prepared["jobs"].items():
            if "uses" in job:
                if caller or not job["uses"].startswith("./"):
                    raise Unfit(f"{name}: only a workflow of the same repository, one level deep")
                job["secrets"] = "inherit"  # of which each job inside gets its own only
            else:
                label = f"{caller}/{name}" if caller else name
                prepared["jobs"][name] = self.prepare(label, job, prepared, ceiling)
        prepared.pop("env", None)
        file.write_text(yaml.safe_dump(prepared, sort_keys=False, width=10000))

    def search_path(self) -> list[str]:
        """Where programs are found before any step adds to it: no Python of ours, no cml."""
        extra = self.place / "programs"
        extra.mkdir()
        bash = BASH.format(bash=shutil.which("bash") or "/bin/bash")
        for name, text in {"bash": bash, **self.hub.programs}.items():
            (extra / name).write_text(text)
            (extra / name).chmod(0o755)
        system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        git_folder = str(Path(shutil.which("git") or "/usr/bin/git").parent)
        return [str(extra), *dict.fromkeys([git_folder, *system])]

    def prepare(
        self,
        name: str,
        job: dict[str, Any],
        workflow: dict[str, Any],
        ceiling: dict[str, str] | None,
    ) -> dict[str, Any]:
        hub, event = self.hub, self.event
        allowed = wf.permissions(workflow, job)
        for scope, level in allowed.items() if ceiling is not None else ():
            if level not in ((ceiling or {}).get(scope), "read") or scope not in (ceiling or {}):
                raise Unfit(f"{name} asks for {scope}: {level}, which its caller does not grant")
        if event.fork:
            allowed = {scope: "read" for scope in allowed if scope != "id-token"}
        secret = "TOKEN_" + re.sub(r"\W", "_", name).upper()
        self.secrets[secret] = f"ghs_{secret.lower()}_{self.run_id}"
        hub.github.grant(self.secrets[secret], allowed, name)
        place = wf.environment(job)
        given = {} if event.fork else hub.secrets.get("", {}) | hub.secrets.get(place, {})
        variables = {} if event.fork else hub.vars | hub.environment_vars.get(place, {})
        self.secrets |= {f"{place.upper()}__{key}": value for key, value in given.items()}

        def known(found: re.Match[str]) -> str:
            if found[0] in ("github.token", "secrets.GITHUB_TOKEN"):
                return f"secrets.{secret}"
            there = given if found[1] == "secrets" else variables
            return (
                f"{found[1]}.{f'{place.upper()}__{found[2]}' if found[2] in there else 'NOT_GIVEN'}"
            )

        def replace(text: str) -> str:
            return re.sub(r"\b(?:github\.token|(secrets|vars)\.(\w+))", known, text)

        def everywhere(node: Any, key: str = "") -> Any:
            if isinstance(node, dict):
                return {name: everywhere(value, name) for name, value in node.items()}
            if isinstance(node, list):
                return [everywhere(value) for value in node]
            if isinstance(node, str):
                if key == "if":
                    return replace(node)
                return re.sub(r"\$\{\{.*?\}\}", lambda m: replace(m[0]), node, flags=re.S)
            return node

        job["env"] = (workflow.get("env") or {}) | (job.get("env") or {})
        if re.search(r"toJSON\((secrets|vars)\)|(secrets|vars)\[", " ".join(wf.strings(job))):
            raise Unfit(f"{name}: secrets and variables are to be named one by one")
        job = everywhere(job)
        self.variables |= {f"{place.upper()}__{key}": value for key, value in variables.items()}
        home = self.place / "homes" / name
        home.mkdir(parents=True)
        job["env"] = {"HOME": str(home)} | job["env"]
        if allowed.get("id-token") == "write":
            bearer = f"oidc-{self.run_id}-{name.replace('/', '-')}"
            hub.github.grant_identity(bearer, self.claims(place), name)
            job["env"] |= {
                "ACTIONS_ID_TOKEN_REQUEST_URL": f"{hub.github.url}/_/oidc?api-version=2.0",
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": bearer,
            }
        for step in job.get("steps", []):
            if step.get("uses", "").startswith("actions/checkout@"):
                step["with"] = {"token": f"${{{{ secrets.{secret} }}}}"} | (step.get("with") or {})
            if (step.get("run"), self.pins) in INSTALLED:
                step["run"] = f"true # {step['run']}"
        return dict(job)

    def claims(self, environment: str) -> dict[str, Any]:
        """What GitHub says of the job in its OIDC token."""
        event, repo = self.event, self.hub.repo
        if environment:
            about = f"environment:{environment}"
        elif event.name == "pull_request":
            about = "pull_request"
        else:
            about = f"ref:{event.ref}"
        return {
            "sub": f"repo:{repo}:{about}",
            "repository": repo,
            "ref": event.ref,
            "sha": event.sha,
            "event_name": event.name,
            "run_id": self.run_id,
        }

    def command(self, name: str, event: Event) -> list[str]:
        hub, place = self.hub, self.place
        tools = {"cml": cml(), "terraform": HERE / "bin/terraform"}
        for tool, program in tools.items():
            (place / "tools" / tool).mkdir(parents=True)
            (place / "tools" / tool / tool).symlink_to(program)
        env = (
            hub.github.env
            | hub.env
            | {
                "GITHUB_REPOSITORY": hub.repo,
                "GITHUB_REPOSITORY_OWNER": hub.repo.split("/")[0],
                "GITHUB_REF": event.ref,
                "SHA_REF": event.sha,
                "GITHUB_RUN_ID": self.run_id,
                "GITHUB_RUN_ATTEMPT": "1",
                "STAND_IN": str(ACTIONS),
                "STAND_IN_PYTHON": sys.executable,
                "STAND_IN_GITHUB": hub.github.url,
                "STAND_IN_ARTIFACTS": str(hub.github.artifacts),
                "STAND_IN_CACHE": str(hub.folder / "actions-cache"),
                "STAND_IN_CML": str(place / "tools/cml"),
                "STAND_IN_TERRAFORM_BIN": str(place / "tools/terraform"),
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_TERMINAL_PROMPT": "0",  # nobody sits there
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"url.file://{hub.origin}.insteadOf",
                "GIT_CONFIG_VALUE_0": f"https://github.com/{hub.repo}",
                "DVC_SITE_CACHE_DIR": str(place / "dvc-site"),
                "PIP_NO_INDEX": "1",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
            }
        )
        nothing = ("--env-file", "--secret-file", "--var-file", "--input-file")
        return [
            str(ACT),
            event.name,
            f"--directory={self.source}",
            f"--workflows=.github/workflows/{name}",
            f"--eventpath={place / 'event.json'}",
            "--json",
            "--no-skip-checkout",
            "--action-offline-mode",
            f"--action-cache-path={place / 'cache'}",
            "--no-cache-server",
            f"--actor={event.payload.get('sender', {}).get('login', 'alice')}",
            *(f"{option}={os.devnull}" for option in nothing),
            *(f"--secret={key}={value}" for key, value in self.secrets.items()),
            *(f"--var={key}={value}" for key, value in self.variables.items()),
            *(f"--env={key}={value}" for key, value in env.items()),
        ]


def cml() -> Path:
    """The program that workflows get as `cml`: that of CML_BIN, of PATH, or our own."""
    named = os.environ.get("CML_BIN") or shutil.which("cml")
    return Path(named).resolve() if named else HERE / "bin/cml"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise Unfit(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def run_act(
    command: list[str],
    env: dict[str, str],
    result: Result,
    jobs: dict[str, str],
    on_line: Callable[[dict[str, Any]], None],
    limit_s: float,
) -> Result:
    """Run it to its end and read what it says; it and all it started are ended at the limit."""
    known: dict[tuple[str, str], Step] = {}
    process = subprocess.Popen(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert process.stdout

    def stop() -> None:
        result.messages.append(f"ended after {limit_s} s")
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(limit_s, stop)
    timer.start()
    try:
        for text in process.stdout:
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                result.messages.append(text.rstrip())
                continue
            on_line(line)
            take(line, result, known, jobs)
        result.code = process.wait()
    finally:
        timer.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    for job in jobs:
        result.jobs.setdefault(job, "skipped")
    unsupported = [one for one in result.messages if "unsupported platform" in one]
    if unsupported:
        raise Unfit(unsupported[0])
    return result


def take(
    line: dict[str, Any],
    result: Result,
    known: dict[tuple[str, str], Step],
    jobs: dict[str, str],
) -> None:
    """Sort one line of act's into the result; `jobs` are the names that act shows for them."""
    job, message = line.get("jobID", ""), line.get("msg", "")
    callers = {name: job for job, name in jobs.items()} | dict(zip(jobs, jobs, strict=True))
    shown = line.get("job", "").split("/")  # workflow/job; caller/workflow/job
    if len(shown) == 3 and shown[0] in callers:
        job = f"{callers[shown[0]]}/{job}"
    if not job or "stepID" not in line:
        if "jobResult" in line:
            result.jobs[job] = line["jobResult"]
        elif line.get("level") in ("error", "warning") or "unsupported platform" in message:
            result.messages.append(message)
        return
    key = (job, line["stepID"][0])
    if key not in known:
        label = line["step"].splitlines()[0] if line["step"] else ""
        known[key] = Step(job, f"{line['stepID'][0]} {label}")
        result.steps.append(known[key])
    step = known[key]
    if line.get("command") == "summary":
        result.summaries[job] = result.summaries.get(job, "") + line["content"]
    elif line.get("command") == "set-output":
        if len(line["stepID"]) == 1:
            step.outputs[line["name"]] = line["arg"]
    elif line.get("raw_output"):
        step.log += message
    elif "stepResult" in line and len(line["stepID"]) == 1 and line.get("stage") == "Main":
        step.result = line["stepResult"]
        step.seconds = line.get("executionTime", 0) / 1e9
    elif line.get("level") == "error":
        step.log += message + "\n"
