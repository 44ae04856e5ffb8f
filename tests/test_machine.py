"""machine.yaml says where training runs: read strictly, told to the workflow, ordered from CML."""

import base64
import copy
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import inside
import pytest
import requests
from inside import Said
from ruamel.yaml import YAML

TEXT = (inside.TEMPLATE / "machine.yaml").read_text()
CLOUDS = ("aws", "gcp", "azure")
VARIABLES = {
    "AWS_SECURITY_GROUP": "sg-0a1b2c",
    "AWS_SUBNET": "subnet-0a1b2c",
    "AWS_INSTANCE_PROFILE": "arn:aws:iam::123456789012:instance-profile/loans-Profile-1",
    "GCP_PROJECT": "acme-loans",
    "AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000001",
    "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000002",
}
RUN = {
    "GITHUB_REPOSITORY": "acme/Loans",
    "GITHUB_RUN_ID": "4711",
    "GITHUB_RUN_ATTEMPT": "2",
    "REPO_TOKEN": "ghp_canary",
}
# every flag that `cml runner launch` of CML 0.20.6 has and that may be given here
FLAGS = {
    *("--single", "--no-retry", "--idle-timeout", "--name", "--labels", "--cloud", "--workdir"),
    *("--cloud-region", "--cloud-type", "--cloud-image", "--cloud-hdd-size", "--cloud-metadata"),
    *("--cloud-startup-script", "--tpi-version", "--cml-version", "--cloud-spot"),
    *("--cloud-aws-security-group", "--cloud-aws-subnet", "--cloud-permission-set"),
}
CML = f"""#!{sys.executable}
import json, os, pathlib, sys, urllib.error, urllib.request
assert sys.argv[1:3] == ["runner", "launch"]
given = [word.split("=", 1)[0] for word in sys.argv[3:]]
unknown = set(given) - set({sorted(FLAGS)!r})
assert not unknown, unknown
assert "--no-retry" not in sys.argv  # which yargs takes for a flag called retry
seen = {{"argv": sys.argv[1:], "env": dict(os.environ)}}
path = os.environ.get("AWS_SHARED_CREDENTIALS_FILE")
seen["credentials"] = pathlib.Path(path).read_text() if path else ""
if endpoint := os.environ.get("MSI_ENDPOINT"):
    url = endpoint + "?resource=https%3A%2F%2Fmanagement.azure.com%2F&api-version=2017-09-01"
    for name, secret in (("stranger", "x"), ("token", os.environ["MSI_SECRET"])):
        request = urllib.request.Request(url, headers={{"secret": secret}})
        try:
            seen[name] = json.loads(urllib.request.urlopen(request).read())
        except urllib.error.HTTPError as error:
            seen[name] = error.code
pathlib.Path("seen.json").write_text(json.dumps(seen))
if os.environ.get("FAILS"):
    work = pathlib.Path(next(w for w in sys.argv if w.startswith("--workdir="))[10:])
    work.mkdir()
    (work / "terraform.tfstate").write_text("{{}}")
    print("terraform apply error", file=sys.stderr)
    sys.exit(int(os.environ["FAILS"]))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with machine.yaml, no GitHub, no cloud; `use` is hosted."""
    for name in [n for n in os.environ if n.startswith(("GITHUB_", "CML_", "AZURE_", "GCP_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "dvc.yaml").touch()  # a project's folder has one
    monkeypatch.chdir(tmp_path)
    use("hosted")
    return tmp_path


def use(machine: str, **changes: Any) -> None:
    """Write machine.yaml with another choice, as cookiecutter does, and these keys changed."""
    content = YAML(typ="safe").load(TEXT.replace("{{ cookiecutter.machine }}", machine))
    for key, value in changes.items():
        *above, last = key.split("__")
        part = content
        for name in above:
            part = part[name]
        part[last] = value
    with Path("machine.yaml").open("w") as file:
        YAML(typ="safe").dump(content, file)


def machine(*words: str, capsys: Any, verb: str = "show") -> Said:
    """Run `ml machine VERB` here."""
    from ops import cli

    return inside.stage(verb, lambda: cli.app(["machine", verb, *words], prog_name="ml"), capsys)


@pytest.fixture
def told(here: Path, capsys: Any, monkeypatch: Any) -> Any:
    """`told(*words)`: the outputs that the workflow gets."""

    def run(*words: str) -> dict[str, str]:
        monkeypatch.setenv("GITHUB_OUTPUT", str(here / "output"))
        (here / "output").write_text("")
        said = machine(*words, capsys=capsys)
        assert said.code == 0, said.text
        lines = (here / "output").read_text().splitlines()
        assert len(lines) == 8
        return dict(line.split("=", 1) for line in lines)

    return run


@pytest.mark.parametrize(
    ("choice", "runs_on", "gpu", "region"),
    [
        ("hosted", ["ubuntu-latest"], "false", ""),
        ("self-hosted", ["self-hosted", "linux", "gpu"], "true", ""),
        ("aws", ["self-hosted", "cml", "run-4711-2"], "true", "us-east-1"),
        ("gcp", ["self-hosted", "cml", "run-4711-2"], "true", "us-central1-a"),
        ("azure", ["self-hosted", "cml", "run-4711-2"], "true", "eastus"),
    ],
)
def test_the_workflow_is_told(
    told: Any, monkeypatch: Any, choice: str, runs_on: list[str], gpu: str, region: str
) -> None:
    use(choice, price_per_hour=0.526)
    for name, value in RUN.items():
        monkeypatch.setenv(name, value)
    said = told()
    assert json.loads(said.pop("runs_on")) == runs_on
    assert said == {
        "launch": json.dumps(choice in CLOUDS),
        "cloud": choice if choice in CLOUDS else "none",
        "region": region,
        "gpu": gpu,
        "timeout": "120",
        "sample": "1.0",
        "price": "0.526",
    }


@pytest.mark.parametrize(
    ("event", "sample"),
    [
        ({"pull_request": {"labels": []}}, "0.1"),
        ({"pull_request": {"labels": [{"name": "bug"}]}}, "0.1"),
        ({"pull_request": {"labels": [{"name": "bug"}, {"name": "full-train"}]}}, "1.0"),
        ({"pull_request": {"labels": [{"name": "not-full-train"}]}}, "0.1"),
        ({"ref": "refs/heads/main"}, "1.0"),
    ],
)
def test_pull_requests_train_on_a_share(
    told: Any, here: Path, event: Any, sample: str, monkeypatch: Any
) -> None:
    use("hosted", sample=0.1)
    (here / "event.json").write_text(json.dumps(event))
    assert told("--event", "event.json")["sample"] == sample
    monkeypatch.setenv("GITHUB_EVENT_PATH", "event.json")
    assert told()["sample"] == sample
    assert told("--label", "bug", "--label", "full-train")["sample"] == "1.0"
    assert told("--label", "bug")["sample"] == "0.1"


@pytest.mark.parametrize("broken", ["", "[]", "3", '{"pull_request": {"labels": [3]}}'])
def test_a_broken_event_is_refused(here: Path, capsys: Any, monkeypatch: Any, broken: str) -> None:
    Path("event.json").write_text(broken)
    said = machine("--event", "event.json", capsys=capsys)
    assert (said.code, said.text.count("\n")) == (2, 1)
    assert "event.json" in said.text


def test_people_are_told(here: Path, capsys: Any, monkeypatch: Any) -> None:
    use("aws", sample=0.1)
    said = machine("--label", "bug", capsys=capsys)
    for words in ("hired on aws", "g4dn.xlarge in us-east-1, 100 GB", "0.1 of the rows", "120 min"):
        assert words in said.text
    assert "GITHUB" not in said.text


def test_the_choice_is_one_document_of_json(here: Path, capsys: Any) -> None:
    from ops.machines.machine import main

    use("hosted", sample=0.1)
    main(labels=["bug"], as_json=True)
    values = json.loads(capsys.readouterr().out)
    assert (values["runs_on"], values["sample"]) == ('["ubuntu-latest"]', "0.1")


def test_machines_need_no_pandas_torch_or_dvc() -> None:
    names = [path.stem for path in (inside.TEMPLATE / "ops/machines").glob("[a-z]*.py")]
    assert "launch" in names
    imports = "; ".join(f"import ops.machines.{name}" for name in names)
    block = "import sys; sys.modules |= dict.fromkeys(['pandas', 'torch', 'dvc'])"
    command = [sys.executable, "-c", f"{block}; {imports}"]
    subprocess.run(command, cwd=inside.TEMPLATE, check=True)


# what a key may not be
TEXTS = [5, True, None, "", "a b\n", "a\nlaunch=true", "$(id)", "é"]
FLAGS_OF_YAML = [0, "yes", None, "true"]
WHOLE = [-1, 0, 1.5, True, "50", None, 10**9]
NOT: dict[str, list[Any]] = {
    "use": [*TEXTS, "gpc", "kubernetes", "AWS"],
    "timeout_minutes": [*WHOLE, 4, 4321, "never"],
    "sample": [0, -0.1, 1.01, True, "1", None, float("nan"), float("inf")],
    "price_per_hour": [-1, "1", True, float("nan"), float("inf"), 1001],
    "hosted.runs_on": [*TEXTS, ["ubuntu-latest"]],
    "self-hosted.labels": [None, "gpu", [], [5], ["a\nb"], ["a b"], [""]],
    "aws.region": [*TEXTS, "us-east-1; id", "us-west", "us-east-1a"],
    "aws.type": [*TEXTS, "g4dn.xlarge --token", "m+t4", "xl"],
    "aws.image": [*TEXTS, "ab", "--image", "x" * 200],
    "gcp.zone": [*TEXTS, "us-central1", "us-east"],
    "gcp.type": [*TEXTS, "n1-standard-4+nvidia-tesla-t4*1"],
    "gcp.accelerator": [5, True, "", "t4", "nvidia-tesla-t4", "nvidia-tesla-t4*0"],
    "gcp.image": [*TEXTS, "ubuntu-2204-lts", "a/b/c"],
    "azure.region": [*TEXTS, "East US"],
    "azure.type": [*TEXTS, "m+t4"],
    "azure.image": [*TEXTS, "Canonical:UbuntuServer", "a:b:c:d:e"],
    **{f"{cloud}.disk_gb": [*WHOLE, 19] for cloud in CLOUDS},
    **{f"{cloud}.spot": FLAGS_OF_YAML for cloud in CLOUDS},
    **{f"{name}.gpu": FLAGS_OF_YAML for name in ("hosted", "self-hosted", *CLOUDS)},
}


def keys(content: Any, above: str = "") -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from keys(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def test_every_key_has_values_that_it_may_not_be() -> None:
    assert set(keys(YAML(typ="safe").load(TEXT))) == set(NOT)


def refused(content: Any) -> str:
    """Why machine.yaml's content is refused; "" if it is not."""
    from core.errors import Problem
    from core.yaml_io import check_yaml
    from ops.machines.machine_yaml import Machine

    try:
        check_yaml(Machine, content, "machine.yaml")
    except Problem as problem:
        return str(problem) if problem.code == 2 else "wrong exit status"
    return ""


@pytest.mark.parametrize("key", NOT)
def test_every_mistake_is_refused_by_its_name(key: str) -> None:
    good = YAML(typ="safe").load(TEXT.replace("{{ cookiecutter.machine }}", "aws"))
    assert refused(good) == ""
    *above, last = key.split(".")
    for value in [*NOT[key], {"a": 1}, [[1]]]:
        content = copy.deepcopy(good)
        part = content[above[0]] if above else content
        part[last] = value
        assert key in refused(content), value
    content = copy.deepcopy(good)
    part = content[above[0]] if above else content
    value = part.pop(last)
    assert f"{key}: missing" in refused(content)
    part[last[:-1] + "x"] = value
    assert "unknown key" in (why := refused(content))
    assert f"did you mean '{last}'" in why or len(last) < 4
    del part[last[:-1] + "x"]


@pytest.mark.parametrize("section", ["hosted", "self-hosted", *CLOUDS])
def test_every_section_is_needed(section: str) -> None:
    content = YAML(typ="safe").load(TEXT.replace("{{ cookiecutter.machine }}", "aws"))
    content[section + "s"] = content.pop(section)
    assert f"did you mean '{section}'" in refused(content)


def test_githubs_own_runners_have_a_limit(here: Path) -> None:
    for choice, allowed in (("hosted", False), ("self-hosted", True), ("aws", True)):
        use(choice, timeout_minutes=361)
        assert (refused(YAML(typ="safe").load(Path("machine.yaml"))) == "") is allowed


# the order


@pytest.fixture
def launch(here: Path, capsys: Any, monkeypatch: Any) -> Any:
    """`launch(*words, **env)`: run `ml machine launch` with a strict stand-in for CML."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    bin = here / "bin"
    bin.mkdir()
    for name, script in (("cml", CML), ("terraform", 'echo "$@" > terraform.log')):
        text = script if script.startswith("#!") else f"#!/bin/sh\n{script}\n"
        (bin / name).write_text(text)
        (bin / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin}{os.pathsep}{os.environ['PATH']}")
    for name, value in (VARIABLES | RUN).items():
        monkeypatch.setenv(name, value)

    def run(*words: str, **env: str | None) -> Said:
        for name, value in env.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return machine(*words, capsys=capsys, verb="launch")

    return run


def options(words: list[str]) -> dict[str, list[str]]:
    """The options of a command line, each with its values."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, _, value = word.partition("=")
        found.setdefault(name, []).append(value)
    return found


def ordered() -> tuple[dict[str, list[str]], Any]:
    """What CML was asked for, and all that it saw."""
    seen = json.loads(Path("seen.json").read_text())
    assert seen["argv"][:2] == ["runner", "launch"]
    return options(seen["argv"][2:]), seen


EXPECTED = {
    "aws": {
        "--cloud-region": ["us-east-1"],
        "--cloud-type": ["g4dn.xlarge"],
        "--cloud-image": ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"],
        "--cloud-aws-security-group": ["sg-0a1b2c"],
        "--cloud-aws-subnet": ["subnet-0a1b2c"],
        "--cloud-permission-set": [VARIABLES["AWS_INSTANCE_PROFILE"]],
    },
    "gcp": {
        "--cloud-region": ["us-central1-a"],
        "--cloud-type": ["n1-standard-4+nvidia-tesla-t4*1"],
        "--cloud-image": ["ubuntu-os-cloud/ubuntu-2204-lts"],
    },
    "azure": {
        "--cloud-region": ["eastus"],
        "--cloud-type": ["Standard_NC4as_T4_v3"],
        "--cloud-image": ["Canonical:0001-com-ubuntu-server-jammy:22_04-lts:latest"],
    },
}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("spot", [True, False])
def test_cml_is_asked_for_the_intended_machine(
    launch: Any, told: Any, cloud: str, spot: bool, monkeypatch: Any
) -> None:
    use(cloud, timeout_minutes=60, **{f"{cloud}__spot": spot})
    monkeypatch.setattr("ops.machines.ec2.end_at_shutdown", lambda *_: 1)
    monkeypatch.setattr("ops.machines.azure_token.token", lambda resource: {"access_token": "t"})
    before = time.time()
    said = launch()
    assert said.code == 0, said.text
    asked, _ = ordered()
    script = base64.b64decode(asked.pop("--cloud-startup-script")[0]).decode()
    tags = dict(one.split("=", 1) for one in asked.pop("--cloud-metadata"))
    expires = int(tags.pop("expires")) - before
    assert asked.pop("--workdir")
    assert asked.pop("--cloud-spot", None) == ([""] if spot else None)
    assert asked == EXPECTED[cloud] | {
        "--single": [""],
        "--no-retry": ["true"],
        "--idle-timeout": ["300"],
        "--name": ["run-4711-2"],
        "--labels": ["cml,run-4711-2"],
        "--cloud": [cloud],
        "--cloud-hdd-size": ["100"],
        "--tpi-version": ["= 0.11.20"],
        "--cml-version": ["0.20.6"],
    }
    # it ends itself, and the tag says so, within a quarter of an hour of the job's own limit
    minutes = int(script.partition("shutdown -P +")[2].split()[0])
    assert 60 <= minutes <= 60 + 15
    assert -1 <= expires - minutes * 60 < 10
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    assert "cml" not in script.replace("# ", "").split("\n")[1]
    project = "acme/Loans" if cloud != "gcp" else "acme_loans-"
    assert tags.pop("run") == "4711"
    assert tags.pop("project").startswith(project)
    assert not tags
    # the job that trains asks for the labels that the machine gets
    labels = json.loads(told()["runs_on"])
    assert set(labels) == {"self-hosted", *asked["--labels"][0].split(",")}


@pytest.mark.parametrize("works", [True, False])
def test_the_startup_script_starts_the_clock(here: Path, monkeypatch: Any, works: bool) -> None:
    from ops.machines.cml_command import startup

    (here / "bin").mkdir()
    stubs = {
        "shutdown": "/bin/sleep 4" if works else "exit 1",  # where systemd is not to be had
        "sleep": "exit 0",
        "poweroff": "exit 0",
    }
    for name, does in stubs.items():
        (here / "bin" / name).write_text(f'#!/bin/sh\necho {name} "$@" >> log\n{does}\n')
        (here / "bin" / name).chmod(0o755)
    (here / "script").write_text(startup(75))
    monkeypatch.setenv("PATH", f"{here}/bin{os.pathsep}{os.environ['PATH']}")
    subprocess.run(["/bin/sh", "script"], check=True, timeout=3)  # CML starts after it
    wanted = ["shutdown -P +75"] if works else ["shutdown -P +75", "sleep 4500", "poweroff -f"]
    said: list[str] = []
    for _ in range(100):
        said = (here / "log").read_text().splitlines() if (here / "log").exists() else []
        if said == wanted:
            break
        time.sleep(0.05)
    assert said == wanted


def test_labels_of_gcp_are_labels() -> None:
    import re

    from ops.machines import lifetime

    names = ["acme/loans", "Acme/Loans.v2", "a/" + "x" * 100, "acme/loans_", "acme-loans/x"]
    labels = {lifetime.owner("gcp", name) for name in names}
    assert len(labels) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_-]{1,63}", label) for label in labels)
    assert lifetime.owner("aws", "Acme/Loans.v2") == "Acme/Loans.v2"


def test_tokens_and_keys_stay_where_they_are(launch: Any, monkeypatch: Any) -> None:
    use("aws")
    monkeypatch.setattr("ops.machines.ec2.end_at_shutdown", lambda *_: 1)
    keys = {"AWS_ACCESS_KEY_ID": "AKIACANARY", "AWS_SECRET_ACCESS_KEY": "s3cret"}
    said = launch(**keys, AWS_SESSION_TOKEN="session", CML_RUNNER_REUSE="true")
    _, seen = ordered()
    line = " ".join(seen["argv"]) + said.text
    for canary in ("ghp_canary", "AKIACANARY", "s3cret"):
        assert canary not in line
    # CML would write these into the machine's user data; from the file it takes them all the same
    assert not {*keys, "AWS_SESSION_TOKEN", "CML_RUNNER_REUSE"} & set(seen["env"])
    assert seen["credentials"].split("\n") == [
        "[default]",
        "aws_access_key_id = AKIACANARY",
        "aws_secret_access_key = s3cret",
        "aws_session_token = session",
        "",
    ]
    assert not Path(seen["env"]["AWS_SHARED_CREDENTIALS_FILE"]).parent.exists()
    assert seen["env"]["CML_REPO"] == "https://github.com/acme/Loans"
    assert seen["env"]["ITERATIVE_DO_NOT_TRACK"] == "1"


def test_azure_gets_tokens_of_az(launch: Any, here: Path) -> None:
    use("azure")
    (here / "bin/az").write_text(
        '#!/bin/sh\necho "$@" >> az.log\n'
        'echo \'{"accessToken": "eyJ", "expires_on": 1795250171, "tokenType": "Bearer"}\'\n'
    )
    (here / "bin/az").chmod(0o755)
    said = launch(AZURE_CLIENT_SECRET="canary")
    assert said.code == 0, said.text
    _, seen = ordered()
    assert seen["stranger"] == 403
    assert seen["token"]["access_token"] == "eyJ"
    assert seen["token"]["expires_on"] == "1795250171"  # CML's provider reads text only
    asked = "account get-access-token --resource https://management.azure.com/ -o json\n"
    assert (here / "az.log").read_text() == asked
    assert "AZURE_CLIENT_SECRET" not in seen["env"]
    with pytest.raises(requests.ConnectionError):
        requests.get(seen["env"]["MSI_ENDPOINT"], timeout=5)


@pytest.mark.parametrize("code", [1, 7])
def test_a_failed_launch_is_told_and_ended(launch: Any, here: Path, code: int) -> None:
    use("aws")
    said = launch(FAILS=str(code))
    assert said.code == code
    assert f"CML ended with {code}" in said.text
    assert (here / "terraform.log").read_text().split()[1:] == ["destroy", "-auto-approve"]


@pytest.mark.parametrize(
    ("cloud", "name", "value"),
    [
        *(("aws", n, None) for n in ("AWS_SECURITY_GROUP", "AWS_SUBNET", "AWS_INSTANCE_PROFILE")),
        ("aws", "AWS_SECURITY_GROUP", "iterative"),
        ("aws", "AWS_SUBNET", "subnet-1 --token"),
        ("aws", "AWS_INSTANCE_PROFILE", "arn:aws:iam::12345678901:instance-profile/x"),
        ("gcp", "GCP_PROJECT", None),
        ("azure", "AZURE_SUBSCRIPTION_ID", ""),
        ("azure", "AZURE_TENANT_ID", "me"),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_a_missing_variable_is_named(
    launch: Any, cloud: str, name: str, value: str | None, dry: bool
) -> None:
    use(cloud)
    said = launch(*(["--dry-run"] if dry else []), **{name: value})
    assert (said.code, said.text.count("\n")) == (2, 1)
    assert name in said.text
    assert f"gh variable set {name}" in said.text
    assert not Path("seen.json").exists()


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"REPO_TOKEN": None}, "gh secret set CML_TOKEN --env machines"),
        ({"GITHUB_REPOSITORY": "loans"}, "must be owner/name"),
        ({"GITHUB_RUN_ID": "1,evil"}, "not a number"),
        ({"GITHUB_RUN_ATTEMPT": "1\nx"}, "not a number"),
        ({"CML_BIN": "no-such-cml"}, "npm install --global @dvcorg/cml@0.20.6"),
    ],
)
def test_nothing_is_ordered_without(launch: Any, env: Any, words: str) -> None:
    use("aws")
    said = launch(**env)
    assert said.code != 0
    assert words in said.text
    assert "Traceback" not in said.text
    assert not Path("seen.json").exists()


def test_there_is_nothing_to_hire(launch: Any) -> None:
    use("hosted")
    said = launch()
    assert said.code == 2
    assert "nothing to hire" in said.text


def test_a_dry_run_prints_the_command(launch: Any, here: Path) -> None:
    use("aws")
    said = launch("--dry-run", GITHUB_REPOSITORY=None, REPO_TOKEN=None)
    assert said.code == 0, said.text
    line, _, script = said.text.partition("\n\n")
    assert "shutdown -P +135" in script
    shutil.move("bin/cml", "cml")
    done = subprocess.run(["/bin/bash", "-c", line], env=os.environ | {"PATH": str(here)})
    assert done.returncode == 0
    asked, _ = ordered()
    assert asked["--tpi-version"] == ["= 0.11.20"]
