"""The figures come out, here on small tables; how large they are is not for a test."""

import os
import subprocess
import sys

from conftest import ROOT

SMALL = {"BENCH_ROWS": "20000", "PYTHONDONTWRITEBYTECODE": "1"}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT / "benchmarks",
        env={**os.environ, **SMALL},
        capture_output=True,
        text=True,
    )


def test_every_name_has_figures() -> None:
    done = python("-c", "import run; [__import__(name).rows for name in run.NAMES]")
    assert not done.returncode, done.stderr


def test_figures_stand_beside_their_references_and_a_missed_one_is_said() -> None:
    done = python("run.py", "validate", "drift")
    _, *figures, last = done.stdout.splitlines()
    assert [line.split()[0] for line in figures] == ["validate", "validate", "drift"], done.stderr
    missed = sum(line.endswith("MISSED") for line in figures)
    assert last.startswith(f"{missed or 'none'} missed")
    assert done.returncode == bool(missed), done.stderr


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    done = python("run.py", "sped")
    assert done.returncode == 2
    assert done.stderr.startswith("no sped; there are generate, ")
