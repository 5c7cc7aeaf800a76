"""The plain ViTs by name. The large ones have timm's names and the sizes of the papers; the small ones are for pictures
of 8 to 64 pixels. What is not a plain ViT is in vitlib.backbones.presets.
"""

from typing import Any

from vitlib.vit.config import ViTConfig

# Dosovitskiy et al., 2021, table 1; tiny and small: Touvron et al., 2021 (DeiT), table 1
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"embed_dim": 192, "depth": 12, "num_heads": 3},
    "small": {"embed_dim": 384, "depth": 12, "num_heads": 6},
    "base": {"embed_dim": 768, "depth": 12, "num_heads": 12},
    "large": {"embed_dim": 1024, "depth": 24, "num_heads": 16},
    "huge": {"embed_dim": 1280, "depth": 32, "num_heads": 16},
}
# size, patch, picture side (pixels), as timm has them
IMAGENET = [
    ("tiny", 16, 224), ("tiny", 16, 384),
    ("small", 8, 224), ("small", 16, 224), ("small", 16, 384), ("small", 32, 224), ("small", 32, 384),
    ("base", 8, 224), ("base", 16, 224), ("base", 16, 384), ("base", 32, 224), ("base", 32, 384),
    ("large", 14, 224), ("large", 16, 224), ("large", 16, 384), ("large", 32, 224), ("large", 32, 384),
    ("huge", 14, 224),
]  # fmt: skip
PRESETS: dict[str, ViTConfig] = {
    f"vit_{size}_patch{patch}_{side}": ViTConfig(image_size=(side, side), patch_size=patch, **SIZES[size])
    for size, patch, side in IMAGENET
} | {
    # 8 × 8 grey: the digits of vitlib.data.datasets
    "vit_digits_patch2_8": ViTConfig((8, 8), 2, in_chans=1, num_classes=10, embed_dim=48, depth=3, num_heads=4),
    # 28 × 28 grey: MNIST, Fashion-MNIST
    "vit_mnist_patch4_28": ViTConfig((28, 28), 4, in_chans=1, num_classes=10, embed_dim=96, depth=6, num_heads=3),
    # 32 × 32 colour: CIFAR-10
    "vit_cifar_patch4_32": ViTConfig((32, 32), 4, num_classes=10, embed_dim=192, depth=6, num_heads=3),
    # 64 × 64 colour: Tiny ImageNet
    "vit_tinyimagenet_patch8_64": ViTConfig((64, 64), 8, num_classes=200, embed_dim=192, depth=9, num_heads=3),
}
