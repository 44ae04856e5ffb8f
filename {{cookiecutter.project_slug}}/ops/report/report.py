"""Tell what this branch changes and whether its model may be promoted, for a pull request."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from core.files import replacing
from core.markdown import Part, code, fit, fold, is_finite, number, one_line, signed
from core.paths import SLICES
from ops.report import changes, context, cost, details, log, mermaid, reproduce, scores, stages
from ops.report.context import Facts
from ops.report.mermaid import Chart
from pipeline.metrics import METRICS

REPORT = Path("reports/report.md")
DIGITS = 3  # of the score in the headline
Section = Callable[[Facts, int], str]


class Charts(NamedTuple):
    """What could be drawn, and a line for each chart that could not, why."""

    drawn: list[Chart]
    failures: list[str]


def headline(facts: Facts) -> str:
    """The verdict in words, and why."""
    verdict, failed = facts.verdict.get("verdict"), facts.failed
    if failed and facts.findings:
        first, n = facts.findings[0], len(facts.findings)
        where = f"{code(first.get('column'))}, " if first.get("column") else ""
        what = f"{where}{code(first.get('check'))} in {number(first.get('count'))} rows"
        more = f", and {n - 1:,} more" if n > 1 else ""
        return f"### ❌ Data refused: {what}{more}"
    if failed and not facts.here.lock:
        return "### ⚠️ Not trained yet: run `dvc repro`"
    if failed and not facts.log:
        return f"### ⚠️ Out of date: stage {code(failed.name)} has not run with these inputs"
    if failed:
        return f"### ❌ Training failed: stage {code(failed.name)}{_last(facts)}"
    if facts.error:
        return f"### ❌ The pipeline did not run: {code(facts.error, 200)}"
    score = _score(facts)
    if verdict == "passed":
        return f"### ✅ Passed: may be promoted.{score}"
    bad = [one for one in facts.verdict.get("gates") or [] if not one.get("passed")]
    if verdict == "refused" and bad:
        more = f", and {len(bad) - 1:,} more" if len(bad) > 1 else ""
        about_it = scores.headline_metric(facts) in str(bad[0].get("about"))
        shown = "" if about_it or not score else f".{score}"
        return f"### ❌ Refused: {_reason(bad[0])}{more}{shown}"
    why = code((facts.verdict.get("why") or "the gates say nothing").split("\n")[0], 200)
    return f"### ⚠️ Could not judge: {why}.{score}"


def _last(facts: Facts) -> str:
    """What the stage itself printed last."""
    message = log.last_message(facts.log)
    return f", {code(message, 200)}" if message else ""


def _reason(one: dict[str, Any]) -> str:
    """A gate that failed, as half a sentence."""
    text = f"{scores.word(one.get('gate'))}, {code(one.get('about'))} {number(one.get('value'))}"
    low, high = one.get("low"), one.get("high")
    if low is not None and high is not None:
        text += f" ({number(low)} to {number(high)})"
    return f"{text}, limit {scores.limit(one.get('limit'))}"


def _score(facts: Facts) -> str:
    """The headline metric, and its change."""
    name = scores.headline_metric(facts)
    one = scores.scores(facts).get(name) if facts.scored else None
    if one is None or not is_finite(one.value):
        return ""
    text = f" {METRICS[name].title} {number(one.value, DIGITS)}"
    if one.difference is not None:
        text += f", {signed(one.difference, DIGITS)} against {scores.base_name(facts)}"
        text += " (within chance)" if one.means(name) == "within chance" else ""
    return text


def summary(facts: Facts) -> str:
    """What it is compared with, and what has changed."""
    parts = []
    judged = facts.verdict.get("gates") or []
    bad = sum(not one.get("passed") for one in judged)
    if judged:
        total = f"{len(judged):,} gates"
        parts.append(f"{bad:,} of {total} failed." if bad else f"All {total} passed.")
    if facts.base:
        names = [code(name) for name in changes.changed(facts)]
        listed = ", ".join(names[:4]) + (f" and {len(names) - 4:,} more" if len(names) > 4 else "")
        parts.append(f"Changed: {listed}." if names else "No input of the pipeline has changed.")
        gone = f", which has gone on by {facts.behind:,} since" if facts.behind else ""
        at = f"{scores.base_name(facts)} at {code(facts.sha[:9])}"
        parts.append(f"Compared with {at}{gone}{_rows(facts)}.")
    if facts.note:
        parts.append(f"{'' if facts.base else 'Not compared: '}{code(facts.note, 300)}.")
    return " ".join(parts)


def _rows(facts: Facts) -> str:
    n = facts.verdict.get("rows") or facts.here.json(SLICES).get("rows")
    if not facts.scored or not is_finite(n):
        return ""
    if facts.comparable:
        return f", on the same {number(n)} test rows"
    if facts.rescored:
        return f", whose model was scored again on these {number(n)} test rows"
    return "; it was tested on other rows" if facts.base and facts.base.lock else ""


def charts(facts: Facts) -> Charts:
    """The charts of what there is; one that cannot be drawn leaves a line instead."""
    trained = facts.state("train") not in ("failed", "waits")
    base = facts.base if facts.comparable else None
    makers: dict[str, Callable[[], Chart | None]] = {
        "training": lambda: mermaid.training(facts.here) if trained else None
    }
    if facts.scored:
        makers |= {
            "roc": lambda: mermaid.roc(facts.here, base, scores.base_name(facts)),
            "calibration": lambda: mermaid.calibration(facts.here),
            "predicted": lambda: mermaid.predicted(facts.here),
        }
    result = Charts([], [])
    for name, make in makers.items():
        try:
            chart = make()
        except Exception as error:
            result.failures.append(f"The chart {name} {_not_shown(error)}")
        else:
            result.drawn.extend([chart] if chart else [])
    return result


def render(facts: Facts, *, page: bool = False) -> str:
    """The report in Markdown, always short enough for a comment.

    For the HTML `page`, which Mermaid does not draw, without charts and with the stages as a table.
    """
    graph = "" if page else _safely(mermaid.graph, facts.steps)
    sections: list[tuple[str, Section, int]] = [
        ("What is wrong", _wrong, 99),
        ("Gates", scores.gates, 90),
        ("Scores", scores.metrics, 80),
        ("What changed", changes.settings, 70),
        ("Data", changes.data, 60),
        ("Critical cases", details.cases, 50),
        ("Groups", details.slices, 40),
        ("", lambda f, _: "" if page else _charts(charts(f)), 20),
        ("", details.confusion, 30),
        ("", cost.cost, 45),
        ("", lambda f, n: stages.section(f.steps, graph, bool(f.failed and f.log), n), 35),
        ("", reproduce.reproduce, 55),
    ]
    parts = [
        Part(title, lambda n, make=make: _safely(make, facts, n), weight)  # type: ignore[misc]
        for title, make, weight in sections
    ]
    head = f"{_safely(headline, facts)}\n\n{_safely(summary, facts)}".strip()
    return fit(head, parts)


def _safely(make: Callable[..., Any], *about: Any) -> Any:
    """What one section has to tell. Whatever is wrong with its files, the others are written."""
    try:
        return make(*about)
    except Exception as error:
        return f"This {_not_shown(error)}"


def _not_shown(error: Exception) -> str:
    return f"could not be shown: {code(f'{type(error).__name__}: {error}', 300)}"


def _wrong(facts: Facts, rows: int) -> str:
    """The findings about the data, or the end of the log."""
    if not facts.failed and not facts.error:
        return ""
    return changes.findings(facts, rows) or log.section(facts.log)


def _charts(result: Charts) -> str:
    shown = [f"{one.legend()}\n\n{mermaid.mermaid(one)}" for one in result.drawn]
    names = [one.title.lower() if one.title != "ROC" else "ROC" for one in result.drawn]
    folded = [fold(f"<b>Charts</b>: {', '.join(names)}", "\n\n".join(shown))] if shown else []
    return "\n\n".join([*folded, *result.failures])


def document(facts: Facts, file: Path) -> dict[str, Any]:
    """The report as a JSON document; a score that is no finite number is null."""
    listed = scores.scores(facts) if facts.scored else {}
    numbers = {
        name: {key: x if is_finite(x) else None for key, x in score._asdict().items()}
        | {"difference": score.difference, "change": score.means(name).strip("*")}
        for name, score in listed.items()
    }
    return {
        "verdict": facts.verdict.get("verdict") or "could not judge",
        "headline": _safely(headline, facts).removeprefix("### "),
        "base": {"name": facts.name, "commit": facts.sha} if facts.base else None,
        "not_compared": _safely(scores.not_compared, facts) or None,
        "scores": numbers,
        "changes": changes.changed(facts),
        "file": str(file),
    }


def main(
    base: str | None = None,
    html_page: bool = False,
    output: Path = REPORT,
    log: Path | None = None,
    as_json: bool = False,
) -> None:
    """`ml report`: exit 0 once it is written, whatever it says."""
    facts = context.gather(base, log, _judge)
    text = render(facts)
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    lines = [text.split("\n", 1)[0], str(output)]
    if why := _safely(scores.not_compared, facts):
        lines.insert(1, f"Not compared: {one_line(why, 300)}")
    if html_page:
        from ops.report import html

        page = output.with_suffix(".html")
        html.write(render(facts, page=True), facts, page)
        lines.append(page.resolve().as_uri())
    if as_json:
        lines = [json.dumps(document(facts, output), indent=2, ensure_ascii=False)]
    print("\n".join(lines))


def _judge() -> dict[str, Any]:
    from ops.gates import gate  # PyTorch, which takes a second: only where there is a model

    return gate.judge()
