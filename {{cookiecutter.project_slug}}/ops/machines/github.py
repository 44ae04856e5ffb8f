"""What only GitHub knows of the repository, asked for by `gh`; and variables that it gets."""

import re
import subprocess

from core.errors import Problem
from ops.machines.lifetime import REPOSITORY, run_json


def origin() -> str:
    """owner/name of the remote `origin`."""
    command = ["git", "remote", "get-url", "origin"]
    done = subprocess.run(command, capture_output=True, text=True)
    match = re.fullmatch(r".*?[/:]([^/:]+/[^/]+?)(\.git)?/?", done.stdout.strip())
    if done.returncode or not match or not REPOSITORY.fullmatch(match[1]):
        raise Problem("no remote `origin` on GitHub; name it by: --github-repository owner/name")
    return match[1]


def subject(repository: str) -> str:
    """How the tokens of the repository's jobs begin: `repo:owner/name`, or with numbers.

    Repositories made since July 2026, and those that chose to, are named by numbers too, which
    nobody can take over: repo:owner@1/name@2. A role that trusts the other form refuses them.
    """
    try:
        settings = run_json("gh", "api", f"repos/{repository}/actions/oidc/customization/sub")
    except Problem as problem:
        raise Problem(f"{problem}\nor say how its tokens are named: --subject repo:…") from None
    if not settings.get("use_default", True):
        keys = ", ".join(settings.get("include_claim_keys") or ["something else"])
        raise Problem(
            f"{repository} names its tokens by {keys}, and no longer by branch and environment; "
            f"back to that: gh api -X PUT repos/{repository}/actions/oidc/customization/sub "
            "-F use_default=true",
        )
    if settings.get("use_immutable_subject") and not settings.get("sub_claim_prefix"):
        about = run_json("gh", "api", f"repos/{repository}")
        name = repository.partition("/")[2]
        return f"repo:{about['owner']['login']}@{about['owner']['id']}/{name}@{about['id']}"
    return str(settings.get("sub_claim_prefix") or f"repo:{repository}")


def commands(repository: str, outputs: dict[str, str]) -> list[list[str]]:
    """The commands that tell GitHub a stack's outputs: AwsRole becomes the variable AWS_ROLE."""
    names = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).upper(): key for key in outputs}
    return [
        ["gh", "variable", "set", name, "--repo", repository, "--body", outputs[key]]
        for name, key in sorted(names.items())
    ]
