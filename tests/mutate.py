"""Change one key of a YAML file's content."""

import copy
from collections.abc import Callable, Iterator
from typing import Any


def leaves(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every key below `content`."""
    if isinstance(content, dict):
        for key, inner in content.items():
            yield (*path, key)
            yield from leaves(inner, (*path, key))


def changed(
    content: Any, path: tuple[Any, ...], change: Callable[[dict[Any, Any], Any], None]
) -> Any:
    """A copy of the content, in which `change(section, key)` was made at the path."""
    content = copy.deepcopy(content)
    at = content
    for key in path[:-1]:
        at = at[key]
    change(at, path[-1])
    return content


def misspell(at: dict[Any, Any], key: Any) -> None:
    at[f"{key}x"] = at.pop(key)
