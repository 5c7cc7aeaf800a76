"""Which model a checkpoint is of: its configuration, read from shapes and from what is known beside them."""

import warnings
from collections.abc import Mapping
from math import isqrt, nextafter
from typing import Any

from torch import Tensor

from vitlib.vit.attention import check_heads
from vitlib.vit.config import ViTConfig
from vitlib.vit.patches import PatchGrid
from vitlib.vit.presets import PRESETS
from vitlib.weights.files import CheckpointError
from vitlib.weights.layouts import LAYOUTS, Layout
from vitlib.weights.misfits import check_told, sides_of
from vitlib.weights.renaming import Form

# Published heads are 64 wide, but for those of these widths (Zhai et al., 2022, table 2; SigLIP's So400m)
HEADS = {1152: 16, 1280: 16, 1408: 16, 1664: 16, 1792: 16}


def recognise(
    ours: Mapping[str, Tensor], layout: Layout, told: Mapping[str, Any], like: ViTConfig | None = None
) -> tuple[ViTConfig, Form]:
    """The configuration of the model whose tensors these are, and which prefix tokens have a position row in them.

    What is told wins over what the layout implies, and must agree with what the shapes show. `like` is asked last.

    Errors: CheckpointError for what can be neither seen nor told, naming the argument that tells it.
    """
    try:
        return _recognise(ours, layout, told, like)
    except CheckpointError:
        raise
    except (TypeError, ValueError) as error:  # of ViTConfig and its parts
        raise CheckpointError(f"these tensors make no Vision Transformer: {error}") from None


def _recognise(
    ours: Mapping[str, Tensor], layout: Layout, told: Mapping[str, Any], like: ViTConfig | None
) -> tuple[ViTConfig, Form]:
    seen = _seen(ours)
    width, ratio = seen["embed_dim"], told.get("mlp_ratio", seen["mlp_ratio"])
    if int(width * ratio) == int(width * seen["mlp_ratio"]):  # 3.0 and 3.1 may make the same hidden width
        seen["mlp_ratio"] = ratio
    shown = ("patch_size", "in_chans", "num_classes", "embed_dim", "reg_tokens", "mlp_ratio")
    check_told({field: seen[field] for field in shown}, told, ViTConfig)
    implied = {**layout.implies, **(layout.with_registers if seen["reg_tokens"] else {})}
    if len(implied["mean"]) not in (1, seen["in_chans"]):
        del implied["mean"], implied["std"]  # the statistics of colours, and these pictures have none
    facts = {**seen, **implied, **told}
    if facts["depth"] > len(ours):
        raise CheckpointError(f"there are {len(ours)} tensors, and one of them is of block {facts['depth'] - 1}")
    if layout is LAYOUTS["timm"]:  # a plain state dict: the model that it is for says what no tensor shows
        facts |= {field: value for field, value in _unseen(ours, like).items() if field not in told}
    if facts["global_pool"] == "avg" and "fc_norm.weight" not in ours:
        facts["norm_before_pool"] = True
    if facts["num_classes"] != len(facts.get("class_names", ())):
        facts.pop("class_names", None)
    facts["num_heads"] = facts.get("num_heads") or (like.num_heads if like else _heads(facts))
    facts["image_size"], form = _grid(ours, facts, layout, like)
    if "prefix_positions" not in told and facts.get("positions", "learned") == "learned":
        cls_alone = form == "cls" and not facts["reg_tokens"]  # then CLS is all there is
        facts["prefix_positions"] = "all" if cls_alone or not (facts["class_token"] or facts["reg_tokens"]) else form
    check_heads(facts["embed_dim"], facts["num_heads"])
    return ViTConfig(**facts), form


def _seen(ours: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the shapes and the names show."""
    width, channels, *sides = sides_of(ours, "patch_embed.proj.weight", axes=4)
    hidden, _ = sides_of(ours, "blocks.0.mlp.fc1.weight", axes=2)
    ratio = hidden / width
    return {
        "patch_size": sides[0] if sides[0] == sides[1] else tuple(sides),
        "in_chans": channels,
        "num_classes": sides_of(ours, "head.weight", axes=2)[0] if "head.weight" in ours else 0,
        "embed_dim": width,
        "depth": 1 + max(int(name.split(".")[1]) for name in ours if name.startswith("blocks.")),
        "mlp_ratio": ratio if int(width * ratio) == hidden else nextafter(ratio, hidden),  # so that int() gives hidden
        "class_token": "cls_token" in ours,
        "reg_tokens": sides_of(ours, "reg_token", axes=3)[1] if "reg_token" in ours else 0,
        "layer_scale": 1.0 if "blocks.0.ls1.gamma" in ours else None,
        **_pooling(ours),
    }


def _pooling(ours: Mapping[str, Tensor]) -> dict[str, Any]:
    if "attn_pool.latent" in ours:
        return {"global_pool": "map"}
    if "fc_norm.weight" in ours:
        return {"global_pool": "avg"}
    if "cls_token" in ours:
        return {"global_pool": "token"}
    return {"global_pool": "avg", "norm_before_pool": True}


def _unseen(ours: Mapping[str, Tensor], like: ViTConfig | None) -> dict[str, Any]:
    """What `like` says of choices that these tensors leave open."""
    if like is None:
        return {}
    pools_first = like.global_pool == "avg" and not like.norm_before_pool
    fields = ["eps", "gelu"]
    if pools_first == ("fc_norm.weight" in ours) and (like.global_pool == "map") == ("attn_pool.latent" in ours):
        fields += ["global_pool", "norm_before_pool"]
    return {field: getattr(like, field) for field in fields}


def _heads(facts: Mapping[str, Any]) -> int:
    """By the presets, then by what is usual for the large ones, with a warning; nothing is usual for a small one."""
    width, depth = facts["embed_dim"], facts["depth"]
    known = [each.num_heads for each in PRESETS.values() if (each.embed_dim, each.depth) == (width, depth)]
    if not known and width in HEADS:
        known = [HEADS[width]]
    elif not known and width >= 192 and width % 64 == 0:
        known = [width // 64]
    if not known:
        raise CheckpointError(
            f"the number of heads cannot be seen in a model {width} wide, {depth} deep; give num_heads="
        )
    warnings.warn(
        f"nothing in the weights says how many heads attention has: {known[0]} are taken, as in published models "
        f"{width} wide. Give num_heads= to be sure",
        UserWarning,
        stacklevel=5,
    )
    return known[0]


def _grid(
    ours: Mapping[str, Tensor], facts: Mapping[str, Any], layout: Layout, like: ViTConfig | None
) -> tuple[tuple[int, int], Form]:
    """The size of the pictures, and which prefix tokens have a position: by counting rows, the grid being a square."""
    size, patch = facts.get("image_size"), facts["patch_size"]
    if facts.get("positions", "learned") != "learned":
        size = size or (like.image_size if like else None)
        if size is None:
            raise CheckpointError("without learned positions nothing shows the size of the pictures; give made_for=")
        return size, "none"
    if "pos_embed" not in ours:
        raise CheckpointError(
            "the positions are missing (we call them pos_embed); where the model computes them, say so: "
            "positions='sincos2d', 'sincos1d' or 'none', and made_for="
        )
    n = sides_of(ours, "pos_embed", axes=3)[1]
    if size is None and like and n == like.prefix_rows + like.grid.tokens:
        size = like.image_size
    counts: dict[Form, int] = {
        "all": facts["class_token"] + facts["reg_tokens"], "cls": int(facts["class_token"]), "none": 0
    }  # fmt: skip
    forms: tuple[Form, ...] = ("all", "none") if layout.prefix_positions == "any" else (layout.prefix_positions,)
    patches = {form: n - counts[form] for form in forms}
    if size is not None:
        grid = PatchGrid(size[0], size[1], patch)
        fitting = [form for form in forms if patches[form] == grid.tokens]
        expected = f"a picture of {size[0]}×{size[1]} pixels has {grid.tokens} patches"
    else:
        fitting = [form for form in forms if patches[form] > 0 and isqrt(patches[form]) ** 2 == patches[form]]
        expected = "give the size it was made for, made_for=(height, width) in pixels, where that is no square"
    if len({patches[form] for form in fitting}) != 1:
        if like and size is None:
            return _grid(ours, {**facts, "image_size": like.image_size}, layout, None)
        choices = " or ".join(
            f"{n - count} + {count}" for count in sorted({counts[form] for form in forms}, reverse=True)
        )
        raise CheckpointError(f"pos_embed has {choices} rows (patches + tokens before them): {expected}")
    side = isqrt(patches[fitting[0]])
    high, wide = patch if isinstance(patch, tuple) else (patch, patch)
    return size or (side * high, side * wide), fitting[0]
