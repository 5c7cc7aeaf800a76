"""Chapter 7: inference. Many pictures in batches; pictures larger than the model's input in sliding windows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal, NamedTuple, get_args, overload

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from tqdm.auto import tqdm

from vitlib.data.pictures import normalisation, normalise
from vitlib.device import Amp, autocast
from vitlib.training.classes import class_names
from vitlib.training.memory import out_of_memory
from vitlib.vit.checks import require_images, require_one_of, require_pair, require_picture, require_size
from vitlib.vit.config import check_class_names
from vitlib.vit.wrappers import in_mode, require_numbers, unwrapped

Size = int | tuple[int, int]
Blend = Literal["tent", "flat"]


class Guess(NamedTuple):
    """A class that a picture may have, and its probability."""

    name: str  # of the class; its index if the model has no names
    probability: float  # 0…1


@overload
def predict(
    model: nn.Module,
    images: Tensor,
    batch_size: int = 64,
    amp: Amp = False,
    *,
    probabilities: bool = False,
    top: None = None,
) -> Tensor: ...


@overload
def predict(
    model: nn.Module, images: Tensor, batch_size: int = 64, amp: Amp = False, *, top: int
) -> list[list[Guess]]: ...


@torch.no_grad()
def predict(
    model: nn.Module,
    images: Shaped[Tensor, "N C H W"],
    batch_size: int = 64,
    amp: Amp = False,
    *,
    probabilities: bool = False,
    top: int | None = None,
) -> Float[Tensor, "N ..."] | list[list[Guess]]:
    """The model's outputs for N pictures, usually logits [N, K]; in float32, on the device of the images.

    Bytes are normalised by the mean and standard deviation of the model's configuration (0.5 if it has none); floats
    are only converted to the model's dtype. Batches of `batch_size` are moved to the model's device. The model runs in
    evaluation mode, and is left in the mode it was in. `amp`: automatic mixed precision, see Recipe.

    `probabilities`: give the softmax of the logits. `top=3`: give the three most probable classes of each picture.

    >>> from vitlib.data.datasets import digits
    >>> from vitlib.models import create
    >>> model, images = create("vit_digits_patch2_8", seed=0), digits()[1].images
    >>> predict(model, images).shape
    torch.Size([450, 10])
    >>> [len(guesses) for guesses in predict(model, images[:2], top=3)]
    [3, 3]

    Errors: ValueError for no pictures, for images without the four axes, for `top` beyond the classes or of logits that
    are NaN, for classes of a model without a classifier, for a model on the meta device, and those of the model;
    TypeError for a model that answers with anything but a tensor; OutOfMemoryError where a batch does not fit.
    """
    require_images(images)
    require_size("batch_size", batch_size)
    require_numbers(model)
    if not len(images):
        raise ValueError("there are no images: expected at least one")
    first = next((each for each in model.parameters() if each.is_floating_point()), None)
    device = images.device if first is None else first.device
    answers = []
    parts = images.split(batch_size)
    with in_mode(model, training=False), _explained(batch_size):
        for part in tqdm(parts, desc="predict", delay=2, disable=len(parts) == 1):
            pixels = as_pixels(part.to(device), model)
            with autocast(device, amp):
                answers.append(_tensor(model(pixels), model).float().to(images.device))
    logits = torch.cat(answers)
    if (probabilities or top is not None) and _features_alone(model):
        raise ValueError("the model has no classifier, and answers with features: reset_classifier gives it one")
    if top is not None:
        return _guesses(logits, class_names(model), top)
    return logits.softmax(dim=1) if probabilities else logits


def _features_alone(model: nn.Module) -> bool:
    return getattr(getattr(unwrapped(model), "config", None), "num_classes", None) == 0


def _tensor(answer: object, model: nn.Module) -> Tensor:
    """The output of a model. Errors: TypeError for a tuple or an object, as transformers' models return."""
    if not isinstance(answer, Tensor):
        raise TypeError(
            f"the {type(unwrapped(model)).__name__} answers with a {type(answer).__name__}: expected a tensor of "
            "logits; give a module whose forward returns them, such as model(images).logits"
        )
    return answer


def _guesses(logits: Float[Tensor, "N K"], names: tuple[str, ...], top: int) -> list[list[Guess]]:
    require_size("top", top)
    if logits.ndim != 2 or top > logits.shape[1]:
        raise ValueError(f"top is {top}, and the model answers {tuple(logits.shape)}: expected (N, {top}) or more")
    check_class_names(names, logits.shape[1])
    require_largest(logits)
    shares, places = logits.softmax(dim=1).topk(top)
    return [
        [Guess(names[place] if names else str(place), share) for share, place in zip(*each, strict=True)]
        for each in zip(shares.tolist(), places.tolist(), strict=True)
    ]


def require_largest(logits: Float[Tensor, "N K"]) -> None:
    """Raise ValueError for NaN logits, of which none is the largest."""
    if lost := int(logits.isnan().any(dim=1).sum()):
        raise ValueError(
            f"{lost} of {len(logits)} answers of the model are NaN: there is no largest logit; look for weights or "
            "pixels that are not finite"
        )


def as_pixels(images: Shaped[Tensor, "B C H W"], model: nn.Module) -> Float[Tensor, "B C H W"]:
    """The model's input: bytes are normalised, floats are not; both are converted to the model's dtype."""
    first = next((each for each in model.parameters() if each.is_floating_point()), None)
    dtype = torch.float32 if first is None else first.dtype
    if images.dtype == torch.uint8:
        return normalise(images, *normalisation(model), dtype)
    return images.to(dtype) if first is not None and images.is_floating_point() else images


def sliding_window(
    model: Callable[[Tensor], Tensor],
    picture: Shaped[Tensor, "C H W"],
    window: Size,
    stride: Size | None = None,
    blend: Blend = "tent",
    batch_size: int = 32,
    amp: Amp = False,
) -> Float[Tensor, "K H W"]:
    """The outputs of a model at every pixel of a picture of any size, from windows of the size that it was made for.

    `window` and `stride` are in pixels, (height, width) or one for both; the stride is at most the window, None is half
    of it. Windows are spread evenly, and the last one ends at the edge of the picture. A picture smaller than the
    window is padded with its last row and column. `model` maps windows [B, C, h, w] to maps [B, K, h, w], or to logits
    [B, K], which then count for every pixel of the window. A module is called through `predict`, a plain function with
    the windows as they are.

    Where windows overlap, their outputs are averaged. "tent": the weight of a window falls from its centre to its
    edges, so that no edge is visible. "flat": all weights are equal. Where all windows agree, the mean has the same
    bits.

    >>> ramp = torch.linspace(0, 1, 30).expand(1, 20, 30)
    >>> torch.allclose(sliding_window(lambda windows: windows * 2, ramp, window=8), ramp * 2)
    True

    Errors: ValueError for a picture without the three axes, for a stride that leaves gaps, another `blend`, and
    answers of another shape.
    """
    require_picture(picture)
    require_one_of("blend", blend, get_args(Blend))
    require_size("batch_size", batch_size)
    h, w = require_pair("window", window)
    down, right = (max(h // 2, 1), max(w // 2, 1)) if stride is None else require_pair("stride", stride)
    if down > h or right > w:
        raise ValueError(f"stride is {down}×{right}: more than the window, {h}×{w}, leaves pixels that none covers")
    ask = partial(predict, model, batch_size=batch_size, amp=amp) if isinstance(model, nn.Module) else model

    height, width = picture.shape[1:]
    row, column = (torch.arange(max(size, side)).clamp(max=size - 1) for size, side in ((height, h), (width, w)))
    padded = picture[:, row.to(picture.device)][:, :, column.to(picture.device)]  # C H W → C H' W'
    corners = [(top, left) for top in _starts(len(row), h, down) for left in _starts(len(column), w, right)]
    weight = (_profile(h, blend)[:, None] * _profile(w, blend)).to(picture.device)  # h w
    total = torch.zeros(padded.shape[1:], device=picture.device)  # H' W'
    mean = torch.zeros(0)
    for i in tqdm(range(0, len(corners), batch_size), desc="windows", delay=2):
        some = corners[i : i + batch_size]
        windows = torch.stack([padded[:, top : top + h, left : left + w] for top, left in some])  # B C h w
        maps = _maps(ask(windows), len(some), h, w)
        if not i:
            mean = maps.new_zeros(maps.shape[1], *total.shape)  # K H' W'
        for (top, left), each in zip(some, maps, strict=True):
            area = (..., slice(top, top + h), slice(left, left + w))
            total[area] += weight
            # a running mean: it becomes the first output, and moves towards each later one by its share of the weight
            mean[area] += (each - mean[area]) * (weight / total[area])
    return mean[:, :height, :width]


@contextmanager
def _explained(batch_size: int) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        words = f"{batch_size} pictures at a time do not fit in memory: largest_batch finds how many do"
        raise torch.OutOfMemoryError(f"{words} ({str(error).splitlines()[0]})") from None


def _maps(answers: Tensor, number: int, h: int, w: int) -> Float[Tensor, "B K h w"]:
    shape = tuple(answers.shape)
    if answers.ndim == 2 and len(answers) == number:
        answers = answers[:, :, None, None].expand(-1, -1, h, w)
    if answers.ndim != 4 or len(answers) != number or answers.shape[2:] != (h, w):
        expected = f"({number}, K, {h}, {w}), a map each, or ({number}, K)"
        raise ValueError(f"the model answers {shape} to {number} windows: expected {expected}")
    return answers.to(torch.promote_types(answers.dtype, torch.float32))


def _starts(size: int, window: int, stride: int) -> list[int]:
    """The first pixel of each window along one axis: as few windows as the stride allows, evenly spread."""
    last = size - window
    gaps = -(-last // stride)  # rounded up
    return [last * i // gaps for i in range(gaps + 1)] if gaps else [0]


def _profile(window: int, blend: Blend) -> Float[Tensor, "window"]:
    rising = torch.arange(1.0, window + 1)
    return torch.minimum(rising, rising.flip(0)) if blend == "tent" else torch.ones(window)
