"""The stack of ops/machines/bootstrap.yaml: what its text allows; and made for real, in moto."""

import copy
import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import inside
import pytest
import requests
import yaml
from inside import Said

BODY = inside.TEMPLATE / "ops/machines/bootstrap.yaml"
CLIENTS = functools.cache(lambda *which: botocore.session.Session().create_client(*which))
AUD = "token.actions.githubusercontent.com:aud"
SUB = "token.actions.githubusercontent.com:sub"
Template = dict[str, Any]


pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")  # by moto


class Loader(yaml.SafeLoader):
    """CloudFormation's short forms, as mappings."""


def short(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {tag: loader.construct_scalar(node)}
    assert isinstance(node, yaml.SequenceNode)
    return {tag: loader.construct_sequence(node, deep=True)}


Loader.add_multi_constructor("!", short)
TEMPLATE: Template = yaml.load(BODY.read_text(), Loader)


def text(value: Any) -> str:
    """A value of the template, written out."""
    if isinstance(value, dict):
        ((_, inner),) = value.items()
        return str(inner)
    return str(value)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement that allows something, with the name of its resource."""
    for name, resource in template["Resources"].items():
        about = resource["Properties"]
        for policy in [about, *about.get("Policies", ())]:
            for one in policy.get("PolicyDocument", {}).get("Statement", ()):
                if one["Effect"] == "Allow":
                    yield name, one


def faults(template: Template) -> list[str]:
    """What is wrong with who may do what."""
    found = []
    trusted = {"Ci": {"pull_request", "ref:refs/heads/${Branch}", "environment:production"}}
    trusted |= {"Launch": {"environment:machines"}}
    for name, resource in template["Resources"].items():
        for one in resource["Properties"].get("AssumeRolePolicyDocument", {}).get("Statement", ()):
            if name == "MachineRole":
                if one["Principal"] != {"Service": "ec2.amazonaws.com"}:
                    found.append(f"{name}: trusts more than EC2")
                continue
            how = one.get("Condition", {})
            exact = how.get("StringEquals", {})
            if set(how) != {"StringEquals"} or exact.get(AUD) != "sts.amazonaws.com":
                found.append(f"{name}: aud is not exact")
            subjects = {text(each) for each in listed(exact.get(SUB, "*"))}
            if subjects != {f"${{Subject}}:{end}" for end in trusted.get(name, ())}:
                found.append(f"{name}: trusts {sorted(subjects)}")
            if "oidc-provider/token.actions.githubusercontent.com" not in str(one["Principal"]):
                found.append(f"{name}: trusts somebody else")
    for name, one in statements(template):
        for action in listed(one["Action"]):
            resources = [text(each) for each in listed(one["Resource"])]
            wide = any(each.endswith(":*") or each == "*" for each in resources)
            how = one.get("Condition", {})
            if "*" in action or action.startswith("s3:Delete") or action == "s3:PutBucketPolicy":
                found.append(f"{name}: may {action}")
            if action == "iam:PassRole" and (
                resources != ["MachineRole.Arn"]
                or how != {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
            ):
                found.append(f"{name}: passes any role")
            if wide and not re.match(r"ec2:Describe|sts:DecodeAuthorizationMessage", action):
                found.append(f"{name}: may {action} on anything")
            told = json.dumps(how)
            if action in ("ec2:TerminateInstances", "ec2:ModifyInstanceAttribute") and (
                "aws:ResourceTag/project" not in told and "ec2:InstanceProfile" not in told
            ):
                found.append(f"{name}: may {action} whatever is not its own")
            if action == "ec2:RunInstances" and any("instance/" in each for each in resources):
                for key in ("RequestTag/project", "RequestTag/expires", "InstanceType", "Profile"):
                    if key not in told:
                        found.append(f"{name}: hires without {key}")
            if any("image/" in each for each in resources) and "ec2:Owner" not in told:
                found.append(f"{name}: starts anybody's image")
    bucket = template["Resources"]["Storage"]["Properties"]
    closed = bucket["PublicAccessBlockConfiguration"]
    if list(closed.values()) != [True] * 4:
        found.append("the bucket can be public")
    if bucket["VersioningConfiguration"] != {"Status": "Enabled"}:
        found.append("the bucket keeps no versions")
    if "BucketEncryption" not in bucket:
        found.append("the bucket is in clear")
    rules = bucket["LifecycleConfiguration"]["Rules"]
    if any("ExpirationInDays" in rule for rule in rules):
        found.append("what is in use expires")
    deny = template["Resources"]["StorageOnlyByTls"]["Properties"]["PolicyDocument"]["Statement"]
    if [one["Condition"] for one in deny] != [{"Bool": {"aws:SecureTransport": "false"}}]:
        found.append("the bucket answers without TLS")
    if template["Resources"]["Storage"].get("DeletionPolicy") != "Retain":
        found.append("the bucket goes with the stack")
    for one in template["Resources"]["Machines"]["Properties"]["SecurityGroupIngress"]:
        if (one["FromPort"], one["ToPort"], one["CidrIp"]) != (22, 22, {"Ref": "SshFrom"}):
            found.append("machines listen to more than the launching job")
    for name in ("Repository", "Subject", "Bucket", "Email", "SshFrom", "Branch"):
        if "AllowedPattern" not in template["Parameters"][name]:
            found.append(f"{name} may be anything")
    return found


def test_nobody_may_do_more_than_needed() -> None:
    assert faults(TEMPLATE) == []


def at(template: Template, name: str) -> dict[str, Any]:
    """The properties of a resource."""
    return template["Resources"][name]["Properties"]  # type: ignore[no-any-return]


def trust(template: Template, name: str = "Ci") -> dict[str, Any]:
    document = at(template, name)["AssumeRolePolicyDocument"]
    return document["Statement"][0]["Condition"]  # type: ignore[no-any-return]


def allow(template: Template, action: str) -> dict[str, Any]:
    return next(one for _, one in statements(template) if action in listed(one["Action"]))


MUTATIONS: dict[str, Callable[[Template], object]] = {
    "any branch": lambda t: trust(t)["StringEquals"][SUB].append({"Sub": "${Subject}:*"}),
    "any subject": lambda t: trust(t)["StringEquals"].update({SUB: "repo:*"}),
    "no subject": lambda t: trust(t)["StringEquals"].pop(SUB),
    "like": lambda t: trust(t).update(StringLike=trust(t).pop("StringEquals")),
    "if exists": lambda t: trust(t).update(StringEqualsIfExists=trust(t).pop("StringEquals")),
    "no audience": lambda t: trust(t)["StringEquals"].pop(AUD),
    "other audience": lambda t: trust(t)["StringEquals"].update({AUD: "*"}),
    "launch by pull requests": lambda t: trust(t, "Launch")["StringEquals"].update(
        {SUB: {"Sub": "${Subject}:pull_request"}}
    ),
    "launch by any environment": lambda t: trust(t, "Launch")["StringEquals"].update(
        {SUB: {"Sub": "${Subject}:environment:*"}}
    ),
    "anybody": lambda t: at(t, "Ci")["AssumeRolePolicyDocument"]["Statement"][0].update(
        Principal={"AWS": "*"}
    ),
    "delete": lambda t: allow(t, "s3:PutObject")["Action"].append("s3:DeleteObject"),
    "delete versions": lambda t: allow(t, "s3:PutObject")["Action"].append(
        "s3:DeleteObjectVersion"
    ),
    "every action": lambda t: allow(t, "s3:PutObject").update(Action="*"),
    "every action of s3": lambda t: allow(t, "s3:PutObject").update(Action=["s3:*"]),
    "every bucket": lambda t: allow(t, "s3:PutObject").update(Resource="*"),
    "pass any role": lambda t: allow(t, "iam:PassRole").update(Resource="*"),
    "pass to any service": lambda t: allow(t, "iam:PassRole").pop("Condition"),
    "end anybody's": lambda t: allow(t, "ec2:CancelSpotInstanceRequests").pop("Condition"),
    "hire untagged": lambda t: allow(t, "ec2:RunInstances")["Condition"].pop("StringEquals"),
    "hire for ever": lambda t: allow(t, "ec2:RunInstances")["Condition"].pop("Null"),
    "hire any type": lambda t: allow(t, "ec2:RunInstances")["Condition"].pop("StringLike"),
    "hire with any role": lambda t: allow(t, "ec2:RunInstances")["Condition"].pop("ArnEquals"),
    "start any image": lambda t: next(
        one for _, one in statements(t) if one.get("Sid") == "HireFromTrustedImages"
    ).pop("Condition"),
    "public": lambda t: at(t, "Storage")["PublicAccessBlockConfiguration"].update(
        BlockPublicPolicy=False
    ),
    "no versions": lambda t: at(t, "Storage")["VersioningConfiguration"].update(Status="Suspended"),
    "in clear": lambda t: at(t, "Storage").pop("BucketEncryption"),
    "without TLS": lambda t: at(t, "StorageOnlyByTls")["PolicyDocument"]["Statement"].clear(),
    "gone with the stack": lambda t: t["Resources"]["Storage"].pop("DeletionPolicy"),
    "expires": lambda t: at(t, "Storage")["LifecycleConfiguration"]["Rules"][0].update(
        ExpirationInDays=30
    ),
    "all ports": lambda t: at(t, "Machines")["SecurityGroupIngress"][0].update(ToPort=65535),
    "from anywhere": lambda t: at(t, "Machines")["SecurityGroupIngress"][0].update(
        CidrIp="0.0.0.0/0"
    ),
    "wild subject": lambda t: t["Parameters"]["Subject"].pop("AllowedPattern"),
}


@pytest.mark.parametrize("what", MUTATIONS)
def test_a_wider_right_is_seen(what: str) -> None:
    template = copy.deepcopy(TEMPLATE)
    MUTATIONS[what](template)
    assert faults(template)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("Subject", ["repo:acme/loans", "repo:a-b@12/c.d@34"], ["repo:acme/*", "repo:*", "acme/x"]),
        ("Repository", ["acme/loans"], ["acme/*", "acme", "a b/c"]),
        ("Branch", ["main", "release/1.0"], ["*", "ma in"]),
        ("Bucket", ["loans-storage"], ["*", "My_Bucket"]),
        ("Email", ["ada@example.com"], ["no-at", "a@b", "a b@c.de"]),
        ("SshFrom", ["0.0.0.0/0", "10.1.0.0/16"], ["anywhere", "10.0.0.1"]),
    ],
)
def test_parameters_have_patterns(name: str, good: list[str], bad: list[str]) -> None:
    pattern = TEMPLATE["Parameters"][name]["AllowedPattern"]  # anchored by CloudFormation
    assert all(re.fullmatch(pattern, value) for value in good)
    assert not [value for value in bad if re.fullmatch(pattern, value)]


def test_every_parameter_is_explained() -> None:
    assert all(one.get("Description") for one in TEMPLATE["Parameters"].values())


def test_cfn_lint_finds_nothing() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), str(BODY)],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


# made for real, in a simulated account

GH = f"""#!{sys.executable}
import json, os, pathlib, sys
with open("gh.log", "a") as log:
    print(*sys.argv[1:], file=log)
if sys.argv[1:3] == ["variable", "set"] and os.environ.get("GH_FAILS"):
    sys.exit("HTTP 403: Resource not accessible")
if sys.argv[1] == "api":
    print(os.environ["GH_SUB"] if "oidc" in sys.argv[2] else os.environ["GH_REPO"])
"""
IMMUTABLE = {
    "use_default": True,
    "use_immutable_subject": True,
    "sub_claim_prefix": "repo:acme@11/loans@22",
}


@pytest.fixture
def account(s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """An empty account of AWS, a checkout of acme/loans that uses it, and `gh` logged in."""
    requests.post(f"{s3_server}/moto-api/reset", timeout=10)
    text = (inside.TEMPLATE / "machine.yaml").read_text()
    (tmp_path / "dvc.yaml").touch()  # a project's folder has one
    (tmp_path / "machine.yaml").write_text(text.replace("{{ cookiecutter.machine }}", "aws"))
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(
        "[core]\n    remote = storage\n"
        "['remote \"storage\"']\n    url = s3://loans-storage/dvc\n    verify = true\n"
    )
    origin = "git@github.com:acme/loans.git"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", origin], check=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gh").write_text(GH)
    (tmp_path / "bin/gh").chmod(0o755)
    env = {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_EC2_METADATA_DISABLED": "true",
        "GH_SUB": json.dumps(IMMUTABLE),
        "GH_REPO": json.dumps({"id": 22, "owner": {"id": 11, "login": "acme"}}),
        "NO_PROXY": "127.0.0.1",
        "PATH": f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ops.machines.bootstrap.client", CLIENTS)  # making one takes long
    return lambda service: CLIENTS(service, "us-east-1")


@pytest.fixture
def bootstrap(account: Any, capsys: Any, monkeypatch: Any) -> Callable[..., Said]:
    """`bootstrap(*words)`: run `ml bootstrap`."""

    def run(*words: str, email: str = "ada@example.com") -> Said:
        from ops import cli
        from ops.machines import stack

        monkeypatch.setattr(stack, "POLL", 0.01)
        command = ["bootstrap", "--email", email, *words]
        return inside.stage("bootstrap", lambda: cli.app(command, prog_name="ml"), capsys)

    return run


def roles(account: Any) -> dict[str, Any]:
    """The trust of each role of the stack, by the name that it has in the template."""
    found = account("iam").list_roles()["Roles"]
    return {
        one["RoleName"].split("-")[2]: one["AssumeRolePolicyDocument"]["Statement"][0]
        for one in found
        if one["RoleName"].startswith("loans-infra-")
    }


def outputs(account: Any) -> dict[str, str]:
    stack = account("cloudformation").describe_stacks(StackName="loans-infra")["Stacks"][0]
    assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def test_one_command_makes_it(account: Any, bootstrap: Any) -> None:
    said = bootstrap("--variables")
    assert said.code == 0, said.text
    made = outputs(account)
    variables = {
        "AWS_REGION": "us-east-1",
        "AWS_ROLE": made["AwsRole"],
        "AWS_LAUNCH_ROLE": made["AwsLaunchRole"],
        "AWS_SECURITY_GROUP": made["AwsSecurityGroup"],
        "AWS_SUBNET": made["AwsSubnet"],
        "AWS_INSTANCE_PROFILE": made["AwsInstanceProfile"],
    }
    log = Path("gh.log").read_text().splitlines()
    wanted = [
        f"variable set {name} --repo acme/loans --body {value}"
        for name, value in sorted(variables.items())
    ]
    assert log == ["api repos/acme/loans/actions/oidc/customization/sub", *wanted]
    assert all(line in said.text for line in wanted)
    assert "gh secret set CML_TOKEN --env machines --repo acme/loans" in said.text
    # what can be looked at in moto; the rest is read from the text above
    trusts = roles(account)
    assert set(trusts) == {"Ci", "Launch", "MachineRole"}
    exact = trusts["Ci"]["Condition"]["StringEquals"]
    assert exact == {
        AUD: "sts.amazonaws.com",
        SUB: [
            "repo:acme@11/loans@22:ref:refs/heads/main",
            "repo:acme@11/loans@22:pull_request",
            "repo:acme@11/loans@22:environment:production",
        ],
    }
    exact = trusts["Launch"]["Condition"]["StringEquals"]
    assert exact[SUB] == "repo:acme@11/loans@22:environment:machines"
    iam = account("iam")
    profile = made["AwsInstanceProfile"].rpartition("/")[2]
    held = iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
    assert [one["RoleName"].split("-")[2] for one in held] == ["MachineRole"]
    for role in (made["AwsRole"].rpartition("/")[2], held[0]["RoleName"]):
        attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        assert len(attached) == 1
    name = made["AwsLaunchRole"].rpartition("/")[2]
    policy = iam.get_role_policy(RoleName=name, PolicyName="hire-and-end")["PolicyDocument"]
    assert "${" not in json.dumps(policy)
    assert f"security-group/{made['AwsSecurityGroup']}" in json.dumps(policy)
    assert len(json.dumps(policy)) < 10_240  # what IAM allows of a role's own policies
    assert account("s3").get_bucket_encryption(Bucket="loans-storage")
    group = account("ec2").describe_security_groups(GroupIds=[made["AwsSecurityGroup"]])
    ports = {one["FromPort"] for one in group["SecurityGroups"][0]["IpPermissions"]}
    assert ports == {22}


def test_the_variables_are_those_that_a_launch_needs(account: Any, bootstrap: Any) -> None:
    from ops.machines import cml_command

    said = bootstrap()
    assert said.code == 0, said.text
    values = dict(re.findall(r"gh variable set (\w+) --repo \S+ --body (\S+)", said.text))
    for name, pattern in cml_command.NEEDS["aws"].items():
        assert re.fullmatch(pattern, values[name])
    assert "variable" not in Path("gh.log").read_text()  # that takes --variables


def test_twice_is_an_update(account: Any, bootstrap: Any, monkeypatch: Any) -> None:
    first = bootstrap()
    assert "create the stack loans-infra in us-east-1, account 123456789012" in first.text
    made = outputs(account)
    second = bootstrap("--ssh-from", "10.1.0.0/16", "--budget", "50")
    assert second.code == 0, second.text
    assert "update the stack loans-infra" in second.text
    found = account("cloudformation").describe_stacks(StackName="loans-infra")["Stacks"][0]
    given = {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}
    assert given["SshFrom"] == "10.1.0.0/16"
    assert given["BudgetUsd"] == "50"
    # though both exist by now, it is this stack that keeps them
    assert (given["MakeBucket"], given["MakeProvider"]) == ("yes", "yes")
    assert outputs(account)["AwsSubnet"] == made["AwsSubnet"]


def test_what_the_account_has_is_not_made_again(account: Any, bootstrap: Any) -> None:
    account("s3").create_bucket(Bucket="loans-storage")
    issuer = "https://token.actions.githubusercontent.com"
    account("iam").create_open_id_connect_provider(Url=issuer, ClientIDList=["sts.amazonaws.com"])
    said = bootstrap("--dry-run")
    assert re.search(r"MakeBucket +no\n", said.text)
    assert re.search(r"MakeProvider +no\n", said.text)
    for _ in ("created", "updated"):
        assert bootstrap().code == 0
        found = account("cloudformation").describe_stacks(StackName="loans-infra")["Stacks"][0]
        given = {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}
        assert (given["MakeBucket"], given["MakeProvider"]) == ("no", "no")


def test_a_dry_run_makes_nothing(account: Any, bootstrap: Any) -> None:
    said = bootstrap("--dry-run", "--variables")
    assert said.code == 0, said.text
    for words in ("repo:acme@11/loans@22", "loans-storage", "g4dn.xlarge", "ada@example.com"):
        assert words in said.text
    assert not account("cloudformation").list_stacks()["StackSummaries"]
    assert "variable" not in Path("gh.log").read_text()


@pytest.mark.parametrize(
    ("says", "subject"),
    [
        (IMMUTABLE, "repo:acme@11/loans@22"),
        ({"use_default": True, "use_immutable_subject": True}, "repo:acme@11/loans@22"),
        ({"use_default": True, "sub_claim_prefix": "repo:acme/loans"}, "repo:acme/loans"),
        ({"use_default": True}, "repo:acme/loans"),  # before July 2026, and on a server of yours
    ],
)
def test_the_subject_is_githubs_word(
    bootstrap: Any, monkeypatch: Any, says: Any, subject: str
) -> None:
    monkeypatch.setenv("GH_SUB", json.dumps(says))
    said = bootstrap("--dry-run")
    assert re.search(rf"Subject +{re.escape(subject)}\n", said.text)


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("https://github.com/acme/loans.git", "acme/loans"),
        ("https://github.com/acme/loans", "acme/loans"),
        ("https://x:y@github.com/Acme/lo.ans/", "Acme/lo.ans"),
        ("ssh://git@github.com/acme/loans.git", "acme/loans"),
    ],
)
def test_the_repository_is_origins(account: Any, url: str, repository: str) -> None:
    from ops.machines import github

    subprocess.run(["git", "remote", "set-url", "origin", url], check=True)
    assert github.origin() == repository


def no_gh(monkeypatch: Any) -> None:
    Path("bin/gh").unlink()
    Path("bin/git").symlink_to("/usr/bin/git")
    monkeypatch.setenv("PATH", f"{Path('bin').resolve()}")


def no_credentials(monkeypatch: Any) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(Path.cwd()))
    monkeypatch.setattr("ops.machines.bootstrap.client", CLIENTS.__wrapped__)


def own_claims(monkeypatch: Any) -> None:
    says = {"use_default": False, "include_claim_keys": ["repo", "context"]}
    monkeypatch.setenv("GH_SUB", json.dumps(says))


WRONG: dict[str, tuple[list[str], Callable[[Any], object], str]] = {
    "no gh": ([], no_gh, "gh is not on PATH"),
    "no credentials": ([], no_credentials, "no credentials of AWS"),
    "own claims": ([], own_claims, "names its tokens by repo, context"),
    "e-mail": (["--email", "no-at"], lambda _: 0, "'no-at' is no e-mail address"),
    "repository": (["--github-repository", "acme"], lambda _: 0, "must be owner/name"),
    "no origin": (
        [],
        lambda _: subprocess.run(["git", "remote", "remove", "origin"], check=True),
        "--github-repository owner/name",
    ),
    "no bucket": (
        [],
        lambda _: Path(".dvc/config").write_text("[core]\n    remote = storage\n"),
        "--bucket NAME",
    ),
    "no such subnet": (["--subnet", "subnet-0"], lambda _: 0, "name one by: --subnet"),
    "region": (["--region", "nowhere 1"], lambda _: 0, "nowhere 1"),
    "machine.yaml": ([], lambda _: Path("machine.yaml").write_text("use: aws\n"), "machine.yaml"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told(account: Any, bootstrap: Any, monkeypatch: Any, what: str) -> None:
    words, spoil, told = WRONG[what]
    with monkeypatch.context() as spoiled:
        spoil(spoiled)
        said = bootstrap(*words)
    assert said.code == 2, said.text
    assert told in said.text
    assert "Traceback" not in said.text
    assert not account("cloudformation").list_stacks()["StackSummaries"]


def test_a_variable_that_github_refuses_is_told(bootstrap: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("GH_FAILS", "1")
    said = bootstrap("--variables")
    assert said.code == 2
    assert "HTTP 403: Resource not accessible" in said.text


class Failing:
    """A CloudFormation that rolls back, as moto's never does."""

    def __init__(self) -> None:
        self.created = 0

    def describe_stacks(self, StackName: str) -> Any:
        from botocore.exceptions import ClientError

        if not self.created:
            why = {"Error": {"Code": "ValidationError", "Message": f"{StackName} does not exist"}}
            raise ClientError(why, "DescribeStacks")
        self.created += 1
        done = "ROLLBACK_COMPLETE" if self.created > 3 else "ROLLBACK_IN_PROGRESS"
        return {"Stacks": [{"StackStatus": done}]}

    def create_stack(self, **_: Any) -> None:
        self.created = 1

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, StackName: str) -> Any:
        told = [
            ("1", "Launch", "CREATE_FAILED", "Resource creation cancelled"),
            ("2", "Ci", "CREATE_FAILED", "not authorized to perform: iam:CreateRole"),
            ("3", StackName, "CREATE_IN_PROGRESS", "User Initiated"),
        ]
        names = ("EventId", "LogicalResourceId", "ResourceStatus", "ResourceStatusReason")
        return [{"StackEvents": [dict(zip(names, one, strict=True)) for one in told]}]


def test_a_stack_that_fails_says_why(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from ops.machines import stack

    monkeypatch.setattr(stack, "POLL", 0.01)
    failing = Failing()
    said = inside.stage("x", lambda: stack.deploy(failing, "loans-infra", "", {}), capsys)
    assert said.code == 2
    assert "Ci: not authorized to perform: iam:CreateRole" in said.text
    assert "Launch: " not in said.text  # which failed because of the other one
    again = inside.stage("x", lambda: stack.deploy(failing, "loans-infra", "", {}), capsys)
    assert "aws cloudformation delete-stack --stack-name loans-infra" in again.text
