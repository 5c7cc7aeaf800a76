"""Chapter 7: fine-tuning. A trained model learns new classes from far fewer pictures than an untrained one needs."""

import copy
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import nn

from vitlib.backbones.stages import Staged
from vitlib.data.pictures import Pictures
from vitlib.training.fit import Recipe, check_kinds, fit
from vitlib.training.history import History
from vitlib.training.optim import layer_groups, parameters_of
from vitlib.vit.model import ViT
from vitlib.vit.wrappers import require_numbers, unwrapped

Net = TypeVar("Net", bound=nn.Module)
FINETUNE = Recipe(epochs=10, lr=5e-4, layer_decay=0.75)


@torch.inference_mode(False)
def finetune(
    model: Net,
    train: Pictures,
    test: Pictures | None = None,
    recipe: Recipe = FINETUNE,
    *,
    blocks: int | None = None,
    valid: Pictures | None = None,
    save: str | Path | None = None,
    resume: bool = True,
    progress: bool = True,
) -> tuple[Net, History]:
    """A copy of the model with a new head for the classes of `train`, trained on them; `model` stays as it is.

    `blocks` says what is trained besides the head:

    - 0: nothing. The features stay frozen, and the head learns to use them (a linear probe).
    - n: the last n blocks.
    - None: everything, including embedding and positions.

    For pictures of another size, positions are resized. `recipe.layer_decay` gives lower blocks a smaller learning
    rate. `valid`, `save`, `resume` and `progress` are those of `fit`. No parameter of the returned copy is frozen.

    >>> from vitlib.data.datasets import digits
    >>> from vitlib.models import create
    >>> train, test = digits()
    >>> few = train.take(slice(0, 64))
    >>> model, history = finetune(create("vit_mnist_patch4_28"), few, recipe=Recipe(epochs=1), blocks=0, progress=False)
    >>> model.config.image_size, model.head.weight.shape
    ((8, 8), torch.Size([10, 96]))

    Errors: ValueError for a model that is not a ViT, Hybrid, Swin or ConvNeXt, for more blocks than it has, for
    pictures with another number of channels, or of a size that the patch size does not divide; those of fit.
    """
    check_kinds(model, train, recipe, test, valid)
    bare = _backbone(model)
    require_numbers(bare)
    depth, channels = len(layer_groups(bare)) - 2, train.images.shape[1]
    if blocks is not None and (not isinstance(blocks, int) or not 0 <= blocks <= depth):
        raise ValueError(f"blocks is {blocks}: expected 0 (the head alone) to {depth} (every block), or None for all")
    if channels != bare.config.in_chans:
        raise ValueError(
            f"the pictures have {channels} channels and the model reads {bare.config.in_chans}: "
            "convert them, grey ones with images.expand(-1, 3, -1, -1)"
        )
    height, width = train.images.shape[2:]
    tuned = with_new_head(bare.resized((height, width)), len(train.classes), recipe.seed)
    tuned.requires_grad_()
    if blocks is not None:
        freeze_below(tuned, blocks)
    history = fit(tuned, train, test, recipe, valid=valid, save=save, resume=resume, progress=progress)
    return cast(Net, tuned.requires_grad_()), history


def with_new_head(model: Net, classes: int, seed: int = 0) -> Net:
    """A copy with a new classifier: small random weights and zero bias, so that all classes start equally likely.

    With 0 classes it has no classifier, and gives features.

    >>> from vitlib.models import create
    >>> with_new_head(create("vit_digits_patch2_8"), classes=2).head
    Linear(in_features=48, out_features=2, bias=True)

    Errors: ValueError for fewer than 0 classes, and for a model that is not a ViT, Hybrid, Swin or ConvNeXt.
    """
    if classes < 0:
        raise ValueError(f"classes is {classes}: expected 0 (features) or more")
    other: Any = copy.deepcopy(_backbone(model))
    other.reset_classifier(classes, torch.Generator().manual_seed(seed))
    return cast(Net, other)


def freeze_below(model: nn.Module, blocks: int) -> None:
    """Freeze all but the last `blocks` blocks and what follows them; with 0, all but the classifier."""
    bare = _backbone(model)
    bare.requires_grad_(False)
    for part in chain(*layer_groups(bare)[-1 - blocks :]) if blocks else [bare.get_classifier()]:
        for each in parameters_of(part):
            each.requires_grad_()


def _backbone(model: nn.Module) -> ViT | Staged:
    bare = unwrapped(model)
    if not isinstance(bare, (ViT, Staged)):
        inside = "; take its .vit" if isinstance(getattr(bare, "vit", None), ViT) else ""
        raise ValueError(
            f"the model is a {type(bare).__name__}: expected a ViT, Hybrid, Swin or ConvNeXt{inside}. Any other model "
            "can be trained by `fit`, with a head of its own and requires_grad_(False) on what is to stay"
        )
    return bare
