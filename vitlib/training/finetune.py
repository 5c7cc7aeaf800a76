"""Chapter 7: a model that knows one thing learns another, from far fewer pictures than it took to know the first."""

import copy
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from vitlib.data.pictures import Pictures
from vitlib.training.fit import Recipe, fit
from vitlib.training.history import History
from vitlib.training.optim import layer_of
from vitlib.vit.model import ViT

FINETUNE = Recipe(epochs=10, lr=5e-4, layer_decay=0.75)


def finetune(
    model: ViT,
    train: Pictures,
    test: Pictures | None = None,
    recipe: Recipe = FINETUNE,
    *,
    blocks: int | None = None,
    save: Path | None = None,
    resume: bool = True,
    progress: bool = True,
) -> tuple[ViT, History]:
    """A copy of the model with a new head for the classes of `train`, trained on them; `model` stays as it is.

    `blocks` says how much of it learns beside the head:

    - 0: nothing. The features stay frozen, and the head learns to read them (a linear probe).
    - n: the last n blocks.
    - None: everything, embedding and positions too.

    Pictures of another size get resized positions. Frozen or not, `recipe.layer_decay` makes the lower blocks move
    less than the upper ones. `save`, `resume` and `progress` are those of `fit`.

    >>> from vitlib.data.datasets import digits
    >>> from vitlib.models import create
    >>> train, test = digits()
    >>> few = train.take(slice(0, 64))
    >>> model, history = finetune(create("vit_mnist_patch4_28"), few, recipe=Recipe(epochs=1), blocks=0, progress=False)
    >>> model.config.image_size, model.head.weight.shape
    ((8, 8), torch.Size([10, 96]))

    Errors: ValueError for more blocks than there are, for pictures with another number of channels, or of a size that
    the patch does not divide; those of fit.
    """
    depth, channels = model.config.depth, train.images.shape[1]
    if blocks is not None and not 0 <= blocks <= depth:
        raise ValueError(f"blocks is {blocks}: expected 0 (the head alone) to {depth} (every block), or None for all")
    if channels != model.config.in_chans:
        raise ValueError(
            f"the pictures have {channels} channels and the model reads {model.config.in_chans}: "
            "convert them, grey ones with images.expand(-1, 3, -1, -1)"
        )
    height, width = train.images.shape[2:]
    tuned = with_new_head(model.resized((height, width)), len(train.classes), recipe.seed)
    if blocks is not None:
        freeze_below(tuned, blocks)
    history = fit(tuned, train, test, recipe, save=save, resume=resume, progress=progress)
    return tuned.requires_grad_(), history


def with_new_head(model: ViT, classes: int, seed: int = 0) -> ViT:
    """A copy with a fresh classifier: small random weights and no bias, so that every class starts as likely.

    >>> from vitlib.models import create
    >>> with_new_head(create("vit_digits_patch2_8"), classes=2).head
    Linear(in_features=48, out_features=2, bias=True)
    """
    other = copy.deepcopy(model)
    other.config = replace(model.config, num_classes=classes)
    head = nn.utils.skip_init(nn.Linear, model.config.embed_dim, classes)
    nn.init.trunc_normal_(head.weight, std=0.02, generator=torch.Generator().manual_seed(seed))
    nn.init.zeros_(head.bias)
    other.head = head.to(model.patch_embed.proj.weight)
    return other


def freeze_below(model: ViT, blocks: int) -> None:
    """Only the last `blocks` blocks and what follows them learn; with 0 the classifier alone."""
    top = model.config.depth + 1
    for name, each in model.named_parameters():
        each.requires_grad_(name.startswith("head.") or (blocks > 0 and layer_of(name, top) >= top - blocks))
