"""Chapter 7: the data of a training step. Augmented pictures, their targets, and the loss."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vitlib.data.pictures import Pictures, normalisation, normalise
from vitlib.device import autocast
from vitlib.training import augment
from vitlib.training.predict import predict
from vitlib.training.randaugment import randaugment
from vitlib.training.recipe import Recipe


def steps_in_epoch(train: Pictures, recipe: Recipe) -> int:
    """The number of full batches in an epoch. The pictures left over differ from epoch to epoch."""
    return max(len(train) // recipe.batch_size, 1)


def batches(train: Pictures, recipe: Recipe, epoch: int) -> Iterator[Int64[Tensor, "B"]]:
    """The indices of the pictures in each step of an epoch.

    Before each step, torch's random state is seeded by the number of the step. So a run can be resumed without a saved
    random state.
    """
    per_epoch = steps_in_epoch(train, recipe)
    for step, chosen in enumerate(shuffled(len(train), recipe, epoch)[:per_epoch], start=epoch * per_epoch):
        torch.manual_seed(1_000_003 * recipe.seed + step)
        yield chosen.to(train.images.device)


def loss_on(
    model: nn.Module, train: Pictures, recipe: Recipe, teacher: nn.Module | None = None
) -> Callable[[Int64[Tensor, "B"]], tuple[Float[Tensor, ""], Float[Tensor, ""]]]:
    """A function from the indices of a batch to the model's loss and accuracy on it.

    With a `teacher`, half of each target is the teacher's probabilities.
    """
    device, dtype = train.images.device, next(model.parameters()).dtype
    statistics, weight = normalisation(model), class_weights(train) if recipe.balanced else None

    def loss_of(chosen: Tensor) -> tuple[Tensor, Tensor]:
        images, targets = changed(train, chosen, recipe, *statistics)
        if teacher:
            told = predict(teacher, images, len(images), recipe.amp, probabilities=True)  # B K
            if told.shape != targets.shape:
                raise ValueError(f"the teacher answers {tuple(told.shape)}: expected {tuple(targets.shape)}")
            targets = targets.lerp(told, 0.5)
        with autocast(device, recipe.amp):
            logits = model(images.to(dtype))  # B K
        right = (logits.argmax(dim=1) == targets.argmax(dim=1)).float().mean()
        loss = F.cross_entropy(logits.float(), targets, weight, label_smoothing=recipe.label_smoothing)
        return loss, right

    return loss_of


def class_weights(train: Pictures) -> Float[Tensor, "K"]:
    """The weight of each class in the loss: N / (K · pictures of the class). With it, all classes count equally.

    >>> few = Pictures(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 0, 0, 1]), ("cat", "dog"))
    >>> class_weights(few)
    tensor([0.6667, 2.0000])
    """
    counts = train.labels.bincount(minlength=len(train.classes))
    return torch.where(counts > 0, len(train) / ((counts > 0).sum() * counts.clamp(min=1)), 0.0)


def shuffled(number: int, recipe: Recipe, epoch: int) -> tuple[Int64[Tensor, "_"], ...]:
    """The indices of all pictures in the random order of this epoch, in batches; the last one may be smaller."""
    generator = torch.Generator().manual_seed(2**31 + 1_000_003 * recipe.seed + epoch)
    return torch.randperm(number, generator=generator, device="cpu").split(recipe.batch_size)


def changed(
    train: Pictures, chosen: Int64[Tensor, "B"], recipe: Recipe, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B K"]]:
    """The chosen pictures, augmented as the recipe says and normalised, and their targets [B, K] as probabilities."""
    images = train.images[chosen]
    if recipe.randaugment:
        images = randaugment(images, recipe.randaugment)
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
