"""Where a version comes from: commit, data, model, files and scores, as its tag records them."""

import json
import shutil
from pathlib import Path
from typing import Any

from pipeline import base, config, model, strict
from pipeline.errors import Problem
from pipeline.releases.versions import Version
from pipeline.strict import Strict

RAW = str(config.RAW)
CARD = "model-card.md"
QUALITY = "metrics/quality.json"
FILES = (
    base.LOCK,
    "dvc.yaml",
    "params.yaml",
    "schema.yaml",
    "gates.yaml",
    "requirements.txt",
    QUALITY,
    "reports/slices.json",
    CARD,
)


class Lineage(Strict):
    """What the tag of a version says."""

    version: str
    commit: str
    model: str  # md5, as all that follow
    data: str
    files: dict[str, str]
    metrics: dict[str, float]
    baseline: str | None  # what the regression gate compared it with

    def message(self, why: str) -> str:
        """The tag's message: a line for people, then all of it as JSON."""
        scores = ", ".join(f"{name} {value:g}" for name, value in list(self.metrics.items())[:6])
        return f"{self.version}: {why}; {scores}\n\n{self.model_dump_json(indent=2)}\n"


def told(version: Version) -> Lineage:
    """What the version's tag says. Raises `Problem` (exit 1) where that is no lineage."""
    start = version.message.find("{")
    try:
        if start < 0:
            raise ValueError
        content = json.loads(version.message[start:])
        return strict.check(Lineage, content, version.tag)
    except (ValueError, Problem) as wrong:
        why = f": {wrong}" if isinstance(wrong, Problem) else ""
        raise Problem(
            f"{version.tag} holds no lineage{why}; only `python -m pipeline.registry register` "
            "makes versions that can be verified"
        ) from None


def lock(folder: Path = Path()) -> dict[str, Any]:
    """The stages of a folder's dvc.lock. Raises `Problem` (exit 2) where there are none."""
    content = strict.read_yaml(folder / base.LOCK)
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict):
        raise Problem(f"{base.LOCK}: no stages in it; git checkout HEAD -- {base.LOCK}", 2)
    return stages


def outputs(stages: dict[str, Any]) -> dict[str, str]:
    """{path of an output: md5}."""
    outs = (out for one in stages.values() for out in one.get("outs", ()))
    return {out["path"]: str(out.get("md5")) for out in outs}


def data(stages: dict[str, Any]) -> str:
    """md5 of the raw data that the stage prepare has read."""
    deps = (stages.get("prepare") or {}).get("deps", ())
    return next((str(one["md5"]) for one in deps if one["path"] == RAW), "none")


def record(version: str, laid: base.Base, baseline: str | None) -> Lineage:
    """The lineage of a commit that is laid out. Raises `Problem` (exit 1) for what it lacks."""
    files = {name: base.md5(laid.folder / name) for name in FILES}
    if missing := [name for name, md5 in files.items() if md5 is None]:
        raise Problem(f"{', '.join(missing)}: not in this commit; git add and commit it")
    stages = lock(laid.folder)
    return Lineage(
        version=version,
        commit=laid.sha,
        model=outputs(stages).get(str(model.MODEL), "none"),
        data=data(stages),
        files={name: md5 for name, md5 in files.items() if md5},
        metrics=scores((laid.folder / QUALITY).read_bytes()),
        baseline=baseline,
    )


def lay(rev: str) -> base.Base:
    """Lay a commit out anew: what lies there from before proves nothing."""
    sha = base.git("rev-parse", f"{rev}^{{commit}}")
    shutil.rmtree(base.FOLDER / sha[:12], ignore_errors=True)
    return base.lay(sha, exact=True)


def scores(content: bytes) -> dict[str, float]:
    """The headline scores in the bytes of metrics/quality.json; none where they cannot be read."""
    try:
        found = json.loads(content).items()
        return {name: float(one) for name, one in found if not isinstance(one, dict)}
    except (ValueError, TypeError, AttributeError):
        return {}
