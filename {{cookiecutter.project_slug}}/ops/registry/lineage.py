"""Where a version comes from: commit, data, model, files and scores, as its tag records them."""

import json

from core.errors import Problem, Refused
from core.files import md5
from core.paths import (
    CARD,
    GATES,
    LOCK,
    MODEL,
    PARAMS,
    PIPELINE,
    QUALITY,
    REQUIREMENTS,
    SCHEMA,
    SLICES,
)
from core.yaml_io import Strict, check_yaml
from ops.checkout import Checkout
from ops.dvc_lock import outputs, raw_data, read_lock
from ops.tags import Version

FILES = [
    str(path)
    for path in (LOCK, PIPELINE, PARAMS, SCHEMA, GATES, REQUIREMENTS, QUALITY, SLICES, CARD)
]


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


def recorded(version: Version) -> Lineage:
    """What the version's tag says. Raises `Refused` (exit 1) where that is no lineage."""
    start = version.message.find("{")
    try:
        if start < 0:
            raise ValueError
        content = json.loads(version.message[start:])
        return check_yaml(Lineage, content, version.tag)
    except (ValueError, Problem) as wrong:
        why = f": {wrong}" if isinstance(wrong, Problem) else ""
        raise Refused(
            f"{version.tag} holds no lineage{why}; only `ml registry register` "
            "makes versions that can be verified"
        ) from None


def record(version: str, base: Checkout, baseline: str | None) -> Lineage:
    """The lineage of a commit. Raises `Problem` (exit 2) for what it lacks."""
    files = {name: md5(base.folder / name) for name in FILES}
    if missing := [name for name, md5 in files.items() if md5 is None]:
        raise Problem(f"{', '.join(missing)}: not in this commit; git add and commit it")
    stages = read_lock(base.folder)
    return Lineage(
        version=version,
        commit=base.commit,
        model=outputs(stages).get(str(MODEL), "none"),
        data=raw_data(stages),
        files={name: md5 for name, md5 in files.items() if md5},
        metrics=scores((base.folder / QUALITY).read_bytes()),
        baseline=baseline,
    )


def scores(content: bytes) -> dict[str, float]:
    """The headline scores in the bytes of metrics/quality.json; none where they cannot be read."""
    try:
        values = json.loads(content).items()
        return {name: float(one) for name, one in values if not isinstance(one, dict)}
    except (ValueError, TypeError, AttributeError):
        return {}
