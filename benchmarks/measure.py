"""What a piece of work costs in a process of its own, and how two of them compare.

A side of a comparison is a function at the top level of a module: it sets up
and returns the work to measure, a function without arguments. What the work
returns is kept if it is a number.
"""

import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

SPAWN = multiprocessing.get_context("spawn")  # fresh: nothing imported, no memory held
Side = Callable[..., Callable[[], Any]]


class Cost(NamedTuple):
    cpu: float  # user and system seconds, of all threads and child processes
    wall: float
    peak: float  # MB, set-up included
    result: float | None = None


class Row(NamedTuple):
    """A figure beside its reference, each as a person reads it, and their ratio."""

    what: str
    reference: str
    ours: str
    theirs: str
    ratio: float
    goal: float
    most: bool = True  # the goal is the most that is allowed; else the least

    @property
    def ok(self) -> bool:
        return self.ratio <= self.goal if self.most else self.ratio >= self.goal


def by_cpu(what: str, reference: str, ours: Cost, theirs: Cost, goal: float) -> Row:
    """CPU seconds beside the reference's: at most `goal` times as many."""
    shown = (f"{cost.cpu:.3g} CPU-s" for cost in (ours, theirs))
    return Row(what, reference, *shown, ours.cpu / theirs.cpu, goal)


def by_wall(what: str, reference: str, ours: Cost, theirs: Cost, goal: float) -> Row:
    """Seconds that a person waits, beside the reference's."""
    shown = (f"{cost.wall:.3g} s" for cost in (ours, theirs))
    return Row(what, reference, *shown, ours.wall / theirs.wall, goal)


def compare(times: int, *sides: tuple[Any, ...]) -> list[Cost]:
    """The median cost of each side, a tuple of a `Side` and its arguments.

    They run in turn (A B A B), so that a busy machine slows them all alike.
    """
    costs: list[list[Cost]] = [[] for _ in sides]
    for turn in range(times):
        for found, (side, *arguments) in zip(costs, sides, strict=True):
            say(f"{side.__module__}.{side.__name__}, {turn + 1} of {times}")
            found.append(once(side, *arguments))
    say("")
    return [_median(found) for found in costs]


def once(side: Side, *arguments: Any) -> Cost:
    """The cost of one run of a side."""
    ours, theirs = SPAWN.Pipe(duplex=False)
    child = SPAWN.Process(target=_work, args=(theirs, side, arguments))
    child.start()
    theirs.close()
    try:
        cost: Cost = ours.recv()
    except EOFError:
        sys.exit(f"{side.__module__}.{side.__name__} failed")
    child.join()
    return cost


def say(text: str) -> None:
    """Show progress where somebody watches; "" takes it away."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def _work(answer: Connection, side: Side, arguments: tuple[Any, ...]) -> None:
    work = side(*arguments)
    cpu, wall = _cpu(), time.perf_counter()
    result = work()
    cpu, wall = _cpu() - cpu, time.perf_counter() - wall
    kept = float(result) if isinstance(result, Real) else None
    answer.send(Cost(cpu, wall, _peak(), kept))


def _cpu() -> float:
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(one) for one in both]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak() -> float:
    try:  # Linux counts the peak of the parent in ru_maxrss
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS has bytes


def _median(costs: list[Cost]) -> Cost:
    numbers = (statistics.median(values) for values in zip(*(c[:3] for c in costs), strict=True))
    return Cost(*numbers, costs[-1].result)
