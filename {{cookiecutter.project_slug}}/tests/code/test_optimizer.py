"""Our few lines of AdamW step as PyTorch's own, and the learning rate rises and falls."""

import pytest
import torch

from pipeline.optimizer import AdamW, one_cycle


def test_steps_are_those_of_torch() -> None:
    torch.manual_seed(0)
    start, inputs = torch.randn(5, 3), torch.randn(20, 5)
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    mine = AdamW([ours], weight_decay=0.1, ema=0.9)
    reference = torch.optim.AdamW([theirs], lr=0.05, weight_decay=0.1)
    for _ in range(25):
        (inputs @ ours).square().sum().backward()
        mine.step(0.05)
        reference.zero_grad()
        (inputs @ theirs).square().sum().backward()
        reference.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_average_follows_the_weights_and_is_swapped_in_and_out() -> None:
    weight = torch.ones(3, requires_grad=True)
    optimizer = AdamW([weight], weight_decay=0.0, ema=0.5)
    weight.sum().backward()
    optimizer.step(0.1)
    stepped = weight.detach().clone()
    optimizer.swap()
    assert (weight > stepped).all(), "the average lags behind"
    optimizer.swap()
    torch.testing.assert_close(weight.detach(), stepped)


def test_without_averaging_the_average_is_the_weights() -> None:
    weight = torch.ones(3, requires_grad=True)
    optimizer = AdamW([weight], weight_decay=0.0, ema=0.0)
    weight.sum().backward()
    optimizer.step(0.1)
    torch.testing.assert_close(optimizer.average, weight.detach())


def test_one_cycle_rises_for_a_tenth_and_then_falls() -> None:
    rates = [one_cycle(step, 100, 1.0) for step in range(100)]
    assert max(rates) == rates[10] == pytest.approx(1.0)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.02


def test_one_cycle_is_what_a_hand_computes() -> None:
    assert [one_cycle(step, 20, 2.0) for step in (0, 1, 2, 11, 20)] == pytest.approx(
        [1.0, 2.0, 2.0, 2 * (0.01 + 0.99 / 2), 0.02]
    )
    assert one_cycle(25, 20, 1.0) == pytest.approx(0.01), "and no second rise"
    assert [one_cycle(step, 1, 1.0) for step in (0, 1)] == [1.0, 1.0]
    assert one_cycle(1, 19, 1.0) == 1.0, "a tenth is rounded down"


def test_the_average_of_few_steps_forgets_the_first_weights() -> None:
    weight = torch.zeros(1, requires_grad=True)
    optimizer = AdamW([weight, torch.zeros(1, requires_grad=True)], weight_decay=0.0, ema=0.9)
    average = 0.0
    for step in range(1, 200):
        weight.sum().backward()
        optimizer.step(0.1)
        share = min(0.9, (1 + step) / (10 + step))
        average = share * average + (1 - share) * weight.item()
        assert optimizer.average[0].item() == pytest.approx(average, rel=1e-4)
    assert float(optimizer.average[1]) == 0, "no gradient, no step"
