"""Training state on disk after every epoch, so that an interruption costs one epoch at most."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pipeline import prepared, stage
from pipeline.config import Params
from pipeline.features import Spec
from pipeline.network import Network
from pipeline.optimizer import AdamW

PATH = Path("models/checkpoint.safetensors")
OF_OPTIMIZER = ("mean", "square", "average")
IRRELEVANT = {"resume", "threads"}  # to the weights that come out


def fingerprint(params: Params, spec: Spec) -> str:
    """What the training depends on; a checkpoint of another training is not resumed."""
    digest = hashlib.sha256()
    train = params.train.model_dump(exclude=IRRELEVANT)
    digest.update(json.dumps([params.model.model_dump(), train, spec], sort_keys=True).encode())
    for path in (
        *map(prepared.path, ("train", "val")),
        *sorted(Path(__file__).parent.glob("*.py")),
    ):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def save(network: Network, optimizer: AdamW, best: dict[str, Any], about: dict[str, Any]) -> None:
    """Write weights, optimizer and the best weights so far; `about` is JSON."""
    tensors = {f"weight.{name}": t.detach() for name, t in network.state_dict().items()}
    tensors |= {kind: getattr(optimizer, kind) for kind in OF_OPTIMIZER}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    with stage.replacing(PATH) as temporary:
        save_file({name: t.cpu().contiguous() for name, t in tensors.items()}, temporary,
                  {"about": json.dumps({**about, "steps": optimizer.steps})})  # fmt: skip


def load(
    network: Network, optimizer: AdamW, fingerprint: str
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Put the state of the last epoch back; (about, best weights), or None for no such training."""
    try:
        with safe_open(PATH, "pt") as file:
            about = json.loads(file.metadata()["about"])
            if about["fingerprint"] != fingerprint:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    network.load_state_dict(_below("weight", tensors))
    with torch.no_grad():
        for kind in OF_OPTIMIZER:
            getattr(optimizer, kind).copy_(tensors[kind])
    optimizer.steps = about["steps"]
    return about, _below("best", tensors)


def _below(kind: str, tensors: dict[str, Any]) -> dict[str, Any]:
    start = len(kind) + 1
    return {name[start:]: t.clone() for name, t in tensors.items() if name.startswith(f"{kind}.")}
