"""Write model-card.md from facts: what the model is for, what it was made of, how good it is.

It is written before the commit that is registered, so that it lies in it; its last table says of
which files it was written, and `ml registry register` refuses another one.
"""

import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import Refused
from core.files import md5, replacing
from core.markdown import code, fence, number, signed, table
from core.paths import CARD, COST, EVALUATION, MODEL, QUALITY, RAW, SLICES
from core.yaml_io import read_yaml
from ops.dvc_lock import check_outputs, raw_data, read_lock
from ops.gates import gate
from ops.gates.context import Evidence
from ops.gates.gates_yaml import Gates, load_gates
from ops.gates.regression import CONFIDENCE
from ops.registry import card_facts, lineage
from ops.report import mermaid
from ops.snapshot import Snapshot
from pipeline.params import load_params

TABLED = re.compile(r"^\| `([^`]+)` \| `([0-9a-f]{32}(?:\.dir)?)` \|$", re.MULTILINE)
REPRODUCE = [
    "ml registry                   # the versions",
    "ml registry lineage VERSION   # every md5 above, computed again",
    "git checkout model@VERSION",
    "dvc pull",
    "dvc repro                                     # nothing to do: it is all there",
]


def text(verdict: dict[str, Any]) -> str:
    """The card of the model that lies here; `verdict` is as in reports/gates.json."""
    evidence = Evidence(load_params())
    if evidence.not_finite:
        raise Refused(f"{MODEL}: answers that are not finite: there is nothing to tell; ml gate")
    parts = {
        "Intended use": card_facts.use(evidence),
        "Model": " ".join(inspect.cleandoc(type(evidence.model).__doc__ or "").split()),
        "Data": card_facts.data(evidence.params),
        "Scores": _scores(evidence, load_gates()),
        "Curves": _curves(),
        "Groups": _groups(evidence),
        "Gates": _gates(verdict),
        "Limits": _limits(evidence, verdict),
        "Cost": _cost(evidence),
        "Lineage": _lineage(),
        "How to reproduce it": fence(REPRODUCE, "bash"),
    }
    about = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    sections = [f"## {title}\n\n{part}" for title, part in parts.items() if part]
    description = code(about["description"], 200) if about.get("description") else ""
    head = [f"# Model card: {code(about['name'])}", description]
    return "\n\n".join([*filter(None, head), *sections]) + "\n"


def stale(card: str, of: lineage.Lineage) -> list[str]:
    """The files that are not those the card was written of."""
    written = dict(TABLED.findall(card))
    return [name for name, md5 in _md5s(of).items() if written.get(name) != md5]


def _md5s(of: lineage.Lineage) -> dict[str, str]:
    files = {name: md5 for name, md5 in of.files.items() if name != str(CARD)}
    return {str(MODEL): of.model, str(RAW): of.data, **files}


def _scores(evidence: Evidence, gates: Gates) -> str:
    linear = evidence.quality.get("baseline") or {}
    rows = []
    for name, value in evidence.scores.items():
        bounds, level = "", _confidence(gates, name)
        if name in evidence.deviations:
            _, low, high = evidence.interval(name, level)
            bounds = f"{number(low)} to {number(high)}"
        rows.append([code(name), number(value), bounds, f"{level:.0%}", number(linear.get(name))])
    heads = ["score", "value", "between", "confidence", "linear baseline"]
    about = (
        f"On {number(len(evidence.test))} test rows that no training has seen. Each bound is a "
        "bootstrap bound that holds with this confidence, as the gates use it."
    )
    drawn = (
        f"More pictures: `{EVALUATION}` (`dvc pull {EVALUATION}`), or `dvc plots show`; "
        f"all scores: `{QUALITY}`."
    )
    return "\n\n".join([about, table(heads, rows, [1, 2, 3, 4]), drawn])


def _confidence(gates: Gates, name: str) -> float:
    """The confidence at which gates.yaml judges a score; the usual one where it does not say."""
    limit = gates.performance.get(name)
    if limit is None and gates.calibration != "off":
        limit = {str(key): one for key, one in gates.calibration.items()}.get(name)
    return (limit.confidence if limit else None) or CONFIDENCE


def _curves() -> str:
    """Training, ROC and calibration, or predictions, as GitHub draws them."""
    here = Snapshot()
    drawn = [
        mermaid.training(here),
        mermaid.roc(here, ours="this model"),
        mermaid.calibration(here),
        mermaid.predicted(here),
    ]
    return "\n\n".join(f"{one.legend()}\n\n{mermaid.mermaid(one)}" for one in drawn if one)


def _groups(evidence: Evidence) -> str:
    names = list(evidence.quality.get("baseline") or evidence.scores)
    rows = [
        [code(attribute), code(group), number(one["rows"]), *(number(one.get(k)) for k in names)]
        for attribute, groups in evidence.slices.get("slices", {}).items()
        for group, one in groups.items()
    ]
    if not rows:
        return ""
    heads = ["attribute", "group", "rows", *map(code, names)]
    return table(heads, rows, range(2, len(heads))) + f"\n\nAll scores: `{SLICES}`."


def _gates(verdict: dict[str, Any]) -> str:
    rows = [
        [
            one["gate"],
            code(one["about"]),
            number(one["value"]),
            _between(one),
            code(one["limit"]),
            "passed" if one["passed"] else "**refused**",
        ]
        for one in verdict["gates"]
    ]
    heads = ["gate", "about", "value", "between", "limit", "verdict"]
    parts = [f"By `gates.yaml`: **{verdict['verdict']}**.", table(heads, rows, [2, 3, 4])]
    against, compared = verdict["baseline"], verdict["comparison"]
    if compared:
        rows = [
            [
                code(name),
                number(one["value"]),
                number(one["base"]),
                signed(one["difference"]),
                _between(one),
            ]
            for name, one in compared.items()
        ]
        heads = ["score", "this model", code(against["name"]), "difference", "between"]
        parts += ["On the same test rows:", table(heads, rows, [1, 2, 3, 4])]
    return "\n\n".join(parts)


def _between(one: dict[str, Any]) -> str:
    if one.get("low") is None:
        return ""
    return f"{number(one['low'])} to {number(one['high'])}"


def _limits(evidence: Evidence, verdict: dict[str, Any]) -> str:
    return "\n".join(f"- {line}" for line in _bounds(evidence, verdict))


def _bounds(evidence: Evidence, verdict: dict[str, Any]) -> Iterator[str]:
    """What is known not to be known."""
    asked = read_yaml("gates.yaml")
    off = [kind for kind, one in asked.items() if one == "off"]
    if off:
        yield f"Not judged, `off` in `gates.yaml`: {', '.join(map(code, off))}."
    against = verdict["baseline"] or {}
    if against.get("note"):
        yield f"Compared with {code(against['name'] or 'nothing')}: {code(against['note'], 300)}."
    if against.get("rows") == "other":
        yield (
            "The model that it was compared with was tested on other rows, some of which it may "
            "have been trained on."
        )
    settings, small = evidence.params.evaluate, []
    for attribute, groups in evidence.slices.get("slices", {}).items():
        small += [
            f"{attribute}: {g}"
            for g, one in groups.items()
            if one["rows"] < settings.min_slice_rows
        ]
    if small:
        yield (
            f"Too few rows to be scored (under {settings.min_slice_rows}): "
            f"{', '.join(map(code, small))}."
        )
    if evidence.task == "binary":
        yield f"Shares of right answers, and groups, are for a threshold of {settings.threshold:g}."
    yield "Past the period and the ranges above nothing was measured."


def _cost(evidence: Evidence) -> str:
    cost = evidence.cost
    parts = [f"{number(cost.get('parameters'))} parameters"]
    for name, one in (cost.get("latency_ms") or {}).items():
        parts.append(f"{name.replace('_', ' ')}: {number(one.get('p95'))} ms (p95)")
    if "model_bytes" in cost:
        parts.append(f"{number(cost['model_bytes'] / 1e6)} MB")
    return "; ".join(parts) + f"; measured where it was trained: `{COST}`."


def _lineage() -> str:
    """md5s of what it was written of; the commit cannot be named in itself, its tag does that."""
    stages = read_lock()
    names = [name for name in lineage.FILES if name != str(CARD)]
    md5s = {
        str(MODEL): md5(MODEL),
        str(RAW): raw_data(stages),
        **{name: md5(Path(name)) for name in names},
    }
    rows = [[f"`{name}`", f"`{md5}`"] for name, md5 in md5s.items()]
    version = Path(".python-version")
    python = f"Python {code(version.read_text('utf-8'))}, packages as in `requirements.txt`. "
    return (
        (python if version.exists() else "")
        + "The commit, and all this, stands in the tag of the version.\n\n"
        + table(["file", "md5"], rows)
    )


def main() -> None:
    """`ml card`"""
    check_outputs(MODEL)
    verdict = gate.judge()
    content = text(verdict)
    with replacing(CARD) as temporary:
        temporary.write_text(content, encoding="utf-8")
    print(f"{CARD} is written; verdict of the gates: {verdict['verdict']}")
