"""`python -m workflows.rehearse PROJECT`: a generated project's pull request, on this machine.

Its current branch is compared with its main, by its own workflow, with its own cache as the
bucket. Nothing is posted, hired or pushed, and the project is not touched; what would have been
posted is printed, written to a file, and opened as a page where there is a screen. The exit status
is the workflow's: 1 where the pull request would be red, 2 where there is nothing to rehearse.
"""

import argparse
import configparser
import hashlib
import logging
import os
import re
import shutil
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Any, NoReturn

from workflows import origin, storage
from workflows import workflow as wf
from workflows.act import Hub, Result, Unfit, git
from workflows.github import GitHub

WORKFLOW = "train.yml"
MARKS = {"success": "✓", "failure": "✗", "skipped": "-"}
# without a GPU: pretend only to the step that asks whether there is one
NVIDIA = "#!/bin/sh\n[ $# = 0 ] && echo 'a rehearsal: no GPU is looked for'\n"


def stop(message: str) -> NoReturn:
    print(f"rehearse: {message}", file=sys.stderr)
    raise SystemExit(2)


def branch_of(project: Path) -> str:
    """The project's branch, if it can be rehearsed against main."""
    wanted = (f".github/workflows/{WORKFLOW}", "dvc.yaml", "params.yaml", "machine.yaml")
    missing = [name for name in wanted if not (project / name).is_file()]
    if missing:
        stop(f"{project} is no project of this template: it has no {missing[0]}")
    if not (project / ".git").exists():
        stop(f"{project} is no Git repository; make it one by: git init -b main")
    branch = git(project, "branch", "--show-current")
    if not branch:
        stop("no branch is checked out; mend it by: git switch -c my-change")
    if not git(project, "branch", "--list", "main"):
        stop("there is no branch main to compare with; mend it by: git branch main origin/main")
    if branch == "main":
        stop("main is checked out; a pull request comes from a branch: git switch -c my-change")
    if not git(project, "rev-list", "-1", "main..HEAD"):
        stop(f"{branch} has no commit that main has not: git commit -am 'What I changed'")
    dirty = git(project, "status", "--porcelain")
    if dirty:
        print(f"left out, because not committed:\n{dirty}\n")
    return branch


def remote_of(project: Path) -> str:
    """Where the project's DVC remote is."""
    config = configparser.ConfigParser()
    config.read(project / ".dvc/config")
    name = config.get("core", "remote", fallback="")
    for section in config.sections():
        if re.sub(r"['\"]", "", section) == f"remote {name}":
            return config.get(section, "url", fallback="")
    return ""


def link(cache: Path, there: Path) -> None:
    """The cache again, at no cost where the disk allows it."""
    if not cache.is_dir():
        return
    try:
        shutil.copytree(cache, there, copy_function=os.link)
    except OSError:
        shutil.rmtree(there, ignore_errors=True)
        shutil.copytree(cache, there)


def settle(hub: Hub, project: Path, server: str | None) -> None:
    """Variables, secrets, runners and data, as a repository that is set up has them."""
    known = storage.settings()
    hub.environment_vars = {"machines": known["machines"]}
    hub.secrets = {"machines": {"CML_TOKEN": "ghp_rehearsal"}}
    hub.github.grant("ghp_rehearsal", {"administration": "write"}, "runner token")
    if server:
        remote = remote_of(project)
        storage.client(server).create_bucket(Bucket=remote.split("/")[2])
        storage.fill(server, remote, project / ".dvc/cache")
        hub.vars = known[""]
        hub.env = {"AWS_ENDPOINT_URL": server}
    else:
        name = hashlib.md5(b".dvc/cache").hexdigest()
        link(project / ".dvc/cache", hub.folder / "actions-cache/dvc-rehearsal" / name)
    machine = wf.load(project / "machine.yaml")
    if machine.get("use") == "self-hosted":
        hub.github.add_runner("yours", machine["self-hosted"]["labels"])
    if not shutil.which("nvidia-smi"):
        hub.programs = {"nvidia-smi": NVIDIA}


class Progress:
    """One line per job and step, as they end."""

    def __init__(self) -> None:
        self.job = ""

    def __call__(self, line: dict[str, Any]) -> None:
        job = line.get("jobID", "")
        if job and job != self.job and "stepID" in line:
            print(f"\n{line['job'].partition('/')[2].strip()}", flush=True)
            self.job = job
        top = len(line.get("stepID", ())) == 1 and line.get("stage") == "Main"
        if top and line.get("stepResult") in ("success", "failure"):
            name = line["step"].splitlines()[0][:70].split("@")[0]
            took = line.get("executionTime", 0) / 1e9
            print(f"  {MARKS[line['stepResult']]} {name:<70} {took:6.1f} s", flush=True)


def show(page: Path) -> None:
    """Open the page, but not within the terminal and not where nobody sits at one."""
    screen = sys.platform in ("darwin", "win32") or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
    if screen and sys.stdout.isatty():
        webbrowser.open(page.as_uri())


def tell(hub: Hub, result: Result, folder: Path) -> int:
    """What came of it."""
    if not result.jobs:
        print("no file was changed that the workflow watches: nothing would be trained or posted")
        return 0
    for step in result.steps:
        if step.result == "failure":
            tail = "\n".join(f"  | {text}" for text in step.log.splitlines()[-20:])
            print(f"\n{step.job} failed at: {step.name.partition(' ')[2]}\n{tail}")
    for message in result.messages:
        if message.startswith(("ended after", *result.jobs)):
            print(message)
    comments = hub.github.on(origin.NUMBER)
    if comments:
        file = folder / "comment.md"
        file.write_text(comments[0]["body"], encoding="utf-8")
        print(f"\n{'─' * 20} the comment {'─' * 20}\n\n{comments[0]['body']}\n\n{'─' * 53}")
        print(f"the comment  {file}")
    else:
        print("\nno comment would be posted")
    for page in result.artifacts.rglob("report.html"):
        print(f"as a page    {page}")
        show(page)
    states = ", ".join(f"{job} {state}" for job, state in result.jobs.items())
    print(f"{'green' if result.code == 0 else 'red'} after {result.seconds:.0f} s: {states}")
    return 1 if result.code else 0


def rehearse(project: Path, folder: Path, labels: tuple[str, ...]) -> int:
    branch = branch_of(project)
    shutil.rmtree(folder, ignore_errors=True)
    slug = re.search(r"github\.com[:/]([\w.-]+/[\w-]+)", git(project, "remote", "-v") or "")
    repo = slug[1] if slug else f"your-org/{project.name}"
    server = None
    if remote_of(project).startswith("s3://"):
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        bucket = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        bucket.start()
        server = "http://{}:{}".format(*bucket.get_host_and_port())
    try:
        with GitHub(folder / "github", repo) as github:
            hub = origin.publish(project, folder, github)
            settle(hub, project, server)
            git(project, "push", "-q", str(hub.origin), f"HEAD:refs/heads/{branch}")
            head = git(project, "rev-parse", "HEAD")
            title = git(project, "log", "-1", "--format=%s")
            event = origin.open_pull(hub, head, branch=branch, labels=labels, title=title)
            print(f"{repo}: {branch} into main, by .github/workflows/{WORKFLOW}")
            return tell(hub, hub.run(WORKFLOW, event, on_line=Progress(), limit_s=7200), folder)
    finally:
        if server:
            bucket.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="make rehearse PROJECT=path", description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--label", action="append", default=[], help="full-train, for instance")
    asked = parser.parse_args()
    project = asked.project.expanduser().resolve()
    if not project.is_dir():
        stop(f"{project} is not there; say: make rehearse PROJECT=path/of/a/generated/project")
    folder = Path(tempfile.gettempdir()) / f"rehearsal-{project.name}"
    for name in [name for name in os.environ if name.startswith(("GIT_DIR", "GIT_WORK", "AWS_"))]:
        del os.environ[name]
    try:
        raise SystemExit(rehearse(project, folder, tuple(asked.label)))
    except Unfit as problem:
        if "CONFLICT" in str(problem) or "merge" in str(problem):
            stop(f"the branch does not merge with main; mend it by: git merge main\n{problem}")
        stop(str(problem))
    except KeyboardInterrupt:
        stop("stopped")


if __name__ == "__main__":
    main()
