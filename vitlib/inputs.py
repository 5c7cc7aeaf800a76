"""What a model refuses to look at, and what to do about it."""

import torch
from torch import Tensor


def check_images(images: Tensor, channels: int, image_size: tuple[int, int], dtype: torch.dtype) -> None:
    """ValueError for images that a model was not made for.

    >>> check_images(torch.zeros(1, 3, 9, 9), channels=3, image_size=(8, 8), dtype=torch.float32)
    Traceback (most recent call last):
    ValueError: images are torch.float32 (1, 3, 9, 9): expected torch.float32 (B, 3, 8, 8); resize the images, or take
    model.resized((9, 9))
    """
    shape = tuple(images.shape)
    if images.ndim != 4:
        remedy = "images[None] is a batch of one"
    elif shape[1] != channels:
        remedy = f"convert the channels, or create the model with channels={shape[1]}"
    elif shape[2:] != image_size:
        remedy = f"resize the images, or take model.resized({shape[2:]})"
    elif not images.is_floating_point():
        remedy = "scale them to 0…1 and normalise them"
    elif images.dtype != dtype and not torch.is_autocast_enabled(images.device.type):
        remedy = f"call images.to({dtype})"
    else:
        return
    expected = f"(B, {channels}, {image_size[0]}, {image_size[1]})"
    raise ValueError(f"images are {images.dtype} {shape}: expected {dtype} {expected}; {remedy}")
