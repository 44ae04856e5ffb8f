"""Fit the network, and a plain linear model to compare it with."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from pipeline import baseline, checkpoint, config, features, model, prepared, scores, stage
from pipeline.errors import Problem
from pipeline.features import Spec
from pipeline.model import Model
from pipeline.network import Network, cut
from pipeline.optimizer import AdamW, one_cycle

History = list[dict[str, float]]
WATCHED = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "r2"}


class Rows(NamedTuple):
    """n encoded rows on the device."""

    numbers: Tensor  # float32 (n, numbers)
    codes: Tensor  # int64 (n, categories)
    answers: Tensor  # float32 (n,), or int64 (n,) positions of classes


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
        bins=0 if rows < 1_000 else 24,
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
    inputs = features.encode(frames["train"], spec)
    answers = features.answers(frames["train"][spec["target"]], spec)
    plain = baseline.fit(inputs, answers, spec)

    device = pick_device(params.train.device)
    todo = plan(params, len(answers))
    torch.manual_seed(params.train.seed)
    pieces = cut(inputs.numbers, todo.bins)
    shape = {**params.model.model_dump(exclude={"bins"}), "members": todo.members}
    network = Network(spec, **shape, pieces=len(pieces[0]))
    network.piece_of, network.piece_from, network.piece_scale = pieces
    network.to(device)
    rows = {side: on_device(frame, spec, device) for side, frame in frames.items()}
    best, history = fit(network, rows["train"], rows["val"], spec, params, todo)
    network.load_state_dict(best)
    fitted = Model(spec, shape, network)
    if params.train.calibrate and spec["task"] != "regression":
        calibrate(fitted, rows["val"])
    return fitted, plain, history


def on_device(frame: pd.DataFrame, spec: Spec, device: torch.device) -> Rows:
    """Encode a table once and for all; training then never touches a single row."""
    inputs = features.encode(frame, spec)
    answers = features.answers(frame[spec["target"]], spec)
    if spec["task"] == "regression":
        answers = (answers - spec["center"]) / spec["scale"]
    kind = torch.int64 if spec["task"] == "multiclass" else torch.float32
    tensors = torch.from_numpy(inputs.numbers), torch.from_numpy(inputs.codes)
    return Rows(*(t.to(device) for t in (*tensors, torch.from_numpy(answers).to(kind))))


def fit(
    network: Network, rows: Rows, val: Rows, spec: Spec, params: config.Params, todo: Plan
) -> tuple[dict[str, Tensor], History]:
    """Train for `todo.epochs` epochs at most; the best weights on `val`, and the history."""
    knobs, device = params.train, rows.numbers.device
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = AdamW(weights, knobs.weight_decay, knobs.ema)
    loss_of = criterion(spec, rows.answers if knobs.class_weights else None)
    torch.set_num_threads(pick_threads(knobs.threads, network, rows, todo.batch, loss_of))
    bf16 = knobs.precision == "bfloat16" or (knobs.precision == "auto" and device.type == "cuda")
    low = torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()

    key = checkpoint.fingerprint(params, spec)
    about: dict[str, Any] = {"fingerprint": key, "history": [], "best_loss": None, "bad": 0}
    best: dict[str, Tensor] = {}
    if knobs.resume and (state := checkpoint.load(network, optimizer, key)):
        about, best = state
        print(f"resuming after epoch {len(about['history'])} ({checkpoint.PATH})")
    steps = -(-len(rows.answers) // todo.batch)
    done = len(about["history"])
    with tqdm(
        total=todo.epochs * steps, initial=done * steps, desc="train", delay=2, disable=None
    ) as bar:
        while done < todo.epochs and about["bad"] < knobs.patience:
            torch.manual_seed(knobs.seed * 1_000_003 + done)
            order = torch.randperm(len(rows.answers)).to(device)
            shuffled = Rows(*(part[order] for part in rows))
            network.train()
            total = torch.zeros((), device=device)
            for step, start in enumerate(range(0, len(order), todo.batch), done * steps):
                batch = Rows(*(part[start : start + todo.batch] for part in shuffled))
                with low:
                    logits = network(batch.numbers, batch.codes)
                loss = loss_of(logits.float(), batch.answers)
                loss.backward()
                optimizer.step(one_cycle(step, todo.epochs * steps, knobs.lr))
                total += loss.detach() * len(batch.answers)
                bar.update()
            done += 1
            row = {"epoch": done, "train_loss": float(total) / len(order)}
            optimizer.swap()
            row |= _validate(network, val, spec, loss_of)
            _finite(row)
            if about["best_loss"] is None or row["val_loss"] < about["best_loss"]:
                about |= {"best_loss": row["val_loss"], "bad": 0}
                best = {name: t.detach().clone() for name, t in network.state_dict().items()}
            else:
                about["bad"] += 1
            optimizer.swap()
            about["history"].append(row)
            bar.set_postfix(
                {name: f"{value:.4f}" for name, value in row.items() if name != "epoch"}
            )
            checkpoint.save(network, optimizer, best, about)
    return best, about["history"]


def criterion(spec: Spec, answers: Tensor | None) -> Callable[[Tensor, Tensor], Tensor]:
    """Loss of logits (n, members, outputs) against answers (n,), averaged over members.

    With `answers` (of all training rows), classes weigh as much as each other.
    """
    if spec["task"] == "regression":
        return lambda out, truth: F.mse_loss(out[..., 0], truth[:, None].expand(out.shape[:2]))
    weight = None
    if answers is not None:
        counts = torch.bincount(answers.long(), minlength=len(spec["classes"])).float()
        weight = counts.sum() / (len(counts) * counts.clamp(min=1))
    if spec["task"] == "multiclass":
        return lambda out, truth: F.cross_entropy(
            out.flatten(0, 1), truth.repeat_interleave(out.shape[1]), weight
        )

    def binary(out: Tensor, truth: Tensor) -> Tensor:
        each = None if weight is None else weight[truth.long()][:, None]
        expected = truth[:, None].expand(out.shape[:2])
        return F.binary_cross_entropy_with_logits(out[..., 0], expected, each)

    return binary


@torch.no_grad()
def _validate(
    network: Network, val: Rows, spec: Spec, loss_of: Callable[[Tensor, Tensor], Tensor]
) -> dict[str, float]:
    network.eval()
    parts = [
        network(n, c).mean(1)
        for n, c in zip(val.numbers.split(8192), val.codes.split(8192), strict=True)
    ]
    logits = torch.cat(parts)
    task = spec["task"]
    loss = float(loss_of(logits[:, None], val.answers))
    guess = Model(spec, {}, network).answer(logits.double().cpu().numpy())
    truth = val.answers.cpu().numpy()
    if task == "regression":
        truth = truth.astype(np.float64) * spec["scale"] + spec["center"]
    found = scores.OF_TASK[task](truth, guess, 0.5, 15)
    watched = WATCHED[task]
    return {"val_loss": loss, f"val_{watched}": found.get(watched, 0.0)}


def _finite(row: dict[str, float]) -> None:
    if not np.isfinite(list(row.values())).all():
        raise Problem(
            f"the loss is {row['train_loss']} in epoch {row['epoch']}; "
            "a smaller train.lr may help: dvc exp run -S train.lr=..."
        )


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

    tried = np.exp(np.linspace(-1.5, 1.5, 121))
    best = min(tried, key=loss)
    if loss(best) < loss(1.0) - 1e-4:
        fitted.network.temperature.fill_(float(best))


def pick_device(wanted: str) -> torch.device:
    """CUDA where there is one, unless params.yaml says otherwise."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise Problem("train.device is cuda, but PyTorch sees no GPU; use auto or cpu", 2)
    if there and wanted != "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


def pick_threads(
    wanted: int | str, network: Network, rows: Rows, batch: int, loss_of: Callable[..., Tensor]
) -> int:
    """As many threads as are fastest in a short trial: on a busy machine one can beat two."""
    most = torch.get_num_threads()
    if wanted != "auto":
        return int(wanted)
    if most == 1 or rows.numbers.device.type == "cuda":
        return most
    some = Rows(*(part[:batch] for part in rows))
    taken: dict[int, float] = {}
    for threads in (1, most, 1, most):
        torch.set_num_threads(threads)
        start = time.perf_counter()
        for _ in range(3):
            loss_of(network(some.numbers, some.codes), some.answers).backward()
        taken[threads] = min(taken.get(threads, 1e9), time.perf_counter() - start)
    network.zero_grad()
    return min(taken, key=lambda threads: taken[threads])


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
