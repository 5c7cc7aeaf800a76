"""Chapter 5: what the classifier would say, were each block the last one."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitlib.vit.model import ViT
from vitlib.vit.wrappers import in_mode, unwrapped


@torch.no_grad()
def readout(model: nn.Module, images: Float[Tensor, "B C H W"], norm: bool = True) -> Float[Tensor, "B L K"]:
    """The logits that the head gives for the token row after 0, 1, …, depth blocks: L = depth + 1 rows.

    Row 0 reads the row of tokens before the first block, the last row is `model(images)`. The head was trained on
    the last block alone: an earlier row says which way the token points by then, as far as this head can read it.
    `norm=False` leaves the final LayerNorm out, which no trained head expects. The model is asked in evaluation mode.

    >>> from vitlib import create
    >>> readout(create("vit_digits_patch2_8"), torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 4, 10])

    Errors: ValueError for a model that is not a ViT or Hybrid.
    Source: the idea is known as the logit lens (nostalgebraist, 2020), there for language models.
    """
    vit = unwrapped(model)
    if not isinstance(vit, ViT):
        raise ValueError(f"a {type(vit).__name__} has other tokens in every stage: expected a ViT or Hybrid")
    with in_mode(vit, training=False):
        steps = vit(images, return_all=True)
    rows = [steps["tokens"], *(steps[f"blocks.{i}.+mlp"] for i in range(vit.config.depth))]
    if norm:
        said = [vit.head(vit.pool(row[:, vit.reads])) for row in rows]
    else:
        said = [vit.head(row[:, vit.reads].mean(dim=1)) for row in rows]
    return torch.stack(said, dim=1).to(images.device)
