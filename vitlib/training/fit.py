"""Chapter 7: training. From fresh weights to good ones, in one loop that you can read in one sitting.

Each step: take some pictures, change them a little, ask the model, measure how wrong it is, and move every weight a
little downhill.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.amp import GradScaler
from tqdm.auto import tqdm

from vitlib.data.pictures import Pictures, normalisation, normalise
from vitlib.device import amp_dtype, autocast
from vitlib.training import augment
from vitlib.training.accuracy import evaluate
from vitlib.training.average import Average
from vitlib.training.classes import name_classes, same_classes
from vitlib.training.history import History
from vitlib.training.memory import checkpointed, explained, untouched
from vitlib.training.optim import optimizers, schedule
from vitlib.training.predict import predict
from vitlib.training.recipe import Recipe
from vitlib.training.snapshot import Snapshot, TrainingError, about
from vitlib.training.steps import Diverged, steps, train_mode
from vitlib.vit.wrappers import require_numbers, unwrapped

__all__ = ["History", "Recipe", "TrainingError", "evaluate", "fit"]

RECIPE = Recipe()  # the defaults


def fit(
    model: nn.Module,
    train: Pictures,
    test: Pictures | None = None,
    recipe: Recipe = RECIPE,
    *,
    teacher: nn.Module | None = None,
    valid: Pictures | None = None,
    save: Path | None = None,
    resume: bool = True,
    watch: Callable[[History], object] | None = None,
    progress: bool = True,
) -> History:
    """Train the model, where it lies, and leave it in evaluation mode. Two runs of one recipe give the same weights.

    Any model that maps normalised pictures [B, C, H, W] to logits [B, K] will do. It learns the names of the classes,
    and pictures are compared with them by name. Parameters that require no gradient stay as they are, and so do the
    statistics beside them.

    Without validation pictures, what remains are the weights of the last epoch, and `test` is measured after every
    one. With them (`valid`, or a share of `train` that the recipe keeps back), what remains are the weights of the
    epoch that is best on them, the later one of two that are equal, and `test` is measured once, at the end.

    With `save`, a snapshot is written after every epoch, and a run that finds its own goes on from there, on a CPU to
    the same bits as if it had never stopped; `resume=False` starts again. A run is the same if its recipe, its
    pictures, the model's first weights and the parameters that learn are the same. `watch` is called with the history
    after every epoch. With a `teacher`, a trained model that sees the same changed pictures, half of each target is the
    probabilities that it gives (Hinton et al., 2015).

    >>> from vitlib.data.datasets import digits
    >>> from vitlib.models import create
    >>> train, test = digits()
    >>> history = fit(create("vit_digits_patch2_8", seed=0), train, test, Recipe(epochs=2), progress=False)
    >>> history.loss[1] < history.loss[0]
    True

    Errors: TrainingError for a loss, a gradient or weights that are not finite, for too little memory (it says what
    would fit), and for a snapshot that cannot be written; CheckpointError for a snapshot of another run; ValueError for
    pictures that the model was not made for, or of classes that it does not have, and where every parameter is frozen.
    """
    require_numbers(model)
    recipe.check(train)
    first = next(model.parameters())
    device = first.device
    if first.dtype == torch.float16:
        raise ValueError(
            "the weights are torch.float16, too coarse for the small steps of training: train model.float(), with "
            "amp='float16' if you like, and call model.half() afterwards"
        )
    train = same_classes(model, train, predict(model, train.images[:1]).shape[1])
    if valid is not None and recipe.validation:
        raise ValueError(f"valid is given, and the recipe keeps back {recipe.validation:.0%} too: choose one of them")
    if recipe.validation:
        train, valid = train.split(round(1 / recipe.validation), recipe.seed)
    test, valid = (part if part is None else part.aligned(train.classes) for part in (test, valid))

    per_epoch = steps_in_epoch(train, recipe)
    movers = optimizers(model, recipe.optimizer, recipe.lr, recipe.weight_decay, recipe.layer_decay)
    average = Average(model, recipe.ema) if recipe.ema else None
    scaler = GradScaler(device.type, enabled=bool(recipe.amp) and amp_dtype(device, recipe.amp) is torch.float16)
    run = about(model, train, recipe, valid, test, teacher) if save else {}
    snapshot = Snapshot(save, unwrapped(model), average, movers, scaler, run) if save else None
    history, best = snapshot.read() if snapshot and snapshot.path.exists() and resume else (History(), None)
    name_classes(model, train.classes)
    total, done = recipe.epochs * per_epoch, len(history) * per_epoch
    plans = [schedule(each, total, round(recipe.warmup * total), recipe.floor, done) for each in movers]
    train = train.to(device)
    test, valid = (part if part is None else part.to(device) for part in (test, valid))
    loss_of = loss_on(cast(nn.Module, torch.compile(model)) if recipe.compile else model, train, recipe, teacher)

    def measured(pictures: Pictures) -> float:
        return evaluate(model, pictures, amp=recipe.amp, balanced=recipe.balanced)

    def trial(few: int) -> None:
        with untouched(model):
            loss_of(torch.arange(few, device=device) % len(train))[0].backward()

    bar = tqdm(total=total, initial=done, disable=not progress, unit="step", delay=1)
    dice = torch.random.fork_rng([device] if device.type == "cuda" else [])  # the caller's random state stays
    with bar, explained(trial, recipe.batch_size), dice, checkpointed(model, recipe.checkpointing), torch.enable_grad():
        for epoch in range(len(history), recipe.epochs):
            started, losses, rights = time.perf_counter(), 0.0, 0.0
            train_mode(model)
            taken = epoch * per_epoch
            try:
                for step in steps(model, batches(train, recipe, epoch), loss_of, movers, plans, recipe.clip, scaler):
                    taken += 1
                    if average:
                        average.update(model, taken)
                    losses, rights = losses + step.loss / per_epoch, rights + step.right / per_epoch
                    bar.update()
                    told = f"epoch {epoch + 1}, loss {step.loss:.2f}, {step.right:.0%} right"
                    bar.set_postfix_str(told, refresh=False)
                finite = all(bool(each.isfinite().all()) for each in model.parameters())
            except Diverged as error:
                raise _diverged(error, taken, epoch, save) from None
            if not finite:
                raise _diverged(None, taken, epoch, save)
            history.loss.append(losses)
            history.lr.append(float(plans[-1].get_last_lr()[-1]))
            history.train_accuracy.append(rights)
            with average.inside(model) if average else nullcontext():
                if valid is not None:
                    history.valid_accuracy.append(measured(valid))
                    if history.valid_accuracy[-1] >= max(history.valid_accuracy):
                        best = {name: each.clone() for name, each in unwrapped(model).state_dict().items()}
                elif test is not None:
                    history.test_accuracy.append(measured(test))
            history.seconds.append(time.perf_counter() - started)
            if snapshot:
                snapshot.write(history, best)
            if watch:
                watch(history)
    if best:
        unwrapped(model).load_state_dict(best)
    elif average:
        average.give(model)
    model.eval()
    if valid is not None and test is not None:
        history.test_accuracy = [measured(test)]
    return history


def steps_in_epoch(train: Pictures, recipe: Recipe) -> int:
    """How many batches are full: an epoch leaves out the few pictures that fill none, others each time."""
    return max(len(train) // recipe.batch_size, 1)


def batches(train: Pictures, recipe: Recipe, epoch: int) -> Iterator[Int64[Tensor, "B"]]:
    """The numbers of the pictures in each step of an epoch. Every step has a random state of its own, which it sets:
    a run that is resumed needs to remember none."""
    per_epoch = steps_in_epoch(train, recipe)
    for step, chosen in enumerate(shuffled(len(train), recipe, epoch)[:per_epoch], start=epoch * per_epoch):
        torch.manual_seed(1_000_003 * recipe.seed + step)
        yield chosen.to(train.images.device)


def loss_on(
    model: nn.Module, train: Pictures, recipe: Recipe, teacher: nn.Module | None = None
) -> Callable[[Int64[Tensor, "B"]], tuple[Float[Tensor, ""], Float[Tensor, ""]]]:
    """What asks how wrong the model is on some of the pictures, by their numbers, and which share it gets right."""
    device, dtype = train.images.device, next(model.parameters()).dtype
    statistics, weight = normalisation(model), class_weights(train) if recipe.balanced else None

    def loss_of(chosen: Tensor) -> tuple[Tensor, Tensor]:
        images, targets = changed(train, chosen, recipe, *statistics)
        if teacher:
            targets = targets.lerp(predict(teacher, images, len(images), recipe.amp).softmax(dim=1), 0.5)  # B K
        with autocast(device, recipe.amp):
            logits = model(images.to(dtype))  # B K
        right = (logits.argmax(dim=1) == targets.argmax(dim=1)).float().mean()
        loss = F.cross_entropy(logits.float(), targets, weight, label_smoothing=recipe.label_smoothing)
        return loss, right

    return loss_of


def class_weights(train: Pictures) -> Float[Tensor, "K"]:
    """What a picture counts, by its class: N / (K · the pictures of its class), so that all classes count alike.

    >>> few = Pictures(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 0, 0, 1]), ("cat", "dog"))
    >>> class_weights(few)
    tensor([0.6667, 2.0000])
    """
    counts = train.labels.bincount(minlength=len(train.classes))
    return torch.where(counts > 0, len(train) / ((counts > 0).sum() * counts.clamp(min=1)), 0.0)


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


def _diverged(error: Diverged | None, step: int, epoch: int, save: Path | None) -> TrainingError:
    kept = f"{save} holds epoch {epoch}" if save and epoch else "no epoch was saved"
    if error is None:
        what, weights = f"the weights are not finite after step {step - 1}", "The model has these weights"
    else:
        seen, weights = error.step, "The model has the weights from before this step"
        wrong = "loss" if not math.isfinite(seen.loss) else "gradient"
        value = seen.loss if wrong == "loss" else seen.gradient
        what = f"the {wrong} is {value} at step {step}"
    rate = f", learning rate {error.step.lr:.2g}" if error else ""
    return TrainingError(
        f"{what} (epoch {epoch + 1}{rate}): the run has diverged. {weights}; {kept}. Lower lr or clip, warm up for "
        "longer, or leave amp off"
    )
