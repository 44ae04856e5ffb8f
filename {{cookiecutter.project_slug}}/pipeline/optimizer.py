"""AdamW, its learning rate over time, and a running average of the weights."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor


class AdamW:
    """Decoupled weight decay (Loshchilov and Hutter, 2019), as torch.optim.AdamW computes it.

    A few lines, because the first use of torch.optim imports the compiler:
    one to two seconds in every training.
    """

    def __init__(
        self,
        weights: Iterable[Tensor],
        weight_decay: float,
        ema: float,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        self.weights = list(weights)
        self.decay, self.ema, self.betas = weight_decay, ema, betas
        self.mean = [torch.zeros_like(weight) for weight in self.weights]
        self.square = [torch.zeros_like(weight) for weight in self.weights]
        self.average = [weight.detach().clone() for weight in self.weights]
        self.steps = 0

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Take one step along the gradients, and forget them."""
        self.steps += 1
        first, second = self.betas
        grads = [torch.zeros_like(w) if w.grad is None else w.grad for w in self.weights]
        torch._foreach_mul_(self.weights, 1 - lr * self.decay)
        torch._foreach_lerp_(self.mean, grads, 1 - first)
        torch._foreach_mul_(self.square, second)
        torch._foreach_addcmul_(self.square, grads, grads, 1 - second)
        scale = torch._foreach_sqrt(self.square)
        torch._foreach_div_(scale, math.sqrt(1 - second**self.steps))
        torch._foreach_add_(scale, 1e-8)
        torch._foreach_addcdiv_(self.weights, self.mean, scale, -lr / (1 - first**self.steps))
        decay = min(self.ema, (1 + self.steps) / (10 + self.steps)) if self.ema else 0.0
        torch._foreach_lerp_(self.average, self.weights, 1 - decay)
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the weights and their average: once to score, once to go on."""
        for weight, average in zip(self.weights, self.average, strict=True):
            kept = weight.clone()
            weight.copy_(average)
            average.copy_(kept)


def one_cycle(step: int, steps: int, lr: float) -> float:
    """The learning rate of a step: up for a tenth of the way, then down as a cosine to 1 %."""
    warm = max(1, steps // 10)
    if step < warm:
        return lr * (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return lr * (0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, done))) / 2)
