"""Makes backbones.json: what timm's and torchvision's Swin, ConvNeXt and hybrid answer, for weights by formula.

As `make.py` does it for the Vision Transformer, and with its formula. To make it again, where both libraries are:

    python tests/vitlib/reference/backbones.py
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

if __name__ == "__main__":
    from make import declare_operators, images, weights
else:
    from tests.vitlib.reference.make import declare_operators, images, weights

PATH = Path(__file__).with_name("backbones.json")


def swin(**changes: Any) -> dict[str, Any]:
    return {"image_size": [32, 32], "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4],
            "window_size": 4, "num_classes": 5} | changes  # fmt: skip


def convnext(**changes: Any) -> dict[str, Any]:
    return {"image_size": [32, 64], "depths": [1, 2, 1, 1], "dims": [8, 16, 24, 32], "num_classes": 5} | changes


HYBRID = {"image_size": [32, 32], "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4, "num_classes": 5,
          "stem": [8, 16, 24]}  # fmt: skip
# library, model, and the fields of our configuration
VARIANTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "timm's Swin": ("timm", "swin", swin()),
    "timm's Swin, not square": ("timm", "swin", swin(image_size=[24, 48], window_size=3, in_chans=1)),
    "timm's Swin, three stages, one window at last": (
        "timm", "swin", swin(patch_size=4, depths=[2, 1, 2], num_heads=[2, 2, 4], image_size=[48, 48], window_size=3)
    ),
    "torchvision's Swin": ("torchvision", "swin", swin()),
    "torchvision's Swin, not square": ("torchvision", "swin", swin(image_size=[24, 48], window_size=3, mlp_ratio=2.0)),
    # off the square: (image, window) such that an axis has one window, less than one, or windows that do not divide it
    **{
        f"{library}'s Swin, {high} × {wide}, window {window}": (
            library, "swin", swin(image_size=[high, wide], window_size=window, depths=[2, 2, 2], num_heads=[2, 4, 4])
        )
        for library in ("timm", "torchvision", "hf")
        for high, wide, window in ((16, 48, 4), (48, 32, 4), (24, 56, 4), (40, 36, 4), (52, 28, 3), (22, 70, 5))
        if library != "hf" or (high, wide) in {(48, 32), (40, 36)}  # its windows shrink, and its tables do not
    },
    "timm's ConvNeXt": ("timm", "convnext", convnext()),
    "timm's ConvNeXt, small kernel": ("timm", "convnext", convnext(kernel_size=3, in_chans=2, image_size=[32, 32])),
    "torchvision's ConvNeXt": ("torchvision", "convnext", convnext()),
    "timm's hybrid": ("timm", "hybrid", HYBRID),
    "torchvision's hybrid": ("torchvision", "hybrid", HYBRID | {"mlp_ratio": 2.0}),
}  # fmt: skip


def timm_swin(c: dict[str, Any]) -> nn.Module:
    from timm.models.swin_transformer import SwinTransformer

    return SwinTransformer(
        img_size=c["image_size"], patch_size=c["patch_size"], in_chans=c.get("in_chans", 3),
        num_classes=c["num_classes"],
        embed_dim=c["embed_dim"], depths=c["depths"], num_heads=c["num_heads"], window_size=c["window_size"],
    )  # fmt: skip


def torchvision_swin(c: dict[str, Any]) -> nn.Module:
    from torchvision.models.swin_transformer import SwinTransformer

    return SwinTransformer(
        [c["patch_size"]] * 2, c["embed_dim"], c["depths"], c["num_heads"], [c["window_size"]] * 2,
        c.get("mlp_ratio", 4.0),
        num_classes=c["num_classes"],
    )  # fmt: skip


def hf_swin(c: dict[str, Any]) -> nn.Module:
    import transformers

    class Logits(transformers.SwinForImageClassification):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).logits

    return Logits(
        transformers.SwinConfig(
            image_size=c["image_size"], patch_size=c["patch_size"], embed_dim=c["embed_dim"], depths=c["depths"],
            num_heads=c["num_heads"], window_size=c["window_size"], num_labels=c["num_classes"],
        )
    )  # fmt: skip


def timm_convnext(c: dict[str, Any]) -> nn.Module:
    from timm.models.convnext import ConvNeXt

    return ConvNeXt(
        in_chans=c.get("in_chans", 3), num_classes=c["num_classes"], depths=c["depths"], dims=c["dims"],
        kernel_sizes=c.get("kernel_size", 7),
    )  # fmt: skip


def torchvision_convnext(c: dict[str, Any]) -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    widths = [*c["dims"], None]
    stages = [CNBlockConfig(widths[i], widths[i + 1], depth) for i, depth in enumerate(c["depths"])]
    return ConvNeXt(stages, num_classes=c["num_classes"])


def timm_hybrid(c: dict[str, Any]) -> nn.Module:
    """timm has the parts: layers of convolution, norm and ReLU, and an embedding behind any backbone."""
    from timm.layers import ConvNormAct, HybridEmbed
    from timm.models.vision_transformer import VisionTransformer

    sizes = zip([3, *c["stem"][:-1]], c["stem"], strict=True)
    layers = nn.Sequential(*(ConvNormAct(before, after, 3, stride=2, padding=1) for before, after in sizes))
    return VisionTransformer(
        img_size=c["image_size"], patch_size=1, num_classes=c["num_classes"], embed_dim=c["embed_dim"],
        depth=c["depth"],
        num_heads=c["num_heads"], mlp_ratio=c.get("mlp_ratio", 4.0), embed_layer=partial(HybridEmbed, backbone=layers),
    )  # fmt: skip


def torchvision_hybrid(c: dict[str, Any]) -> nn.Module:
    from torchvision.models.vision_transformer import ConvStemConfig, VisionTransformer

    return VisionTransformer(
        image_size=c["image_size"][0], patch_size=c["patch_size"], num_layers=c["depth"], num_heads=c["num_heads"],
        hidden_dim=c["embed_dim"], mlp_dim=int(c["embed_dim"] * c.get("mlp_ratio", 4.0)), num_classes=c["num_classes"],
        conv_stem_configs=[ConvStemConfig(width, kernel_size=3, stride=2) for width in c["stem"]],
    )  # fmt: skip


def given(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The formula's weights. What a BatchNorm has counted is positive, and tables of indices are left alone."""
    state = weights({name: shape for name, shape in shapes.items() if not name.endswith(("_index", "_tracked"))})
    return {name: each.abs() + 0.5 if name.endswith("running_var") else each for name, each in state.items()}


@torch.no_grad()
def main() -> None:
    declare_operators()
    reference = {}
    for name, (library, kind, config) in VARIANTS.items():
        model = globals()[f"{library}_{kind}"](config).eval()
        shapes = {key: tuple(each.shape) for key, each in model.state_dict().items()}
        model.load_state_dict(given(shapes), strict=False)
        answers = model(images(config.get("in_chans", 3), *config["image_size"]))
        reference[name] = {
            "library": library,
            "model": kind,
            "config": config,
            "shapes": {key: list(shape) for key, shape in shapes.items()},
            "logits": [[float(f"{number:.9g}") for number in row] for row in answers.tolist()],
        }
        print(f"{name}: {answers.abs().max():.3f}")
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in reference.items())
    PATH.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
