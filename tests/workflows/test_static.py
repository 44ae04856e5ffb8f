"""The workflows as they are written, of a generated project and of the template itself.

Each rule has mutations that it must find: what would slip through otherwise is listed with it.
"""

import base64
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from shell import run

from workflows import forks, rules
from workflows import workflow as wf
from workflows.rules import RULES, Files


def files(root: Path) -> Files:
    found = sorted((root / ".github").rglob("*.y*ml"))
    return {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in found}


@pytest.fixture(scope="session")
def written(project: Path) -> Files:
    return files(project)


def test_all_workflows_are_read(written: Files) -> None:
    names = {name.rpartition("/")[2] for name in written}
    assert names >= {"ci.yml", "train.yml", "comment.yml", "reaper.yml", "dependabot.yml"}
    assert len(list(rules.scripts(written))) > 20


@pytest.mark.parametrize("rule", RULES)
def test_project(written: Files, rule: str) -> None:
    assert not list(RULES[rule](written))


@pytest.mark.parametrize("rule", RULES)
def test_template(rule: str) -> None:
    assert not list(RULES[rule](files(ROOT)))


MUTATIONS = [
    # rule, file, what, becomes
    ("pinned", "ci.yml", r"checkout@[0-9a-f]{40} # v7.0.1", "checkout@v7"),
    ("pinned", "ci.yml", r"checkout@([0-9a-f]{40}) # v7.0.1", r"checkout@\1"),
    ("pinned", "train.yml", r"setup-cml@[0-9a-f]{40}", "setup-cml@main"),
    ("pinned", "train.yml", r"  pull_request:\n", "  pull_request_target:\n"),
    ("permissions", "ci.yml", r"permissions: \{\}", "permissions: {contents: read}"),
    ("permissions", "ci.yml", r"permissions: \{\}\n", ""),
    ("permissions", "train.yml", r"(      pull-requests: write) # .*", r"\1"),
    ("permissions", "train.yml", r"read (# .*\n      id-token)", r"write \1"),
    (
        "permissions",
        "reaper.yml",
        r"    permissions:\n      contents: read.*\n    outputs",
        "    outputs",
    ),
    ("credentials", "train.yml", "persist-credentials: false", "persist-credentials: true"),
    ("credentials", "ci.yml", r"        with:\n          persist-credentials: false\n", ""),
    ("timeouts", "train.yml", r"    timeout-minutes: 60\n", ""),
    ("timeouts", "comment.yml", r"    timeout-minutes: 10\n", ""),
    ("concurrency", "ci.yml", r"(?m)^concurrency:\n(  .*\n)+", ""),
    ("concurrency", "ci.yml", "cancel-in-progress: true", "cancel-in-progress: false"),
    ("concurrency", "train.yml", r"(?m)^  cancel-in-progress: false", "  cancel-in-progress: true"),
    (
        "concurrency",
        "train.yml",
        r"      cancel-in-progress: false",
        "      cancel-in-progress: true",
    ),
    ("concurrency", "reaper.yml", "cancel-in-progress: false", "cancel-in-progress: true"),
    ("keys", "ci.yml", "role-to-assume", "aws-access-key-id"),
    ("secrets", "train.yml", "run: nvidia-smi", "run: nvidia-smi ${{ github.head_ref }}"),
    ("secrets", "train.yml", r"    environment: machines\n", ""),
    ("secrets", "train.yml", "SAMPLE: .*", "SAMPLE: ${{ secrets.CML_TOKEN }}"),
    ("secrets", "train.yml", 'DVC_NO_ANALYTICS: "1"', "T: ${{ secrets.CML_TOKEN }}"),
    ("shell", "train.yml", r"defaults:\n  run:\n    shell: bash\n", ""),
    ("shell", "comment.yml", r"    shell: bash\n", "    shell: sh\n"),
    ("failures", "train.yml", r"dvc repro --pull ;;", "dvc repro --pull || true ;;"),
    (
        "failures",
        "train.yml",
        r"run: dvc push --run-cache",
        "run: dvc push --run-cache || echo pity",
    ),
    (
        "failures",
        "train.yml",
        r"run: python -m ops gate",
        "run: echo $(python -m ops gate)",
    ),
    ("failures", "comment.yml", r"number=\$\(jq", "export number=$(jq"),
    ("failures", "ci.yml", r"run: make lint READY=", "run: if make lint; then echo fine; fi"),
    ("shellcheck", "comment.yml", r'"head=\$OWNER:\$BRANCH"', "head=$OWNER:$BRANCH"),
    ("shellcheck", "train.yml", r'case "\$SAMPLE" in', 'rm -r $SAMPLE/; case "$SAMPLE" in'),
    ("comments", "train.yml", "--publish=false ", ""),
    ("comments", "comment.yml", "--publish=false ", "--publish "),
    ("comments", "train.yml", "--watermark-title=train", ""),
    ("comments", "train.yml", "cml comment update", "cml comment create"),
    ("dependabot", "dependabot.yml", "default-days: 7", "default-days: 3"),
    ("dependabot", "dependabot.yml", "package-ecosystem: pip", "package-ecosystem: npm"),
    ("zizmor", "train.yml", "run: nvidia-smi", "run: echo ${{ github.event.pull_request.title }}"),
    ("zizmor", "comment.yml", r"# zizmor: ignore.*", ""),
    ("zizmor", "comment.yml", r"(zizmor: ignore\[dangerous-triggers\]).*", r"\1"),
    ("schemas", "train.yml", "runs-on: ubuntu-latest", "run-on: ubuntu-latest"),
    ("schemas", "ci.yml", "contents: read", "content: read"),
    ("schemas", "dependabot.yml", "interval: weekly", "interval: sometimes"),
    # the doors that keep forks out
    (
        "reachable",
        "train.yml",
        r"(?s)(  launch:.*?) &&\n      \(github.*?github.repository\)",
        r"\1",
    ),
    (
        "reachable",
        "train.yml",
        r"(?s)(  train:.*?) &&\n      \(github.*?github.repository\)",
        r"\1",
    ),
    (
        "reachable",
        "train.yml",
        r"full_name == github.repository\)",
        "full_name != github.repository)",
    ),
    ("reachable", "train.yml", r"(github.event_name != 'pull_request') \|\|", r"\1 || true ||"),
    ("reachable", "ci.yml", r"(?s)(  data:.*?)    if: >-\n.*?repository\n", r"\1"),
    ("reachable", "ci.yml", r"(?s)full_name == github.repository\n", "full_name != 'nobody'\n"),
    ("reachable", "train.yml", r"(  fork:\n)", r"\1    environment: machines\n"),
    (
        "reachable",
        "train.yml",
        r"(?s)(  fork:.*?contents: read[^\n]*\n)",
        r"\1      id-token: write # why not\n",
    ),
    (
        "reachable",
        "train.yml",
        r"(?s)(  fork:.*?)runs-on: ubuntu-latest",
        r"\1runs-on: self-hosted",
    ),
    (
        "reachable",
        "train.yml",
        r"(?s)(  fork:.*?SAMPLE: )[^\n]*",
        r"\1${{ secrets.CML_TOKEN }}",
    ),
    ("reachable", "train.yml", 'DVC_NO_ANALYTICS: "1"', "T: ${{ secrets.CML_TOKEN }}"),
    (
        "reachable",
        "comment.yml",
        r"      - name: Only so much",
        "      - run: dvc pull\n      - name: Only so much",
    ),
    (
        "reachable",
        "comment.yml",
        r"      - name: Only so much",
        "      - uses: actions/checkout@v7\n      - name: Only",
    ),
    ("reachable", "comment.yml", "actions: read", "id-token: write"),
    (
        "reachable",
        "train.yml",
        r"(?s)(  fork:.*?)run: python -m ops gate",
        r"\1run: python -m ops machine launch",
    ),
]


@pytest.mark.parametrize(("rule", "name", "what", "becomes"), MUTATIONS)
def test_mutations(written: Files, rule: str, name: str, what: str, becomes: str) -> None:
    path = next(path for path in written if path.endswith(f"/{name}"))
    text, count = re.subn(what, becomes, written[path], count=1)
    assert count, f"{name}: nothing matches {what}"
    assert list(RULES[rule](written | {path: text})), f"{rule} has not seen it"


def test_without_pipefail_a_failure_is_hidden(written: Files) -> None:
    """GitHub's shell where a workflow names none; act would not show it."""
    found = list(rules.failures(written, ["bash", "-e"]))
    assert any("dvc may fail unseen" in one for one in found)


@pytest.mark.parametrize(
    ("condition", "known", "value"),
    [
        ("a == 'b' && c", {("a", "'b'"): False}, False),
        ("a == 'b' || c", {("a", "'b'"): True}, True),
        ("a == 'b' || c", {("a", "'b'"): False}, None),
        ("!(a == 'b') && true", {("a", "'b'"): False}, True),
        ("'b' != a", {("a", "'b'"): True}, False),
        ("${{ !cancelled() && a == 'b' }}", {("a", "'b'"): True}, None),
        ("contains(x, 'y') && false", {}, False),
    ],
)
def test_conditions(condition: str, known: Any, value: bool | None) -> None:
    assert forks.Condition(condition, known).value() is value


def test_what_a_fork_reaches(written: Files) -> None:
    """Not nothing: it is trained, by the job that is made for it."""
    workflow = wf.read(written[".github/workflows/train.yml"])
    reached = forks.reach(workflow, "pull_request")
    assert {job for job, can in reached.items() if can} == {"machine", "fork"}


VARIABLES = {
    "AWS_SECURITY_GROUP": "sg-0123456789abcdef0",
    "AWS_SUBNET": "subnet-0123456789abcdef0",
    "AWS_INSTANCE_PROFILE": "arn:aws:iam::123456789012:instance-profile/runner",
    "GCP_PROJECT": "acme-models",
    "AZURE_TENANT_ID": "00000000-0000-4000-8000-000000000002",
    "AZURE_SUBSCRIPTION_ID": "00000000-0000-4000-8000-000000000003",
    "GITHUB_RUN_ID": "42",
}


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_a_hired_machine_ends(project: Path, copy_of: Any, cloud: str) -> None:
    """What is asked of CML, by `python -m ops machine launch --dry-run`."""
    there = copy_of(project)
    path = there / "machine.yaml"
    text = re.sub(r'(?m)^use: "?[\w-]+"?', f"use: {cloud}", path.read_text())
    path.write_text(text)
    launch = [sys.executable, "-m", "ops", "machine", "launch", "--dry-run"]
    said = run(*launch, cwd=there, env=VARIABLES)
    words = shlex.split(said.partition("\n# its startup")[0].replace("\\\n", " "))
    flags = [word[2:].partition("=")[::2] for word in words if word.startswith("--")]
    order = {name: value for name, value in flags if name != "cloud-metadata"}
    tags = dict(value.split("=", 1) for name, value in flags if name == "cloud-metadata")
    assert {"single", "no-retry", "idle-timeout", "cloud-image", "cloud-startup-script"} <= set(
        order
    )
    assert order["no-retry"] == "true"  # CML 0.20.6 takes it in no other way
    assert 0 < int(order["idle-timeout"]) <= 300
    assert re.fullmatch(r"= \d+\.\d+\.\d+", order["tpi-version"])
    assert tags["run"] == "42"
    assert int(tags["expires"]) > 1_700_000_000
    assert "project" in tags
    if cloud == "aws":
        assert order["cloud-aws-security-group"] == VARIABLES["AWS_SECURITY_GROUP"]
        assert order["cloud-aws-subnet"] == VARIABLES["AWS_SUBNET"]
    script = base64.b64decode(order["cloud-startup-script"]).decode()
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    (minutes,) = re.findall(r"shutdown -P \+(\d+)", script)
    (job,) = re.findall(r"(?m)^timeout_minutes: (\d+)", text)
    assert int(job) < int(minutes) <= int(job) + 15
