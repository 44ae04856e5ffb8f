"""The network computes what its parts say, one member and one layer at a time."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.yaml_io import check_yaml, read_yaml
from pipeline import network_model
from pipeline.features import Inputs, Spec
from pipeline.network import Network, cut, level_counts, places
from pipeline.network_model import calibrate, on_device, pick_device, plan
from pipeline.params import Params
from pipeline.training_loop import BATCH, Rows, criterion, logits_of, pick_threads

NAN = float("nan")


def spec(task: str = "binary", levels: tuple[int, ...] = (3, 1)) -> Spec:
    numbers: Any = [
        {"name": f"x{i}", "mean": 0.0, "std": 1.0, "missing": bool(i % 2)} for i in range(3)
    ]
    words = [{"name": f"w{i}", "levels": [str(j) for j in range(n)]} for i, n in enumerate(levels)]
    classes: Any = {"binary": [0, 1], "multiclass": [0, 1, 2, 3], "regression": []}[task]
    about: Any = {"target": "y", "task": task, "classes": classes, "center": 5.0, "scale": 2.0}
    return {**about, "numbers": numbers, "categories": words}


def rows(of: Spec, count: int = 7) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(count, 3)).astype(np.float32)
    numbers[rng.random((count, 3)) < 0.2] = NAN
    codes = [rng.integers(0, levels, count) for levels in level_counts(of)]
    return torch.from_numpy(numbers), torch.from_numpy(np.array(codes).T.reshape(count, -1))


def by_hand(network: Network, numbers: Tensor, codes: Tensor) -> Tensor:
    """(n, members, outputs), one member after the other."""
    gaps = numbers.isnan()
    filled = numbers.nan_to_num(0)
    plain = torch.cat([filled, gaps[:, [1]].float()], 1)
    starts = network.levels.starts.tolist()
    shared = plain @ network.linear.weight.T + network.linear.bias
    for i, start in enumerate(starts):
        shared = shared + network.levels.linear[start + codes[:, i]]
    if network.head is None:
        return shared[:, None]
    passed = (filled @ network.slope + network.offset).clamp(0, 1)
    words = [table[codes[:, i]] for i, table in enumerate(network.levels.tables)]
    answers = []
    for member in range(network.members):
        x = torch.cat([plain, passed, *words], 1)
        for layer in network.layers:
            if network.members > 1:
                x = (x * layer.scale_in[member]) @ layer.weight.T * layer.scale_out[member]
            else:
                x = x @ layer.weight.T
            x = (x + layer.bias[member]).relu()
        answers.append(shared + x @ network.head[member])
    return torch.stack(answers, 1)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("levels", [(3, 1), (), (300, 2)], ids=["few", "none", "many"])
@pytest.mark.parametrize(("hidden", "members"), [([], 4), ([5], 1), ([5, 4], 1), ([5, 4], 3)])
def test_it_is_a_linear_part_and_members_beside_it(
    task: str, levels: tuple[int, ...], hidden: list[int], members: int
) -> None:
    of = spec(task, levels)
    network = Network(of, hidden, members, embedding=4, pieces=6)
    assert torch.equal(
        network(*rows(of)), torch.zeros(7, members if hidden else 1, 1 + 3 * (task != "binary"))
    )
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in [*network.parameters(), network.slope, network.offset]:
            weight.copy_(torch.randn(weight.shape))
    numbers, codes = rows(of)
    torch.testing.assert_close(network(numbers, codes), by_hand(network, numbers, codes))


def test_its_parts_have_the_sizes_that_are_asked_for() -> None:
    network = Network(spec(), [6, 5], members=3, embedding=4, pieces=7)
    assert [tuple(table.shape) for table in network.levels.tables] == [(5, 3), (3, 2)]
    wide = Network(spec(levels=(30,)), [6], embedding=4)
    assert [tuple(table.shape) for table in wide.levels.tables] == [(32, 4)]
    assert [tuple(one.weight.shape) for one in network.layers] == [(6, 3 + 1 + 7 + 5), (5, 6)]
    first, second = network.layers
    assert set(first.scale_in.flatten().tolist()) == {-1.0, 1.0}
    assert not torch.equal(first.scale_in[0], first.scale_in[1])
    for ones in (first.scale_out, second.scale_in, second.scale_out):
        assert torch.equal(ones, torch.ones_like(ones))
    bound = (6 / first.weight.shape[1]) ** 0.5  # He et al. 2015
    assert 0.5 * bound < first.weight.abs().max() <= bound
    assert places(spec()) == {"lacking": [1], "levels.starts": [0, 5]}
    assert float(network.temperature) == 1


@pytest.mark.parametrize("hidden", [[400], [400, 400]])
def test_dropout_is_for_training_and_keeps_the_mean(hidden: list[int]) -> None:
    torch.manual_seed(0)
    of = spec()
    network = Network(of, hidden, dropout=0.5)
    with torch.no_grad():
        assert network.head is not None
        network.head.fill_(1.0)
        for layer in network.layers:
            layer.weight.abs_()  # so that no mean is cut off at zero
    numbers, codes = rows(of, 1)
    some = torch.stack([network(numbers, codes).flatten() for _ in range(50)])
    whole = network.eval()(numbers, codes)
    assert torch.equal(whole, network(numbers, codes))
    assert some.std() > 0
    assert some.mean().item() == pytest.approx(whole.item(), rel=0.15)


def test_pieces_hold_equal_shares_of_each_number() -> None:
    numbers = np.array([[0, 5, 1, NAN], [1, 5, 1, NAN], [2, 5, NAN, NAN], [3, 5, 2, NAN]] * 3)
    numbers = np.vstack([numbers, [[8, 5, 9, NAN]]]).astype(np.float32)
    slope, offset = cut(numbers, 2)  # at 0, 2, 8; no cut; at 1, 1.0, 9
    assert slope.shape == (4, 2)
    assert slope[0].tolist() == pytest.approx([1 / 2, 1 / 6])
    assert offset.tolist() == pytest.approx([0, -2 / 6])
    assert not slope[1:].any(), "two edges say no more than the number itself"
    assert [part.dtype for part in (slope, offset)] == [torch.float32] * 2
    for nothing in (cut(numbers, 0), cut(numbers[:, 1:2], 4)):
        assert [part.shape[-1] for part in nothing] == [0, 0]
    both, starts = cut(numbers[:, [0, 2]], 4)
    assert (both[0] > 0).tolist() == [True] * 4 + [False] * int((both[1] > 0).sum())
    assert starts.isfinite().all()


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (500, (8, 0, 32, 100)),
        (999, (8, 0, 32, 100)),
        (1_000, (8, 16, 32, 100)),
        (4_000, (8, 16, 128, 100)),
        (20_000, (8, 16, 512, 20)),
        (49_999, (8, 16, 2048, 8)),
        (50_000, (4, 16, 2048, 8)),
        (199_999, (4, 16, 2048, 4)),
        (200_000, (1, 16, 2048, 4)),
    ],
)
def test_what_auto_comes_to(count: int, expected: tuple[int, ...]) -> None:
    content = read_yaml("params.yaml")
    content["model"] |= {"members": "auto", "bins": "auto"}
    content["train"] |= {"batch_size": "auto", "epochs": "auto"}
    assert plan(check_yaml(Params, content, "params.yaml"), count) == expected
    content["model"] |= {"members": 3, "bins": 7}
    content["train"] |= {"batch_size": 9, "epochs": 11}
    assert plan(check_yaml(Params, content, "params.yaml"), count) == (3, 7, 9, 11)


def test_answers_are_tensors_of_their_task() -> None:
    inputs = Inputs(np.ones((2, 3), np.float32), np.zeros((2, 2), np.int64))
    for task, answers, expected in (
        ("binary", [0, 1], torch.tensor([0.0, 1.0])),
        ("multiclass", [3, 1], torch.tensor([3, 1])),
        ("regression", [5.0, 9.0], torch.tensor([0.0, 2.0])),
    ):
        found = on_device(inputs, np.array(answers), spec(task), torch.device("cpu"))
        torch.testing.assert_close(found.answers, expected, rtol=0, atol=0)
        assert (found.numbers.shape, found.codes.shape) == ((2, 3), (2, 2))


def test_rows_are_scored_in_batches_and_members_averaged() -> None:
    of = spec()
    network = Network(of, [4], members=3).eval()
    torch.nn.init.normal_(network.head)
    numbers, codes = rows(of, BATCH + 5)
    found = logits_of(network, Rows(numbers, codes, torch.zeros(0)))
    torch.testing.assert_close(found, network(numbers, codes).mean(1))


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("stretch", [0.01, 0.5, 1.0, 1.1, 3.0, 100.0])
def test_the_temperature_is_the_best_of_its_range(task: str, stretch: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 1 if task == "binary" else 4, generator=generator) * 2
    chances = logits.sigmoid() if task == "binary" else logits.softmax(1)
    drawn = torch.rand(4000, generator=generator)
    truth = (drawn < chances[:, 0]).float()
    if task == "multiclass":
        truth = torch.multinomial(chances, 1, generator=generator)[:, 0]
    given = stretch * logits.double()

    def loss(temperature: float) -> float:
        if task == "binary":
            return float(
                F.binary_cross_entropy_with_logits(given[:, 0] / temperature, truth.double())
            )
        return float(F.cross_entropy(given / temperature, truth))

    found = calibrate(stretch * logits, Rows(logits, logits, truth), spec(task))
    grid = np.exp(np.linspace(-1.5, 1.5, 601))
    best = float(min(grid, key=loss))
    if loss(best) > loss(1.0) - 1e-4:
        best = 1.0
    assert found == pytest.approx(best, rel=0.012)


def test_threads_are_as_asked_or_as_are_fastest() -> None:
    of = spec()
    network, batch = Network(of, [4]), Rows(*rows(of), torch.zeros(7))
    loss, before = criterion(of, None), torch.get_num_threads()
    assert pick_threads(3, network, batch, 4, loss) == 3
    torch.set_num_threads(1)
    assert pick_threads("auto", network, batch, 4, loss) == 1
    torch.set_num_threads(2)
    assert pick_threads("auto", network, batch, 4, loss) in (1, 2)
    torch.set_num_threads(before)
    assert all(weight.grad is None for weight in network.parameters()), "the trial is forgotten"


def test_no_gpu_is_asked_for_in_vain() -> None:
    assert pick_device("cpu").type == "cpu"
    if torch.cuda.is_available():
        assert pick_device("auto").type == "cuda"
        return
    assert pick_device("auto").type == "cpu"
    with pytest.raises(network_model.Problem, match="sees no GPU; use auto or cpu"):
        pick_device("cuda")
