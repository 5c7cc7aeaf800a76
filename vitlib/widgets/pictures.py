"""Pictures inside a page: their addresses, frames over them, and bars."""

import base64
import io
from collections.abc import Sequence
from html import escape

import matplotlib
import torch
from jaxtyping import Float, Shaped, UInt8
from matplotlib.axes import Axes
from PIL import Image
from torch import Tensor

from vitlib.vit.patches import PatchGrid

BLUE, ORANGE, YELLOW, SKY = "#0072B2", "#E69F00", "#F0E442", "#56B4E9"  # of Okabe and Ito's palette
SIGNED = matplotlib.colormaps["PuOr_r"]  # purple below 0, white, orange above: distinct for every kind of colour vision
EXACT = 96  # pixels: a picture with no longer side is never compressed with a loss


def data_uri(pixels: Shaped[Tensor, "C H W"], longest: int | None = None) -> str:
    """The address of a picture inside a page, of bytes in one channel or three: exact, as a PNG.

    longest: pixels of a photograph's longer side; it is shrunk to that, and if it is still large it becomes a JPEG.

    >>> import torch
    >>> data_uri(torch.zeros(1, 2, 2, dtype=torch.uint8))[:22]
    'data:image/png;base64,'
    """
    height, width = pixels.shape[1:]
    image = Image.fromarray(pixels.byte().expand(3, height, width).permute(1, 2, 0).contiguous().numpy())  # H W C
    kind, options = "png", {"compress_level": 1}
    if longest is not None:
        image.thumbnail((longest, longest), Image.Resampling.BILINEAR)
        if max(image.size) > EXACT:
            kind, options = "jpeg", {"quality": 88}
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def full_colour_at(rows: Float[Tensor, "R D"]) -> float:
    """The size that gets the full colour: few numbers are larger, and those few do not pale all the others."""
    return max(float(rows.abs().flatten().quantile(0.98)), 1e-6)


def signed_colours(rows: Float[Tensor, "R D"], scale: float | None = None) -> UInt8[Tensor, "3 R D"]:
    """Numbers as colours; those of size `scale` and beyond get the full one."""
    level = (rows / (scale or full_colour_at(rows))).clamp(-1, 1)
    colours = SIGNED((level.numpy() + 1) / 2, bytes=True)[..., :3]  # R D 3
    return torch.from_numpy(colours.copy()).permute(2, 0, 1)


def place(token: int, grid: PatchGrid) -> tuple[int, int]:
    """Row and column of a patch, from 0; patches count from 1."""
    return divmod(token - 1, grid.columns)


def framed(source: str, size: tuple[int, int], alt: str, over: str, style: str = "", smooth: bool = True) -> str:
    """A picture of so many pixels, height and width, under an SVG whose unit is the pixel."""
    height, width = size
    sharp = "" if smooth else ' class="vit-pixels"'
    return (
        f'<figure class="vit-figure" style="{style}aspect-ratio: {width} / {height}">'
        f'<img src="{source}" alt="{escape(alt)}" decoding="sync"{sharp}>'
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">{over}</svg></figure>'
    )


def box(x: float, y: float, width: float, height: float, colour: str = YELLOW, thick: float = 2.5) -> str:
    """A frame in an SVG, with a black edge so that it shows on light and dark."""
    shape = (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="none" '
        'vector-effect="non-scaling-stroke"'
    )
    return f'{shape} stroke="black" stroke-width="{2 * thick:g}"/>{shape} stroke="{colour}" stroke-width="{thick:g}"/>'


def patch_box(token: int, grid: PatchGrid, colour: str = YELLOW, thick: float = 2.5) -> str:
    """The frame of a patch, 1…N, over a picture of the grid's size."""
    row, column = place(token, grid)
    high, wide = grid.patch_height, grid.patch_width
    return box(column * wide, row * high, wide, high, colour, thick)


def draw_patch_box(axes: Axes, token: int, grid: PatchGrid, colour: str = YELLOW) -> None:
    """The same frame in a figure."""
    row, column = place(token, grid)
    top, left = row * grid.patch_height, column * grid.patch_width
    bottom, right = top + grid.patch_height, left + grid.patch_width
    for paint, line in (("black", 4), (colour, 2)):
        axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=paint, linewidth=line)


def grid_lines(grid: PatchGrid, opacity: float = 0.5) -> str:
    """Thin lines between patches in an SVG."""
    path = "".join(f"M{x} 0V{grid.height}" for x in range(0, grid.width + 1, grid.patch_width))
    path += "".join(f"M0 {y}H{grid.width}" for y in range(0, grid.height + 1, grid.patch_height))
    return (
        f'<path d="{path}" fill="none" stroke="white" stroke-opacity="{opacity:g}" stroke-width=".6" '
        'vector-effect="non-scaling-stroke"/>'
    )


def class_bars(classes: Sequence[str], shares: Tensor, right: int | None = None) -> str:
    """A bar for each class. The longest has bold type and a dark edge; the right one, if known, a tick, and is orange.

    Where no class is known to be right, the longest is orange.
    """
    best = int(shares.argmax())
    rows = []
    for number, (name, share) in enumerate(zip(classes, shares.tolist(), strict=True)):
        bold = 700 if number == best else 400
        mark = " ✓" if number == right else ""
        colour = ORANGE if number == (best if right is None else right) else BLUE
        edge = "outline: 2px solid currentColor" if number == best else ""
        rows.append(
            f'<div class="vit-right" style="font-weight: {bold}">{escape(name)}{mark}</div>'
            f'<div style="height: 13px; width: max(2px, {100 * share:.2f}%); '
            f'background: {colour}; {edge}"></div>'
            f'<div style="font-weight: {bold}">{percent(share)}</div>'
        )
    return f'<div class="vit-bars">{"".join(rows)}</div>'


def percent(share: Tensor | float) -> str:
    """A probability in per cent; one that rounds to 0 or 100 but is neither says so.

    >>> percent(0.5), percent(0.0004), percent(0.9999)
    ('50 %', '< 1 %', '> 99 %')
    """
    number = round(100 * float(share))
    if number == 0:
        return "< 1 %"
    return "> 99 %" if number == 100 else f"{number} %"
