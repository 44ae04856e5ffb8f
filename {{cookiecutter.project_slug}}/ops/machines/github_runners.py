"""Runners of machines that are gone, which GitHub still lists as offline."""

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from typing import Any

from core.errors import Problem
from ops.machines.lifetime import Resource

OURS = re.compile(r"run-(\d+)-\d+")  # beside `cml`, the label of a hired machine


def offline(repository: str, ours: str) -> Iterator[Resource]:
    """The repository's offline runners that a workflow run of ours has hired."""
    page = 0
    while True:
        page += 1
        some = _api("GET", f"{repository}/actions/runners?per_page=100&page={page}")["runners"]
        for one in some:
            labels = {label["name"] for label in one["labels"]}
            run = next(filter(None, map(OURS.fullmatch, sorted(labels))), None)
            if run and "cml" in labels and one["status"] == "offline" and not one.get("busy"):
                end = partial(_api, "DELETE", f"{repository}/actions/runners/{one['id']}")
                yield Resource("runner", one["name"], ours, run[1], "0", 0.0, "offline", end)
        if len(some) < 100:
            return


def _api(method: str, path: str) -> Any:
    """Ask GitHub's REST API; the token comes from the environment and goes nowhere else."""
    token = os.environ.get("REPO_TOKEN")
    if not token:
        raise Problem("runners: REPO_TOKEN is not set: a token that may administer the repository")
    root = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    request = urllib.request.Request(f"{root}/repos/{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        hint = " (the token needs Administration: write)" if error.code in (401, 403, 404) else ""
        raise Problem(f"runners: GitHub answered {error.code} {error.reason}{hint}") from None
    except (OSError, ValueError) as error:
        raise Problem(f"runners: {root}: {error}") from None
