"""Make this commit a version: nothing is tagged that others could not verify, fetch and repeat."""

import json
import subprocess
from pathlib import Path
from typing import Any

from core.errors import Problem, Refused
from core.files import github_output, lock
from core.git import git
from core.paths import BASELINE, CARD, LOCK, MODEL
from ops import tags
from ops.checkout import Checkout, checkout, main_branch
from ops.dvc_lock import check_outputs, outputs, raw_data, read_lock, stale
from ops.gates import gate
from ops.registry import lineage, model_card, verify
from ops.snapshot import Snapshot, changes
from ops.tags import ARTIFACT, Version
from pipeline import dataset

BUMPS = ("patch", "minor", "major")
FIRST = "v1.0.0"


@lock()
def register(bump: str, push: bool, as_json: bool = False) -> None:
    """Tag this commit as a version, if its model is fit to be one.

    Raises `Refused` (exit 1) where the gates or its own record refuse it, else `Problem` (2).
    """
    answer = _register(bump, push)
    if as_json:
        print(json.dumps(answer))
    else:
        print("\n".join(filter(None, (answer["message"], answer["note"]))))
    if answer["version"]:
        github_output(version=answer["version"])


def _register(bump: str, push: bool) -> dict[str, Any]:
    """{version, commit, new, message, note}; no version where there is nothing to register."""
    known, sha = tags.known(push), git("rev-parse", "HEAD")
    answer = {"version": None, "commit": sha, "new": False, "note": ""}
    if there := known.at(sha):
        note = tags.publish(there.tag, push, new=False)
        message = f"this commit is {there.tag} already"
        return answer | {"version": there.name, "message": message, "note": note}
    _clean()
    last = known.versions[-1] if known.versions else None
    if last and bump == "auto" and _same(last):
        return answer | {"message": f"the model here is that of {last.tag}: nothing to register"}
    _up_to_date()
    base = checkout("HEAD", exact=True, fresh=True)
    name, why = _next(last, base, bump)
    record = lineage.record(name, base, None)
    if other := model_card.stale(Path(CARD).read_text("utf-8"), record):
        raise Problem(
            f"{CARD} was not written of this {', '.join(other)}; "
            f"ml card && git commit -m 'Model card' {CARD}"
        )
    tag = f"{ARTIFACT}@{name}"
    verify.refuse(tag, verify.verify(record, sha))
    if push:
        _on_main(sha)
        _stored()
    verdict = gate.judge()
    if refused := [one["about"] for one in verdict["gates"] if not one["passed"]]:
        raise Refused(f"the gates refuse this model: {'; '.join(refused)}; `ml gate` shows it")
    compared = verdict["baseline"]["name"]
    record = record.model_copy(update={"baseline": compared})
    tags.put(tag, sha, record.message(why), known.last)
    note = tags.publish(tag, push)
    message = f"{tag} is registered: {why}; compared with {compared or 'nothing'}"
    return answer | {"version": name, "new": True, "message": message, "note": note}


def _clean() -> None:
    """All that stands in this folder is in the commit that is to be tagged."""
    changed = git("status", "--porcelain", "--", ".").splitlines()
    if changed:
        names = ", ".join(line[2:].strip() for line in changed[:3])
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise Problem(f"not committed: {names}{more}; git add and git commit, or git restore")
    if not Path(LOCK).exists():
        raise Problem(f"no {LOCK}: the pipeline has not run; dvc repro, then commit")
    if not Path(CARD).exists():
        raise Problem(f"no {CARD}; ml card && git add {CARD} && git commit")


def _same(last: Version) -> bool:
    """Whether data and model are those of the last version."""
    before, here = read_lock(_at(last)), read_lock()
    name = str(MODEL)
    same = outputs(before).get(name) == outputs(here).get(name)
    return same and raw_data(before) == raw_data(here)


def _at(version: Version) -> Path:
    return checkout(version.tag, exact=True).folder


def _up_to_date() -> None:
    """The files here are those of dvc.lock, and dvc.lock is of this code and these settings."""
    try:
        check_outputs(MODEL, BASELINE, dataset.path("test"))
        why = list(stale())
    except Problem as problem:
        raise Problem(f"{problem}; or ask ml doctor") from None
    if why:
        raise Problem(f"{why[0]}; dvc repro, then commit {LOCK}")


def _next(last: Version | None, base: Checkout, bump: str) -> tuple[str, str]:
    """The name of the next version and why: patch if only the data has changed, else minor."""
    if not last:
        return FIRST, "the first version"
    changed = _changed(Snapshot(_at(last)), Snapshot(base.folder))
    kind = bump if bump in BUMPS else "minor" if changed else "patch"
    at = BUMPS[::-1].index(kind)
    number = [n if i < at else 0 for i, n in enumerate(last.number)]
    number[at] = last.number[at] + 1
    why = f"{' and '.join(changed)} changed" if changed else "only the data changed"
    return "v" + ".".join(map(str, number)), f"{why} since {last.name}"


def _changed(before: Snapshot, after: Snapshot) -> list[str]:
    """Which of code, parameters and packages are not the same; where the data lies is data."""
    kinds = []
    if _code(before) != _code(after):
        kinds.append("code")
    params = [
        one
        for one in changes(before.yaml("params.yaml"), after.yaml("params.yaml"))
        if one.name != "data.path"
    ]
    settings = [
        name
        for name in ("schema.yaml", "gates.yaml", "dvc.yaml")
        if changes(before.yaml(name), after.yaml(name))
    ]
    kinds += ["parameters"] if params else []
    kinds += settings
    if before.bytes("requirements.txt") != after.bytes("requirements.txt"):
        kinds.append("packages")
    return kinds


def _code(side: Snapshot) -> dict[str, Any]:
    """{file: md5} of the code that the stages ran."""
    deps = [dep for one in side.lock.values() for dep in one.get("deps", ())]
    return {dep["path"]: dep["md5"] for dep in deps if str(dep["path"]).endswith(".py")}


def _on_main(sha: str) -> None:
    main = f"{tags.ORIGIN}/main"
    if main_branch() != main:
        return
    inside = subprocess.run(["git", "merge-base", "--is-ancestor", sha, main])
    if inside.returncode:
        raise Problem(f"this commit is not on {main}: merge it first, git push {tags.ORIGIN}")


def _stored() -> None:
    """Others can have the model and its data."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(".") as repo:
            status: dict[str, str] = repo.status(cloud=True)
    except (DvcException, OSError) as error:
        raise Problem(f"the storage: {' '.join(str(error).split())[:200]}; ml doctor") from None
    lost = [path for path, state in status.items() if state in ("new", "missing")]
    if lost:
        raise Problem(f"not in the storage: {', '.join(lost[:3])}; dvc push")
