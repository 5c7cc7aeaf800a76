"""The other backbones by name: Swin, ConvNeXt and hybrids, as published, and small ones for pictures of 32 pixels."""

from typing import Any

from vitlib.backbones.convnext import ConvNeXt, ConvNeXtConfig
from vitlib.backbones.hybrid import Hybrid, HybridConfig
from vitlib.backbones.stages import StageConfig
from vitlib.backbones.swin import Swin, SwinConfig
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT

Config = ViTConfig | StageConfig
MODELS: dict[type[Config], Any] = {  # each configuration's model: (config, generator) → a module
    ViTConfig: ViT,
    HybridConfig: Hybrid,
    SwinConfig: Swin,
    ConvNeXtConfig: ConvNeXt,
}
HALF: dict[str, Any] = {"mean": (0.5,), "std": (0.5,)}  # pixels 0…1 become −1…1, as for the ViT
BACKBONES: dict[str, Config] = {
    # Liu et al., 2021, section 3.3
    "swin_tiny_patch4_window7_224": SwinConfig(),
    "swin_small_patch4_window7_224": SwinConfig(depths=(2, 2, 18, 2)),
    "swin_base_patch4_window7_224": SwinConfig(depths=(2, 2, 18, 2), embed_dim=128, num_heads=(4, 8, 16, 32)),
    # Liu et al., 2022, section 3
    "convnext_tiny": ConvNeXtConfig(),
    "convnext_small": ConvNeXtConfig(depths=(3, 3, 27, 3)),
    "convnext_base": ConvNeXtConfig(depths=(3, 3, 27, 3), dims=(128, 256, 512, 1024)),
    # Xiao et al., 2021, appendix: one block less than the ViT, and a stem instead
    "vitc_1gf_patch16_224": HybridConfig(embed_dim=192, depth=11, num_heads=3, mlp_ratio=3.0, stem=(24, 48, 96, 192)),
    "vitc_4gf_patch16_224": HybridConfig(embed_dim=384, depth=11, num_heads=6, mlp_ratio=3.0),
    # 32 × 32 colour: CIFAR-10; about as large as vit_cifar_patch4_32
    "swin_cifar_patch2_window4_32": SwinConfig(
        image_size=(32, 32),
        patch_size=2,
        num_classes=10,
        embed_dim=96,
        depths=(2, 4, 2),
        num_heads=(3, 6, 12),
        window_size=4,
        **HALF,
    ),
    "convnext_cifar_32": ConvNeXtConfig(
        image_size=(32, 32), patch_size=2, num_classes=10, dims=(64, 128, 256), depths=(2, 4, 2), kernel_size=5, **HALF
    ),
    "vitc_cifar_patch4_32": HybridConfig(
        image_size=(32, 32), patch_size=4, num_classes=10, embed_dim=192, depth=5, num_heads=3, stem=(48, 96)
    ),
}
