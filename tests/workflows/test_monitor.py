"""monitor.yml, run for real: what was captured is held against what the model knows."""

from pathlib import Path
from typing import Any

import pytest
from s3 import BUCKET

from workflows import events
from workflows import workflow as wf
from workflows.act import Hub, Result
from workflows.events import Event
from workflows.storage import client
from workflows.test_pull_request import cut, nothing_leaked
from workflows.test_release import Change
from workflows.test_retrain import RETRAIN, batch

MONITOR = "monitor.yml"
CRON = "11 */6 * * *"
DRIFT = {"drift": "success", "raise": "success"}
NONE = DRIFT | {"raise": "skipped"}
OFF = NONE | {"drift": "skipped"}
BROKEN = NONE | {"drift": "failure"}
LOST = DRIFT | {"raise": "failure"}
EVENT = {"event_type": "retrain", "client_payload": {"why": "drift of live data"}}


def by_clock(hub: Hub) -> Event:
    return events.schedule(hub.git("rev-parse", "main"), CRON)


def capture(hub: Hub, file: Path, named: str = "captured") -> None:
    """Let the serving side write the file into the bucket, and LIVE name the folder, or it."""
    with file.open("rb") as body:
        there = client(hub.env["AWS_ENDPOINT_URL"])
        there.put_object(Bucket=BUCKET, Key="captured/2026/05/may.csv", Body=body)
    hub.vars["LIVE"] = f"s3://{BUCKET}/{named}"


def watch(hub: Hub, jobs: dict[str, str], change: Change = str, instead: Any = None) -> Result:
    result = hub.run(MONITOR, by_clock(hub), change=change, instead=instead)
    result.ended(any("failure" in one for one in jobs.values()), jobs)
    nothing_leaked(hub, result)
    return result


def seen(drift: str) -> dict[str, list[dict[str, str]]]:
    """Steps for `drift` that have looked at nothing."""
    return {"drift": [{"id": "drift", "run": f"echo drift={drift} >> $GITHUB_OUTPUT"}]}


def test_it_is_off_until_it_is_told_where_to_look(released: Hub) -> None:
    watch(released, OFF)
    assert released.run(MONITOR, by_clock(released)._replace(payload={})).jobs == {}
    watch(released, BROKEN, cut("    if: vars.LIVE != ''\n"))


def test_drift_asks_for_a_retraining(released: Hub, tmp_path: Path) -> None:
    capture(released, batch(tmp_path, "drift"))
    result = watch(released, DRIFT)
    assert "drift: income" in result.log("drift", "drift")
    assert "1,500 rows against" in result.log("drift", "drift")
    assert "of model@v1.0.0" in result.log("drift", "drift")
    assert {one.name for one in (result.artifacts / "drift").rglob("drift.*")} == {
        "drift.json",
        "drift.png",
    }
    assert released.github.sent == [EVENT]
    (call,) = released.github.asked("POST", "/dispatches")
    assert call.who == "raise"
    retrain = wf.read(released.git("show", f"main:.github/workflows/{RETRAIN}"))
    main = released.git("rev-parse", "main")
    event = events.sent(released.repo, main, EVENT["event_type"], EVENT["client_payload"])
    assert wf.starts(retrain, event.name, event.payload, event.ref, [])


def test_no_drift_asks_for_nothing(released: Hub, tmp_path: Path) -> None:
    capture(released, batch(tmp_path, "same"), "captured/2026/05/may.csv")
    result = watch(released, NONE)
    assert "no drift" in result.log("drift", "drift")
    assert not released.github.sent


def test_without_a_bucket(small_hub: Hub, tmp_path: Path) -> None:
    """Nothing is in production: what the model of main knows is what counts."""
    small_hub.vars["LIVE"] = str(batch(tmp_path, "drift"))
    result = watch(small_hub, DRIFT)
    assert "of HEAD" in result.log("drift", "drift")
    assert small_hub.github.sent == [EVENT]


@pytest.mark.parametrize(
    ("drift", "mutation", "jobs", "answers"),
    [
        ("true", cut("$"), DRIFT, [204]),
        ("false", cut("$"), NONE, []),
        ("true", cut("    outputs:\n.*\n"), NONE, []),
        ("true", cut("contents: write", "contents: read"), LOST, [403]),
        ("true", cut("TOKEN: .*", "TOKEN: ''"), LOST, [401]),
        ("true", cut("/dispatches", "/dispatch"), LOST, [404]),
        ("true", cut('"event_type"', '"event"'), LOST, [422]),
        ("false", cut("    if: needs.drift.*\n"), DRIFT, [204]),
    ],
)
def test_mutations(small_hub: Hub, drift: str, mutation: Any, jobs: Any, answers: Any) -> None:
    """All but the first two, which change nothing, end otherwise than the tests above want it."""
    small_hub.vars["LIVE"] = "somewhere"
    watch(small_hub, jobs, mutation, seen(drift))
    assert [call.status for call in small_hub.github.asked("POST", "/dispatch")] == answers
    assert bool(small_hub.github.sent) is (answers == [204])


@pytest.mark.parametrize(
    ("mutation", "says"),
    [
        (cut("fetch-depth: 0", "fetch-depth: 1"), "this clone is shallow"),
        (cut("id-token: write", "id-token: none"), "id-token"),
        (cut(r"dvc get-url .*", "true"), "this folder holds no"),
        (cut(" --report-only"), "income drifted"),
    ],
    ids=["shallow", "no role", "not fetched", "red"],
)
def test_mutations_of_the_look(released: Hub, tmp_path: Path, mutation: Any, says: str) -> None:
    capture(released, batch(tmp_path, "drift"))
    result = watch(released, BROKEN, mutation)
    assert says in str(result)
    assert not released.github.sent
