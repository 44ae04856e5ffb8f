"""Which jobs a pull request from a fork can reach, and what they hold.

The conditions are worked out with what is known of such an event; what is not known (an output, a
label) may be either, so a job is out of reach only where its condition is false whatever it is.
"""

import re
from collections.abc import Iterator
from typing import Any

from workflows import workflow as wf

Json = dict[str, Any]
# Left and right side as they are written, with ==; != is its opposite.
KNOWN = {
    "pull_request": {
        ("github.event_name", "'pull_request'"): True,
        ("github.event_name", "'push'"): False,
        ("github.event_name", "'schedule'"): False,
        ("github.event_name", "'workflow_dispatch'"): False,
        ("github.event.pull_request.head.repo.full_name", "github.repository"): False,
        ("github.event.pull_request.head.repo.fork", "true"): True,
    },
    "workflow_run": {
        ("github.event_name", "'workflow_run'"): True,
        ("github.event_name", "'pull_request'"): False,
        ("github.event.workflow_run.event", "'pull_request'"): True,
        ("github.event.workflow_run.head_repository.full_name", "github.repository"): False,
    },
}
TOKEN = re.compile(r"\s*(&&|\|\||==|!=|!|\(|\)|'(?:[^']|'')*'|[\w.*-]+(?:\([^()]*\))?)")
Maybe = bool | None  # None: may be either


class Condition:
    """An expression of GitHub's, worked out with three values."""

    def __init__(self, text: str, known: dict[tuple[str, str], bool]) -> None:
        text = re.sub(r"^\s*\$\{\{(.*)\}\}\s*$", r"\1", text, flags=re.S)
        self.words = TOKEN.findall(text)
        assert re.sub(r"\s", "", "".join(self.words)) == re.sub(r"\s", "", text), (
            f"cannot read: {text}"
        )
        self.known = known

    def value(self) -> Maybe:
        found = self.either()
        assert not self.words, f"cannot read from: {self.words}"
        return found

    def either(self) -> Maybe:
        found = self.both()
        while self.words[:1] == ["||"]:
            self.words.pop(0)
            other = self.both()
            found = True if True in (found, other) else None if None in (found, other) else False
        return found

    def both(self) -> Maybe:
        found = self.single()
        while self.words[:1] == ["&&"]:
            self.words.pop(0)
            other = self.single()
            found = False if False in (found, other) else None if None in (found, other) else True
        return found

    def single(self) -> Maybe:
        word = self.words.pop(0)
        if word == "!":
            found = self.single()
            return None if found is None else not found
        if word == "(":
            found = self.either()
            assert self.words.pop(0) == ")"
            return found
        if self.words[:1] in (["=="], ["!="]):
            equal = self.words.pop(0) == "=="
            right = self.words.pop(0)
            found = self.known.get((word, right), self.known.get((right, word)))
            return None if found is None else found == equal
        constants = {"true": True, "false": False, "always()": True, "cancelled()": None}
        return constants.get(word)


def reach(workflow: Json, event: str) -> dict[str, bool]:
    """{job: whether it can come to run}."""
    found: dict[str, bool] = {}
    waiting = dict(workflow["jobs"])
    while waiting:
        ready = [job for job, body in waiting.items() if not set(wf.needs(body)) & set(waiting)]
        assert ready, f"jobs that wait for each other: {list(waiting)}"
        for job in ready:
            body = waiting.pop(job)
            known = dict(KNOWN[event])
            for other in wf.needs(body):
                if not found[other]:
                    for state in ("success", "failure", "cancelled", "skipped"):
                        known[f"needs.{other}.result", f"'{state}'"] = state == "skipped"
            condition = str(body.get("if", "true"))
            regardless = re.search(r"\b(always|cancelled|failure)\(\)", condition)
            runs = regardless or all(found[other] for other in wf.needs(body))
            found[job] = bool(runs) and Condition(condition, known).value() is not False
    return found


def findings(workflow: Json) -> Iterator[str]:
    """What a fork could lay its hands on."""
    for event in KNOWN:
        if event not in wf.triggers(workflow):
            continue
        for job, reached in reach(workflow, event).items():
            if reached:
                yield from (
                    f"{event} from a fork: {job} {what}"
                    for what in holds(workflow, workflow["jobs"][job], event)
                )


def holds(workflow: Json, job: Json, event: str) -> Iterator[str]:
    text = " ".join([*wf.strings(job), *wf.strings(workflow.get("env", {}))])
    used = set(re.findall(r"secrets\.(\w+)", text)) - {"GITHUB_TOKEN"}
    if used or job.get("secrets"):
        yield f"has secrets: {sorted(used) or job['secrets']}"
    if wf.environment(job):
        yield f"is in the environment {wf.environment(job)}"
    if wf.permissions(workflow, job).get("id-token") == "write":
        yield "may ask for an OIDC token"
    labels = wf.labels(job)
    if labels is None or not all(wf.HOSTED.fullmatch(label) for label in labels):
        yield f"runs on {job.get('runs-on')}, which may be a machine of ours"
    if re.search(r"cml runner|ops machine (launch|reap)", text):
        yield "hires or ends machines"
    if event == "workflow_run":  # it has a token that may write, so it must run main's code only
        if re.search(r"actions/checkout@|gh pr checkout|git (clone|fetch)", text):
            yield "checks out code"
        if re.search(r"\b(python|dvc|make|bash|sh|source) ", text):
            yield "runs more than it must"
