"""Figures that the chapters share: a picture under its patch grid, a row of tokens, pictures side by side.

Each function returns a `Figure`: end a cell with it, and it is shown once, with a description for those who
cannot see it. Lines are white on dark, left-over pixels are orange and hatched: neither needs colour vision.
"""

import base64
import io
import re
from html import escape
from urllib.parse import quote

import matplotlib.figure
import torch
from jaxtyping import Shaped
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image
from torch import Tensor

from vitlib.svg import FEW_PIXELS, QUALITY, small_svg
from vitlib.vit.patches import PatchGrid

ORANGE = "#E69F00"  # of Okabe and Ito's palette, which every kind of colour vision tells apart
WIDTH = 6.0  # inches of a whole figure
SCREEN_DPI = 120  # pixels of a page for an inch of a figure
PHOTO_DPI = 150  # a photograph in a figure has so many pixels for an inch, or its own where those are fewer
SMALL_DPI = 72  # of the small JPEG or PNG
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
SMALLEST_NUMBER = 6.5  # points: where less room is left, patches go without numbers


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure with a description, for where the picture cannot be seen.

    It is shown as SVG: lines and letters stay sharp at any size. Letters are drawn as outlines, so that it looks the
    same wherever its fonts are missing, and the page behind it is white in a light and in a dark theme.
    """

    description = ""

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """What Jupyter shows: the SVG in an <img> with the description as its alternative text.

        JupyterLab shows an <img> in notebooks that it does not trust too, and gives an image/svg+xml no alternative
        text. A small JPEG or PNG is for pages that take nothing else, such as a course's feedback.
        """
        kind, small = self.small()
        data = {"text/html": self.html(), kind: base64.b64encode(small).decode(), "text/plain": self.description}
        return data, {kind: {"alt": self.description}}

    def html(self) -> str:
        """The figure as an <img>: as wide as its inches say, or as a narrower page; but at least half as wide.

        If it were smaller, its letters could not be read. The page scrolls to the side instead.
        """
        drawing = self.svg()
        points = re.search(r'<svg [^>]*width="([\d.]+)pt"', drawing)
        assert points is not None  # matplotlib writes it
        width = round(float(points[1]) / 72 * SCREEN_DPI)
        source = quote(drawing.replace('"', "'"), safe=" ,:;=/()+-'")
        return (
            f'<img class="vit-drawing" alt="{escape(self.description)}" src="data:image/svg+xml,{source}" '
            f'style="width: {width}px; max-width: 100%; min-width: {width // 2}px; height: auto">'
        )

    def svg(self) -> str:
        """The figure as an SVG file, the same on every run; photographs in it are WebP."""
        pictures = self.findobj(AxesImage)
        before = [picture.get_interpolation() for picture in pictures]
        self.draw_without_rendering()  # the layout says how large each picture is
        for picture in pictures:
            room = picture.get_window_extent().width / self.dpi * PHOTO_DPI
            if max(picture.get_size()) <= FEW_PIXELS or picture.get_size()[1] <= room:
                picture.set_interpolation("none")  # stored pixel by pixel, enlarged by whoever shows it
        file = io.StringIO()
        with rc_context({"svg.hashsalt": "vitlib", "svg.fonttype": "path"}):
            self.savefig(file, format="svg", dpi=PHOTO_DPI, bbox_inches="tight", metadata=NO_METADATA)
        for picture, interpolation in zip(pictures, before, strict=True):
            picture.set_interpolation(interpolation)
        return small_svg(file.getvalue())

    def small(self) -> tuple[str, bytes]:
        """The type and the bytes of a small file: a JPEG where the figure holds a photograph, else a PNG."""
        full, file = io.BytesIO(), io.BytesIO()
        self.savefig(full, format="png", dpi=SMALL_DPI, bbox_inches="tight", pil_kwargs={"compress_level": 1})
        image = Image.open(full).convert("RGB")
        if any(max(picture.get_size()) > FEW_PIXELS for picture in self.findobj(AxesImage)):
            image.save(file, format="jpeg", quality=QUALITY)
            return "image/jpeg", file.getvalue()
        image.quantize(64, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(file, format="png", optimize=True)
        return "image/png", file.getvalue()


def show_grid(image: Shaped[Tensor, "C H W"], grid: PatchGrid, numbers: bool = True) -> Figure:
    """A picture under its patch grid, the patches numbered 1…N in the order of `patchify`.

    Numbers count from 1 because position 0 will be the summary slot's (CLS): patch k is `patches[:, k - 1]`.
    Where they would be too small to read they are left out, and the title says so. Pixels that lie in no
    patch are hatched.

    image: bytes 0…255 or floats 0…1, one channel or three, of the height and width that the grid has.

    >>> from vitlib.data.samples import picture
    >>> show_grid(picture("chelsea"), PatchGrid(300, 451, 50)).description
    'A picture under a patch grid: 300 × 451 pixels in patches of 50 × 50: 6 rows × 9 columns = 54 patch ...'

    Errors: ValueError for a grid of another size than the image.
    """
    _require_grid_of(image, grid)
    height = WIDTH * grid.height / grid.width
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    draw_picture(axes, image)
    _draw_lines(axes, grid)
    _draw_leftovers(axes, grid)
    size = _number_size(grid, WIDTH * 72 * 0.9 / grid.width)
    if numbers and size >= SMALLEST_NUMBER:
        _draw_numbers(axes, grid, size)
    title = f"N = {grid.rows} · {grid.columns} = {grid.tokens}"
    title += ", too small to number" if numbers and size < SMALLEST_NUMBER else ""
    title += "" if grid.divides else "; hatched: left over"
    axes.set_title(title)
    figure.description = f"A picture under a patch grid: {grid}."
    return figure


def show_tokens(patches: Shaped[Tensor, "N P"], grid: PatchGrid, channels: int = 3, shown: int = 8) -> Figure:
    """The token row: the first patches in order, an ellipsis, and the last one.

    patches: those of one image, `patchify(images, patch)[0]`; shown: how many of the first ones to draw.

    >>> from vitlib.data.samples import picture
    >>> from vitlib.vit.patches import patchify
    >>> patches = patchify(picture("astronaut")[None], 64)[0]
    >>> show_tokens(patches, PatchGrid(512, 512, 64)).description
    'Patches 1 to 8 and patch 64 of 64 side by side, in the order of the token sequence.'

    Errors: ValueError for patches that are not those of the grid.
    """
    size = channels * grid.patch_height * grid.patch_width
    if tuple(patches.shape) != (grid.tokens, size):
        raise ValueError(
            f"patches have shape {tuple(patches.shape)}: expected ({grid.tokens}, {size}), "
            "the patches of one image of this grid, such as patchify(images, patch)[0]"
        )
    first = list(range(min(shown, grid.tokens)))
    last = [grid.tokens - 1] if grid.tokens > shown else []
    gap = [None] if grid.tokens > shown + 1 else []
    cells = [*first, *gap, *last]
    shape = grid.patch_height / grid.patch_width
    figure = Figure(figsize=(WIDTH, WIDTH / len(cells) * shape + 0.3))
    for axes, token in zip(figure.subplots(1, len(cells), squeeze=False)[0], cells, strict=True):
        axes.set_axis_off()
        if token is None:
            axes.set_box_aspect(shape)
            axes.text(0.5, 0.5, "…", ha="center", va="center", fontsize=20)
            continue
        _imshow(axes, patches[token].reshape(channels, grid.patch_height, grid.patch_width))
        axes.set_title(str(token + 1), fontsize=10)
    names = f"Patches 1 to {len(first)}" + f" and patch {grid.tokens}" * bool(last) + f" of {grid.tokens}"
    figure.description = f"{names} side by side, in the order of the token sequence."
    return figure


def show_images(images: list[Shaped[Tensor, "_ _ _"]], titles: list[str]) -> Figure:
    """Pictures side by side, at the same scale, each under its title.

    >>> from vitlib.data.samples import picture
    >>> show_images([picture("chelsea"), picture("coffee")], ["a cat", "a cup"]).description
    'Side by side: a cat, 300 × 451 pixels; a cup, 400 × 600 pixels.'

    Errors: ValueError where there are not as many titles as images.
    """
    if len(images) != len(titles) or not images:
        raise ValueError(f"{len(images)} images with {len(titles)} titles: expected one title for each image")
    widths = [image.shape[2] for image in images]
    tallest = max(image.shape[1] for image in images)
    figure = Figure(figsize=(1.5 * WIDTH, 1.5 * WIDTH * tallest / sum(widths) + 0.6), layout="constrained")
    row = figure.subplots(1, len(images), squeeze=False, width_ratios=widths)[0]
    for axes, image, title in zip(row, images, titles, strict=True):
        draw_picture(axes, image)
        axes.set_title(title)
        axes.set_anchor("N")
        axes.label_outer()
    sizes = [f"{image.shape[1]} × {image.shape[2]} pixels" for image in images]
    parts = [f"{title}, {size}" for title, size in zip(titles, sizes, strict=True)]
    figure.description = f"Side by side: {'; '.join(parts)}."
    return figure


def draw_picture(axes: Axes, image: Shaped[Tensor, "C H W"]) -> None:
    """Draw a picture on axes whose unit is the pixel, counted from the top left corner."""
    _imshow(axes, image)
    axes.set_xlabel("width (pixels)")
    axes.set_ylabel("height (pixels)")


def _imshow(axes: Axes, image: Shaped[Tensor, "C H W"]) -> None:
    channels, height, width = image.shape
    if channels not in (1, 3):
        raise ValueError(f"image has {channels} channels: expected 1 (grey) or 3 (red, green, blue)")
    pixels = image.expand(3, height, width).permute(1, 2, 0).cpu()  # C H W → H W 3
    pixels = pixels if pixels.dtype == torch.uint8 else pixels.float().clamp(0, 1)
    axes.imshow(pixels.numpy(), extent=(0, width, height, 0), interpolation="antialiased")


def _draw_lines(axes: Axes, grid: PatchGrid) -> None:
    right, bottom = grid.columns * grid.patch_width, grid.rows * grid.patch_height
    points = WIDTH * 72 * min(grid.patch_height, grid.patch_width) / grid.width  # side of a patch on paper
    line = min(1.0, points / 8)
    shade = [withStroke(linewidth=2 * line, foreground="#0006")]  # so that white shows on white, too
    columns, rows = range(0, right + 1, grid.patch_width), range(0, bottom + 1, grid.patch_height)
    axes.vlines(columns, 0, bottom, colors="white", linewidth=line, path_effects=shade)
    axes.hlines(rows, 0, right, colors="white", linewidth=line, path_effects=shade)


def _draw_leftovers(axes: Axes, grid: PatchGrid) -> None:
    right, bottom = grid.columns * grid.patch_width, grid.rows * grid.patch_height
    below = Rectangle((0, bottom), grid.width, grid.leftover_rows)
    beside = Rectangle((right, 0), grid.leftover_columns, bottom)
    for margin in (below, beside):
        margin.set(facecolor=ORANGE + "B0", edgecolor="black", linewidth=0, hatch="//////")
        axes.add_patch(margin)


def _draw_numbers(axes: Axes, grid: PatchGrid, size: float) -> None:
    plate = {"facecolor": "#000000A0", "edgecolor": "none", "pad": size / 8}  # so that white shows on white, too
    for token in range(grid.tokens):
        row, column = divmod(token, grid.columns)
        corner = ((column + 0.06) * grid.patch_width, (row + 0.06) * grid.patch_height)
        axes.text(*corner, str(token + 1), size=size, color="white", ha="left", va="top", bbox=plate)


def _number_size(grid: PatchGrid, scale: float) -> float:
    """Points of the largest number that fits into a patch; scale: points a pixel."""
    digits = len(str(grid.tokens))
    return min(10, scale * grid.patch_width / (0.62 * digits + 0.6), scale * grid.patch_height / 1.7)


def _require_grid_of(image: Tensor, grid: PatchGrid) -> None:
    if image.ndim != 3 or tuple(image.shape[1:]) != (grid.height, grid.width):
        raise ValueError(
            f"image has shape {tuple(image.shape)}: expected (C, {grid.height}, {grid.width}), the size of the grid"
        )
