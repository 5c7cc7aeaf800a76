"""Chapter 7: RandAugment. Each picture of a batch goes through two operations, drawn at random from fourteen.

Some move what is in the picture, some change its colours. One number, the magnitude, says how strong all of them are.
Sources: Cubuk et al., 2020, "RandAugment"; what each operation does is as in Pillow's ImageOps and ImageEnhance.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

MOST = 10  # the largest magnitude
Images = UInt8[Tensor, "B C H W"]


def randaugment(images: Images, magnitude: int, number: int = 2) -> Images:
    """Each picture after `number` operations, drawn at random. The magnitude, 0 to 10, is their strength.

    >>> randaugment(torch.full((4, 3, 8, 8), 255, dtype=torch.uint8), magnitude=5).shape
    torch.Size([4, 3, 8, 8])
    """
    for _ in range(number):
        before, images = images, images.clone()
        order = torch.randperm(len(images), device=images.device)
        drawn = torch.randperm(len(OPERATIONS)).tolist()
        for place, chosen in zip(drawn, order.tensor_split(len(OPERATIONS)), strict=True):
            if len(chosen):
                images[chosen] = OPERATIONS[place](before[chosen], magnitude / MOST)
    return images


def identity(images: Images, strength: float) -> Images:
    return images


# Where things are: a pixel at (x, y) from the centre shows what was at another place, and black from outside.


def rotate(images: Images, strength: float) -> Images:
    """By up to 30°, clockwise or not."""
    angle = _either_way(images, strength * math.radians(30))
    return _warp(images, xx=angle.cos(), xy=-angle.sin(), yx=angle.sin(), yy=angle.cos())


def shear_x(images: Images, strength: float) -> Images:
    """Each row is moved by up to 0.3 of its distance from the middle row."""
    return _warp(images, xy=_either_way(images, strength * 0.3))


def shear_y(images: Images, strength: float) -> Images:
    """Each column is moved by up to 0.3 of its distance from the middle column."""
    return _warp(images, yx=_either_way(images, strength * 0.3))


def translate_x(images: Images, strength: float) -> Images:
    """By up to 0.3 of the width."""
    return _warp(images, x=_either_way(images, strength * 0.3 * images.shape[-1]))


def translate_y(images: Images, strength: float) -> Images:
    """By up to 0.3 of the height."""
    return _warp(images, y=_either_way(images, strength * 0.3 * images.shape[-2]))


# Contrasts with a duller picture: a factor below 1 goes towards it, and one above 1 away from it.


def brightness(images: Images, strength: float) -> Images:
    return _away_from(torch.zeros_like(images, dtype=torch.float32), images, strength)


def color(images: Images, strength: float) -> Images:
    return _away_from(_grey(images), images, strength)


def contrast(images: Images, strength: float) -> Images:
    return _away_from(_grey(images).mean(dim=(2, 3), keepdim=True).round(), images, strength)


def sharpness(images: Images, strength: float) -> Images:
    kernel = torch.ones(images.shape[1], 1, 3, 3, device=images.device)
    kernel[:, :, 1, 1] = 5.0
    blurred = images.float()
    blurred[:, :, 1:-1, 1:-1] = F.conv2d(blurred, kernel / 13, groups=images.shape[1]).round()
    return _away_from(blurred, images, strength)


# Colours, each by itself.


def posterize(images: Images, strength: float) -> Images:
    """Of the 8 bits of each colour, up to 4 are set to 0."""
    dropped = round(strength * 4)
    return images >> dropped << dropped


def solarize(images: Images, strength: float) -> Images:
    """Colours of at least 256 · (1 − strength) are inverted."""
    return torch.where(images >= 256 * (1 - strength), 255 - images, images)


def autocontrast(images: Images, strength: float) -> Images:
    """The darkest value of each channel becomes 0, and the brightest 255."""
    low, high = images.amin(dim=(2, 3), keepdim=True).float(), images.amax(dim=(2, 3), keepdim=True).float()
    stretched = (images - low) * (255 / (high - low).clamp(min=1))
    return torch.where(high > low, stretched.to(torch.uint8), images)


def equalize(images: Images, strength: float) -> Images:
    """Each channel's values are spread so that all occur about equally often."""
    pixels = images.flatten(2).long()  # B C HW
    counts = torch.zeros(*pixels.shape[:2], 256, dtype=torch.long, device=images.device)
    counts.scatter_add_(2, pixels, torch.ones_like(pixels))
    brightest = counts.gather(2, pixels.amax(dim=2, keepdim=True))
    step = (pixels.shape[2] - brightest) // 255  # pixels for each of the new values
    darker = counts.cumsum(2) - counts
    new = ((darker + step // 2) // step.clamp(min=1)).clamp(max=255)
    spread = new.gather(2, pixels).to(torch.uint8).reshape(images.shape)
    return torch.where(step[..., None] > 0, spread, images)


OPERATIONS = (
    identity, rotate, shear_x, shear_y, translate_x, translate_y, brightness, color, contrast, sharpness,
    posterize, solarize, autocontrast, equalize,
)  # fmt: skip


def _either_way(images: Images, size: float) -> Float[Tensor, "B"]:
    """`size` with a random sign for each picture."""
    return size * (2 * torch.randint(2, (len(images),), device=images.device) - 1).float()


def _warp(
    images: Images,
    *,
    xx: Tensor | float = 1.0,
    xy: Tensor | float = 0.0,
    yx: Tensor | float = 0.0,
    yy: Tensor | float = 1.0,
    x: Tensor | float = 0.0,
    y: Tensor | float = 0.0,
) -> Images:
    """The pixel (X, Y) shows what was at (xx·X + xy·Y + x, yx·X + yy·Y + y), in pixels from the centre."""
    batch, (height, width) = len(images), images.shape[2:]
    rows = ((xx, xy, x), (yx, yy, y))
    matrix = torch.stack(
        [torch.as_tensor(each, device=images.device).float().expand(batch) for row in rows for each in row], dim=1
    ).reshape(batch, 2, 3)
    # grid_sample measures in halves of a side
    theirs = torch.tensor([[1, height / width, 2 / width], [width / height, 1, 2 / height]], device=images.device)
    grid = F.affine_grid(matrix * theirs, list(images.shape), align_corners=False)
    return _bytes(F.grid_sample(images.float(), grid, align_corners=False))


def _away_from(dull: Float[Tensor, "B #C #H #W"], images: Images, strength: float) -> Images:
    """dull + factor · (images − dull), with a factor of 1 ± 0.9 · strength for each picture."""
    factor = 1 + _either_way(images, 0.9 * strength)[:, None, None, None]
    return _bytes(dull + factor * (images - dull))


def _grey(images: Images) -> Float[Tensor, "B 1 H W"]:
    """The brightness that an eye sees (ITU-R 601) of red, green and blue; of other channels the mean."""
    if images.shape[1] != 3:
        return images.float().mean(dim=1, keepdim=True)
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device)
    return torch.einsum("bchw,c->bhw", images.float(), weights).round()[:, None]


def _bytes(values: Float[Tensor, "B C H W"]) -> Images:
    return values.round().clamp(0, 255).to(torch.uint8)
