"""Makes reference.json: what timm's and torchvision's own Vision Transformers answer, for weights by formula.

Neither library is needed to run the tests: the formula below gives the same weights and images everywhere,
and the file holds the names, the shapes and the answers. To make it again, in an environment that has both:

    python tests/vitlib/reference/make.py

torchvision's wheel may not fit a CPU build of torch: its compiled operators then fail to load, and its Python
part misses them at import. Two empty declarations are enough (`declare_operators`): a ViT uses neither.
"""

import importlib
import json
import math
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

PATH = Path(__file__).with_name("reference.json")


@dataclass(frozen=True)
class Variant:
    """One model of one library, tiny."""

    library: str  # "timm" or "torchvision"
    arguments: dict[str, Any]  # of that library's VisionTransformer
    resize_to: tuple[int, int] | None = None  # pixels: the library moves its positions to this size first
    tags: dict[str, Any] = field(default_factory=dict)  # arguments that JSON cannot hold


TIMM = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4, "num_classes": 5}
TORCHVISION = {"image_size": 32, "patch_size": 8, "hidden_dim": 32, "num_layers": 2, "num_heads": 4,
               "mlp_dim": 48, "num_classes": 5}  # fmt: skip
DINOV2 = {"img_size": 28, "patch_size": 7, "reg_tokens": 4, "no_embed_class": True, "init_values": 1.0,
          "num_classes": 0}  # fmt: skip

VARIANTS = {
    "cls": Variant("timm", TIMM),
    "mean": Variant("timm", TIMM | {"global_pool": "avg"}),
    "mean of normed tokens": Variant("timm", TIMM | {"global_pool": "avg", "fc_norm": False}),
    "mean, no CLS": Variant("timm", TIMM | {"global_pool": "avg", "class_token": False}),
    "attention pooling": Variant("timm", TIMM | {"global_pool": "map", "class_token": False}),
    "reg_tokens": Variant("timm", TIMM | {"reg_tokens": 3}),
    "no positions for CLS": Variant("timm", TIMM | {"no_embed_class": True}),
    "no positions for CLS and registers": Variant("timm", TIMM | {"no_embed_class": True, "reg_tokens": 3}),
    "layer scale": Variant("timm", TIMM | {"init_values": 0.1}),
    "tanh GELU": Variant("timm", TIMM, tags={"act_layer": "gelu_tanh"}),
    "narrow MLP": Variant("timm", TIMM | {"mlp_ratio": 1.5}),
    "not square": Variant("timm", TIMM | {"img_size": [24, 40], "patch_size": [8, 4]}),
    "one channel": Variant("timm", TIMM | {"in_chans": 1}),
    "DINOv2": Variant("timm", TIMM | DINOV2),
    "timm resized": Variant("timm", TIMM, resize_to=(48, 24)),
    "torchvision": Variant("torchvision", TORCHVISION),
    "torchvision resized": Variant("torchvision", TORCHVISION, resize_to=(48, 48)),
}


def uniform(name: str, shape: tuple[int, ...]) -> Tensor:
    """Numbers in [-1, 1) that depend on the name and the shape alone: 24 bits of Philox, keyed by the name."""
    bits = np.random.Philox(key=zlib.crc32(name.encode())).random_raw(math.prod(shape)) >> np.uint64(40)
    return torch.from_numpy((bits.astype(np.float64) / 2**23 - 1).astype(np.float32)).reshape(shape)


def weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A state dict by formula: matrices that keep the scale, and every vector far from its initial value."""
    state = {}
    for name, shape in shapes.items():
        tensor = uniform(name, tuple(shape))
        if len(shape) == 1 and name.endswith(".weight"):  # a LayerNorm's scale
            state[name] = 1 + tensor / 4
        elif len(shape) in (2, 4):  # a linear map or a convolution: variance 1 / fan-in
            state[name] = tensor * math.sqrt(3 / math.prod(shape[1:]))
        else:  # biases, tokens, positions, layer scale
            state[name] = tensor / 2
    return state


def images(channels: int, height: int, width: int) -> Tensor:
    return uniform("images", (2, channels, height, width))


def declare_operators() -> None:
    """Let torchvision be imported where its compiled operators did not load."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", "(Tensor boxes, Tensor scores, float iou) -> Tensor")


def _timm(variant: Variant) -> tuple[torch.nn.Module, dict[str, Tensor]]:
    from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn

    model = VisionTransformer(**variant.arguments, **variant.tags)
    given = weights({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()})
    if variant.resize_to:
        model = VisionTransformer(**variant.arguments | {"img_size": variant.resize_to}, **variant.tags)
    model.load_state_dict(checkpoint_filter_fn(dict(given), model, antialias=True))
    return model, given


def _torchvision(variant: Variant) -> tuple[torch.nn.Module, dict[str, Tensor]]:
    import torchvision.models.vision_transformer as library

    model = library.VisionTransformer(**variant.arguments)
    given = weights({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()})
    used = dict(given)
    if variant.resize_to:
        side, patch = variant.resize_to[0], variant.arguments["patch_size"]
        model = library.VisionTransformer(**variant.arguments | {"image_size": side})
        used = library.interpolate_embeddings(side, patch, used)
    model.load_state_dict(used)
    return model, given


@torch.no_grad()
def main() -> None:
    declare_operators()
    reference = {}
    for name, variant in VARIANTS.items():
        model, given = (_timm if variant.library == "timm" else _torchvision)(variant)
        size = variant.arguments.get("img_size", variant.arguments.get("image_size"))
        height, width = variant.resize_to or (size if isinstance(size, list) else (size, size))
        answers = model.eval()(images(variant.arguments.get("in_chans", 3), height, width))
        reference[name] = {
            "library": variant.library,
            "arguments": variant.arguments | variant.tags,
            "images": [variant.arguments.get("in_chans", 3), height, width],
            "shapes": {key: list(tensor.shape) for key, tensor in given.items()},
            "logits": [[float(f"{number:.9g}") for number in row] for row in answers.tolist()],
        }
        print(f"{name}: {np.abs(answers.numpy()).max():.3f}")
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in reference.items())
    PATH.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
