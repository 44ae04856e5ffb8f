"""Tell what this branch changes and whether its model may be promoted, for a pull request."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import stage
from pipeline.reporting import charts, details, facts, inputs, results, running
from pipeline.reporting.charts import Chart, Graph
from pipeline.reporting.facts import Facts
from pipeline.reporting.markdown import Part, code, fit, fold, number, real, signed

REPORT = Path("reports/report.md")
TITLES = {"roc_auc": "ROC AUC", "accuracy": "Accuracy", "r2": "R²"}
DIGITS = 3  # of the score in the headline
Section = Callable[[Facts, int], str]


def headline(found: Facts) -> str:
    """The verdict in words, and why."""
    verdict, failed = found.verdict.get("verdict"), found.failed
    if failed and found.findings:
        first, n = found.findings[0], len(found.findings)
        where = f"{code(first.get('column'))}, " if first.get("column") else ""
        what = f"{where}{code(first.get('check'))} in {number(first.get('count'))} rows"
        more = f", and {n - 1:,} more" if n > 1 else ""
        return f"### ❌ Data refused: {what}{more}"
    if failed and not found.here.lock:
        return "### ⚠️ Not trained yet: run `dvc repro`"
    if failed and not found.log:
        return f"### ⚠️ Out of date: stage {code(failed.name)} has not run with these inputs"
    if failed:
        return f"### ❌ Training failed: stage {code(failed.name)}{_last(found.log)}"
    if found.error:
        return f"### ❌ The pipeline did not run: {code(found.error, 200)}"
    score = _score(found)
    if verdict == "passed":
        return f"### ✅ Passed: may be promoted.{score}"
    bad = [one for one in found.verdict.get("gates") or [] if not one.get("passed")]
    if verdict == "refused" and bad:
        more = f", and {len(bad) - 1:,} more" if len(bad) > 1 else ""
        told = "" if results.watched(found) in str(bad[0].get("about")) else f".{score}"
        return f"### ❌ Refused: {_reason(bad[0])}{more}{told if score else ''}"
    why = code((found.verdict.get("why") or "the gates say nothing").split("\n")[0], 200)
    return f"### ⚠️ Could not judge: {why}.{score}"


def _last(log: list[str]) -> str:
    """What the stage itself said last."""
    said = [line for line in log if line.strip() and not line.startswith("ERROR: ")]
    return f", {code(said[-1], 200)}" if said else ""


def _reason(one: dict[str, Any]) -> str:
    """A gate that failed, as half a sentence."""
    says = f"{results.word(one.get('gate'))}, {code(one.get('about'))} {number(one.get('value'))}"
    low, high = one.get("low"), one.get("high")
    if low is not None and high is not None:
        says += f" ({number(low)} to {number(high)})"
    return f"{says}, limit {results.limit(one.get('limit'))}"


def _score(found: Facts) -> str:
    """The watched score, and by how much it moved."""
    name = results.watched(found)
    one = results.scores(found).get(name) if found.scored else None
    if one is None or not real(one.value):
        return ""
    says = f" {TITLES.get(name, name)} {number(one.value, DIGITS)}"
    if one.difference is not None:
        says += f", {signed(one.difference, DIGITS)} against {results.base_name(found)}"
        says += " (within chance)" if one.means(name) == "within chance" else ""
    return says


def context(found: Facts) -> str:
    """What it is compared with, and what has changed."""
    says = []
    judged = found.verdict.get("gates") or []
    bad = sum(not one.get("passed") for one in judged)
    if judged:
        total = f"{len(judged):,} gates"
        says.append(f"{bad:,} of {total} failed." if bad else f"All {total} passed.")
    if found.base:
        moved = inputs.changed(found)
        listed = ", ".join(moved[:4]) + (f" and {len(moved) - 4:,} more" if len(moved) > 4 else "")
        says.append(f"Changed: {listed}." if moved else "No input of the pipeline has changed.")
        gone = f", which has gone on by {found.behind:,} since" if found.behind else ""
        says.append(f"Compared with {results.base_name(found)} at {code(found.sha[:9])}{gone}"
                    f"{_rows(found)}.")  # fmt: skip
    if found.note:
        says.append(f"{'' if found.base else 'Not compared: '}{code(found.note, 300)}.")
    return " ".join(says)


def _rows(found: Facts) -> str:
    n = found.verdict.get("rows") or found.here.json("reports/slices.json").get("rows")
    if not found.scored or not real(n):
        return ""
    if found.comparable:
        return f", on the same {number(n)} test rows"
    if found.rescored:
        return f", whose model was scored again on these {number(n)} test rows"
    return "; it was tested on other rows" if found.base and found.base.lock else ""


def drawings(found: Facts) -> dict[str, Chart | Graph]:
    """The charts that can be drawn from what there is, by name."""
    trained = found.state("train") not in ("failed", "waits")
    beside = found.base if found.comparable else None
    listed: dict[str, Chart | Graph | None] = {
        "training": charts.training(found.here) if trained else None,
        "roc": charts.roc(found.here, beside, results.base_name(found)),
        "calibration": charts.calibration(found.here),
        "predicted": charts.predicted(found.here),
        "graph": running.graph(found),
    }
    scored = ("roc", "calibration", "predicted")
    return {k: v for k, v in listed.items() if v and (found.scored or k not in scored)}


def render(found: Facts) -> tuple[str, dict[str, Chart | Graph]]:
    """The report in Markdown, always short enough for a comment, and its drawings."""
    drawn = _safely(drawings, found)
    drawn = drawn if isinstance(drawn, dict) else {}
    graph = charts.mermaid(drawn["graph"]) if "graph" in drawn else ""
    sections: list[tuple[str, Section, int]] = [
        ("What is wrong", _wrong, 99),
        ("Gates", results.gates, 90),
        ("Scores", results.metrics, 80),
        ("What changed", inputs.settings, 70),
        ("Data", inputs.data, 60),
        ("Critical cases", details.cases, 50),
        ("Groups", details.slices, 40),
        ("", lambda *_: _charts(drawn), 20),
        ("", details.confusion, 30),
        ("", running.cost, 45),
        ("", lambda f, rows: running.stages(f, graph, rows), 35),
        ("", running.reproduce, 55),
    ]
    parts = [
        Part(title, lambda n, make=make: _safely(make, found, n), weight)  # type: ignore[misc]
        for title, make, weight in sections
    ]
    head = f"{_safely(headline, found)}\n\n{_safely(context, found)}".strip()
    return fit(head, parts), drawn


def _safely(make: Callable[..., Any], *about: Any) -> Any:
    """What one section has to say. Whatever is wrong with its files, the others are written."""
    try:
        return make(*about)
    except Exception as error:
        return f"Could not be shown: {code(f'{type(error).__name__}: {error}', 300)}"


def _wrong(found: Facts, rows: int) -> str:
    """The findings about the data, or the end of the log."""
    if not found.failed and not found.error:
        return ""
    return inputs.findings(found, rows) or running.log(found)


def _charts(drawn: dict[str, Chart | Graph]) -> str:
    listed = [one for one in drawn.values() if isinstance(one, Chart)]
    shown = [f"{one.legend()}\n\n{charts.mermaid(one)}" for one in listed]
    names = ", ".join(one.title.lower() if one.title != "ROC" else "ROC" for one in listed)
    return fold(f"<b>Charts</b>: {names}", "\n\n".join(shown)) if shown else ""


def main() -> None:
    """`python -m pipeline.report`: exit 0 once it is written, whatever it tells."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.report", description=__doc__)
    parser.add_argument(
        "--base", metavar="REV", help="compare with where this branch left it; default: origin/main"
    )
    parser.add_argument("--html", action="store_true", help="also as a page to look at")
    parser.add_argument("--output", metavar="FILE", type=Path, default=REPORT)
    parser.add_argument("--log", metavar="FILE", type=Path, help="what `dvc repro` printed")
    args = parser.parse_args()
    text, drawn = render(facts.gather(args.base, args.log, _judge))
    with stage.replacing(args.output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text.split("\n", 1)[0])
    print(args.output)
    if args.html:
        from pipeline.reporting import page

        file = page.write(text, drawn, args.output.with_suffix(".html"))
        print(file.resolve().as_uri())


def _judge() -> dict[str, Any]:
    from pipeline import gate  # PyTorch, which takes a second: only where there is a model

    return gate.judge()


if __name__ == "__main__":
    stage.run("report", main)
