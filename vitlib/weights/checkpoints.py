"""`load`, `load_into` and `save`: a model from a file, a file from a model."""


import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitlib.config import ViTConfig
from vitlib.vit import ViT
from vitlib.weights import files
from vitlib.weights.files import CheckpointError, State
from vitlib.weights.hubconfig import hf_config, plain, read_beside
from vitlib.weights.layouts import LAYOUTS
from vitlib.weights.misfits import grouped, misfits, shape_of, telltale
from vitlib.weights.recognise import recognise
from vitlib.weights.renaming import (
    UNREAD,
    detect,
    heads_apart,
    layout_named,
    move_rows,
    rows,
    to_ours,
    to_theirs,
    without,
)

Source = str | PathLike[str] | Mapping[str, Tensor]
Size = int | tuple[int, int]
HEAD = {"head.weight", "head.bias"}
SIZES = {name: torch.empty(0) for name in ("patch_embed.proj.weight", "blocks.0.mlp.fc1.weight")}
# fields of ViTConfig in which two models may differ, and one set of weights still means the same to both
FREE = {"fused", "dropout", "drop_path", "mean", "std", "resize"}


def load(
    source: Source,
    *,
    num_classes: int | None = None,
    image_size: Size | None = None,
    made_for: Size | None = None,
    dtype: torch.dtype | None = None,
    part: str | None = None,
    drop: Sequence[str] = (),
    generator: torch.Generator | None = None,
    like: ViTConfig | None = None,
    **choices: Any,
) -> ViT:
    """The model whose weights lie in a file, in a folder of Hugging Face's, or in a state dict; in evaluation mode.

    The layout is detected and the sizes are read from the shapes; `choices` are fields of ViTConfig that say what
    neither shows, such as heads=4 (known for the widths of published models; a model of your own keeps them in the
    note that `save` writes).

    - `num_classes` other than the checkpoint's puts a new head in place of the old, drawn with `generator`.
    - `image_size` (pixels: a side, or height and width) resizes the positions, in the way of the checkpoint's library.
    - `made_for` is the size that the positions were made for, where that is no square.
    - `dtype` must be given where the checkpoint is not float32.
    - `like` is a configuration to turn to where neither heads nor picture size can be told otherwise.
    - `part` chooses between several state dicts in one file; `drop` leaves out names, by shell patterns.

    >>> from vitlib.presets import create
    >>> from vitlib.weights import convert
    >>> model = create("vit_digits_patch2_8")
    >>> load(convert(model.state_dict(), "hf")).config.eps  # what transformers computes with
    1e-12

    Errors: CheckpointError for whatever does not fit (those of files.read among them), FileNotFoundError.
    """
    state, note, path = _open(source, part)
    state = without(state, drop)
    layout = detect(state)
    told = {**read_beside(path, layout), **plain(note), **choices} if path else choices
    if made_for is not None:
        told["image_size"] = _pair(made_for)
    ours, left = to_ours(state, LAYOUTS[layout])
    if not ours.keys() >= SIZES.keys():  # without them there is no telling which model it is
        _check_names(ours, left, SIZES | ours, layout, "any ViT")
    config, form = recognise(ours, LAYOUTS[layout], told | heads_apart(state, LAYOUTS[layout]), like)
    ours = {name: each for name, each in move_rows(ours, form, config.prefix_positions).items() if name not in UNREAD}
    model = ViT(config if num_classes is None else replace(config, num_classes=num_classes), generator)
    if model.config.num_classes != config.num_classes:
        ours = {name: each for name, each in ours.items() if name not in HEAD} | _head(model)
    _check(ours, left, model, layout, dtype)
    model.load_state_dict(ours)
    model.to(dtype or torch.float32).eval()
    return model if image_size is None else _resized(model, _pair(image_size), sure="image_size" in told)


def load_into(model: ViT, source: Source, *, new_head: bool = False, **options: Any) -> None:
    """Fill a model with a checkpoint's weights; positions are resized to the model's pictures, as `load` does it.

    With `new_head` the model keeps its own classifier, for classes of its own. `options` are those of `load`. The
    model takes the checkpoint's normalisation and way of resizing into its configuration.

    Errors: those of `load`, and CheckpointError where the two models differ, with every field and both values.
    """
    mine = model.config
    told: dict[str, Any] = {"image_size": mine.image_size, "prefix_positions": mine.prefix_positions}
    if mine.positions != "learned":
        told["positions"] = mine.positions
    loaded = load(source, num_classes=mine.num_classes if new_head else None, like=mine, **told | options)
    here, there = _deciding(mine), _deciding(loaded.config)
    apart = [
        f"{field} is {value!r} in the model and {there[field]!r} in the checkpoint"
        for field, value in here.items()
        if value != there[field]
    ]
    if apart:
        remedy = "; new_head=True keeps the model's own head" if here["num_classes"] != there["num_classes"] else ""
        raise CheckpointError(
            f"the checkpoint is of another model: {'; '.join(apart)}. Take vitlib.weights.load, which builds the model "
            f"that fits, or create one with these choices{remedy}"
        )
    model.load_state_dict(loaded.state_dict() | (_head(model) if new_head else {}))
    model.config = replace(mine, **{field: getattr(loaded.config, field) for field in ("mean", "std", "resize")})


def save(model: ViT, path: str | PathLike[str], layout: str = "timm") -> None:
    """Write a model's weights in a layout, as .safetensors, .pth, .pt or .npz: the whole file or none.

    The model's configuration travels in the file as a note that other libraries don't see. A path without a suffix
    is a folder, for the layouts of Hugging Face: `from_pretrained` reads it.

    Errors: CheckpointError where the layout has no place for a tensor, or its own library would compute something
    else with them, naming the choice.
    """
    config, path = model.config, Path(path)
    column = layout_named(layout)
    if config.positions != "learned" and "positions" not in column.settable:
        raise CheckpointError(
            f"{layout} keeps learned positions, and this model's are {config.positions!r}; save it as 'timm'"
        )
    state = model.state_dict() | {name: torch.zeros(1, config.width) for name in column.zeros}
    theirs = to_theirs(state, layout, config.prefix_positions, config.heads)
    # what the layout's library would make of these tensors, told what its users can tell it
    told = {field: getattr(config, field) for field in ("heads", "image_size", "mean", "std", *column.settable)}
    made, _ = recognise(to_ours(theirs, column)[0], column, told)
    apart = [f for f in ("eps", "gelu", "pooling", "norm_before_pool") if getattr(made, f) != getattr(config, f)]
    if apart:
        raise CheckpointError(
            f"{layout}'s own model has {', '.join(f'{f}={getattr(made, f)!r}' for f in apart)}, this one has "
            f"{', '.join(f'{f}={getattr(config, f)!r}' for f in apart)}: it would compute something else; save it "
            "as 'timm', or convert(model.state_dict(), …) for the names alone"
        )
    if layout.startswith("hf") and not path.suffix:
        beside = json.dumps(hf_config(config, layout), indent=2)
        path.mkdir(parents=True, exist_ok=True)
        files.write(path / "model.safetensors", theirs, asdict(config))
        (path / "config.json").write_text(beside)
    else:
        files.write(path, theirs, asdict(config))


def _deciding(config: ViTConfig) -> dict[str, Any]:
    """The choices that decide which tensors a model has and what it computes with them."""
    kept = {field: value for field, value in asdict(config).items() if field not in FREE}
    return kept | {
        "layer_scale": config.layer_scale is not None,  # the value is the first one alone, before training
        "mlp_ratio": int(config.width * config.mlp_ratio) / config.width,
    }


def _head(model: ViT) -> State:
    return {name: each for name, each in model.state_dict().items() if name in HEAD}


def _open(source: Source, part: str | None) -> tuple[State, dict[str, Any], Path | None]:
    if isinstance(source, Mapping):
        return dict(source), {}, None
    path = Path(source)
    if path.is_dir():
        path = path / "model.safetensors"
    return *files.read(path, part), path


def _check(ours: State, left: State, model: ViT, layout: str, dtype: torch.dtype | None) -> None:
    """CheckpointError for names, shapes, dtypes and numbers that are not those of the model's weights."""
    c = model.config
    what = f"a ViT of width {c.width}, depth {c.depth}, patch {c.patch}"
    called = _check_names(ours, left, model.state_dict(), layout, what)
    dtypes = {each.dtype for each in ours.values()}
    found = ", ".join(sorted(str(each) for each in dtypes))
    if not all(each.is_floating_point for each in dtypes):
        raise CheckpointError(f"the checkpoint holds {found}: expected real numbers; take one that is not quantised")
    if dtype is None and dtypes != {torch.float32}:
        raise CheckpointError(
            f"the checkpoint holds {found}, a model torch.float32: say dtype=torch.float32 to convert"
        )
    if bad := [name for name, each in ours.items() if not each.isfinite().all()]:
        names = "; ".join(grouped([name for each in bad for name in called[each]]))
        raise CheckpointError(f"not every number is finite (NaN or infinity) in {names}; take an earlier checkpoint")


def _check_names(
    ours: State, left: State, expected: Mapping[str, Tensor], layout: str, what: str
) -> dict[str, tuple[str, ...]]:
    """What the layout calls each of our tensors; CheckpointError where names or shapes are not as expected."""
    called = {row.ours: row.theirs for row in rows(LAYOUTS[layout], {**expected, **ours})}
    absent = [name for each in expected if each not in ours for name in called.get(each, (each,))]
    missing = [name for name in absent if name not in left]
    extra = [name for name in left if name not in absent]
    extra += [name for each in ours if each not in expected for name in called[each]]
    misshapen = {
        ", ".join(called[name]): f"is {shape_of(each)}, expected {shape_of(expected[name])}"
        for name, each in ours.items()
        if name in expected and each.shape != expected[name].shape
    }
    if missing or extra or misshapen:
        raise CheckpointError(
            f"the checkpoint, in {layout}'s layout, does not fit {what}{telltale(extra)}:"
            f"{misfits(missing, extra, misshapen)}\nFetch what is missing; name in drop= what may be left out."
        )
    return called


def _resized(model: ViT, size: tuple[int, int], sure: bool) -> ViT:
    """The model for pictures of another size, unless its grid was a guess and this size would be another guess."""
    side, (high, wide) = model.config.grid, size
    patches = replace(model.config, image_size=size).grid
    if not sure and patches.tokens == side.tokens and patches != side:
        raise CheckpointError(
            f"the positions fit {side.height}×{side.width} pixels and {high}×{wide} alike: give the size that they "
            "were made for, made_for=(height, width)"
        )
    return model.resized(size)


def _pair(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size
