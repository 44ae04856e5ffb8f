"""The gate against the model before: both score the same test rows, differences are paired."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from pipeline import base, config, features, model, prepared, scores
from pipeline.errors import Problem, nearest
from pipeline.judging import bootstrap, gates
from pipeline.judging.evidence import Evidence, Judgement
from pipeline.judging.gates import Gates
from pipeline.releases.versions import production as production

CONFIDENCE = 0.95  # of the intervals that the report shows where gates.yaml asks for none


class Baseline(NamedTuple):
    """The model to compare with."""

    what: str  # production, main, revision or plain model
    name: str
    commit: str | None
    model: model.Model
    rows: str  # the same or other: what it was tested on when it was trained
    note: str


def find(rev: str | None, spec: features.Spec) -> Baseline:
    """The model at `rev`; by default the one in production, else main's, else the plain one.

    main's is passed over where it answers another question than `spec`, say of the sample that was
    there before. Raises `Problem` (exit 2) when a baseline is there and cannot be had.
    """
    version = None if rev else production()
    candidates = [("revision", rev)] if rev else [("production", version)]
    candidates += [] if rev else [("main", base.main_branch())]
    share, notes = config.load().prepare.sample, []
    for what, name in candidates:
        if not name:
            continue
        laid = base.lay(name, exact=what != "main")
        if what == "production" and base.share_of(laid.folder) != share:
            notes.append(f"{name}, in production, was trained on another share of the rows")
            continue
        if (laid.folder / model.MODEL).exists():
            fitted = model.load(laid.folder / model.MODEL)
            if what == "main" and _is_this(laid):
                notes.append(f"this is the model of {name}")
                continue
            if what == "main" and (other := _differs(spec, fitted.spec)):
                notes.append(f"the model of {name} has {other}")
                continue
            rows = "the same" if _rows(laid) else "other"
            return Baseline(
                what, name, laid.sha, fitted, rows, "; ".join(filter(None, [*notes, laid.note]))
            )
        if what != "main" or str(model.MODEL) in base.locked(laid.folder):
            raise Problem(f"no baseline: {laid.note}", 2)
        notes.append(laid.note)
    note = "; ".join(notes) or "there is no model in production and no main branch"
    return Baseline(
        "plain model", "plain model", None, model.load(model.BASELINE), "the same", note
    )


def _rows(laid: base.Base) -> bool:
    """Whether the base was tested on the rows that are the test rows here."""
    theirs = base.locked(laid.folder).get(str(prepared.path("test")))
    return theirs is not None and theirs == base.md5(prepared.path("test"))


def _is_this(laid: base.Base) -> bool:
    """Whether the model here is that of the commit here, which proves nothing about itself."""
    theirs = base.locked(laid.folder).get(str(model.MODEL))
    return laid.sha == base.git("rev-parse", "HEAD") and theirs == base.md5(model.MODEL)


def compare(found: Evidence, against: Baseline, confidence: float) -> dict[str, dict[str, Any]]:
    """{score: value, base, difference, low, high, better} of both models on the test rows.

    `low` and `high` bound the difference, each with the confidence asked for.
    """
    guess = answers(found, against)
    theirs = found.scoring(found.truth, guess)
    same = np.array_equal(guess, found.guess)
    ours, other = bootstrap.spread(found.scoring, found.truth, [found.guess, guess])
    table = {}
    for name, value in found.scores.items():
        if name not in theirs:
            continue
        difference = value - theirs[name]
        better = -difference if name in scores.LOWER_IS_BETTER else difference
        row = {"value": value, "base": theirs[name], "difference": round(difference, 6)}
        if name in ours and name in other:
            spread = np.zeros(1) if same else ours[name] - other[name]
            _, low, high = bootstrap.interval(difference, spread, confidence)
            row |= {"low": round(low, 6), "high": round(high, 6)}
        table[name] = row | {"better": bool(better > 0)}
    return table


def answers(found: Evidence, against: Baseline) -> np.ndarray:
    """The baseline's answers to the test rows. Raises `Problem` (exit 2) if it cannot answer."""
    if other := _differs(found.model.spec, against.model.spec):
        raise Problem(f"the baseline ({against.name}) has {other}: they cannot be compared", 2)
    try:
        guess = against.model.score(found.test)
    except Problem as problem:
        raise Problem(
            f"the baseline ({against.name}) cannot score the test rows: {problem}; where that is "
            f"meant, say `regression: off` in {gates.PATH} for this change",
            2,
        ) from None
    if not np.isfinite(guess).all():
        raise Problem(f"the baseline ({against.name}) gives answers that are not finite", 2)
    return guess


def _differs(ours: features.Spec, theirs: features.Spec) -> str:
    """What makes two models answers to different questions; "" where nothing does."""
    pairs = ((part, ours.get(part), theirs.get(part)) for part in ("task", "target", "classes"))
    return next((f"{part} {b!r}, not {a!r}" for part, a, b in pairs if a != b), "")


def regression(
    asked: Gates, against: Baseline, table: dict[str, dict[str, Any]]
) -> Iterator[Judgement]:
    """No declared score may be worse than the baseline's by more than is allowed."""
    assert asked.regression != "off"
    if against.rows == "other" and asked.regression.other_rows == "refuse":
        raise Problem(
            f"{gates.PATH}: regression: {against.name} was tested on other rows; "
            "`other_rows: rescore` compares on the rows here",
            2,
        )
    for name, change in asked.regression.metrics.items():
        if name not in table:
            raise Problem(
                f"{gates.PATH}: regression.metrics.{name}: no such score{nearest(name, table)}", 2
            )
        row = table[name]
        sign = -1 if name in scores.LOWER_IS_BETTER else 1
        gain, least = sign * row["difference"], change.least()
        surely = gain
        if against.what == "plain model":
            least = max(least, 0.0)  # nothing is in production before it beats the plain model
        elif asked.regression.confidence is not None:
            if "low" not in row:
                raise Problem(f"{gates.PATH}: regression.metrics.{name}: no interval for it", 2)
            surely = row["low"] if sign > 0 else -row["high"]
        limit = f"{'>=' if sign > 0 else '<='} {sign * least or 0.0:+g}"
        yield Judgement(
            "regression",
            f"{name} against {against.name}",
            row["difference"],
            limit,
            surely >= least,
            row.get("low"),
            row.get("high"),
        )
