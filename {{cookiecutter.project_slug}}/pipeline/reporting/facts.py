"""What the report tells of, gathered once: this branch, its base, the verdict."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import Problem
from pipeline.reporting import steps
from pipeline.reporting.compare import Side, same_rows
from pipeline.reporting.steps import FAILED, Step

QUALITY = "metrics/quality.json"
VALIDATION = "reports/validation.json"
LOG_LINES = 30
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Facts(NamedTuple):
    """`base` is None where nothing can be compared; `note` says why, or what is missing of it."""

    here: Side
    base: Side | None
    name: str  # of the base, as people say it
    sha: str
    behind: int  # commits that the base's branch has gone on since
    note: str
    verdict: dict[str, Any]  # as in reports/gates.json
    steps: list[Step]
    log: list[str]
    changed: list[str]  # files that the last commit has otherwise

    def state(self, stage: str) -> str:
        """What became of a stage; "unchanged" for one that dvc.yaml does not name."""
        return next((step.state for step in self.steps if step.name == stage), "unchanged")

    @property
    def failed(self) -> Step | None:
        """The stage at which the pipeline stopped."""
        return next((step for step in self.steps if step.state == "failed"), None)

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What is wrong with the data, if that is what stopped it."""
        if not self.failed or self.failed.name != "validate":
            return []
        found = self.here.json(VALIDATION).get("problems")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    @property
    def error(self) -> str:
        """What DVC stumbled over, where it is not a stage."""
        said = [line for line in self.log if line.startswith("ERROR: ")]
        return said[-1].removeprefix("ERROR: ") if said and not FAILED.search(said[-1]) else ""

    @property
    def scored(self) -> bool:
        """Whether the scores that lie here are of this branch's model."""
        return self.state("evaluate") not in ("failed", "waits") and not self.error

    def quality(self, side: Side | None) -> dict[str, Any]:
        """Headline scores, without those of the plain model."""
        content = side.json(QUALITY) if side else {}
        return {name: value for name, value in content.items() if not isinstance(value, dict)}

    @property
    def comparable(self) -> bool:
        """Whether both were tested on the same rows."""
        return self.base is not None and same_rows(self.here, self.base)

    @property
    def rescored(self) -> dict[str, Any]:
        """The gates' comparison, where it is with this very base."""
        baseline = self.verdict.get("baseline") or {}
        same = self.sha and baseline.get("commit") == self.sha
        return dict(self.verdict.get("comparison") or {}) if same else {}


def gather(rev: str | None, log: Path | None, judge: Callable[[], dict[str, Any]]) -> Facts:
    """Everything of this checkout, compared with where it left `rev` (default: main)."""
    here, said = Side(), _tail(log)
    base, name, sha, behind, note = _base(rev)
    found = steps.steps(here, base, said)
    stopped = next((step for step in found if step.state == "failed"), None)
    stopped_by = f"stage {stopped.name} has not run: {stopped.why}" if stopped else ""
    verdict: dict[str, Any] = {"verdict": "could not judge", "gates": [], "comparison": {}}
    if stopped_by or any(line.startswith("ERROR: ") for line in said):
        verdict["why"] = stopped_by or "the pipeline has not run"
    else:
        try:
            verdict = judge()
        except Problem as problem:
            verdict["why"] = str(problem)
        except Exception as error:  # whatever the gates stumble over, the rest is told
            verdict["why"] = f"{type(error).__name__}: {error}"
    changed = [line[3:] for line in _lines("status", "--porcelain", "--untracked-files=no")]
    ours = {one.get("path") for stage in here.lock.values() for one in stage.get("outs", ())}
    changed = [path for path in changed if path != "dvc.lock" and not _below(path, ours)]
    return Facts(here, base, name, sha, behind, note, verdict, found, said, changed)


def _below(path: str, folders: set[Any]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in folders)


def _base(rev: str | None) -> tuple[Side | None, str, str, int, str]:
    """The commit to compare with as (side, name, sha, behind, note)."""
    from pipeline import base

    try:
        rev = rev or base.main_branch() or "origin/main"
        name = rev.removeprefix("origin/")
        if base.merge_base(rev) == base.git("rev-parse", "HEAD") and not base.git(
            "status", "--porcelain", "--", ".", ":!reports"
        ):
            name, rev = "the commit before", "HEAD~1"  # this is main itself
            if not _lines("rev-parse", "-q", "--verify", rev):
                cut = base.git("rev-parse", "--is-shallow-repository") == "true"
                why = "this clone is shallow: git fetch --unshallow" if cut else "the first commit"
                return None, "", "", 0, why
        laid = base.lay(rev, exact=rev == "HEAD~1")
        gone_on = int(base.git("rev-list", "--count", f"{laid.sha}..{rev}"))
    except (Problem, OSError, ValueError) as error:
        return None, "", "", 0, " ".join(str(error).split())
    return Side(laid.folder), name, laid.sha, gone_on, laid.note


def _lines(*arguments: str) -> list[str]:
    """What Git answers; nothing where it cannot."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, errors="replace")
    except OSError:
        return []
    return [] if done.returncode else done.stdout.splitlines()


def _tail(log: Path | None) -> list[str]:
    """The end of what DVC printed."""
    if log is None:
        return []
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 100_000))
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        return [f"{log}: {error.strerror}"]
    # a progress bar writes one line over and over
    lines = ANSI.sub("", text).replace("\r\n", "\n").split("\n")
    return [line.rsplit("\r", 1)[-1] for line in lines]
