"""Chapter 7: Google's files, written by Flax: google-research/vision_transformer, and its successor big_vision.

In Flax the input axes of a weight come first, and the h heads of dimension d have an axis of their own.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from vitlib.weights.layouts import Layout
from vitlib.weights.vit_names import HALVES, name_table, pooling

_BY_HEADS = re.compile(r".*/(query|key|value)/(kernel|bias)")


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


def from_flax(name: str, theirs: Tensor) -> Tensor:
    """A tensor of Flax in torch's shape: the output axis first, the heads concatenated."""
    if name == "embedding/kernel":
        return theirs.permute(3, 2, 0, 1)  # h w C D
    if by_heads := _BY_HEADS.fullmatch(name):
        return theirs.flatten(1).mT if by_heads[2] == "kernel" else theirs.flatten()  # D h d, or h d
    if name.endswith("/out/kernel"):
        return theirs.flatten(0, 1).mT  # h d D
    return theirs.permute(1, 0) if name.endswith("/kernel") else theirs


def to_flax(name: str, ours: Tensor, heads: int) -> Tensor:
    """The inverse of from_flax."""
    if name == "embedding/kernel":
        return ours.permute(2, 3, 1, 0)
    if by_heads := _BY_HEADS.fullmatch(name):
        return ours.mT.unflatten(1, (heads, -1)) if by_heads[2] == "kernel" else ours.unflatten(0, (heads, -1))
    if name.endswith("/out/kernel"):
        return ours.mT.unflatten(0, (heads, -1))
    return ours.mT if name.endswith("/kernel") else ours


def heads_of(state: Mapping[str, Tensor]) -> dict[str, int]:
    """{"num_heads": h} from tensors in Flax's shapes; {} from any others."""
    biases = [each for name, each in state.items() if name.endswith("/query/bias") and each.ndim == 2]
    return {"num_heads": len(biases[0])} if biases else {}


def _names(positions: str, attention: str, norm2: str, mlp: str) -> dict[str, str]:
    """The table of a ViT in Flax, which numbers the modules of a block in the order in which they are created."""
    ends = ("cls", positions, "embedding", "Transformer/encoder_norm", "head")
    inside = ("LayerNorm_0", attention + "/{query,key,value}", f"{attention}/out", norm2, *_dense(mlp))
    return name_table(ends, "Transformer/encoderblock_#/", inside)


def _dense(mlp: str) -> tuple[str, str]:
    return f"{mlp}/Dense_0", f"{mlp}/Dense_1"


_MHA = "MultiHeadDotProductAttention"
_MAP = f"MAPHead_0/{_MHA}_0"  # attention pooling
_IMPLIES = {"eps": 1e-6, "gelu": "tanh", **HALVES, "resize": "google"}  # what flax.linen.gelu computes by default
_ROOTS = ((r"^(opt/target/|params/img/|params/)", ""),)

GOOGLE = Layout(
    "google",
    "ViT",
    leaves(_names("Transformer/posembed_input/pos_embedding", f"{_MHA}_1", "LayerNorm_2", "MlpBlock_3")),
    implies=_IMPLIES,
    also=(
        *_ROOTS,
        (f"/{_MHA}_0/", f"/{_MHA}_1/"),  # in files of its newer code
        ("/LayerNorm_1/", "/LayerNorm_2/"),
        ("/MlpBlock_0/", "/MlpBlock_3/"),
    ),
    back=from_flax,
    forth=to_flax,
)
BIG_VISION = Layout(
    "big_vision",
    "ViT",
    leaves(
        _names("pos_embedding", f"{_MHA}_0", "LayerNorm_1", "MlpBlock_0")
        | pooling("MAPHead_0/probe", f"{_MAP}/query", _MAP + "/{key,value}", f"{_MAP}/out", "MAPHead_0/LayerNorm_0",
                  *_dense("MAPHead_0/MlpBlock_0"))
    ),
    implies=_IMPLIES,
    prefix_positions="none",
    also=_ROOTS,
    back=from_flax,
    forth=to_flax,
)  # fmt: skip
