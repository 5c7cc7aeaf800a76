"""Chapter 1: an image becomes a grid of patches, and the grid becomes a sequence.

An image of H × W pixels, cut into patches of P × P, gives N = (H / P) · (W / P) patches, and each patch
holds P² · C numbers, C being the number of channels (Dosovitskiy et al., 2021, section 3.1).

>>> grid = PatchGrid(height=224, width=224, patch=16)
>>> grid.rows, grid.columns, grid.tokens
(14, 14, 196)
"""

from dataclasses import dataclass

from jaxtyping import Shaped
from torch import Tensor

from vitlib.vit.checks import require_images, require_pair, require_size


@dataclass(frozen=True)
class PatchGrid:
    """Where the patches of one image lie: whole patches only, counted from the top left corner.

    Pixels that fill no whole patch are left over at the bottom and at the right, exactly the ones that a
    convolution with kernel and stride P never sees.

    >>> chelsea = PatchGrid(height=300, width=451, patch=16)
    >>> chelsea.tokens, chelsea.leftover_rows, chelsea.leftover_columns
    (504, 12, 3)
    >>> PatchGrid(height=64, width=96, patch=(8, 16)).tokens
    48

    Errors: TypeError for a size that is not a whole number, ValueError for one that is not positive and
    for a patch that is larger than the image.
    """

    height: int  # pixels
    width: int  # pixels
    patch: int | tuple[int, int]  # pixels: the side of a square patch, or (height, width)

    def __post_init__(self) -> None:
        require_size("image height", self.height)
        require_size("image width", self.width)
        require_pair("patch", self.patch)
        if self.patch_height > self.height or self.patch_width > self.width:
            raise ValueError(
                f"patch {_by(self.patch_height, self.patch_width)} is larger than the image, "
                f"{_by(self.height, self.width)} pixels (height × width); choose a smaller patch"
            )

    @property
    def patch_height(self) -> int:
        """Pixels."""
        return self.patch if isinstance(self.patch, int) else self.patch[0]

    @property
    def patch_width(self) -> int:
        """Pixels."""
        return self.patch if isinstance(self.patch, int) else self.patch[1]

    @property
    def rows(self) -> int:
        """Whole patches from top to bottom."""
        return self.height // self.patch_height

    @property
    def columns(self) -> int:
        """Whole patches from left to right."""
        return self.width // self.patch_width

    @property
    def tokens(self) -> int:
        """N, the number of patches: each becomes one token. The summary slot (CLS) is not counted."""
        return self.rows * self.columns

    @property
    def leftover_rows(self) -> int:
        """Pixel rows at the bottom that fill no whole patch."""
        return self.height % self.patch_height

    @property
    def leftover_columns(self) -> int:
        """Pixel columns at the right that fill no whole patch."""
        return self.width % self.patch_width

    @property
    def leftover_pixels(self) -> int:
        """Pixels that lie in no patch."""
        return self.height * self.width - self.tokens * self.patch_height * self.patch_width

    @property
    def divides(self) -> bool:
        """Whether every pixel is in a patch."""
        return self.leftover_pixels == 0

    def __str__(self) -> str:
        """The grid in words.

        >>> print(PatchGrid(height=512, width=512, patch=16))
        512 × 512 pixels in patches of 16 × 16: 32 rows × 32 columns = 1024 patch tokens, no pixel left over
        """
        tokens = f"{_count(self.rows, 'row')} × {_count(self.columns, 'column')} = {_count(self.tokens, 'patch token')}"
        bottom = [f"{_count(self.leftover_rows, 'pixel row')} at the bottom"] if self.leftover_rows else []
        right = [f"{_count(self.leftover_columns, 'pixel column')} at the right"] if self.leftover_columns else []
        left = f"{' and '.join(bottom + right)} left over" if bottom + right else "no pixel left over"
        return (
            f"{_by(self.height, self.width)} pixels in patches of {_by(self.patch_height, self.patch_width)}: "
            f"{tokens}, {left}"
        )


def patchify(images: Shaped[Tensor, "B C H W"], patch: int | tuple[int, int]) -> Shaped[Tensor, "B N P"]:
    """Cut images into patches and flatten each: [B, C, H, W] → [B, N, C·ph·pw], of any dtype.

    Patches come row by row, as one reads a page. Inside a patch the order is channel, row, column: the
    order of a convolution's weight. So `patchify(x, P) @ weight.flatten(1).T`, with weight [D, C, P, P], is
    the convolution of x with stride P, and a checkpoint's `patch_embed.proj.weight` fits unchanged.

    >>> import torch
    >>> image = torch.arange(16).reshape(1, 1, 4, 4)
    >>> patchify(image, 2)[0].tolist()
    [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]

    Errors: ValueError for images without the four axes, and where the patch does not divide the image
    (`vitlib.vit.fit_to_patch` crops, pads or resizes it first); otherwise those of PatchGrid.
    Source: Dosovitskiy et al., 2021, section 3.1.
    """
    require_images(images)
    batch, channels, height, width = images.shape
    grid = PatchGrid(height, width, patch)
    refuse_leftovers(grid)
    tiles = images.reshape(batch, channels, grid.rows, grid.patch_height, grid.columns, grid.patch_width)
    tiles = tiles.permute(0, 2, 4, 1, 3, 5)  # B rows columns C ph pw
    return tiles.reshape(batch, grid.tokens, channels * grid.patch_height * grid.patch_width)


def unpatchify(patches: Shaped[Tensor, "B N P"], grid: PatchGrid, channels: int = 3) -> Shaped[Tensor, "B C H W"]:
    """Put the patches back where they were: the exact inverse of `patchify`.

    >>> import torch
    >>> image = torch.arange(96).reshape(2, 3, 4, 4)
    >>> torch.equal(unpatchify(patchify(image, 2), PatchGrid(4, 4, 2)), image)
    True

    Errors: ValueError where the patches are not those of this grid and this number of channels.
    """
    require_size("channels", channels)
    refuse_leftovers(grid)
    expected = (grid.tokens, channels * grid.patch_height * grid.patch_width)
    if patches.ndim != 3 or tuple(patches.shape[1:]) != expected:
        raise ValueError(
            f"patches have shape {tuple(patches.shape)}: expected (B, {expected[0]}, {expected[1]}), "
            f"{grid.rows}·{grid.columns} patches of {channels}·{grid.patch_height}·{grid.patch_width} "
            "numbers; check the grid and the number of channels"
        )
    batch = patches.shape[0]
    tiles = patches.reshape(batch, grid.rows, grid.columns, channels, grid.patch_height, grid.patch_width)
    tiles = tiles.permute(0, 3, 1, 4, 2, 5)  # B C rows ph columns pw
    return tiles.reshape(batch, channels, grid.height, grid.width)


def refuse_leftovers(grid: PatchGrid) -> None:
    """ValueError where pixels of the image lie in no patch."""
    axes = ((grid.height, "high", grid.patch_height), (grid.width, "wide", grid.patch_width))
    problems = [
        f"{size} {side}: not a multiple of patch {patch}; "
        f"crop to {size - size % patch} or pad to {size + -size % patch}"
        for size, side, patch in axes
        if size % patch
    ]
    if problems:
        raise ValueError(f"image is {', and '.join(problems)} (fit_to_patch does either)")


def _by(height: int, width: int) -> str:
    return f"{height} × {width}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
