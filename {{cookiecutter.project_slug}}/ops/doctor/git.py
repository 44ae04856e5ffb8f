"""What Git says of this checkout."""

import shlex

from core.errors import Problem
from core.git import run_git
from ops.doctor.environment import Note, fail, named


class Git:
    """Which files of this folder Git knows, and which have changed since the last commit."""

    def __init__(self) -> None:
        self.wrong = self._wrong()
        self.known = self._list("ls-files")
        self.changed = self._list("diff", "--name-only", "--relative", "HEAD")
        self.deleted = self._list("ls-files", "--deleted")
        self.unknown = self._list("ls-files", "--others", "--exclude-standard")
        self.unmerged = self._list("diff", "--name-only", "--relative", "--diff-filter=U")

    def _list(self, *args: str) -> list[str]:
        if self.wrong:
            return []
        return [name for name in run_git(*args, "-z").stdout.split("\0") if name]

    def pointers(self) -> list[str]:
        """The *.dvc files, which stand for data."""
        return [name for name in self.known + self.unknown if name.endswith(".dvc")]

    def _wrong(self) -> Note | None:
        """Why Git cannot be asked, if it cannot."""
        try:
            inside = run_git("rev-parse", "--is-inside-work-tree")
        except Problem:
            return fail("git", "not installed, or not on PATH", "install Git")
        first = "git add -A && git commit -m 'first commit'"
        if inside.returncode and "not a git repository" in inside.stderr:
            return fail("git", "not a repository", f"git init -b main && {first}")
        if inside.returncode:
            return fail("git", " ".join(inside.stderr.split()), "git status")
        if run_git("rev-parse", "-q", "--verify", "HEAD").returncode:
            return fail("git", "no commit yet: nothing is kept", first)
        return None

    def committed(self, path: str) -> bool:
        """Whether `path` stands in the last commit as it stands here."""
        return path in self.known and path not in self.changed

    def has(self, path: str) -> bool:
        """Whether the last commit has `path`."""
        return not self.wrong and not run_git("cat-file", "-e", f"HEAD:./{path}").returncode

    def ever_knew(self, path: str) -> bool:
        """Whether a commit of this history has `path`."""
        known = not self.wrong and run_git("log", "-1", "--format=%h", "--", path).stdout
        return bool(known)

    def notes(self) -> list[Note]:
        """Git's state; changes that are not committed are no more than a note."""
        if self.wrong:
            return [self.wrong]
        notes = []
        if self.deleted:
            fix = f"git checkout HEAD -- {shlex.join(self.deleted)}"
            if len(self.deleted) > 3:
                fix = "git ls-files -z --deleted | xargs -0 git checkout HEAD --"
            notes.append(Note("note", "git", f"deleted: {named(self.deleted)}", fix))
        if changed := [name for name in self.changed if name not in self.deleted]:
            message = f"changed since the last commit: {named(changed)}"
            notes.append(Note("note", "git", message, "git commit -a"))
        if self.unknown:
            message = f"unknown to Git: {named(self.unknown)}"
            notes.append(Note("note", "git", message, "git add -A && git commit"))
        return notes or [Note("ok", "git", "everything committed")]
