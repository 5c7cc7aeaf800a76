"""Chapter 7: training steps. `fit`, the widget with the training curves and chapter 9's ward share this loop."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class Step(NamedTuple):
    """The measurements of one training step."""

    loss: float
    right: float  # 0…1: the accuracy on the batch
    gradient: float  # norm of the gradient of all weights, before clipping
    lr: float  # the head's learning rate


class Diverged(ArithmeticError):
    """The loss or the gradient of a step is not finite. The weights are those before the step."""

    def __init__(self, step: Step) -> None:
        super().__init__(f"the loss is {step.loss} and the gradient {step.gradient}")
        self.step = step


def steps(
    model: nn.Module,
    batches: Iterable[Tensor],
    loss_of: Callable[[Tensor], tuple[Tensor, Tensor]],
    optimizers: Sequence[Optimizer],
    schedules: Sequence[LRScheduler],
    clip: float = 1.0,
    scaler: GradScaler | None = None,
) -> Iterator[Step]:
    """One training step for each batch: the loss, its gradient, and the optimizer's step.

    `loss_of(batch)` gives the loss and the accuracy on the batch. A gradient with a norm above `clip` is scaled down to
    it. A `scaler` multiplies the loss, for float16; if the gradients overflow, it halves its factor and skips the step.

    Errors: Diverged, before any weight changes.
    """
    scaler = scaler or GradScaler("cpu", enabled=False)
    model.zero_grad()
    for batch in batches:
        loss, right = loss_of(batch)
        scaler.scale(loss).backward()
        for optimizer in optimizers:
            scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
        measured = torch.stack([each.detach().float().to(loss.device) for each in (loss, right, norm)])
        loss_now, accuracy, gradient = measured.tolist()  # the only synchronisation with the device in a step
        step = Step(loss_now, accuracy, gradient, float(schedules[-1].get_last_lr()[-1]))
        finite = math.isfinite(step.loss) and math.isfinite(step.gradient)
        if not finite and (not math.isfinite(step.loss) or not scaler.is_enabled() or scaler.get_scale() <= 1):
            model.zero_grad()
            raise Diverged(step)
        if finite:
            for optimizer in optimizers:
                scaler.step(optimizer)
        scaler.update()
        _advance(schedules, stepped=finite)
        model.zero_grad()
        yield step


def _advance(schedules: Sequence[LRScheduler], stepped: bool) -> None:
    with nullcontext() if stepped else warnings.catch_warnings():
        if not stepped:  # after a skipped step, torch would warn about the order of the calls
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
        for schedule in schedules:
            schedule.step()


def train_mode(model: nn.Module) -> None:
    """Set training mode, but evaluation mode for modules whose parameters are all frozen.

    So a frozen BatchNorm keeps its statistics, and frozen modules use no dropout.
    """
    model.train()
    for module in model.modules():
        weights = list(module.parameters())
        if weights and not any(each.requires_grad for each in weights):
            module.eval()
