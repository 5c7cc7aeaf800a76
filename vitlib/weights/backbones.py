"""Chapter 8: the weights of Swin and ConvNeXt, from timm, torchvision, Hugging Face and the papers' own code.

Our names are timm's. The other libraries' names differ in words and in how they count stages, so a table of patterns
says what each part of a name is called here; numbers are counted anew where a pattern asks for it.
"""

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from vitlib.backbones.swin import Swin
from vitlib.backbones.windows import WindowAttention
from vitlib.weights.files import CheckpointError, State

# pattern → ours, each in turn; ⟨n-1⟩ and the like stand for the number that `n` caught, counted anew
Names = tuple[tuple[str, str], ...]
TORCHVISION_SWIN: Names = (
    (r"^features\.0\.0\.", "patch_embed.proj."),
    (r"^features\.0\.2\.", "patch_embed.norm."),
    (r"^features\.(?P<n>\d*[13579])\.(\d+)\.", r"layers.⟨(n-1)/2⟩.blocks.\2."),
    (r"^features\.(?P<n>\d*[02468])\.", "layers.⟨n/2⟩.downsample."),
    (r"\.mlp\.0\.", ".mlp.fc1."),
    (r"\.mlp\.3\.", ".mlp.fc2."),
    (r"^head\.", "head.fc."),
)
TORCHVISION_CONVNEXT: Names = (
    (r"^features\.0\.", "stem."),
    (r"^features\.(?P<n>\d*[13579])\.(\d+)\.", r"stages.⟨(n-1)/2⟩.blocks.\2."),
    (r"^features\.(?P<n>\d*[02468])\.", "stages.⟨n/2⟩.downsample."),
    (r"\.layer_scale$", ".gamma"),
    (r"\.block\.0\.", ".conv_dw."),
    (r"\.block\.2\.", ".norm."),
    (r"\.block\.3\.", ".mlp.fc1."),
    (r"\.block\.5\.", ".mlp.fc2."),
    (r"^classifier\.0\.", "head.norm."),
    (r"^classifier\.2\.", "head.fc."),
)
HF_SWIN: Names = (
    (r"^swin\.", ""),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.norm\.", "patch_embed.norm."),
    (r"^encoder\.", ""),
    (r"^layers\.(?P<n>\d+)\.downsample\.", "layers.⟨n+1⟩.downsample."),
    (r"\.attention\.(self|relative_position_bias)\.(?=relative_position_bias_table$)", ".attn."),
    (r"\.attention\.(self\.query|q_proj)\.", ".attn.q."),
    (r"\.attention\.(self\.key|k_proj)\.", ".attn.k."),
    (r"\.attention\.(self\.value|v_proj)\.", ".attn.v."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"^layernorm\.", "norm."),
    (r"^classifier\.", "head.fc."),
)
HF_CONVNEXT: Names = (
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
)
OFFICIAL_SWIN: Names = (
    (r"^layers\.(?P<n>\d+)\.downsample\.", "layers.⟨n+1⟩.downsample."),
    (r"^head\.(?=weight|bias)", "head.fc."),
)
OFFICIAL_CONVNEXT: Names = (
    (r"^downsample_layers\.0\.", "stem."),
    (r"^downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
    (r"^stages\.(\d+)\.(?=\d+\.\D)", r"stages.\1.blocks."),
    (r"\.dwconv\.", ".conv_dw."),
    (r"\.pwconv(\d)\.", r".mlp.fc\1."),
    (r"^norm\.", "head.norm."),
    (r"^head\.(?=weight|bias)", "head.fc."),
)
# whose names they are, a name that no other layout has, and how to read them
LAYOUTS: tuple[tuple[str, str, Names], ...] = (
    ("torchvision", r"^features\.1\.0\.attn\.", TORCHVISION_SWIN),
    ("torchvision", r"^features\.1\.0\.block\.", TORCHVISION_CONVNEXT),
    ("hf", r"^(swin\.)?(encoder\.)?layers\.0\.blocks\.0\.layernorm_before\.", HF_SWIN),
    ("hf", r"^(convnext\.)?(encoder\.)?stages\.0\.layers\.0\.", HF_CONVNEXT),
    ("hf", r"^swin\.", HF_SWIN),
    ("hf", r"^convnext\.", HF_CONVNEXT),
    ("official", r"^layers\.0\.downsample\.", OFFICIAL_SWIN),  # timm's of 2022, too
    ("official", r"^downsample_layers\.", OFFICIAL_CONVNEXT),
    ("timm", r"^(layers|stages)\.0\.blocks\.", ((r"^head\.(?=weight|bias)", "head.fc."),)),  # or ours
)


def staged_layout(state: Mapping[str, Tensor]) -> str | None:
    """Whose names these are, if they are of a Swin or a ConvNeXt."""
    return next((layout for layout, telltale, _ in LAYOUTS if any(re.search(telltale, name) for name in state)), None)


def to_timm(state: Mapping[str, Tensor]) -> State:
    """A state dict of Swin or ConvNeXt by timm's names, which are ours.

    >>> list(to_timm({"features.2.norm.bias": torch.zeros(8), "features.1.0.attn.proj.bias": torch.zeros(2)}))
    ['layers.1.downsample.norm.bias', 'layers.0.blocks.0.attn.proj.bias']

    Errors: CheckpointError where no name is known, and for their second versions.
    """
    names = [names for _, telltale, names in LAYOUTS if any(re.search(telltale, name) for name in state)]
    if not names:
        raise CheckpointError(
            f"{len(state)} tensors, beginning with {', '.join(list(state)[:3])}: neither Swin nor ConvNeXt as timm, "
            "torchvision or transformers call their parts; a Vision Transformer loads with vitlib.weights.load"
        )
    if second := [name for name in state if re.search(r"logit_scale|cpb_mlp|continuous_position_bias|\.grn\.", name)]:
        raise CheckpointError(f"{second[0]} is of the second version, Swin V2 or ConvNeXt V2: expected the first")
    ours = {_renamed(name, names[0]): each for name, each in state.items() if not _computed(name)}
    for name in [name for name in ours if ".attn.q." in name]:  # transformers keeps the three apart
        parts = [name.replace(".attn.q.", f".attn.{part}.") for part in "qkv"]
        if missing := [part for part in parts if part not in ours]:
            raise CheckpointError(f"{name} is there, and {', '.join(missing)} is missing; fetch the whole checkpoint")
        ours[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat([ours.pop(part) for part in parts])
    return {name: each.flatten() if name.endswith(".gamma") else each for name, each in ours.items()}


def whole_tables(ours: Mapping[str, Tensor], model: Swin) -> State:
    """The tables of a Swin for whole windows: timm's are smaller where a grid is smaller than a window.

    What they lack are distances that no pair of tokens there has: zeros.
    """
    whole = dict(ours)
    for name, attention in model.named_modules():
        key = f"{name}.relative_position_bias_table"
        if isinstance(attention, WindowAttention) and key in ours and ours[key].ndim == 2:
            (high, wide), side, table = attention.windows.sides, 2 * attention.table - 1, ours[key]
            if len(table) == (2 * high - 1) * (2 * wide - 1) != side**2:
                down, right = attention.table - high, attention.table - wide
                table = table.T.unflatten(1, (2 * high - 1, 2 * wide - 1))
                whole[key] = F.pad(table, (right, right, down, down)).flatten(1).T.contiguous()
    return whole


def _computed(name: str) -> bool:
    """What follows from the configuration: older checkpoints store it, newer ones and we do not."""
    return name.endswith(("relative_position_index", "attn_mask", "mask_token"))


def _renamed(name: str, names: Names) -> str:
    for pattern, instead in names:
        if found := re.search(pattern, name):
            n = int(found["n"]) if "n" in found.re.groupindex else 0
            counted = {"⟨n+1⟩": n + 1, "⟨n/2⟩": n // 2, "⟨(n-1)/2⟩": (n - 1) // 2}
            for how, number in counted.items():
                instead = instead.replace(how, str(number))
            name = name[: found.start()] + found.expand(instead) + name[found.end() :]
    return name
