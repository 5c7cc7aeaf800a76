"""Swin, ConvNeXt and the hybrid from the libraries that have them, with random weights, each as images → logits."""

from collections.abc import Callable
from functools import partial

from torch import nn

from vitlib.backbones.convnext import ConvNeXtConfig
from vitlib.backbones.hybrid import HybridConfig
from vitlib.backbones.swin import SwinConfig


def timm_swin(c: SwinConfig) -> nn.Module:
    from timm.models.swin_transformer import SwinTransformer

    return SwinTransformer(
        img_size=c.image_size,
        patch_size=c.patch_size,
        num_classes=c.num_classes,
        embed_dim=c.embed_dim,
        depths=c.depths,
        num_heads=c.num_heads,
        window_size=c.window_size,
        drop_path_rate=c.drop_path_rate,
    )


def torchvision_swin(c: SwinConfig) -> nn.Module:
    from torchvision.models.swin_transformer import SwinTransformer

    patch, window = [c.patch_size] * 2, [c.window_size] * 2
    return SwinTransformer(
        patch,
        c.embed_dim,
        list(c.depths),
        list(c.num_heads),
        window,
        stochastic_depth_prob=c.drop_path_rate,
        num_classes=c.num_classes,
    )


def transformers_swin(c: SwinConfig) -> nn.Module:
    from transformers import SwinConfig as TheirConfig
    from transformers import SwinForImageClassification

    theirs = TheirConfig(
        image_size=c.image_size[0],
        patch_size=c.patch_size,
        embed_dim=c.embed_dim,
        depths=list(c.depths),
        num_heads=list(c.num_heads),
        window_size=c.window_size,
        drop_path_rate=c.drop_path_rate,
        num_labels=c.num_classes,
    )
    return SwinForImageClassification(theirs)


def timm_convnext(c: ConvNeXtConfig) -> nn.Module:
    from timm.models.convnext import ConvNeXt

    return ConvNeXt(num_classes=c.num_classes, depths=c.depths, dims=c.dims, kernel_sizes=c.kernel_size)


def torchvision_convnext(c: ConvNeXtConfig) -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    after = [*c.dims[1:], None]
    return ConvNeXt([CNBlockConfig(*each) for each in zip(c.dims, after, c.depths, strict=True)], c.drop_path_rate)


def transformers_convnext(c: ConvNeXtConfig) -> nn.Module:
    from transformers import ConvNextConfig, ConvNextForImageClassification

    theirs = ConvNextConfig(depths=list(c.depths), hidden_sizes=list(c.dims), num_labels=c.num_classes)
    return ConvNextForImageClassification(theirs)


def timm_hybrid(c: HybridConfig) -> nn.Module:
    """timm has the parts: layers of convolution, norm and ReLU, and an embedding behind any backbone."""
    from timm.layers import ConvNormAct, HybridEmbed
    from timm.models.vision_transformer import VisionTransformer

    sizes = zip((c.in_chans, *c.stem[:-1]), c.stem, strict=True)
    layers = nn.Sequential(*(ConvNormAct(before, after, 3, stride=2, padding=1) for before, after in sizes))
    return VisionTransformer(
        img_size=c.image_size,
        patch_size=1,
        num_classes=c.num_classes,
        embed_dim=c.embed_dim,
        depth=c.depth,
        num_heads=c.num_heads,
        mlp_ratio=c.mlp_ratio,
        embed_layer=partial(HybridEmbed, backbone=layers),
    )


def torchvision_hybrid(c: HybridConfig) -> nn.Module:
    from torchvision.models.vision_transformer import ConvStemConfig, VisionTransformer

    return VisionTransformer(
        image_size=c.image_size[0],
        patch_size=c.patch_size,
        num_layers=c.depth,
        num_heads=c.num_heads,
        hidden_dim=c.embed_dim,
        mlp_dim=int(c.embed_dim * c.mlp_ratio),
        num_classes=c.num_classes,
        conv_stem_configs=[ConvStemConfig(width, kernel_size=3, stride=2) for width in c.stem],
    )


BACKBONES: dict[type, dict[str, Callable[..., nn.Module]]] = {
    SwinConfig: {"timm": timm_swin, "torchvision": torchvision_swin, "transformers": transformers_swin},
    ConvNeXtConfig: {"timm": timm_convnext, "torchvision": torchvision_convnext, "transformers": transformers_convnext},
    HybridConfig: {"timm": timm_hybrid, "torchvision": torchvision_hybrid},
}
