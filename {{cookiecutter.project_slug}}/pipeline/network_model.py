"""The network as a model: fitted, calibrated, scored, saved and read back; no pickle anywhere."""

import json
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from core.errors import Problem
from core.files import replacing
from pipeline import features
from pipeline.features import Input, Inputs, Spec
from pipeline.network import Network, cut, places
from pipeline.params import Model as Shape
from pipeline.params import Params
from pipeline.training_loop import History, Rows, fit, logits_of


class NetworkModel:
    """A small ensemble of networks with a linear part beside it, and its preprocessing.

    Numbers beyond 8 standard deviations of the training rows count as that far; levels seen in
    fewer than 5 of them, or never, are one level: unseen.
    """

    kind: ClassVar[str] = "network"

    def __init__(self, spec: Spec, shape: dict[str, Any], network: Network) -> None:
        self.spec, self.shape, self.network = spec, shape, network.eval()

    @property
    def task(self) -> str:
        """binary, multiclass or regression."""
        return self.spec["task"]

    @property
    def target(self) -> str:
        """The column that it predicts."""
        return self.spec["target"]

    @property
    def classes(self) -> list[Any]:
        """Sorted; of two, the second is the positive one."""
        return self.spec["classes"]

    @property
    def inputs(self) -> list[Input]:
        """The columns that it needs."""
        return features.inputs_of(self.spec)

    @classmethod
    def fit(cls, train: pd.DataFrame, val: pd.DataFrame, params: Params) -> tuple[Self, History]:
        """Fit on `train` and stop early on `val`; the model and its history, a row per epoch.

        Raises `Problem` when the loss is not finite.
        """
        spec = features.learn(train, params.data)
        inputs = [features.encode(frame, spec) for frame in (train, val)]
        answers = [
            features.encode_target(frame[spec["target"]], spec["task"], spec["classes"])
            for frame in (train, val)
        ]
        device = pick_device(params.train.device)
        chosen = plan(params, len(train))
        torch.manual_seed(params.train.seed)
        slope, offset = cut(inputs[0].numbers, chosen.bins)
        shape = {**params.model.model_dump(exclude={"bins"}), "members": chosen.members}
        network = Network(spec, **shape, pieces=len(offset))
        network.slope, network.offset = slope, offset
        network.to(device)
        rows, val_rows = (
            on_device(*both, spec, device) for both in zip(inputs, answers, strict=True)
        )
        best, history = fit(network, rows, val_rows, spec, params, chosen.batch, chosen.epochs)
        network.load_state_dict(best)
        model = cls(spec, shape, network)
        if params.train.calibrate and spec["task"] != "regression":
            network.temperature.fill_(calibrate(logits_of(network, val_rows), val_rows, spec))
        return model, history

    def score(self, frame: pd.DataFrame) -> np.ndarray:
        """Score a table of n rows; see `pipeline.model.Model`."""
        inputs = features.encode(frame, self.spec)
        device = next(self.network.parameters()).device
        numbers, codes = (torch.from_numpy(part).to(device) for part in inputs)
        logits = logits_of(self.network, Rows(numbers, codes, numbers.new_zeros(0)))
        return features.link(
            logits.double().cpu().numpy(), self.spec, float(self.network.temperature)
        )

    def save(self, path: str | Path) -> None:
        """Write weights, preprocessing and classes; the same model gives the same bytes."""
        state = self.network.state_dict()
        tensors = {name: t.detach().cpu().contiguous() for name, t in state.items()}
        about = {"kind": self.kind, "spec": self.spec, "shape": self.shape}
        with replacing(path) as temporary:
            save_file(tensors, temporary, {"model": json.dumps(about, sort_keys=True)})
            temporary.chmod(0o644)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read it on the CPU; layers that the file does not hold are never made.

        Raises `ValueError` where preprocessing, shape and tensors do not fit each other.
        """
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["model"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        spec, shape = features.check_spec(about["spec"]), about["shape"]
        Shape.model_validate({**shape, "bins": 0})
        with torch.device("meta"):
            network = Network(spec, **shape, pieces=len(tensors["offset"]))
        for name, wanted in network.state_dict().items():
            if tensors[name].shape != wanted.shape or tensors[name].dtype != wanted.dtype:
                raise ValueError(f"{name} is not {wanted.dtype} of {tuple(wanted.shape)}")
        for name, values in places(spec).items():
            if tensors[name].tolist() != values:
                raise ValueError(f"{name} does not fit the columns")
        network.load_state_dict(tensors, assign=True)
        return cls(spec, shape, network)


class Plan(NamedTuple):
    """What `auto` comes to for so many training rows."""

    members: int
    bins: int
    batch: int
    epochs: int


def plan(params: Params, rows: int) -> Plan:
    """Few rows: more members, small batches, many epochs; many rows the other way round."""
    auto = Plan(
        members=8 if rows < 50_000 else 4 if rows < 200_000 else 1,
        bins=0 if rows < 1_000 else 16,
        batch=int(np.clip(2 ** round(np.log2(max(1, rows / 32))), 32, 2048)),
        epochs=int(np.clip(400_000 // rows, 4, 100)),
    )
    shape, settings = params.model, params.train
    wanted = shape.members, shape.bins, settings.batch_size, settings.epochs
    return Plan(*(a if w == "auto" else w for w, a in zip(wanted, auto, strict=True)))


def on_device(inputs: Inputs, answers: np.ndarray, spec: Spec, device: torch.device) -> Rows:
    """n encoded rows and their answers (n,) as tensors, once and for all."""
    if spec["task"] == "regression":
        answers = (answers - spec["center"]) / spec["scale"]
    kind = torch.int64 if spec["task"] == "multiclass" else torch.float32
    tensors = torch.from_numpy(inputs.numbers), torch.from_numpy(inputs.codes)
    return Rows(*(t.to(device) for t in (*tensors, torch.from_numpy(answers).to(kind))))


def calibrate(logits: Tensor, val: Rows, spec: Spec) -> float:
    """The temperature that lowers the loss of the validation rows (Guo et al. 2017), else 1.

    `logits` is (n, outputs) of the rows `val`; they are to be divided by it.
    """
    logits, truth = logits.double().cpu(), val.answers.cpu()

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        if spec["task"] == "binary":
            return float(F.binary_cross_entropy_with_logits(scaled[:, 0], truth.double()))
        return float(F.cross_entropy(scaled, truth))

    low, high = -1.5, 1.5  # of the logarithm; the loss has one minimum in between
    while high - low > 0.01:
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if loss(np.exp(left)) < loss(np.exp(right)) else (left, high)
    best = float(np.exp((low + high) / 2))
    return best if loss(best) < loss(1.0) - 1e-4 else 1.0


def pick_device(wanted: str) -> torch.device:
    """CUDA where there is one, unless params.yaml says otherwise."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise Problem("train.device is cuda, but PyTorch sees no GPU; use auto or cpu")
    if there and wanted != "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")
