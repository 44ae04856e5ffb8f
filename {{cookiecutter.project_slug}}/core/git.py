"""What Git answers."""

import os
import subprocess

from core.errors import Problem


def run_git(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run Git in plain English, never asking for a password

    Raises `Problem` where Git is not installed.
    """
    quiet = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    try:
        return subprocess.run(
            ["git", *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            env=os.environ | quiet,
            input=stdin,
        )
    except FileNotFoundError:
        raise Problem("git is not on PATH: install it") from None


def git(*arguments: str) -> str:
    """What Git answers. Raises `Problem` where it cannot."""
    done = run_git(*arguments)
    if done.returncode:
        raise Problem(f"git {' '.join(arguments[:2])}: {done.stderr.strip()[:200]}")
    return done.stdout.strip()


def git_lines(*arguments: str) -> list[str]:
    """What Git answers, line by line; nothing where it cannot."""
    try:
        done = run_git(*arguments)
    except Problem:
        return []
    return [] if done.returncode else done.stdout.splitlines()
