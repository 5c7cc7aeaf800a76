"""Models by name: `create("vit_base_patch16_224", num_classes=10)`.

Plain ViTs are listed in vitlib.vit.presets; Swin, ConvNeXt and hybrids in vitlib.backbones.presets.
"""

from dataclasses import fields, replace
from fnmatch import fnmatch
from typing import Any, Literal, overload

import torch

from vitlib.backbones.convnext import ConvNeXt
from vitlib.backbones.hybrid import Hybrid
from vitlib.backbones.presets import BACKBONES, MODELS
from vitlib.backbones.swin import Swin
from vitlib.device import best_device
from vitlib.trained import card, weights_of
from vitlib.vit.checks import nearest
from vitlib.vit.fields import fitted_statistics, pair_of
from vitlib.vit.model import ViT
from vitlib.vit.presets import PRESETS

# for the type of what `create` makes; a test holds them to the presets
ViTName = Literal[
    "vit_tiny_patch16_224", "vit_tiny_patch16_384", "vit_small_patch8_224", "vit_small_patch16_224",
    "vit_small_patch16_384", "vit_small_patch32_224", "vit_small_patch32_384", "vit_base_patch8_224",
    "vit_base_patch16_224", "vit_base_patch16_384", "vit_base_patch32_224", "vit_base_patch32_384",
    "vit_large_patch14_224", "vit_large_patch16_224", "vit_large_patch16_384", "vit_large_patch32_224",
    "vit_large_patch32_384", "vit_huge_patch14_224", "vit_digits_patch2_8", "vit_mnist_patch4_28",
    "vit_cifar_patch4_32", "vit_tinyimagenet_patch8_64",
]  # fmt: skip
HybridName = Literal["vitc_1gf_patch16_224", "vitc_4gf_patch16_224", "vitc_cifar_patch4_32"]
SwinName = Literal[
    "swin_tiny_patch4_window7_224",
    "swin_small_patch4_window7_224",
    "swin_base_patch4_window7_224",
    "swin_cifar_patch2_window4_32",
]
ConvNeXtName = Literal["convnext_tiny", "convnext_small", "convnext_base", "convnext_cifar_32"]


def list_models(pattern: str = "*") -> list[str]:
    """The names that `create` knows, by a shell pattern.

    >>> list_models("*patch8_*")
    ['vit_small_patch8_224', 'vit_base_patch8_224', 'vit_tinyimagenet_patch8_64']
    """
    return [name for name in (*PRESETS, *BACKBONES) if fnmatch(name, pattern)]


@overload
def create(name: HybridName, *args: Any, **choices: Any) -> Hybrid: ...
@overload
def create(name: ViTName, *args: Any, **choices: Any) -> ViT: ...
@overload
def create(name: SwinName, *args: Any, **choices: Any) -> Swin: ...
@overload
def create(name: ConvNeXtName, *args: Any, **choices: Any) -> ConvNeXt: ...
@overload
def create(name: str, *args: Any, **choices: Any) -> ViT | Hybrid | Swin | ConvNeXt: ...
def create(
    name: str,
    num_classes: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    device: str | torch.device | None = None,
    seed: int | None = None,
    pretrained: bool = False,
    **changes: Any,
) -> ViT | Hybrid | Swin | ConvNeXt:
    """A ViT, Swin, ConvNeXt or Hybrid, as the name says, with fresh weights or trained ones.

    What is not given is the preset's; `changes` are fields of its configuration, such as ViTConfig. For another number
    of channels, `mean` and `std` of colours become their averages unless they are given too.

    `image_size` is in pixels, (height, width) or the side of a square. `device` as in best_device (None: the
    best one there is). The same `seed` gives the same weights; None draws from torch's global generator. With
    `pretrained` the weights are those that come with vitlib (see vitlib.trained), positions resized to `image_size`;
    for another `num_classes` the head is a fresh one.

    >>> model = create("vit_tiny_patch16_224", num_classes=10, image_size=(64, 96), reg_tokens=4)
    >>> model(torch.zeros(1, 3, 64, 96)).shape
    torch.Size([1, 10])

    >>> create("vit_cifar_patch4_32", pretrained=True).training
    False

    Errors: ValueError for a name or field that does not exist (the nearest is suggested), for choices that do not go
    together, and for a model without trained weights, or one that they do not fit; those of best_device for a device
    that is not there.
    """
    if name not in list_models():
        raise ValueError(f"no model is called {name!r}{nearest(name, list_models())}; list_models() names them all")
    preset = (PRESETS | BACKBONES)[name]
    kind = MODELS[type(preset)]
    given = {"num_classes": num_classes, "image_size": image_size if image_size is None else pair_of(image_size)}
    changes |= {field: value for field, value in given.items() if value is not None}
    known = [field.name for field in fields(preset)]
    if unknown := [field for field in changes if field not in known]:
        wrong = f"a {kind.__name__} has no {unknown[0]!r}{nearest(unknown[0], known)}"
        raise ValueError(f"{wrong}; it has {', '.join(known)}")
    if "in_chans" in changes:  # published statistics are of colours: grey pictures get their averages
        preset_statistics = {"mean": preset.mean, "std": preset.std}
        changes = fitted_statistics(preset_statistics, changes["in_chans"]) | changes
    on_meta = torch.get_default_device().type == "meta"  # inside `with torch.device("meta")`: shapes without numbers
    target = torch.get_default_device() if on_meta else best_device(device)  # an error comes before the work
    generator = None if seed is None or on_meta else torch.Generator().manual_seed(seed)
    kept = torch.random.fork_rng(devices=[], enabled=seed is not None)  # layers draw weights of their own first
    with kept, target if on_meta else torch.device("cpu"):  # a caller's default device would draw others
        model = kind(replace(preset, **changes), generator)
    if pretrained:
        from vitlib.weights import load_into  # with readers of files, which `import vitlib` does without

        new_head = model.config.num_classes != preset.num_classes
        load_into(model.eval(), weights_of(name), new_head=new_head, dtype=torch.float32)
        if not new_head:
            model.config = replace(model.config, class_names=tuple(card(name)["classes"]))
    return model.to(target)
