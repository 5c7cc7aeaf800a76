"""Small models of every kind, and pictures that they learn in a few steps."""

import copy

import torch
from torch import nn

from vitlib.backbones.convnext import ConvNeXt, ConvNeXtConfig
from vitlib.backbones.hybrid import Hybrid, HybridConfig
from vitlib.backbones.swin import Swin, SwinConfig
from vitlib.backbones.token_merging import MergedViT
from vitlib.backbones.windowed_attention import with_windows
from vitlib.data.pictures import Pictures
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT

SIDE = 16  # pixels


def shades(number: int = 32, classes: tuple[str, ...] = ("dark", "light"), seed: int = 0) -> Pictures:
    """Noise, the lighter the later the class."""
    dice = torch.Generator().manual_seed(seed)
    labels = torch.arange(number) % len(classes)
    light = 150 * labels // max(len(classes) - 1, 1)
    images = torch.randint(60, (number, 3, SIDE, SIDE), generator=dice) + light[:, None, None, None]
    return Pictures(images.to(torch.uint8), labels, classes)


def vit(num_classes: int = 2, seed: int = 0, **changes: object) -> ViT:
    chosen = {"patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2, "num_classes": num_classes, **changes}
    return ViT(ViTConfig(image_size=(SIDE, SIDE), **chosen), torch.Generator().manual_seed(seed))


def hybrid(num_classes: int = 2) -> Hybrid:
    config = HybridConfig(
        (SIDE, SIDE), 4, num_classes=num_classes, embed_dim=16, depth=2, num_heads=2, stem=(4, 8), dropout=0.2
    )
    return Hybrid(config, torch.Generator().manual_seed(0))


def swin(num_classes: int = 2) -> Swin:
    config = SwinConfig(
        image_size=(SIDE, SIDE), patch_size=2, depths=(2, 2), embed_dim=8, num_heads=(2, 2), window_size=2,
        num_classes=num_classes,
    )  # fmt: skip
    return Swin(config, torch.Generator().manual_seed(0))


def convnext(num_classes: int = 2) -> ConvNeXt:
    config = ConvNeXtConfig(image_size=(SIDE, SIDE), patch_size=2, depths=(1, 2), dims=(8, 16), num_classes=num_classes)
    return ConvNeXt(config, torch.Generator().manual_seed(0))


BACKBONES = {"vit": vit, "hybrid": hybrid, "swin": swin, "convnext": convnext}
EVERY = {
    **BACKBONES,
    "merged": lambda: MergedViT(vit(), 2),
    "windowed": lambda: with_windows(vit(global_pool="avg"), 2),
    "parallel": lambda: nn.DataParallel(vit()),
}
# a compiled model cannot be called under the check of shapes and types; COMPILED calls one without it
WRAPPED = EVERY | {"compiled": lambda: torch.compile(swin(), backend="eager")}
COMPILED = """
import torch
from tests.vitlib.training.zoo import WRAPPED, shades, swin
from vitlib.training.classes import class_names
from vitlib.training.fit import Recipe, evaluate, fit

recipe = Recipe(epochs=2, batch_size=16, lr=3e-3, ema=0.9, layer_decay=0.9)
plain, compiled = swin(), WRAPPED["compiled"]()
plain.layers[0].requires_grad_(False), compiled.layers[0].requires_grad_(False)
expected = fit(plain, shades(), shades(), recipe, progress=False)
history = fit(compiled, shades(), shades(), recipe, progress=False)
assert history.loss == expected.loss and history.test_accuracy[-1] == evaluate(compiled, shades())
assert class_names(compiled) == ("dark", "light")
pairs = zip(plain.state_dict().values(), compiled._orig_mod.state_dict().values(), strict=True)
assert all(torch.equal(one, other) for one, other in pairs)
"""


def moved(model: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    """The names of what is no longer as it was."""
    return {name for name, each in model.state_dict().items() if not torch.equal(each, before[name])}


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    """What a model is now, to compare with later."""
    return copy.deepcopy(model.state_dict())
