"""Score the model on the test rows: as a whole, by group, beside the plain model."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import config, cost, features, model, plots, prepared, scores, slices, stage
from pipeline.errors import Problem, nearest

QUALITY = Path("metrics/quality.json")
COST = Path("metrics/cost.json")
SLICES = Path("reports/slices.json")
PICTURE = Path("reports/evaluation.png")
BESIDE = ("roc_auc", "log_loss", "r2", "rmse")  # the plain model's headline scores


def evaluate(params: config.Params) -> dict[str, Any]:
    """Write the scores, slices, plots and costs of models/model.safetensors; the headline scores.

    Quality never fails here: what is good enough is for gates.yaml to say.
    """
    start = time.perf_counter()
    knobs, fitted, plain = params.evaluate, model.load(), model.load(model.BASELINE)
    test = prepared.frame("test")
    _check(params.data.protected, list(map(str, test)))
    task = fitted.spec["task"]
    truth = features.answers(test[fitted.spec["target"]], fitted.spec)
    guess, beside = fitted.score(test), plain.score(test)

    score = scores.OF_TASK[task]
    protected = test[params.data.protected]

    def report(answers: np.ndarray) -> dict[str, Any]:
        overall = score(truth, answers, knobs.threshold, knobs.calibration_bins)
        return {
            "overall": overall,
            "slices": slices.slices(protected, task, truth, answers, knobs),
        }

    model_report, plain_report = report(guess), report(beside)
    quality, baseline = model_report["overall"], plain_report["overall"]
    stage.write_json(SLICES, {"rows": len(test), **model_report, "baseline": plain_report})
    found = plots.tables(fitted, test, truth, guess, knobs)
    plots.write(found)
    _draw(found, quality)
    taken = {name: stage.seconds().get(name) for name in ("prepare", "validate", "train")}
    taken["evaluate"] = round(time.perf_counter() - start, 2)
    stage.write_json(COST, {**cost.cost(fitted, test, model.MODEL), "seconds": taken})
    headline = {**quality, "baseline": {k: v for k, v in baseline.items() if k in BESIDE}}
    stage.write_json(QUALITY, headline)
    return headline


def _check(protected: list[str], names: list[str]) -> None:
    for name in protected:
        if name not in names:
            raise Problem(
                f"params.yaml: data.protected names {name!r}, which the data lacks"
                f"{nearest(name, names)}",
                2,
            )


def _draw(found: dict[str, pd.DataFrame], quality: dict[str, float]) -> None:
    from pipeline import pictures

    training = pd.read_csv("plots/training.csv")
    title = "   ".join(f"{name} {quality[name]:.3f}" for name in BESIDE if name in quality)
    pictures.sheet({"training": training, **found}, title, PICTURE)


def main() -> None:
    """`python -m pipeline.evaluate`"""
    headline = evaluate(config.load())
    beside = headline.pop("baseline")
    for name, value in headline.items():
        note = f"   (plain model {beside[name]:.4f})" if name in beside else ""
        print(f"{name:18}{value:10.4f}{note}")


if __name__ == "__main__":
    stage.run("evaluate", main)
