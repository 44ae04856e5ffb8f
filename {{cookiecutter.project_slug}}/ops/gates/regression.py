"""The gate against the model before: both score the same test rows, differences are paired."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from core.errors import Problem, nearest
from core.files import md5
from core.git import git
from core.paths import BASELINE, GATES, MODEL
from ops.checkout import Checkout, checkout, main_branch
from ops.gates import bootstrap
from ops.gates.context import Evidence, Judgement, bound
from ops.gates.gates_yaml import Gates
from ops.tags import production
from pipeline import metrics
from pipeline.model import Model, load_model
from pipeline.params import load_params

LINEAR = "linear baseline"
CONFIDENCE = 0.95  # of the intervals that report and card show where gates.yaml asks for none


class Baseline(NamedTuple):
    """The model to compare with."""

    what: str  # production, main, revision or linear baseline
    name: str
    commit: str | None
    model: Model
    rows: str  # the same or other: what it was tested on when it was trained
    note: str


def find(rev: str | None, ours: Model) -> Baseline:
    """The model at `rev`; by default the one in production, else main's, else the linear baseline.

    main's is passed over where it predicts something else than `ours`, say the sample that was
    there before. Raises `Problem` (exit 2) when a baseline is there and cannot be had.
    """
    candidates = (
        [("revision", rev)] if rev else [("production", production()), ("main", main_branch())]
    )
    notes = []
    for what, name in candidates:
        if not name:
            continue
        base = checkout(name, exact=what != "main")
        if reason := _passed_over(what, base, ours):
            notes.append(reason)
            continue
        note = "; ".join(filter(None, [*notes, base.missing]))
        rows = "the same" if base.same_rows else "other"
        return Baseline(what, name, base.commit, load_model(base.folder / MODEL), rows, note)
    note = "; ".join(notes) or "there is no model in production and no main branch"
    return Baseline(LINEAR, LINEAR, None, load_model(BASELINE), "the same", note)


def _passed_over(what: str, base: Checkout, ours: Model) -> str:
    """Why a candidate is no baseline; "" for one that is. Raises `Problem`: one that is lost."""
    if what == "production" and base.sample != load_params().prepare.sample:
        return f"{base.rev}, in production, was trained on another share of the rows"
    if not base.has_model:
        if what == "main" and str(MODEL) not in base.outputs:
            return base.missing
        raise Problem(f"no baseline: {base.missing}")
    if what == "main" and _is_this(base):
        return f"this is the model of {base.rev}"
    if what == "main" and (other := _differs(ours, load_model(base.folder / MODEL))):
        return f"the model of {base.rev} has {other}"
    return ""


def _is_this(base: Checkout) -> bool:
    """Whether the model here is that of the commit here, which proves nothing about itself."""
    same = base.outputs.get(str(MODEL)) == md5(MODEL)
    return same and base.commit == git("rev-parse", "HEAD")


def compare(evidence: Evidence, against: Baseline, confidence: float) -> dict[str, dict[str, Any]]:
    """{score: value, base, difference, low, high, better} of both models on the test rows.

    `low` and `high` bound the difference, each with the confidence asked for.
    """
    guess = answers(evidence, against)
    theirs = evidence.scoring(evidence.truth, guess)
    same = np.array_equal(guess, evidence.guess)
    ours, other = bootstrap.spread(evidence.scoring, evidence.truth, [evidence.guess, guess])
    table = {}
    for name, value in evidence.scores.items():
        if name not in theirs:
            continue
        difference = value - theirs[name]
        better = -difference if metrics.lower_is_better(name) else difference
        row = {"value": value, "base": theirs[name], "difference": round(difference, 6)}
        if name in ours and name in other:
            spread = np.zeros(1) if same else ours[name] - other[name]
            _, low, high = bootstrap.interval(difference, spread, confidence)
            row |= {"low": round(low, 6), "high": round(high, 6)}
        table[name] = row | {"better": bool(better > 0)}
    return table


def answers(evidence: Evidence, against: Baseline) -> np.ndarray:
    """The baseline's answers to the test rows. Raises `Problem` (exit 2) if it cannot answer."""
    if other := _differs(evidence.model, against.model):
        raise Problem(f"the baseline ({against.name}) has {other}: they cannot be compared")
    try:
        guess = against.model.score(evidence.test)
    except Problem as problem:
        raise Problem(
            f"the baseline ({against.name}) cannot score the test rows: {problem}; where that is "
            f"meant, say `regression: off` in {GATES} for this change",
        ) from None
    if not np.isfinite(guess).all():
        raise Problem(f"the baseline ({against.name}) gives answers that are not finite")
    return guess


def _differs(ours: Model, theirs: Model) -> str:
    """What makes two models answers to different questions; "" where nothing does."""
    pairs = (
        (part, getattr(ours, part), getattr(theirs, part)) for part in ("task", "target", "classes")
    )
    return next((f"{part} {b!r}, not {a!r}" for part, a, b in pairs if a != b), "")


def regression(
    asked: Gates, against: Baseline, table: dict[str, dict[str, Any]]
) -> Iterator[Judgement]:
    """No declared score may be worse than the baseline's by more than is allowed."""
    assert asked.regression != "off"
    if against.rows == "other" and asked.regression.other_rows == "refuse":
        raise Problem(
            f"{GATES}: regression: {against.name} was tested on other rows; "
            "`other_rows: rescore` compares on the rows here",
        )
    for name, change in asked.regression.metrics.items():
        if name not in table:
            raise Problem(
                f"{GATES}: regression.metrics.{name}: no such score{nearest(name, table)}"
            )
        row = table[name]
        sign = -1 if metrics.lower_is_better(name) else 1
        least = change.least()
        side, surely = "difference", sign * row["difference"]
        if against.what == LINEAR:
            least = max(least, 0.0)  # nothing is in production before it beats the linear baseline
        elif asked.regression.confidence is not None:
            if "low" not in row:
                raise Problem(f"{GATES}: regression.metrics.{name}: no interval for it")
            side = "lower bound" if sign > 0 else "upper bound"
            surely = row["low"] if sign > 0 else -row["high"]
        allowed = sign * least or 0.0
        limit = f"{'>=' if sign > 0 else '<='} {allowed:+g}"
        notes = bound(side, sign * surely, "<" if sign > 0 else ">", allowed)
        yield Judgement(
            "regression",
            f"{name} against {against.name}",
            row["difference"],
            limit,
            surely >= least,
            row.get("low"),
            row.get("high"),
            "; ".join(notes),
        )
