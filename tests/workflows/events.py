"""The events that GitHub would send, as far as anybody looks at them."""

from typing import Any, NamedTuple

Json = dict[str, Any]


class Event(NamedTuple):
    """Its name, its payload, and the commit that its workflow is taken from and runs at."""

    name: str
    payload: Json
    ref: str
    sha: str
    base: str = ""  # the commit it is compared with, for filters by path
    fork: bool = False


def repository(repo: str) -> Json:
    owner, name = repo.split("/")
    return {
        "full_name": repo,
        "name": name,
        "owner": {"login": owner},
        "default_branch": "main",
        "html_url": f"https://github.com/{repo}",
        "private": True,
        "fork": False,
    }


def pull_request(
    repo: str,
    head: str,
    base: str,
    merge: str,
    *,
    branch: str = "feature",
    number: int = 7,
    action: str = "opened",
    labels: tuple[str, ...] = (),
    fork: bool = False,
    title: str = "A change",
    actor: str = "alice",
) -> Event:
    """A pull request from `branch`, whose commits these are, into main."""
    there = f"mallory/{repo.split('/')[1]}" if fork else repo
    head_repo = repository(there) | {"fork": fork}
    url = f"https://github.com/{repo}/pull/{number}"
    pull = {
        "number": number,
        "state": "open",
        "draft": False,
        "title": title,
        "body": "",
        "html_url": url,
        "user": {"login": there.split("/")[0] if fork else actor},
        "author_association": "NONE" if fork else "MEMBER",
        "head": {
            "ref": branch,
            "sha": head,
            "label": f"{there.split('/')[0]}:{branch}",
            "repo": head_repo,
        },
        "base": {"ref": "main", "sha": base, "label": "main", "repo": repository(repo)},
        "merge_commit_sha": merge,
        "labels": [{"name": name} for name in labels],
    }
    payload = {
        "action": action,
        "number": number,
        "pull_request": pull,
        "repository": repository(repo),
        "sender": {"login": pull["user"]["login"]},
    }
    if action == "labeled":
        payload["label"] = {"name": labels[-1]}
    return Event("pull_request", payload, f"refs/pull/{number}/merge", merge, base, fork)


def workflow_run(
    repo: str, main: str, of: Event, *, name: str, run_id: str, conclusion: str = "success"
) -> Event:
    """What a second workflow gets when the first one, started by `of`, has ended."""
    pull = of.payload.get("pull_request")
    head = pull["head"] if pull else {"ref": "main", "sha": of.sha, "repo": repository(repo)}
    run = {
        "id": int(run_id),
        "name": name,
        "event": of.name,
        "status": "completed",
        "conclusion": conclusion,
        "run_attempt": 1,
        "head_branch": head["ref"],
        "head_sha": head["sha"],
        "head_repository": head["repo"],
        "repository": repository(repo),
        # GitHub leaves this empty where the pull request comes from a fork
        "pull_requests": [] if of.fork or not pull else [{"number": pull["number"]}],
        "html_url": f"https://github.com/{repo}/actions/runs/{run_id}",
    }
    payload = {
        "action": "completed",
        "workflow_run": run,
        "workflow": {"name": name},
        "repository": repository(repo),
        "sender": {"login": "alice"},
    }
    return Event("workflow_run", payload, "refs/heads/main", main)


def dispatch(repo: str, sha: str, ref: str = "refs/heads/main", **inputs: Any) -> Event:
    """Started by hand."""
    payload = {"inputs": inputs, "ref": ref, "repository": repository(repo)}
    return Event("workflow_dispatch", payload, ref, sha)


def schedule(sha: str, cron: str) -> Event:
    """By the clock; nobody promises more of its payload than this."""
    return Event("schedule", {"schedule": cron}, "refs/heads/main", sha)


def sent(repo: str, sha: str, kind: str, payload: Json) -> Event:
    """POST dispatches, with this event_type and client_payload."""
    body = {"action": kind, "client_payload": payload, "repository": repository(repo)}
    return Event("repository_dispatch", body, "refs/heads/main", sha)


def push(repo: str, before: str, after: str, ref: str = "refs/heads/main") -> Event:
    payload = {"ref": ref, "before": before, "after": after, "repository": repository(repo)}
    return Event("push", payload, ref, after, before)
