"""The report's charts: a few numbers each, drawn by Mermaid on GitHub and as SVG on the page."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from pipeline.reporting.compare import Side
from pipeline.reporting.markdown import fence
from pipeline.reporting.steps import State, Step

POINTS = 41  # of a curve
BARS = 15
COLOURS = {"blue": "#4184e4", "orange": "#e0823d", "grey": "#8b949e"}  # on white and on black
FILL: dict[State, str] = {
    "ran": "#1a7f37", "fetched": "#8250df", "unchanged": "#6e7781",
    "failed": "#cf222e", "waits": "#9a6700",
}  # fmt: skip
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
        says = ", ".join(f"{line.colour}: {line.means}" for line in self.lines[::-1])
        return f"**{self.title}** ({says})"


class Graph(NamedTuple):
    """The pipeline."""

    steps: list[Step]


def mermaid(drawing: Chart | Graph) -> str:
    """A fence that GitHub draws, legible on white and on black."""
    return fence(_graph(drawing) if isinstance(drawing, Graph) else _chart(drawing), "mermaid")


def _chart(chart: Chart) -> list[str]:
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
    return [
        f'%%{{init: {{"xyChart": {size}, "themeVariables": {theme}}}}}%%',
        "xychart-beta",
        f'    x-axis "{chart.x_title}" {x}',
        f'    y-axis "{chart.y_title}" {_short(chart.y[0])} --> {_short(chart.y[1])}',
        *(f"    {line}" for line in lines),
    ]


def _graph(graph: Graph) -> list[str]:
    at = {step.name: f"s{i}" for i, step in enumerate(graph.steps)}
    nodes = [
        f'    {at[step.name]}["{label(step.name)}<br/>{said(step)}"]:::{step.state}'
        for step in graph.steps
    ]
    arrows = [
        f"    {at[first]} --> {at[step.name]}" for step in graph.steps for first in step.after
    ]
    styles = [
        f"    classDef {state} fill:{colour},stroke:{colour},color:#ffffff"
        for state, colour in FILL.items()
    ]
    return ["flowchart LR", *nodes, *arrows, *styles]


def label(name: str) -> str:
    """A name in a diagram: letters, digits and what cannot be taken for Mermaid."""
    return "".join(c if c.isalnum() or c in " ._-" else "_" for c in name[:30])


def said(step: Step) -> str:
    """What became of a stage, in two words."""
    if step.state == "ran" and step.seconds is not None:
        return f"ran {step.seconds:,.1f} s"
    words = {"fetched": "from the cache", "waits": "not reached"}
    return words.get(step.state, step.state)


def training(here: Side) -> Chart | None:
    """Loss by epoch."""
    table = here.csv("plots/training.csv")
    epochs, lost, tested = (_column(table, n) for n in ("epoch", "train_loss", "val_loss"))
    if len(epochs) < 2 or not len(epochs) == len(lost) == len(tested):
        return None
    at = _even(epochs[0], epochs[-1], min(POINTS, len(epochs)))
    lines = [
        Line("train", "grey", _along(at, epochs, lost)),
        Line("validation", "blue", _along(at, epochs, tested)),
    ]
    span = (epochs[0], epochs[-1])
    return Chart("Training", "Epoch", "Loss", span, _around(lost + tested), lines)


def roc(
    here: Side, base: Side | None = None, name: str = "", ours: str = "this branch"
) -> Chart | None:
    """True by false positive rate, the base's too."""
    at = _even(0, 1, POINTS)
    lines = []
    for side, means, colour in ((here, ours, "blue"), (base, name, "orange")):
        table = side.csv("plots/test/roc.csv") if side else []
        rates, hits = _column(table, "fpr"), _column(table, "tpr")
        if len(rates) > 1 and len(rates) == len(hits):
            lines.append(Line(means, colour, _along(at, rates, hits)))
    if not lines or lines[0].colour != "blue":
        return None
    lines.append(Line("guessing", "grey", at))
    axes = ("False positive rate", "True positive rate")
    return Chart("ROC", *axes, (0, 1), (0, 1), lines[::-1])  # ours on top


def calibration(here: Side) -> Chart | None:
    """What was predicted and what came true, by bin."""
    table = here.csv("plots/test/calibration.csv")[:100]
    said, was = _column(table, "predicted"), _column(table, "actual")
    if len(said) < 2 or len(said) != len(was):
        return None
    step = -(-len(said) // BARS)
    said, was = said[::step], was[::step]
    lines = [Line("true share", "blue", was, bars=True), Line("as predicted", "orange", said)]
    names = [f"{share:.2f}" for share in said]
    top = (0.0, max(1.0, *said, *was))
    return Chart("Calibration", "Predicted share", "True share", names, top, lines)


def predicted(here: Side) -> Chart | None:
    """For a number: mean answer by group of true values, small to large."""
    table = here.csv("plots/test/predicted.csv")
    true, guess = _column(table, "actual"), _column(table, "predicted")
    if len(true) < 2 or len(true) != len(guess):
        return None
    pairs = sorted(zip(true, guess, strict=True))
    groups = min(10, len(pairs))
    cuts = [round(i * len(pairs) / groups) for i in range(groups + 1)]
    parts = [pairs[a:b] for a, b in pairwise(cuts)]
    was, said = ([sum(p[i] for p in part) / len(part) for part in parts] for i in (0, 1))
    lines = [Line("true mean", "blue", was, bars=True), Line("predicted mean", "orange", said)]
    low, high = _around(was + said)
    names = [_short(value, 3) for value in was]
    axes = ("True mean of a tenth of the rows", "Mean")
    return Chart("Predictions", *axes, names, (min(low, 0), high), lines)


def _column(table: list[dict[str, str]], name: str) -> Numbers:
    """A column of finite numbers; [] when anything else is in it."""
    try:
        values = [float(row[name]) for row in table]
    except (KeyError, TypeError, ValueError):
        return []
    return values if all(abs(value) < 1e15 for value in values) else []


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
