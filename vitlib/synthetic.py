"""A task made for a ViT, and one that breaks it: are two symbols the same, on the patch grid and off it?"""

import torch

from vitlib.inputs import require_size
from vitlib.pictures import Pictures

SIDE, SYMBOL = 16, 4  # pixels: of a picture, of a symbol; patches of SYMBOL pixels are meant
INK = SYMBOL * SYMBOL // 2  # lit pixels of every symbol: to count them tells nothing


def same_different(number: int, aligned: bool = True, seed: int = 0) -> Pictures:
    """`number` pictures of 16 × 16 pixels with two symbols of 4 × 4; half of the pairs are two times the same symbol.

    A symbol is 8 lit pixels of 16, drawn at random: 12,870 of them, so that nobody can learn each pair by heart.
    `aligned` puts each symbol on one cell of the 4 × 4 patch grid: two patches are then equal, or not. Otherwise each
    is cut by a grid line both ways, and lies in four patches. No single pixel, and no sum of pixels, tells the classes
    apart. Pictures of another `seed` are new ones: take one for training and one for testing.

    >>> pairs = same_different(1000)
    >>> pairs.images.shape, pairs.classes, pairs.labels.float().mean()
    (torch.Size([1000, 1, 16, 16]), ('different', 'same'), tensor(0.5000))

    Errors: TypeError or ValueError for a number of pictures that is no whole number from 1.
    """
    require_size("number", number)
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.arange(number) % 2)[torch.randperm(number, generator=generator)]

    lit = torch.rand(number, 2, SYMBOL * SYMBOL, generator=generator).argsort(dim=-1) < INK  # N 2 16
    first, second = lit.unbind(dim=1)
    twins = (first == second).all(dim=-1, keepdim=True)
    second = torch.where(twins, ~second, second)  # drawn twice by chance: the negative is another symbol
    symbols = torch.stack([first, torch.where(labels[:, None] == 1, first, second)], dim=1)

    places = _places(aligned)  # pairs 2 2
    corners = places[torch.randint(len(places), (number,), generator=generator)]  # N 2 2: row, column of each symbol
    offsets = torch.arange(SYMBOL)
    rows = corners[..., 0, None, None] + offsets[:, None]  # N 2 4 1
    columns = corners[..., 1, None, None] + offsets  # N 2 1 4
    images = torch.zeros(number, 1, SIDE, SIDE, dtype=torch.uint8)
    images[torch.arange(number).reshape(-1, 1, 1, 1), 0, rows, columns] = (
        symbols.reshape(number, 2, SYMBOL, SYMBOL).to(torch.uint8) * 255
    )
    return Pictures(images, labels, ("different", "same"))


def _places(aligned: bool) -> torch.Tensor:
    """Every way to put two symbols on one picture without overlap: [pairs, 2, 2], the row and column of each."""
    steps = torch.tensor([step for step in range(SIDE - SYMBOL + 1) if (step % SYMBOL == 0) == aligned])
    corners = torch.cartesian_prod(steps, steps)
    pairs = torch.cartesian_prod(torch.arange(len(corners)), torch.arange(len(corners)))
    places = corners[pairs]
    apart = (places[:, 0] - places[:, 1]).abs().amax(dim=-1) >= SYMBOL
    return places[apart]
