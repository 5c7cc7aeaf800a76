"""Convert state dicts from one layout to another, by the layouts' tables of names."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vitlib.weights.check import grouped, looks_like, shape_of
from vitlib.weights.files import CheckpointError, State
from vitlib.weights.layouts import Form, Layout
from vitlib.weights.prefix_rows import form_of, move_rows, stored_form
from vitlib.weights.recognise import layout_named, recognise, spelled
from vitlib.weights.sources import without

# tensors that follow from the configuration, or that a classifier does not use: they may be left out
UNREAD = ("mask_token", "pooler.dense.weight", "pooler.dense.bias", "relative_position_index", "attn_mask")


def convert(
    state: Mapping[str, Tensor],
    to: str,
    from_: str | None = None,
    *,
    num_heads: int | None = None,
    form: Form | None = None,
    drop: str | Sequence[str] = (),
) -> State:
    """The same weights in another layout. Converting back gives the same numbers.

    - `from_`: the layout of `state`; None detects it.
    - `num_heads`: needed for Google's layouts.
    - `form`: which prefix tokens have a position row ("all", "cls" or "none"), for timm's layout, if the number of rows
      does not show it. If the layouts differ in this, tokens get rows of zeros, or rows are added to their tokens: the
      model computes the same.
    - `drop`: shell patterns of names to leave out.

    A Swin or ConvNeXt can only be converted to timm's layout.

    >>> convert({"blocks.0.norm1.bias": torch.zeros(2)}, "torchvision")
    {'encoder.layers.encoder_layer_0.ln_1.bias': tensor([0., 0.])}

    Errors: CheckpointError for a name that one of the layouts does not know, and for a shape that does not fit. The
    mask token and the pooler, which a classifier does not use, are left out if `to` does not know them.
    """
    state = without(state, drop)
    layout = layout_named(from_) if from_ else recognise(state)
    target = layout_named(to, layout.family)
    ours, left = to_ours(state, layout)
    if left:
        raise CheckpointError(f"unknown names: {', '.join(grouped(left))}{looks_like(left)}; name them in drop=")
    return to_theirs(ours, target, form_of(ours, layout, target, form), num_heads)


def to_ours(state: Mapping[str, Tensor], layout: Layout) -> tuple[State, State]:
    """The tensors that the layout knows, under our names; and those that it does not know."""
    left, found = spelled(state, layout), dict[str, dict[int, str]]()
    for name in left:
        if known := layout.ours(name):
            found.setdefault(known[0], {})[known[1]] = name
    ours: State = {}
    for name in found:
        theirs = layout.theirs(name)
        if len(found[name]) < len(theirs):
            continue
        parts = {each: left.pop(each) for each in theirs}
        shapes = ", ".join(f"{each} is {shape_of(part)}" for each, part in parts.items())
        if len({part.dtype for part in parts.values()}) > 1:  # torch.cat would convert them silently
            dtypes = ", ".join(f"{each} holds {part.dtype}" for each, part in parts.items())
            raise CheckpointError(f"{dtypes}: expected one dtype; convert them first")
        try:
            if not all(part.numel() for part in parts.values()):
                raise IndexError("no number")
            back = [layout.back(each, part) for each, part in parts.items()]
            ours[name] = torch.cat(back) if len(back) > 1 else back[0]
        except (RuntimeError, IndexError):
            raise CheckpointError(f"wrong shape: {shapes}; expected what makes our {name}") from None
    return ours, left


def to_theirs(ours: Mapping[str, Tensor], layout: Layout, form: Form, heads: int | None = None) -> State:
    """Our tensors under the names of a layout. `form`: which prefix tokens have a position row in `ours`."""
    if layout.forth and heads is None:
        raise CheckpointError(
            f"{layout.library} keeps the heads apart, and a state dict does not tell how many: give num_heads="
        )
    theirs: State = {}
    homeless = []
    for name, tensor in move_rows(ours, form, stored_form(form, layout)).items():
        names = layout.theirs(name)
        if not names and not name.endswith(UNREAD):
            homeless.append(name)
        if not names:
            continue
        try:
            parts = tensor.unflatten(0, (len(names), -1)) if len(names) > 1 else [tensor]
            for each, part in zip(names, parts, strict=True):
                theirs[each] = layout.forth(each, part, heads or 1) if layout.forth else part
        except (RuntimeError, IndexError):
            raise CheckpointError(
                f"{name} is {shape_of(tensor)}: expected rows for {len(names)} × {heads or 1} heads"
            ) from None
    if homeless:
        raise CheckpointError(
            f"{layout.library} has no place for {', '.join(grouped(homeless))}; take another layout, or leave them out"
        )
    return theirs
