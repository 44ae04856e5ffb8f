"""The training loop: full tensors on the device, a checkpoint after every epoch."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from pipeline import checkpoint, config, scores
from pipeline.errors import Problem
from pipeline.features import Spec
from pipeline.model import BATCH, Model
from pipeline.network import Network
from pipeline.offsite import Offsite
from pipeline.optimizer import AdamW, one_cycle

History = list[dict[str, float]]
Loss = Callable[[Tensor, Tensor], Tensor]


class Rows(NamedTuple):
    """n encoded rows on the device."""

    numbers: Tensor  # float32 (n, numbers)
    codes: Tensor  # int64 (n, categories)
    answers: Tensor  # float32 (n,), or int64 (n,) positions of classes


def fit(
    network: Network,
    rows: Rows,
    val: Rows,
    spec: Spec,
    params: config.Params,
    batch_size: int,
    epochs: int,
) -> tuple[dict[str, Tensor], History]:
    """Train for `epochs` epochs at most; the best weights on `val`, and the history."""
    knobs, device = params.train, rows.numbers.device
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = AdamW(weights, knobs.weight_decay, knobs.ema)
    loss_of = criterion(spec, rows.answers if knobs.class_weights else None)
    torch.set_num_threads(pick_threads(knobs.threads, network, rows, batch_size, loss_of))
    bf16 = knobs.precision == "bfloat16" or (knobs.precision == "auto" and device.type == "cuda")
    low = torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()

    key = checkpoint.fingerprint(params, spec)
    about: dict[str, Any] = {"fingerprint": key, "history": [], "best_loss": None, "bad": 0}
    best: dict[str, Tensor] = {}
    offsite = Offsite(checkpoint.PATH, key)
    if knobs.resume:
        offsite.fetch()
    if knobs.resume and (state := checkpoint.load(network, optimizer, key)):
        about, best = state
        print(f"resuming after epoch {len(about['history'])} ({checkpoint.PATH})")
    steps = -(-len(rows.answers) // batch_size)
    done = len(about["history"])
    with tqdm(
        total=epochs * steps, initial=done * steps, desc="train", delay=2, disable=None
    ) as bar:
        while done < epochs and about["bad"] < knobs.patience:
            torch.manual_seed(knobs.seed * 1_000_003 + done)
            order = torch.randperm(len(rows.answers)).to(device)
            shuffled = Rows(*(part.index_select(0, order) for part in rows))
            network.train()
            total = torch.zeros((), device=device)
            for step, start in enumerate(range(0, len(order), batch_size), done * steps):
                batch = Rows(*(part[start : start + batch_size] for part in shuffled))
                with low:
                    logits = network(batch.numbers, batch.codes)
                loss = loss_of(logits.float(), batch.answers)
                loss.backward()
                optimizer.step(one_cycle(step, epochs * steps, knobs.lr))
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
            offsite.send()
    return best, about["history"]


def criterion(spec: Spec, answers: Tensor | None) -> Loss:
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
def _validate(network: Network, val: Rows, spec: Spec, loss_of: Loss) -> dict[str, float]:
    network.eval()
    parts = [
        network(n, c).mean(1)
        for n, c in zip(val.numbers.split(BATCH), val.codes.split(BATCH), strict=True)
    ]
    logits = torch.cat(parts)
    task = spec["task"]
    loss = float(loss_of(logits[:, None], val.answers))
    guess = Model(spec, {}, network).answer(logits.double().cpu().numpy())
    truth = val.answers.cpu().numpy()
    if task == "regression":
        truth = truth.astype(np.float64) * spec["scale"] + spec["center"]
    found = scores.OF_TASK[task](truth, guess, 0.5, 15)
    watched = scores.WATCHED[task]
    return {"val_loss": loss, f"val_{watched}": found.get(watched, 0.0)}


def _finite(row: dict[str, float]) -> None:
    if not np.isfinite(list(row.values())).all():
        raise Problem(
            f"the loss is {row['train_loss']} in epoch {row['epoch']}; "
            "a smaller train.lr may help: dvc exp run -S train.lr=..."
        )


def pick_threads(wanted: int | str, network: Network, rows: Rows, batch: int, loss_of: Loss) -> int:
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
