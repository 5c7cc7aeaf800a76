"""Chapter 7: the names of one Vision Transformer in timm, torchvision, transformers, DINOv2 and Google's code.

Sources: their state dicts (DINOv2: Oquab et al., 2023; Darcet et al., 2024; Google: google-research/vision_transformer
and its successor big_vision).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from vitlib.weights.layouts import Axes, Layout

# Our names. Those of another library follow in the same order, and may be fewer: the last ones are then missing.
ENDS = ("cls_token", "pos_embed", "patch_embed.proj.*", "norm.*", "head.*")
BLOCK = ("norm1.*", "attn.qkv.*", "attn.proj.*", "norm2.*", "mlp.fc1.*", "mlp.fc2.*", "ls1.gamma", "ls2.gamma")
POOLING = ("latent", "q.*", "kv.*", "proj.*", "norm.*", "mlp.fc1.*", "mlp.fc2.*")  # MAP, big_vision's learned query


def _names(ends: Sequence[str], block: str, inside: Sequence[str], **others: str) -> dict[str, str]:
    """A table from our names to theirs; `others` are names without a dot, ours=theirs."""
    blocks = {f"blocks.#.{ours}": block + theirs for ours, theirs in zip(BLOCK, inside, strict=False)}
    return dict(zip(ENDS, ends, strict=False)) | blocks | others


def _pooling(*names: str) -> dict[str, str]:
    return {f"attn_pool.{ours}": theirs for ours, theirs in zip(POOLING, names, strict=True)}


_HF_ENDS = ("embeddings.cls_token", "embeddings.position_embeddings", "embeddings.patch_embeddings.projection.*")
_HF_VIT = (*(f"vit.{name}" for name in (*_HF_ENDS, "layernorm.*")), "classifier.*")
_POOLER = {"pooler.dense.*": "vit.pooler.dense.*"}
_QKV = "{query,key,value}"

_PLAIN = {"eps": 1e-6, "gelu": "erf"}
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # of the training pictures' pixels, 0…1
_HALVES = {"mean": (0.5,), "std": (0.5,)}  # pixels 0…1 become −1…1
_HF = {"eps": 1e-12, "gelu": "erf", **_HALVES, "resize": "hf"}
_HF_BARE = ((r"^(embeddings|encoder|layers|layernorm|pooler)\.", r"vit.\1."),)  # ViTModel, without a classifier

TIMM = Layout(
    "timm",
    "ViT",
    _names(ENDS, "blocks.#.", BLOCK, reg_token="reg_token")
    | {name: name for name in ("fc_norm.*", "patch_embed.backbone.#.conv.*", "patch_embed.backbone.#.bn.*")}
    | _pooling(*(f"attn_pool.{part}" for part in POOLING)),
    implies={**_PLAIN, **_HALVES, "resize": "timm"},
    forms=("all", "none"),
    settable=("eps", "gelu", "global_pool", "norm_before_pool", "positions"),
)
DINOV2 = Layout(
    "dinov2",
    "ViT",
    _names(ENDS[:-1], "blocks.#.", BLOCK, reg_token="register_tokens", mask_token="mask_token"),
    implies={**_PLAIN, **_IMAGENET, "resize": "dinov2"},
    with_registers={"resize": "timm"},
    also=((r"^blocks\.\d+\.(\d+)\.", r"blocks.\1."),),  # blocks in chunks: blocks.{chunk}.{block}
)
TORCHVISION = Layout(
    "torchvision",
    "ViT",
    _names(
        ("class_token", "encoder.pos_embedding", "conv_proj.*", "encoder.ln.*", "heads.head.*"),
        "encoder.layers.encoder_layer_#.",
        ("ln_1.*", "self_attention.in_proj_*", "self_attention.out_proj.*", "ln_2.*", "mlp.0.*", "mlp.3.*"),
    )
    | {
        "patch_embed.backbone.#.conv.*": "conv_proj.conv_bn_relu_#.0.*",
        "patch_embed.backbone.#.bn.*": "conv_proj.conv_bn_relu_#.1.*",
    },
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
    _names(
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
    names=_names(
        _HF_VIT,
        "vit.encoder.layer.#.",
        ("layernorm_before.*", f"attention.attention.{_QKV}.*", "attention.output.dense.*", "layernorm_after.*",
         "intermediate.dense.*", "output.dense.*"),
    ) | _POOLER,
)  # fmt: skip
HF_DINOV2 = Layout(
    "hf-dinov2",
    "ViT",
    _names(
        (*_HF_ENDS, "layernorm.*"),
        "encoder.layer.#.",
        ("norm1.*", f"attention.attention.{_QKV}.*", "attention.output.dense.*", "norm2.*", "mlp.fc1.*", "mlp.fc2.*",
         "layer_scale1.lambda1", "layer_scale2.lambda1"),
        reg_token="embeddings.register_tokens",
        mask_token="embeddings.mask_token",
    ),
    implies={**_PLAIN, **_IMAGENET, "resize": "hf"},
    with_registers={"resize": "timm"},
    also=(
        (r"^dinov2(_with_registers)?\.", ""),
        (r"attention\.q_proj\.", "attention.attention.query."),  # in memory
        (r"attention\.k_proj\.", "attention.attention.key."),
        (r"attention\.v_proj\.", "attention.attention.value."),
        (r"attention\.o_proj\.", "attention.output.dense."),
    ),
)  # fmt: skip

# Google's files are written by Flax, in which the input axes of a weight come first, the h heads of dimension d have an
# axis of their own, and the modules of a block are numbered in the order in which they are created.
_MHA = "MultiHeadDotProductAttention"
_MAP = f"MAPHead_0/{_MHA}_0"  # attention pooling
_IN_FLAX = {"eps": 1e-6, "gelu": "tanh", **_HALVES, "resize": "google"}  # what flax.linen.gelu computes by default
_ROOTS = ((r"^(opt/target/|params/img/|params/)", ""),)
_AXES: tuple[Axes, ...] = (
    (r"embedding/kernel", lambda x: x.permute(3, 2, 0, 1), lambda x, h: x.permute(2, 3, 1, 0)),  # h w C D
    (r".*/(query|key|value)/kernel", lambda x: x.flatten(1).mT, lambda x, h: x.mT.unflatten(1, (h, -1))),  # D h d
    (r".*/(query|key|value)/bias", lambda x: x.flatten(), lambda x, h: x.unflatten(0, (h, -1))),  # h d
    (r".*/out/kernel", lambda x: x.flatten(0, 1).mT, lambda x, h: x.mT.unflatten(0, (h, -1))),  # h d D
    (r".*/kernel", lambda x: x.permute(1, 0), lambda x, h: x.permute(1, 0)),
)


def leaves(names: Mapping[str, str]) -> dict[str, str]:
    """The table with `*` written out in Flax's words: a weight is the `scale` of a norm, the `kernel` of anything else.

    >>> leaves({"norm1.*": "LayerNorm_0"})
    {'norm1.weight': 'LayerNorm_0/scale', 'norm1.bias': 'LayerNorm_0/bias'}
    """
    table: dict[str, str] = {}
    for ours, theirs in names.items():
        if ours.endswith("*"):
            weight = "scale" if "norm" in ours else "kernel"
            table |= {ours[:-1] + "weight": f"{theirs}/{weight}", ours[:-1] + "bias": f"{theirs}/bias"}
        else:
            table[ours] = theirs
    return table


def _in_flax(positions: str, attention: str, norm2: str, mlp: str) -> dict[str, str]:
    return _names(
        ("cls", positions, "embedding", "Transformer/encoder_norm", "head"),
        "Transformer/encoderblock_#/",
        ("LayerNorm_0", attention + "/{query,key,value}", f"{attention}/out", norm2, *_dense(mlp)),
    )


def _dense(mlp: str) -> tuple[str, str]:
    return f"{mlp}/Dense_0", f"{mlp}/Dense_1"


def heads_of(state: Mapping[str, Tensor]) -> int | None:
    """The number of heads, from a bias in Flax's shape, [h, d] or [depth, h, d]; None without one."""
    biases = [each for name, each in state.items() if name.endswith("/query/bias") and each.ndim in (2, 3)]
    return biases[0].shape[-2] if biases else None


GOOGLE = Layout(
    "google",
    "ViT",
    leaves(_in_flax("Transformer/posembed_input/pos_embedding", f"{_MHA}_1", "LayerNorm_2", "MlpBlock_3")),
    implies=_IN_FLAX,
    also=(
        *_ROOTS,
        (f"/{_MHA}_0/", f"/{_MHA}_1/"),  # in files of its newer code
        ("/LayerNorm_1/", "/LayerNorm_2/"),
        ("/MlpBlock_0/", "/MlpBlock_3/"),
    ),
    axes=_AXES,
)
BIG_VISION = Layout(
    "big_vision",
    "ViT",
    leaves(
        _in_flax("pos_embedding", f"{_MHA}_0", "LayerNorm_1", "MlpBlock_0")
        | _pooling("MAPHead_0/probe", f"{_MAP}/query", _MAP + "/{key,value}", f"{_MAP}/out", "MAPHead_0/LayerNorm_0",
                   *_dense("MAPHead_0/MlpBlock_0"))
    ),
    implies=_IN_FLAX,
    forms=("none",),
    also=_ROOTS,
    axes=_AXES,
)  # fmt: skip
LAYOUTS = (TIMM, DINOV2, TORCHVISION, HF, HF_DISK, HF_DINOV2, GOOGLE, BIG_VISION)
