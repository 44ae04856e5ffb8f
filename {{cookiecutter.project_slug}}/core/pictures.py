"""One picture of an evaluation: every plot of it on a sheet."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from core.files import replacing

BLUE, ORANGE, GREY = "#2a6fbb", "#e07b39", "#9aa3ad"
TITLES = {"roc": "ROC", "pr": "precision and recall", "predicted": "predicted against actual"}


def sheet(tables: dict[str, pd.DataFrame], title: str, path: Path) -> None:
    """Draw the tables of `pipeline.plots` (and `training`) that are there, and save a PNG."""
    names = [name for name in PANELS if name in tables]
    across = 4 if len(names) > 4 else 2
    down = -(-len(names) // across)
    figure = Figure(figsize=(3.6 * across, 3.1 * down), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=13)
    for i, name in enumerate(names):
        axes = figure.add_subplot(down, across, i + 1)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(TITLES.get(name, name), fontsize=9)
        axes.xaxis.label.set_fontsize(8)
        axes.yaxis.label.set_fontsize(8)
        PANELS[name](axes, tables[name])
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _training(axes: Axes, table: pd.DataFrame) -> None:
    axes.plot(table["epoch"], table["train_loss"], color=GREY, label="train")
    axes.plot(table["epoch"], table["val_loss"], color=BLUE, label="validation")
    best = table["epoch"].iloc[int(table["val_loss"].argmin())]
    axes.axvline(best, color=ORANGE, lw=1, ls=":", label="kept")
    axes.set(xlabel="epoch", ylabel="loss")
    axes.legend(fontsize=7, frameon=False)


def _roc(axes: Axes, table: pd.DataFrame) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":")
    axes.plot(table["fpr"], table["tpr"], color=BLUE)
    axes.set(xlabel="false positive rate", ylabel="true positive rate")


def _pr(axes: Axes, table: pd.DataFrame) -> None:
    axes.plot(table["recall"], table["precision"], color=BLUE)
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))


def _calibration(axes: Axes, table: pd.DataFrame) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":")
    axes.plot(table["predicted"], table["actual"], color=BLUE, lw=1)
    sizes = 8 + 60 * table["rows"] / table["rows"].max()
    axes.scatter(table["predicted"], table["actual"], s=sizes, color=BLUE)
    axes.set(xlabel="predicted share", ylabel="true share")


def _confusion(axes: Axes, table: pd.DataFrame) -> None:
    labels = sorted(set(table["actual"]) | set(table["predicted"]))
    counts = pd.crosstab(table["actual"], table["predicted"]).reindex(
        index=labels, columns=labels, fill_value=0
    )
    shares = counts.to_numpy() / counts.to_numpy().sum(1, keepdims=True).clip(1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), share in np.ndenumerate(shares):
        if len(labels) <= 12:
            colour = "white" if share > 0.6 else "black"
            axes.text(j, i, f"{share:.0%}", ha="center", va="center", color=colour, fontsize=7)
    axes.set(xlabel="predicted", ylabel="actual")
    axes.set_xticks(range(len(labels)), [str(one)[:12] for one in labels])
    axes.set_yticks(range(len(labels)), [str(one)[:12] for one in labels])
    axes.spines[:].set_visible(False)


def _scores(axes: Axes, table: pd.DataFrame) -> None:
    groups = list(table.columns[1:])
    for group, colour in zip(groups, (BLUE, ORANGE), strict=False):
        axes.fill_between(table["score"], table[group], step="mid", alpha=0.35, color=colour)
        axes.step(table["score"], table[group], where="mid", color=colour, lw=1, label=group)
    axes.set(xlabel="score", ylabel="test rows")
    if len(groups) > 1:
        axes.legend(fontsize=7, frameon=False)


def _importance(axes: Axes, table: pd.DataFrame) -> None:
    top = table.head(10)[::-1]
    axes.barh([str(one)[:18] for one in top["column"]], top["loss"], color=BLUE)
    axes.set(xlabel="score lost when shuffled")


def _predicted(axes: Axes, table: pd.DataFrame) -> None:
    low, high = table.to_numpy().min(), table.to_numpy().max()
    axes.plot([low, high], [low, high], color=GREY, lw=1, ls=":")
    axes.scatter(table["actual"], table["predicted"], s=6, alpha=0.5, color=BLUE)
    axes.set(xlabel="actual", ylabel="predicted")


PANELS: dict[str, Callable[[Axes, pd.DataFrame], None]] = {
    "training": _training,
    "roc": _roc,
    "pr": _pr,
    "calibration": _calibration,
    "confusion": _confusion,
    "scores": _scores,
    "importance": _importance,
    "predicted": _predicted,
}
