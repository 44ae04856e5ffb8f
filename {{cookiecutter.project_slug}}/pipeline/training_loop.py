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

from core.checkpoint_upload import CheckpointUpload
from core.errors import Problem
from core.paths import CHECKPOINT
from pipeline import checkpoint, metrics
from pipeline.features import Spec, link
from pipeline.network import Network
from pipeline.optimizer import AdamW, one_cycle
from pipeline.params import Params

BATCH = 1024  # rows to score at once: more leave the processor's cache with eight members
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
    params: Params,
    batch_size: int,
    epochs: int,
) -> tuple[dict[str, Tensor], History]:
    """Train for `epochs` epochs at most; the best weights on `val`, and the history."""
    settings, device = params.train, rows.numbers.device
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = AdamW(weights, settings.weight_decay, settings.ema)
    loss_of = criterion(spec, rows.answers if settings.class_weights else None)
    torch.set_num_threads(pick_threads(settings.threads, network, rows, batch_size, loss_of))
    bf16 = settings.precision == "bfloat16" or (
        settings.precision == "auto" and device.type == "cuda"
    )
    low = torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()

    key = checkpoint.fingerprint(params, spec)
    about: dict[str, Any] = {"fingerprint": key, "history": [], "best_loss": None, "bad": 0}
    best: dict[str, Tensor] = {}
    upload = CheckpointUpload(CHECKPOINT, key)
    if settings.resume:
        upload.fetch()
    if settings.resume and (state := checkpoint.load(network, optimizer, key)):
        about, best = state
        print(f"resuming after epoch {len(about['history'])} ({CHECKPOINT})")
    steps = -(-len(rows.answers) // batch_size)
    done = len(about["history"])
    with tqdm(
        total=epochs * steps, initial=done * steps, desc="train", delay=2, disable=None
    ) as bar:
        while done < epochs and about["bad"] < settings.patience:
            torch.manual_seed(settings.seed * 1_000_003 + done)
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
                optimizer.step(one_cycle(step, epochs * steps, settings.lr))
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
            upload.send()
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
    logits = logits_of(network, val)
    loss = float(loss_of(logits[:, None], val.answers))
    scores = link(logits.double().cpu().numpy(), spec)
    truth = val.answers.cpu().numpy()
    if spec["task"] == "regression":
        truth = truth.astype(np.float64) * spec["scale"] + spec["center"]
    watched = metrics.headline(spec["task"])
    answers = metrics.Answers(spec["task"], truth, scores)  # a headline has no threshold
    return {"val_loss": loss, f"val_{watched.name}": watched.function(answers) or 0.0}


@torch.no_grad()
def logits_of(network: Network, rows: Rows) -> Tensor:
    """(n, outputs) of encoded rows, the mean over the members, in batches that fit the cache."""
    parts = zip(rows.numbers.split(BATCH), rows.codes.split(BATCH), strict=True)
    return torch.cat([network(numbers, codes).mean(1) for numbers, codes in parts])


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
