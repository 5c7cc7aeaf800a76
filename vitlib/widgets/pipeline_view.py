"""What the pipeline shows: one picture after each of a ViT's five stages, as HTML, in words and as a still figure.

Pure functions of a `Walk`, of the stage, 1…5, and of the patch that is followed, 1…N; the controls are in pipeline.py.
A table of tokens is drawn as it is: a row for each token, a column for each number, purple below 0, orange above.
"""

from functools import lru_cache
from html import escape

import matplotlib
import torch
from jaxtyping import Float
from torch import Tensor

from vitlib.plotting import Figure, draw_picture
from vitlib.vit.patches import patchify
from vitlib.widgets.grid_view import GridView, canvas_html
from vitlib.widgets.pictures import (
    BLUE,
    ORANGE,
    box,
    class_bars,
    data_uri,
    full_colour_at,
    signed_colours,
)
from vitlib.widgets.walk import STAGES, Walk, followed, sentence, shape

# what each page of the tour points at, and the chapter that builds its stage
PAGES = (
    "Nothing is learned yet: the numbers are the pixels, a row for each patch. With <b>Follow patch</b>, choose one "
    "with something in it, such as an eye. Where is its row in the table?",
    "Every patch met the same matrix, the patch embedding. Follow two patches that look alike, then one that looks "
    "different. Are their strips of numbers alike, too?",
    "The sequence has one row more: CLS, on top, the same for every picture. And to every row the embedding of its "
    "position was added. Go back one page and forward again: the strip of a patch has changed a little.",
    "From left to right: the sequence before the encoder and after each of its blocks. In each block, every token "
    "takes information from all others. Watch the row of CLS on top: it belongs to no patch, and gathers from all.",
    "Only the row of CLS is read. The model has to spread its probability over the classes that it knows, whatever "
    "the picture shows. How sure is it, and is it right? Try a picture that shows none of these things.",
)


def canvas(view: Walk, patch: int) -> str:
    """The picture under its grid, the followed patch marked."""
    grid = view.config.grid
    return canvas_html(GridView(view.pixels, (grid.patch_height, grid.patch_width), "crop"), patch)


def page_html(view: Walk, stage: int) -> str:
    """The head of a page: where the tour is, what to look at here, and which chapter builds this stage."""
    look = PAGES[stage - 1]
    return (
        f'<div class="vit-caption"><p><b>Page {stage} of {len(STAGES)} · {STAGES[stage - 1]}</b>, '
        f"{shape(view, stage)}. Chapter {stage} builds this stage.</p><p>{look}</p></div>"
    )


def words_html(view: Walk, stage: int, patch: int) -> str:
    """The sentence and where the followed patch is now, read aloud by a screen reader whenever they change."""
    where = escape(followed(view, stage, patch))
    return f'<div class="vit-words" role="status"><p>{sentence(view, stage)}</p><p>{where}</p></div>'


def panel_html(view: Walk, stage: int, patch: int) -> str:
    """The table after a stage, with the row of the followed patch; the encoder block by block; the head as bars."""
    if stage == 5:
        strip = _strip(view.rows(5), "What CLS holds after the encoder and the final LayerNorm")
        return strip + class_bars(view.classes, view.shares)
    numbers = view.rows(stage)[view.prefix(stage) + patch - 1][None]
    depth = view.config.depth
    if stage == 4:
        caption = f"The table before the encoder, and after each of its {depth} blocks. The row on top is CLS."
        tables = "".join(
            f'<div style="flex: 1 1 0; min-width: 0; text-align: center">{blocks or "before"}'
            f"{_table(view, 4, patch, blocks)}</div>"
            for blocks in range(depth + 1)
        )
    else:
        caption = "A row for each token, a column for each of its numbers: purple below 0, orange above."
        caption += " The row on top is CLS." if view.prefix(stage) else ""
        tables = f'<div style="flex: 1 1 0; min-width: 0">{_table(view, stage, patch)}</div>'
    return (
        f'<p class="vit-caption">{caption}</p><div class="vit-caption" style="display: flex; gap: 4px">{tables}</div>'
        + _strip(numbers, f"Patch {patch}: {numbers.shape[1]} numbers", _tile(view, patch))
    )


def still(view: Walk) -> Figure:
    """All five stages on one picture."""
    c, grid = view.config, view.config.grid
    figure = Figure(figsize=(8.4, 5.6), layout="constrained")
    first, second = figure.subplots(2, 3)
    draw_picture(first[0], view.pixels)
    first[0].set_title(f"the picture: [3, {grid.height}, {grid.width}]", fontsize=10)
    _draw_tiles(view, first[1])
    first[1].set_title(f"① patchify: {shape(view, 1)}", fontsize=10)
    for axes, stage, mark in zip((first[2], *second[:2]), (2, 3, 4), "②③④", strict=True):
        rows = view.rows(stage)
        axes.imshow(signed_colours(rows).permute(1, 2, 0).numpy(), aspect="auto", interpolation="nearest")
        axes.set_title(f"{mark} {STAGES[stage - 1]}: {shape(view, stage)}", fontsize=10)
        axes.set(xlabel=f"the {c.embed_dim} numbers of a token", ylabel="patch")
        quarters = [grid.tokens * quarter // 4 for quarter in range(1, 5)]
        front = ["CLS"] if view.prefix(stage) else []
        places = [0] * len(front) + [view.prefix(stage) + patch - 1 for patch in quarters]
        axes.set_yticks(places, [*front, *map(str, quarters)])
    best = view.shares.argmax()
    colours = [ORANGE if number == best else BLUE for number in range(len(view.classes))]
    second[2].barh(range(len(view.classes)), view.shares.tolist(), color=colours)
    second[2].set_yticks(range(len(view.classes)), view.classes, fontsize=9)
    second[2].invert_yaxis()
    second[2].set(xlabel="probability (softmax of the logits)", xlim=(0, 1))
    second[2].set_title(f"⑤ classify: {shape(view, 5)}", fontsize=10)
    said = " ".join(sentence(view, stage) for stage in range(1, 6))
    figure.description = (
        f"Six panels. The first is the picture, {grid.height} by {grid.width} pixels. {said} Tables of tokens are "
        "drawn as coloured cells, a row for each token. The last panel has one bar for each class."
    )
    return figure


def _draw_tiles(view: Walk, axes: matplotlib.axes.Axes) -> None:
    """The patches, with a gap between them."""
    grid = view.config.grid
    gap = max(1, grid.patch_height // 4)
    down, across = grid.patch_height + gap, grid.patch_width + gap
    sheet = torch.full((3, grid.rows * down - gap, grid.columns * across - gap), 255, dtype=torch.uint8)
    for token, tile in enumerate(patchify(view.pixels[None], grid.patch)[0]):
        row, column = divmod(token, grid.columns)
        top, left = row * down, column * across
        cell = tile.reshape(3, grid.patch_height, grid.patch_width)
        sheet[:, top : top + grid.patch_height, left : left + grid.patch_width] = cell
    axes.imshow(sheet.permute(1, 2, 0).numpy(), interpolation="nearest")
    axes.set_axis_off()


def _table(view: Walk, stage: int, patch: int, blocks: int | None = None) -> str:
    """A table as coloured cells: rows before the patches on top, with a gap; the followed row framed."""
    front, body = _table_images(view, stage, blocks)
    n, d = view.config.grid.tokens, view.rows(stage).shape[1]
    return (
        f'{front}<div class="vit-figure" style="height: 260px">{body}<svg viewBox="0 0 {d} {n}" '
        f'preserveAspectRatio="none" aria-hidden="true">{box(0, patch - 1, d, 1)}</svg></div>'
    )


@lru_cache(maxsize=16)  # they stay as they are while another patch is followed
def _table_images(view: Walk, stage: int, blocks: int | None) -> tuple[str, str]:
    """The rows before the patches, and the patches."""
    rows, prefix = view.rows(stage, blocks), view.prefix(stage)
    scale = full_colour_at(rows)
    style = f"width: 100%; height: {12 * prefix}px; display: block; margin-bottom: 4px"
    body = f'<img class="vit-pixels" src="{data_uri(signed_colours(rows[prefix:], scale))}" alt="">'
    if not prefix:
        return "", body
    return (
        f'<img class="vit-pixels" src="{data_uri(signed_colours(rows[:prefix], scale))}" alt="" style="{style}">',
        body,
    )


def _strip(numbers: Float[Tensor, "1 _"], caption: str, before: str = "") -> str:
    """One token's numbers as a strip of colours."""
    style = "flex: 1 1 0; width: 0; min-width: 0; height: 22px"
    image = f'<img class="vit-pixels" src="{data_uri(signed_colours(numbers))}" alt="" style="{style}">'
    return (
        f'<p class="vit-caption">{caption}</p>'
        f'<div style="display: flex; gap: 8px; align-items: center; margin-bottom: 8px">{before}{image}</div>'
    )


def _tile(view: Walk, patch: int) -> str:
    """The followed patch, enlarged."""
    grid = view.config.grid
    pixels = patchify(view.pixels[None], grid.patch)[0, patch - 1].reshape(3, grid.patch_height, grid.patch_width)
    source = data_uri(pixels)
    return f'<img class="vit-pixels" src="{source}" alt="the patch, enlarged" style="height: 44px">'
