"""The gates that ask the model: known cases, exchanged and raised columns, hostile rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import Problem, nearest
from pipeline.features import CLIP
from pipeline.judging import gates
from pipeline.judging.evidence import Evidence, Judgement
from pipeline.judging.gates import CASES, Gates
from pipeline.model import Model

ROWS = 1000  # test rows whose columns are exchanged or raised


def behaviour(asked: Gates, found: Evidence) -> Iterator[Judgement]:
    """tests/model/critical_cases.csv"""
    assert asked.behaviour != "off"
    least = asked.behaviour.min_pass_rate
    cases = read_cases()
    if cases.empty:
        raise Problem(f"{gates.PATH}: behaviour: {CASES} has no case; add some, or say `off`", 2)
    right = passes(found.model, cases, found.knobs.threshold)
    wrong = [str(line) for line in np.flatnonzero(~right)[:10] + 2]
    note = f"wrong: line {', '.join(wrong)} of {CASES}" if wrong else f"{len(right)} cases"
    rate = float(right.mean())
    yield Judgement("behaviour", "critical cases", rate, f">= {least:g}", rate >= least, note=note)


def read_cases(path: Path = CASES) -> pd.DataFrame:
    """The critical cases. Raises `Problem` (exit 2) when the file cannot be read."""
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise Problem(f"{path}: no such file; git checkout HEAD -- {path}", 2) from None
    except ValueError as error:
        raise Problem(f"{path}: {str(error)[:200]}", 2) from None


def passes(fitted: Model, cases: pd.DataFrame, threshold: float) -> np.ndarray:
    """(n,) bool: which cases get the answer in `expected`, or one in the expected range."""
    task, score = fitted.spec["task"], _ask(fitted, cases, "behaviour")
    wanted = ["expected_low", "expected_high"] if task == "regression" else ["expected"]
    for name in wanted:
        if name not in cases or cases[name].isna().any():
            raise Problem(f"{CASES}: every case wants a value in {name!r}", 2)
    if task == "regression":
        return np.asarray((score >= cases["expected_low"]) & (score <= cases["expected_high"]))
    classes = [str(one) for one in fitted.spec["classes"]]
    unknown = set(cases["expected"].astype(str)) - set(classes)
    if unknown:
        raise Problem(f"{CASES}: expected {sorted(unknown)}; the classes are {classes}", 2)
    said = score >= threshold if task == "binary" else score.argmax(1)
    return np.asarray(np.array(classes)[said.astype(int)] == cases["expected"].astype(str))


def invariance(asked: Gates, found: Evidence) -> Iterator[Judgement]:
    """Every value of a column is tried on test rows; the answer may hardly move."""
    assert asked.invariance != "off"
    most, some = asked.invariance.max_change, found.test.head(ROWS).reset_index(drop=True)
    before = found.model.score(some)
    for name in asked.invariance.columns:
        moved = [
            float(np.abs(found.model.score(some.assign(**{name: other})) - before).max())
            for other in _values(found.model, some, name)
        ]
        change = max(moved)
        yield Judgement("invariance", name, change, f"<= {most:g}", change <= most)


def _values(fitted: Model, some: pd.DataFrame, name: str) -> list[Any]:
    """What a column is exchanged for: its levels, or numbers across its range."""
    for category in fitted.spec["categories"]:
        if category["name"] == name:
            return [pd.Categorical([level] * len(some)) for level in category["levels"]]
    _feature(fitted, name, "invariance")
    return [some[name].quantile(share) for share in (0, 0.25, 0.5, 0.75, 1)]


def _feature(fitted: Model, name: str, gate: str) -> dict[str, Any]:
    """What the model knows of a numeric column."""
    numbers = {one["name"]: one for one in fitted.spec["numbers"]}
    if name not in numbers:
        known = [*numbers, *(one["name"] for one in fitted.spec["categories"])]
        what = "no number" if name in known else "none of the model's columns"
        raise Problem(f"{gates.PATH}: {gate}: {name!r} is {what}{nearest(name, known)}", 2)
    return dict(numbers[name])


def direction(asked: Gates, found: Evidence) -> Iterator[Judgement]:
    """A column is raised by half and by a whole standard deviation on test rows."""
    assert asked.direction != "off"
    if found.task == "multiclass":
        raise Problem(f"{gates.PATH}: direction: of many classes there is no up; say `off`", 2)
    most, some = asked.direction.tolerance, found.test.head(ROWS).reset_index(drop=True)
    before = found.model.score(some)
    for name, way in asked.direction.columns.items():
        step = _feature(found.model, name, "direction")["std"]
        worst = 0.0
        for raised in (some[name] + step / 2, some[name] + step):
            moved = found.model.score(some.assign(**{name: raised})) - before
            worst = max(worst, float((-moved if way == "up" else moved).max()))
        about = f"{name} raised: answer goes {way}"
        yield Judgement("direction", about, worst, f"<= {most:g}", worst <= most)


def stability(asked: Gates, found: Evidence) -> Iterator[Judgement]:
    """Missing, unseen, huge and tiny values in test rows: finite answers, twice the same."""
    assert asked.stability != "off"
    rows = hostile(found.model, found.test.head(asked.stability.rows))
    first, again = (_ask(found.model, rows, "stability") for _ in range(2))
    wrong = int((~np.isfinite(first)).reshape(len(rows), -1).any(1).sum())
    note = f"{len(rows)} hostile rows"
    yield Judgement("stability", "answers not finite", wrong, "<= 0", wrong == 0, note=note)
    moved = int(((first != again) & np.isfinite(first)).sum())
    yield Judgement("stability", "answers not repeated", moved, "<= 0", moved == 0, note=note)


def hostile(fitted: Model, some: pd.DataFrame) -> pd.DataFrame:
    """The rows again for each way to be hostile: one column, then all, set to such a value."""
    spec, worse = fitted.spec, []
    numbers = {one["name"]: one for one in spec["numbers"]}
    columns = [*numbers, *(one["name"] for one in spec["categories"])]
    plain = some[columns].reset_index(drop=True).astype(object)
    for name in columns:
        number = numbers.get(name)
        far = 2 * CLIP * number["std"] if number else 0.0
        values = (
            [None, 1e300, -1e300, 1e-300, number["mean"] + far] if number else [None, "", "\u2603"]
        )
        for i, value in enumerate(values):
            part = plain.iloc[i :: len(values)].copy()
            part[name] = value
            worse.append(part)
    worse.append(plain.assign(**dict.fromkeys(columns)))
    table = pd.concat(worse, ignore_index=True)
    for name in numbers:
        table[name] = pd.to_numeric(_days(table[name]))
    return table


def _days(column: pd.Series) -> pd.Series:
    """Dates as days since 1970, which is what the model makes of them."""
    one = pd.Timedelta(days=1)
    return column.map(lambda v: (v - pd.Timestamp(0)) / one if isinstance(v, pd.Timestamp) else v)


def _ask(fitted: Model, rows: pd.DataFrame, gate: str) -> np.ndarray:
    try:
        return fitted.score(rows)
    except Problem as problem:
        raise Problem(f"{gate}: {problem}", 2) from None
