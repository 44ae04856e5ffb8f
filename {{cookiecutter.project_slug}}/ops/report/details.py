"""The report's sections about single rows and groups: slices, critical cases, confusion."""

from functools import cache

from core.errors import Problem
from core.markdown import code, fold, is_finite, number, table, truncate
from core.paths import CASES, CONFUSION, MODEL, SLICES
from ops.report.context import Facts
from ops.report.scores import Score, arrow, base_name, headline_metric
from ops.snapshot import Snapshot
from pipeline.metrics import lower_is_better

SHOWN = 3  # rows that stand open; the rest is folded
CLASSES = 12  # of a confusion matrix; more are listed as pairs


def slices(facts: Facts, most: int) -> str:
    """Groups of protected attributes: those whose score moved most, then all."""
    name = headline_metric(facts)
    ours = _groups(facts.here, name) if facts.scored else {}
    if not ours:
        return ""
    theirs = _groups(facts.base, name) if facts.base and facts.comparable else {}
    sign = -1 if lower_is_better(name) else 1
    rows = [
        (group, n, Score(value, theirs.get(group, (0, None))[1]))
        for group, (n, value) in ours.items()
    ]
    if theirs:
        rows.sort(key=lambda row: -abs(row[2].difference or 0))
        heads = ["attribute", "group", "rows", "this branch", base_name(facts), "change"]
        intro = f"{code(name)} of the groups that moved most."
    else:
        rows.sort(key=lambda row: sign * row[2].value)
        heads = ["attribute", "group", "rows", "this branch"]
        intro = f"{code(name)} of the worst groups."
    cells = [
        [code(group[0]), code(group[1]), number(n), number(one.value)]
        + ([number(one.base), arrow(one.difference)] if theirs else [])
        for group, n, one in rows
    ]
    shown, more = truncate(cells, most, SLICES)
    if len(cells) <= min(SHOWN, most):
        return f"{intro}\n\n{table(heads, cells, [2, 3, 4])}"
    text = f"{intro}\n\n{table(heads, cells[: min(SHOWN, most)], [2, 3, 4])}"
    if len(cells) > SHOWN:
        full = fold(f"All {len(cells):,} groups", table(heads, shown, [2, 3, 4]) + more)
        text += f"\n\n{full}"
    return text


def _groups(side: Snapshot, name: str) -> dict[tuple[str, str], tuple[int, float]]:
    """{(attribute, group): (rows, score)} of the groups that are large enough to be scored."""
    content = side.json(SLICES).get("slices")
    return {
        (attribute, group): (one.get("rows", 0), one[name])
        for attribute, groups in (content if isinstance(content, dict) else {}).items()
        for group, one in (groups if isinstance(groups, dict) else {}).items()
        if isinstance(one, dict) and is_finite(one.get(name))
    }


def cases(facts: Facts, most: int) -> str:
    """Critical cases that changed side, and those that are wrong."""
    listed = facts.here.csv(CASES)
    if not listed or not facts.scored or not (facts.here.folder / MODEL.parent).is_dir():
        return ""
    now, before = _passes(facts.here), _passes(facts.base) if facts.base else None
    if isinstance(now, str):
        return f"Not asked: {code(now, 300)}"
    was = before if isinstance(before, list) else [None] * len(now)
    rows = [
        [f"line {i + 2}", _expected(listed[i]), _tick(was[i]), _tick(now[i])]
        for i in sorted(range(len(now)), key=lambda i: was[i] in (None, now[i]))
        if (was[i] is not None and was[i] != now[i]) or not now[i]
    ]
    changed = sum(a is not None and a != b for a, b in zip(was, now, strict=True))
    text = f"{sum(now):,} of {len(now):,} right"
    if isinstance(before, list):
        text += f"; {changed:,} changed side against {base_name(facts)}."
    elif before:
        text += f"; {base_name(facts)} was not asked: {code(before, 300)}"
    else:
        text += "."
    shown, more = truncate(rows, most, CASES)
    heads = ["case", "expected", base_name(facts) if facts.base else "before", "this branch"]
    return text + (f"\n\n{table(heads, shown)}{more}" if rows else "")


@cache
def _passes(side: Snapshot) -> list[bool] | str:
    """Which critical cases of this checkout the side's model gets right, or why it is not known."""
    file = side.folder / MODEL
    if not file.exists():
        return "its model is not here"
    from ops.gates import behaviour
    from pipeline.model import load_model
    from pipeline.params import load_params

    try:
        threshold = load_params().evaluate.threshold
        right = behaviour.passes(load_model(file), behaviour.read_cases(), threshold)
    except Problem as problem:
        return str(problem)
    return [bool(one) for one in right]


def _expected(case: dict[str, str]) -> str:
    if case.get("expected") is not None:
        return code(case["expected"])
    return f"{code(case.get('expected_low'))} to {code(case.get('expected_high'))}"


def _tick(right: bool | None) -> str:
    return "" if right is None else "✅" if right else "❌"


def confusion(facts: Facts, most: int) -> str:
    """Actual classes down, predicted ones across; of many classes the commonest mistakes."""
    listed = facts.here.csv(CONFUSION) if facts.scored else []
    counts: dict[tuple[str, str], int] = {}
    for row in listed:
        pair = (str(row.get("actual")), str(row.get("predicted")))
        counts[pair] = counts.get(pair, 0) + 1
    if not counts:
        return ""
    labels = sorted({one for pair in counts for one in pair})
    total = {one: sum(counts.get((one, other), 0) for other in labels) for one in labels}
    if len(labels) <= CLASSES:
        heads = ["actual ↓ predicted →", *map(code, labels), "right"]
        rows = [
            [
                code(a),
                *(_cell(counts.get((a, p), 0), a == p) for p in labels),
                f"{counts.get((a, a), 0) / max(1, total[a]):.0%}",
            ]
            for a in labels
        ]
        return fold("<b>Confusion</b>", table(heads, rows, range(1, len(heads))))
    wrong = sorted((pair for pair in counts if pair[0] != pair[1]), key=lambda p: -counts[p])
    rows = [
        [code(a), code(p), number(counts[a, p]), f"{counts[a, p] / total[a]:.0%}"]
        for a, p in wrong[:20]
    ]
    intro = f"The commonest mistakes among {len(labels):,} classes."
    heads = ["actual", "predicted", "rows", "of that class"]
    return fold("<b>Confusion</b>", f"{intro}\n\n{table(heads, rows[:most], [2, 3])}")


def _cell(count: int, right: bool) -> str:
    return f"**{count:,}**" if right else f"{count:,}"
