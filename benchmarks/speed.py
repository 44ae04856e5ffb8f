"""Training, as rows per CPU second, beside the tutorial loop and the matrix products alone.

All on one thread and in float32. The tutorial loop is what tutorials teach: a
Dataset that makes tensors of a row, a DataLoader, batches of 256, nn.Sequential
with the same hidden layers on scaled numbers and embeddings, torch.optim.AdamW.
The matrix products are those of the pipeline's network, forward and backward,
in its own batches, and nothing else.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from measure import Cost, Row, compare
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from workspace import ROWS, SIZE, prepared_loans, settings

from pipeline import dataset, features
from pipeline.network import Network, cut
from pipeline.network_model import Plan, on_device, plan
from pipeline.params import Params
from pipeline.training_loop import Rows, fit

SETTINGS = {"members": 1, "epochs": 1, "threads": 1, "resume": False}
HELD_OUT = 10_000  # rows that the pipeline's loop validates on: next to nothing


class Loans(Dataset):
    def __init__(self, rows: Rows) -> None:
        self.numbers, self.codes, self.answers = (part.numpy() for part in rows)

    def __len__(self) -> int:
        return len(self.answers)

    def __getitem__(self, i: int) -> tuple[Tensor, ...]:
        columns = self.numbers[i], self.codes[i], self.answers[i]
        return tuple(torch.tensor(column) for column in columns)


class Tutorial(nn.Module):
    def __init__(self, numbers: int, levels: list[int], hidden: list[int]) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(n, min(16, (n + 1) // 2)) for n in levels)
        width = numbers + sum(table.embedding_dim for table in self.embeddings)
        layers: list[nn.Module] = []
        for size in hidden:
            layers += [nn.Linear(width, size), nn.ReLU()]
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        parts = [table(codes[:, i]) for i, table in enumerate(self.embeddings)]
        return self.layers(torch.cat([numbers.nan_to_num(), *parts], 1))[:, 0]


class Ready(NamedTuple):
    """The training rows as the network takes them, and the network as train makes it."""

    spec: features.Spec
    rows: Rows
    network: Network
    todo: Plan


def as_tensors(table: pd.DataFrame, spec: features.Spec) -> Rows:
    answers = features.encode_target(table[spec["target"]], spec["task"], spec["classes"])
    return on_device(features.encode(table, spec), answers, spec, torch.device("cpu"))


def ready(table: pd.DataFrame, params: Params) -> Ready:
    """As `NetworkModel.fit` does it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    spec = features.learn(table, params.data)
    rows = as_tensors(table, spec)
    todo = plan(params, len(rows.answers))
    pieces = cut(rows.numbers.numpy(), todo.bins)
    shape = {**params.model.model_dump(exclude={"bins"}), "members": todo.members}
    network = Network(spec, **shape, pieces=len(pieces[1]))
    network.slope, network.offset = pieces
    return Ready(spec, rows, network, todo)


def encoded(folder: Path) -> Ready:
    os.chdir(folder)
    return ready(dataset.frame("train"), settings(**SETTINGS))


def ours(folder: Path) -> Callable[[], Any]:
    spec, rows, network, todo = encoded(folder)
    held_out = Rows(*(part[:HELD_OUT] for part in rows))

    def work() -> int:
        fit(network, rows, held_out, spec, settings(**SETTINGS), todo.batch, todo.epochs)
        return len(rows.answers)

    return work


def tutorial(folder: Path) -> Callable[[], Any]:
    spec, rows, _, _ = encoded(folder)
    levels = [len(category["levels"]) + features.FIRST for category in spec["categories"]]
    model = Tutorial(rows.numbers.shape[1], levels, settings().model.hidden)
    some = Rows(*(part[: len(rows.answers) // 5] for part in rows))  # it is slow

    def work() -> int:
        loader = DataLoader(Loans(some), batch_size=256, shuffle=True)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        loss_of = nn.BCEWithLogitsLoss()
        for numbers, codes, answers in loader:
            optimizer.zero_grad()
            loss = loss_of(model(numbers, codes), answers)
            loss.backward()
            optimizer.step()
        return len(some.answers)

    optimizer = torch.optim.AdamW(model.parameters())  # imports the compiler: not the loop's fault
    del optimizer
    return work


def products(folder: Path) -> Callable[[], Any]:
    _, rows, network, todo = encoded(folder)
    weights = [layer.weight.detach() for layer in network.layers] + [network.head[0].detach().T]
    inputs = [torch.rand(todo.batch, weight.shape[1]) for weight in weights]
    grads = [torch.rand(todo.batch, weight.shape[0]) for weight in weights]
    steps = len(rows.answers) // todo.batch

    def work() -> int:
        with torch.no_grad():
            for _ in range(steps):
                for x, weight in zip(inputs, weights, strict=True):
                    torch.mm(x, weight.T)
                for x, weight, grad in zip(inputs, weights, grads, strict=True):
                    torch.mm(grad.T, x)
                    torch.mm(grad, weight)
        return steps * todo.batch

    return work


def rate(cost: Cost) -> float:
    """Rows per CPU second."""
    return (cost.result or 0) / cost.cpu


def rows() -> Iterator[Row]:
    folder = prepared_loans(ROWS)
    costs = compare(3, (ours, folder), (tutorial, folder), (products, folder))
    mine, loop, limit = (rate(cost) for cost in costs)
    for name, other, goal in (("the tutorial loop", loop, 4), ("matrix products", limit, 0.6)):
        shown = f"{mine / 1000:.0f} k/CPU-s", f"{other / 1000:.0f} k/CPU-s"
        yield Row(f"train, rows per CPU second, {SIZE}", name, *shown, mine / other, goal, False)
