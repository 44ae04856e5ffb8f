"""The report's section with the commands that run it again and take its results over."""

import json
import os
import shlex
from pathlib import Path

from core.git import git_lines
from core.markdown import code, fence, fold, one_line
from ops.report.context import Facts


def reproduce(facts: Facts, most: int) -> str:
    """Commands to run this again, and to take the results over."""
    sha, branch = _head()
    if not sha:
        return ""
    lines = [
        "git fetch origin",
        f"git checkout {sha}",
        "pip install -r requirements.txt",
        "dvc pull --run-cache    # data, and results that are known",
        "dvc repro --pull        # runs what is not",
        "ml report",
    ]
    text = fence(lines, "bash")
    if facts.uncommitted:
        names = ", ".join(code(path) for path in facts.uncommitted[: min(5, most)])
        text = f"With changes that are not committed: {names}.\n\n{text}"
    if not facts.scored:
        return fold("<b>Do it again</b>", text)
    take = [
        f"git checkout {shlex.quote(one_line(branch, 200))} && git pull",
        "dvc pull --run-cache && dvc repro --pull    # fetches what CI has trained, trains nothing",
        "git add dvc.lock metrics plots reports && git commit -m 'Results' && git push",
    ]
    text = f"{text}\n\nTo take these results into the branch:\n\n{fence(take, 'bash')}"
    return fold("<b>Do it again</b>", text)


def _head() -> tuple[str, str]:
    """The commit and the branch that was pushed: CI checks out a merge that nobody has."""
    try:
        event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
        head = event["pull_request"]["head"]
        return _hex(head["sha"]), str(head["ref"])
    except (KeyError, OSError, TypeError, ValueError):
        pass
    sha = "".join(git_lines("rev-parse", "HEAD"))
    branch = os.environ.get("GITHUB_REF_NAME") or "".join(
        git_lines("rev-parse", "--abbrev-ref", "HEAD")
    )
    return _hex(sha), "BRANCH" if branch in ("HEAD", "") else branch


def _hex(sha: str) -> str:
    return sha if sha and all(c in "0123456789abcdef" for c in sha) else ""
