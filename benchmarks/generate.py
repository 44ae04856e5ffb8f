"""Generate a project, beside cookiecutter rendering the same tree without hooks."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measure import Row, by_wall, compare
from workspace import apart, call, root, template


def generate(
    source: Path, folder: Path, environment: dict[str, str], *options: str
) -> Callable[[], Any]:
    new = tempfile.mkdtemp(dir=folder)  # ext4 is slow where files were deleted just now
    command = ["cookiecutter", "--no-input", "-o", new, *options, str(source)]
    return lambda: call(command, source, environment)


def rows() -> Iterator[Row]:
    given = template(), root(), apart()
    ours, theirs = compare(9, (generate, *given), (generate, *given, "--accept-hooks=no"))
    yield by_wall("generate a project", "cookiecutter without hooks", ours, theirs, 1.5)
