"""Checks before any arithmetic: errors for impossible sizes and images, which say what to do."""

import difflib
from collections.abc import Callable, Collection, Iterable, Sequence

import torch
from torch import Tensor


def check_images(images: Tensor, channels: int, image_size: tuple[int, int], weight: Tensor) -> Tensor:
    """The images, on the device of the model that the weight is of; ValueError for images that it was not made for.

    >>> check_images(torch.zeros(1, 3, 9, 9), channels=3, image_size=(8, 8), weight=torch.zeros(1))
    Traceback (most recent call last):
    ValueError: images are torch.float32 (1, 3, 9, 9): expected torch.float32 (B, 3, 8, 8); resize the images, or take
    model.resized((9, 9))
    """
    require_tensor(images)
    shape, dtype = tuple(images.shape), weight.dtype
    if images.ndim != 4:
        remedy = "images[None] is a batch of one"
    elif shape[1] != channels:
        remedy = f"convert the channels, or create the model with in_chans={shape[1]}"
    elif shape[2:] != image_size:
        remedy = f"resize the images, or take model.resized({shape[2:]})"
    elif not images.is_floating_point():
        remedy = "scale them to 0…1 and normalise them"
    elif images.dtype != dtype and not torch.is_autocast_enabled(weight.device.type):
        remedy = f"call images.to({dtype})"
    else:
        return images if images.device == weight.device else images.to(weight.device)
    expected = f"(B, {channels}, {image_size[0]}, {image_size[1]})"
    raise ValueError(f"images are {images.dtype} {shape}: expected {dtype} {expected}; {remedy}")


def shortened(names: Sequence[str], most: int, join: str = ", ") -> str:
    """The first of many names, for a message.

    >>> shortened(["cat", "dog", "bird"], most=2)
    'cat, dog …'
    """
    return join.join(names[:most]) + " …" * (len(names) > most)


def nearest(word: str, words: Iterable[str], key: Callable[[str], str] = str.lower) -> str:
    """A suggestion for a word that is not among these, or nothing; `key` gives what two spellings have in common.

    >>> nearest("kat", ["cat", "dog"])
    ": did you mean 'cat'?"
    """
    known = {key(each): each for each in words}
    near = difflib.get_close_matches(key(word), known, n=1, cutoff=0.5)
    return f": did you mean {known[near[0]]!r}?" if near else ""


def require_one_of(name: str, value: object, choices: Collection[object]) -> None:
    """ValueError where `value` is none of the choices; the message lists them."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: expected one of {', '.join(map(repr, choices))}")


def require_kind(name: str, value: object, kind: type) -> None:
    """TypeError where `value` is of another kind."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} is a {type(value).__name__}: expected {kind.__module__}.{kind.__name__}")


def require_size(name: str, value: object) -> None:
    """TypeError or ValueError where `value` is not a positive whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}): expected a whole number, such as 16")
    if value <= 0:
        raise ValueError(f"{name} is {value}: expected at least 1")


def require_pair(name: str, size: object) -> tuple[int, int]:
    """Height and width in pixels, from one side or from both."""
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"{name} is {size!r}: expected one side, such as 16, or two, such as (16, 8)")
    for side in sides:
        require_size(name, side)
    return sides


def require_images(images: Tensor) -> None:
    """TypeError for what is not a tensor; ValueError where `images` has no batch axis, or too many axes."""
    require_tensor(images)
    if images.ndim != 4:
        hint = "; add the batch axis with images[None]" if images.ndim == 3 else ""
        raise ValueError(f"images have shape {tuple(images.shape)}: expected four axes, (B, C, H, W){hint}")


def require_picture(picture: Tensor) -> None:
    """TypeError for what is not a tensor; ValueError where `picture` is not one picture (C, H, W) with pixels."""
    require_kind("picture", picture, Tensor)
    if picture.ndim != 3 or not picture.numel():
        raise ValueError(f"picture has shape {tuple(picture.shape)}: expected three axes, (C, H, W), with pixels")


def require_tensor(images: object) -> None:
    """TypeError for what is not a tensor, with the way to one."""
    if isinstance(images, Tensor):
        return
    if hasattr(images, "images"):  # Pictures
        remedy = "; give what they hold, its .images"
    elif isinstance(images, (list, tuple)):
        remedy = "; torch.stack(images) makes one of pictures of one size"
    else:
        remedy = "; torch.as_tensor(images) makes one" * hasattr(images, "__array__")
    raise TypeError(f"images are a {type(images).__name__}: expected a torch.Tensor of shape (B, C, H, W){remedy}")
