"""Training state on disk after every epoch, so that an interruption costs one epoch at most."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from core.files import replacing
from core.paths import CHECKPOINT
from pipeline import dataset
from pipeline.features import Spec
from pipeline.network import Network
from pipeline.optimizer import AdamW
from pipeline.params import Params

OF_OPTIMIZER = ("mean", "square", "average")
IRRELEVANT = {"resume", "threads"}  # to the weights that come out


def fingerprint(params: Params, spec: Spec) -> str:
    """What the training depends on; a checkpoint of another training is not resumed."""
    digest = hashlib.sha256()
    train = params.train.model_dump(exclude=IRRELEVANT)
    digest.update(json.dumps([params.model.model_dump(), train, spec], sort_keys=True).encode())
    for path in (*map(dataset.path, ("train", "val")), *_loaded()):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _loaded() -> list[Path]:
    """The files of core/ and pipeline/ that this process has imported: what training uses."""
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    ours = (files[name] for name in sorted(files) if name.split(".")[0] in ("core", "pipeline"))
    return [Path(file) for file in ours if file]


def save(network: Network, optimizer: AdamW, best: dict[str, Any], about: dict[str, Any]) -> None:
    """Write weights, optimizer and the best weights so far; `about` is JSON."""
    tensors = {f"weight.{name}": t.detach() for name, t in network.state_dict().items()}
    tensors |= {kind: getattr(optimizer, kind) for kind in OF_OPTIMIZER}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    with replacing(CHECKPOINT) as temporary:
        save_file(
            {name: t.cpu().contiguous() for name, t in tensors.items()},
            temporary,
            {"about": json.dumps({**about, "steps": optimizer.steps})},
        )


def load(
    network: Network, optimizer: AdamW, fingerprint: str
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Put the state of the last epoch back; (about, best weights), or None for no such training."""
    try:
        with safe_open(CHECKPOINT, "pt") as file:
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
