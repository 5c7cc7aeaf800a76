"""The configuration of a checkpoint's model, from the shapes of its tensors and from what is given."""

import warnings
from collections.abc import Mapping
from dataclasses import fields
from math import isqrt
from typing import Any

from torch import Tensor

from vitlib.backbones.convnext import ConvNeXtConfig
from vitlib.backbones.hybrid import HybridConfig
from vitlib.backbones.swin import SwinConfig
from vitlib.vit.config import ViTConfig
from vitlib.vit.fields import pair_of
from vitlib.vit.presets import PRESETS
from vitlib.weights.check import sides_of
from vitlib.weights.files import CheckpointError
from vitlib.weights.layouts import Layout
from vitlib.weights.renaming import fitting, row_counts
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
    heads: int | None = None,
) -> Any:
    """The configuration of the model with these tensors.

    Given fields override those that the layout implies, and must agree with the shapes. `like` is used last. `heads` is
    their number, if the layout stores heads separately.

    Errors: CheckpointError for a field that is neither given nor visible in the shapes; the message names the argument.
    """
    kind, of = {
        "ViT": (ViTConfig, of_vit), "Swin": (SwinConfig, of_swin), "ConvNeXt": (ConvNeXtConfig, of_convnext)
    }[layout.family]  # fmt: skip
    like = like if isinstance(like, kind) else None
    seen = of(ours, given) | ({"num_heads": heads} if heads else {})
    kind = HybridConfig if "stem" in seen else kind
    _check_given({field: value for field, value in seen.items() if field not in SUGGESTED}, given, kind)
    implied = {**layout.implies, **(layout.with_registers if seen.get("reg_tokens") else {})}
    if layout.library == "timm" and like:
        implied |= {field: getattr(like, field) for field in UNSEEN if hasattr(like, field)}
        seen |= _pooling(seen, ours, like) if layout.family == "ViT" else {}
    if len(implied["mean"]) not in (1, seen["in_chans"]):
        implied |= {"mean": (0.5,), "std": (0.5,)}  # the implied statistics are those of RGB pictures
    facts = {**seen, **implied, **given}
    if not facts["num_classes"]:
        facts.pop("class_names", None)  # config.json may list the classes of a head that was removed
    try:
        if layout.family == "ViT":
            facts = _vit(ours, facts, layout, like)
        return kind(**facts)
    except CheckpointError:
        raise
    except (TypeError, ValueError) as error:  # from the configuration class
        guess = layout.family != "ViT" and "image_size" not in given
        remedy = "; nothing in the weights shows it: give image_size=(height, width)" if guess else ""
        raise CheckpointError(f"these tensors make no {layout.family}: {error}{remedy}") from None


def _check_given(seen: Mapping[str, Any], given: Mapping[str, Any], kind: type) -> None:
    """Raise CheckpointError for a given field that `kind` does not have, or that contradicts the shapes (`seen`)."""
    name = kind.__name__.removesuffix("Config")
    if unknown := given.keys() - {field.name for field in fields(kind)}:
        fault = f"the tensors are of a {name}, which has no {', '.join(sorted(unknown))}"
        raise CheckpointError(f"{fault}; it has the fields of {kind.__name__}")
    for field, value in seen.items():
        if given.get(field, value) != value:
            raise CheckpointError(
                f"the tensors show {field}={value!r}, and an argument, a note or config.json says {given[field]!r}; is "
                "that about another checkpoint, or is a tensor missing?"
            )


def _pooling(seen: Mapping[str, Any], ours: Mapping[str, Tensor], like: ViTConfig) -> dict[str, Any]:
    """The pooling fields of `like`, if they agree with these tensors."""
    pools_first = like.global_pool == "avg" and not like.norm_before_pool
    if pools_first != ("fc_norm.weight" in ours) or (like.global_pool == "map") != (seen["global_pool"] == "map"):
        return {}
    return {"global_pool": like.global_pool, "norm_before_pool": like.norm_before_pool}


def _vit(ours: Mapping[str, Tensor], facts: dict[str, Any], layout: Layout, like: ViTConfig | None) -> dict[str, Any]:
    """The facts, completed with the number of heads, the picture size and the positions."""
    if facts["global_pool"] == "avg" and "fc_norm.weight" not in ours:
        facts["norm_before_pool"] = True
    facts["num_heads"] = facts.get("num_heads") or (like.num_heads if like else _heads(facts))
    if facts.get("positions", "learned") != "learned":
        facts["image_size"] = facts.get("image_size") or (like.image_size if like else None)
        if facts["image_size"] is None:
            raise CheckpointError("without learned positions nothing shows the size of the pictures; give made_for=")
        return facts
    facts["image_size"], rows = _grid(ours, facts, layout, like)
    cls, registers = int(facts["class_token"]), facts["reg_tokens"]
    form = {cls: "cls", 0: "none", cls + registers: "all"}[rows]  # of two with the same count, the later one
    return {"prefix_positions": form, **facts}


def _heads(facts: Mapping[str, Any]) -> int:
    """The number of heads in published models of this width, with a warning. Errors: CheckpointError if unknown."""
    width, depth = facts["embed_dim"], facts["depth"]
    ours = {(each.embed_dim, each.depth): each.num_heads for each in PRESETS.values()}
    heads = ours.get((width, depth)) or HEADS.get(width)
    if heads is None and width >= 192 and width % 64 == 0:
        heads = width // 64
    if heads is None:
        raise CheckpointError(
            f"the number of heads cannot be seen in a model {width} wide, {depth} deep; give num_heads="
        )
    warnings.warn(
        f"nothing in the weights says how many heads attention has: {heads} are taken, as in published models "
        f"{width} wide. Give num_heads= to be sure",
        UserWarning,
        stacklevel=5,
    )
    return heads


def _grid(
    ours: Mapping[str, Tensor], facts: Mapping[str, Any], layout: Layout, like: ViTConfig | None
) -> tuple[tuple[int, int], int]:
    """The picture size, and how many prefix tokens have a position row: from the number of rows.

    The size is the given one; else that of `like`, if it has as many rows; else that of a square grid, or of `like`.
    """
    if "pos_embed" not in ours:
        raise CheckpointError(
            "the positions are missing (we call them pos_embed); where the model computes them, say so: "
            "positions='sincos2d', 'sincos1d' or 'none', and made_for="
        )
    n, (high, wide) = sides_of(ours, "pos_embed", axes=3)[1], pair_of(facts["patch_size"])
    forms = layout.forms
    if like and len(forms) > 1:
        forms = (*forms, like.prefix_positions)
    counts = row_counts(forms, int(facts["class_token"]), facts["reg_tokens"])
    guesses: list[Any] = [None, like.image_size] if like else [None]
    if like and n == like.prefix_rows + like.grid.tokens:
        guesses = [like.image_size]
    if given := facts.get("image_size"):
        guesses = [given]
    for size in guesses:
        patches = size and (size[0] // high) * (size[1] // wide)
        if len(fits := fitting(counts, n, patches)) == 1:
            rows = fits.pop()
            side = isqrt(n - rows)
            return size or (side * high, side * wide), rows
    if size:
        expected = f"a picture of {size[0]}×{size[1]} pixels has {patches} patches"
    else:
        expected = "give the size it was made for, made_for=(height, width) in pixels, where that is no square"
    choices = " or ".join(f"{n - count} + {count}" for count in sorted(set(counts), reverse=True))
    raise CheckpointError(f"pos_embed has {choices} rows (patches + tokens before them): {expected}")
