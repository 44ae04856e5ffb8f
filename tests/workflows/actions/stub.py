"""What the stand-ins for actions share: inputs, outputs, and how a runner is told things.

Each action of ours is a composite action with one step that runs its `run.py`. It does what the
real one does as far as a workflow can tell, without a network, and refuses what the real one would.
"""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

INPUTS: dict[str, str] = {k: v or "" for k, v in json.loads(os.environ.get("INPUTS", "{}")).items()}
WORKSPACE = Path(os.environ.get("GITHUB_WORKSPACE", "."))
HUB = os.environ.get("STAND_IN_GITHUB", "")


def fail(message: str) -> NoReturn:
    print(f"::error::{message}")
    raise SystemExit(1)


def need(name: str) -> str:
    """An input that must not be empty."""
    return INPUTS.get(name) or fail(f"Input required and not supplied: {name}")


def yes(name: str) -> bool:
    return INPUTS.get(name, "").lower() == "true"


def tell(file: str, line: str) -> None:
    with Path(os.environ[file]).open("a") as out:
        out.write(line + "\n")


def output(name: str, value: str) -> None:
    tell("GITHUB_OUTPUT", f"{name}={value}")


def export(name: str, value: str, secret: bool = False) -> None:
    """An environment variable for the steps that follow."""
    if secret:
        print(f"::add-mask::{value}")
    tell("GITHUB_ENV", f"{name}={value}")


def add_path(folder: str | Path) -> None:
    tell("GITHUB_PATH", str(folder))


def fetch(url: str, token: str = "", data: bytes | None = None) -> str:
    """The answer's text; this machine's own servers only, so by no proxy."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, data=data, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as error:
        fail(f"{url.partition('?')[0]}: {error.code} {error.read().decode()[:300]}")


def identity(audience: str) -> str:
    """An OIDC token, which only a job with `id-token: write` gets."""
    url, token = (
        os.environ.get(f"ACTIONS_ID_TOKEN_REQUEST_{name}", "") for name in ("URL", "TOKEN")
    )
    if not url or not token:
        fail(
            "It looks like you might be trying to authenticate with OIDC. Did you mean to set "
            "the `id-token` permission? Credentials could not be loaded"
        )
    value: str = json.loads(fetch(f"{url}&audience={audience}", token))["value"]
    print(f"::add-mask::{value}")
    return value


def repository(token: str, path: str = "/contents") -> Any:
    """Ask GitHub's stand-in, as the token's owner."""
    repo = INPUTS.get("repository") or os.environ["GITHUB_REPOSITORY"]
    return json.loads(fetch(f"{HUB}/repos/{repo}{path}", token))
