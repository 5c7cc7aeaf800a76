"""Chapter 7: the training loop, epoch by epoch: train, evaluate, save.

In each step (steps.py): take a batch, augment it (batches.py), compute the loss and its gradient, move the weights.
"""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import torch
from torch import nn
from torch.amp import GradScaler
from tqdm.auto import tqdm

from vitlib.data.pictures import Pictures, normalisation
from vitlib.device import amp_dtype, random_state_kept
from vitlib.training.accuracy import evaluate
from vitlib.training.average import Average
from vitlib.training.batches import batches, changed, loss_on, shuffled, steps_in_epoch
from vitlib.training.classes import class_names, name_classes, same_classes
from vitlib.training.history import History
from vitlib.training.memory import checkpointed, explained, untouched
from vitlib.training.predict import predict
from vitlib.training.recipe import Recipe
from vitlib.training.snapshot import Snapshot, TrainingError, about
from vitlib.training.steps import Diverged, steps, train_mode
from vitlib.vit.checks import require_kind
from vitlib.vit.wrappers import require_numbers, unwrapped

__all__ = ["History", "Recipe", "TrainingError", "changed", "evaluate", "fit", "shuffled"]

RECIPE = Recipe()  # the defaults


@torch.inference_mode(False)  # works inside a caller's inference mode, too
def fit(
    model: nn.Module,
    train: Pictures,
    test: Pictures | None = None,
    recipe: Recipe = RECIPE,
    *,
    valid: Pictures | None = None,
    teacher: nn.Module | None = None,
    save: str | Path | None = None,
    resume: bool = True,
    watch: Callable[[History], object] | None = None,
    progress: bool = True,
) -> History:
    """Train the model on its own device, and leave it in evaluation mode. The same recipe gives the same weights.

    The model may be any module that maps normalised pictures [B, C, H, W] to logits [B, K]. The names of the classes
    are stored in it, and pictures are matched with them by name. Frozen parameters stay as they are, and so do the
    statistics (BatchNorm) of frozen modules.

    Without validation pictures, the model keeps the weights of the last epoch, and `test` is measured after every
    epoch. With them (`valid`, or the share `recipe.validation` of `train`), it keeps the weights of the epoch with the
    highest validation accuracy, the latest of equal ones, and `test` is measured once, at the end.

    A `teacher` is a trained model that gets the same augmented pictures. Half of each target is then its probabilities
    (Hinton et al., 2015).

    With `save`, a snapshot is written after every epoch. If there is one of the same run, training resumes from it, on
    a CPU with bit-identical results; `resume=False` starts again. A run is the same if its recipe, its pictures, the
    model's initial weights and the trained parameters are the same. `watch` is called with the history after every
    epoch.

    >>> from vitlib.data.datasets import digits
    >>> from vitlib.models import create
    >>> train, test = digits()
    >>> history = fit(create("vit_digits_patch2_8", seed=0), train, test, Recipe(epochs=2), progress=False)
    >>> history.loss[1] < history.loss[0]
    True

    Errors: TypeError for a model, pictures or a recipe of another type; TrainingError for a loss, a gradient or weights
    that are not finite, for too little memory (the message says how many pictures fit), and for a snapshot that cannot
    be written; CheckpointError for a snapshot of another run; ValueError for pictures that do not suit the model, for
    classes that it does not have, for a single class, and if every parameter is frozen; FileNotFoundError if the folder
    of `save` does not exist.
    """
    check_kinds(model, train, recipe, test, valid, teacher)
    train, test, valid = _checked(model, train, test, valid, recipe)
    if teacher:
        _check_teacher(teacher, model, train)

    device = next(model.parameters()).device
    per_epoch = steps_in_epoch(train, recipe)
    optims = recipe.optimizers(model)
    average = Average(model, recipe.ema) if recipe.ema else None
    scaler = GradScaler(device.type, enabled=bool(recipe.amp) and amp_dtype(device, recipe.amp) is torch.float16)
    run = about(model, train, recipe, valid, test, teacher) if save else {}
    snapshot = Snapshot(Path(save), unwrapped(model), average, optims, scaler, run) if save else None
    history, best = snapshot.read() if snapshot and snapshot.path.exists() and resume else (History(), None)
    name_classes(model, train.classes)
    total, done = recipe.epochs * per_epoch, len(history) * per_epoch
    schedules = recipe.schedules(optims, total, done)
    train = train.to(device)
    test, valid = (part if part is None else part.to(device) for part in (test, valid))
    loss_of = loss_on(cast(nn.Module, torch.compile(model)) if recipe.compile else model, train, recipe, teacher)

    def measured(pictures: Pictures) -> float:
        return evaluate(model, pictures, amp=recipe.amp, balanced=recipe.balanced)

    def trial(few: int) -> None:
        with untouched(model):
            loss_of(torch.arange(few, device=device) % len(train))[0].backward()

    bar = tqdm(total=total, initial=done, disable=not progress, unit="step", delay=1)
    rng = random_state_kept(device)
    with bar, explained(trial, recipe.batch_size), rng, checkpointed(model, recipe.checkpointing), torch.enable_grad():
        for epoch in range(len(history), recipe.epochs):
            started, losses, rights = time.perf_counter(), 0.0, 0.0
            train_mode(model)
            taken = epoch * per_epoch
            try:
                for step in steps(
                    model, batches(train, recipe, epoch), loss_of, optims, schedules, recipe.clip, scaler
                ):
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
            history.lr.append(float(schedules[-1].get_last_lr()[-1]))
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


def check_kinds(
    model: object, train: object, recipe: object, test: object, valid: object, teacher: object = None
) -> None:
    """Raise TypeError for arguments of another type, such as arguments in the wrong order."""
    needed = (("model", model, nn.Module), ("train", train, Pictures), ("recipe", recipe, Recipe))
    others = (("test", test, Pictures), ("valid", valid, Pictures), ("teacher", teacher, nn.Module))
    for name, value, kind in (*needed, *(each for each in others if each[1] is not None)):
        require_kind(name, value, kind)


def _checked(
    model: nn.Module, train: Pictures, test: Pictures | None, valid: Pictures | None, recipe: Recipe
) -> tuple[Pictures, Pictures | None, Pictures | None]:
    """Training, test and validation pictures, with labels that are indices of the model's logits.

    Errors: ValueError for a model that cannot learn, and for pictures that do not suit it, as in `fit`.
    """
    require_numbers(model)
    recipe.check(train)
    first = next(model.parameters(), None)
    if first is None:
        raise ValueError(f"nothing is there to learn: a {type(unwrapped(model)).__name__} has no parameters")
    if first.is_inference():
        raise ValueError("the model was made inside torch.inference_mode(), where no weight can learn: make it outside")
    if first.dtype == torch.float16:
        raise ValueError(
            "the weights are torch.float16, too coarse for the small steps of training: train model.float(), with "
            "amp='float16' if you like, and call model.half() afterwards"
        )
    train = same_classes(model, train, predict(model, train.images[:1]))
    for name, part in (("test", test), ("valid", valid)):  # fail now rather than after an epoch
        if part is not None:
            if not len(part):
                raise ValueError(f"there are no pictures in {name}: expected at least one, or None")
            predict(model, part.images[:1])
    if len(train.classes) == 1:
        raise ValueError(
            f"all pictures are of the only class there is, {train.classes[0]!r}: nothing is there to tell apart, and "
            "the loss is 0 from the start; give pictures of at least two classes, such as one folder each"
        )
    if valid is not None and recipe.validation:
        raise ValueError(f"valid is given, and the recipe keeps back {recipe.validation:.0%} too: choose one of them")
    if recipe.validation:
        train, valid = train.split(recipe.every(train), recipe.seed)
    test, valid = (part if part is None else part.aligned(train.classes) for part in (test, valid))
    return train, test, valid


def _check_teacher(teacher: nn.Module, model: nn.Module, train: Pictures) -> None:
    """Raise ValueError for a teacher with other classes, or one whose pixels are normalised in another way."""
    if (names := class_names(teacher)) not in ((), train.classes):
        raise ValueError(
            f"the teacher's classes are {', '.join(names)} and the pictures' are {', '.join(train.classes)}: expected "
            "the same, in the same order"
        )
    if normalisation(teacher) != normalisation(model):
        raise ValueError(
            f"the teacher was made for mean and deviation {normalisation(teacher)} and the model for "
            f"{normalisation(model)}: create the model with the teacher's mean= and std="
        )


def _diverged(error: Diverged | None, step: int, epoch: int, save: str | Path | None) -> TrainingError:
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
