"""The gates that ask the model: known cases, exchanged and raised columns, hostile rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import Problem, nearest
from core.paths import CASES, GATES
from ops.gates.context import Evidence, Judgement
from ops.gates.gates_yaml import Gates
from pipeline.features import Input
from pipeline.model import Model

ROWS = 1000  # test rows whose columns are exchanged or raised


def behaviour(asked: Gates, evidence: Evidence) -> Iterator[Judgement]:
    """tests/model/critical_cases.csv"""
    assert asked.behaviour != "off"
    least = asked.behaviour.min_pass_rate
    cases = read_cases()
    if cases.empty:
        raise Problem(f"{GATES}: behaviour: {CASES} has no case; add some, or say `off`")
    right = passes(evidence.model, cases, evidence.settings.threshold)
    wrong = [str(line) for line in np.flatnonzero(~right)[:10] + 2]
    note = f"wrong: line {', '.join(wrong)} of {CASES}" if wrong else f"{len(right)} cases"
    rate = float(right.mean())
    yield Judgement("behaviour", "critical cases", rate, f">= {least:g}", rate >= least, note=note)


def read_cases(path: Path = CASES) -> pd.DataFrame:
    """The critical cases. Raises `Problem` (exit 2) when the file cannot be read."""
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise Problem(f"{path}: no such file; git checkout HEAD -- {path}") from None
    except ValueError as error:
        raise Problem(f"{path}: {str(error)[:200]}") from None


def passes(fitted: Model, cases: pd.DataFrame, threshold: float) -> np.ndarray:
    """(n,) bool: which cases get the answer in `expected`, or one in the expected range."""
    task, score = fitted.task, _ask(fitted, cases, "behaviour")
    wanted = ["expected_low", "expected_high"] if task == "regression" else ["expected"]
    for name in wanted:
        if name not in cases or cases[name].isna().any():
            raise Problem(f"{CASES}: every case wants a value in {name!r}")
    if task == "regression":
        return np.asarray((score >= cases["expected_low"]) & (score <= cases["expected_high"]))
    classes = [str(one) for one in fitted.classes]
    unknown = set(cases["expected"].astype(str)) - set(classes)
    if unknown:
        raise Problem(f"{CASES}: expected {sorted(unknown)}; the classes are {classes}")
    labels = score >= threshold if task == "binary" else score.argmax(1)
    return np.asarray(np.array(classes)[labels.astype(int)] == cases["expected"].astype(str))


def invariance(asked: Gates, evidence: Evidence) -> Iterator[Judgement]:
    """Every value of a column is tried on test rows; the answer may hardly move."""
    assert asked.invariance != "off"
    most, some = asked.invariance.max_change, evidence.test.head(ROWS).reset_index(drop=True)
    before = evidence.model.score(some)
    for name in asked.invariance.columns:
        changes = [
            float(np.abs(evidence.model.score(some.assign(**{name: other})) - before).max())
            for other in _values(evidence.model, some, name)
        ]
        change = max(changes)
        yield Judgement("invariance", name, change, f"<= {most:g}", change <= most)


def _values(model: Model, rows: pd.DataFrame, name: str) -> list[Any]:
    """What a column is exchanged for: its levels, or numbers across its range."""
    column = _input(model, name, "invariance")
    if column.kind == "category":
        return [pd.Categorical([level] * len(rows)) for level in column.levels]
    return [rows[name].quantile(share) for share in (0, 0.25, 0.5, 0.75, 1)]


def _input(model: Model, name: str, gate: str) -> Input:
    """The model's input of this name. Raises `Problem` where there is none."""
    known = {one.name: one for one in model.inputs}
    if name not in known:
        raise Problem(
            f"{GATES}: {gate}: {name!r} is none of the model's columns{nearest(name, known)}"
        )
    return known[name]


def direction(asked: Gates, evidence: Evidence) -> Iterator[Judgement]:
    """A column is raised by half and by a whole standard deviation on test rows."""
    assert asked.direction != "off"
    if evidence.task == "multiclass":
        raise Problem(f"{GATES}: direction: of many classes there is no up; say `off`")
    most, some = asked.direction.tolerance, evidence.test.head(ROWS).reset_index(drop=True)
    before = evidence.model.score(some)
    for name, way in asked.direction.columns.items():
        if _input(evidence.model, name, "direction").kind != "number":
            raise Problem(f"{GATES}: direction: {name!r} is no number")
        step = evidence.test[name].std()
        worst = 0.0
        for raised in (some[name] + step / 2, some[name] + step):
            change = evidence.model.score(some.assign(**{name: raised})) - before
            worst = max(worst, float((-change if way == "up" else change).max()))
        about = f"{name} raised: answer goes {way}"
        yield Judgement("direction", about, worst, f"<= {most:g}", worst <= most)


def stability(asked: Gates, evidence: Evidence) -> Iterator[Judgement]:
    """Missing, unseen, huge and tiny values in test rows: finite answers, twice the same."""
    assert asked.stability != "off"
    rows = hostile(evidence.model, evidence.test.head(asked.stability.rows))
    first, again = (_ask(evidence.model, rows, "stability") for _ in range(2))
    wrong = int((~np.isfinite(first)).reshape(len(rows), -1).any(1).sum())
    note = f"{len(rows)} hostile rows"
    yield Judgement("stability", "answers not finite", wrong, "<= 0", wrong == 0, note=note)
    other = int(((first != again) & np.isfinite(first)).sum())
    yield Judgement("stability", "answers not repeated", other, "<= 0", other == 0, note=note)


def hostile(fitted: Model, some: pd.DataFrame) -> pd.DataFrame:
    """The rows again for each way to be hostile: one column, then all, set to such a value."""
    numbers = [one.name for one in fitted.inputs if one.kind == "number"]
    columns, worse = [one.name for one in fitted.inputs], []
    frame = some[columns].reset_index(drop=True).astype(object)
    for name in columns:
        values: list[Any] = [None, "", "\u2603"]
        if name in numbers:
            values = [None, 1e300, -1e300, 1e-300, _beyond(some[name])]
        for i, value in enumerate(values):
            part = frame.iloc[i :: len(values)].copy()
            part[name] = value
            worse.append(part)
    worse.append(frame.assign(**dict.fromkeys(columns)))
    table = pd.concat(worse, ignore_index=True)
    for name in numbers:
        table[name] = pd.to_numeric(_days(table[name]))
    return table


def _beyond(column: pd.Series) -> float:
    """A number far beyond all others of its column."""
    values = pd.to_numeric(_days(column.astype(object)))
    return float(values.mean() + 16 * (values.std() or 1.0))


def _days(column: pd.Series) -> pd.Series:
    """Dates as days since 1970, which is what the model makes of them."""
    one = pd.Timedelta(days=1)

    def days(value: Any) -> Any:
        if value is pd.NaT:
            return None
        return (value - pd.Timestamp(0)) / one if isinstance(value, pd.Timestamp) else value

    return column.map(days)


def _ask(fitted: Model, rows: pd.DataFrame, gate: str) -> np.ndarray:
    try:
        return fitted.score(rows)
    except Problem as problem:
        raise Problem(f"{gate}: {problem}") from None
