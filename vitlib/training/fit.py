"""Chapter 7: training. From fresh weights to good ones, in one loop that you can read in one sitting.

Each step: take some pictures, change them a little, ask the model, measure how wrong it is, and move every weight a
little downhill.
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
from vitlib.training.optim import optimizers, schedule
from vitlib.training.predict import predict
from vitlib.training.recipe import Recipe
from vitlib.training.snapshot import Snapshot, TrainingError, about
from vitlib.training.steps import Diverged, steps, train_mode
from vitlib.vit.checks import require_kind
from vitlib.vit.wrappers import require_numbers, unwrapped

__all__ = ["History", "Recipe", "TrainingError", "changed", "evaluate", "fit", "shuffled"]

RECIPE = Recipe()  # the defaults


@torch.inference_mode(False)  # a caller's own would leave nothing to learn from
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
    """Train the model, where it lies, and leave it in evaluation mode. Two runs of one recipe give the same weights.

    Any model that maps normalised pictures [B, C, H, W] to logits [B, K] will do. It learns the names of the classes,
    and pictures are compared with them by name. Parameters that require no gradient stay as they are, and so do the
    statistics beside them.

    Without validation pictures, what remains are the weights of the last epoch, and `test` is measured after every
    one. With them (`valid`, or a share of `train` that the recipe keeps back), what remains are the weights of the
    epoch that is best on them, the later one of two that are equal, and `test` is measured once, at the end.

    With a `teacher`, a trained model that sees the same changed pictures, half of each target is the probabilities that
    it gives (Hinton et al., 2015).

    With `save`, a snapshot is written after every epoch, and a run that finds its own goes on from there, on a CPU to
    the same bits as if it had never stopped; `resume=False` starts again. A run is the same if its recipe, its
    pictures, the model's first weights and the parameters that learn are the same. `watch` is called with the history
    after every epoch.

    >>> from vitlib.data.datasets import digits
    >>> from vitlib.models import create
    >>> train, test = digits()
    >>> history = fit(create("vit_digits_patch2_8", seed=0), train, test, Recipe(epochs=2), progress=False)
    >>> history.loss[1] < history.loss[0]
    True

    Errors: TypeError for a model, pictures or a recipe of another kind; TrainingError for a loss, a gradient or weights
    that are not finite, for too little memory (it says what would fit), and for a snapshot that cannot be written;
    CheckpointError for a snapshot of another run; ValueError for pictures that the model was not made for, or of
    classes that it does not have, for a single class, and where every parameter is frozen; FileNotFoundError where the
    folder of `save` does not exist.
    """
    check_kinds(model, train, recipe, test, valid, teacher)
    require_numbers(model)
    recipe.check(train)
    first = next(model.parameters(), None)
    if first is None:
        raise ValueError(f"nothing is there to learn: a {type(unwrapped(model)).__name__} has no parameters")
    device = first.device
    if first.is_inference():
        raise ValueError("the model was made inside torch.inference_mode(), where no weight can learn: make it outside")
    if first.dtype == torch.float16:
        raise ValueError(
            "the weights are torch.float16, too coarse for the small steps of training: train model.float(), with "
            "amp='float16' if you like, and call model.half() afterwards"
        )
    train = same_classes(model, train, predict(model, train.images[:1]))
    for name, part in (("test", test), ("valid", valid)):  # now, and not after an epoch
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

    if teacher:
        _check_teacher(teacher, model, train)

    per_epoch = steps_in_epoch(train, recipe)
    movers = optimizers(model, recipe.optimizer, recipe.lr, recipe.weight_decay, recipe.layer_decay)
    average = Average(model, recipe.ema) if recipe.ema else None
    scaler = GradScaler(device.type, enabled=bool(recipe.amp) and amp_dtype(device, recipe.amp) is torch.float16)
    run = about(model, train, recipe, valid, test, teacher) if save else {}
    snapshot = Snapshot(Path(save), unwrapped(model), average, movers, scaler, run) if save else None
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
    dice = random_state_kept(device)
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


def check_kinds(
    model: object, train: object, recipe: object, test: object, valid: object, teacher: object = None
) -> None:
    """TypeError for arguments in another order, or of another kind."""
    needed = (("model", model, nn.Module), ("train", train, Pictures), ("recipe", recipe, Recipe))
    others = (("test", test, Pictures), ("valid", valid, Pictures), ("teacher", teacher, nn.Module))
    for name, value, kind in (*needed, *(each for each in others if each[1] is not None)):
        require_kind(name, value, kind)


def _check_teacher(teacher: nn.Module, model: nn.Module, train: Pictures) -> None:
    """ValueError for a teacher whose logits mean other classes, or that was made for pixels normalised otherwise."""
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
