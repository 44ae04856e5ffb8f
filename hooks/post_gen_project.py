"""Make the Git repository with its first commit, and say what comes next.

Needs neither network, nor DVC, nor Git: what it could not do becomes a line for the user to type.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ANSWERS = r"""{{ cookiecutter | tojson }}"""

MESSAGE = "Start from ml-cicd-template"
TYPE_IT = f'git init -b main && git add . && git commit -m "{MESSAGE}"'
PLAINLY = ["-c", "user.useConfigOnly=true", "-c", f"core.hooksPath={os.devnull}"]


def git(*arguments: str) -> bool:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, stdin=subprocess.DEVNULL)
    except OSError:
        return False
    return done.returncode == 0


def repository(by_cruft: bool) -> str:
    """Make the repository where that is ours to do; what was done, or what to type."""
    if by_cruft:  # writes .cruft.json after this hook, and wants no .git in what it compares
        return f"To make it a Git repository, in it: {TYPE_IT}"
    if not git("--version"):
        return f"Git is missing here; once it is installed: {TYPE_IT}"
    if git("rev-parse", "--git-dir"):
        return "A Git repository is here already, so none was made: git add . && git commit"
    if not git("init", "-b", "main"):  # Git before 2.28
        git("init")
        git("symbolic-ref", "HEAD", "refs/heads/main")
    git("add", "--all")
    if git(*PLAINLY, "commit", "--no-gpg-sign", "-m", MESSAGE):
        return "It is a Git repository with its first commit."
    return (
        "Git does not know who you are: git config --global user.name NAME; "
        f'git config --global user.email ADDRESS; git commit -m "{MESSAGE}"'
    )


def fill_cache() -> None:
    """Put the sample where `dvc add` would, so that `dvc push` is the first thing to do."""
    sample = Path("data/raw/sample.csv")
    md5 = hashlib.md5(sample.read_bytes(), usedforsecurity=False).hexdigest()
    cached = Path(".dvc/cache/files/md5", md5[:2], md5[2:])
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample, cached)
        cached.chmod(0o444)


def main() -> None:
    answers = json.loads(ANSWERS)
    here = Path.cwd()
    by_cruft = "_commit" in answers
    if answers["dvc_remote"] == "s3":
        fill_cache()
    if by_cruft and Path(tempfile.gettempdir()).resolve() in here.resolve().parents:
        return  # most likely one of the two copies that `cruft update` compares
    lines = [f"{here.name} is ready in {here}", repository(by_cruft)]
    if answers["dvc_remote"] == "s3":
        lines.append(f"With AWS credentials, `dvc push` sends its data to {answers['__storage']}")
    steps = [f"  cd {here.name}", "  make setup", "  make run"]
    text = "\n".join(["", *lines, "", *steps, ""])
    sys.stdout.buffer.write(text.encode(sys.stdout.encoding, "backslashreplace"))


if __name__ == "__main__":
    main()
