"""Chapter 7: the names of one Vision Transformer in timm, torchvision, Hugging Face's transformers and DINOv2.

Sources: their state dicts (DINOv2: Oquab et al., 2023; Darcet et al., 2024).
"""

from collections.abc import Sequence
from dataclasses import replace

from vitlib.weights.layouts import Layout

# Our names. Those of another library follow in the same order, and may be fewer: the last ones are then missing.
ENDS = ("cls_token", "pos_embed", "patch_embed.proj.*", "norm.*", "head.*")
BLOCK = ("norm1.*", "attn.qkv.*", "attn.proj.*", "norm2.*", "mlp.fc1.*", "mlp.fc2.*", "ls1.gamma", "ls2.gamma")
POOLING = ("latent", "q.*", "kv.*", "proj.*", "norm.*", "mlp.fc1.*", "mlp.fc2.*")  # MAP, big_vision's learned query
STEM = ("conv.weight", "bn.*", "bn.running_mean", "bn.running_var", "bn.num_batches_tracked")  # of a Hybrid's stem


def name_table(ends: Sequence[str], block: str, inside: Sequence[str], **others: str) -> dict[str, str]:
    """A table from our names to theirs; `others` are names without a dot, ours=theirs."""
    blocks = {f"blocks.#.{ours}": block + theirs for ours, theirs in zip(BLOCK, inside, strict=False)}
    return dict(zip(ENDS, ends, strict=False)) | blocks | others


def _stem(layer: str, conv: str, bn: str) -> dict[str, str]:
    return {f"patch_embed.backbone.#.{part}": layer + part.replace("conv.", conv).replace("bn.", bn) for part in STEM}


def pooling(*names: str) -> dict[str, str]:
    return {f"attn_pool.{ours}": theirs for ours, theirs in zip(POOLING, names, strict=True)}


_HF_ENDS = ("embeddings.cls_token", "embeddings.position_embeddings", "embeddings.patch_embeddings.projection.*")
_HF_VIT = (*(f"vit.{name}" for name in (*_HF_ENDS, "layernorm.*")), "classifier.*")
_POOLER = {"pooler.dense.*": "vit.pooler.dense.*"}
_QKV = "{query,key,value}"

_PLAIN = {"eps": 1e-6, "gelu": "erf"}
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # of the training pictures' pixels, 0…1
HALVES = {"mean": (0.5,), "std": (0.5,)}  # pixels 0…1 become −1…1
_HF = {"eps": 1e-12, "gelu": "erf", **HALVES, "resize": "hf"}
_HF_BARE = ((r"^(embeddings|encoder|layers|layernorm|pooler)\.", r"vit.\1."),)  # ViTModel, without a classifier

TIMM = Layout(
    "timm",
    "ViT",
    name_table(ENDS, "blocks.#.", BLOCK, reg_token="reg_token")
    | {"fc_norm.*": "fc_norm.*"}
    | pooling(*(f"attn_pool.{part}" for part in POOLING))
    | _stem("patch_embed.backbone.#.", "conv.", "bn."),
    implies={**_PLAIN, **HALVES, "resize": "timm"},
    prefix_positions="any",
    settable=("eps", "gelu", "global_pool", "norm_before_pool", "positions"),
)
DINOV2 = Layout(
    "dinov2",
    "ViT",
    name_table(ENDS[:-1], "blocks.#.", BLOCK, reg_token="register_tokens", mask_token="mask_token"),
    implies={**_PLAIN, **_IMAGENET, "resize": "dinov2"},
    with_registers={"resize": "timm"},
    zeros=("mask_token",),
    also=((r"^blocks\.\d+\.(\d+)\.", r"blocks.\1."),),  # blocks in chunks: blocks.{chunk}.{block}
)
TORCHVISION = Layout(
    "torchvision",
    "ViT",
    name_table(
        ("class_token", "encoder.pos_embedding", "conv_proj.*", "encoder.ln.*", "heads.head.*"),
        "encoder.layers.encoder_layer_#.",
        ("ln_1.*", "self_attention.in_proj_*", "self_attention.out_proj.*", "ln_2.*", "mlp.0.*", "mlp.3.*"),
    )
    | _stem("conv_proj.conv_bn_relu_#.", "0.", "1."),
    implies={**_PLAIN, **_IMAGENET, "resize": "torchvision"},
    settable=("eps",),
    also=(
        (r"mlp\.linear_1\.", "mlp.0."),  # before torchvision 0.14
        (r"mlp\.linear_2\.", "mlp.3."),
        (r"^conv_proj\.conv_last\.", "conv_proj."),  # of a hybrid
    ),
)
# transformers 5 has new names in memory (HF), and writes the old ones to disk (HF_DISK)
HF = Layout(
    "hf",
    "ViT",
    name_table(
        _HF_VIT,
        "vit.layers.#.",
        ("layernorm_before.*", "attention.{q_proj,k_proj,v_proj}.*", "attention.o_proj.*", "layernorm_after.*",
         "mlp.fc1.*", "mlp.fc2.*"),
    ) | _POOLER,
    implies=_HF,
    settable=("eps", "gelu"),
    also=_HF_BARE,
)  # fmt: skip
HF_DISK = replace(
    HF,
    library="hf-disk",
    names=name_table(
        _HF_VIT,
        "vit.encoder.layer.#.",
        ("layernorm_before.*", f"attention.attention.{_QKV}.*", "attention.output.dense.*", "layernorm_after.*",
         "intermediate.dense.*", "output.dense.*"),
    ) | _POOLER,
)  # fmt: skip
HF_DINOV2 = Layout(
    "hf-dinov2",
    "ViT",
    name_table(
        (*_HF_ENDS, "layernorm.*"),
        "encoder.layer.#.",
        ("norm1.*", f"attention.attention.{_QKV}.*", "attention.output.dense.*", "norm2.*", "mlp.fc1.*", "mlp.fc2.*",
         "layer_scale1.lambda1", "layer_scale2.lambda1"),
        reg_token="embeddings.register_tokens",
        mask_token="embeddings.mask_token",
    ),
    implies={**_PLAIN, **_IMAGENET, "resize": "hf"},
    with_registers={"resize": "timm"},
    zeros=("mask_token",),
    also=(
        (r"^dinov2(_with_registers)?\.", ""),
        (r"attention\.q_proj\.", "attention.attention.query."),  # in memory
        (r"attention\.k_proj\.", "attention.attention.key."),
        (r"attention\.v_proj\.", "attention.attention.value."),
        (r"attention\.o_proj\.", "attention.output.dense."),
    ),
)  # fmt: skip
