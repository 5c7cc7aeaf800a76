"""Chapter 7: data augmentation. Each picture of a batch is changed at random, on the device of the batch.

Targets stay true: a cat that moves, or looks the other way, is still a cat; half a cat and half a dog is half of each.
Random numbers come from torch's global generator, which the training loop seeds.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.distributions import Beta


def shift(images: UInt8[Tensor, "B C H W"], pixels: int) -> UInt8[Tensor, "B C H W"]:
    """Each picture moved by up to `pixels` vertically and horizontally; the new border is black.

    Each picture moves by itself: one move for the whole batch would be cheaper, but trains far worse.

    >>> shift(torch.full((2, 3, 8, 8), 255, dtype=torch.uint8), 1).shape
    torch.Size([2, 3, 8, 8])
    """
    batch, _, height, width = images.shape
    top, left = torch.randint(0, 2 * pixels + 1, (2, batch, 1), device=images.device)
    rows = top + torch.arange(height, device=images.device)  # B H
    columns = left + torch.arange(width, device=images.device)  # B W
    padded = F.pad(images, (pixels,) * 4).permute(0, 2, 3, 1)  # B H+2p W+2p C
    each = torch.arange(batch, device=images.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)  # B H W C → B C H W


def flip(images: UInt8[Tensor, "B C H W"]) -> UInt8[Tensor, "B C H W"]:
    """Each picture is mirrored, left to right, with probability 1/2. Not for digits or letters."""
    mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(mirrored, images.flip(-1), images)


def erase(images: UInt8[Tensor, "B C H W"], pixels: int) -> UInt8[Tensor, "B C H W"]:
    """A random square of `pixels` × `pixels` in each picture turns grey, so that the model does not rely on one part.

    >>> erased = erase(torch.full((4, 1, 8, 8), 255, dtype=torch.uint8), 4)
    >>> (erased == 128).sum(dim=(1, 2, 3)).tolist()
    [16, 16, 16, 16]

    Source: DeVries & Taylor, 2017, "Cutout"; the square lies wholly inside the picture.
    """
    hidden = _boxes(images, pixels, pixels, len(images))
    return torch.where(hidden, torch.tensor(128, dtype=torch.uint8, device=images.device), images)


def one_hot(labels: Int64[Tensor, "B"], classes: int) -> Float[Tensor, "B K"]:
    """Labels as probabilities of K classes: 1 for the picture's class, 0 for the others."""
    return F.one_hot(labels, classes).float()


def mixup(
    images: Float[Tensor, "B C H W"], targets: Float[Tensor, "B K"], alpha: float
) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B K"]]:
    """λ times each picture plus 1 − λ times another, and the same for their targets. λ is from Beta(α, α).

    >>> images, targets = mixup(torch.ones(2, 1, 4, 4), torch.eye(2), alpha=0.2)
    >>> targets.sum(dim=1).tolist()
    [1.0, 1.0]

    Source: Zhang et al., 2018, "mixup".
    """
    share = _beta(alpha)
    return images.lerp(images.flip(0), 1 - share), targets.lerp(targets.flip(0), 1 - share)


def cutmix(
    images: Float[Tensor, "B C H W"], targets: Float[Tensor, "B K"], alpha: float
) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B K"]]:
    """A box of each picture is replaced by that of another picture. Targets are mixed by the share of their pixels.

    Source: Yun et al., 2019, "CutMix".
    """
    height, width = images.shape[2:]
    side = (1 - _beta(alpha)) ** 0.5
    tall, wide = round(height * side), round(width * side)
    theirs = _boxes(images, tall, wide, 1)
    share = tall * wide / (height * width)
    return torch.where(theirs, images.flip(0), images), targets.lerp(targets.flip(0), share)


def _beta(alpha: float) -> float:
    """λ from Beta(α, α): 0.5 on average, and for a small α mostly near 0 or 1."""
    return float(Beta(alpha, alpha).sample())


def _boxes(images: Tensor, tall: int, wide: int, number: int) -> Tensor:
    """Masks [number, 1, H, W], each True in a box of tall × wide pixels at a random place."""
    height, width = images.shape[2:]
    top = torch.randint(0, height - tall + 1, (number, 1), device=images.device)
    left = torch.randint(0, width - wide + 1, (number, 1), device=images.device)
    row, column = (torch.arange(side, device=images.device) for side in (height, width))
    rows = (row >= top) & (row < top + tall)  # number H
    columns = (column >= left) & (column < left + wide)  # number W
    return (rows[:, :, None] & columns[:, None, :])[:, None]
