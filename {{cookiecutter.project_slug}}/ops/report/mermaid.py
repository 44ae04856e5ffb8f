"""The report's charts and its graph of the stages, a few numbers each, as GitHub draws them."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from core.errors import Problem
from core.markdown import fence
from core.paths import TEST_PLOTS, TRAINING_CURVE
from ops.report.stages import State, Step, status
from ops.snapshot import Snapshot

POINTS = 41  # of a curve
STAGES = 40  # of a graph
BARS = 15
COLOURS = {"blue": "#4184e4", "orange": "#e0823d", "grey": "#8b949e"}  # on white and on black
FILL: dict[State, str] = {
    "ran": "#1a7f37",
    "fetched": "#8250df",
    "unchanged": "#6e7781",
    "failed": "#cf222e",
    "waits": "#9a6700",
}
Numbers = list[float]


class Line(NamedTuple):
    """A line, or bars, one value per point of the chart's x."""

    means: str
    colour: str
    values: Numbers
    bars: bool = False


class Chart(NamedTuple):
    """`x` is (low, high), between which the points lie evenly, or a label per point."""

    title: str
    x_title: str
    y_title: str
    x: tuple[float, float] | list[str]
    y: tuple[float, float]
    lines: list[Line]

    def legend(self) -> str:
        """Which colour means what: Mermaid's charts do not say."""
        text = ", ".join(f"{line.colour}: {line.means}" for line in self.lines[::-1])
        return f"**{self.title}** ({text})"


def mermaid(chart: Chart) -> str:
    """A fence that GitHub draws, legible on white and on black."""
    palette = ", ".join(COLOURS[line.colour] for line in chart.lines)
    theme = f'{{"xyChart": {{"backgroundColor": "transparent", "plotColorPalette": "{palette}"}}}}'
    axis = '{"labelFontSize": 12, "titleFontSize": 14}'
    size = f'{{"width": 720, "height": 320, "xAxis": {axis}, "yAxis": {axis}}}'
    if isinstance(chart.x, tuple):
        x = f"{_short(chart.x[0])} --> {_short(chart.x[1])}"
    else:
        x = f"[{', '.join(chart.x)}]"
    lines = [
        f"{'bar' if line.bars else 'line'} [{', '.join(map(_short, line.values))}]"
        for line in chart.lines
    ]
    drawn = [
        f'%%{{init: {{"xyChart": {size}, "themeVariables": {theme}}}}}%%',
        "xychart-beta",
        f'    x-axis "{chart.x_title}" {x}',
        f'    y-axis "{chart.y_title}" {_short(chart.y[0])} --> {_short(chart.y[1])}',
        *(f"    {line}" for line in lines),
    ]
    return fence(drawn, "mermaid")


def graph(steps: list[Step]) -> str:
    """The stages with what became of them, as a fence; "" for none."""
    at = {step.name: f"s{i}" for i, step in enumerate(steps[:STAGES])}
    nodes = [
        f'    {at[step.name]}["{label(step.name)}<br/>{status(step)}"]:::{step.state}'
        for step in steps[:STAGES]
    ]
    arrows = [
        f"    {at[first]} --> {at[step.name]}"
        for step in steps[:STAGES]
        for first in step.after
        if first in at
    ]
    styles = [
        f"    classDef {state} fill:{colour},stroke:{colour},color:#ffffff"
        for state, colour in FILL.items()
    ]
    return fence(["flowchart LR", *nodes, *arrows, *styles], "mermaid") if steps else ""


def label(name: str) -> str:
    """A name in a diagram: letters, digits and what cannot be taken for Mermaid."""
    return "".join(c if c.isalnum() or c in " ._-" else "_" for c in name[:30])


def training(here: Snapshot) -> Chart | None:
    """Loss by epoch. Each chart is None without a table, a `Problem` for one that has no curve."""
    names = ("epoch", "train_loss", "val_loss")
    epochs, train, validation = _columns(here, TRAINING_CURVE, *names)
    if len(epochs) < 2:
        return None
    at = _even(epochs[0], epochs[-1], min(POINTS, len(epochs)))
    lines = [
        Line("train", "grey", _along(at, epochs, train)),
        Line("validation", "blue", _along(at, epochs, validation)),
    ]
    span = (epochs[0], epochs[-1])
    return Chart("Training", "Epoch", "Loss", span, _around(train + validation), lines)


def roc(
    here: Snapshot, base: Snapshot | None = None, name: str = "", ours: str = "this branch"
) -> Chart | None:
    """True by false positive rate, the base's too."""
    at = _even(0, 1, POINTS)
    lines = [Line("guessing", "grey", at)]
    for side, means, colour in ((base, name, "orange"), (here, ours, "blue")):  # ours on top
        rates, hits = _columns(side, TEST_PLOTS / "roc.csv", "fpr", "tpr") if side else ([], [])
        if len(rates) > 1:
            lines.append(Line(means, colour, _along(at, rates, hits)))
    if lines[-1].colour != "blue":
        return None
    axes = ("False positive rate", "True positive rate")
    return Chart("ROC", *axes, (0, 1), (0, 1), lines)


def calibration(here: Snapshot) -> Chart | None:
    """What was predicted and what came true, by bin."""
    share, true = _columns(here, TEST_PLOTS / "calibration.csv", "predicted", "actual")
    if len(share) < 2:
        return None
    step = -(-min(len(share), 100) // BARS)
    share, true = share[:100:step], true[:100:step]
    lines = [Line("true share", "blue", true, bars=True), Line("as predicted", "orange", share)]
    names = [f"{one:.2f}" for one in share]
    top = (0.0, max(1.0, *share, *true))
    return Chart("Calibration", "Predicted share", "True share", names, top, lines)


def predicted(here: Snapshot) -> Chart | None:
    """For a number: mean answer by group of true values, small to large."""
    true, guess = _columns(here, TEST_PLOTS / "predicted.csv", "actual", "predicted")
    if len(true) < 2:
        return None
    pairs = sorted(zip(true, guess, strict=True))
    groups = min(10, len(pairs))
    cuts = [round(i * len(pairs) / groups) for i in range(groups + 1)]
    parts = [pairs[a:b] for a, b in pairwise(cuts)]
    means, guesses = ([sum(p[i] for p in part) / len(part) for part in parts] for i in (0, 1))
    lines = [
        Line("true mean", "blue", means, bars=True),
        Line("predicted mean", "orange", guesses),
    ]
    low, high = _around(means + guesses)
    names = [_short(value, 3) for value in means]
    axes = ("True mean of a tenth of the rows", "Mean")
    return Chart("Predictions", *axes, names, (min(low, 0), high), lines)


def _columns(side: Snapshot, path: Path, *names: str) -> list[Numbers]:
    """Columns of finite numbers, equally long; empty where there is no table.

    Raises `Problem` for a table that holds anything else.
    """
    if side.bytes(path) is None:
        return [[] for _ in names]
    rows = side.csv(path)
    try:
        columns = [[float(row[name]) for row in rows] for name in names]
    except (KeyError, TypeError, ValueError):
        columns = []
    if not rows or not columns or any(not abs(one) < 1e15 for column in columns for one in column):
        raise Problem(f"{path}: no columns {', '.join(names)} of finite numbers")
    return columns


def _even(low: float, high: float, n: int) -> Numbers:
    return [low + (high - low) * i / (n - 1) for i in range(n)]


def _along(at: Numbers, xs: Sequence[float], ys: Sequence[float]) -> Numbers:
    """The curve through (x, y), x not falling, at other points."""
    import numpy as np

    return [float(y) for y in np.interp(at, xs, ys)]


def _around(values: Numbers) -> tuple[float, float]:
    """A range that leaves some air."""
    low, high = min(values), max(values)
    air = 0.05 * (high - low) or max(abs(high), 1.0)
    return low - air, high + air


def _short(value: float, digits: int = 4) -> str:
    """A number as Mermaid reads it: no exponent."""
    text = f"{value:.{digits}g}"
    return text if "e" not in text else f"{value:.6f}" if abs(value) < 1 else f"{value:.0f}"
