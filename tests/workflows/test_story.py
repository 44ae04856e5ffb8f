"""Continuous training from end to end: every step of every workflow is run as it is written."""

import json
import re
import time
from pathlib import Path

from shell import dvc, run

from workflows import events, origin
from workflows.act import Hub, Result
from workflows.conftest import verb
from workflows.test_pull_request import nothing_leaked
from workflows.test_release import FIRST, RELEASE, tags
from workflows.test_release import YES as RELEASED
from workflows.test_retrain import NO, RETRAIN, YES, batch, by_clock, changed, merge, pulls


def laptop(hub: Hub, env: dict[str, str]) -> Path:
    """Somebody's clone, with the data."""
    place = origin.checkout(hub, "main")
    dvc("pull", "-q", cwd=place, env=env)
    return place


def test_from_a_batch_to_production_and_back(
    released: Hub, s3: dict[str, str], tmp_path: Path
) -> None:
    hub, home = released, laptop(released, s3)

    # Bad data stays outside, and nothing is trained.
    told = verb(home, "ingest", str(batch(tmp_path, "bad")), code=1, **s3)
    assert "1 of 1 refused" in told
    assert (home / "data/quarantine/bad.csv").exists()
    assert not run("git", "status", "--porcelain", cwd=home)  # there is nothing to push
    assert "do not retrain" in hub.run(RETRAIN, by_clock(hub)).ended(0, NO).log("decide")

    # A batch that has drifted joins; the push trains, and opens one pull request with a report.
    verb(home, "ingest", str(batch(tmp_path, "drift")), **s3)
    dvc("push", "-q", cwd=home, env=s3)
    result = push(hub, home, "New data").ended(0, YES)
    assert "Running stage 'train'" in result.log("train/train")
    (pull,) = pulls(hub)
    (comment,) = hub.github.comments
    assert comment["issue"] == pull["number"]
    assert re.search(r"1,500 new rows.*income", pull["body"])
    assert "Passed" in comment["body"]
    assert "`model@v1.0.0`" in comment["body"]
    assert {"dvc.lock", "metrics/quality.json", "model-card.md"} <= set(changed(hub))
    nothing_leaked(hub, result)

    # Merged, it is registered and goes to production.
    result = hub.run(RELEASE, merge(hub, pull["number"])).ended(0, RELEASED)
    assert "v1.0.1 is registered: only the data changed since v1.0.0" in result.log("staging")
    assert tags(hub) == FIRST | {"model@v1.0.1", "model#staging#3", "model#production#4"}
    assert hub.git("rev-parse", "model#production#4^{}") == hub.git("rev-parse", "main")
    nothing_leaked(hub, result)

    # Back, from a clone that has fetched nothing yet.
    home = origin.checkout(hub, "main")
    start = time.monotonic()
    told = verb(home, "registry", "rollback", "production", "--push", **s3)
    assert time.monotonic() - start < 60
    assert "production back to v1.0.0, from v1.0.1" in told
    assert hub.git("rev-parse", "model#production#5^{}") == hub.git("rev-parse", "model@v1.0.0^{}")

    # What comes next is compared with what is in production again.
    dvc("pull", "-q", cwd=home, env=s3)
    assert "baseline: production, model@v1.0.0" in verb(home, "gate", **s3)
    verdict = json.loads((home / "reports/gates.json").read_text())
    assert verdict["baseline"]["commit"] == hub.git("rev-parse", "model@v1.0.0^{}")

    # Nobody retrains what has just been taken back.
    result = hub.run(RETRAIN, by_clock(hub)).ended(0, NO)
    assert "new_rows, drift fired; but HEAD's model" in result.log("decide")


def push(hub: Hub, home: Path, message: str) -> Result:
    """All that lies there is committed and pushed; what retrain.yml makes of it."""
    before = hub.git("rev-parse", "main")
    run("git", "add", "--all", cwd=home)
    run("git", "commit", "-qm", message, "--allow-empty", cwd=home)
    run("git", "push", "-q", "origin", "main", cwd=home)
    return hub.run(RETRAIN, events.push(hub.repo, before, hub.git("rev-parse", "main")))
