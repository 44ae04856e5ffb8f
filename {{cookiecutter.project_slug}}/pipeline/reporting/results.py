"""The report's sections about the model as a whole: gates and scores."""

import re
from typing import Any, NamedTuple

from pipeline.reporting.facts import QUALITY, Facts
from pipeline.reporting.markdown import (
    code,
    cut,
    fence,
    fold,
    number,
    one_line,
    real,
    signed,
    table,
)
from pipeline.scores import LOWER_IS_BETTER, WATCHED

GATES = "reports/gates.json"


class Score(NamedTuple):
    """A score here and at the base, with the bounds of the difference where they are known."""

    value: Any
    base: Any
    low: float | None = None
    high: float | None = None

    @property
    def difference(self) -> float | None:
        """None where it means nothing."""
        numbers = real(self.value) and real(self.base)
        return round(self.value - self.base, 9) if numbers else None

    def means(self, name: str) -> str:
        """Better, worse, or maybe chance; "" for a score of which nobody knows."""
        if self.difference is None or name not in KNOWN:
            return ""
        if self.difference == 0:
            return "the same"
        if self.low is not None and self.high is not None and self.low <= 0 <= self.high:
            return "within chance"
        return "**better**" if (self.difference > 0) != (name in LOWER_IS_BETTER) else "**worse**"


KNOWN = LOWER_IS_BETTER | {
    "accuracy", "balanced_accuracy", "roc_auc", "pr_auc", "f1", "precision", "recall", "r2",
}  # fmt: skip


def arrow(difference: float | None) -> str:
    """A difference with the direction in which the number went."""
    if difference is None:
        return ""
    text = signed(difference)
    return f"{'↑' if text[0] == '+' else '↓' if text[0] == '-' else '='} {text}"


def base_name(facts: Facts) -> str:
    """The base, in Markdown."""
    return facts.name if " " in facts.name else code(facts.name)


def watched(facts: Facts) -> str:
    """The score that the headline tells of."""
    data = facts.here.yaml("params.yaml").get("data")
    task = data.get("task") if isinstance(data, dict) else None
    return WATCHED.get(str(task), "roc_auc")


def scores(facts: Facts) -> dict[str, Score]:
    """Every score, with the base's where both were tested on the same rows."""
    ours, theirs = facts.quality(facts.here), facts.quality(facts.base)
    found = {}
    for name, value in ours.items():
        again = facts.rescored.get(name, {})
        other = again.get("base", theirs.get(name) if facts.comparable else None)
        found[name] = Score(value, other, again.get("low"), again.get("high"))
    return found


def gates(facts: Facts, most: int) -> str:
    """Failed ones first; those that passed behind a click."""
    judged = facts.verdict.get("gates") or []
    if not judged:
        why = str(facts.verdict.get("why") or "").split("\n")
        lines, more = cut([one_line(line, 200) for line in why if line], most, "gates.yaml")
        return f"Not judged:\n\n{fence(lines)}{more}" if lines and facts.scored else ""
    heads = ["", "gate", "of", "value", "interval", "limit", "note"]
    bad = [_judged(one) for one in judged if not one.get("passed")]
    good = [_judged(one) for one in judged if one.get("passed")]
    parts = []
    if bad:
        rows, more = cut(bad, most, GATES)
        parts.append(table(heads, rows, [3]) + more)
    if good:
        rows, more = cut(good, most, GATES)
        parts.append(fold(f"{len(good):,} passed", table(heads, rows, [3]) + more))
    return "\n\n".join(parts)


def _judged(one: dict[str, Any]) -> list[str]:
    low, high, note = one.get("low"), one.get("high"), one.get("note")
    return [
        "✅" if one.get("passed") else "❌",
        word(one.get("gate")),
        code(one.get("about")),
        number(one.get("value")),
        f"{number(low)} to {number(high)}" if low is not None and high is not None else "",
        limit(one.get("limit")),
        code(note, 120) if note else "",
    ]


def word(text: Any) -> str:
    """A word of ours as it is, anything else in code."""
    return text if isinstance(text, str) and text.isascii() and text.isalpha() else code(text)


def limit(text: Any) -> str:
    """A limit such as >= 0.75 in signs that do not break apart."""
    if not re.fullmatch(r"[<>]= [\d.e+-]+( and [<>]= [\d.e+-]+)?", str(text)):
        return code(text)
    return str(text).replace(">= ", "≥\u00a0").replace("<= ", "≤\u00a0").replace(" and ", ", ")


def metrics(facts: Facts, most: int) -> str:
    """Every score here and at the base."""
    if not facts.scored:
        return ""
    found = scores(facts)
    first = watched(facts)
    ordered = sorted(found, key=lambda name: name != first)
    compared = any(one.base is not None for one in found.values())
    heads = ["score", "this branch", *([base_name(facts), "change", "interval", ""] * compared)]
    rows = [_score(name, found[name], compared) for name in ordered]
    rows, more = cut(rows, most, QUALITY)
    parts = [table(heads, rows, [1, 2]) + more]
    less = [code(name) for name in ordered if name in LOWER_IS_BETTER]
    notes = [f"Less is better for {', '.join(less)}."] if less else []
    if any(one.low is not None for one in found.values()):
        notes.append("The interval of the change is from resampled test rows; within chance: "
                     "it holds zero.")  # fmt: skip
    if notes:
        parts.append(f"<sub>{' '.join(notes)}</sub>")
    if facts.base and not compared:
        parts.append(_why_not(facts))
    parts.append(_against(facts, most))
    return "\n\n".join(filter(None, parts))


def _score(name: str, one: Score, compared: bool) -> list[str]:
    row = [code(name), number(one.value)]
    if not compared:
        return row
    bounds = one.low is not None and one.high is not None
    interval = f"{signed(one.low)} to {signed(one.high)}" if bounds else ""
    return [*row, number(one.base), arrow(one.difference), interval, one.means(name)]


def _why_not(facts: Facts) -> str:
    if not facts.quality(facts.base):
        return f"No comparison: {code(facts.note or 'the base has no scores', 300)}"
    return (
        f"**Not comparable**: {base_name(facts)} was tested on other rows, and its model was not "
        "scored again on these."
    )


def _against(facts: Facts, most: int) -> str:
    """The baseline of the gates, where that is another commit than the base."""
    baseline = facts.verdict.get("baseline") or {}
    compared = facts.verdict.get("comparison") or {}
    if not compared or facts.rescored:
        return ""
    rows = [
        _score(
            name, Score(one.get("value"), one.get("base"), one.get("low"), one.get("high")), True
        )
        for name, one in compared.items()
    ]
    rows, more = cut(rows, most, GATES)
    heads = ["score", "this branch", "baseline", "change", "interval", ""]
    note = f"\n\n{code(baseline['note'], 300)}" if baseline.get("note") else ""
    what = f"The gates compare with {code(baseline.get('name'))}, on these test rows."
    shown = f"{what}{note}\n\n{table(heads, rows, [1, 2])}{more}"
    return fold("Against the baseline of the gates", shown)
