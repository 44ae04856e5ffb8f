"""Files that are whole or not there: written aside and renamed."""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import Problem

COMMANDS_LOCK = Path(".dvc/tmp/ml.lock")  # of what must not be changed by two commands at once
LOCK_SECONDS = 60.0


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name to write to, renamed to `path` when all went well.

    Whoever is killed in between leaves the old file or none, never half of one; two processes
    never share a name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_half_written(folder: Path) -> None:
    """Remove what `replacing` had begun in a folder when it was killed.

    Only while `lock` is held, as whoever writes there holds it: nothing is then being written.
    """
    for file in folder.glob(".*.tmp"):
        file.unlink()


@contextmanager
def lock(path: str | Path = COMMANDS_LOCK) -> Iterator[None]:
    """Hold a lock that ends with this process, however it ends; again inside is fine.

    Raises `Problem` when another process keeps it for longer than LOCK_SECONDS.
    """
    from filelock import FileLock, Timeout

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(path, is_singleton=True).acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise Problem(
            f"another command has been at work here for {LOCK_SECONDS:g} seconds ({path}); "
            "try again when it has ended"
        ) from None
    with held:
        yield


def github_output(**values: Any) -> None:
    """Tell the workflow: a line name=value each in the file $GITHUB_OUTPUT, where there is one."""
    if output := os.environ.get("GITHUB_OUTPUT"):
        with open(output, "a", encoding="utf-8") as file:
            for name, value in values.items():
                text = str(value).lower() if isinstance(value, bool) else str(value)
                file.write(f"{name}={' '.join(text.splitlines())}\n")


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON for people and diffs: indented, a list of numbers on one line, no NaN."""
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        text = re.sub(r"\[[\d\s.,e+-]*\]", lambda match: " ".join(match[0].split()), text)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file of an earlier stage; a missing one is a `Problem`."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path}: no such file; `dvc repro` makes it") from None
    except ValueError as error:
        raise Problem(f"{path}: not JSON: {error}; `dvc repro -f` makes it anew") from None


def file_md5(path: str | Path) -> str:
    """The md5 of a file's bytes, which is how DVC names them."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def md5(path: str | Path) -> str | None:
    """The md5 of a file's bytes; None where there is no such file."""
    try:
        return file_md5(path)
    except OSError:
        return None
