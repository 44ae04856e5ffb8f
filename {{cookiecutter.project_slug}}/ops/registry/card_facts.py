"""What a model is for and what it was made of, as its card says."""

from datetime import date, timedelta
from typing import Any

from core.files import read_json
from core.markdown import code, number, table
from core.paths import PROFILE
from ops.gates.context import Evidence
from pipeline.params import Params

LEVELS = 6  # of a category that are named
GIVES = {
    "binary": "the probability that {target} is {yes}",
    "multiclass": "a probability for each value of {target}",
    "regression": "a number, {target}",
}


def use(evidence: Evidence) -> str:
    """What it answers, of which columns, and what it does not see."""
    model, asked = evidence.model, evidence.params.data
    yes = code(model.classes[-1]) if model.classes else ""
    gives = GIVES[model.task].format(target=code(model.target), yes=yes)
    columns = read_json(PROFILE)["columns"]
    inputs = [one.name for one in model.inputs]
    rows = [_column(name, columns.get(name, {})) for name in inputs]
    aside = {
        "the answer": asked.target,
        "identifies a row": asked.id,
        "time of the row": asked.time,
        "time of its answer": asked.label_time,
        "group of the split": asked.group,
    }
    unseen = [f"{code(name)} ({why})" for why, name in aside.items() if name]
    unseen += [f"{code(name)} (dropped)" for name in asked.drop]
    lines = [
        f"It gives {gives}, for a row of these {len(rows)} columns:",
        table(["column", "kind", "in the data", "missing"], rows, [3]),
        f"It does not see: {', '.join(unseen)}.",
    ]
    for name in asked.protected:
        seen = "is an input" if name in inputs else "is no input"
        lines.append(f"{code(name)} {seen} and watched: its groups are scored apart below.")
    return "\n\n".join(lines)


def _column(name: str, profile: dict[str, Any]) -> list[str]:
    """What the data holds of a column."""
    kind, rows = profile.get("kind", ""), profile.get("rows") or 1
    if kind == "category":
        levels = list(profile["levels"])
        more = len(levels) - LEVELS
        held = ", ".join(map(code, levels[:LEVELS])) + (f" and {more:,} more" if more > 0 else "")
    else:
        held = " to ".join(_bound(profile.get(end), kind) for end in ("min", "max"))
    missing = profile.get("missing", 0) / rows
    return [code(name), kind, held, f"{missing:.1%}" if missing else ""]


def _bound(value: Any, kind: str) -> str:
    if kind == "date" and isinstance(value, int | float):
        return str(date(1970, 1, 1) + timedelta(days=int(value)))
    whole = isinstance(value, float) and abs(value) < 1e15 and value == int(value)
    return number(int(value) if whole else value)


def data(params: Params) -> str:
    """Rows, columns, split, period and answers."""
    profile, asked, split = read_json(PROFILE), params.data, params.prepare
    counts = ", ".join(f"{number(profile['rows'][name])} {name}" for name in profile["rows"])
    columns = profile["columns"]
    lines = [
        f"{code(asked.path)}: {len(columns)} columns, {number(sum(profile['rows'].values()))} rows "
        f"({counts}), split by {split.split}"
        + (f", a share of {split.sample:g} of all rows." if split.sample < 1 else "."),
    ]
    if asked.time and asked.time in columns:
        lines.append(f"{code(asked.time)}: {_column(asked.time, columns[asked.time])[2]}.")
    if asked.target in columns:
        lines.append(f"{code(asked.target)}: {_answers(columns[asked.target], asked.task)}.")
    return "\n\n".join(lines)


def _answers(profile: dict[str, Any], task: str) -> str:
    if profile.get("levels"):
        rows = profile["rows"] or 1
        return ", ".join(f"{code(k)} {n / rows:.1%}" for k, n in profile["levels"].items())
    share = f"{profile['mean']:.1%} are" if task == "binary" and profile.get("max") == 1 else ""
    return (
        f"{share} 1" if share else " to ".join(_bound(profile[end], "") for end in ("min", "max"))
    )
