"""The report's section about cost: latency, size, memory, seconds, money."""

import os
import platform
import shutil
import subprocess
from typing import Any

from core.markdown import code, fold, is_finite, number, table, truncate
from core.paths import COST, MACHINE
from ops.report.context import Facts
from ops.report.scores import base_name
from ops.snapshot import flat


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
    shown, more = truncate(rows, most, COST)
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
    parts = [f"{number(row, 2)} ms per row"] if is_finite(row) else []
    parts += [f"{number(size / 1e6, 2)} MB"] if is_finite(size) else []
    parts += [f"{ran:,.0f} s to make"] if ran else []
    return f": {', '.join(parts)}" if parts else ""


def _unit(name: str, value: Any) -> str:
    if not is_finite(value):
        return ""
    if name.startswith("latency_ms"):
        return f"{number(value, 2)} ms"
    if name.endswith("bytes"):
        return f"{number(value / 1e6, 2)} MB"
    return f"{number(value)} MB" if name.endswith("_mb") else number(value)


def _share(now: Any, before: Any) -> str:
    if not is_finite(now) or not is_finite(before) or not before:
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
    text = f"Ran: {each}; {total:,.1f} s in all on {machine(facts)}."
    price = facts.here.yaml(MACHINE).get("price_per_hour")
    if is_finite(price) and price:
        text += f" At {price:g} USD per hour: **{price * total / 3600:,.4f} USD**, start-up aside."
    return text


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
