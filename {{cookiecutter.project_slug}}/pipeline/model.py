"""A trained model as one file: weights, preprocessing and classes; no pickle anywhere."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pipeline import stage
from pipeline.errors import Problem
from pipeline.features import Spec, encode
from pipeline.network import Network

MODEL = Path("models/model.safetensors")
BASELINE = Path("models/baseline.safetensors")
BATCH = 1024  # rows: more of them leave the processor's cache with eight members


class Model:
    """A network with the preprocessing that it was trained with."""

    def __init__(self, spec: Spec, shape: dict[str, Any], network: Network) -> None:
        self.spec, self.shape, self.network = spec, shape, network.eval()

    def score(self, frame: pd.DataFrame) -> np.ndarray:
        """Score a table of n rows.

        binary: (n,) probability of the second class; multiclass: (n, classes)
        probabilities; regression: (n,) numbers. All float64. Raises `Problem`
        for a missing column, or text where a number is due.
        """
        return self.answer(self.logits(frame))

    @torch.inference_mode()
    def logits(self, frame: pd.DataFrame) -> np.ndarray:
        """The network's answers before temperature and link, (n, outputs) float64."""
        inputs = encode(frame, self.spec)
        numbers, codes = torch.from_numpy(inputs.numbers), torch.from_numpy(inputs.codes)
        device = next(self.network.parameters()).device
        parts = [
            self.network(n.to(device), c.to(device)).mean(1).double().cpu()
            for n, c in zip(numbers.split(BATCH), codes.split(BATCH), strict=True)
        ]
        return torch.cat(parts).numpy()

    def answer(self, logits: np.ndarray) -> np.ndarray:
        """Logits (n, outputs) as probabilities or numbers; see `score`."""
        task = self.spec["task"]
        if task == "regression":
            return np.asarray(logits[:, 0] * self.spec["scale"] + self.spec["center"])
        logits = logits / float(self.network.temperature)
        if task == "binary":
            return np.asarray(1 / (1 + np.exp(-logits[:, 0])))
        shares = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(shares / shares.sum(1, keepdims=True))

    def parameters(self) -> int:
        """How many numbers training has set."""
        return sum(weight.numel() for weight in self.network.parameters())


def save(model: Model, path: str | Path) -> None:
    """Write the model; the same model gives the same bytes."""
    tensors = {
        name: t.detach().cpu().contiguous() for name, t in model.network.state_dict().items()
    }
    about = json.dumps({"spec": model.spec, "shape": model.shape}, sort_keys=True)
    with stage.replacing(path) as temporary:
        save_file(tensors, temporary, {"model": about})
        temporary.chmod(0o644)


def load(path: str | Path = MODEL) -> Model:
    """Read a model on the CPU. Raises `Problem` for a file that is no safetensors model."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["model"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network = Network(about["spec"], **about["shape"], pieces=len(tensors["offset"]))
        network.load_state_dict(tensors)
    except FileNotFoundError:
        raise Problem(
            f"{path}: no such file; `dvc repro` trains it, `dvc pull` fetches it"
        ) from None
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise Problem(f"{path}: not a model of this pipeline: {str(error)[:200]}") from None
    return Model(about["spec"], about["shape"], network)
