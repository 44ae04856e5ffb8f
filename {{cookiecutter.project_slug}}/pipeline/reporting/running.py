"""The report's sections about running it: cost, machine, stages, commands that repeat it."""

import json
import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

from pipeline.reporting.charts import FILL, Graph
from pipeline.reporting.compare import flat
from pipeline.reporting.facts import LOG_LINES, Facts
from pipeline.reporting.markdown import (
    code,
    cut,
    fence,
    fold,
    number,
    one_line,
    real,
    table,
    visible,
)
from pipeline.reporting.results import base_name
from pipeline.reporting.steps import Step

COST = "metrics/cost.json"
MACHINE = "machine.yaml"
LINE = 300  # characters of a line of the log


def cost(facts: Facts, most: int) -> str:
    """Latency, size, memory; seconds and money."""
    times = _time(facts)
    if not facts.scored:
        return fold("<b>Cost</b>", times) if times else ""
    ours = flat({k: v for k, v in facts.here.json(COST).items() if k != "seconds"})
    theirs = flat(facts.base.json(COST)) if facts.base else {}
    rows = [
        [
            code(name.removeprefix("latency_ms.").replace(".", ", ")),
            _unit(name, ours[name]),
            *(
                [_unit(name, theirs.get(name)), _share(ours[name], theirs.get(name))]
                if theirs
                else []
            ),
        ]
        for name in ours
    ]
    heads = ["", "this branch", *([base_name(facts), "change"] if theirs else [])]
    shown, more = cut(rows, most, COST)
    noise = "<sub>Times and memory depend on the machine and what else it does.</sub>"
    parts = [table(heads, shown, [1, 2, 3]) + more, noise] if rows else []
    text = "\n\n".join(filter(None, [*parts, times]))
    return fold(f"<b>Cost</b>{_brief(facts)}", text) if text else ""


def _brief(facts: Facts) -> str:
    """The cost in a few numbers, as HTML."""
    content = flat(facts.here.json(COST))
    row: Any = content.get("latency_ms.single_row.p50")
    size: Any = content.get("model_bytes")
    ran = sum(step.seconds or 0 for step in facts.steps if step.state == "ran")
    says = [f"{number(row, 2)} ms per row"] if real(row) else []
    says += [f"{number(size / 1e6, 2)} MB"] if real(size) else []
    says += [f"{ran:,.0f} s to make"] if ran else []
    return f": {', '.join(says)}" if says else ""


def _unit(name: str, value: Any) -> str:
    if not real(value):
        return ""
    if name.startswith("latency_ms"):
        return f"{number(value, 2)} ms"
    if name.endswith("bytes"):
        return f"{number(value / 1e6, 2)} MB"
    return f"{number(value)} MB" if name.endswith("_mb") else number(value)


def _share(now: Any, before: Any) -> str:
    if not real(now) or not real(before) or not before:
        return ""
    share = round(100 * (now / before - 1))
    return "=" if share == 0 else f"{'+' if share > 0 else '-'}{abs(share):,} %"


def _time(facts: Facts) -> str:
    """Seconds of the stages that ran, on which machine, and for how much."""
    ran = [step for step in facts.steps if step.state == "ran" and step.seconds is not None]
    if not ran:
        stopped = facts.failed is not None
        return "" if stopped else "No stage ran for this report: every result was there already."
    total = sum(step.seconds or 0 for step in ran)
    each = ", ".join(f"{code(step.name)} {step.seconds:,.1f} s" for step in ran)
    says = f"Ran: {each}; {total:,.1f} s in all on {machine(facts)}."
    price = facts.here.yaml(MACHINE).get("price_per_hour")
    if real(price) and price:
        says += f" At {price:g} USD per hour: **{price * total / 3600:,.4f} USD**, start-up aside."
    return says


def machine(facts: Facts) -> str:
    """Where the stages ran."""
    declared = facts.here.yaml(MACHINE)
    use = declared.get("use")
    about = declared.get(use) if isinstance(use, str) else None
    kind = about.get("type") or about.get("runs_on") if isinstance(about, dict) else None
    where = "this computer"
    if os.environ.get("GITHUB_ACTIONS") == "true":
        where = code(f"{use or 'GitHub'}{f': {kind}' if kind else ''}")
    parts = [f"{os.cpu_count() or 1} cores", platform.machine(), *_gpu()]
    return f"{where} ({', '.join(code(part) for part in parts)})"


def _gpu() -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    ask = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return list(dict.fromkeys(done.stdout.split("\n")[:-1])) if not done.returncode else []


def graph(facts: Facts) -> Graph | None:
    """The stages, with what became of them."""
    return Graph(facts.steps[:40]) if facts.steps else None


def stages(facts: Facts, drawn: str, most: int) -> str:
    """The graph, drawn already, and why stages did not run, if any."""
    ran = sum(step.state == "ran" for step in facts.steps)
    late = [[code(s.name), code(s.why, 160)] for s in facts.steps if s.why]
    shown, more = cut(late, most, "dvc status")
    why = table(["stage", "why it has no result"], shown) + more if late else ""
    text = "\n\n".join(filter(None, [drawn, legend(facts.steps), why]))
    summary = f"<b>Pipeline</b>: {ran:,} of {len(facts.steps):,} stages ran"
    summary += ", 1 failed" if facts.failed and facts.log else ""
    return fold(summary, text) if facts.steps else ""


def log(facts: Facts) -> str:
    """The end of what the failed stage printed."""
    lines = [line for line in facts.log if line.strip()][-LOG_LINES:]
    return fence(visible(line.expandtabs(4))[:LINE] for line in lines) if lines else ""


def reproduce(facts: Facts, most: int) -> str:
    """Commands to run this again, and to take the results over."""
    sha, branch = _head()
    if not sha:
        return ""
    lines = [
        "git fetch origin",
        f"git checkout {sha}",
        "pip install -r requirements.txt",
        "dvc pull --run-cache    # data, and results that are known",
        "dvc repro --pull        # runs what is not",
        "python -m pipeline.report",
    ]
    text = fence(lines, "bash")
    if facts.changed:
        names = ", ".join(code(path) for path in facts.changed[: min(5, most)])
        text = f"With changes that are not committed: {names}.\n\n{text}"
    if not facts.scored:
        return fold("<b>Do it again</b>", text)
    take = [
        f"git checkout {shlex.quote(one_line(branch, 200))} && git pull",
        "dvc pull --run-cache && dvc repro --pull    # fetches what CI has trained, trains nothing",
        "git add dvc.lock metrics plots reports && git commit -m 'Results' && git push",
    ]
    text = f"{text}\n\nTo take these results into the branch:\n\n{fence(take, 'bash')}"
    return fold("<b>Do it again</b>", text)


def _head() -> tuple[str, str]:
    """The commit and the branch that was pushed: CI checks out a merge that nobody has."""
    try:
        event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
        head = event["pull_request"]["head"]
        return _hex(head["sha"]), str(head["ref"])
    except (KeyError, OSError, TypeError, ValueError):
        pass
    here = [_git("rev-parse", "HEAD"), _git("rev-parse", "--abbrev-ref", "HEAD")]
    branch = os.environ.get("GITHUB_REF_NAME") or here[1]
    return _hex(here[0]), "BRANCH" if branch in ("HEAD", "") else branch


def _hex(sha: str) -> str:
    return sha if sha and all(c in "0123456789abcdef" for c in sha) else ""


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if not done.returncode else ""


def legend(steps: list[Step]) -> str:
    """What the colours of the graph mean."""
    words = {
        "ran": "green: ran here", "fetched": "purple: taken from the cache",
        "unchanged": "grey: unchanged", "failed": "red: failed", "waits": "brown: not reached",
    }  # fmt: skip
    used = [words[state] for state in FILL if any(step.state == state for step in steps)]
    return f"{used[0][0].upper()}{'; '.join(used)[1:]}." if used else ""
