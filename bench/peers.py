"""The same model from up to six libraries, with random weights, each as images → logits."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace

import torch
from backbone_peers import BACKBONES
from torch import Tensor, nn

from vitlib.backbones.presets import MODELS, Config
from vitlib.vit.config import ViTConfig


def from_vitlib(config: ViTConfig) -> nn.Module:
    from vitlib.vit.model import ViT

    return ViT(config)


def from_plain_vitlib(config: ViTConfig) -> nn.Module:
    """Without its two tricks: the last block whole, and the fused kernel always."""
    return from_vitlib(replace(config, trim=False, fused=True))


def from_timm(config: ViTConfig) -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=config.image_size,
        patch_size=config.patch_size,
        num_classes=config.num_classes,
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
    )


def from_torchvision(config: ViTConfig) -> nn.Module:
    from torchvision.models import VisionTransformer

    return VisionTransformer(
        image_size=config.image_size[0],
        patch_size=config.patch_size,
        num_layers=config.depth,
        num_heads=config.num_heads,
        hidden_dim=config.embed_dim,
        mlp_dim=int(config.embed_dim * config.mlp_ratio),
        num_classes=config.num_classes,
    )


class Logits(nn.Module):
    """Hugging Face's model returns an object; the others return the logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(pixel_values=images).logits


def from_transformers(config: ViTConfig) -> nn.Module:
    from transformers import ViTConfig as TheirConfig
    from transformers import ViTForImageClassification

    theirs = TheirConfig(
        image_size=config.image_size[0],
        patch_size=config.patch_size,
        hidden_size=config.embed_dim,
        num_hidden_layers=config.depth,
        num_attention_heads=config.num_heads,
        intermediate_size=int(config.embed_dim * config.mlp_ratio),
        num_labels=config.num_classes,
        attn_implementation="sdpa",
    )
    return Logits(ViTForImageClassification(theirs))


def _lucidrains(config: ViTConfig) -> dict[str, int]:
    return {
        "image_size": config.image_size[0],
        "patch_size": int(config.patch_size),
        "num_classes": config.num_classes,
        "dim": config.embed_dim,
        "depth": config.depth,
        "heads": config.num_heads,
        "mlp_dim": int(config.embed_dim * config.mlp_ratio),
        "dim_head": config.embed_dim // config.num_heads,
    }


def from_lucidrains(config: ViTConfig) -> nn.Module:
    """With a CLS token, as the others have it. No bias in q, k and v."""
    from vit_pytorch.vit import ViT

    return ViT(**_lucidrains(config))


def from_simple_vit(config: ViTConfig) -> nn.Module:
    """simple_vit.py: no CLS token, mean pooling, fixed positions, no bias in attention."""
    from vit_pytorch.simple_vit import SimpleViT

    return SimpleViT(**_lucidrains(config))


BUILDERS: dict[str, Callable[[ViTConfig], nn.Module]] = {
    "vitlib": from_vitlib,
    "plain": from_plain_vitlib,
    "timm": from_timm,
    "torchvision": from_torchvision,
    "transformers": from_transformers,
    "lucidrains": from_lucidrains,
    "simple_vit": from_simple_vit,
}


def build(name: str, config: Config) -> nn.Module | None:
    """A peer's model for a configuration, or None where it has no such model."""
    if type(config) is ViTConfig:
        return BUILDERS[name](config)
    if name == "vitlib":
        return MODELS[type(config)](config)
    if make := BACKBONES[type(config)].get(name):
        return Logits(make(config)) if name == "transformers" else make(config)
    return None


# where a peer's package has another name
PACKAGES = {"plain": "vitlib", "lucidrains": "vit_pytorch", "simple_vit": "vit_pytorch"}

# torchvision registers shapes for the operators of its C++ library as it is imported. A wheel whose library does
# not load here (one built for CUDA beside a CPU torch) has no such operators; their names alone make it import.
# Its Vision Transformer, timm and vit_pytorch use none of them.
_OPERATORS = (
    "nms qnms roi_align qroi_align _roi_align_backward ps_roi_align _ps_roi_align_backward roi_pool "
    "_roi_pool_backward ps_roi_pool _ps_roi_pool_backward deform_conv2d _deform_conv2d_backward"
)


def import_torchvision() -> str:
    """Import torchvision, and say how: "as it is" or "without its C++ operators"."""
    try:
        import torchvision

        return "as it is"
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in _OPERATORS.split():
            library.define(f"{operator}(Tensor input) -> Tensor")
        _kept.append(library)
        import torchvision  # noqa: F401

        return "without its C++ operators"


_kept: list[torch.library.Library] = []  # a library's operators live as long as it does


def installed() -> list[str]:
    """The peers that are here, vitlib first."""
    return [name for name in BUILDERS if importlib.util.find_spec(PACKAGES.get(name, name))]
