"""The network: a small ensemble of perceptrons on encoded tables, beside a linear model.

Numbers are cut into pieces (PLE, Gorishniy et al. 2022, On Embeddings for
Numerical Features), categories are embedded, members share their weights and
differ by a scale per input (TabM, Gorishniy et al. 2024), and a linear part
starts at zero beside them (Cheng et al. 2016, Wide & Deep), so that the network
never falls far behind a linear model.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.features import FIRST, Spec

ONE_HOT = 256  # up to so many levels in all, products with ones beat look-ups and their gradients


class Network(nn.Module):
    """A classifier or regressor of rows as `pipeline.features` encodes them."""

    lacking: Tensor  # columns whose gaps are an input of their own
    slope: Tensor  # the pieces of the numbers: clamp(numbers @ slope + offset, 0, 1)
    offset: Tensor
    temperature: Tensor

    def __init__(
        self,
        spec: Spec,
        hidden: list[int],
        members: int = 1,
        embedding: int = 16,
        dropout: float = 0.0,
        pieces: int = 0,
    ) -> None:
        super().__init__()
        levels = level_counts(spec)
        self.members = members if hidden else 1
        self.dropout = dropout
        outputs = max(1, len(spec["classes"])) if spec["task"] == "multiclass" else 1
        lacking = places(spec)["lacking"]
        self.register_buffer("lacking", torch.tensor(lacking, dtype=torch.int64))
        self.register_buffer("slope", torch.zeros(len(spec["numbers"]), pieces))
        self.register_buffer("offset", torch.zeros(pieces))
        self.register_buffer("temperature", torch.ones(()))

        linear_inputs = len(spec["numbers"]) + len(lacking)
        self.linear = nn.Linear(linear_inputs, outputs)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        widths = [min(embedding, (count + 1) // 2) for count in levels if hidden]
        self.levels = Levels(levels, outputs, widths)
        width = linear_inputs + pieces + sum(widths)
        self.layers = nn.ModuleList()
        for i, size in enumerate(hidden):
            self.layers.append(Shared(width, size, self.members, first=i == 0))
            width = size
        self.head = nn.Parameter(torch.zeros(self.members, width, outputs)) if hidden else None

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Numbers (n, N) float32, NaN where missing, and codes (n, C) to (n, members, outputs)."""
        lacking = numbers.isnan()
        filled = torch.where(lacking, 0.0, numbers)
        linear_inputs = torch.cat([filled, lacking[:, self.lacking].to(filled.dtype)], 1)
        weights, embedded = self.levels(codes)
        out: Tensor = (self.linear(linear_inputs) + weights).unsqueeze(1)
        if self.head is None:
            return out
        if len(self.offset):
            linear_inputs = torch.cat([linear_inputs, self.passed(filled)], 1)
        x = F.relu_(self.layers[0](linear_inputs, embedded))
        for layer in self.layers[1:]:
            x = F.dropout(x, self.dropout, self.training) if self.dropout else x
            x = F.relu_(layer(x))
        x = F.dropout(x, self.dropout, self.training) if self.dropout else x
        if x.dim() == 2:
            return out + (x @ self.head[0]).unsqueeze(1)
        return out + torch.einsum("nmw,mwo->nmo", x, self.head)

    def passed(self, numbers: Tensor) -> Tensor:
        """How much of every piece numbers (n, N) have passed: (n, pieces), 0 to 1."""
        with torch.autocast(numbers.device.type, enabled=False):  # bfloat16 blurs narrow pieces
            return torch.addmm(self.offset, numbers, self.slope).clamp_(0, 1)


class Levels(nn.Module):
    """Weights and embeddings of the levels of all categories; the weights start at zero."""

    starts: Tensor  # where each category's levels start in `linear`

    def __init__(self, levels: list[int], outputs: int, widths: list[int]) -> None:
        super().__init__()
        starts = np.cumsum([0, *levels])[: len(levels)]
        self.register_buffer("starts", torch.tensor(starts, dtype=torch.int64))
        self.linear = nn.Parameter(torch.zeros(sum(levels), outputs))
        self.tables = nn.ParameterList(map(torch.randn, levels, widths))

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (n, C) to the sum of weights (n, outputs) and the embeddings (n, widths)."""
        rows = codes + self.starts
        if len(self.linear) > ONE_HOT:
            vectors = [F.embedding(codes[:, i], table) for i, table in enumerate(self.tables)]
            embedded = torch.cat(vectors, 1) if vectors else self.linear.new_zeros(len(codes), 0)
            return F.embedding(rows, self.linear).sum(1), embedded
        ones = self.linear.new_zeros(len(codes), len(self.linear)).scatter_(1, rows, 1.0)
        embedded = ones @ torch.block_diag(*self.tables) if len(self.tables) else ones[:, :0]
        return ones @ self.linear, embedded


class Shared(nn.Module):
    """A linear layer that all members share, with a scale per member on its inputs and outputs."""

    def __init__(self, inputs: int, outputs: int, members: int, first: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")
        self.members = members
        self.bias = nn.Parameter(torch.zeros(members, outputs))
        if members > 1:
            signs = torch.randint(0, 2, (members, inputs)).float() * 2 - 1
            self.scale_in = nn.Parameter(signs if first else torch.ones(members, inputs))
            self.scale_out = nn.Parameter(torch.ones(members, outputs))

    def forward(self, x: Tensor, learnt: Tensor | None = None) -> Tensor:
        """(n, [members,] inputs) to (n, members, outputs), or (n, outputs) without members.

        `learnt` (n, more inputs) has weights behind it; x beside it then needs no gradient.
        """
        if self.members == 1 and learnt is not None:
            fixed, rest = self.weight.split([x.shape[1], learnt.shape[1]], 1)
            return torch.addmm(F.linear(x, fixed, self.bias[0]), learnt, rest.T)
        x = x if learnt is None else torch.cat([x, learnt], 1)
        if self.members == 1:
            return F.linear(x, self.weight, self.bias[0])
        x = x.unsqueeze(1) if x.dim() == 2 else x
        return F.linear(x * self.scale_in, self.weight) * self.scale_out + self.bias


def level_counts(spec: Spec) -> list[int]:
    """How many codes each category has."""
    return [FIRST + len(category["levels"]) for category in spec["categories"]]


def places(spec: Spec) -> dict[str, list[int]]:
    """The buffers of a network that follow from its columns alone."""
    lacking = [i for i, number in enumerate(spec["numbers"]) if number["missing"]]
    starts = np.cumsum([0, *level_counts(spec)])[: len(spec["categories"])]
    return {"lacking": lacking, "levels.starts": starts.tolist()}


def cut(numbers: np.ndarray, bins: int) -> list[Tensor]:
    """`bins` pieces of equal mass per column of (n, N): a network's slope (N, pieces) and offset.

    A piece of column i from a to b is clamp((x_i - a) / (b - a), 0, 1): the share x_i has passed.
    """
    of: list[int] = []
    low: list[float] = []
    width: list[float] = []
    for i in range(numbers.shape[1] if bins else 0):
        values = numbers[:: max(1, len(numbers) // 100_000), i]
        values = values[~np.isnan(values)]
        if not len(values):
            continue
        edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
        if len(edges) < 3:
            continue  # the number itself says as much
        of += [i] * (len(edges) - 1)
        low += list(edges[:-1])
        width += list(np.diff(edges))
    slope = np.zeros((numbers.shape[1], len(of)))
    slope[of, range(len(of))] = 1 / np.array(width)
    offset = -np.array(low) / np.array(width)
    return [torch.tensor(x, dtype=torch.float32) for x in (slope, offset)]
