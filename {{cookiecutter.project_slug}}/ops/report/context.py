"""What the report is about, gathered once: this branch, its base, the verdict."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import Problem
from core.git import git, git_lines
from core.paths import LOCK, QUALITY, VALIDATION
from ops.checkout import checkout, main_branch, merge_base
from ops.report import log, stages
from ops.report.stages import Step
from ops.snapshot import Snapshot, same_rows


class Facts(NamedTuple):
    """`base` is None where nothing can be compared; `note` says why, or what is missing of it."""

    here: Snapshot
    base: Snapshot | None
    name: str  # of the base, as people say it
    sha: str
    behind: int  # commits that the base's branch has gone on since
    note: str
    verdict: dict[str, Any]  # as in reports/gates.json
    steps: list[Step]
    log: list[str]
    uncommitted: list[str]  # changed files, outputs left out

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
        listed = self.here.json(VALIDATION).get("problems")
        return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []

    @property
    def error(self) -> str:
        """What DVC stumbled over, where it is not a stage."""
        return log.other_error(self.log)

    @property
    def scored(self) -> bool:
        """Whether the scores that lie here are of this branch's model."""
        return self.state("evaluate") not in ("failed", "waits") and not self.error

    def quality(self, side: Snapshot | None) -> dict[str, Any]:
        """Headline scores, without those of the linear baseline."""
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


def gather(rev: str | None, file: Path | None, judge: Callable[[], dict[str, Any]]) -> Facts:
    """Everything of this checkout, compared with where it left `rev` (default: main).

    `file` holds what DVC printed. Whatever `judge` raises is reported as the verdict.
    """
    here, lines = Snapshot(), log.tail(file)
    base, name, sha, behind, note = _base(rev)
    steps = stages.steps(here, base, lines)
    failed = next((step for step in steps if step.state == "failed"), None)
    why = f"stage {failed.name} has not run: {failed.why}" if failed else ""
    verdict: dict[str, Any] = {"verdict": "could not judge", "gates": [], "comparison": {}}
    if why or any(line.startswith(log.ERROR) for line in lines):
        verdict["why"] = why or "the pipeline has not run"
    else:
        try:
            verdict = judge()
        except Problem as problem:
            verdict["why"] = str(problem)
        except Exception as error:  # whatever the gates stumble over, the rest is reported
            verdict["why"] = f"{type(error).__name__}: {error}"
    paths = [line[3:] for line in git_lines("status", "--porcelain", "--untracked-files=no")]
    uncommitted = [path for path in paths if path != str(LOCK) and not _below(path, here.outputs)]
    return Facts(here, base, name, sha, behind, note, verdict, steps, lines, uncommitted)


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in folders)


def _base(rev: str | None) -> tuple[Snapshot | None, str, str, int, str]:
    """The commit to compare with as (side, name, sha, behind, note)."""
    try:
        rev = rev or main_branch() or "origin/main"
        name = rev.removeprefix("origin/")
        if merge_base(rev) == git("rev-parse", "HEAD") and not git(
            "status", "--porcelain", "--", ".", ":!reports"
        ):
            name, rev = "the commit before", "HEAD~1"  # this is main itself
            if not git_lines("rev-parse", "-q", "--verify", rev):
                shallow = git("rev-parse", "--is-shallow-repository") == "true"
                why = "this clone is shallow: git fetch --unshallow" if shallow else ""
                return None, "", "", 0, why or "the first commit"
        base = checkout(rev, exact=rev == "HEAD~1")
        behind = int(git("rev-list", "--count", f"{base.commit}..{rev}"))
    except (Problem, OSError, ValueError) as error:
        return None, "", "", 0, " ".join(str(error).split())
    return Snapshot(base.folder), name, base.commit, behind, base.missing
