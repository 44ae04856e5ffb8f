"""Write model-card.md from facts: what the model is for, what it was made of, how good it is.

It is written before the commit that is registered, so that it lies in it; its last table says of
which files it was written, and `python -m pipeline.registry register` refuses another one.
"""

import argparse
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import base, config, features, gate, model, stage, strict
from pipeline.errors import Problem
from pipeline.judging import bootstrap
from pipeline.judging.evidence import COST, QUALITY, SLICES, Evidence
from pipeline.releases import lineage, purpose
from pipeline.reporting import charts
from pipeline.reporting.compare import Side
from pipeline.reporting.markdown import code, fence, number, signed, table

PICTURE = "reports/evaluation.png"
TABLED = re.compile(r"^\| `([^`]+)` \| `([0-9a-f]{32}(?:\.dir)?)` \|$", re.MULTILINE)
REPRODUCE = [
    "python -m pipeline.registry                   # the versions",
    "python -m pipeline.registry lineage VERSION   # every md5 above, computed again",
    "git checkout model@VERSION",
    "dvc pull",
    "dvc repro                                     # nothing to do: it is all there",
]


def text(verdict: dict[str, Any]) -> str:
    """The card of the model that lies here; `verdict` is as in reports/gates.json."""
    found = Evidence(config.load())
    parts = {
        "Intended use": purpose.use(found),
        "Data": purpose.data(found.params),
        "Scores": _scores(found),
        "Curves": _curves(),
        "Groups": _groups(found),
        "Gates": _gates(verdict),
        "Limits": _limits(found, verdict),
        "Cost": _cost(found),
        "Lineage": _lineage(),
        "How to reproduce it": fence(REPRODUCE, "bash"),
    }
    about = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    sections = [f"## {title}\n\n{part}" for title, part in parts.items() if part]
    says = code(about["description"], 200) if about.get("description") else ""
    head = [f"# Model card: {code(about['name'])}", says]
    return "\n\n".join([*filter(None, head), *sections]) + "\n"


def stale(card: str, of: lineage.Lineage) -> list[str]:
    """The files that are not those the card was written of."""
    told = dict(TABLED.findall(card))
    return [name for name, md5 in _md5s(of).items() if told.get(name) != md5]


def _md5s(of: lineage.Lineage) -> dict[str, str]:
    files = {name: md5 for name, md5 in of.files.items() if name != lineage.CARD}
    return {str(model.MODEL): of.model, lineage.RAW: of.data, **files}


def _scores(found: Evidence) -> str:
    plain = found.quality.get("baseline") or {}
    rows = []
    for name, value in found.scores.items():
        spread = found.deviations.get(name)
        bounds = bootstrap.interval(value, spread, 0.975)[1:] if spread is not None else ()
        between = " to ".join(number(bound) for bound in bounds)
        rows.append([code(name), number(value), between, number(plain.get(name))])
    heads = ["score", "value", "95 % interval", "plain linear model"]
    says = f"On {number(len(found.test))} test rows that no training has seen; bootstrap intervals."
    drawn = (
        f"More pictures: `{PICTURE}` (`dvc pull {PICTURE}`), or `dvc plots show`; "
        f"all scores: `{QUALITY}`."
    )
    return "\n\n".join([says, table(heads, rows, [1, 2, 3]), drawn])


def _curves() -> str:
    """Training, ROC and calibration, or predictions, as GitHub draws them."""
    here = Side()
    drawn = [
        charts.training(here),
        charts.roc(here, ours="this model"),
        charts.calibration(here),
        charts.predicted(here),
    ]
    return "\n\n".join(f"{one.legend()}\n\n{charts.mermaid(one)}" for one in drawn if one)


def _groups(found: Evidence) -> str:
    names = list(found.quality.get("baseline") or found.scores)
    rows = [
        [code(attribute), code(group), number(one["rows"]), *(number(one.get(k)) for k in names)]
        for attribute, groups in found.slices.get("slices", {}).items()
        for group, one in groups.items()
    ]
    if not rows:
        return ""
    heads = ["attribute", "group", "rows", *map(code, names)]
    return table(heads, rows, range(2, len(heads))) + f"\n\nAll scores: `{SLICES}`."


def _gates(verdict: dict[str, Any]) -> str:
    rows = [
        [one["gate"], code(one["about"]), number(one["value"]), _between(one), code(one["limit"]),
         "passed" if one["passed"] else "**refused**"]
        for one in verdict["gates"]
    ]  # fmt: skip
    heads = ["gate", "about", "value", "between", "limit", "verdict"]
    parts = [f"By `gates.yaml`: **{verdict['verdict']}**.", table(heads, rows, [2, 3, 4])]
    against, compared = verdict["baseline"], verdict["comparison"]
    if compared:
        rows = [
            [code(name), number(one["value"]), number(one["base"]), signed(one["difference"]),
             _between(one)]
            for name, one in compared.items()
        ]  # fmt: skip
        heads = ["score", "this model", code(against["name"]), "difference", "between"]
        parts += ["On the same test rows:", table(heads, rows, [1, 2, 3, 4])]
    return "\n\n".join(parts)


def _between(one: dict[str, Any]) -> str:
    if one.get("low") is None:
        return ""
    return f"{number(one['low'])} to {number(one['high'])}"


def _limits(found: Evidence, verdict: dict[str, Any]) -> str:
    return "\n".join(f"- {line}" for line in _bounds(found, verdict))


def _bounds(found: Evidence, verdict: dict[str, Any]) -> Iterator[str]:
    """What is known not to be known."""
    asked = strict.read_yaml("gates.yaml")
    off = [kind for kind, one in asked.items() if one == "off"]
    if off:
        yield f"Not judged, `off` in `gates.yaml`: {', '.join(map(code, off))}."
    against = verdict["baseline"] or {}
    if against.get("note"):
        yield f"Compared with {code(against['name'] or 'nothing')}: {code(against['note'], 300)}."
    if against.get("rows") == "other":
        yield "The model that it was compared with was tested on other rows, some of which it may "\
              "have been trained on."  # fmt: skip
    knobs, small = found.params.evaluate, []
    for attribute, groups in found.slices.get("slices", {}).items():
        small += [f"{attribute}: {g}" for g, one in groups.items()
                  if one["rows"] < knobs.min_slice_rows]  # fmt: skip
    if small:
        yield (f"Too few rows to be scored (under {knobs.min_slice_rows}): "
               f"{', '.join(map(code, small))}.")  # fmt: skip
    yield (
        f"Numbers beyond {features.CLIP:g} standard deviations of the training rows count as that "
        f"far; levels seen in fewer than {features.RARE} of them, or never, are one level: unseen."
    )
    if found.task == "binary":
        yield f"Shares of right answers, and groups, are for a threshold of {knobs.threshold:g}."
    yield "Past the period and the ranges above nothing was measured."


def _cost(found: Evidence) -> str:
    cost, parts = found.cost, [f"{number(found.model.parameters())} parameters"]
    for name, one in (cost.get("latency_ms") or {}).items():
        parts.append(f"{name.replace('_', ' ')}: {number(one.get('p95'))} ms (p95)")
    if "model_bytes" in cost:
        parts.append(f"{number(cost['model_bytes'] / 1e6)} MB")
    return "; ".join(parts) + f"; measured where it was trained: `{COST}`."


def _lineage() -> str:
    """md5s of what it was written of; the commit cannot be named in itself, its tag does that."""
    stages = lineage.lock()
    names = [name for name in lineage.FILES if name != lineage.CARD]
    md5s = {
        str(model.MODEL): base.md5(model.MODEL),
        lineage.RAW: lineage.data(stages),
        **{name: base.md5(Path(name)) for name in names},
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
    """`python -m pipeline.card`"""
    argparse.ArgumentParser(prog="python -m pipeline.card", description=__doc__).parse_args()
    if base.md5(model.MODEL) != base.locked().get(str(model.MODEL)):
        raise Problem(f"{model.MODEL} is not the one that dvc.lock names: dvc repro", 2)
    verdict = gate.judge()
    content = text(verdict)
    with stage.replacing(lineage.CARD) as temporary:
        temporary.write_text(content, encoding="utf-8")
    print(f"{lineage.CARD} is written; verdict of the gates: {verdict['verdict']}")


if __name__ == "__main__":
    stage.run("card", main)
