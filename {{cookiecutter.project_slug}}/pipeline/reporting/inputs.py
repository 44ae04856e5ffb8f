"""The report's sections about what went in: settings, limits, code, data."""

import json
from typing import Any

from pipeline.reporting.compare import PROFILE, Change, Side, changes
from pipeline.reporting.facts import VALIDATION, Facts
from pipeline.reporting.markdown import code, cut, fold, number, real, table
from pipeline.reporting.results import base_name

OPEN = 12  # changes that stand open; more are folded
FILES = ("dvc.yaml", "requirements.txt")  # and pipeline/*.py


def value(of: Any) -> str:
    """A setting as it would stand in YAML."""
    if of is None:
        return ""
    return code(of if isinstance(of, str) else json.dumps(of, ensure_ascii=False, default=str))


def settings(facts: Facts, most: int) -> str:
    """What differs in params.yaml, gates.yaml and schema.yaml, and which code."""
    if not facts.base:
        return ""
    parts = []
    for path, says in (
        ("params.yaml", "{} in `params.yaml`"),
        ("gates.yaml", "**The limits have changed**: {} in `gates.yaml`"),
        ("schema.yaml", "{} in `schema.yaml`"),
    ):
        found = changes(facts.base.yaml(path), facts.here.yaml(path))
        if found:
            shown, more = cut(_rows(found), most, f"git diff {path}")
            listed = table(["setting", base_name(facts), "this branch"], shown) + more
            says = says.format(_many(len(found), "change")) + ":"
            if len(found) > OPEN:
                listed = fold("Show them", listed)
            parts.append(f"{says}\n\n{listed}")
    files = _code(facts.here, facts.base)
    if files:
        shown, more = cut([code(path) for path in files], most, "git diff")
        parts.append(f"Code: {', '.join(shown)}{more}")
    return "\n\n".join(parts) or f"The same settings and code as {base_name(facts)}."


def _rows(found: list[Change]) -> list[list[str]]:
    return [[code(one.name, 100), value(one.before), value(one.after)] for one in found]


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _code(here: Side, base: Side) -> list[str]:
    """Files of the pipeline that are not the same."""
    names = {
        f"pipeline/{file.name}"
        for side in (here, base)
        for file in (side.folder / "pipeline").glob("*.py")
    }
    return [name for name in [*sorted(names), *FILES] if here.bytes(name) != base.bytes(name)]


def changed(facts: Facts) -> list[str]:
    """The settings and files that differ, in a few words each, most telling first."""
    if not facts.base:
        return []
    found = [code(one.name) for one in changes(facts.base.yaml("params.yaml"),
                                               facts.here.yaml("params.yaml"))]  # fmt: skip
    raw = (_raw(facts.here), _raw(facts.base))
    found += ["the raw data"] * (None not in raw and raw[0] != raw[1])
    for path in ("schema.yaml", "gates.yaml"):
        found += [code(path)] * (facts.here.bytes(path) != facts.base.bytes(path))
    return found + [code(path) for path in _code(facts.here, facts.base)]


def _raw(side: Side) -> tuple[Any, Any, Any] | None:
    """md5, bytes and files of the raw data, as the stage prepare has read it."""
    for one in (side.lock.get("prepare") or {}).get("deps", ()):
        if str(one.get("path")).startswith("data/raw"):
            return one.get("md5"), one.get("size"), one.get("nfiles")
    return None


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
        moved = "The raw data has changed; rows" if None not in raw and raw[0] != raw[1] else "Rows"
        return f"{moved}{' as before' if theirs == ours else ''}: {counts}."
    rows = [
        [side, number(theirs.get(side)), number(ours.get(side)),
         f"{_gap(theirs.get(side), ours.get(side)):+,}"]
        for side in sides
    ]  # fmt: skip
    heads = ["rows", base_name(facts), "this branch", "change"]
    return table(heads, rows, [1, 2, 3])


def _gap(before: Any, after: Any) -> int:
    return after - before if real(before) and real(after) else 0


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
    shown, more = cut(rows, most, PROFILE)
    return table(["column", base_name(facts), "this branch"], shown) + more


def _kind(column: Any) -> str:
    return code(column.get("kind")) if isinstance(column, dict) else ""


def _drift(facts: Facts, most: int) -> str:
    """Columns that moved away from the reference profile by more than chance."""
    if facts.state("validate") == "waits":
        return ""
    found = facts.here.json(VALIDATION).get("drift")
    listed = [
        (name, one["psi"], one["noise"])
        for name, one in (found if isinstance(found, dict) else {}).items()
        if isinstance(one, dict) and real(one.get("psi")) and real(one.get("noise"))
    ]
    if not listed:
        return ""
    moved = sorted((one for one in listed if one[1] > one[2]), key=lambda one: -one[1])
    if not moved:
        return f"No drift against the reference profile in {_many(len(listed), 'column')}."
    limits = facts.here.yaml("params.yaml").get("validate")
    limit = limits.get("max_psi") if isinstance(limits, dict) else None
    rows = [[code(name), number(psi, 3), number(noise, 3), number(limit, 2)]
            for name, psi, noise in moved]  # fmt: skip
    shown, more = cut(rows, most, VALIDATION)
    heads = ["drifted column", "PSI", "by chance", "limit"]
    return table(heads, shown, [1, 2, 3]) + more


def findings(facts: Facts, most: int) -> str:
    """What is wrong with the data."""
    rows = [
        [code(one.get("check")), code(one.get("column")), number(one.get("count")), _about(one)]
        for one in facts.findings
    ]
    if not rows:
        return ""
    shown, more = cut(rows, most, VALIDATION)
    return table(["check", "column", "rows", "examples, or what would be right"], shown, [2]) + more


def _about(one: dict[str, Any]) -> str:
    examples = one.get("examples")
    listed = [*(examples if isinstance(examples, list) else []), one.get("says")]
    return ", ".join(code(text, 120) for text in listed if text not in (None, ""))
