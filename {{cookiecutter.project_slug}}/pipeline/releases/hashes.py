"""True md5s, as DVC computes them: of files, of folders, of objects in the cache."""

import hashlib
import json
from pathlib import Path

from pipeline import base

CACHE = Path(".dvc/cache/files/md5")


def members(folder: Path) -> dict[str, str | None]:
    """{file: md5} of a folder."""
    files = [one for one in folder.rglob("*") if one.is_file()]
    return {one.relative_to(folder).as_posix(): base.md5(one) for one in files}


def found(there: Path, md5: str) -> str | None:
    """The true md5 of what is laid out, or else in the cache under this name."""
    return of(there) if there.exists() else cached(md5)


def cached(md5: str) -> str | None:
    """The true md5 of an object in the cache, members of a folder included; None if it is gone."""
    true = base.md5(CACHE / md5[:2] / md5[2:])
    if true is None or not md5.endswith(".dir"):
        return true
    good = all(cached(one) == one for one in inside(md5).values())
    return f"{true}.dir" if good else None


def inside(md5: str) -> dict[str, str]:
    """{file: md5} of a folder in the cache; none where its list cannot be read."""
    try:
        entries = json.loads((CACHE / md5[:2] / md5[2:]).read_text("utf-8"))
        return {one["relpath"]: one["md5"] for one in entries}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def of(path: Path) -> str | None:
    """md5 of a file or a folder, as DVC computes it; None where there is none."""
    if not path.is_dir():
        return base.md5(path)
    return listed(members(path))


def listed(md5s: dict[str, str | None]) -> str:
    """md5 of a folder's list of files, in the order of their names."""
    text = json.dumps([{"md5": md5, "relpath": name} for name, md5 in sorted(md5s.items())])
    return hashlib.md5(text.encode()).hexdigest() + ".dir"
