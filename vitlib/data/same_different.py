"""Are two symbols the same? A task that is easy for a ViT if the symbols lie on its patch grid, and hard otherwise."""

from itertools import combinations
from math import comb

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from vitlib.data.pictures import Pictures
from vitlib.vit.checks import require_size

SIDE, SYMBOL = 16, 4  # side in pixels of a picture, and of a symbol, which is also the patch size
INK = SYMBOL * SYMBOL // 2  # white pixels of every symbol, so that their number says nothing about the class
SYMBOLS = comb(SYMBOL * SYMBOL, INK)  # 12,870: every choice of 8 white pixels out of 16


def same_different(number: int, aligned: bool = True, seed: int = 0, symbols: int = SYMBOLS) -> Pictures:
    """`number` pictures of 16 × 16 pixels with two symbols of 4 × 4 each; half of the pairs are the same symbol twice.

    With `aligned`, each symbol fills one patch of the 4 × 4 grid: two patches are then equal, or not. Otherwise each
    symbol is cut both ways by the lines of the grid, and lies in four patches. Every symbol has 8 white pixels, and is
    as frequent in one class as in the other: no single pixel, and no sum of pixels, separates the classes.

    `symbols` is the size of the alphabet, which is the same for every `seed`. With all symbols, hardly any picture
    occurs twice, and a model has to compare. With 4, there are only 120 · 4² = 1920 aligned pictures, which a model can
    memorise. Take one seed for training and another for testing.

    >>> pairs = same_different(1000)
    >>> pairs.images.shape, pairs.classes, pairs.labels.float().mean()
    (torch.Size([1000, 1, 16, 16]), ('different', 'same'), tensor(0.5000))

    Errors: TypeError or ValueError for a number of pictures that is not a positive integer; ValueError for fewer than 2
    symbols, or more than SYMBOLS.
    """
    require_size("number", number)
    known = _alphabet(symbols)  # K 16
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.arange(number) % 2)[torch.randperm(number, generator=generator)]
    first = torch.randint(symbols, (number,), generator=generator)
    other = (first + torch.randint(1, symbols, (number,), generator=generator)) % symbols
    pairs = torch.stack([first, torch.where(labels == 1, first, other)], dim=1)  # N 2
    ink = known[pairs].reshape(number, 2, SYMBOL, SYMBOL).to(torch.uint8) * 255

    places = _places(aligned)
    corners = places[torch.randint(len(places), (number,), generator=generator)]  # N 2 2
    offsets = torch.arange(SYMBOL)
    rows = corners[..., 0, None, None] + offsets[:, None]  # N 2 4 1
    columns = corners[..., 1, None, None] + offsets  # N 2 1 4
    images = torch.zeros(number, 1, SIDE, SIDE, dtype=torch.uint8)
    images[torch.arange(number).reshape(-1, 1, 1, 1), 0, rows, columns] = ink
    return Pictures(images, labels, ("different", "same"))


def _alphabet(symbols: int) -> Bool[Tensor, "K 16"]:
    """The white pixels of each symbol: so many of the choices of 8 pixels out of 16, always the same ones."""
    if not 2 <= symbols <= SYMBOLS:
        raise ValueError(f"symbols is {symbols}: expected 2…{SYMBOLS}, which differ and have {INK} lit pixels each")
    ways = torch.tensor(list(combinations(range(SYMBOL * SYMBOL), INK)))
    drawn = ways[torch.randperm(SYMBOLS, generator=torch.Generator().manual_seed(0))[:symbols]]
    return torch.zeros(symbols, SYMBOL * SYMBOL, dtype=torch.bool).scatter(1, drawn, True)


def _places(aligned: bool) -> Int64[Tensor, "pairs 2 2"]:
    """Every way to place two symbols without overlap: the row and column of the top left corner of each."""
    steps = torch.tensor([step for step in range(SIDE - SYMBOL + 1) if (step % SYMBOL == 0) == aligned])
    corners = torch.cartesian_prod(steps, steps)
    pairs = torch.cartesian_prod(torch.arange(len(corners)), torch.arange(len(corners)))
    places = corners[pairs]
    apart = (places[:, 0] - places[:, 1]).abs().amax(dim=-1) >= SYMBOL
    return places[apart]
