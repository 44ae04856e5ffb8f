"""The report's sections about the model as a whole: gates and scores."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from core.markdown import code, fence, fold, is_finite, number, one_line, signed, table, truncate
from core.paths import GATES, PARAMS, QUALITY, VERDICT
from ops.dvc_lock import at_key
from ops.report.context import Facts
from pipeline.metrics import BINARY, METRICS, headline, lower_is_better, of_task


class Score(NamedTuple):
    """A score here and at the base, with the bounds of the difference where they are known."""

    value: Any
    base: Any
    low: float | None = None
    high: float | None = None

    @property
    def difference(self) -> float | None:
        """None where it means nothing."""
        numbers = is_finite(self.value) and is_finite(self.base)
        return round(self.value - self.base, 9) if numbers else None

    def means(self, name: str) -> str:
        """Better, worse, or maybe chance; "" for a score of which nobody knows."""
        if self.difference is None or name not in METRICS:
            return ""
        if self.difference == 0:
            return "the same"
        if self.low is not None and self.high is not None and self.low <= 0 <= self.high:
            return "within chance"
        return "**better**" if (self.difference > 0) != lower_is_better(name) else "**worse**"


def arrow(difference: float | None) -> str:
    """A difference with the direction in which the number went."""
    if difference is None:
        return ""
    text = signed(difference)
    return f"{'↑' if text[0] == '+' else '↓' if text[0] == '-' else '='} {text}"


def base_name(facts: Facts) -> str:
    """The base, in Markdown."""
    return facts.name if " " in facts.name else code(facts.name)


def headline_metric(facts: Facts) -> str:
    """The metric in the headline."""
    task = at_key(facts.here.yaml(PARAMS), "data.task")
    return headline(task if of_task(str(task)) else BINARY).name


def scores(facts: Facts) -> dict[str, Score]:
    """Every score, with the base's where both were tested on the same rows."""
    ours, theirs = facts.quality(facts.here), facts.quality(facts.base)
    compared = {}
    for name, value in ours.items():
        again = facts.rescored.get(name, {})
        other = again.get("base", theirs.get(name) if facts.comparable else None)
        compared[name] = Score(value, other, again.get("low"), again.get("high"))
    return compared


def gates(facts: Facts, most: int) -> str:
    """Failed ones first; those that passed behind a click."""
    judged = facts.verdict.get("gates") or []
    if not judged:
        why = str(facts.verdict.get("why") or "").split("\n")
        lines, more = truncate([one_line(line, 200) for line in why if line], most, GATES)
        return f"Not judged:\n\n{fence(lines)}{more}" if lines and facts.scored else ""
    heads = ["", "gate", "of", "value", "interval", "limit", "note"]
    bad = [_judged(one) for one in judged if not one.get("passed")]
    good = [_judged(one) for one in judged if one.get("passed")]
    parts = []
    if bad:
        rows, more = truncate(bad, most, VERDICT)
        parts.append(table(heads, rows, [3]) + more)
    if good:
        rows, more = truncate(good, most, VERDICT)
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
    listed = scores(facts)
    first = headline_metric(facts)
    ordered = sorted(listed, key=lambda name: name != first)
    compared = any(one.base is not None for one in listed.values())
    heads = ["score", "this branch", *([base_name(facts), "change", "interval", ""] * compared)]
    rows = [_score(name, listed[name], compared) for name in ordered]
    rows, more = truncate(rows, most, QUALITY)
    parts = [table(heads, rows, [1, 2]) + more]
    less = [code(name) for name in ordered if lower_is_better(name)]
    notes = [f"Less is better for {', '.join(less)}."] if less else []
    if any(one.low is not None for one in listed.values()):
        notes.append(
            "The interval of the change is from resampled test rows; within chance: it holds zero."
        )
    if notes:
        parts.append(f"<sub>{' '.join(notes)}</sub>")
    if facts.base and not compared:
        parts.append(f"**Not compared**: {not_compared(facts, lambda text: code(text, 300))}.")
    parts.append(_against(facts, most))
    return "\n\n".join(filter(None, parts))


def _score(name: str, one: Score, compared: bool) -> list[str]:
    row = [code(name), number(one.value)]
    if not compared:
        return row
    bounds = one.low is not None and one.high is not None
    interval = f"{signed(one.low)} to {signed(one.high)}" if bounds else ""
    return [*row, number(one.base), arrow(one.difference), interval, one.means(name)]


def not_compared(facts: Facts, show: Callable[[str], str] = str) -> str:
    """Why the scores here stand alone; "" where they do not. `show` makes names fit the text."""
    if facts.base is None:
        return show(facts.note)
    if not facts.scored or any(one.base is not None for one in scores(facts).values()):
        return ""
    if not facts.quality(facts.base):
        return show(facts.note or f"{facts.name} has no scores")
    return (
        f"{show(facts.name)} was tested on other rows, and its model was not scored again on these"
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
    rows, more = truncate(rows, most, VERDICT)
    heads = ["score", "this branch", "baseline", "change", "interval", ""]
    note = f"\n\n{code(baseline['note'], 300)}" if baseline.get("note") else ""
    what = f"The gates compare with {code(baseline.get('name'))}, on these test rows."
    shown = f"{what}{note}\n\n{table(heads, rows, [1, 2])}{more}"
    return fold("Against the baseline of the gates", shown)
