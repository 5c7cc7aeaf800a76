"""Position rows of the prefix tokens (CLS and registers), which some layouts have and others do not.

A layout without such a row has the sum of token and position in the token instead. The encoder's input is the same.
"""

from collections.abc import Mapping
from math import isqrt

import torch
from torch import Tensor

from vitlib.weights.check import shape_of
from vitlib.weights.files import CheckpointError, State
from vitlib.weights.layouts import Form, Layout


def move_rows(ours: Mapping[str, Tensor], have: Form, want: Form) -> State:
    """The tensors with position rows for the prefix tokens in `want`, from tensors with rows for those in `have`.

    A new row is zeros; a removed row is added to its token.
    """
    state = dict(ours)
    prefix = [name for name in ("cls_token", "reg_token") if name in ours]
    if "pos_embed" not in ours or not prefix:
        return state
    positions = ours["pos_embed"]  # 1 R D
    for name in prefix:
        if ours[name].ndim != 3 or positions.ndim != 3 or ours[name].shape[::2] != positions.shape[::2]:
            raise CheckpointError(f"wrong shape: {name} is {shape_of(ours[name])}, pos_embed {shape_of(positions)}")
    tokens = torch.cat([ours[name] for name in prefix], dim=1)  # 1 K D
    count = {"all": tokens.shape[1], "cls": int("cls_token" in ours), "none": 0}
    has, gets = count[have], count[want]
    zeros = positions.new_zeros(1, max(gets - has, 0), positions.shape[2])
    state["pos_embed"] = torch.cat([positions[:, : min(has, gets)], zeros, positions[:, has:]], dim=1)
    if gets < has:
        tokens = torch.cat([tokens[:, :gets], tokens[:, gets:has] + positions[:, gets:has], tokens[:, has:]], dim=1)
        state |= dict(zip(prefix, tokens.split([ours[name].shape[1] for name in prefix], dim=1), strict=True))
    return state


def stored_form(form: Form, layout: Layout) -> Form:
    """Which prefix tokens have a position row in this layout, for a model that has rows for those in `form`."""
    if layout.prefix_positions == "any":  # timm: all of them, or none
        return "none" if form == "none" else "all"
    return layout.prefix_positions


def form_of(ours: Mapping[str, Tensor], source: Layout, target: Layout, given: Form | None) -> Form:
    """Which prefix tokens have a position row. For timm's layout: from the number of rows, for a square grid."""
    if source.prefix_positions != "any":
        return source.prefix_positions
    prefix = sum(ours[name].shape[1] for name in ("cls_token", "reg_token") if name in ours)
    if target is source or given or "pos_embed" not in ours or not prefix:
        return given or "all"
    n = ours["pos_embed"].shape[1]
    with_rows, without_rows = (isqrt(max(patches, 0)) ** 2 == patches for patches in (n - prefix, n))
    if with_rows == without_rows:
        raise CheckpointError(
            f"pos_embed has {n} rows, and counting does not tell whether {prefix} of them belong to the tokens before "
            'the patches; say form="all" or form="none"'
        )
    return "all" if with_rows else "none"
