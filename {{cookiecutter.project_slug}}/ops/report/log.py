"""The end of what DVC printed: which stage failed, on what else it stumbled."""

import re
from pathlib import Path

from core.markdown import fence, visible

LINES = 30  # that are shown
WIDTH = 300  # characters of a line that are shown
BYTES = 100_000  # that are read
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ERROR = "ERROR: "
FAILED = re.compile(r"failed to reproduce '([^']+)'")  # DVC's words


def tail(log: Path | None) -> list[str]:
    """The last lines of the file; [] for none."""
    if log is None:
        return []
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        return [f"{log}: {error.strerror}"]
    # a progress bar writes one line over and over
    lines = ANSI.sub("", text).replace("\r\n", "\n").split("\n")
    return [line.rsplit("\r", 1)[-1] for line in lines]


def failed_stage(lines: list[str]) -> str | None:
    """The stage that DVC names last as failed."""
    return (FAILED.findall("\n".join(lines)) or [None])[-1]


def other_error(lines: list[str]) -> str:
    """What DVC stumbled over, where it is not a stage; "" for nothing."""
    errors = [line for line in lines if line.startswith(ERROR)]
    return errors[-1].removeprefix(ERROR) if errors and not FAILED.search(errors[-1]) else ""


def last_message(lines: list[str]) -> str:
    """What the stage itself printed last; "" for nothing."""
    printed = [line for line in lines if line.strip() and not line.startswith(ERROR)]
    return printed[-1] if printed else ""


def section(lines: list[str]) -> str:
    """The end of the log, as the report shows it."""
    shown = [line for line in lines if line.strip()][-LINES:]
    return fence(visible(line.expandtabs(4))[:WIDTH] for line in shown) if shown else ""
