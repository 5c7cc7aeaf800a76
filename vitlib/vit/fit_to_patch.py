"""Chapter 1, continued: what to do with an image whose size the patch does not divide."""

import torch.nn.functional as F
from jaxtyping import Shaped
from torch import Tensor

from vitlib.vit.checks import require_images, require_one_of, require_pair
from vitlib.vit.patches import PatchGrid, refuse_leftovers

FIT_CHOICES = ("refuse", "crop", "pad", "resize")


def fit_to_patch(
    images: Shaped[Tensor, "B C H W"], patch: int | tuple[int, int], how: str
) -> Shaped[Tensor, "B C H2 W2"]:
    """Bring images to a size that the patch divides, in the way that `how` names:

    - "refuse": change nothing; an error where the patch does not divide the size.
    - "crop": drop the rows at the bottom and the columns at the right that fill no whole patch. The corner
      stays where it is, so patch 0 is the same patch before and after, and a convolution with stride P
      drops the very same pixels.
    - "pad": add zeros at the bottom and at the right, up to the next multiple. No pixel is lost, but the
      last patches hold zeros (black, where 0 is black).
    - "resize": scale to the nearest multiple (a half goes up, never below one patch), bilinear with
      antialiasing. The whole image is kept, slightly stretched. Computed in float32;
      integer images are rounded.

    >>> import torch
    >>> cat = torch.zeros(1, 3, 300, 451)
    >>> [tuple(fit_to_patch(cat, 16, how).shape[2:]) for how in ("crop", "pad", "resize")]
    [(288, 448), (304, 464), (304, 448)]

    Errors: ValueError for another `how`, for "refuse" where the patch does not divide the image, and for
    "refuse" and "crop" where the patch is larger than the image.
    """
    require_images(images)
    height, width = images.shape[2:]
    patch_height, patch_width = require_pair("patch", patch)
    require_one_of("how", how, FIT_CHOICES)
    if how == "refuse":
        refuse_leftovers(PatchGrid(height, width, patch))
        return images
    if how == "crop":
        grid = PatchGrid(height, width, patch)
        return images[:, :, : height - grid.leftover_rows, : width - grid.leftover_columns]
    if how == "pad":
        return F.pad(images, (0, -width % patch_width, 0, -height % patch_height))
    return _resize(images, _nearest(height, patch_height), _nearest(width, patch_width))


def _resize(images: Shaped[Tensor, "B C H W"], height: int, width: int) -> Shaped[Tensor, "B C H2 W2"]:
    if images.shape[2:] == (height, width):
        return images
    resized = F.interpolate(images.float(), size=(height, width), mode="bilinear", antialias=True)
    return (resized if images.is_floating_point() else resized.round()).to(images.dtype)


def _nearest(size: int, patch: int) -> int:
    """The multiple of patch that is nearest to size: a half goes up, and never to zero."""
    return max(1, (2 * size + patch) // (2 * patch)) * patch
