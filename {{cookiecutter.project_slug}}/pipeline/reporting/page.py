"""The report as one page to look at locally: no network, no script, light and dark."""

import html
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from pipeline import stage
from pipeline.reporting.charts import COLOURS, FILL, Chart, Graph, label, mermaid, said

INK = "#123456"  # becomes the colour of the text around it
INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
STYLE = """
:root {
  color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --soft: #f6f8fa; --line: #d1d9e0
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #f0f6fc; --paper: #0d1117; --soft: #151b23; --line: #3d444d }
}
body { color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 56rem;
       padding: 0 1rem; font: 14px/1.5 system-ui, sans-serif }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 0 0 1rem }
th, td { border: 1px solid var(--line); padding: .35rem .75rem }
tr:nth-child(2n) { background: var(--soft) }
code, pre { background: var(--soft); border-radius: 6px; font: 12px/1.5 ui-monospace, monospace }
code { padding: .15rem .35rem } pre { padding: 1rem; overflow-x: auto } pre code { padding: 0 }
details { margin: .5rem 0 } summary { cursor: pointer; padding: .25rem 0 }
h3 { font-size: 1.3rem } svg { max-width: 100%; height: auto }
"""
HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head><body>
{body}
</body></html>
"""


def write(text: str, drawn: Mapping[str, Chart | Graph], path: Path) -> Path:
    """Write the report `text` as HTML, its Mermaid fences as pictures of the same numbers."""
    pictures = {mermaid(one).split("\n", 1)[1].rsplit("\n", 1)[0]: one for one in drawn.values()}
    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    renderer: Any = reader.renderer
    plain = renderer.rules["fence"]

    def fence(tokens: Any, i: int, options: Any, env: Any) -> str:
        one = pictures.get(tokens[i].content.rstrip("\n"))
        return svg(one) if one else str(plain(tokens, i, options, env))

    renderer.rules["fence"] = fence
    title = html.escape(re.sub("[#*`]", "", text.split("\n", 1)[0]).strip())
    with stage.replacing(path) as temporary:
        page = HEAD.format(title=title, style=STYLE, body=reader.render(text))
        temporary.write_text(page, encoding="utf-8")
    return path


def svg(drawing: Chart | Graph) -> str:
    """A picture whose ink has the colour of the text."""
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": repr(drawing), "font.size": 9}
    with rc_context(settings | dict.fromkeys(INKED, INK)):
        figure = _graph(drawing) if isinstance(drawing, Graph) else _chart(drawing)
        FigureCanvasSVG(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    found = file.getvalue()
    return found[found.index("<svg") :].replace(INK, "currentColor")


def _chart(chart: Chart) -> Figure:
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xlabel=chart.x_title, ylabel=chart.y_title, ylim=chart.y)
    n = len(chart.lines[0].values)
    low, high = chart.x if isinstance(chart.x, tuple) else (0, n - 1)
    at = [low + (high - low) * i / (n - 1) for i in range(n)]
    if not isinstance(chart.x, tuple):
        axes.set_xticks(at, chart.x)
    for line in chart.lines:
        if line.bars:
            axes.bar(at, line.values, color=COLOURS[line.colour], width=0.6)
        else:
            axes.plot(at, line.values, color=COLOURS[line.colour], lw=1.6)
    return figure


def _graph(graph: Graph) -> Figure:
    """Stages from left to right by how many come before, those of one column below each other."""
    depth: dict[str, int] = {}
    for step in graph.steps:
        depth[step.name] = 1 + max((depth[one] for one in step.after if one in depth), default=-1)
    columns = list(depth.values())
    at = {name: (column, columns[:i].count(column))
          for i, (name, column) in enumerate(depth.items())}  # fmt: skip
    wide, tall = max(columns) + 1, max(columns.count(one) for one in columns)
    figure = Figure(figsize=(1.9 * wide, 0.9 * tall + 0.5))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.6, wide - 0.4), ylim=(tall - 0.3, -0.9))
    axes.axis("off")
    for step in graph.steps:
        x, y = at[step.name]
        for one in step.after:
            if one in at:
                far = x - at[one][0] > 1  # the arrow goes above the stages in between
                across, down = (0.0, 0.27) if far else (0.41, 0.0)
                bend = f"arc3,rad={-0.25 if far else 0}"
                style = {"arrowstyle": "-|>", "color": INK, "connectionstyle": bend}
                start = (at[one][0] + across, at[one][1] - down)
                axes.annotate("", (x - across, y - down), start, arrowprops=style)
        shape = "round,pad=0,rounding_size=0.06"
        colour = FILL[step.state]
        axes.add_patch(FancyBboxPatch((x - 0.4, y - 0.25), 0.8, 0.5, boxstyle=shape, color=colour))
        words = f"{label(step.name)}\n{said(step)}"
        axes.text(x, y, words, color="#ffffff", ha="center", va="center")
    return figure
