"""State dicts from one layout to another: `vitlib.weights.layouts` read in both directions, tensor by tensor."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isqrt
from typing import Literal

import torch
from torch import Tensor

from vitlib.weights.files import CheckpointError, State
from vitlib.weights.layouts import BY_HEADS, HEADS_BIAS, LAYOUTS, Layout, Row
from vitlib.weights.misfits import grouped, shape_of, telltale
from vitlib.weights.sources import unwrapped, without

Form = Literal["all", "cls", "none"]  # which of the tokens before the patches have a position row
UNREAD = ("mask_token", "pooler.dense.weight", "pooler.dense.bias")  # no classifier computes with them


def detect(state: Mapping[str, Tensor]) -> str:
    """The layout of a state dict: the one that knows most of its names, and at least one block.

    >>> detect({"conv_proj.bias": torch.zeros(8), "encoder.layers.encoder_layer_0.ln_1.bias": torch.zeros(8)})
    'torchvision'

    Errors: CheckpointError where no layout knows a block: these are not the weights of a Vision Transformer.
    """
    known = {name: _known(spelled(state, layout), layout) for name, layout in LAYOUTS.items()}
    best = max(known, key=lambda name: len(known[name]))  # of equals the first: timm before DINOv2
    if not any(row.ours.startswith("blocks.") for row in known[best].values()):
        raise CheckpointError(
            f"{len(state)} tensors, beginning with {', '.join(list(state)[:4])}: no layout of a Vision Transformer "
            f"knows a block among them{telltale(state)}; expected one of {', '.join(LAYOUTS)}"
        )
    return best


def convert(
    state: Mapping[str, Tensor],
    to: str,
    from_: str | None = None,
    *,
    num_heads: int | None = None,
    form: Form | None = None,
    drop: Sequence[str] = (),
) -> State:
    """The same weights by the names of another layout: converted back, every number is there again.

    `from_` is detected where it is None, and `drop` names what to leave out, by shell patterns. What no name shows
    is asked for where it matters: Google's layouts need the number of `heads`; and where counting does not tell
    which tokens before timm's patches have a position row, `form` does. Where the layouts differ in that, tokens get
    rows of zeros, or their rows are added to the tokens: the model computes the same.

    >>> convert({"blocks.0.norm1.bias": torch.zeros(2)}, "torchvision")
    {'encoder.layers.encoder_layer_0.ln_1.bias': tensor([0., 0.])}

    Errors: CheckpointError for a name that `from_` does not know or that `to` has no place for, and for a shape
    that does not fit. The masking token and the pooler, which no classifier reads, may stay behind.
    """
    state = without(state, drop)
    layout = layout_named(from_ or detect(state))
    ours, left = to_ours(state, layout)
    if left:
        raise CheckpointError(f"unknown names: {', '.join(grouped(left))}{telltale(left)}; name them in drop=")
    return to_theirs(ours, to, _form(ours, layout, layout_named(to), form), num_heads)


def to_ours(state: Mapping[str, Tensor], layout: Layout) -> tuple[State, State]:
    """What the layout knows, by our names; and what is left over."""
    left, ours = spelled(state, layout), {}
    for row in rows(layout, left):
        if all(name in left for name in row.theirs):
            parts = {name: left.pop(name) for name in row.theirs}
            if len({part.dtype for part in parts.values()}) > 1:  # torch.cat would promote them
                found = ", ".join(f"{name} holds {part.dtype}" for name, part in parts.items())
                raise CheckpointError(f"{found}: expected one dtype; convert them first")
            try:
                if not all(part.ndim and part.numel() for part in parts.values()):
                    raise IndexError("a single number, or none")
                ours[row.ours] = torch.cat([row.each.back(part) for part in parts.values()])
            except (RuntimeError, IndexError):
                found = ", ".join(f"{name} is {shape_of(part)}" for name, part in parts.items())
                raise CheckpointError(f"wrong shape: {found}; expected what makes our {row.ours}") from None
    return ours, left


def to_theirs(ours: Mapping[str, Tensor], to: str, form: Form, heads: int | None = None) -> State:
    """Our tensors by the names of layout `to`; `form` says which prefix tokens have a position row in them."""
    layout = layout_named(to)
    left = move_rows(ours, form, stored_form(form, layout))
    theirs: State = {}
    for row in rows(layout, left):
        if row.ours not in left:
            continue
        tensor, n = left.pop(row.ours), len(row.theirs)
        if row.each in BY_HEADS and heads is None:
            raise CheckpointError(
                f"{to} keeps the heads apart, and a state dict does not tell how many: give num_heads="
            )
        try:
            parts = [row.each.forth(part, heads or 1) for part in tensor.unflatten(0, (n, -1))]
        except (RuntimeError, IndexError):
            raise CheckpointError(
                f"{row.ours} is {shape_of(tensor)}: expected rows for {n} × {heads or 1} heads"
            ) from None
        theirs |= dict(zip(row.theirs, parts, strict=True))
    if homeless := [name for name in left if name not in UNREAD]:
        raise CheckpointError(
            f"{to} has no place for {', '.join(grouped(homeless))}; take another layout, or leave them out"
        )
    return theirs


def move_rows(ours: Mapping[str, Tensor], have: Form, want: Form) -> State:
    """Position rows for the tokens before the patches that `want` names, `have` being those that have one.

    A new row is zeros; a row that has to go is added to its token. The encoder reads the same.
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
    """Which tokens before the patches have a position row in this layout, for a model in which `form` have one."""
    if layout.prefix_positions == "any":  # timm: all of them, or none
        return "none" if form == "none" else "all"
    return layout.prefix_positions


def _form(ours: Mapping[str, Tensor], source: Layout, target: Layout, told: Form | None) -> Form:
    """Which tokens before the patches have a position row: in timm's, by counting, the grid being a square."""
    if source.prefix_positions != "any":
        return source.prefix_positions
    prefix = sum(ours[name].shape[1] for name in ("cls_token", "reg_token") if name in ours)
    if target is source or told or "pos_embed" not in ours or not prefix:
        return told or "all"
    n = ours["pos_embed"].shape[1]
    with_rows, without_rows = (isqrt(max(patches, 0)) ** 2 == patches for patches in (n - prefix, n))
    if with_rows == without_rows:
        raise CheckpointError(
            f"pos_embed has {n} rows, and counting does not tell whether {prefix} of them belong to the tokens before "
            'the patches; say form="all" or form="none"'
        )
    return "all" if with_rows else "none"


def spelled(state: Mapping[str, Tensor], layout: Layout) -> State:
    """Names as the layout writes them today: wrappers' prefixes off, older spellings replaced, stacked blocks apart."""
    result: State = {}
    for name, tensor in unwrapped(state).items():
        now = name
        for pattern, instead in layout.also:
            now = re.sub(pattern, instead, now)
        stacked = re.fullmatch(r"(Transformer/encoderblock)(/.+)", now)  # big_vision: [depth, …], scanned over
        parts = {f"{stacked[1]}_{i}{stacked[2]}": each for i, each in enumerate(tensor)} if stacked else {now: tensor}
        if twice := result.keys() & parts.keys():
            raise CheckpointError(f"{name} comes twice, once under another spelling of {min(twice)}; keep one")
        result |= parts
    return result


def rows(layout: Layout, names: Iterable[str]) -> Iterator[Row]:
    """The rows of a layout, written out for every number that occurs in the names."""
    numbers = sorted({number for name in names for number in re.findall(r"\d+", name)}, key=int)
    for row in layout.rows:
        for number in numbers if "#" in row.ours else [""]:
            for leaf in ("weight", "bias") if "*" in row.ours else [""]:
                ours, *theirs = (name.replace("#", number).replace("*", leaf) for name in (row.ours, *row.theirs))
                yield Row(ours, tuple(theirs), row.each)


def layout_named(name: str) -> Layout:
    if name not in LAYOUTS:
        raise CheckpointError(f"there is no layout {name!r}: expected one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def heads_apart(state: Mapping[str, Tensor], layout: Layout) -> dict[str, int]:
    """{"num_heads": number} from a state dict that keeps the heads apart, as Flax does; {} from any other."""
    names = spelled(state, layout)
    biases = [
        names[name] for row in rows(layout, names) if row.each is HEADS_BIAS for name in row.theirs if name in names
    ]
    return {"num_heads": len(biases[0])} if biases and biases[0].ndim == 2 else {}


def _known(names: Mapping[str, Tensor], layout: Layout) -> dict[str, Row]:
    """Those of the names that the layout knows, each with its row."""
    return {name: row for row in rows(layout, names) for name in row.theirs if name in names}
