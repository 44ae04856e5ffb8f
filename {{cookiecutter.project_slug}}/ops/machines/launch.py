"""Hire the machine that machine.yaml declares, for one job of this workflow run, through CML.

The token comes from the environment variable REPO_TOKEN, never from the command line.
"""

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from core.errors import Problem
from ops.machines import azure_token, ec2, lifetime
from ops.machines.cml_command import CML, order, startup
from ops.machines.machine import number, run_label
from ops.machines.machine_yaml import MARGIN, Machine, load_machine

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def environment(repository: str, folder: Path) -> dict[str, str]:
    """The environment of CML; `folder` is for what nobody else may read.

    Keys of AWS that CML finds in its environment it writes in clear into the machine's user
    data, where they expire within the hour, and the machine can no longer end itself. Keys in
    a file it uses but does not hand on: the machine takes the role of its own profile.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("CML_RUNNER")}
    server = env.get("GITHUB_SERVER_URL", "https://github.com")
    env |= {"CML_REPO": f"{server}/{repository}", "ITERATIVE_DO_NOT_TRACK": "1"}
    keys = {name.lower(): value for name in KEYS if (value := env.pop(name, None))}
    if keys:
        path = folder / "credentials"
        path.write_text(
            "[default]\n" + "".join(f"{name} = {value}\n" for name, value in keys.items())
        )
        env |= {"AWS_SHARED_CREDENTIALS_FILE": str(path), "AWS_PROFILE": "default"}
    return env


def hire(machine: Machine, words: list[str], repository: str) -> int:
    """Run CML; its exit status. What a failed launch has left is ended at once, if it can be."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="launch-")))
        env, work = environment(repository, folder), folder / "work"  # which will hold the token
        if machine.use == "azure":
            stack.enter_context(azure_token.served(env))
        try:
            code = subprocess.run([*words, f"--workdir={work}"], env=env).returncode
        except OSError as error:
            fix = f"npm install --global @dvcorg/cml@{CML}"
            raise Problem(f"{words[0]}: {error.strerror}; install it by: {fix}") from None
        if code and (work / "terraform.tfstate").exists():
            print("ending what the failed launch has left", flush=True)
            destroy = ["terraform", f"-chdir={work}", "destroy", "-auto-approve"]
            subprocess.run(destroy, env=env, stdout=subprocess.DEVNULL)
    return code


def main(dry_run: bool = False) -> None:
    """`ml machine launch`: exit with CML's own status."""
    machine = load_machine()
    if dry_run:
        os.environ.setdefault("GITHUB_REPOSITORY", "owner/name")
    repository = lifetime.repository()
    words = order(machine, repository, time.time())
    if dry_run:
        print(" \\\n    ".join(shlex.quote(word) for word in words))
        print(
            f"\n# its startup script, decoded\n{startup(machine.timeout_minutes + MARGIN)}", end=""
        )
        return
    if not os.environ.get("REPO_TOKEN"):
        raise Problem("REPO_TOKEN is not set; set it by: gh secret set CML_TOKEN --env machines")
    print(f"hiring a machine on {machine.use} in {machine.region}: up to 20 minutes", flush=True)
    start = time.monotonic()
    code = hire(machine, words, repository)
    taken = f"after {(time.monotonic() - start) / 60:.1f} minutes"
    if code:
        print(f"launch: CML ended with {code} {taken}; its reason stands above", file=sys.stderr)
        sys.exit(code if code > 0 else 128 - code)
    print(f"{run_label()} is ready {taken}")
    if machine.use == "aws":
        try:
            ec2.end_at_shutdown(machine.region, repository, number("GITHUB_RUN_ID", "0"))
        except Problem as problem:  # the reaper ends what has stopped
            print(f"launch: it will stop, not end, when it shuts down: {problem}", file=sys.stderr)
