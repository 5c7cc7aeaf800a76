"""What the embedding explorer shows, as HTML: a picture rebuilt from its tokens, and one token number by number.

Pure functions of an `EmbeddingView` and of the patch that is followed, 1…N; the controls are in embedding.py.
"""

from dataclasses import dataclass
from functools import cached_property
from html import escape

from jaxtyping import Float, UInt8
from torch import Tensor

from vitlib.plotting import Figure, draw_picture
from vitlib.vit.fit_to_patch import fit_to_patch
from vitlib.vit.patches import PatchGrid, patchify, unpatchify
from vitlib.widgets.filters import orthonormal_filters
from vitlib.widgets.pictures import data_uri, framed, patch_box

SHOWN = 10  # filters in the row below


@dataclass(frozen=True, eq=False)
class EmbeddingView:
    """A picture whose patches became tokens of D numbers, and what can be rebuilt from them."""

    picture: UInt8[Tensor, "3 H W"]
    patch: int  # pixels: the side of a patch
    filters: str  # "PCA" or "random"
    d: int  # numbers in a token

    @property
    def length(self) -> int:
        """L, the numbers in a patch."""
        return 3 * self.patch**2

    @cached_property
    def pixels(self) -> UInt8[Tensor, "3 H2 W2"]:
        """What is embedded: the picture cropped to whole patches."""
        return fit_to_patch(self.picture[None], self.patch, "crop")[0]

    @cached_property
    def grid(self) -> PatchGrid:
        return PatchGrid(self.pixels.shape[1], self.pixels.shape[2], self.patch)

    @cached_property
    def mean(self) -> Float[Tensor, "L"]:
        return orthonormal_filters(self.filters, self.patch)[0]

    @cached_property
    def basis(self) -> Float[Tensor, "d L"]:
        """E, the filters in use."""
        return orthonormal_filters(self.filters, self.patch)[1][: self.d]

    @cached_property
    def patches(self) -> Float[Tensor, "N L"]:
        return patchify(self.pixels[None].float() / 255, self.patch)[0]

    @cached_property
    def tokens(self) -> Float[Tensor, "N d"]:
        return (self.patches - self.mean) @ self.basis.T

    @cached_property
    def rebuilt_patches(self) -> Float[Tensor, "N L"]:
        return self.tokens @ self.basis + self.mean

    @cached_property
    def rebuilt(self) -> UInt8[Tensor, "3 H2 W2"]:
        return _to_bytes(unpatchify(self.rebuilt_patches[None], self.grid)[0])

    @cached_property
    def kept(self) -> float:
        """The share of the picture's variation about the mean patch that the tokens keep, 0…1."""
        lost = (self.patches - self.rebuilt_patches).square().sum()
        return max(0.0, float(1 - lost / (self.patches - self.mean).square().sum()))

    @cached_property
    def error(self) -> float:
        """Root of the mean squared difference between picture and rebuilt picture, in grey levels 0…255."""
        return 255 * float((self.patches - self.rebuilt_patches).square().mean().sqrt())


def sentence(view: EmbeddingView) -> str:
    """What is shown, in words.

    >>> from vitlib.data.samples import picture
    >>> print(sentence(EmbeddingView(picture("chelsea"), patch=8, filters="PCA", d=192)))
    Each patch of 8 × 8 pixels, 192 numbers, becomes a token of D = 192 numbers: as many as before. With filters of PCA
    100.0 % of the picture's variation is kept, and rebuilt pixels are off by 0.0 of 255 grey levels.
    """
    fewer = f"{view.length / view.d:.3g} times fewer" if view.d < view.length else "as many as before"
    numbers = "number" if view.d == 1 else "numbers"
    filters = "filters of PCA" if view.filters == "PCA" else "random filters"
    return (
        f"Each patch of {view.patch} × {view.patch} pixels, {view.length} numbers, becomes a token of D = {view.d} "
        f"{numbers}: {fewer}. With {filters} {100 * view.kept:.1f} % of the picture's variation is kept, and rebuilt "
        f"pixels are off by {view.error:.1f} of 255 grey levels."
    )


def canvas_html(view: EmbeddingView, token: int) -> str:
    """The picture and the rebuilt picture, one above the other or side by side, with the followed patch marked."""
    pair = [("the picture", view.pixels), (f"rebuilt from D = {view.d}", view.rebuilt)]
    return f'<div class="vit-pair">{"".join(_framed(view, token, *titled) for titled in pair)}</div>'


def words_html(view: EmbeddingView) -> str:
    """The formula with its sizes, the numbers to watch, and the sentence."""
    return (
        '<div class="vit-words"><p class="vit-formula"><span>z = E (x − m),</span> '
        f"<span>E: {view.d} × {view.length}</span></p>"
        '<div class="vit-tiles">'
        f"<div><b>{100 * view.kept:.1f} %</b>of the variation kept</div>"
        f'<div class="vit-left"><b>{view.error:.1f}</b>of 255: error of a pixel</div>'
        f"<div><b>{view.d * (view.length + 1):,}</b>parameters in E and b</div></div>"
        f"<p>{sentence(view)}</p></div>"
    )


def row_html(view: EmbeddingView, token: int) -> str:
    """One patch, what its token keeps of it, and the first filters with the numbers of the token."""
    here, there = view.patches[token - 1], view.rebuilt_patches[token - 1]
    cells = [_cell(view, here, "x", f"patch {token}"), _cell(view, there, "x̂", f"patch {token}, rebuilt")]
    numbers = view.tokens[token - 1, :SHOWN].tolist()
    for k, (number, one_filter) in enumerate(zip(numbers, view.basis, strict=False), start=1):
        cells.append(_cell(view, _weights(one_filter), f"{number:+.2f}".replace("-", "−"), f"filter {k}"))
    cells += ["<span>…</span>"] * (view.d > SHOWN)
    first = f"the first {SHOWN} of {view.d}" if view.d > SHOWN else f"all {view.d}"
    caption = (
        f"Patch {token} of {view.grid.tokens}: x, its rebuilding x̂, and {first} numbers of its token, "
        "each above its filter"
    )
    return f'<p class="vit-caption">{caption}</p><div class="vit-row">{"".join(cells)}</div>'


def still(view: EmbeddingView) -> Figure:
    """The picture, the rebuilt one and the first filters as one figure, for where no kernel runs."""
    figure = Figure(figsize=(7.5, 3.7), layout="constrained")
    pictures, filters = figure.subfigures(2, 1, squeeze=False, height_ratios=[4, 1])[:, 0]
    pair = {"the picture": view.pixels, f"rebuilt from D = {view.d}": view.rebuilt}
    for axes, (title, image) in zip(pictures.subplots(1, 2), pair.items(), strict=True):
        draw_picture(axes, image)
        axes.set_title(title)
    for column, axes in enumerate(filters.subplots(1, SHOWN, squeeze=False)[0]):
        axes.set_axis_off()
        if column < len(view.basis):
            weights = _weights(view.basis[column]).reshape(3, view.patch, view.patch)
            axes.imshow(weights.permute(1, 2, 0).numpy(), interpolation="nearest")
            axes.set_title(f"filter {column + 1}", fontsize=9)
    figure.description = sentence(view)
    return figure


def _framed(view: EmbeddingView, token: int, title: str, image: UInt8[Tensor, "3 H W"]) -> str:
    drawn = framed(data_uri(image), (image.shape[1], image.shape[2]), title, patch_box(token, view.grid))
    return f'<div><p class="vit-caption">{escape(title)}</p>{drawn}</div>'


def _cell(view: EmbeddingView, numbers: Float[Tensor, "L"], label: str, name: str) -> str:
    image = data_uri(_to_bytes(numbers.reshape(3, view.patch, view.patch)))
    return f'<figure>{label}<img class="vit-pixels" src="{image}" alt="{name}"></figure>'


def _weights(one_filter: Float[Tensor, "L"]) -> Float[Tensor, "L"]:
    """A filter to be looked at: weight 0 is mid grey, the strongest weight is full."""
    return 0.5 + one_filter / (2 * one_filter.abs().max())


def _to_bytes(image: Float[Tensor, "3 H W"]) -> UInt8[Tensor, "3 H W"]:
    return (255 * image.clamp(0, 1)).round().byte()
