"""The errors that a user can mend, each told in one clear message."""

import difflib
from collections.abc import Iterable


class Problem(Exception):
    """Bad input: the message says what is wrong, where, and what would be right.

    `code` is the exit status: 1 for data or a model that is refused, 2 for a
    file of settings that cannot be used.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def nearest(word: str, words: Iterable[str]) -> str:
    """Say which of `words` was probably meant: `" (did you mean 'lr'?)"`, or ""."""
    close = difflib.get_close_matches(str(word), [str(w) for w in words], n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
