"""Chapter 7: the table of checkpoint layouts. One Vision Transformer travels under eight sets of names.

A layout is a column of the table; a row says what one tensor of ours (our names are timm's) is called there.
`#` stands for the number of a block and `*` for weight or bias. Where one tensor of ours is several of theirs
(query, key and value apart), ours is theirs one under the other, along the first axis. Nothing here computes:
`vitlib.weights` reads the table in both directions.

Sources: the state dicts of timm, torchvision, transformers and DINOv2 (Oquab et al., 2023; Darcet et al.,
2024), and the parameter trees of google-research/vision_transformer and big_vision.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor


@dataclass(frozen=True)
class Pair:
    """Two inverse maps of one tensor. `heads`, the number of heads, matters to Flax alone."""

    forth: Callable[[Tensor, int], Tensor]  # ours to theirs
    back: Callable[[Tensor], Tensor]  # theirs to ours


# Flax keeps the input axes in front, and the heads (h of them, each d wide) as an axis of their own.
SAME = Pair(lambda ours, heads: ours, lambda theirs: theirs)
LINEAR = Pair(lambda ours, heads: ours.mT, lambda theirs: theirs.mT)  # [out, in] ↔ [in, out]
CONV = Pair(lambda ours, heads: ours.permute(2, 3, 1, 0), lambda theirs: theirs.permute(3, 2, 0, 1))
HEADS = Pair(lambda ours, heads: ours.mT.unflatten(1, (heads, -1)), lambda theirs: theirs.flatten(1).mT)
HEADS_BIAS = Pair(lambda ours, heads: ours.unflatten(0, (heads, -1)), lambda theirs: theirs.flatten())
HEADS_OUT = Pair(lambda ours, heads: ours.mT.unflatten(0, (heads, -1)), lambda theirs: theirs.flatten(0, 1).mT)
BY_HEADS = (HEADS, HEADS_BIAS, HEADS_OUT)  # the three that need the number of heads


@dataclass(frozen=True)
class Row:
    """One cell of the table: our name, theirs (several where ours is cut up), and what each part goes through."""

    ours: str
    theirs: tuple[str, ...]
    each: Pair


@dataclass(frozen=True)
class Layout:
    """One column of the table."""

    rows: tuple[Row, ...]
    implies: Mapping[str, Any]  # what the layout's own library computes with: fields of ViTConfig
    with_registers: Mapping[str, Any] = field(default_factory=dict)  # what it computes with otherwise, if it has any
    prefix_positions: Literal["cls", "none", "any"] = "cls"  # which tokens before the patches have a position
    settable: tuple[str, ...] = ()  # fields that its library's users can set
    zeros: tuple[str, ...] = ()  # what its library wants besides, and a classifier has not: written as zeros, [1, D]
    also: tuple[tuple[str, str], ...] = ()  # names that are read, never written: (regular expression, instead)


def row(ours: str, *theirs: str, each: Pair = SAME) -> Row:
    return Row(ours, theirs or (ours,), each)


def _hf_vit(block: str, attention: tuple[str, str, str], out: str, fc1: str, fc2: str) -> tuple[Row, ...]:
    return (
        row("cls_token", "vit.embeddings.cls_token"),
        row("pos_embed", "vit.embeddings.position_embeddings"),
        row("patch_embed.proj.*", "vit.embeddings.patch_embeddings.projection.*"),
        row("blocks.#.norm1.*", f"{block}.layernorm_before.*"),
        row("blocks.#.attn.qkv.*", *(f"{block}.attention.{part}.*" for part in attention)),
        row("blocks.#.attn.proj.*", f"{block}.{out}.*"),
        row("blocks.#.norm2.*", f"{block}.layernorm_after.*"),
        row("blocks.#.mlp.fc1.*", f"{block}.{fc1}.*"),
        row("blocks.#.mlp.fc2.*", f"{block}.{fc2}.*"),
        row("norm.*", "vit.layernorm.*"),
        row("head.*", "classifier.*"),
        row("pooler.dense.*", "vit.pooler.dense.*"),
    )


_MHA = "MultiHeadDotProductAttention"


def _flax(positions: str, attention: str, norm2: str, mlp: str) -> tuple[Row, ...]:
    """Flax numbers the modules of a block in the order in which its author's code makes them."""
    block = "Transformer/encoderblock_#"
    qkv = [f"{block}/{attention}/{part}" for part in ("query", "key", "value")]
    return (
        row("cls_token", "cls"),
        row("pos_embed", positions),
        row("patch_embed.proj.weight", "embedding/kernel", each=CONV),
        row("patch_embed.proj.bias", "embedding/bias"),
        row("blocks.#.norm1.weight", f"{block}/LayerNorm_0/scale"),
        row("blocks.#.norm1.bias", f"{block}/LayerNorm_0/bias"),
        row("blocks.#.attn.qkv.weight", *(f"{part}/kernel" for part in qkv), each=HEADS),
        row("blocks.#.attn.qkv.bias", *(f"{part}/bias" for part in qkv), each=HEADS_BIAS),
        row("blocks.#.attn.proj.weight", f"{block}/{attention}/out/kernel", each=HEADS_OUT),
        row("blocks.#.attn.proj.bias", f"{block}/{attention}/out/bias"),
        row("blocks.#.norm2.weight", f"{block}/{norm2}/scale"),
        row("blocks.#.norm2.bias", f"{block}/{norm2}/bias"),
        row("blocks.#.mlp.fc1.weight", f"{block}/{mlp}/Dense_0/kernel", each=LINEAR),
        row("blocks.#.mlp.fc1.bias", f"{block}/{mlp}/Dense_0/bias"),
        row("blocks.#.mlp.fc2.weight", f"{block}/{mlp}/Dense_1/kernel", each=LINEAR),
        row("blocks.#.mlp.fc2.bias", f"{block}/{mlp}/Dense_1/bias"),
        row("norm.weight", "Transformer/encoder_norm/scale"),
        row("norm.bias", "Transformer/encoder_norm/bias"),
        row("head.weight", "head/kernel", each=LINEAR),
        row("head.bias", "head/bias"),
    )


def _flax_attention_pooling() -> tuple[Row, ...]:
    attention, mlp = f"MAPHead_0/{_MHA}_0", "MAPHead_0/MlpBlock_0"
    return (
        row("attn_pool.latent", "MAPHead_0/probe"),
        row("attn_pool.q.weight", f"{attention}/query/kernel", each=HEADS),
        row("attn_pool.q.bias", f"{attention}/query/bias", each=HEADS_BIAS),
        row("attn_pool.kv.weight", f"{attention}/key/kernel", f"{attention}/value/kernel", each=HEADS),
        row("attn_pool.kv.bias", f"{attention}/key/bias", f"{attention}/value/bias", each=HEADS_BIAS),
        row("attn_pool.proj.weight", f"{attention}/out/kernel", each=HEADS_OUT),
        row("attn_pool.proj.bias", f"{attention}/out/bias"),
        row("attn_pool.norm.weight", "MAPHead_0/LayerNorm_0/scale"),
        row("attn_pool.norm.bias", "MAPHead_0/LayerNorm_0/bias"),
        row("attn_pool.mlp.fc1.weight", f"{mlp}/Dense_0/kernel", each=LINEAR),
        row("attn_pool.mlp.fc1.bias", f"{mlp}/Dense_0/bias"),
        row("attn_pool.mlp.fc2.weight", f"{mlp}/Dense_1/kernel", each=LINEAR),
        row("attn_pool.mlp.fc2.bias", f"{mlp}/Dense_1/bias"),
    )


_ENDS = ("cls_token", "pos_embed", "patch_embed.proj.*", "norm.*")  # as timm and DINOv2 both call them
_BLOCK = ("norm1.*", "attn.qkv.*", "attn.proj.*", "ls1.gamma", "norm2.*", "mlp.fc1.*", "mlp.fc2.*", "ls2.gamma")
_ENCODER = (*map(row, _ENDS), *(row(f"blocks.#.{part}") for part in _BLOCK))
_ATTENTION_POOLING = ("latent", "q.*", "kv.*", "proj.*", "norm.*", "mlp.fc1.*", "mlp.fc2.*")
_QKV = ("query", "key", "value")
_PLAIN = {"eps": 1e-6, "gelu": "erf"}
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # of the training pictures' pixels, 0…1
_HALVES = {"mean": (0.5,), "std": (0.5,)}  # pixels 0…1 become −1…1
_HF = {"eps": 1e-12, "gelu": "erf", **_HALVES, "resize": "hf"}
_HF_BARE = ((r"^(embeddings|encoder|layers|layernorm|pooler)\.", r"vit.\1."),)  # ViTModel, without a classifier
_FLAX = {"eps": 1e-6, "gelu": "tanh", **_HALVES, "resize": "google"}  # what flax.linen.gelu computes by default
_FLAX_ROOTS = ((r"^(opt/target/|params/img/|params/)", ""),)

LAYOUTS = {
    "timm": Layout(
        rows=(
            *_ENCODER,
            row("reg_token"),
            row("fc_norm.*"),
            row("head.*"),
            *(row(f"attn_pool.{part}") for part in _ATTENTION_POOLING),
        ),
        implies={**_PLAIN, **_HALVES, "resize": "timm"},
        prefix_positions="any",
        settable=("eps", "gelu", "global_pool", "norm_before_pool", "positions"),
    ),
    "dinov2": Layout(
        rows=(*_ENCODER, row("reg_token", "register_tokens"), row("mask_token")),
        implies={**_PLAIN, **_IMAGENET, "resize": "dinov2"},
        with_registers={"resize": "timm"},
        zeros=("mask_token",),
        also=((r"^blocks\.\d+\.(\d+)\.", r"blocks.\1."),),  # blocks in chunks: blocks.{chunk}.{block}
    ),
    "torchvision": Layout(
        rows=(
            row("cls_token", "class_token"),
            row("pos_embed", "encoder.pos_embedding"),
            row("patch_embed.proj.*", "conv_proj.*"),
            row("blocks.#.norm1.*", "encoder.layers.encoder_layer_#.ln_1.*"),
            row("blocks.#.attn.qkv.*", "encoder.layers.encoder_layer_#.self_attention.in_proj_*"),
            row("blocks.#.attn.proj.*", "encoder.layers.encoder_layer_#.self_attention.out_proj.*"),
            row("blocks.#.norm2.*", "encoder.layers.encoder_layer_#.ln_2.*"),
            row("blocks.#.mlp.fc1.*", "encoder.layers.encoder_layer_#.mlp.0.*"),
            row("blocks.#.mlp.fc2.*", "encoder.layers.encoder_layer_#.mlp.3.*"),
            row("norm.*", "encoder.ln.*"),
            row("head.*", "heads.head.*"),
        ),
        implies={**_PLAIN, **_IMAGENET, "resize": "torchvision"},
        settable=("eps",),
        also=((r"mlp\.linear_1\.", "mlp.0."), (r"mlp\.linear_2\.", "mlp.3.")),  # before torchvision 0.14
    ),
    # transformers 5 has one set of names in memory, and writes another, older one to disk
    "hf": Layout(
        rows=_hf_vit("vit.layers.#", ("q_proj", "k_proj", "v_proj"), "attention.o_proj", "mlp.fc1", "mlp.fc2"),
        implies=_HF,
        settable=("eps", "gelu"),
        also=_HF_BARE,
    ),
    "hf-disk": Layout(
        rows=_hf_vit(
            "vit.encoder.layer.#",
            ("attention.query", "attention.key", "attention.value"),
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        ),
        implies=_HF,
        settable=("eps", "gelu"),
        also=_HF_BARE,
    ),
    "hf-dinov2": Layout(
        rows=(
            row("cls_token", "embeddings.cls_token"),
            row("reg_token", "embeddings.register_tokens"),
            row("mask_token", "embeddings.mask_token"),
            row("pos_embed", "embeddings.position_embeddings"),
            row("patch_embed.proj.*", "embeddings.patch_embeddings.projection.*"),
            row("blocks.#.norm1.*", "encoder.layer.#.norm1.*"),
            row("blocks.#.attn.qkv.*", *(f"encoder.layer.#.attention.attention.{part}.*" for part in _QKV)),
            row("blocks.#.attn.proj.*", "encoder.layer.#.attention.output.dense.*"),
            row("blocks.#.ls1.gamma", "encoder.layer.#.layer_scale1.lambda1"),
            row("blocks.#.norm2.*", "encoder.layer.#.norm2.*"),
            row("blocks.#.mlp.fc1.*", "encoder.layer.#.mlp.fc1.*"),
            row("blocks.#.mlp.fc2.*", "encoder.layer.#.mlp.fc2.*"),
            row("blocks.#.ls2.gamma", "encoder.layer.#.layer_scale2.lambda1"),
            row("norm.*", "layernorm.*"),
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
    ),
    # the files of google-research/vision_transformer, and those of its successor
    "google": Layout(
        rows=_flax("Transformer/posembed_input/pos_embedding", f"{_MHA}_1", "LayerNorm_2", "MlpBlock_3"),
        implies=_FLAX,
        also=(
            *_FLAX_ROOTS,
            (f"/{_MHA}_0/", f"/{_MHA}_1/"),  # as its code numbers them now
            ("/LayerNorm_1/", "/LayerNorm_2/"),
            ("/MlpBlock_0/", "/MlpBlock_3/"),
        ),
    ),
    "big_vision": Layout(
        rows=(
            *_flax("pos_embedding", f"{_MHA}_0", "LayerNorm_1", "MlpBlock_0"),
            *_flax_attention_pooling(),
        ),
        implies=_FLAX,
        prefix_positions="none",
        also=_FLAX_ROOTS,
    ),
}
