"""What Git says of this checkout."""

import os
import subprocess

from pipeline.checking.checkup import Note, fail, named


class Git:
    """Which files of this folder Git knows, and which have changed since the last commit."""

    def __init__(self) -> None:
        self.wrong = self._wrong()
        self.known = self._list("ls-files")
        self.changed = self._list("diff", "--name-only", "--relative", "HEAD")
        self.unknown = self._list("ls-files", "--others", "--exclude-standard")
        self.unmerged = self._list("diff", "--name-only", "--relative", "--diff-filter=U")

    def _run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *args],
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            env=os.environ | {"LC_ALL": "C"},  # its words are read below
        )

    def _list(self, *args: str) -> list[str]:
        if self.wrong:
            return []
        return [name for name in self._run(*args, "-z").stdout.split("\0") if name]

    def pointers(self) -> list[str]:
        """The *.dvc files, which stand for data."""
        return [name for name in self.known + self.unknown if name.endswith(".dvc")]

    def _wrong(self) -> Note | None:
        """Why Git cannot be asked, if it cannot."""
        try:
            inside = self._run("rev-parse", "--is-inside-work-tree")
        except OSError:
            return fail("git", "not installed, or not on PATH", "install Git")
        first = "git add -A && git commit -m 'first commit'"
        if inside.returncode and "not a git repository" in inside.stderr:
            return fail("git", "not a repository", f"git init -b main && {first}")
        if inside.returncode:
            return fail("git", " ".join(inside.stderr.split()), "git status")
        if self._run("rev-parse", "-q", "--verify", "HEAD").returncode:
            return fail("git", "no commit yet: nothing is kept", first)
        return None

    def committed(self, path: str) -> bool:
        """Whether `path` stands in the last commit as it stands here."""
        return path in self.known and path not in self.changed

    def has(self, path: str) -> bool:
        """Whether the last commit has `path`."""
        return not self.wrong and not self._run("cat-file", "-e", f"HEAD:./{path}").returncode

    def ever_knew(self, path: str) -> bool:
        """Whether a commit of this history has `path`."""
        known = not self.wrong and self._run("log", "-1", "--format=%h", "--", path).stdout
        return bool(known)

    def notes(self) -> list[Note]:
        """Git's state; changes that are not committed are no more than a note."""
        if self.wrong:
            return [self.wrong]
        notes = []
        if self.changed:
            says = f"changed since the last commit: {named(self.changed)}"
            notes.append(Note("note", "git", says, "git commit -a"))
        if self.unknown:
            says = f"unknown to Git: {named(self.unknown)}"
            notes.append(Note("note", "git", says, "git add -A && git commit"))
        return notes or [Note("ok", "git", "everything committed")]
