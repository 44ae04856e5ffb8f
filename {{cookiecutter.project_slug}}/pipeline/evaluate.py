"""Score the model on the test rows: as a whole, by group, beside the linear baseline."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import Problem, nearest
from core.files import write_json
from core.paths import BASELINE, COST, EVALUATION, MODEL, QUALITY, SLICES, TRAINING_CURVE
from core.runner import run_stage, stage_seconds
from pipeline import dataset, latency, metrics, plots, slices
from pipeline.features import encode_target
from pipeline.model import Model, load_model
from pipeline.params import Params, load_params


def evaluate(params: Params) -> dict[str, Any]:
    """Write the scores, slices, plots and costs of models/model.safetensors; the headline scores.

    Quality never fails here: what is good enough is for gates.yaml to say.
    """
    start = time.perf_counter()
    settings, model, baseline = params.evaluate, load_model(), load_model(BASELINE)
    test = dataset.frame("test")
    _check(params.data.protected, list(map(str, test)))
    task = model.task
    truth = encode_target(test[model.target], task, model.classes)
    protected = test[params.data.protected]

    def report(scores: np.ndarray) -> dict[str, Any]:
        bins = settings.calibration_bins
        overall = metrics.evaluate(task, truth, scores, settings.threshold, bins)
        by_group = slices.slices(protected, task, truth, scores, settings)
        return {"overall": overall, "slices": by_group}

    scores = finite_scores(model, test, MODEL)
    model_report, baseline_report = report(scores), report(finite_scores(baseline, test, BASELINE))
    quality = model_report["overall"]
    write_json(SLICES, {"rows": len(test), **model_report, "baseline": baseline_report})
    tables = plots.tables(model, test, truth, scores, settings)
    plots.write(tables)
    _draw(tables, quality)
    taken = {name: stage_seconds().get(name) for name in ("prepare", "validate", "train")}
    taken["evaluate"] = round(time.perf_counter() - start, 2)
    write_json(COST, {**latency.cost(model, test, MODEL), "seconds": taken})
    compared = baseline_report["overall"].items()
    headline = {
        **quality,
        "baseline": {name: value for name, value in compared if metrics.METRICS[name].headline},
    }
    write_json(QUALITY, headline)
    return headline


def finite_scores(model: Model, test: pd.DataFrame, path: Path) -> np.ndarray:
    """The model's scores of the test rows. Raises `Problem` where they are not finite."""
    scores = model.score(test)
    if wrong := int((~np.isfinite(scores.reshape(len(test), -1)).all(1)).sum()):
        raise Problem(
            f"{path}: {wrong:,} of {len(test):,} test rows are given no finite score; "
            "`dvc repro -f train` trains it anew"
        )
    return scores


def _check(protected: list[str], names: list[str]) -> None:
    for name in protected:
        if name not in names:
            raise Problem(
                f"params.yaml: data.protected names {name!r}, which the data lacks"
                f"{nearest(name, names)}",
            )


def _draw(tables: dict[str, pd.DataFrame], quality: dict[str, float]) -> None:
    from core import pictures

    training = pd.read_csv(TRAINING_CURVE)
    title = "   ".join(
        f"{name} {quality[name]:.3f}" for name in quality if metrics.METRICS[name].headline
    )
    pictures.sheet({"training": training, **tables}, title, EVALUATION)


def main() -> None:
    """`python -m pipeline.evaluate`"""
    headline = evaluate(load_params())
    baseline = headline.pop("baseline")
    for name, value in headline.items():
        note = f"   (linear baseline {baseline[name]:.4f})" if name in baseline else ""
        print(f"{name:18}{value:10.4f}{note}")


if __name__ == "__main__":
    run_stage("evaluate", main)
