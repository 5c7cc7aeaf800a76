"""Chapter 5: what the classifier would say, were each block the last one."""

import torch
from jaxtyping import Float
from torch import Tensor

from vitlib.vit.model import ViT


@torch.no_grad()
def readout(model: ViT, images: Float[Tensor, "B C H W"], norm: bool = True) -> Float[Tensor, "B L K"]:
    """The logits that the head gives for the token row after 0, 1, …, depth blocks: L = depth + 1 rows.

    Row 0 reads the row of tokens before the first block, the last row is `model(images)`. The head was trained on
    the last block alone: an earlier row says which way the token points by then, as far as this head can read it.
    `norm=False` leaves the final LayerNorm out, which no trained head expects.

    >>> from vitlib import create
    >>> readout(create("vit_digits_patch2_8"), torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 4, 10])

    Source: the idea is known as the logit lens (nostalgebraist, 2020), there for language models.
    """
    steps = model(images, return_all=True)
    rows = [steps["tokens"], *(steps[f"blocks.{i}.+mlp"] for i in range(model.config.depth))]
    if norm:
        said = [model.head(model.pool(row[:, model.reads])) for row in rows]
    else:
        said = [model.head(row[:, model.reads].mean(dim=1)) for row in rows]
    return torch.stack(said, dim=1).to(images.device)
