"""Measure the template against its references; all figures, or some of them.

    python benchmarks/run.py [NAME ...]

Exits 1 when a figure misses its goal. BENCH_ROWS=50000 makes every table that
much smaller (goals are for the default, 1000000), to see whether all of it runs.
"""

import importlib
import sys
import time

from measure import Row, say

NAMES = [
    *("generate", "repro", "load", "validate", "drift", "memory"),
    *("speed", "boosting", "evaluate", "judge", "alarms", "watch", "real"),
]
LINE = "{:9}  {:44}  {:44}  {:>17}  {:>17}  {:>6}  {:>7}  {}"


def show(name: str, row: Row) -> None:
    goal = f"{'<=' if row.most else '>='} {row.goal:g}"
    verdict = "ok" if row.ok else "MISSED"
    print(LINE.format(name, row.what, row.reference, row.ours, row.theirs, f"{row.ratio:.3g}",
                      goal, verdict), flush=True)  # fmt: skip


def main(names: list[str]) -> int:
    unknown = set(names) - set(NAMES)
    if unknown:
        print(f"no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    start, missed = time.perf_counter(), 0
    print(LINE.format("name", "figure", "reference", "ours", "reference", "ratio", "goal", ""))
    for name in names or NAMES:
        for row in importlib.import_module(f"{name}").rows():
            show(name, row)
            missed += not row.ok
    say("")
    print(f"{missed or 'none'} missed, after {time.perf_counter() - start:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
