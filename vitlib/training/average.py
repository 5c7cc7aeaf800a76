"""Chapter 7: the exponential moving average (EMA) of a model's weights, often more accurate than the last weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from vitlib.vit.wrappers import unwrapped


class Average:
    """An exponential moving average of the trained weights and of the statistics of BatchNorm.

    It is stored in float32, because half precision is too coarse for small changes. Integers, and values that are not
    finite, such as masks of −∞, are not averaged.

    >>> layer = nn.Linear(1, 1)
    >>> average = Average(layer, decay=0.9)
    >>> average.update(layer, steps=1)
    >>> with average.inside(layer):
    ...     pass  # here the layer has the averaged weights

    Source: Polyak & Juditsky, 1992; the warm-up is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        bare = unwrapped(model)
        stored = bare.state_dict().keys()
        weights = {name: each for name, each in bare.named_parameters() if each.requires_grad}
        statistics = {name: each for name, each in bare.named_buffers() if name in stored and each.is_floating_point()}
        self.weights, self.statistics = [*weights], [*statistics]
        self.values = {name: _wide(each).clone() for name, each in (weights | statistics).items()}

    @torch.no_grad()
    def update(self, model: nn.Module, steps: int) -> None:
        """Move the average towards the model's weights after `steps` steps: by 1 − decay, in the first steps by more.

        Otherwise the average would consist mostly of the initial, random weights for a long time.
        """
        decay = min(self.decay, (1 + steps) / (10 + steps))
        now = {name: _wide(each) for name, each in self._own(model).items()}
        means = [self.values[name] for name in self.weights]
        get_ema_multi_avg_fn(decay)(means, [now[name] for name in self.weights], steps)
        for name in self.statistics:
            mean = torch.lerp(self.values[name], now[name], 1 - decay)
            self.values[name] = torch.where(mean.isfinite(), mean, now[name])

    @contextmanager
    def inside(self, model: nn.Module) -> Iterator[None]:
        """Inside the block the model has the averaged weights, afterwards its own again."""
        own = {name: each.detach().clone() for name, each in self._own(model).items()}
        self.give(model)
        try:
            yield
        finally:
            self._fill(model, own)

    def give(self, model: nn.Module) -> None:
        """Copy the averaged weights into the model."""
        self._fill(model, self.values)

    def take(self, values: Mapping[str, Tensor]) -> None:
        """Copy the average from a snapshot. Old snapshots have `module.` before each name."""
        for name, mean in self.values.items():
            mean.copy_(values[name if name in values else f"module.{name}"])

    def _own(self, model: nn.Module) -> dict[str, Tensor]:
        bare = unwrapped(model)
        found = dict(bare.named_parameters()) | dict(bare.named_buffers())
        return {name: found[name] for name in self.values}

    @torch.no_grad()
    def _fill(self, model: nn.Module, values: Mapping[str, Tensor]) -> None:
        for name, each in self._own(model).items():
            each.copy_(values[name])


def _wide(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32))
