"""Make this commit a version: nothing is tagged that others could not verify, fetch and repeat."""

import logging
import os
import subprocess
from pathlib import Path
from typing import Any

from pipeline import base, card, gate, model, prepared
from pipeline.errors import Problem
from pipeline.releases import lineage, verify, versions
from pipeline.releases.versions import ARTIFACT, Version
from pipeline.reporting.compare import Side, changes

BUMPS = ("patch", "minor", "major")
FIRST = "v1.0.0"


def register(bump: str, push: bool) -> None:
    """Tag this commit as a version, if its model is fit to be one."""
    known, sha = versions.known(push), base.git("rev-parse", "HEAD")
    if there := known.at(sha):
        print(f"this commit is {there.tag} already")
        versions.publish(there.tag, push, new=False)
        _tell(there.name)
        return
    _clean()
    last = known.versions[-1] if known.versions else None
    if last and bump == "auto" and _same(last):
        print(f"the model here is that of {last.tag}: nothing to register")
        return
    _in_step()
    laid = lineage.lay("HEAD")
    name, why = _next(last, laid, bump)
    record = lineage.record(name, laid, None)
    if other := card.stale(Path(lineage.CARD).read_text("utf-8"), record):
        raise Problem(
            f"{lineage.CARD} was not written of this {', '.join(other)}; "
            f"python -m pipeline.card && git commit -m 'Model card' {lineage.CARD}"
        )
    tag = f"{ARTIFACT}@{name}"
    verify.refuse(tag, verify.verify(record, sha))
    if push:
        _on_main(sha)
        _stored()
    verdict = gate.judge()
    if refused := [one["about"] for one in verdict["gates"] if not one["passed"]]:
        raise Problem(
            f"the gates refuse this model: {'; '.join(refused)}; `python -m pipeline.gate` shows it"
        )
    compared = verdict["baseline"]["name"]
    record = record.model_copy(update={"baseline": compared})
    versions.put(tag, sha, record.message(why), known.last)
    versions.publish(tag, push)
    print(f"{tag} is registered: {why}; compared with {compared or 'nothing'}")
    _tell(name)


def _tell(name: str) -> None:
    """Let the workflow know which version this commit is."""
    if output := os.environ.get("GITHUB_OUTPUT"):
        with open(output, "a", encoding="utf-8") as file:
            file.write(f"version={name}\n")


def _clean() -> None:
    """All that stands in this folder is in the commit that is to be tagged."""
    changed = base.git("status", "--porcelain", "--", ".").splitlines()
    if changed:
        names = ", ".join(line[2:].strip() for line in changed[:3])
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise Problem(f"not committed: {names}{more}; git add and git commit, or git restore")
    if not Path(base.LOCK).exists():
        raise Problem(f"no {base.LOCK}: the pipeline has not run; dvc repro, then commit")
    if not Path(lineage.CARD).exists():
        raise Problem(
            f"no {lineage.CARD}; python -m pipeline.card && git add {lineage.CARD} && git commit"
        )


def _same(last: Version) -> bool:
    """Whether data and model are those of the last version."""
    before, here = lineage.lock(_at(last)), lineage.lock()
    name = str(model.MODEL)
    same = lineage.outputs(before).get(name) == lineage.outputs(here).get(name)
    return same and lineage.data(before) == lineage.data(here)


def _at(version: Version) -> Path:
    return base.lay(version.tag, exact=True).folder


def _in_step() -> None:
    """What lies here is what dvc.lock says, and dvc.lock is of this code and these settings."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    from pipeline.checking import lock
    from pipeline.checking.git import Git

    logging.disable(logging.ERROR)  # DVC's own words about what is told here
    try:
        with Repo(".") as repo:
            notes = [note for note in lock.step(repo, Git()) if note.level == "FAIL"]
    except DvcException as error:
        raise Problem(f"{' '.join(str(error).split())[:200]}; make doctor", 2) from None
    finally:
        logging.disable(logging.NOTSET)
    if notes:
        raise Problem(f"{notes[0].says}; {notes[0].mend}, then commit {base.LOCK}")
    locked = base.locked()
    for path in (model.MODEL, model.BASELINE, prepared.path("test")):
        if base.md5(path) is None:
            raise Problem(f"{path} is not here; dvc pull")
        if base.md5(path) != locked.get(str(path)):
            raise Problem(f"{path} is not the one that {base.LOCK} names; dvc checkout -f {path}")


def _next(last: Version | None, laid: base.Base, bump: str) -> tuple[str, str]:
    """The name of the next version and why: patch if only the data has changed, else minor."""
    if not last:
        return FIRST, "the first version"
    changed = _changed(Side(_at(last)), Side(laid.folder))
    kind = bump if bump in BUMPS else "minor" if changed else "patch"
    at = BUMPS[::-1].index(kind)
    number = [n if i < at else 0 for i, n in enumerate(last.number)]
    number[at] = last.number[at] + 1
    why = f"{' and '.join(changed)} changed" if changed else "only the data changed"
    return "v" + ".".join(map(str, number)), f"{why} since {last.name}"


def _changed(before: Side, after: Side) -> list[str]:
    """Which of code, parameters and packages are not the same; where the data lies is data."""
    found = []
    if _code(before) != _code(after):
        found.append("code")
    moved = [one for one in changes(before.yaml("params.yaml"), after.yaml("params.yaml"))
             if one.name != "data.path"]  # fmt: skip
    settings = [name for name in ("schema.yaml", "gates.yaml", "dvc.yaml")
                if changes(before.yaml(name), after.yaml(name))]  # fmt: skip
    found += ["parameters"] if moved else []
    found += settings
    if before.bytes("requirements.txt") != after.bytes("requirements.txt"):
        found.append("packages")
    return found


def _code(side: Side) -> dict[str, Any]:
    """{file: md5} of the code that the stages ran."""
    deps = [dep for one in side.lock.values() for dep in one.get("deps", ())]
    return {dep["path"]: dep["md5"] for dep in deps if str(dep["path"]).endswith(".py")}


def _on_main(sha: str) -> None:
    main = f"{versions.ORIGIN}/main"
    if base.main_branch() != main:
        return
    inside = subprocess.run(["git", "merge-base", "--is-ancestor", sha, main])
    if inside.returncode:
        raise Problem(f"this commit is not on {main}: merge it first, git push {versions.ORIGIN}")


def _stored() -> None:
    """Others can have the model and its data."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(".") as repo:
            status: dict[str, str] = repo.status(cloud=True)
    except (DvcException, OSError) as error:
        raise Problem(
            f"the storage: {' '.join(str(error).split())[:200]}; make doctor", 2
        ) from None
    lost = [path for path, state in status.items() if state in ("new", "missing")]
    if lost:
        raise Problem(f"not in the storage: {', '.join(lost[:3])}; dvc push")
