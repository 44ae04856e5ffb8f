"""The reaper ends exactly what has outlived its tag, whatever became of the launch or the job."""

import functools
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import botocore.session
import inside
import pytest
import requests
from inside import Said
from moto.ec2.models.spot_requests import SpotInstanceRequest

REPOSITORY, RUN, TOKEN = "acme/loans", "4711", "ghp_canary"
LONGEST = (4320 + 15) * 60
NOW = int(time.time())
MINUTES = 75  # that a machine is declared for here
Ec2 = Any
Runners = list[dict[str, Any]]
CLIENTS = functools.cache(lambda *which: botocore.session.Session().create_client(*which))


@pytest.fixture(scope="module")
def github() -> Iterator[tuple[str, Runners]]:
    """GitHub's list of self-hosted runners, a page at a time."""
    runners: Runners = []

    class Api(BaseHTTPRequestHandler):
        def answer(self, status: int, content: Any = None) -> None:
            body = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def known(self) -> bool:
            if self.headers["Authorization"] == f"Bearer {TOKEN}":
                return True
            self.answer(403, {"message": "Resource not accessible"})
            return False

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if self.known():
                assert path == f"/repos/{REPOSITORY}/actions/runners"
                page = int(dict(part.split("=") for part in query.split("&"))["page"])
                some = runners[(page - 1) * 100 : page * 100]
                self.answer(200, {"total_count": len(runners), "runners": some})

        def do_DELETE(self) -> None:
            if self.known():
                number = int(self.path.rpartition("/")[2])
                gone = next(one for one in runners if one["id"] == number)
                if gone["name"] == "stubborn":
                    self.answer(500)
                    return
                runners.remove(gone)
                self.answer(204)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", runners
    server.shutdown()
    server.server_close()


@pytest.fixture
def runners(github: tuple[str, Runners]) -> Runners:
    github[1].clear()
    return github[1]


@pytest.fixture
def ec2(
    s3_server: str, github: Any, runners: Runners, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Ec2:
    """An empty account, machine.yaml that hires on aws, and who may use both."""
    requests.post(f"{s3_server}/moto-api/reset", timeout=10)
    text = (inside.TEMPLATE / "machine.yaml").read_text()
    (tmp_path / "dvc.yaml").touch()  # a project's folder has one
    (tmp_path / "machine.yaml").write_text(text.replace("{{ cookiecutter.machine }}", "aws"))
    monkeypatch.chdir(tmp_path)
    env = {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_INSTANCE_PROFILE": "arn:aws:iam::123456789012:instance-profile/loans-Profile",
        "GITHUB_API_URL": github[0],
        "GITHUB_REPOSITORY": REPOSITORY,
        "REPO_TOKEN": TOKEN,
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    made = property(lambda _: time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(NOW)))
    monkeypatch.setattr(SpotInstanceRequest, "create_time", made)  # moto says 2013
    monkeypatch.setattr(
        "ops.machines.ec2.client", CLIENTS
    )  # making one takes as long as a whole test
    CLIENTS("iam", "us-east-1").create_instance_profile(InstanceProfileName="loans-Profile")
    return CLIENTS("ec2", "us-east-1")


@pytest.fixture
def reap(capsys: Any, monkeypatch: Any) -> Callable[..., Said]:
    """`reap(*words, later=seconds)`: run `ml machine reap` now, or later."""

    def run(*words: str, later: float = 0) -> Said:
        from ops import cli
        from ops.machines import reap

        monkeypatch.setattr(reap.time, "time", lambda: NOW + later)
        command = ["machine", "reap", *words]
        return inside.stage("reap", lambda: cli.app(command, prog_name="ml"), capsys)

    return run


def tags(expires: object, project: str | None = REPOSITORY, run: str = RUN) -> dict[str, str]:
    """The tags that a launch of ours gives, and none for `project` None."""
    if project is None:
        return {"Name": "somebody's"}
    given = {"Name": "cml", "project": project, "run": run}
    return given if expires is None else given | {"expires": str(expires)}


def specification(kind: str, given: dict[str, str]) -> list[dict[str, Any]]:
    listed = [{"Key": key, "Value": value} for key, value in given.items()]
    return [{"ResourceType": kind, "Tags": listed}]


def instance(ec2: Ec2, given: dict[str, str], **how: Any) -> str:
    if given:
        how |= {"TagSpecifications": specification("instance", given)}
    started = ec2.run_instances(
        ImageId="ami-12c6146b",
        InstanceType="g4dn.xlarge",
        MinCount=1,
        MaxCount=1,
        **how,
    )
    return str(started["Instances"][0]["InstanceId"])


def spot(ec2: Ec2, given: dict[str, str]) -> tuple[str, str]:
    """A request and its instance, which has no tags yet."""
    asked = ec2.request_spot_instances(
        LaunchSpecification={"ImageId": "ami-12c6146b", "InstanceType": "g4dn.xlarge"},
        TagSpecifications=specification("spot-instances-request", given),
    )["SpotInstanceRequests"][0]
    name = asked["SpotInstanceRequestId"]
    told = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[name])
    return name, told["SpotInstanceRequests"][0]["InstanceId"]


def key(ec2: Ec2, name: str, given: dict[str, str]) -> None:
    ec2.create_key_pair(KeyName=name, TagSpecifications=specification("key-pair", given))


def alive(ec2: Ec2) -> set[str]:
    """Instances that still cost something."""
    return {
        one["InstanceId"]
        for some in ec2.describe_instances()["Reservations"]
        for one in some["Instances"]
        if one["State"]["Name"] not in ("terminated", "shutting-down")
    }


def runner(
    number: int, name: str, *labels: str, status: str = "offline", busy: bool = False
) -> Any:
    listed = [{"name": label} for label in ("self-hosted", "Linux", *labels)]
    return {"id": number, "name": name, "status": status, "busy": busy, "labels": listed}


def twenty(ec2: Ec2) -> tuple[set[str], set[str]]:
    """Twenty instances: those to be ended, and those to be left alone."""
    past, future = NOW - 60, NOW + 600
    profile = {"IamInstanceProfile": {"Name": "loans-Profile"}}
    ended = {instance(ec2, tags(past, run=str(run))) for run in range(4)}
    stopped = instance(ec2, tags(past))
    ec2.stop_instances(InstanceIds=[stopped])
    cancelled = instance(ec2, tags(NOW - 3600, run="4712"))  # by a run that was cancelled
    _, untagged = spot(ec2, tags(past, run="4713"))  # by one that was cancelled before tagging
    ended |= {stopped, cancelled, untagged}
    kept = {instance(ec2, tags(future, run=str(run))) for run in range(4)}
    kept |= {instance(ec2, tags(unreadable)) for unreadable in (None, "never")}
    kept |= {instance(ec2, {}, **profile)}  # ours by its profile; young
    kept |= {instance(ec2, tags(past, project=None)) for _ in range(2)} | {instance(ec2, {})}
    kept |= {instance(ec2, tags(past, project=p)) for p in ("acme/loans2", "other/loans")}
    _, theirs = spot(ec2, tags(past, project="other/loans"))
    assert len(ended | kept | {theirs}) == 20
    return ended, kept | {theirs}


def test_exactly_the_expired_of_twenty_end(ec2: Ec2, reap: Any, runners: Runners) -> None:
    ended, kept = twenty(ec2)
    dry = reap()
    assert dry.code == 0, dry.text
    assert alive(ec2) == ended | kept  # that was a dry run
    assert "--delete" in dry.text
    for name in ended:
        assert name in dry.text
    said = reap("--delete")
    assert said.code == 0, said.text
    assert alive(ec2) == kept
    assert said.text.count("ended instance") == len(ended) == 7
    assert "not ours: 7" in said.text  # six instances and a request, of which no name is told
    again = reap("--delete")
    assert "ended" not in again.text


def test_what_has_no_readable_tag_ends_when_it_is_too_old(ec2: Ec2, reap: Any) -> None:
    ended, kept = twenty(ec2)
    strange = instance(ec2, tags(NOW + 10 * LONGEST))  # a tag beyond anything that can be declared
    said = reap("--delete", later=time.time() - NOW + LONGEST + 120)  # they started just now
    assert said.code == 0, said.text
    others = alive(ec2)
    assert len(others) == 6  # of other repositories, and of nobody
    assert others < kept
    assert strange not in others
    assert not ended & others


@pytest.mark.parametrize(
    ("owner", "expires", "age", "end"),
    [
        ("us", NOW - 1, 60, True),
        ("us", NOW + 61, 60, False),
        ("us", "", LONGEST + 1, True),
        ("us", "", LONGEST - 1, False),
        ("us", "soon", LONGEST + 1, True),
        ("us", "-5", 60, False),
        ("us", "1e3", 60, False),
        ("us", "٣", 60, False),
        ("us", "9" * 400, LONGEST + 1, True),
        ("us", NOW * 1000, LONGEST + 1, True),  # in milliseconds
        ("them", NOW - 1, LONGEST * 2, False),
        ("", NOW - 1, LONGEST * 2, False),
    ],
    ids=list(map(str, range(12))),  # not the time, on which xdist's workers do not agree
)
def test_who_is_judged(owner: str, expires: object, age: int, end: bool) -> None:
    from ops.machines import lifetime

    thing = lifetime.Resource(
        "instance", "i", owner, RUN, str(expires), NOW - age, "running", lambda: 0
    )
    assert lifetime.judge(thing, "us", NOW).end is end


def mutate(monkeypatch: Any, what: str) -> None:
    """Break the reaper."""
    from ops.machines import ec2, lifetime

    if what == "stopped machines are not looked at":
        monkeypatch.setattr(ec2, "ALIVE", ["pending", "running"])
    if what == "whose it is does not matter":
        judge = lifetime.judge
        monkeypatch.setattr(lifetime, "judge", lambda t, _, now: judge(t, t.owner, now))
    if what == "a request's tags are not its instance's":
        real = ec2._tags
        hide = lambda one: {} if "SpotPrice" in one or "Type" in one else real(one)  # noqa: E731
        monkeypatch.setattr(ec2, "_tags", hide)
    if what == "the clock stands still":
        monkeypatch.setattr(lifetime, "judge", lambda *_: lifetime.Verdict(False, ""))


@pytest.mark.parametrize(
    "what",
    [
        "stopped machines are not looked at",
        "whose it is does not matter",
        "a request's tags are not its instance's",
        "the clock stands still",
    ],
)
def test_a_broken_reaper_is_seen(ec2: Ec2, reap: Any, monkeypatch: Any, what: str) -> None:
    _, kept = twenty(ec2)
    mutate(monkeypatch, what)
    reap("--delete")
    assert alive(ec2) != kept


# cancelled at any moment


def launching(ec2: Ec2, runners: Runners, is_spot: bool) -> Iterator[str]:
    """What CML's provider does one after the other; a job can be cancelled after each step."""
    given = tags(NOW + MINUTES * 60)
    yield "the order is written"
    key(ec2, "cml-run-4711-1-abc", given)
    yield "the key is there"
    if is_spot:
        _, name = spot(ec2, given)
        yield "a spot instance is asked for, and starts untagged"
        ec2.create_tags(Resources=[name], Tags=specification("", given)[0]["Tags"])
    else:
        name = instance(ec2, given)
    yield "the instance is tagged"
    yield "it installs what it needs"
    runners.append(runner(1, "run-4711-1", "cml", "run-4711-1", status="online"))
    yield "its runner is there"
    yield "the launch is over"
    runners[0]["busy"] = True
    yield "the job runs"
    runners[0] |= {"busy": False, "status": "offline"}
    yield "the job is over, and the machine could not end itself"
    ec2.stop_instances(InstanceIds=[name])
    yield "it has shut down"


POINTS = [
    *(("on demand", step) for step in range(9)),
    *(("spot", step) for step in range(10)),
]


@pytest.mark.parametrize(("kind", "step"), POINTS)
def test_nothing_is_left_of_a_launch_cancelled_at(
    ec2: Ec2, reap: Any, runners: Runners, kind: str, step: int
) -> None:
    steps = launching(ec2, runners, kind == "spot")
    for _ in range(step + 1):
        next(steps)
    steps.close()
    for one in runners:
        one |= {"status": "offline", "busy": False}  # GitHub notices that it is gone
    early = reap("--delete", later=(MINUTES - 5) * 60)
    assert early.code == 0, early.text
    assert "ended" not in early.text  # a job may still be running there
    said = reap("--delete", later=(MINUTES + 5) * 60)
    assert said.code == 0, said.text
    assert not alive(ec2)
    assert not ec2.describe_key_pairs()["KeyPairs"]
    requests_left = ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert not [one for one in requests_left if one["State"] in ("open", "active")]
    assert not runners


def test_the_points_are_all_there(ec2: Ec2, runners: Runners) -> None:
    assert len(list(launching(ec2, runners, False))) == 9
    runners.clear()
    ec2.delete_key_pair(KeyName="cml-run-4711-1-abc")
    assert len(list(launching(ec2, runners, True))) == 10


# runners


def test_only_offline_runners_of_hired_machines_go(ec2: Ec2, reap: Any, runners: Runners) -> None:
    instance(ec2, tags(NOW + 600, run="5"))
    kept = [
        runner(1, "yours", "gpu"),
        runner(2, "working", "cml", "run-1-1", status="online", busy=True),
        runner(3, "waiting", "cml", "run-2-1", status="online"),
        runner(4, "somebody's run-", "run-3-1"),
        runner(5, "another's", "cml", "run-nightly"),
        runner(6, "starting", "cml", "run-5-1"),  # its machine lives
    ]
    gone = [runner(100 + i, f"run-{i}-1", "cml", f"run-{i}-1") for i in range(1000, 1120)]
    runners += [*gone, *kept]
    assert reap().code == 0
    assert len(runners) == 126
    said = reap("--delete")
    assert said.code == 0, said.text
    assert runners == kept
    assert TOKEN not in said.text


@pytest.mark.parametrize("choice", ["hosted", "self-hosted"])
def test_runners_go_also_where_nothing_is_hired(
    ec2: Ec2, reap: Any, runners: Runners, choice: str
) -> None:
    text = (inside.TEMPLATE / "machine.yaml").read_text()
    Path("machine.yaml").write_text(text.replace("{{ cookiecutter.machine }}", choice))
    name = instance(ec2, tags(NOW - 60))
    runners.append(runner(1, "run-1-1", "cml", "run-1-1"))
    assert reap("--delete").code == 0
    assert not runners
    assert alive(ec2) == {name}
    assert reap("--delete", "--cloud", "aws").code == 0
    assert not alive(ec2)


# what goes wrong


def test_one_failure_does_not_stop_the_rest(
    ec2: Ec2, reap: Any, runners: Runners, monkeypatch: Any
) -> None:
    safe = instance(ec2, tags(NOW - 60))
    others = {instance(ec2, tags(NOW - 60)) for _ in range(3)}
    protect = {"InstanceId": safe, "DisableApiTermination": {"Value": True}}
    ec2.modify_instance_attribute(**protect)
    runners += [runner(1, "stubborn", "cml", "run-1-1"), runner(2, "run-2-1", "cml", "run-2-1")]
    said = reap("--delete")
    assert said.code == 2
    assert alive(ec2) == {safe}
    assert [one["name"] for one in runners] == ["stubborn"]
    assert f"instance {safe}" in said.text
    assert "stubborn" in said.text
    assert said.text.count("ended instance") == len(others)


@pytest.mark.parametrize(
    ("token", "words"), [("", "REPO_TOKEN is not set"), ("wrong", "Administration: write")]
)
def test_without_a_token_the_machines_end_all_the_same(
    ec2: Ec2, reap: Any, monkeypatch: Any, token: str, words: str
) -> None:
    instance(ec2, tags(NOW - 60))
    monkeypatch.setenv("REPO_TOKEN", token)
    said = reap("--delete")
    assert said.code == 2
    assert words in said.text
    assert not alive(ec2)


def test_without_the_cloud_no_runner_goes(
    ec2: Ec2, reap: Any, runners: Runners, monkeypatch: Any
) -> None:
    runners.append(runner(1, "run-1-1", "cml", "run-1-1"))  # whose machine may be starting
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("ops.machines.ec2.client", CLIENTS.__wrapped__)
    said = reap("--delete")
    assert said.code == 2
    assert "aws:" in said.text
    assert "Traceback" not in said.text
    assert runners


def test_without_a_repository_nothing_is_ours(ec2: Ec2, reap: Any, monkeypatch: Any) -> None:
    name = instance(ec2, tags(NOW - 60, project=""))
    monkeypatch.setenv("GITHUB_REPOSITORY", "")
    said = reap("--delete")
    assert said.code == 2
    assert "owner/name" in said.text
    assert alive(ec2) == {name}


# after the launch


def test_what_is_not_spot_ends_when_it_shuts_down(ec2: Ec2, monkeypatch: Any) -> None:
    from ops.machines.ec2 import end_at_shutdown

    mine, theirs = instance(ec2, tags(NOW)), instance(ec2, tags(NOW, project="other/loans"))
    earlier = instance(ec2, tags(NOW, run="1"))
    assert end_at_shutdown("us-east-1", REPOSITORY, RUN) == 1
    found = {}
    for name in (mine, theirs, earlier):
        asked = {"InstanceId": name, "Attribute": "instanceInitiatedShutdownBehavior"}
        said = ec2.describe_instance_attribute(**asked)
        found[name] = said["InstanceInitiatedShutdownBehavior"]["Value"]
    assert found == {mine: "terminate", theirs: "stop", earlier: "stop"}


# gcp and azure: only the words are known here, by stand-ins for gcloud and az


def command(folder: Path, name: str, listed: Any, monkeypatch: Any) -> Path:
    """A command on PATH that notes its words, and lists `listed`; what it deletes may fail."""
    import os

    (folder / "listed.json").write_text(json.dumps(listed))
    log = folder / "log"
    (folder / name).write_text(
        f'#!/bin/sh\necho "$@" >> {log}\n'
        f'case "$*" in *" list "*) cat {folder}/listed.json;;\n'
        '*stuck*) echo "it is locked" >&2; exit 1;; esac\n'
    )
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


def test_gcp(ec2: Ec2, reap: Any, tmp_path: Path, monkeypatch: Any) -> None:
    from ops.machines import lifetime

    ours = lifetime.owner("gcp", REPOSITORY)
    made = "2020-01-01T00:00:00.000-07:00"
    young = time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime(NOW))

    def one(name: str, expires: object, since: str = young, project: str = ours) -> Any:
        labels = {"project": project, "run": "1", "expires": str(expires)}
        zone = "https://www.googleapis.com/compute/v1/projects/p/zones/us-central1-a"
        about = {"name": name, "zone": zone, "status": "RUNNING", "creationTimestamp": since}
        return about | {"labels": labels}

    listed = [
        one("old", NOW - 60),
        one("stuck", NOW - 60),
        one("live", NOW + 600),
        one("ancient", "never", made),
        one("others", NOW - 60, project="other_loans-12345678"),
    ]
    log = command(tmp_path, "gcloud", listed, monkeypatch)
    said = reap("--delete", "--cloud", "gcp")
    assert said.code == 2
    assert "it is locked" in said.text
    rule = "compute firewall-rules delete {0}-ingress {0}-egress --quiet"
    end = "compute instances delete {0} --zone=us-central1-a --quiet"
    assert log.read_text().splitlines() == [
        f"compute instances list --filter=labels.project={ours} --format=json",
        end.format("old"),
        rule.format("old"),
        end.format("stuck"),
        end.format("ancient"),
        rule.format("ancient"),
    ]


def test_azure(ec2: Ec2, reap: Any, tmp_path: Path, monkeypatch: Any) -> None:
    def one(name: str, expires: object, project: str = REPOSITORY, state: str = "Succeeded") -> Any:
        given = {"project": project, "run": "1", "expires": str(expires)}
        return {"name": name, "tags": given, "properties": {"provisioningState": state}}

    listed = [
        one("old", NOW - 60),
        one("live", NOW + 600),
        one("never", "never"),
        one("going", NOW - 60, state="Deleting"),
        one("others", NOW - 60, project="other/loans"),
        one("none", NOW - 60) | {"tags": None},
    ]
    log = command(tmp_path, "az", listed, monkeypatch)
    said = reap("--delete", "--cloud", "azure")
    assert said.code == 0, said.text
    assert log.read_text().splitlines() == [
        f"group list --tag project={REPOSITORY} -o json",
        "group delete --name old --yes --no-wait",
        "group delete --name never --yes --no-wait",
    ]


@pytest.mark.parametrize("cloud", ["gcp", "azure"])
def test_a_command_that_is_missing_is_named(
    ec2: Ec2, reap: Any, tmp_path: Path, monkeypatch: Any, cloud: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = reap("--cloud", cloud)
    assert said.code == 2
    assert f"{'gcloud' if cloud == 'gcp' else 'az'} is not on PATH" in said.text
