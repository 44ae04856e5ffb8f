"""Run commands as a user would, and see what they said."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent  # dvc starts `python`, which must be ours
ML = Path(__file__).parent / "bin"  # where `ml` is
ENV = {"PATH": os.pathsep.join([str(ML), str(BIN), os.environ["PATH"]]), "COLUMNS": "200"}


def run(*command: str, cwd: Path, code: int = 0, env: dict[str, str] | None = None) -> str:
    """What a command printed on both streams; its exit status must be `code`."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **ENV, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == code, f"{' '.join(command)}: {done.returncode}\n{done.stdout}"
    return done.stdout


def dvc(*arguments: str, cwd: Path, code: int = 0, env: dict[str, str] | None = None) -> str:
    """What `dvc ARGUMENTS` printed."""
    return run(sys.executable, "-m", "dvc", *arguments, cwd=cwd, code=code, env=env)


def ml(*arguments: str, cwd: Path, code: int = 0, env: dict[str, str] | None = None) -> str:
    """What `ml ARGUMENTS` printed."""
    return run(sys.executable, "-m", "ops", *arguments, cwd=cwd, code=code, env=env)


def dvc_json(*arguments: str, cwd: Path) -> Any:
    """What `dvc ARGUMENTS --json` says."""
    command = [sys.executable, "-m", "dvc", *arguments, "--json"]
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **ENV}, capture_output=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
