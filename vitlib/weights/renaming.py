"""Convert state dicts from one layout to another: the names by the layouts' tables, and the rows of positions.

Some layouts have position rows for the prefix tokens (CLS and registers), and others do not. Those without such a row
have the sum of token and position in the token instead. The encoder's input is the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import isqrt

import torch
from torch import Tensor

from vitlib.weights.check import grouped, looks_like, shape_of, sides_of
from vitlib.weights.files import CheckpointError, State
from vitlib.weights.layouts import Form, Layout
from vitlib.weights.recognise import layout_by, layout_named, recognise, spelled
from vitlib.weights.sources import without

# tensors that follow from the configuration, or that a classifier does not use: they may be left out
UNREAD = ("mask_token", "pooler.dense.weight", "pooler.dense.bias", "relative_position_index", "attn_mask")
PREFIX = ("cls_token", "reg_token")  # the tokens before the patches, in their order


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
    layout = layout_by(from_, state) if from_ else recognise(state)
    target = layout_named(to, layout.family)
    ours, left = to_ours(state, layout)
    if left:
        raise CheckpointError(f"unknown names: {', '.join(grouped(left))}{looks_like(left)}; name them in drop=")
    forms = [form] if form and len(layout.forms) > 1 else layout.forms
    counts = row_counts(forms, *_prefix(ours))
    rows = counts[0] if target is layout else _counted(ours, counts)
    return to_theirs(ours, target, rows, num_heads)


def to_ours(state: Mapping[str, Tensor], layout: Layout) -> tuple[State, State]:
    """The tensors that the layout knows, under our names; and those that it does not know."""
    left = spelled(state, layout)
    ours: State = {}
    for name in dict.fromkeys(filter(None, map(layout.ours, left))):
        theirs = layout.theirs(name)
        if not all(each in left for each in theirs):  # a part is missing
            continue
        parts = {each: left.pop(each) for each in theirs}
        if len({part.dtype for part in parts.values()}) > 1:  # torch.cat would convert them silently
            dtypes = ", ".join(f"{each} holds {part.dtype}" for each, part in parts.items())
            raise CheckpointError(f"{dtypes}: expected one dtype; convert them first")
        try:
            if not all(part.numel() for part in parts.values()):
                raise IndexError("no number")
            back = [layout.back(each, part) for each, part in parts.items()]
            ours[name] = torch.cat(back) if len(back) > 1 else back[0]
        except (RuntimeError, IndexError):
            shapes = ", ".join(f"{each} is {shape_of(part)}" for each, part in parts.items())
            raise CheckpointError(f"wrong shape: {shapes}; expected what makes our {name}") from None
    return ours, left


def to_theirs(ours: Mapping[str, Tensor], layout: Layout, rows: int, heads: int | None = None) -> State:
    """Our tensors under the names of a layout. `rows`: how many prefix tokens have a position row in `ours`."""
    if layout.axes and heads is None:
        raise CheckpointError(
            f"{layout.library} keeps the heads apart, and a state dict does not tell how many: give num_heads="
        )
    counts = row_counts(layout.forms, *_prefix(ours))
    theirs: State = {}
    unplaced = []
    for name, tensor in move_rows(ours, rows, rows if rows in counts else max(counts)).items():
        names = layout.theirs(name)
        if not names and not name.endswith(UNREAD):
            unplaced.append(name)
        try:
            parts = tensor.unflatten(0, (len(names), -1)) if len(names) > 1 else [tensor] * len(names)
            theirs |= {each: layout.forth(each, part, heads or 1) for each, part in zip(names, parts, strict=True)}
        except (RuntimeError, IndexError):
            raise CheckpointError(
                f"{name} is {shape_of(tensor)}: expected rows for {len(names)} × {heads or 1} heads"
            ) from None
    if unplaced:
        raise CheckpointError(
            f"{layout.library} has no place for {', '.join(grouped(unplaced))}; take another layout, or leave them out"
        )
    return theirs


def row_counts(forms: Iterable[Form], class_token: int, registers: int) -> list[int]:
    """How many of so many prefix tokens have a position row, in each form."""
    return [{"all": class_token + registers, "cls": class_token, "none": 0}[form] for form in forms]


def fitting(counts: Iterable[int], positions: int, patches: int | None = None) -> set[int]:
    """Those of the counts that leave `patches` of so many positions (None: any square grid).

    >>> fitting([5, 0], positions=21), fitting([1, 0], positions=12, patches=12)
    ({5}, {0})
    """
    rest = {count: positions - count for count in counts}
    return {count for count, n in rest.items() if n > 0 and n == (isqrt(n) ** 2 if patches is None else patches)}


def move_rows(ours: Mapping[str, Tensor], has: int, gets: int) -> State:
    """The tensors with position rows for the first `gets` prefix tokens, from tensors with rows for the first `has`.

    A new row is zeros; a removed row is added to its token.
    """
    prefix = {name: ours[name] for name in PREFIX if name in ours}
    if "pos_embed" not in ours or not prefix:
        return dict(ours)
    positions = ours["pos_embed"]  # 1 R D
    for name, token in prefix.items():
        if token.ndim != 3 or positions.ndim != 3 or token.shape[::2] != positions.shape[::2]:
            raise CheckpointError(f"wrong shape: {name} is {shape_of(token)}, pos_embed {shape_of(positions)}")
    if has == gets:
        return dict(ours)
    tokens = torch.cat(list(prefix.values()), dim=1)  # 1 K D
    k = tokens.shape[1]
    # with a row for each token first: those from `gets` on are added to their tokens then
    whole = torch.cat([positions[:, :has], positions.new_zeros(1, k - has, positions.shape[2]), positions[:, has:]], 1)
    tokens = torch.cat([tokens[:, :gets], tokens[:, gets:] + whole[:, gets:k]], dim=1)
    moved = dict(zip(prefix, tokens.split([token.shape[1] for token in prefix.values()], dim=1), strict=True))
    return {**ours, **moved, "pos_embed": torch.cat([whole[:, :gets], whole[:, k:]], dim=1)}


def _prefix(ours: Mapping[str, Tensor]) -> list[int]:
    """The number of CLS tokens and of registers."""
    return [sides_of(ours, name, axes=3)[1] if name in ours else 0 for name in PREFIX]


def _counted(ours: Mapping[str, Tensor], counts: list[int]) -> int:
    """Which of the counts of position rows for prefix tokens it is: from the number of rows, for a square grid."""
    if "pos_embed" not in ours or len(set(counts)) == 1:
        return counts[0]
    n = sides_of(ours, "pos_embed", axes=3)[1]
    if len(fits := fitting(counts, n)) != 1:
        raise CheckpointError(
            f"pos_embed has {n} rows, and counting does not tell whether {max(counts)} of them belong to the "
            'tokens before the patches; say form="all" or form="none"'
        )
    return fits.pop()
