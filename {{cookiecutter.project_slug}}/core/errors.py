"""The errors that a user can fix, each reported in one clear message."""

import difflib
from collections.abc import Iterable


class Problem(Exception):
    """It could not be done or decided; the text says what is wrong, where, and what would be right.

    Exit status 2.
    """

    code = 2


class Refused(Problem):
    """Data or a model that was looked at and is not good enough: exit status 1."""

    code = 1


def nearest(word: str, words: Iterable[str]) -> str:
    """Say which of `words` was probably meant: `" (did you mean 'lr'?)"`, or ""."""
    close = difflib.get_close_matches(str(word), [str(w) for w in words], n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
