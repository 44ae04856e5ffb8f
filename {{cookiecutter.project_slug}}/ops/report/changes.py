"""The report's sections about what went in: settings, limits, code, data."""

import json
from pathlib import Path
from typing import Any

from core.markdown import code, fold, is_finite, number, table, truncate
from core.paths import (
    CASES,
    GATES,
    PARAMS,
    PIPELINE,
    PROFILE,
    RAW,
    REQUIREMENTS,
    RETRAIN,
    SCHEMA,
    VALIDATION,
)
from ops.dvc_lock import raw_data
from ops.report.context import Facts
from ops.report.scores import base_name
from ops.snapshot import Change, Snapshot, changes

OPEN = 12  # changes that stand open; more are folded
# what decides a verdict, folders with all that is in them; JUDGES come first
JUDGES = ("ops/gates", str(GATES), str(CASES))
FOLDERS = ("core", "pipeline", "ops", ".github/workflows")
FILES = (GATES, CASES, SCHEMA, PARAMS, RETRAIN, PIPELINE, REQUIREMENTS)
LEFT_OUT = ("__pycache__", ".pyc", ".tmp")


def value(of: Any) -> str:
    """A setting as it would stand in YAML."""
    if of is None:
        return ""
    return code(of if isinstance(of, str) else json.dumps(of, ensure_ascii=False, default=str))


def settings(facts: Facts, most: int) -> str:
    """What differs in params.yaml, gates.yaml and schema.yaml, and which other files."""
    if not facts.base:
        return ""
    files, parts = changed_files(facts.here, facts.base), []
    for path, intro in (
        (PARAMS, "{} in `params.yaml`"),
        (GATES, "**The limits have changed**: {} in `gates.yaml`"),
        (SCHEMA, "{} in `schema.yaml`"),
    ):
        differ = changes(facts.base.yaml(path), facts.here.yaml(path))
        if differ:
            files = [name for name in files if name != str(path)]
            shown, more = truncate(_rows(differ), most, f"git diff {path}")
            listed = table(["setting", base_name(facts), "this branch"], shown) + more
            intro = intro.format(_many(len(differ), "change")) + ":"
            if len(differ) > OPEN:
                listed = fold("Show them", listed)
            parts.append(f"{intro}\n\n{listed}")
    judges = [name for name in files if _judges(name)]
    for intro, names in (
        ("**What judges the model has changed**", judges),
        ("Files", [name for name in files if name not in judges]),
    ):
        shown, more = truncate([code(name) for name in names], most, "git diff")
        parts += [f"{intro}: {', '.join(shown)}{more}"] if names else []
    return "\n\n".join(parts) or f"The same settings and code as {base_name(facts)}."


def _rows(differ: list[Change]) -> list[list[str]]:
    return [[code(one.name, 100), value(one.before), value(one.after)] for one in differ]


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def changed_files(here: Snapshot, base: Snapshot) -> list[str]:
    """The files that decide a verdict and are not the same, by name."""
    names = {str(path) for path in FILES}
    for side in (here, base):
        for folder in FOLDERS:
            names |= {
                path.relative_to(side.folder).as_posix()
                for path in (side.folder / folder).rglob("*")
                if path.is_file() and not _left_out(path)
            }
    differ = (name for name in names if here.bytes(name) != base.bytes(name))
    return sorted(differ)


def _left_out(path: Path) -> bool:
    return any(part.endswith(LEFT_OUT) for part in path.parts[-2:])


def _judges(name: str) -> bool:
    return name in JUDGES or name.startswith(f"{JUDGES[0]}/")


def changed(facts: Facts) -> list[str]:
    """The settings and files that differ, most telling first; data/raw stands for the data."""
    if not facts.base:
        return []
    files = changed_files(facts.here, facts.base)
    names = [name for name in files if _judges(name)]
    differ = changes(facts.base.yaml(PARAMS), facts.here.yaml(PARAMS))
    names += [one.name for one in differ]
    raw = (_raw(facts.here), _raw(facts.base))
    names += [str(RAW)] * (None not in raw and raw[0] != raw[1])
    named = {*names, *([str(PARAMS)] if differ else [])}
    return names + [name for name in files if name not in named]


def _raw(side: Snapshot) -> str | None:
    """md5 of the raw data, as the stage prepare has read it; None where it has not run."""
    return raw_data(side.lock) if "prepare" in side.lock else None


def data(facts: Facts, most: int) -> str:
    """Rows, columns, drift."""
    parts = [_volume(facts), _columns(facts, most), _drift(facts, most)]
    lines = [part for part in parts if part and "\n" not in part]
    return "\n\n".join([*([" ".join(lines)] if lines else []), *(p for p in parts if "\n" in p)])


def _volume(facts: Facts) -> str:
    ready = facts.state("prepare") not in ("failed", "waits")
    ours = facts.here.json(PROFILE).get("rows") if ready else None
    theirs = facts.base.json(PROFILE).get("rows") if facts.base else None
    raw = (_raw(facts.here), _raw(facts.base) if facts.base else None)
    if not isinstance(ours, dict):
        return ""
    sides = ("train", "val", "test")
    counts = ", ".join(f"{number(ours.get(side))} {side}" for side in sides)
    if None not in raw and raw[0] == raw[1] and ours == theirs:
        return f"The same raw data and rows as {base_name(facts)}: {counts}."
    if not isinstance(theirs, dict) or theirs == ours:
        start = "The raw data has changed; rows" if None not in raw and raw[0] != raw[1] else "Rows"
        return f"{start}{' as before' if theirs == ours else ''}: {counts}."
    rows = [
        [
            side,
            number(theirs.get(side)),
            number(ours.get(side)),
            f"{_gap(theirs.get(side), ours.get(side)):+,}",
        ]
        for side in sides
    ]
    heads = ["rows", base_name(facts), "this branch", "change"]
    return table(heads, rows, [1, 2, 3])


def _gap(before: Any, after: Any) -> int:
    return after - before if is_finite(before) and is_finite(after) else 0


def _columns(facts: Facts, most: int) -> str:
    """Columns that came, went, or changed their kind."""
    ours = facts.here.json(PROFILE).get("columns")
    theirs = facts.base.json(PROFILE).get("columns") if facts.base else None
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        return ""
    rows = []
    for name in dict.fromkeys([*ours, *theirs]):
        was, now = (_kind(side.get(name)) for side in (theirs, ours))
        if was != now:
            rows.append([code(name), was or "—", now or "gone"])
    if not rows:
        return f"The same {_many(len(ours), 'column')}."
    shown, more = truncate(rows, most, PROFILE)
    return table(["column", base_name(facts), "this branch"], shown) + more


def _kind(column: Any) -> str:
    return code(column.get("kind")) if isinstance(column, dict) else ""


def _drift(facts: Facts, most: int) -> str:
    """Columns that have drifted from the reference profile, and by what."""
    if facts.state("validate") == "waits":
        return ""
    columns = facts.here.json(VALIDATION).get("drift")
    measured = [
        (name, one)
        for name, one in (columns if isinstance(columns, dict) else {}).items()
        if isinstance(one, dict) and is_finite(one.get("psi")) and is_finite(one.get("limit"))
    ]
    if not measured:
        return ""
    drifted = [(name, one) for name, one in measured if one.get("drift") is True]
    if not drifted:
        return f"No drift against the reference profile in {_many(len(measured), 'column')}."
    rows = [
        [code(name), _why(one), number(one["psi"], 3), number(one["limit"], 3)]
        for name, one in sorted(drifted, key=lambda column: -column[1]["psi"])
    ]
    shown, more = truncate(rows, most, VALIDATION)
    return table(["drifted column", "by", "PSI", "limit"], shown, [2, 3]) + more


def _why(drift: dict[str, Any]) -> str:
    why = drift.get("why")
    return ", ".join(map(code, why)) if isinstance(why, list) else ""


def findings(facts: Facts, most: int) -> str:
    """What is wrong with the data."""
    rows = [
        [code(one.get("check")), code(one.get("column")), number(one.get("count")), _about(one)]
        for one in facts.findings
    ]
    if not rows:
        return ""
    shown, more = truncate(rows, most, VALIDATION)
    return table(["check", "column", "rows", "examples, or what would be right"], shown, [2]) + more


def _about(one: dict[str, Any]) -> str:
    examples = one.get("examples")
    listed = [*(examples if isinstance(examples, list) else []), one.get("message")]
    return ", ".join(code(text, 120) for text in listed if text not in (None, ""))
