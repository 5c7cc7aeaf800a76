"""Scenes of digits: pictures with a label for each pixel and a box for each thing, to train chapter 8's heads on.

The digits are those of vitlib.data.datasets; those of the test scenes were never in a training scene.
"""

import random
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from vitlib.data.datasets import digits

SIDE = 20  # pixels of a scene
SIDES = (8, 10)  # pixels of a digit in it
MOST = 2  # digits in a scene, at least one
NOTHING = 10  # the class of what is no digit


@dataclass(frozen=True, eq=False)
class Scenes:
    """Pictures, and what is where in them."""

    images: UInt8[Tensor, "B 1 H W"]
    pixels: Int64[Tensor, "B H W"]  # the digit to which each pixel belongs, or NOTHING
    classes: Int64[Tensor, "B T"]  # the digits, then NOTHING
    boxes: Float[Tensor, "B T 4"]  # of each: centre (y, x), height and width, as shares of the scene

    def __len__(self) -> int:
        return len(self.images)

    def take(self, chosen: Int64[Tensor, "n"] | slice) -> "Scenes":
        """Some of the scenes."""
        return Scenes(self.images[chosen], self.pixels[chosen], self.classes[chosen], self.boxes[chosen])


def scenes(count: int, seed: int = 0, test: bool = False) -> Scenes:
    """So many scenes with one or two digits each, of training digits or of test digits.

    >>> some = scenes(3)
    >>> some.images.shape, some.boxes.shape
    (torch.Size([3, 1, 20, 20]), torch.Size([3, 2, 4]))
    """
    pool, generator = digits()[test], random.Random(2 * seed + test)
    by_side = {side: F.interpolate(pool.images.float(), size=(side, side), mode="bilinear")[:, 0] for side in SIDES}
    images = torch.zeros(count, 1, SIDE, SIDE, dtype=torch.uint8)
    pixels = torch.full((count, SIDE, SIDE), NOTHING)
    classes, boxes = torch.full((count, MOST), NOTHING), torch.zeros(count, MOST, 4)
    for i in range(count):
        squares: list[tuple[int, int, int]] = []  # top, left, side
        for _ in range(generator.randint(1, MOST)):
            which, side = generator.randrange(len(pool)), generator.choice(SIDES)
            tries = ((generator.randint(0, SIDE - side), generator.randint(0, SIDE - side), side) for _ in range(20))
            square = next((each for each in tries if not any(_cover(each, other) for other in squares)), None)
            if square is None:
                continue
            top, left, _ = square
            ink, place = by_side[side][which], (slice(top, top + side), slice(left, left + side))
            images[i, 0][place] = ink.round().to(torch.uint8)
            pixels[i][place] = torch.where(ink > 96, pool.labels[which], NOTHING)
            classes[i, len(squares)] = pool.labels[which]
            boxes[i, len(squares)] = torch.tensor([top + side / 2, left + side / 2, side, side]) / SIDE
            squares.append(square)
    return Scenes(images, pixels, classes, boxes)


def _cover(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    """Whether two squares (top, left, side) have a pixel in common."""
    return all(max(one[k], other[k]) < min(one[k] + one[2], other[k] + other[2]) for k in (0, 1))


def borders(pixels: Int64[Tensor, "B H W"]) -> Bool[Tensor, "B H W"]:
    """The pixels beside one of another label, up, down, left or right.

    >>> borders(torch.tensor([[[10, 10, 10, 3]]])).tolist()
    [[[False, False, True, True]]]
    """
    down, across = (pixels.diff(dim=dim) != 0 for dim in (1, 2))
    near = F.pad(down, (0, 0, 1, 0)) | F.pad(down, (0, 0, 0, 1))
    return near | F.pad(across, (1, 0)) | F.pad(across, (0, 1))
