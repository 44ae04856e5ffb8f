"""AdamW, its learning rate over time, and a running average of the weights."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor


class AdamW:
    """Decoupled weight decay (Loshchilov and Hutter, 2019), as torch.optim.AdamW computes it.

    A few lines, because the first use of torch.optim imports the compiler: one
    to two seconds in every training. The weights become parts of one vector, so
    that a step is a dozen operations, however many layers there are.
    """

    def __init__(
        self,
        weights: Iterable[Tensor],
        weight_decay: float,
        ema: float,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        self.parts = list(weights)
        self.decay, self.ema, self.betas = weight_decay, ema, betas
        self.weights = torch.cat([part.detach().flatten() for part in self.parts])
        sizes = [part.numel() for part in self.parts]
        for part, values in zip(self.parts, self.weights.split(sizes), strict=True):
            part.data = values.view_as(part)
        self.mean = torch.zeros_like(self.weights)
        self.square = torch.zeros_like(self.weights)
        self.average = self.weights.clone()
        self.steps = 0

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Take one step along the gradients, and forget them."""
        self.steps += 1
        first, second = self.betas
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parts]
        grad = torch.cat([part.flatten() for part in grads])
        self.weights.mul_(1 - lr * self.decay)
        self.mean.lerp_(grad, 1 - first)
        self.square.mul_(second).addcmul_(grad, grad, value=1 - second)
        scale = self.square.sqrt().div_(math.sqrt(1 - second**self.steps)).add_(1e-8)
        self.weights.addcdiv_(self.mean, scale, value=-lr / (1 - first**self.steps))
        decay = min(self.ema, (1 + self.steps) / (10 + self.steps)) if self.ema else 0.0
        self.average.lerp_(self.weights, 1 - decay)
        for part in self.parts:
            part.grad = None

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the weights and their average: once to score, once to go on."""
        kept = self.weights.clone()
        self.weights.copy_(self.average)
        self.average.copy_(kept)


def one_cycle(step: int, steps: int, lr: float) -> float:
    """The learning rate of a step: up for a tenth of the way, then down as a cosine to 1 %."""
    warm = max(1, steps // 10)
    if step < warm:
        return lr * (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return lr * (0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, done))) / 2)
