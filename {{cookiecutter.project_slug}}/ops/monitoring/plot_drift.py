"""A sheet of pictures: every column of the reference and of the live data beside each other."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from core.files import replacing
from core.pictures import BLUE, GREY, ORANGE

ACROSS = 4
MOST = 60  # pictures; of more columns, those that have drifted furthest
LABELS = 8  # at most, below one picture


def sheet(report: dict[str, Any], path: Path) -> None:
    """Draw the columns of `drift.measure`, those that drifted first; a PNG."""
    ranked = sorted(report["columns"].items(), key=_far)
    shown = ranked[:MOST]
    down = max(1, -(-len(shown) // ACROSS))
    figure = Figure(figsize=(3.6 * ACROSS, 2.6 * down + 0.6), dpi=90, layout="constrained")
    left = f", {len(ranked) - len(shown)} more not drawn" if len(ranked) > len(shown) else ""
    against = report["reference"]
    figure.suptitle(
        f"{report['rows']:,} live rows beside {against['rows']:,} of {against['name']}{left}",
        fontsize=13,
    )
    for i, (name, row) in enumerate(shown):
        axes = figure.add_subplot(down, ACROSS, i + 1)
        _draw(axes, name, row)
        if not i:
            axes.legend(fontsize=7, frameon=False)
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _far(one: tuple[str, dict[str, Any]]) -> tuple[bool, float]:
    return not one[1]["drift"], -one[1]["psi"] / one[1]["limit"]


def _draw(axes: Axes, name: str, row: dict[str, Any]) -> None:
    before, after = np.array(row["before"]), np.array(row["after"])
    used = np.flatnonzero(before + after)
    places = np.arange(len(used))
    for counts, shift, colour, label in (
        (before, -0.2, GREY, "reference"),
        (after, 0.2, ORANGE if row["drift"] else BLUE, "live"),
    ):
        axes.bar(
            places + shift, counts[used] / max(1, counts.sum()), 0.4, color=colour, label=label
        )
    title = f"{_plain(name, 22)}   psi {row['psi']:.3g}{'   drift' if row['drift'] else ''}"
    axes.set_title(title, fontsize=9, color=ORANGE if row["drift"] else "black")
    step = -(-len(used) // LABELS)
    labelled = [i for i in places if not i % step or used[i] == len(before) - 1]
    names = [_plain(row["bins"][used[i]], 14) for i in labelled]
    axes.set_xticks(labelled, names, rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(labelsize=6.5)
    axes.spines[["top", "right"]].set_visible(False)


def _plain(text: str, most: int) -> str:
    """Somebody's words as they are: a dollar sign starts no formula."""
    return text[:most].replace("$", r"\$")
