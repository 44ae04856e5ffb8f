"""Two commits side by side: what their files say, and where they differ."""

import csv
import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import strict
from pipeline.errors import Problem

PROFILE, SLICES = "reports/profile.json", "reports/slices.json"
TEST = "data/prepared/test.parquet"


class Change(NamedTuple):
    """A value that is not the same: None where it is missing."""

    name: str
    before: Any
    after: Any


class Side:
    """A commit's files in a folder. What is missing or broken is empty."""

    def __init__(self, folder: Path = Path()) -> None:
        self.folder = folder
        self._read: dict[str, dict[str, Any]] = {}

    def json(self, path: str) -> dict[str, Any]:
        """A JSON object."""
        try:
            content = json.loads((self.folder / path).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def yaml(self, path: str) -> dict[str, Any]:
        """A YAML mapping."""
        if path not in self._read:
            try:
                content = strict.read_yaml(self.folder / path)
            except (Problem, OSError):
                content = {}
            self._read[path] = content if isinstance(content, dict) else {}
        return self._read[path]

    def csv(self, path: str) -> list[dict[str, str]]:
        """The rows of a CSV file."""
        try:
            with (self.folder / path).open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        except (OSError, ValueError, csv.Error):
            return []

    def bytes(self, path: str) -> bytes | None:
        """A file as it is; None where there is none."""
        try:
            return (self.folder / path).read_bytes()
        except OSError:
            return None

    def md5_of(self, path: str) -> str | None:
        """The md5 of a file's bytes; None where there is none."""
        content = self.bytes(path)
        return None if content is None else hashlib.md5(content).hexdigest()

    @cached_property
    def lock(self) -> dict[str, Any]:
        """The stages of dvc.lock."""
        stages = self.yaml("dvc.lock").get("stages")
        return stages if isinstance(stages, dict) else {}

    def md5(self, path: str) -> str | None:
        """What dvc.lock says of an output or a dependency."""
        for stage in self.lock.values():
            for one in (*stage.get("outs", ()), *stage.get("deps", ())):
                if one.get("path") == path:
                    return str(one.get("md5"))
        return None


def flat(content: Any, path: str = "") -> dict[str, Any]:
    """Nested mappings as {dotted path: value}; an empty mapping is a value."""
    if not isinstance(content, dict) or not content:
        return {path: content} if path else {}
    found: dict[str, Any] = {}
    for name, inner in content.items():
        found |= flat(inner, f"{path}.{name}" if path else str(name))
    return found


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """What differs between two nested mappings, in the order of the later one."""
    old, new = flat(before), flat(after)
    names = dict.fromkeys([*new, *old])
    return [
        Change(name, old.get(name), new.get(name))
        for name in names
        if (name in old) != (name in new) or old[name] != new[name]
    ]


def same_rows(here: Side, base: Side) -> bool:
    """Whether both were tested on the same rows, as far as dvc.lock tells."""
    return here.md5(TEST) is not None and here.md5(TEST) == base.md5(TEST)
