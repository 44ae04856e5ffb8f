"""release.yml, run for real: what is registered, what gets into production, and what does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shell import dvc

from workflows import events, origin
from workflows import workflow as wf
from workflows.act import Hub
from workflows.conftest import keep_cache, verb
from workflows.edits import REFUSED, docs
from workflows.events import Event
from workflows.test_pull_request import cut, nothing_leaked
from workflows.test_retrain import by_hand, pushed

RELEASE = "release.yml"
YES = {"staging": "success", "production": "success"}
NOTHING = YES | {"production": "skipped"}
FAILED = {"staging": "failure", "production": "skipped"}
HALF = YES | {"production": "failure"}
FIRST = {"model@v1.0.0", "model#staging#1", "model#production#2"}
SECOND = FIRST | {"model@v1.1.0", "model#staging#3", "model#production#4"}
# The tags of ops/registry/registry.py, of whatever they name
REGISTRY = """#!/bin/bash
set -euo pipefail
case $1 in
  register) tag=model@v9.0.0; echo version=v9.0.0 >> "$GITHUB_OUTPUT" ;;
  promote) [ "$2" = v9.0.0 ]; tag="model#$3#9" ;;
esac
git tag -a -m "$*" "$tag"
git push --quiet origin "$tag"
"""
Change = Callable[[str], str]


def merged(hub: Hub, branch: str = "better") -> Event:
    """The branch is merged into main; the push that comes of it."""
    before = hub.git("rev-parse", "main")
    hub.git("update-ref", "refs/heads/main", branch)
    return events.push(hub.repo, before, hub.git("rev-parse", "main"))


def tags(hub: Hub) -> set[str]:
    """What stands in the registry at origin."""
    return set(hub.git("tag").splitlines())


def quick(hub: Hub, mutation: Change, registry: str = REGISTRY) -> Change:
    """The mutation, and tags as the registry makes them, in no time: no model is fetched."""
    hub.programs = {"registry": registry}
    names = cut("python -m ops registry", "registry")
    return lambda text: names(cut("dvc pull", "true")(mutation(text)))


def test_a_merged_model_is_registered_and_goes_to_production(released: Hub) -> None:
    result = released.run(RELEASE, merged(released)).ended(0, YES)
    assert "model@v1.1.0 is registered: parameters changed since v1.0.0" in result.log("staging")
    assert "model@v1.1.0 is in staging" in result.log("staging")
    assert "model@v1.1.0 is in production" in result.log("production")
    assert tags(released) == SECOND
    main = released.git("rev-parse", "main")
    assert {released.git("rev-parse", f"{tag}^{{}}") for tag in SECOND - FIRST} == {main}
    pushes = [one.who for one in released.github.asked("POST", "write /git-receive-pack")]
    assert pushes == ["staging", "staging", "production"]
    assert [one["sub"].rpartition(f"{released.repo}:")[2] for one in released.github.issued] == [
        "ref:refs/heads/main",
        "environment:production",
    ]
    nothing_leaked(released, result)

    # Once more, by hand: it is all there.
    again = released.run(RELEASE, by_hand(released)).ended(0, YES)
    assert "this commit is model@v1.1.0 already" in again.log("staging")
    assert "model@v1.1.0 is in production already" in again.log("production")
    assert tags(released) == SECOND


def test_the_same_model_again_ends_quietly(released: Hub) -> None:
    event = pushed(released, lambda project: append(project / "dvc.lock"))
    result = released.run(RELEASE, event).ended(0, NOTHING)
    assert "the model here is that of model@v1.0.0: nothing to register" in result.log("staging")
    assert tags(released) == FIRST


def append(file: Path) -> None:
    with file.open("a") as opened:
        opened.write("# seen\n")


def test_only_a_new_lock_on_main_starts_it(released: Hub) -> None:
    event = pushed(released, docs)
    assert released.run(RELEASE, event).jobs == {}
    text = released.git("show", f"main:.github/workflows/{RELEASE}")
    for pattern, starts in (("    paths: .*\n", True), ("$", False)):
        mutated = wf.read(cut(pattern)(text))
        assert wf.starts(mutated, "push", event.payload, event.ref, ["README.md"]) is starts
    ref = "refs/heads/better"
    for pattern, starts in ((r"    branches: \[main\]\n", True), ("$", False)):
        mutated = wf.read(cut(pattern)(text))
        assert wf.starts(mutated, "push", {}, ref, ["dvc.lock"]) is starts


def test_what_the_gates_refuse_is_not_registered(released: Hub, released_once: Path) -> None:
    """Somebody has merged a red pull request: so is this, and says why."""

    def strict(project: Path) -> None:
        (project / ".dvc/cache").symlink_to(released_once / ".dvc/cache")
        dvc("checkout", "-q", cwd=project)
        REFUSED(project)
        verb(project, "card")

    origin.commit(released, strict, "better")
    result = released.run(RELEASE, merged(released)).ended(1, FAILED)
    assert "the gates refuse this model: roc_auc" in result.log("staging", "register")
    assert tags(released) == FIRST


def test_without_a_bucket_it_is_made_again(fit: Hub) -> None:
    """Nothing is left of the training: the same model comes of it."""
    result = fit.run(RELEASE, by_hand(fit)).ended(0, YES)
    assert "Running stage 'train'" in result.log("staging")
    assert "Running stage" not in result.log("production")
    assert "model@v1.0.0 is registered: the first version" in result.log("staging")
    assert tags(fit) == FIRST


@pytest.mark.parametrize(
    ("mutation", "says"),
    [
        (cut("git restore .*", "true"), "not committed: metrics/cost.json"),
        (cut("--staged --worktree ", ""), "not committed: metrics/cost.json"),
        (cut("dvc push .*", "true"), "not in the storage: "),
        (cut("dvc checkout .*", "true"), "model.safetensors is not here"),
    ],
    ids=["not restored", "staged", "not pushed", "not checked out"],
)
def test_mutations_without_a_bucket(fit: Hub, fit_once: Path, mutation: Any, says: str) -> None:
    keep_cache(fit, fit_once)
    made = cut("dvc repro", "echo >> metrics/cost.json; git add metrics")  # as DVC stages it
    result = fit.run(RELEASE, by_hand(fit), change=lambda text: mutation(made(text)))
    result.ended(1, FAILED)
    assert says in result.log("staging", "register")


@pytest.mark.parametrize(
    ("mutation", "says"),
    [
        (cut("fetch-depth: 0", "fetch-depth: 1"), "this clone is shallow"),
        (cut("run: dvc pull", "run: 'true'"), "model.safetensors is not here; dvc pull"),
    ],
    ids=["shallow", "not pulled"],
)
def test_mutations_of_what_is_registered(released: Hub, mutation: Any, says: str) -> None:
    result = released.run(RELEASE, merged(released), change=mutation)
    result.ended(1, FAILED)
    assert says in result.log("staging", "register")


def first(pattern: str, new: str = "") -> Change:
    """Mutate the first place that matches."""
    return cut(rf"(?s){pattern}(.*)", rf"{new}\1")


@pytest.mark.parametrize(
    ("mutation", "jobs", "says"),
    [
        (cut("$"), YES, ""),
        (cut("contents: write # to push the tags", "contents: read"), FAILED, "403"),
        (cut("contents: write # to push the tag\n", "contents: read\n"), HALF, "403"),
        (cut("GIT_CONFIG_KEY_0: .*", "GIT_CONFIG_KEY_0: a.b"), FAILED, "could not read"),
        (cut("TOKEN: .*", "TOKEN: ''"), FAILED, "Authentication failed"),
        (first("id-token: write", "id-token: none"), FAILED, "id-token"),
        (cut("    outputs:\n      version: .*\n"), NOTHING, ""),
        (cut(r"promote \"\$VERSION\" staging", "promote v1.0.0 staging"), FAILED, ""),
    ],
)
def test_mutations(released: Hub, mutation: Any, jobs: Any, says: str) -> None:
    """All but the first, which changes nothing, end otherwise than the tests above want it."""
    result = released.run(RELEASE, merged(released), change=quick(released, mutation))
    result.ended(any("failure" in one for one in jobs.values()), jobs)
    assert says in str(result)


@pytest.mark.parametrize(
    ("mutation", "jobs"),
    [
        (cut("$"), NOTHING),
        (cut("    if: needs.staging.outputs.version != ''\n"), HALF),
        (cut("        if: steps.register.outputs.version != ''.*\n"), FAILED),
    ],
    ids=["as it is", "production", "staging"],
)
def test_mutations_where_nothing_is_registered(released: Hub, mutation: Any, jobs: Any) -> None:
    silent = REGISTRY.replace("register) ", "register) exit ;;\n  never) ")
    change = quick(released, mutation, silent)
    result = released.run(RELEASE, merged(released), change=change)
    result.ended(jobs != NOTHING, jobs)
    assert tags(released) == FIRST


def test_mutation_production_without_its_environment(released: Hub) -> None:
    """Nobody would be asked, and the role is had all the same: in the name of main."""
    change = quick(released, cut("    environment: production\n"))
    released.run(RELEASE, merged(released), change=change).ended(0, YES)
    assert released.github.issued[-1]["sub"].endswith(":ref:refs/heads/main")
