"""Chapter 8: the names of Swin and ConvNeXt in timm, torchvision, Hugging Face and the papers' own code.

Our names are timm's. Regular expressions replace the other names, which differ in words and in how they count stages.
So all of these layouts can be read, but only timm's can be written.
"""

import re

from vitlib.weights.layouts import Axes, Layout, Spelling

_HEAD = (r"^head\.(?=weight|bias)", "head.fc.")  # the name in older versions
_SWIN = {
    name: name
    for name in (
        "patch_embed.proj.*", "patch_embed.norm.*",
        "layers.#.downsample.norm.*", "layers.#.downsample.reduction.weight",
        *(f"layers.#.blocks.#.{part}" for part in (
            "norm1.*", "attn.qkv.*", "attn.relative_position_bias_table", "attn.proj.*", "norm2.*", "mlp.fc1.*",
            "mlp.fc2.*", "attn.relative_position_index", "attn_mask",
        )),
        "norm.*", "head.fc.*", "mask_token",
    )
}  # fmt: skip
_SWIN_IN_PARTS = _SWIN | {"layers.#.blocks.#.attn.qkv.*": "layers.#.blocks.#.attn.{q,k,v}.*"}
_CONVNEXT = {
    name: name
    for name in (
        "stem.#.*", "stages.#.downsample.#.*",
        *(f"stages.#.blocks.#.{part}" for part in ("conv_dw.*", "norm.*", "mlp.fc1.*", "mlp.fc2.*", "gamma")),
        "head.norm.*", "head.fc.*",
    )
}  # fmt: skip
_SWIN_IMPLIES = {"eps": 1e-5, "gelu": "erf", "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_CONVNEXT_IMPLIES = _SWIN_IMPLIES | {"eps": 1e-6, "head_eps": 1e-6}
_GAMMA: Axes = (r".*\.gamma", lambda x: x.flatten(), lambda x, heads: x[:, None, None])  # torchvision has [D, 1, 1]


def _later(found: re.Match[str]) -> str:
    """The name of a downsampling that a library counts with the stage before it, and we with the one after it."""
    return f"layers.{int(found[1]) + 1}.downsample."


def _in_turn(stages: str) -> tuple[Spelling, Spelling]:
    """torchvision numbers all parts: features.0 is the embedding, .1 a stage, .2 a downsampling, .3 a stage."""
    return (
        (r"^features\.(\d*[13579])\.", lambda found: f"{stages}.{int(found[1]) // 2}.blocks."),
        (r"^features\.(\d*[02468])\.", lambda found: f"{stages}.{int(found[1]) // 2}.downsample."),
    )


STAGED = (
    Layout("official", "Swin", _SWIN, _SWIN_IMPLIES | {"convention": "hf"}, sign=r"^layers\.0\.downsample\.", also=(
        (r"^layers\.(\d+)\.downsample\.", _later), _HEAD,
    )),  # timm's of 2022, too
    Layout("timm", "Swin", _SWIN, _SWIN_IMPLIES | {"convention": "timm"}, also=(_HEAD,)),
    Layout("torchvision", "Swin", _SWIN, _SWIN_IMPLIES | {"convention": "torchvision"}, also=(
        (r"^features\.0\.0\.", "patch_embed.proj."),
        (r"^features\.0\.2\.", "patch_embed.norm."),
        *_in_turn("layers"),
        (r"\.mlp\.0\.", ".mlp.fc1."),
        (r"\.mlp\.3\.", ".mlp.fc2."),
        _HEAD,
    )),
    Layout("hf", "Swin", _SWIN_IN_PARTS, _SWIN_IMPLIES | {"convention": "hf"}, also=(
        (r"^swin\.", ""),
        (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (r"^embeddings\.norm\.", "patch_embed.norm."),
        (r"^embeddings\.(?=mask_token)", ""),
        (r"^encoder\.", ""),
        (r"^layers\.(\d+)\.downsample\.", _later),
        (r"\.attention\.(self|relative_position_bias)\.(?=relative_position_)", ".attn."),
        (r"\.attention\.(?:self\.)?(q|k|v)(?:uery|ey|alue|_proj)\.", r".attn.\1."),
        (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
        (r"\.layernorm_before\.", ".norm1."),
        (r"\.layernorm_after\.", ".norm2."),
        (r"\.intermediate\.dense\.", ".mlp.fc1."),
        (r"\.output\.dense\.", ".mlp.fc2."),
        (r"^layernorm\.", "norm."),
        (r"^classifier\.", "head.fc."),
    )),
    Layout("timm", "ConvNeXt", _CONVNEXT, _CONVNEXT_IMPLIES, also=(_HEAD,)),
    Layout("torchvision", "ConvNeXt", _CONVNEXT, _CONVNEXT_IMPLIES, axes=(_GAMMA,), also=(
        (r"^features\.0\.", "stem."),
        *_in_turn("stages"),
        (r"\.layer_scale$", ".gamma"),
        (r"\.block\.0\.", ".conv_dw."),
        (r"\.block\.2\.", ".norm."),
        (r"\.block\.3\.", ".mlp.fc1."),
        (r"\.block\.5\.", ".mlp.fc2."),
        (r"^classifier\.0\.", "head.norm."),
        (r"^classifier\.2\.", "head.fc."),
    )),
    Layout("hf", "ConvNeXt", _CONVNEXT, _CONVNEXT_IMPLIES | {"head_eps": 1e-12}, also=(
        (r"^convnext\.", ""),
        (r"^embeddings\.patch_embeddings\.", "stem.0."),
        (r"^embeddings\.layernorm\.", "stem.1."),
        (r"^encoder\.", ""),
        (r"\.downsampling_layer\.", ".downsample."),
        (r"\.layers\.(\d+)\.", r".blocks.\1."),
        (r"\.layer_scale_parameter$", ".gamma"),
        (r"\.dwconv\.", ".conv_dw."),
        (r"(\.blocks\.\d+)\.layernorm\.", r"\1.norm."),
        (r"\.pwconv(\d)\.", r".mlp.fc\1."),
        (r"^layernorm\.", "head.norm."),
        (r"^classifier\.", "head.fc."),
    )),
    Layout("official", "ConvNeXt", _CONVNEXT, _CONVNEXT_IMPLIES, also=(
        (r"^downsample_layers\.0\.", "stem."),
        (r"^downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
        (r"^stages\.(\d+)\.(?=\d+\.\D)", r"stages.\1.blocks."),
        (r"\.dwconv\.", ".conv_dw."),
        (r"\.pwconv(\d)\.", r".mlp.fc\1."),
        (r"^norm\.", "head.norm."),
        _HEAD,
    )),
)  # fmt: skip
