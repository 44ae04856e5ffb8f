"""Make the Git repository with its first commit, and say what comes next.

Needs neither network, nor DVC, nor Git: what it could not do becomes a line for the user to type.
Modules that most projects do without are imported where they are used: half of this is start-up.
"""

import json
import os
import subprocess
import sys
from subprocess import DEVNULL

ANSWERS = r"""{{ cookiecutter | tojson }}"""

MESSAGE = "Start from ml-cicd-template"
TYPE_IT = f'git init -b main && git add . && git commit -m "{MESSAGE}"'
PLAINLY = ["-c", "user.useConfigOnly=true", "-c", f"core.hooksPath={os.devnull}"]
QUICKLY = ["-c", "core.looseCompression=0"]  # Git packs it all some day


def git(*arguments: str) -> bool:
    command = ["git", *arguments]
    return subprocess.run(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL).returncode == 0


def repository(by_cruft: bool) -> str:
    """Make the repository where that is ours to do; what was done, or what to type."""
    if by_cruft:  # writes .cruft.json after this hook, and wants no .git in what it compares
        return f"To make it a Git repository, in it: {TYPE_IT}"
    try:
        if git("rev-parse", "--git-dir"):
            return "A Git repository is here already, so none was made: git add . && git commit"
    except OSError:
        return f"Git is missing here; once it is installed: {TYPE_IT}"
    if not git("init", "-b", "main"):  # Git before 2.28
        git("init")
        git("symbolic-ref", "HEAD", "refs/heads/main")
    git(*QUICKLY, "add", "--all")
    if git(*PLAINLY, "commit", "--quiet", "--no-gpg-sign", "-m", MESSAGE):
        return "It is a Git repository with its first commit."
    return (
        "Git does not know who you are: git config --global user.name NAME; "
        f'git config --global user.email ADDRESS; git commit -m "{MESSAGE}"'
    )


def fill_cache() -> None:
    """Put the sample where `dvc add` would, so that `dvc push` is the first thing to do."""
    import hashlib
    from pathlib import Path

    sample = Path("data/raw/sample.csv").read_bytes()
    md5 = hashlib.md5(sample, usedforsecurity=False).hexdigest()
    cached = Path(".dvc/cache/files/md5", md5[:2], md5[2:])
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_bytes(sample)
        cached.chmod(0o444)


def compared(here: str) -> bool:
    """Whether this is, most likely, one of the two copies that `cruft update` compares."""
    import tempfile

    return os.path.realpath(here).startswith(os.path.realpath(tempfile.gettempdir()) + os.sep)


def main() -> None:
    answers = json.loads(ANSWERS)
    here = os.getcwd()
    by_cruft = "_commit" in answers
    lines = ["", f"{answers['project_slug']} is ready in {here}"]
    if answers["dvc_remote"] == "s3":
        fill_cache()
        lines.append(f"With AWS credentials, `dvc push` sends its data to {answers['__storage']}")
    if by_cruft and compared(here):
        return
    lines.append(repository(by_cruft))
    lines += ["", f"  cd {answers['project_slug']}", "  make setup", "  make run", ""]
    sys.stdout.buffer.write("\n".join(lines).encode(sys.stdout.encoding, "backslashreplace"))


if __name__ == "__main__":
    main()
