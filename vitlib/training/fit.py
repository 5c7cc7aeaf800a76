"""Chapter 7: training. From fresh weights to good ones, in one loop that you can read in one sitting.

Each step: take some pictures, change them a little, ask the model, measure how wrong it is, and move every weight a
little downhill.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from vitlib.data.pictures import Pictures, normalisation, normalise
from vitlib.training import augment
from vitlib.training.history import History
from vitlib.training.memory import checkpointed, explained
from vitlib.training.optim import optimizers, schedule
from vitlib.training.predict import predict
from vitlib.training.snapshot import Snapshot, TrainingError, about

__all__ = ["History", "Recipe", "TrainingError", "evaluate", "fit"]


@dataclass(frozen=True)
class Recipe:
    """How to train. The defaults suit a small ViT on a few thousand small pictures.

    >>> Recipe(epochs=5, flip=True).lr
    0.001

    Errors: ValueError for a number that makes no sense.
    """

    epochs: int = 30  # passes over the training pictures
    batch_size: int = 64  # pictures in a step
    optimizer: Literal["adamw", "muon"] = "adamw"  # Muon needs fewer steps, each a little dearer
    lr: float = 1e-3  # the highest learning rate, which the head reaches after the warm-up
    warmup: float = 0.1  # share of all steps in which the learning rate climbs
    floor: float = 0.0  # share of `lr` that is left at the end
    weight_decay: float = 0.05  # share of a matrix that goes in a step, per unit of learning rate
    layer_decay: float = 1.0  # learning rate of a block over that of the block above it
    clip: float = 1.0  # longest gradient, of all parameters together; a longer one is shortened
    label_smoothing: float = 0.1  # share of the target that all classes get alike (label smoothing)
    shift: int = 0  # pixels: the furthest that a picture moves, along either axis
    flip: bool = False  # whether every second picture is mirrored, left to right
    erase: int = 0  # pixels: side of a grey square in each picture; 0: none
    mixup: float = 0.0  # α of mixup's Beta distribution; 0: off. With cutmix too, each step takes one of them
    cutmix: float = 0.0  # α of CutMix's; 0: off
    ema: float = 0.0  # decay, a step, of the weights' moving average, which is what remains; 0: no average
    amp: bool = False  # compute in bfloat16 where that is safe (automatic mixed precision)
    checkpointing: bool = False  # compute activations twice rather than keep them
    compile: bool = False  # torch.compile: pays on a CUDA device, hardly on a CPU
    seed: int = 0  # of order, changes and dropout; the model's own weights come with the model

    def __post_init__(self) -> None:
        if self.optimizer not in ("adamw", "muon"):
            raise ValueError(f"optimizer is {self.optimizer!r}: expected 'adamw' or 'muon'")
        for name in ("epochs", "batch_size", "lr", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: expected more than 0")
        for name in ("warmup", "floor", "label_smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected a share from 0 to below 1")
        for name in ("weight_decay", "layer_decay", "shift", "erase", "mixup", "cutmix", "seed"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: expected 0 or more")


def fit(
    model: nn.Module,
    train: Pictures,
    test: Pictures | None = None,
    recipe: Recipe = Recipe(),
    *,
    save: Path | None = None,
    resume: bool = True,
    watch: Callable[[History], object] | None = None,
    progress: bool = True,
) -> History:
    """Train the model, where it lies, and leave it in evaluation mode. Two runs of one recipe give the same weights.

    With `save`, a snapshot is written after every epoch, and a run that finds its own goes on from there, on a CPU to
    the same bits as if it had never stopped; `resume=False` starts again. `watch` is called with the history after
    every epoch. Any model that maps normalised pictures [B, C, H, W] to logits [B, K] will do. Parameters that
    require no gradient stay as they are.

    >>> from vitlib.data.datasets import digits
    >>> from vitlib.models import create
    >>> train, test = digits()
    >>> history = fit(create("vit_digits_patch2_8", seed=0), train, test, Recipe(epochs=2), progress=False)
    >>> history.loss[1] < history.loss[0]
    True

    Errors: TrainingError for a loss that is not finite, for too little memory (it says what would fit), and for a
    snapshot that cannot be written; CheckpointError for a snapshot of another run; ValueError for pictures that the
    model was not made for, or has too few classes for.
    """
    device = next(model.parameters()).device
    steps = max(len(train) // recipe.batch_size, 1)  # an epoch leaves out the few that fill no batch, others each time
    movers = optimizers(model, recipe.optimizer, recipe.lr, recipe.weight_decay, recipe.layer_decay)
    average = None
    if recipe.ema:
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
    snapshot = Snapshot(save, model, average, movers, about(model, train, recipe)) if save else None
    history = snapshot.read() if snapshot and snapshot.path.exists() and resume else History()
    total = recipe.epochs * steps
    warmup, done = round(recipe.warmup * total), len(history) * steps
    schedules = [schedule(each, total, warmup, recipe.floor, done) for each in movers]
    train, test = train.to(device), test.to(device) if test else None
    _check_classes(model, train)
    forward = torch.compile(model) if recipe.compile else model

    def loss_of(chosen: Int64[Tensor, "B"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """How wrong the model is on these pictures, and the share that it gets right."""
        images, targets = changed(train, chosen, recipe, *normalisation(model))
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.amp):
            logits = forward(images)  # B K
        right = (logits.argmax(dim=1) == targets.argmax(dim=1)).float().mean()
        return F.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing), right

    bar = tqdm(total=total, initial=done, disable=not progress, unit="step", delay=1)
    trial = explained(
        lambda few: loss_of(torch.arange(few, device=device) % len(train))[0].backward(), recipe.batch_size
    )
    dice = torch.random.fork_rng([device] if device.type == "cuda" else [])  # the caller's are left as they were
    with bar, trial, dice, checkpointed(model, recipe.checkpointing):
        for epoch in range(len(history), recipe.epochs):
            started, losses, rights = time.perf_counter(), 0.0, 0.0
            model.train()
            for step, chosen in enumerate(shuffled(len(train), recipe, epoch)[:steps], start=epoch * steps):
                torch.manual_seed(1_000_003 * recipe.seed + step)  # so that a resumed run needs to remember no dice
                loss, right = loss_of(chosen.to(device))
                loss.backward()
                wrong, share = torch.stack([loss.detach(), right]).tolist()  # the one wait for the device in a step
                if not math.isfinite(wrong):
                    model.zero_grad()
                    raise _diverged(wrong, step, epoch, float(schedules[-1].get_last_lr()[-1]), save)
                nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
                for mover, plan in zip(movers, schedules, strict=True):
                    mover.step()
                    plan.step()
                model.zero_grad()
                if average:
                    average.update_parameters(model)
                losses, rights = losses + wrong / steps, rights + share / steps
                bar.update()
                bar.set_postfix_str(f"epoch {epoch + 1}, loss {wrong:.2f}, {share:.0%} right", refresh=False)
            history.loss.append(losses)
            history.lr.append(float(schedules[-1].get_last_lr()[-1]))
            history.train_accuracy.append(rights)
            if test:
                history.test_accuracy.append(evaluate(average.module if average else model, test, amp=recipe.amp))
            history.seconds.append(time.perf_counter() - started)
            if snapshot:
                snapshot.write(history)
            if watch:
                watch(history)
    if average:
        model.load_state_dict(average.module.state_dict())
    model.eval()
    return history


def shuffled(number: int, recipe: Recipe, epoch: int) -> tuple[Int64[Tensor, "_"], ...]:
    """The pictures' numbers in the order of this epoch, a batch at a time; the last batch may be smaller."""
    dice = torch.Generator().manual_seed(2**31 + 1_000_003 * recipe.seed + epoch)
    return torch.randperm(number, generator=dice).split(recipe.batch_size)


def changed(
    train: Pictures, chosen: Int64[Tensor, "B"], recipe: Recipe, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B K"]]:
    """The chosen pictures as the model sees them, changed as the recipe says, and what it should answer."""
    images = train.images[chosen]
    if recipe.shift:
        images = augment.shift(images, recipe.shift)
    if recipe.flip:
        images = augment.flip(images)
    if recipe.erase:
        images = augment.erase(images, recipe.erase)
    pixels = normalise(images, mean, std)
    targets = augment.one_hot(train.labels[chosen], len(train.classes))
    mixes = [(mix, alpha) for mix, alpha in ((augment.mixup, recipe.mixup), (augment.cutmix, recipe.cutmix)) if alpha]
    if mixes:
        mix, alpha = mixes[int(torch.randint(len(mixes), ()))]
        pixels, targets = mix(pixels, targets, alpha)
    return pixels, targets


def evaluate(model: nn.Module, pictures: Pictures, batch_size: int = 512, amp: bool = False) -> float:
    """The share of pictures, 0…1, that the model puts in their class; in evaluation mode, without changes.

    >>> from vitlib.models import create
    >>> blank = Pictures(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.zeros(4).long(), tuple("0123456789"))
    >>> evaluate(create("vit_digits_patch2_8"), blank) in (0.0, 1.0)  # all four alike
    True
    """
    parts = zip(pictures.images.split(batch_size), pictures.labels.split(batch_size), strict=True)
    right = sum(int((predict(model, images, batch_size, amp).argmax(1) == labels).sum()) for images, labels in parts)
    return right / len(pictures)


def _check_classes(model: nn.Module, train: Pictures) -> None:
    """ValueError where the model has another number of logits than the pictures have classes."""
    logits = predict(model, train.images[:1]).shape[-1]
    if logits != len(train.classes):
        raise ValueError(
            f"the model has {logits} logits and the pictures have {len(train.classes)} classes; create it with "
            f"num_classes={len(train.classes)}"
        )


def _diverged(loss: float, step: int, epoch: int, lr: float, save: Path | None) -> TrainingError:
    kept = f"{save} holds epoch {epoch}" if save and epoch else "no epoch was saved"
    return TrainingError(
        f"the loss is {loss} at step {step} (epoch {epoch + 1}, learning rate {lr:.2g}): the run has diverged. The "
        f"model has the weights from before this step; {kept}. Lower lr or clip, warm up for longer, or leave amp off"
    )
