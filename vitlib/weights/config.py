"""The configuration of a checkpoint's model, from the shapes of its tensors and from what is given."""

import warnings
from collections.abc import Mapping
from math import isqrt
from types import MappingProxyType
from typing import Any

from torch import Tensor

from vitlib.backbones.convnext import ConvNeXtConfig
from vitlib.backbones.hybrid import HybridConfig
from vitlib.backbones.swin import SwinConfig
from vitlib.vit.attention import check_heads
from vitlib.vit.config import ViTConfig
from vitlib.vit.patches import PatchGrid
from vitlib.vit.presets import PRESETS
from vitlib.weights.check import check_given, sides_of
from vitlib.weights.files import CheckpointError
from vitlib.weights.layouts import Form, Layout
from vitlib.weights.shapes import of_convnext, of_swin, of_vit

# Heads of published models are 64 wide, except for these embedding dimensions (Zhai et al., 2022, table 2; So400m)
HEADS = {1152: 16, 1280: 16, 1408: 16, 1664: 16, 1792: 16}
# fields that the shapes only suggest, since a tensor may be missing: a given value may differ
SUGGESTED = ("depth", "class_token", "layer_scale", "global_pool", "norm_before_pool")
# fields that no tensor shows: for a plain state dict they are taken from `like`
UNSEEN = ("eps", "head_eps", "gelu", "mean", "std", "resize", "convention")


def config_of(
    ours: Mapping[str, Tensor],
    layout: Layout,
    given: Mapping[str, Any],
    like: Any = None,
    heads: Mapping[str, int] = MappingProxyType({}),
) -> tuple[Any, Form]:
    """The configuration of the model with these tensors, and which prefix tokens have a position row in them.

    Given fields override those that the layout implies, and must agree with the shapes. `like` is used last. `heads` is
    {"num_heads": n} if the layout stores heads separately.

    Errors: CheckpointError for a field that is neither given nor visible in the shapes; the message names the argument.
    """
    kind, of = {
        "ViT": (ViTConfig, of_vit), "Swin": (SwinConfig, of_swin), "ConvNeXt": (ConvNeXtConfig, of_convnext)
    }[layout.family]  # fmt: skip
    seen = {**of(ours, given), **heads}
    kind = HybridConfig if "stem" in seen else kind
    check_given({field: value for field, value in seen.items() if field not in SUGGESTED}, given, kind)
    implied = {**layout.implies, **(layout.with_registers if seen.get("reg_tokens") else {})}
    if layout.library == "timm" and isinstance(like, kind):
        implied |= {field: getattr(like, field) for field in UNSEEN if hasattr(like, field)}
        seen |= _pooling(seen, ours, like)
    if len(implied["mean"]) not in (1, seen["in_chans"]):
        implied |= {"mean": (0.5,), "std": (0.5,)}  # the implied statistics are those of RGB pictures
    facts = {**seen, **implied, **given}
    if not facts["num_classes"]:
        facts.pop("class_names", None)  # config.json may list the classes of a head that was removed
    form: Form = "none"
    try:
        if layout.family == "ViT":
            facts, form = _vit(ours, facts, layout, like if isinstance(like, ViTConfig) else None)
        return kind(**facts), form
    except CheckpointError:
        raise
    except (TypeError, ValueError) as error:  # from the configuration class
        guess = layout.family != "ViT" and "image_size" not in given
        remedy = "; nothing in the weights shows it: give image_size=(height, width)" if guess else ""
        raise CheckpointError(f"these tensors make no {layout.family}: {error}{remedy}") from None


def _pooling(seen: Mapping[str, Any], ours: Mapping[str, Tensor], like: Any) -> dict[str, Any]:
    """The pooling fields of `like`, if they agree with these tensors."""
    if not isinstance(like, ViTConfig):
        return {}
    pools_first = like.global_pool == "avg" and not like.norm_before_pool
    if pools_first != ("fc_norm.weight" in ours) or (like.global_pool == "map") != (seen["global_pool"] == "map"):
        return {}
    return {"global_pool": like.global_pool, "norm_before_pool": like.norm_before_pool}


def _vit(
    ours: Mapping[str, Tensor], facts: dict[str, Any], layout: Layout, like: ViTConfig | None
) -> tuple[dict[str, Any], Form]:
    """The facts, completed with the number of heads, the picture size and the positions."""
    if facts["global_pool"] == "avg" and "fc_norm.weight" not in ours:
        facts["norm_before_pool"] = True
    facts["num_heads"] = facts.get("num_heads") or (like.num_heads if like else _heads(facts))
    check_heads(facts["embed_dim"], facts["num_heads"])
    facts["image_size"], form = _grid(ours, facts, layout, like)
    if facts.get("positions", "learned") == "learned":
        cls_alone = form == "cls" and not facts["reg_tokens"]  # "cls" and "all" are then the same
        alike = cls_alone or not (facts["class_token"] or facts["reg_tokens"])
        facts.setdefault("prefix_positions", "all" if alike else form)
    return facts, form


def _heads(facts: Mapping[str, Any]) -> int:
    """The number of heads in published models of this width, with a warning. Errors: CheckpointError if unknown."""
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
    """The picture size, and which prefix tokens have a position row: from the number of rows, for a square grid."""
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
    if like and like.prefix_positions not in forms and layout.prefix_positions == "any":
        forms = (*forms, like.prefix_positions)
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
