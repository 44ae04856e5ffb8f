"""Generate a project, beside cookiecutter rendering the same tree without hooks."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measure import Row, by_wall, compare
from workspace import apart, call, root, template


def generate(
    source: Path, folder: Path, environment: dict[str, str], *options: str
) -> Callable[[], Any]:
    shutil.rmtree(folder, ignore_errors=True)
    command = ["cookiecutter", "--no-input", "-o", str(folder), *options, str(source)]
    return lambda: call(command, source, environment)


def rows() -> Iterator[Row]:
    given = template(), root() / "generated", apart()
    ours, theirs = compare(9, (generate, *given), (generate, *given, "--accept-hooks=no"))
    yield by_wall("generate a project", "cookiecutter without hooks", ours, theirs, 1.5)
