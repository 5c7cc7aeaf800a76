"""What the grid explorer shows, as HTML: the numbered grid, the token row, and both in words.

Pure functions of a `GridView` and of the token that is followed, 1…N; the controls are in grid.py. Lines and
numbers are SVG over the picture, so that they stay crisp at any size, and colours follow JupyterLab's theme,
light or dark.
"""

from dataclasses import dataclass
from functools import cached_property

from jaxtyping import UInt8
from torch import Tensor

from vitlib.vit.fit_to_patch import fit_to_patch
from vitlib.vit.patches import PatchGrid, patchify
from vitlib.widgets.pictures import data_uri, framed, patch_box, place

NARROW = 360  # screen pixels of the picture on a small screen: what is legible there is legible everywhere
WIDE = 560  # screen pixels of the picture's longer side on a large screen
SMALLEST_CELL = 3.0  # screen pixels: smaller patches are drawn without lines
SMALLEST_NUMBER = 8.0  # screen pixels: where there is less room, patches go without numbers
FIRST = 8  # patches at the start of the token row


@dataclass(frozen=True, eq=False)
class GridView:
    """A picture and how it is cut."""

    picture: UInt8[Tensor, "3 H W"]
    patch: tuple[int, int]  # pixels, height and width
    how: str  # "crop", "pad" or "resize"

    @cached_property
    def fitted(self) -> UInt8[Tensor, "3 H2 W2"]:
        return fit_to_patch(self.picture[None], self.patch, self.how)[0]

    @cached_property
    def shown(self) -> UInt8[Tensor, "3 H3 W3"]:
        """The picture under the grid: what is cropped stays in sight."""
        return self.picture if self.how == "crop" else self.fitted

    @cached_property
    def source(self) -> str:
        """`shown` as the address of an image in a page."""
        return data_uri(self.shown, 3 * WIDE // 2)

    @cached_property
    def grid(self) -> PatchGrid:
        """The grid that is drawn; under "crop" it may leave pixels over."""
        return PatchGrid(self.shown.shape[1], self.shown.shape[2], self.patch)

    @property
    def tokens(self) -> int:
        """N, after the picture was made to fit: the same for what is drawn and for what a model gets."""
        return self.grid.tokens

    @cached_property
    def scale(self) -> float:
        """Screen pixels a picture's pixel, on a small screen."""
        return NARROW / max(self.grid.height, self.grid.width)

    @cached_property
    def number_size(self) -> float:
        """Screen pixels of the largest number that fits into a patch; 0 where none is legible."""
        digits = len(str(self.grid.tokens))
        room = self.scale * min(self.patch[1] / (0.72 * digits + 0.5), self.patch[0] / 1.6)
        return min(11.0, room) if room >= SMALLEST_NUMBER else 0.0

    @property
    def has_lines(self) -> bool:
        return self.scale * min(self.patch) >= SMALLEST_CELL


def sentence(view: GridView) -> str:
    """The grid in words, with what was done to make it fit.

    >>> from vitlib.data.samples import picture
    >>> print(sentence(GridView(picture("coffee"), (64, 64), "pad")))
    Padded with zeros from 400 × 600 to 448 × 640 pixels. 448 × 640 pixels in patches of 64 × 64: 7 rows ...
    """
    before, after = view.picture.shape[1:], view.fitted.shape[1:]
    if before == after:
        return f"{view.grid}."
    old, new = f"{before[0]} × {before[1]}", f"{after[0]} × {after[1]} pixels"
    if view.how == "crop":
        return f"{view.grid}. Cropping keeps {new}."
    verb = "Padded with zeros" if view.how == "pad" else "Resized"
    return f"{verb} from {old} to {new}. {view.grid}."


def canvas_html(view: GridView, token: int) -> str:
    """The picture under its grid: lines, numbers where they are legible, left-over pixels, the chosen patch."""
    height, width = view.grid.height, view.grid.width
    limit = min(WIDE, WIDE * width // height)
    over = f"{_margins(view)}{_lines(view)}{_numbers(view)}{patch_box(token, view.grid, thick=3)}"
    smooth = 3 * max(height, width) > WIDE
    return framed(view.source, (height, width), sentence(view), over, f"max-width: {limit}px; ", smooth)


def words_html(view: GridView, token: int) -> str:
    """N as a formula, the three numbers to watch, the sentence, and what is left out of the drawing."""
    height, width = view.grid.height, view.grid.width
    rows, columns = f"{height} / {view.patch[0]}", f"{width} / {view.patch[1]}"
    rows = f"⌊{rows}⌋" if view.grid.leftover_rows else f"({rows})"
    columns = f"⌊{columns}⌋" if view.grid.leftover_columns else f"({columns})"
    numbers = 3 * view.patch[0] * view.patch[1]
    row, column = place(token, view.grid)
    top, left = row * view.patch[0], column * view.patch[1]
    return (
        f'<div class="vit-words"><p class="vit-formula"><span>N = {rows} · {columns}</span> '
        f"<span>= {view.grid.rows} · {view.grid.columns}</span> <span>= <b>{view.tokens}</b></span></p>"
        '<div class="vit-tiles">'
        f"<div><b>{view.tokens}</b>patch tokens</div>"
        f'<div class="vit-left">{_margin_tile(view)}</div>'
        f"<div><b>{numbers}</b>numbers in each, {view.patch[0]} · {view.patch[1]} · 3</div></div>"
        f"<p>{sentence(view)}</p>"
        f"<p>Token {token} is the patch in row {row + 1}, column {column + 1}: pixel rows {top} to "
        f"{top + view.patch[0] - 1}, pixel columns {left} to {left + view.patch[1] - 1}, counted from 0.</p>"
        f"{_omissions(view)}</div>"
    )


def row_html(view: GridView, chosen: int) -> str:
    """The token row: the first patches, the chosen one, the last, and ellipses for what lies between."""
    patches = patchify(view.fitted[None], view.patch)[0]  # N P
    tokens = sorted({*range(1, min(FIRST, len(patches)) + 1), chosen, len(patches)})
    cells, previous = [], 0
    for token in tokens:
        if token > previous + 1:
            cells.append("<span>…</span>")
        image = data_uri(patches[token - 1].reshape(3, *view.patch), 128)
        mark = ' class="vit-chosen"' if token == chosen else ""
        cells.append(f'<figure{mark}>{token}<img class="vit-pixels" src="{image}" alt="patch {token}"></figure>')
        previous = token
    numbers = 3 * view.patch[0] * view.patch[1]
    caption = f"The token row: a sequence of N = {view.tokens} tokens, each of {numbers} numbers"
    return f'<p class="vit-caption">{caption}</p><div class="vit-row">{"".join(cells)}</div>'


def _margin_tile(view: GridView) -> str:
    if view.how == "crop":
        return f"<b>{view.grid.leftover_pixels}</b>pixels left over"
    if view.how == "pad":
        return f"<b>{view.fitted[0].numel() - view.picture[0].numel()}</b>pixels of zeros added"
    return "<b>0</b>pixels left over once resized"


def _omissions(view: GridView) -> str:
    if not view.has_lines:
        return "<p><i>The patches are too small to draw: no lines, no numbers.</i></p>"
    if not view.number_size:
        return "<p><i>The patches are too small for their numbers.</i></p>"
    return ""


def _margins(view: GridView) -> str:
    """Orange stripes over what crop drops, blue ones over what pad adds."""
    height, width = view.grid.height, view.grid.width
    if view.how == "crop":
        below, beside = view.grid.leftover_rows, view.grid.leftover_columns
    else:
        below, beside = height - view.picture.shape[1], width - view.picture.shape[2]
    if view.how == "resize" or not (below or beside):
        return ""
    paper, ink = ("#E69F00", "black") if view.how == "crop" else ("black", "#56B4E9")
    stripe = 5 / view.scale
    name = f"vit-{view.how}-{height}-{width}"
    inner_height, inner_width = height - below, width - beside
    return (
        f'<defs><pattern id="{name}" width="{stripe:g}" height="{stripe:g}" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="{stripe:g}" height="{stripe:g}" fill="{paper}" '
        f'fill-opacity=".85"/><rect width="{stripe / 3:g}" height="{stripe:g}" fill="{ink}" fill-opacity=".85"/>'
        f'</pattern></defs><path d="M0 {inner_height}H{inner_width}V0H{width}V{height}H0Z" fill="url(#{name})"/>'
    )


def _lines(view: GridView) -> str:
    if not view.has_lines:
        return ""
    grid = view.grid
    right, bottom = grid.columns * grid.patch_width, grid.rows * grid.patch_height
    path = "".join(f"M{column * grid.patch_width} 0V{bottom}" for column in range(grid.columns + 1))
    path += "".join(f"M0 {row * grid.patch_height}H{right}" for row in range(grid.rows + 1))
    thin = min(1.0, view.scale * min(view.patch) / 8)
    stroke = 'fill="none" vector-effect="non-scaling-stroke"'
    return (
        f'<path d="{path}" {stroke} stroke="black" stroke-opacity=".45" stroke-width="{2.5 * thin:.2f}"/>'
        f'<path d="{path}" {stroke} stroke="white" stroke-width="{thin:.2f}"/>'
    )


def _numbers(view: GridView) -> str:
    if not view.number_size:
        return ""
    size = view.number_size / view.scale
    texts = []
    for token in range(view.grid.tokens):
        row, column = divmod(token, view.grid.columns)
        x, y = column * view.patch[1] + 0.25 * size, row * view.patch[0] + 0.25 * size
        texts.append(f'<text x="{x:.1f}" y="{y:.1f}">{token + 1}</text>')
    return f'<g font-size="{size:.2f}" stroke-width="{size / 4:.2f}">{"".join(texts)}</g>'
