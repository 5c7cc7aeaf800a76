"""What the position explorer shows: a picture, the same patches rearranged, and who is whose neighbour.

Pure functions; the controls are in positions.py.
"""

from dataclasses import dataclass, replace
from html import escape

import matplotlib
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from vitlib.data.pictures import normalise
from vitlib.plotting import Figure, draw_picture
from vitlib.vit.model import ViT
from vitlib.vit.patches import PatchGrid, patchify, unpatchify
from vitlib.vit.sincos import sincos_1d, sincos_2d
from vitlib.widgets.attention_view import middle, token_name
from vitlib.widgets.pictures import SKY, YELLOW, data_uri, framed, grid_lines, patch_box

KINDS = ("learned", "sin-cos 1D", "sin-cos 2D")
MARKS = (YELLOW, SKY)  # of the first and of the second patch


@dataclass(frozen=True, eq=False)
class Arrangement:
    """A picture whose patches lie in some order, and how far that moves what CLS reads."""

    pixels: UInt8[Tensor, "3 H W"]  # as the model gets it, before anything is moved
    grid: PatchGrid
    tables: dict[str, Float[Tensor, "N D"]]  # positions of the patches, by kind
    reads: tuple[Float[Tensor, "D"], Float[Tensor, "D"]]  # CLS's output for `pixels`, with positions and without
    order: Int64[Tensor, "N"]  # which patch lies at each place, from 0
    pair: tuple[int, int]  # the first and the second patch, 1…N
    moved: tuple[float, float] = (0.0, 0.0)  # ‖new − old‖ / ‖old‖ of CLS's output, with positions and without

    @property
    def shown(self) -> UInt8[Tensor, "3 H W"]:
        """The picture as its patches lie."""
        return unpatchify(patchify(self.pixels[None], self.grid.patch)[:, self.order], self.grid)[0]

    def rearranged(self, model: ViT, order: Int64[Tensor, "N"], pair: tuple[int, int]) -> "Arrangement":
        """The same patches in another order, and what CLS makes of it."""
        new = replace(self, order=order, pair=pair)
        reads = cls_reads(model, new.shown)
        shifts = [float((now - old).norm() / old.norm()) for now, old in zip(reads, self.reads, strict=True)]
        return replace(new, moved=(shifts[0], shifts[1]))

    def similarity(self, kind: str) -> Float[Tensor, "N"]:
        """The cosine of the first patch's position with every position of that kind."""
        table = self.tables[kind]
        directions = table / table.norm(dim=1, keepdim=True)
        return directions @ directions[self.pair[0] - 1]


@torch.no_grad()
def arrange(model: ViT, picture: UInt8[Tensor, "3 H W"]) -> Arrangement:
    """The middle of a picture, sized for the model, with every patch where it belongs.

    >>> from vitlib import create
    >>> from vitlib.data.samples import picture
    >>> arrange(create("vit_cifar_patch4_32"), picture("chelsea")).pixels.shape
    torch.Size([3, 32, 32])

    Errors: ValueError for a model without CLS or learned positions.
    """
    config = model.config
    if not config.class_token or not isinstance(model.pos_embed, nn.Parameter):
        raise ValueError('the explorer shows CLS and learned positions; create the model with positions="learned"')
    pixels, grid = middle(picture, config.image_size), config.grid
    tables = {
        "learned": model.pos_embed[0, config.prefix_rows :].detach().cpu(),
        "sin-cos 1D": sincos_1d(grid.tokens, config.embed_dim)[0],
        "sin-cos 2D": sincos_2d((grid.rows, grid.columns), config.embed_dim)[0],
    }
    return Arrangement(pixels, grid, tables, cls_reads(model, pixels), torch.arange(grid.tokens), (1, 1))


@torch.no_grad()
def cls_reads(model: ViT, pixels: UInt8[Tensor, "3 H W"]) -> tuple[Float[Tensor, "D"], Float[Tensor, "D"]]:
    """CLS's output for a picture, from the model as it is and with its positions left out."""
    cls = model.cls_token
    assert cls is not None
    images = normalise(pixels[None].to(cls.device), model.config.mean, model.config.std)
    patches = model.patch_embed(images)  # 1 N D
    rows = torch.cat([model.tokens(patches), torch.cat([cls, patches], dim=1)])  # 2 T D
    for block in model.blocks:
        rows = block(rows)
    return tuple(model.norm(rows)[:, 0].cpu())


def order_of(how: str, tokens: int, first: int, second: int) -> Int64[Tensor, "N"]:
    """Which patch lies at each place, from 0; `first` and `second` count from 1.

    >>> order_of("swap two", tokens=4, first=1, second=3).tolist()
    [2, 1, 0, 3]
    """
    if how == "shuffle all":
        return torch.randperm(tokens, generator=torch.Generator().manual_seed(1))
    order = torch.arange(tokens)
    if how == "swap two":
        order[[first - 1, second - 1]] = order[[second - 1, first - 1]]
    return order


def sentence(view: Arrangement, kind: str) -> str:
    """What is shown, in words."""
    moved = int((view.order != torch.arange(view.grid.tokens)).sum())
    first, second = (token_name(patch, view.grid) for patch in view.pair)
    if moved == 0:
        words = "Every patch lies where it belongs. "
    elif moved == 2:
        words = f"Two patches have changed places: {first} and {second}. "
    else:
        words = f"{moved} of {view.grid.tokens} patches lie elsewhere. "
    with_positions, without = view.moved
    words += f"CLS's output moves by {with_positions:.1%} with positions, and by {without:.1%} without. "
    near = [
        i + 1 for i in view.similarity(kind).argsort(descending=True, stable=True).tolist() if i + 1 != view.pair[0]
    ][:4]
    return words + f"The {kind} position of {first} is most like those of patches {', '.join(map(str, sorted(near)))}."


def canvas_html(view: Arrangement, kind: str) -> str:
    """Three squares: the picture, the picture as it is rearranged, and the similarity map of the first patch."""
    where = [int((view.order == patch - 1).nonzero()) for patch in view.pair]  # places where the two lie now
    first = view.pair[0]
    panels = [
        _panel(view, data_uri(view.pixels), "the picture", [patch - 1 for patch in view.pair]),
        _panel(view, data_uri(view.shown), "what the model gets", where),
        _panel(view, _map_uri(view, kind), f"like the position of patch {first}, {kind}", [first - 1]),
    ]
    return f'<div class="vit-trio">{"".join(panels)}</div>'


def words_html(view: Arrangement, kind: str) -> str:
    """How far CLS moves, with positions and without, and the sentence."""
    with_positions, without = view.moved
    return (
        '<div class="vit-words"><div class="vit-tiles">'
        f"<div><b>{with_positions:.1%}</b>CLS moves, with positions</div>"
        f'<div class="vit-left"><b>{without:.1%}</b>CLS moves, without</div></div>'
        f'<p aria-live="polite">{escape(sentence(view, kind), quote=False)}</p></div>'
    )


def still(view: Arrangement, kind: str) -> Figure:
    """The explorer without a kernel, as one figure."""
    figure = Figure(figsize=(8.4, 3.1), layout="constrained")
    before, after, likeness = figure.subplots(1, 3)
    draw_picture(before, view.pixels)
    draw_picture(after, view.shown)
    height, width = view.pixels.shape[1:]
    table = view.similarity(kind).reshape(view.grid.rows, view.grid.columns)
    drawn = likeness.imshow(table.numpy(), cmap="cividis", extent=(0, width, height, 0), vmax=1)
    likeness.set(xlabel="width (pixels)", ylabel="height (pixels)")
    figure.colorbar(drawn, ax=likeness, label="cosine similarity", shrink=0.75)
    title = f"CLS moves by {view.moved[0]:.1%}\n({view.moved[1]:.1%} without positions)"
    titles = ("the picture", title, f"like the position of patch {view.pair[0]}\n({kind})")
    for axes, words in zip((before, after, likeness), titles, strict=True):
        axes.set_title(words, fontsize=9)
    figure.description = sentence(view, kind)
    return figure


def _panel(view: Arrangement, source: str, title: str, places: list[int]) -> str:
    boxes = "".join(patch_box(at + 1, view.grid, colour) for at, colour in zip(places, MARKS, strict=False))
    size = (view.grid.height, view.grid.width)
    drawn = framed(source, size, title, grid_lines(view.grid) + boxes, smooth=False)
    return f'<div><p class="vit-caption">{escape(title)}</p>{drawn}</div>'


def _map_uri(view: Arrangement, kind: str) -> str:
    """The similarity map as a picture of one pixel a patch, from its darkest to 1."""
    table = view.similarity(kind).reshape(view.grid.rows, view.grid.columns)
    light = (table - table.min()) / (table.max() - table.min())
    colours = matplotlib.colormaps["cividis"](light.numpy(), bytes=True)[..., :3]  # rows columns 3
    return data_uri(torch.from_numpy(colours).permute(2, 0, 1))
