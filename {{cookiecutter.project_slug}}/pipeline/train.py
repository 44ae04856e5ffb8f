"""Fit the model, and a linear one to compare it with."""

import pandas as pd

from core.files import replacing, write_json
from core.paths import BASELINE, CHECKPOINT, MODEL, TRAINING, TRAINING_CURVE
from core.runner import run_stage
from pipeline import dataset
from pipeline.linear import LinearModel
from pipeline.model import TRAINED, Model
from pipeline.params import Params, load_params
from pipeline.training_loop import History


def train(params: Params) -> tuple[Model, LinearModel, History]:
    """Fit on data/prepared/train.parquet and stop early on val.parquet.

    Returns the model, the linear baseline and the history, a row per epoch.
    """
    rows, val = dataset.frame("train"), dataset.frame("val")
    model, history = TRAINED.fit(rows, val, params)
    return model, LinearModel.fit(rows, params.data), history


def main() -> None:
    """`python -m pipeline.train`"""
    model, baseline, history = train(load_params())
    best = min(history, key=lambda row: row["val_loss"])
    baseline.save(BASELINE)
    model.save(MODEL)
    with replacing(TRAINING_CURVE) as temporary:
        pd.DataFrame(history).to_csv(temporary, index=False, float_format="%.6g")
    losses = {name: round(best[name], 6) for name in ("train_loss", "val_loss")}
    summary = {"epochs": len(history), "best_epoch": best["epoch"], **losses}
    write_json(TRAINING, summary)
    CHECKPOINT.unlink(missing_ok=True)
    print("trained: " + ", ".join(f"{name} {value:.6g}" for name, value in summary.items()))


if __name__ == "__main__":
    run_stage("train", main)
