"""Two commits side by side: what their files say, and where they differ."""

import csv
import json
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import Problem
from core.files import md5
from core.yaml_io import read_yaml
from ops.dvc_lock import Stages, outputs, read_lock
from pipeline import dataset


class Change(NamedTuple):
    """A value that is not the same: None where it is missing."""

    name: str
    before: Any
    after: Any


class Snapshot:
    """A commit's files in a folder. What is missing or broken is empty."""

    def __init__(self, folder: Path = Path()) -> None:
        self.folder = folder
        self._read: dict[str, dict[str, Any]] = {}

    def json(self, path: str | Path) -> dict[str, Any]:
        """A JSON object."""
        try:
            content = json.loads((self.folder / path).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def yaml(self, path: str | Path) -> dict[str, Any]:
        """A YAML mapping."""
        path = str(path)
        if path not in self._read:
            try:
                content = read_yaml(self.folder / path)
            except (Problem, OSError):
                content = {}
            self._read[path] = content if isinstance(content, dict) else {}
        return self._read[path]

    def csv(self, path: str | Path) -> list[dict[str, str]]:
        """The rows of a CSV file."""
        try:
            with (self.folder / path).open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        except (OSError, ValueError, csv.Error):
            return []

    def bytes(self, path: str | Path) -> bytes | None:
        """A file as it is; None where there is none."""
        try:
            return (self.folder / path).read_bytes()
        except OSError:
            return None

    def md5(self, path: str | Path) -> str | None:
        """The md5 of a file's bytes; None where there is none."""
        return md5(self.folder / path)

    @cached_property
    def lock(self) -> Stages:
        """{stage: its entry} of dvc.lock."""
        try:
            return read_lock(self.folder)
        except (Problem, OSError):
            return {}

    @cached_property
    def outputs(self) -> dict[str, str]:
        """{path of an output: md5}, as dvc.lock has them."""
        return outputs(self.lock)


def flat(content: Any, path: str = "") -> dict[str, Any]:
    """Nested mappings as {dotted path: value}; an empty mapping is a value."""
    if not isinstance(content, dict) or not content:
        return {path: content} if path else {}
    leaves: dict[str, Any] = {}
    for name, inner in content.items():
        leaves |= flat(inner, f"{path}.{name}" if path else str(name))
    return leaves


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """What differs between two nested mappings, in the order of the later one."""
    old, new = flat(before), flat(after)
    names = dict.fromkeys([*new, *old])
    return [
        Change(name, old.get(name), new.get(name))
        for name in names
        if (name in old) != (name in new) or old[name] != new[name]
    ]


def same_rows(here: Snapshot, base: Snapshot) -> bool:
    """Whether both were tested on the same rows, as far as dvc.lock says."""
    test = here.outputs.get(str(dataset.path("test")))
    return test is not None and test == base.outputs.get(str(dataset.path("test")))
