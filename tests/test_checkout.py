"""Another commit, checked out: one process at a time, and never what DVC merely believes."""

import subprocess
import sys
from pathlib import Path

import pytest
from inside import TEMPLATE
from shell import run

HOLD = """import sys
from core.files import lock
with lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    "work",
    [
        "from ops import checkout; checkout.checkout('HEAD', exact=True)",
        "from ops.registry import registry; registry.promote('v1.0.0', 'staging', False)",
        "from ops.registry import registry; registry.rollback('staging', False)",
        "from ops.registry import register; register.register('auto', False)",
        "from ops.gates import gate; gate.judge()",
    ],
)
def test_what_changes_checkouts_or_tags_waits_for_others(tmp_path: Path, work: str) -> None:
    run("git", "init", "-q", cwd=tmp_path)
    run("git", "commit", "-q", "--allow-empty", "-m", "One", cwd=tmp_path)
    env = {"PYTHONPATH": str(TEMPLATE), "PYTHONDONTWRITEBYTECODE": "1"}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=tmp_path, env=env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    short = "from core import files; files.LOCK_SECONDS = 0.1\n"
    told = run(sys.executable, "-c", short + work, cwd=tmp_path, code=1, env=env)
    assert "another command has been at work here" in told
    holder.communicate()


def test_the_lock_is_free_again_and_nests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.files import lock

    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with lock(), lock():
            pass
