"""What the attention explorer shows: the attention weights of one query over all tokens, in words and as pictures.

Pure functions; the controls are in attention.py, one weight step by step in opened.py.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from html import escape

import matplotlib
import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from vitlib.data.pictures import normalise
from vitlib.plotting import Figure, draw_picture
from vitlib.vit.attention import attend, attention_weights, split_heads
from vitlib.vit.attention_maps import rollout
from vitlib.vit.model import ViT
from vitlib.vit.patches import PatchGrid
from vitlib.widgets.picker import panel
from vitlib.widgets.pictures import BLUE, ORANGE, SKY, data_uri, draw_patch_box, grid_lines, patch_box, percent, place

HEAT = matplotlib.colormaps["YlOrRd"]  # pale for little, dark red for much: distinguishable by lightness alone
OPACITY = 0.65  # of the heat over the picture


@dataclass(frozen=True, eq=False)
class Look:
    """A model's look at one picture: the picture as the model gets it, and all that its attention computes.

    T counts CLS and the patches; registers take part in the attention but are left out here.
    """

    pixels: UInt8[Tensor, "3 H W"]
    grid: PatchGrid
    maps: Float[Tensor, "L h T T"]
    qkv: Float[Tensor, "3 L h T d"]
    mixed: Float[Tensor, "L h T d"]  # softmax(Q Kᵀ / √d) V
    logits: Float[Tensor, "K"]
    covered: frozenset[int] = frozenset()  # patches, 1…N

    @cached_property
    def flows(self) -> list[Float[Tensor, "T T"]]:
        """Rollout after 1, 2, …, L layers."""
        return [rollout(self.maps[None, : layer + 1])[0] for layer in range(len(self.maps))]

    def table(self, layer: int, head: int | None, follow: bool) -> Float[Tensor, "T T"]:
        """What each token takes from each, in a layer (0…L − 1) and a head (None: their mean), or followed to there."""
        if follow:
            return self.flows[layer]
        return self.maps[layer].mean(dim=0) if head is None else self.maps[layer, head]


@torch.no_grad()
def look(model: ViT, picture: UInt8[Tensor, "3 H W"], covered: Collection[int] = ()) -> Look:
    """Let a model look at the largest part in a picture's middle that has the shape the model wants.

    covered: patches, 1…N, that are painted in the mean colour of the model's training pictures first.

    >>> from vitlib import create
    >>> from vitlib.data.samples import picture
    >>> seen = look(create("vit_cifar_patch4_32"), picture("chelsea"))
    >>> seen.pixels.shape, seen.maps.shape
    (torch.Size([3, 32, 32]), torch.Size([6, 3, 65, 65]))

    Errors: ValueError for a model without CLS.
    """
    config, grid = model.config, model.config.grid
    if not config.class_token:
        raise ValueError("the model has no CLS token, which the explorer shows; create it with class_token=True")
    pixels = middle(picture, config.image_size)
    for patch in covered:
        row, column = place(patch, grid)
        rows = slice(row * grid.patch_height, (row + 1) * grid.patch_height)
        columns = slice(column * grid.patch_width, (column + 1) * grid.patch_width)
        pixels[:, rows, columns] = (255 * torch.tensor(config.mean)).round().byte()[:, None, None]
    steps = model(normalise(pixels[None], config.mean, config.std), return_all=True)
    read = [
        split_heads(b.attn.qkv(steps[f"blocks.{i}.norm1"]), config.num_heads, 3) for i, b in enumerate(model.blocks)
    ]
    q, k, v = torch.cat(read, dim=1).float().cpu()  # L h T d, each
    kept = torch.tensor([0, *range(q.shape[2] - grid.tokens, q.shape[2])])  # CLS and patches; no registers
    maps, qkv = attention_weights(q, k)[..., kept, :][..., kept], torch.stack([q, k, v])[..., kept, :]
    mixed = attend(q, k, v)[..., kept, :]
    return Look(pixels, grid, maps, qkv, mixed, steps["logits"][0].float().cpu(), frozenset(covered))


def middle(picture: UInt8[Tensor, "3 H W"], size: tuple[int, int]) -> UInt8[Tensor, "3 H2 W2"]:
    """The largest part in the middle of a picture that has the proportions of `size`, scaled to it (Lanczos)."""
    height, width = picture.shape[1:]
    scale = min(height / size[0], width / size[1])
    high, wide = round(size[0] * scale), round(size[1] * scale)
    top, left = (height - high) // 2, (width - wide) // 2
    image = Image.fromarray(picture[:, top : top + high, left : left + wide].permute(1, 2, 0).numpy())
    small = image.resize((size[1], size[0]), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)  # H W C → C H W


def token_name(token: int, grid: PatchGrid) -> str:
    """What a token is called in a sentence: CLS, or a patch with its place.

    >>> token_name(10, PatchGrid(32, 32, 4))
    'patch 10 (row 2, column 2)'
    """
    if token == 0:
        return "CLS"
    row, column = place(token, grid)
    return f"patch {token} (row {row + 1}, column {column + 1})"


def sentence(seen: Look, table: Float[Tensor, "T T"], query: int, where: str) -> str:
    """One row of a table of attention in words: who asks, who answers, and from how far."""
    row = table[query]
    top = row.argsort(descending=True, stable=True)[:3].tolist()
    answers = ", ".join(f"{row[token]:.1%} from {token_name(token, seen.grid)}" for token in top)
    half = int((row.sort(descending=True).values.cumsum(dim=0) < 0.5).sum()) + 1
    words = f"{where}: {token_name(query, seen.grid)} takes most, {answers}. "
    words += f"{half} of {len(row)} tokens give half of all it takes"
    return words + ("." if query == 0 else f"; {row[query]:.1%} comes from itself, {row[0]:.1%} from CLS.")


def panels_html(seen: Look, weights: Float[Tensor, "T"], query: int, key: int | None) -> str:
    """Who asks: the picture. Who answers: the picture in grey under a heat map of the weights, with a colour bar."""
    grid = seen.grid
    size = (grid.height, grid.width)
    largest = float(weights[1:].max())
    covers = "".join(patch_box(patch, grid, "white", 1) for patch in sorted(seen.covered))
    asks = patch_box(query, grid, thick=3) if query else ""
    opened = patch_box(key, grid, SKY, 3) if key else ""
    heat = (
        f'<image href="{data_uri(_heat(weights, grid))}" width="{grid.width}" height="{grid.height}" '
        f'preserveAspectRatio="none" opacity="{OPACITY}" style="image-rendering: pixelated"/>'
    )
    colours = ", ".join(matplotlib.colors.to_hex(HEAT(stop / 8)) for stop in range(9))
    scale = (
        f'<div class="vit-scale" aria-hidden="true">0 %<div style="background: linear-gradient(to right, {colours})">'
        f"</div>{largest:.1%}</div>"
    )
    left, right = _cls("", 0, query == 0), _cls(f" {weights[0]:.1%}", min(float(weights[0]) / largest, 1), key == 0)
    names = [f"{weights[token]:.1%} from patch {token}" for token in range(1, len(weights))]
    return panel(
        0, f"who asks: click a patch{left}", data_uri(seen.pixels), size,
        grid_lines(grid, 0.35) + covers + asks + _cells(grid, None),
    ) + panel(
        1, f"who answers: click to open a weight{right}", data_uri(_grey(seen)), size,
        heat + asks + opened + _cells(grid, names), scale,
    )  # fmt: skip


def logits_html(classes: tuple[str, ...], seen: Look, whole: Look) -> str:
    """The logits and what softmax makes of them; where patches are covered, how each logit has changed."""
    shares, before = seen.logits.softmax(dim=0), whole.logits.softmax(dim=0)
    order = whole.logits.argsort(descending=True, stable=True)[:10].tolist()
    changed = bool(seen.covered)
    rows = []
    for number in order:
        logit, share, was = float(seen.logits[number]), float(shares[number]), float(before[number])
        bold = 700 if number == int(shares.argmax()) else 400
        change = f"{logit - float(whole.logits[number]):+.1f}" if changed else ""
        rows.append(
            f'<div class="vit-right" style="font-weight: {bold}">{escape(classes[number])}</div>'
            f'<div style="position: relative; height: 14px"><div style="position: absolute; inset: 0 auto 0 0; '
            f'width: max(2px, {100 * share:.2f}%); background: {BLUE}"></div><div style="position: absolute; '
            f'inset: 0 auto 0 {100 * was:.2f}%; border-left: 3px solid {ORANGE}"></div></div>'
            f"<div>{percent(share)}</div><div>{_minus(f'{logit:.1f}')}</div><div>{_minus(change)}</div>"
        )
    heads = "".join(f"<b>{head}</b>" for head in ("class", "", "softmax", "logit", "change" if changed else ""))
    caption = f"What the model says{' with covered patches; orange: without them' if changed else ''}"
    return f'<p class="vit-caption">{caption}</p><div class="vit-caption vit-logits">{heads}{"".join(rows)}</div>'


def covered_words(classes: tuple[str, ...], seen: Look, whole: Look) -> str:
    """What covering does to the class that the model named first.

    Empty where nothing is covered.
    """
    if not seen.covered:
        return ""
    best, now = int(whole.logits.argmax()), int(seen.logits.argmax())
    shares = [float(each.logits.softmax(dim=0)[best]) for each in (whole, seen)]
    patches = ", ".join(map(str, sorted(seen.covered)))
    said = f"Covered: patch{'es' * (len(seen.covered) > 1)} {patches}. The logit of {classes[best]} goes from "
    said += (
        f"{whole.logits[best]:.1f} to {seen.logits[best]:.1f}, its probability from {shares[0]:.1%} to {shares[1]:.1%}"
    )
    return said + (f"; the model now says {classes[now]}." if now != best else ".")


def still(seen: Look, weights: Float[Tensor, "T"], query: int, title: str) -> Figure:
    """The picture with the token that asks, and beside it what that token takes, as a heat map with a colour bar."""
    height, width = seen.pixels.shape[1:]
    figure = Figure(figsize=(6.6, 3.3), layout="constrained")
    asks, answers = figure.subplots(1, 2)
    draw_picture(asks, seen.pixels)
    draw_picture(answers, _grey(seen))
    table = weights[1:].reshape(seen.grid.rows, seen.grid.columns)
    drawn = answers.imshow(100 * table.numpy(), cmap=HEAT, extent=(0, width, height, 0), vmin=0, alpha=OPACITY)
    figure.colorbar(drawn, ax=answers, label="attention weight (%)", shrink=0.8)
    if query > 0:
        draw_patch_box(asks, query, seen.grid)
        draw_patch_box(answers, query, seen.grid)
    asks.set_title("Who asks: " + ("CLS" if query == 0 else f"patch {query}"), fontsize=10)
    answers.set_title(title, fontsize=10)
    answers.set(ylabel="", xlim=(0, width), ylim=(height, 0))
    return figure


def _heat(weights: Float[Tensor, "T"], grid: PatchGrid) -> UInt8[Tensor, "3 R C"]:
    """The weights of the patches as colours, one pixel a patch; the largest is dark red."""
    level = (weights[1:] / weights[1:].max()).reshape(grid.rows, grid.columns)
    return torch.from_numpy(HEAT(level.numpy(), bytes=True)[..., :3].copy()).permute(2, 0, 1)


def _grey(seen: Look) -> UInt8[Tensor, "3 H W"]:
    return seen.pixels.float().mean(dim=0).byte().expand(3, -1, -1)


def _cls(words: str, level: float, chosen: bool) -> str:
    """CLS, which lies on no place in the picture, as a button above it; its colour is that of its weight."""
    paint = matplotlib.colors.to_hex(HEAT(level)) if words else BLUE
    ink = "black" if words and level < 0.6 else "white"
    mark = " vit-chosen-token" if chosen else ""
    style = f"background: {paint}; color: {ink}"
    return f'<br><span class="vit-token{mark}" data-token="0" style="{style}">CLS{words}</span>'


def _cells(grid: PatchGrid, names: list[str] | None) -> str:
    """Squares that answer to clicks, and say what they are while the mouse is over them."""
    cells = []
    for token in range(1, grid.tokens + 1):
        row, column = place(token, grid)
        name = f"<title>{names[token - 1]}</title>" if names else ""
        cells.append(
            f'<rect data-token="{token}" x="{column * grid.patch_width}" y="{row * grid.patch_height}" '
            f'width="{grid.patch_width}" height="{grid.patch_height}">{name}</rect>'
        )
    return f'<g fill="transparent">{"".join(cells)}</g>'


def _minus(number: str) -> str:
    return number.replace("-", "−")
