"""Chapter 4: see where a model looks, while its fused attention runs, and what that did to the answer.

A fused kernel never stores the attention maps, so they are computed again from what each block's attention read.
The logits are those of an ordinary call, bit for bit. A model is asked in evaluation mode, and left in the mode it was
in. Shapes: B pictures, L layers, h heads, T tokens, N patches.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from operator import index
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vitlib.vit.attention import split_heads
from vitlib.vit.model import ViT
from vitlib.vit.patches import PatchGrid
from vitlib.vit.wrappers import in_mode, unwrapped


def attention_maps(
    model: nn.Module,
    images: Float[Tensor, "B C H W"],
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
) -> tuple[Float[Tensor, "B K"], Any]:
    """The logits, and the attention maps of the chosen layers and heads (None: all; -1: the last).

    `maps[b, l, h, i, j]` is how much token i takes from token j; every row sums to 1. Tokens come in the model's
    order: CLS, registers, patches. All maps of all layers take 4·B·L·h·T² bytes. They are [B, L, h, T, T].

    A Swin attends inside windows, which get fewer from stage to stage: its maps are a list, [B, W, h, M, M] for each
    layer, W windows of M tokens each.

    >>> from vitlib.models import create
    >>> logits, maps = attention_maps(create("vit_digits_patch2_8"), torch.zeros(1, 1, 8, 8), layers=[-1])
    >>> maps.shape
    torch.Size([1, 1, 4, 17, 17])

    Errors: ValueError for a layer or head that the model lacks, for an empty choice, and for a model that is not a ViT,
    Hybrid or Swin.
    """
    if hasattr(unwrapped(model), "attention_layers"):
        return _of_windows(unwrapped(model), images, layers, heads)
    vit = _plain(model, "ViT, Hybrid or Swin")
    chosen = _choose("layer", layers, vit.config.depth)
    kept = _choose("head", heads, vit.config.num_heads)
    with in_mode(vit, training=False):
        out = vit(images, return_all=True)
    maps = [vit.blocks[i].attn.weights(out[f"blocks.{i}.norm1"])[:, kept] for i in chosen]
    return out["logits"].to(images.device), torch.stack(maps, dim=1).to(images.device)


def _of_windows(
    model: Any, images: Tensor, layers: Sequence[int] | None, heads: Sequence[int] | None
) -> tuple[Tensor, list[Tensor]]:
    attentions = model.attention_layers()
    chosen = [attentions[i] for i in _choose("layer", layers, len(attentions))]
    kept = [_choose("head", heads, each.heads) for each in chosen]
    read: dict[nn.Module, Tensor] = {}
    with ExitStack() as hooks, in_mode(model, training=False):
        for each in chosen:
            hooks.enter_context(each.register_forward_pre_hook(lambda module, inputs: read.update({module: inputs[0]})))
        logits = model(images)
    maps = [each.maps(read[each])[:, :, some] for each, some in zip(chosen, kept, strict=True)]
    return logits.to(images.device), [each.to(images.device) for each in maps]


@torch.inference_mode(False)
def attention_gradients(
    model: nn.Module, images: Float[Tensor, "B C H W"], classes: Int64[Tensor, "B"] | None = None
) -> Float[Tensor, "B L h T T"]:
    """How much the logit of a class would rise for each attention weight, per unit: ∂logit / ∂maps[b, l, h, i, j].

    `classes` names one class for each picture (None: the one that the model takes it for). Times the maps, and summed
    over layers, heads and the tokens i, they tell by how much the logit would fall, to first order, if nobody took
    anything from token j.

    A head gives y = A v, so the gradient of A is that of y, times v: it is there while a fused kernel runs, too.

    >>> from vitlib.models import create
    >>> attention_gradients(create("vit_digits_patch2_8", seed=0), torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 3, 4, 17, 17])

    Errors: ValueError for a model that is not a ViT or Hybrid, and for classes that are not one each, or not there.
    """
    vit = _plain(model, "ViT or Hybrid")
    vit.checked(images)
    read: list[Tensor] = []
    found: list[Tensor] = []
    with ExitStack() as hooks, in_mode(vit, training=False), torch.enable_grad():
        for block in vit.blocks:
            hooks.enter_context(block.attn.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0])))
            hooks.enter_context(block.attn.proj.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0])))
        start = images.detach().clone().requires_grad_()  # the graph begins at the pictures: weights may be frozen
        logits = vit.forward_head(vit.forward_features(start))
    chosen = _classes(classes, logits)
    gradients = torch.autograd.grad(logits.gather(1, chosen[:, None]).sum(), found)  # L times B T D
    layers = []
    for block, x, gradient in zip(vit.blocks, read, gradients, strict=True):
        v = split_heads(block.attn.qkv(x.detach()), block.attn.heads, parts=3)[2]  # B h T d
        layers.append(split_heads(gradient, block.attn.heads, parts=1)[0] @ v.mT)  # B h T T
    return torch.stack(layers, dim=1).detach().to(images.device)


@torch.no_grad()
def covering(
    model: nn.Module, images: Float[Tensor, "B C H W"], classes: Int64[Tensor, "B"] | None = None
) -> Float[Tensor, "B N"]:
    """Cover one patch after another, and see how far the logit of a class falls; below 0, it rises.

    A covered patch is 0 in normalised pictures, the mean colour. `classes` names one class for each picture (None: the
    one that the model takes the whole picture for). Each picture takes N more, in one batch.

    >>> from vitlib.models import create
    >>> covering(create("vit_digits_patch2_8"), torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 16])

    Errors: ValueError for a model that is not a ViT or Hybrid. Source: Zeiler & Fergus, 2014, section 4.2.
    """
    grid = _plain(model, "ViT or Hybrid").config.grid
    with in_mode(model, training=False):
        logits = model(images)
    chosen = _classes(classes, logits)
    covers = torch.eye(grid.tokens, dtype=images.dtype, device=images.device)  # N N
    covers = covers.unflatten(1, (1, grid.rows, grid.columns))  # N 1 rows columns
    covers = covers.repeat_interleave(grid.patch_height, dim=2).repeat_interleave(grid.patch_width, dim=3)  # N 1 H W
    falls = []
    with in_mode(model, training=False):
        for image, whole, chosen_class in zip(images, logits, chosen, strict=True):
            falls.append(whole[chosen_class] - model(image * (1 - covers))[:, chosen_class])  # N
    return torch.stack(falls).to(images.device)


def rollout(maps: Float[Tensor, "B L h T T"]) -> Float[Tensor, "B T T"]:
    """Attention followed through the layers: how much of each output token comes from each input token.

    In every layer half of a token comes from the residual connection and half from attention, averaged over the
    heads: A = (mean of maps + I) / 2, and the rollout is A_L ··· A_2 A_1. Every row sums to 1.

    >>> rollout(torch.eye(3).expand(1, 12, 4, 3, 3))[0].diagonal()
    tensor([1., 1., 1.])

    Source: Abnar & Zuidema, 2020, "Quantifying attention flow in transformers".
    """
    steps = (maps.mean(dim=2) + torch.eye(maps.shape[-1], device=maps.device)) / 2  # B L T T
    flow = steps[:, 0]
    for i in range(1, steps.shape[1]):
        flow = steps[:, i] @ flow
    return flow


def attention_distance(maps: Float[Tensor, "B L h T T"], grid: PatchGrid) -> Float[Tensor, "B L h"]:
    """How far a patch looks, in pixels: the distance between patch centres, weighted with the attention.

    Only patches count: attention to CLS and registers is left out, and each row is scaled to sum to 1 again.

    >>> everywhere = torch.full((1, 1, 1, 2, 2), 0.5)
    >>> attention_distance(everywhere, PatchGrid(height=16, width=32, patch=16)).item()
    8.0

    Errors: ValueError where the maps have fewer tokens than the grid has patches.
    Source: Dosovitskiy et al., 2021, section 4.5 and figure 7.
    """
    prefix = maps.shape[-1] - grid.tokens
    if prefix < 0:
        raise ValueError(f"maps show {maps.shape[-1]} tokens, the grid has {grid.tokens}; use model.config.grid")
    y = torch.arange(grid.rows) * float(grid.patch_height)
    x = torch.arange(grid.columns) * float(grid.patch_width)
    centres = torch.cartesian_prod(y, x).to(maps.device)  # N 2, row by row as the tokens
    patches = maps[..., prefix:, prefix:]
    patches = patches / patches.sum(dim=-1, keepdim=True)
    return (patches * torch.cdist(centres, centres)).sum(dim=-1).mean(dim=-1)


def _plain(model: nn.Module, expected: str) -> ViT:
    vit = unwrapped(model)
    if not isinstance(vit, ViT):
        inside = "; take its .vit" if isinstance(getattr(vit, "vit", None), ViT) else ""
        raise ValueError(f"a {type(vit).__name__} has no attention maps: expected a {expected}{inside}")
    return vit


def _classes(classes: Any, logits: Float[Tensor, "B K"]) -> Int64[Tensor, "B"]:
    """One class for each picture: the one that is given, or that the model takes it for."""
    if classes is None:
        return logits.argmax(dim=1)
    number, kinds = logits.shape
    if not isinstance(classes, Tensor) or classes.shape != (number,) or classes.dtype != torch.int64:
        found = f"{classes.dtype} {tuple(classes.shape)}" if isinstance(classes, Tensor) else repr(classes)
        raise ValueError(f"classes are {found}: expected torch.int64 ({number},), one for each picture")
    if wrong := [each for each in classes.tolist() if not 0 <= each < kinds]:
        raise ValueError(f"class {wrong[0]} is not there: the model has {kinds}, numbered 0 to {kinds - 1}")
    return classes.to(logits.device)


def _choose(what: str, wanted: Sequence[int] | None, there: int) -> list[int]:
    """Indices from 0, where None asks for all and -1 is the last."""
    try:
        indices = list(range(there)) if wanted is None else [index(i) for i in wanted]
    except TypeError:
        raise TypeError(f"{what}s are {wanted!r}: expected whole numbers in a list, such as [0, -1]") from None
    if not indices:
        raise ValueError(f"no {what} was chosen: name some of 0 to {there - 1}, or leave {what}s out for all")
    if wrong := [i for i in indices if not -there <= i < there]:
        raise ValueError(f"{what} {wrong[0]} is not there: the model has {there}, numbered 0 to {there - 1}")
    return [i % there for i in indices]
