"""Chapter 7: Muon, an optimizer for matrices, whose steps have the same length in all directions.

The gradient of a matrix has a few large singular values and many small ones, and AdamW mostly follows the large ones.
Muon keeps the singular vectors and makes all singular values equal.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from vitlib.device import fast_bfloat16

QUINTIC = (3.4445, -4.7750, 2.0315)  # a, b, c of a s + b s³ + c s⁵; applied repeatedly, it brings 0 < s ≤ 1 near 1


def orthogonalised(matrices: Float[Tensor, "*K m n"], rounds: int = 5) -> Float[Tensor, "*K m n"]:
    """Matrices with the same singular vectors, and singular values near 1 (0.7 to 1.2).

    Each round applies a polynomial to the singular values (Newton-Schulz), which needs only matrix products. Singular
    values below a thousandth of the largest do not reach 1 in five rounds.

    >>> steep = torch.diag(torch.tensor([1.0, 0.1, 0.01]))
    >>> bool((orthogonalised(steep).diagonal() - 1).abs().max() < 0.35)
    True

    Source: Jordan et al., 2024, "Muon: an optimizer for hidden layers in neural networks".
    """
    a, b, c = QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices  # wide, so that x xᵀ is the smaller of the two products
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # no singular value is above 1
    for _ in range(rounds):
        square = x @ x.mT  # *K m m
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x


class Muon(Optimizer):
    """Step along the orthogonalised moving average of the gradients. For matrices [m, n], and for the weights of
    convolutions [m, n, h, w], taken as matrices [m, n·h·w].

    A step is 0.2 √max(m, n) times an orthogonal matrix. That is as long as a step of AdamW, so both take the same `lr`.
    torch.optim has a Muon, too, which always computes in bfloat16: on a processor without bfloat16 units, that takes
    most of the training time (bench/README.md). This one uses bfloat16 where it is fast, and float32 elsewhere.

    lr: learning rate; momentum: decay of the moving average; weight_decay: as in AdamW, decoupled from the gradient.

    >>> layer = nn.Linear(4, 3, bias=False)
    >>> layer(torch.ones(1, 4)).sum().backward()
    >>> Muon(layer.parameters(), lr=0.1).step()

    Errors: ValueError for a parameter with fewer than two axes, and for a number out of its range.
    Sources: Jordan et al., 2024; Liu et al., 2025, "Muon is scalable for LLM training", equation 4 (the length).
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        for name, value in (("lr", lr), ("weight_decay", weight_decay)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value}: expected 0 or more")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum is {momentum}: expected a share from 0 to below 1")
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for group in self.param_groups:
            if odd := [tuple(each.shape) for each in group["params"] if each.ndim < 2]:
                raise ValueError(f"a parameter has shape {odd[0]}: Muon moves matrices; give the others to AdamW")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every matrix that has a gradient. Matrices of the same shape are orthogonalised together."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    alike.setdefault(weight.shape, []).append(weight)
            for shape, weights in alike.items():
                moves = torch.stack([self._averaged(weight, group["momentum"]).flatten(1) for weight in weights])
                dtype = torch.bfloat16 if fast_bfloat16(moves.device) else torch.float32
                length = 0.2 * max(moves.shape[-2:]) ** 0.5
                for weight, move in zip(weights, orthogonalised(moves.to(dtype)), strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(move.reshape(shape), alpha=-group["lr"] * length)
        return loss

    def _averaged(self, weight: nn.Parameter, momentum: float) -> Tensor:
        """The moving average of the gradients with Nesterov momentum."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        average = state["momentum_buffer"].lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(average, momentum)
