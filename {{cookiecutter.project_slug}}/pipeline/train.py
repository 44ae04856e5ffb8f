"""Fit the network, and a plain linear model to compare it with."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from pipeline import baseline, checkpoint, config, features, model, prepared, stage
from pipeline.errors import Problem
from pipeline.features import Inputs, Spec
from pipeline.fit import History, Rows, fit
from pipeline.model import Model
from pipeline.network import Network, cut


class Plan(NamedTuple):
    """What `auto` comes to for so many training rows."""

    members: int
    bins: int
    batch: int
    epochs: int


def plan(params: config.Params, rows: int) -> Plan:
    """Few rows: more members, small batches, many epochs; many rows the other way round."""
    auto = Plan(
        members=8 if rows < 50_000 else 4 if rows < 200_000 else 1,
        bins=0 if rows < 1_000 else 16,
        batch=int(np.clip(2 ** round(np.log2(max(1, rows / 32))), 32, 2048)),
        epochs=int(np.clip(400_000 // rows, 4, 100)),
    )
    shape, knobs = params.model, params.train
    wanted = shape.members, shape.bins, knobs.batch_size, knobs.epochs
    return Plan(*(a if w == "auto" else w for w, a in zip(wanted, auto, strict=True)))


def train(params: config.Params) -> tuple[Model, Model, History]:
    """Fit on data/prepared/train.parquet and stop early on val.parquet.

    Returns the model, the plain linear model and the history, a row per epoch.
    Raises `Problem` when the loss is not finite.
    """
    frames = {side: prepared.frame(side) for side in ("train", "val")}
    spec = features.learn(frames["train"], params.data)
    inputs = {side: features.encode(frame, spec) for side, frame in frames.items()}
    answers = {side: features.answers(f[spec["target"]], spec) for side, f in frames.items()}
    plain = baseline.fit(inputs["train"], answers["train"], spec)

    device = pick_device(params.train.device)
    todo = plan(params, len(answers["train"]))
    torch.manual_seed(params.train.seed)
    pieces = cut(inputs["train"].numbers, todo.bins)
    shape = {**params.model.model_dump(exclude={"bins"}), "members": todo.members}
    network = Network(spec, **shape, pieces=len(pieces[1]))
    network.slope, network.offset = pieces
    network.to(device)
    rows = {side: on_device(inputs[side], answers[side], spec, device) for side in frames}
    best, history = fit(network, rows["train"], rows["val"], spec, params, todo.batch, todo.epochs)
    network.load_state_dict(best)
    fitted = Model(spec, shape, network)
    if params.train.calibrate and spec["task"] != "regression":
        calibrate(fitted, rows["val"])
    return fitted, plain, history


def on_device(inputs: Inputs, answers: np.ndarray, spec: Spec, device: torch.device) -> Rows:
    """n encoded rows and their answers (n,) as tensors, once and for all."""
    if spec["task"] == "regression":
        answers = (answers - spec["center"]) / spec["scale"]
    kind = torch.int64 if spec["task"] == "multiclass" else torch.float32
    tensors = torch.from_numpy(inputs.numbers), torch.from_numpy(inputs.codes)
    return Rows(*(t.to(device) for t in (*tensors, torch.from_numpy(answers).to(kind))))


@torch.no_grad()
def calibrate(fitted: Model, val: Rows) -> None:
    """Divide the logits by a temperature if that lowers the validation loss (Guo et al. 2017)."""
    logits = fitted.network(val.numbers, val.codes).mean(1).double().cpu()
    truth = val.answers.cpu()

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        if fitted.spec["task"] == "binary":
            return float(F.binary_cross_entropy_with_logits(scaled[:, 0], truth.double()))
        return float(F.cross_entropy(scaled, truth))

    low, high = -1.5, 1.5  # of the logarithm; the loss has one minimum in between
    while high - low > 0.01:
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if loss(np.exp(left)) < loss(np.exp(right)) else (left, high)
    best = float(np.exp((low + high) / 2))
    if loss(best) < loss(1.0) - 1e-4:
        fitted.network.temperature.fill_(best)


def pick_device(wanted: str) -> torch.device:
    """CUDA where there is one, unless params.yaml says otherwise."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise Problem("train.device is cuda, but PyTorch sees no GPU; use auto or cpu", 2)
    if there and wanted != "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


def main() -> None:
    """`python -m pipeline.train`"""
    fitted, plain, history = train(config.load())
    best = min(history, key=lambda row: row["val_loss"])
    model.save(plain, model.BASELINE)
    model.save(fitted, model.MODEL)
    with stage.replacing("plots/training.csv") as temporary:
        pd.DataFrame(history).to_csv(temporary, index=False, float_format="%.6g")
    losses = {name: round(best[name], 6) for name in ("train_loss", "val_loss")}
    summary = {"epochs": len(history), "best_epoch": best["epoch"], **losses}
    stage.write_json("metrics/training.json", summary)
    checkpoint.PATH.unlink(missing_ok=True)
    print("trained: " + ", ".join(f"{name} {value:.6g}" for name, value in summary.items()))


if __name__ == "__main__":
    stage.run("train", main)
