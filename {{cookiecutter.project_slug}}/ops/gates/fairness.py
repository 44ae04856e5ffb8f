"""The gate on the groups of protected attributes: gaps between them, and the worst one."""

from collections.abc import Iterator
from typing import Any

from core.errors import Problem, nearest
from core.paths import GATES, SLICES
from ops.gates.context import Evidence, Judgement, number
from ops.gates.gates_yaml import Gates, Limit
from ops.gates.thresholds import signs, within


def fairness(asked: Gates, evidence: Evidence) -> Iterator[Judgement]:
    """The largest gap between the groups of an attribute, and its worst group."""
    assert asked.fairness != "off"
    slices = evidence.slices.get("slices")
    known: dict[str, Any] = slices if isinstance(slices, dict) else {}
    for attribute, limits in asked.fairness.items():
        where = f"{GATES}: fairness.{attribute}"
        if attribute not in known:
            raise Problem(
                f"{where}: {SLICES} has no such attribute{nearest(attribute, known)}; "
                "data.protected in params.yaml names them",
            )
        rows = {
            group: number(one, "rows", f"{SLICES}: {group}")
            for group, one in known[attribute].items()
        }
        groups = {
            group: known[attribute][group] for group in rows if rows[group] >= limits.min_rows
        }
        if len(groups) < 2:
            raise Problem(f"{where}: fewer than two groups have {limits.min_rows} rows")
        small = sorted(rows.keys() - groups.keys())
        left = f"; not judged, under {limits.min_rows} rows: {', '.join(small)}" if small else ""
        for name, most in limits.max_gap.items():
            values = _of_groups(groups, name, f"{where}.max_gap.{name}")
            lowest, highest = (
                min(values, key=values.__getitem__),
                max(values, key=values.__getitem__),
            )
            gap = values[highest] - values[lowest]
            note = f"{lowest} {values[lowest]:.3f}, {highest} {values[highest]:.3f}{left}"
            about = f"{attribute}: gap in {name}"
            yield Judgement("fairness", about, gap, signs(None, most), gap <= most, note=note)
        for name, limit in (limits.worst or {}).items():
            values = _of_groups(groups, name, f"{where}.worst.{name}")
            for pick, bound in ((min, limit.min), (max, limit.max)):
                if bound is None:
                    continue
                worst = pick(values, key=values.__getitem__)
                one = Limit(min=bound) if pick is min else Limit(max=bound)
                yield Judgement(
                    "fairness",
                    f"{attribute}: worst {name}",
                    values[worst],
                    signs(one.min, one.max),
                    within(one, values[worst], values[worst]),
                    note=f"{worst}{left}",
                )


def _of_groups(groups: dict[str, Any], name: str, where: str) -> dict[str, float]:
    return {
        group: number(one, name, f"{where}: {SLICES}: {group}") for group, one in groups.items()
    }
