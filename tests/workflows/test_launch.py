"""A machine is hired for one run, with its end agreed; and reaper.yml ends what was left over.

What is shown is the request that CML renders for Terraform. No cloud reads it here: whether one
would answer it, nobody can tell on this machine.
"""

import base64
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from workflows import events, origin, storage
from workflows.act import Hub, git
from workflows.edits import both, docs, machine
from workflows.github import GitHub
from workflows.test_pull_request import GREEN, TRAIN, cut, nothing_leaked, trained

HIRED = GREEN | {"launch": "success"}
FAILED = HIRED | {"launch": "failure", "train": "skipped", "comment": "skipped"}
SMI = {"nvidia-smi": "#!/bin/sh\necho NVIDIA-SMI\n"}
CLOUDS = {
    "aws": {
        "region": "us-east-1",
        "instance_type": "g4dn.xlarge",
        "aws_security_group": storage.settings()["machines"]["AWS_SECURITY_GROUP"],
        "aws_subnet_id": storage.settings()["machines"]["AWS_SUBNET"],
        "instance_permission_set": storage.settings()["machines"]["AWS_INSTANCE_PROFILE"],
    },
    "gcp": {"region": "us-central1-a", "instance_type": "n1-standard-4+nvidia-tesla-t4*1"},
    "azure": {"region": "eastus", "instance_type": "Standard_NC4as_T4_v3"},
}
AZ = """#!/bin/sh
echo '{"accessToken": "x", "expires_on": 4102444800, "tenant": "t", "id": "s"}'
"""


def hire(hub: Hub, use: str, **also: Any) -> Any:
    hub.programs = SMI | {"az": AZ}
    event = origin.pull_request(hub, both(machine(use), docs))
    return hub.run(TRAIN, event, instead=trained(), **also)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_launch(hub: Hub, cloud: str) -> None:
    before = time.time()
    result = hire(hub, cloud).ended(0, HIRED)
    (request,) = hub.github.hired
    assert {key: request.get(key) for key in CLOUDS[cloud]} == CLOUDS[cloud]
    assert request["cloud"] == cloud
    assert request["single"] is True
    assert request["spot"] is True
    assert 0 < request["idle_timeout"] <= 300
    assert request["image"]
    # the job waited for this machine and no other
    label = f"run-{result.run_id}-1"
    assert json.loads(result.outputs("machine")["runs_on"]) == ["self-hosted", "cml", label]
    assert request["labels"].split(",") == ["cml", label]
    # it ends itself, and says until when it may live
    script = base64.b64decode(request["startup_script"]).decode()
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    minutes = 120 + 15
    assert f"shutdown -P +{minutes}" in script
    expires = int(request["metadata"]["expires"])
    assert before <= expires - minutes * 60 <= time.time()
    assert request["metadata"]["run"] == result.run_id
    # only the launching job used the token, and nobody printed it
    administrators = {call.who for call in hub.github.calls if "/runners" in call.path}
    assert administrators == {"PAT"}
    nothing_leaked(hub, result)
    for path in result.homes.rglob("*"):
        assert not path.is_file() or "ghp_" not in path.read_text(errors="replace"), path


def test_identities(hub: Hub) -> None:
    """The launching job is known to the cloud by its environment, the training job is not."""
    hub.programs = SMI
    event = origin.pull_request(hub, machine("aws"))
    steps = trained()["train"]
    configure = {
        "uses": "aws-actions/configure-aws-credentials@e6de054238d6b7531b4efff3b6587d9aade6a06c",
        "with": {
            "aws-region": "${{ vars.AWS_REGION }}",
            "role-to-assume": "${{ vars.AWS_ROLE }}",
        },
    }
    hub.run(TRAIN, event, instead={"train": [configure, *steps]}).ended(0, HIRED)
    subjects = [claims["sub"] for claims in hub.github.issued]
    assert subjects == [f"repo:{hub.repo}:environment:machines", f"repo:{hub.repo}:pull_request"]
    trusted = git(hub.origin, "show", "main:ops/machines/bootstrap.yaml")
    for subject in subjects:
        assert f"${{Subject}}:{subject.partition(hub.repo + ':')[2]}" in trusted


def no_token(hub: Hub) -> None:
    hub.secrets = {}


def weak_token(hub: Hub) -> None:
    hub.github.grant("ghp_forRunnersOnly", {"contents": "write"}, "PAT")


def wrong_token(hub: Hub) -> None:
    hub.secrets = {"machines": {"CML_TOKEN": "ghp_expired"}}


def no_capacity(hub: Hub) -> None:
    hub.env = hub.env | {"STAND_IN_TERRAFORM": "fail"}


def no_subnet(hub: Hub) -> None:
    del hub.environment_vars["machines"]["AWS_SUBNET"]


def no_role(hub: Hub) -> None:
    del hub.environment_vars["machines"]["AWS_LAUNCH_ROLE"]


@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        (no_token, "CML_TOKEN"),
        (weak_token, "not accessible by integration"),
        (wrong_token, "Bad credentials"),
        (no_capacity, "InsufficientInstanceCapacity"),
        (no_subnet, "AWS_SUBNET"),
        (no_role, "role-to-assume"),
    ],
)
def test_a_launch_that_fails_is_red_and_trains_nothing(hub: Hub, lacks: Any, says: str) -> None:
    lacks(hub)
    result = hire(hub, "aws").ended(1, FAILED)
    assert says in str(result)
    assert not hub.github.runners
    assert "ghp_" not in str(result)


@pytest.mark.parametrize(
    "mutation",
    [
        cut("    environment: machines\n"),
        cut("id-token: write # to hire", "id-token: none # to hire"),
        cut("terraform_wrapper: false", "terraform_wrapper: true"),
        cut(r"      - uses: hashicorp/setup-terraform.*\n.*\n.*\n.*\n"),
        cut(r"REPO_TOKEN: \$\{\{ secrets.CML_TOKEN \}\}", "REPO_TOKEN: ${{ github.token }}"),
    ],
)
def test_mutations_of_the_launch(hub: Hub, mutation: Any) -> None:
    hire(hub, "aws", change=mutation).ended(1, FAILED)


@pytest.mark.parametrize(
    "mutation",
    [
        cut(r"runs-on: \$\{\{ fromJSON.*", "runs-on: [self-hosted, cml, gpu]"),
        cut(r"needs\.machine\.outputs\.launch == 'true' &&", "false &&"),
    ],
)
def test_mutations_of_the_labels(hub: Hub, mutation: Any) -> None:
    assert hire(hub, "aws", change=mutation).jobs["train"] == "never started"


# -- the reaper ------------------------------------------------------------------------------


def instance(url: str, repo: str, expires: float) -> str:
    """An instance as CML leaves it, with our tags."""
    ec2 = botocore.session.Session().create_client(
        "ec2",
        "us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="example",
    )
    tags = {"project": repo, "run": "1", "expires": str(int(expires))}
    image = ec2.describe_images()["Images"][0]["ImageId"]
    made = ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        InstanceType="g4dn.xlarge",
        TagSpecifications=[
            {
                "ResourceType": "instance",
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
        ],
    )
    return str(made["Instances"][0]["InstanceId"])


def state(url: str, name: str) -> str:
    ec2 = botocore.session.Session().create_client(
        "ec2",
        "us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="example",
    )
    found = ec2.describe_instances(InstanceIds=[name])["Reservations"][0]["Instances"][0]
    return str(found["State"]["Name"])


@pytest.mark.parametrize("how", ["schedule", "by hand", "by hand, for good"])
def test_reaper(hub: Hub, s3_server: str, how: str) -> None:
    main = origin.commit(hub, machine("aws"))
    old = instance(s3_server, hub.repo, time.time() - 60)
    live = instance(s3_server, hub.repo, time.time() + 3600)
    gone = hub.github.add_runner("run-1-1", ["cml", "run-9-1"], status="offline")
    ours = hub.github.add_runner("ours", ["gpu"], status="offline")
    event = {
        "schedule": events.schedule(main, "23 * * * *"),
        "by hand": events.dispatch(hub.repo, main, delete="false"),
        "by hand, for good": events.dispatch(hub.repo, main, delete="true"),
    }[how]
    result = hub.run("reaper.yml", event).ended(0, {"machine": "success", "reap": "success"})
    assert old in result.log("reap")
    ends = how != "by hand"
    assert state(s3_server, old) == ("terminated" if ends else "running")
    assert state(s3_server, live) == "running"
    left = {one["id"] for one in hub.github.runners}
    assert left == ({ours["id"]} if ends else {ours["id"], gone["id"]})
    nothing_leaked(hub, result)


def test_the_reaper_rests_where_nothing_is_hired(hub: Hub) -> None:
    main = hub.git("rev-parse", "main")
    event = events.schedule(main, "23 * * * *")
    hub.run("reaper.yml", event).ended(0, {"machine": "success", "reap": "skipped"})
    assert hub.run("reaper.yml", events.schedule(main, "0 0 * * *")).jobs == {}


def test_github_of_a_test_is_its_own(github: GitHub, tmp_path: Path) -> None:
    assert not github.runners
    assert github.folder.is_relative_to(tmp_path)
