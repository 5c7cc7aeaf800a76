"""`load`, `load_into` and `save`: a model from a file, a file from a model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitlib.backbones.stages import Staged
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT
from vitlib.weights import files, stems
from vitlib.weights.backbones import is_staged
from vitlib.weights.files import CheckpointError, State
from vitlib.weights.hubconfig import hf_config, plain, read_beside
from vitlib.weights.layouts import LAYOUTS
from vitlib.weights.misfits import check_numbers, misfits, shape_of, telltale
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
from vitlib.weights.staged import load_staged, told_beside

Source = str | PathLike[str] | Mapping[str, Tensor]
Size = int | tuple[int, int]
HEAD = {"head.weight", "head.bias", "head.fc.weight", "head.fc.bias"}
SIZES = {name: torch.empty(0) for name in ("patch_embed.proj.weight", "blocks.0.mlp.fc1.weight")}
# fields of a configuration in which two models may differ, and one set of weights still means the same to both
FREE = {"class_names", "fused", "dropout", "drop_path_rate", "mean", "std", "resize", "layer_scale"}


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
) -> Any:
    """The model whose weights lie in a file, in a folder of Hugging Face's, or in a state dict; in evaluation mode.

    A ViT, Hybrid, Swin or ConvNeXt: the layout is detected and the sizes are read from the shapes. `choices` are fields
    of its configuration that neither shows, such as num_heads=4 (known for the widths of published models; a model of
    your own keeps them in the note that `save` writes).

    - `num_classes` other than the checkpoint's puts a new head in place of the old, drawn with `generator`.
    - `image_size` (pixels: a side, or height and width) resizes the positions, in the way of the checkpoint's library.
      Swin and ConvNeXt have none; without it and without a note they are made for 224 × 224.
    - `made_for` is the size that the positions were made for, where that is no square.
    - `dtype` must be given where the checkpoint is not float32.
    - `like` is a configuration to turn to where neither heads nor picture size can be told otherwise.
    - `part` chooses between several state dicts in one file; `drop` leaves out names, by shell patterns.

    >>> from vitlib.models import create
    >>> from vitlib.weights import convert
    >>> model = create("vit_digits_patch2_8")
    >>> load(convert(model.state_dict(), "hf")).config.eps  # what transformers computes with
    1e-12

    Errors: CheckpointError for whatever does not fit (those of files.read among them), FileNotFoundError.
    """
    state, note, path = _open(source, part)
    state, stem = stems.apart(without(state, drop))
    if is_staged(state):
        told = {**told_beside(path), **plain(note), **choices}
        if size := image_size or made_for:
            told["image_size"] = _pair(size)
        return load_staged(state, told, num_classes, dtype, generator)
    layout = detect(state)
    told = {**read_beside(path, layout), **plain(note), **choices} if path else choices
    if made_for is not None:
        told["image_size"] = _pair(made_for)
    pixels, told = told, stems.behind(told, stems.halvings(stem))
    ours, left = to_ours(state, LAYOUTS[layout])
    if not ours.keys() >= SIZES.keys():  # without them there is no telling which model it is
        _check_names(ours, left, SIZES | ours, layout, "any ViT")
    config, form = recognise(ours, LAYOUTS[layout], told | heads_apart(state, LAYOUTS[layout]), like)
    ours = {name: each for name, each in move_rows(ours, form, config.prefix_positions).items() if name not in UNREAD}
    wanted = config
    if num_classes is not None and num_classes != config.num_classes:
        wanted = replace(config, num_classes=num_classes, class_names=())
    model = ViT(wanted, generator)
    if model.config.num_classes != config.num_classes:
        ours = {name: each for name, each in ours.items() if name not in HEAD} | _head(model)
    _check(ours, left, model, layout, dtype)
    model.load_state_dict(ours)
    if stem:
        model = stems.joined(stem, model, {**LAYOUTS[layout].implies, **pixels})
    model.to(dtype or torch.float32).eval()
    return model if image_size is None else _resized(model, _pair(image_size), sure="image_size" in told)


def load_into(model: ViT | Staged, source: Source, *, new_head: bool = False, **options: Any) -> None:
    """Fill a model with a checkpoint's weights; positions are resized to the model's pictures, as `load` does it.

    With `new_head` the model keeps its own classifier, for classes of its own. `options` are those of `load`. The
    model takes the checkpoint's normalisation and way of resizing into its configuration.

    Errors: those of `load`, and CheckpointError where the two models differ, with every field and both values.
    """
    mine: Any = model.config
    told = {"image_size": mine.image_size}
    if isinstance(mine, ViTConfig):
        told |= {"like": mine, "prefix_positions": mine.prefix_positions}
        if mine.positions != "learned":
            told["positions"] = mine.positions
    loaded = load(source, num_classes=mine.num_classes if new_head else None, **told | options)
    here, there = _deciding(mine), _deciding(loaded.config)
    apart = [
        f"{field} is {value!r} in the model and {there.get(field)!r} in the checkpoint"
        for field, value in here.items()
        if value != there.get(field)
    ]
    if apart:
        remedy = "; new_head=True keeps the model's own head" if here["num_classes"] != there["num_classes"] else ""
        raise CheckpointError(
            f"the checkpoint is of another model: {'; '.join(apart)}. Take vitlib.weights.load, which builds the model "
            f"that fits, or create one with these choices{remedy}"
        )
    model.load_state_dict(loaded.state_dict() | (_head(model) if new_head else {}))
    taken = asdict(mine).keys() & {"mean", "std", "resize"}
    model.config = replace(mine, **{field: getattr(loaded.config, field) for field in taken})


def save(model: ViT | Staged, path: str | PathLike[str], layout: str = "timm") -> None:
    """Write a model's weights in a layout, as .safetensors, .pth, .pt or .npz: the whole file or none.

    The model's configuration travels in the file as a note that other libraries don't see. A path without a suffix
    is a folder, for the layouts of Hugging Face: `from_pretrained` reads it. Only a plain ViT has more than timm's.

    Errors: CheckpointError where the layout has no place for a tensor, or its own library would compute something
    else with them, naming the choice.
    """
    path, column, note = Path(path), layout_named(layout), asdict(model.config)
    state, stem = stems.apart(model.state_dict())
    if layout != "timm" and (stem or isinstance(model, Staged)):
        raise CheckpointError(f"a {type(model).__name__} is saved by timm's names alone, not by {layout}'s")
    if isinstance(model, Staged):
        files.write(path, state, note)
        return
    config = stems.vit_behind(model.config)
    if config.positions != "learned" and "positions" not in column.settable:
        raise CheckpointError(
            f"{layout} keeps learned positions, and this model's are {config.positions!r}; save it as 'timm'"
        )
    state |= {name: torch.zeros(1, config.embed_dim) for name in column.zeros}
    theirs = to_theirs(state, layout, config.prefix_positions, config.num_heads)
    # what the layout's library would make of these tensors, told what its users can tell it
    told = {field: getattr(config, field) for field in ("num_heads", "image_size", "mean", "std", *column.settable)}
    made, _ = recognise(to_ours(theirs, column)[0], column, told)
    apart = [f for f in ("eps", "gelu", "global_pool", "norm_before_pool") if getattr(made, f) != getattr(config, f)]
    if apart:
        raise CheckpointError(
            f"{layout}'s own model has {', '.join(f'{f}={getattr(made, f)!r}' for f in apart)}, this one has "
            f"{', '.join(f'{f}={getattr(config, f)!r}' for f in apart)}: it would compute something else; save it "
            "as 'timm', or convert(model.state_dict(), …) for the names alone"
        )
    if layout.startswith("hf") and not path.suffix:
        beside = json.dumps(hf_config(config, layout), indent=2)
        path.mkdir(parents=True, exist_ok=True)
        files.write(path / "model.safetensors", theirs, note)
        with files.whole(path / "config.json") as draft:
            draft.write_text(beside)
    else:
        files.write(path, theirs | stem, note)


def _deciding(config: Any) -> dict[str, Any]:
    """The choices that decide which tensors a model has and what it computes with them."""
    kept = {field: value for field, value in asdict(config).items() if field not in FREE}
    kept = {"kind": type(config).__name__.removesuffix("Config"), **kept}
    if not isinstance(config, ViTConfig):
        return kept
    return kept | {
        "layer_scale": config.layer_scale is not None,  # the value is the first one alone, before training
        "mlp_ratio": int(config.embed_dim * config.mlp_ratio) / config.embed_dim,
    }


def _head(model: ViT | Staged) -> State:
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
    what = f"a ViT of width {c.embed_dim}, depth {c.depth}, patch {c.patch_size}"
    called = _check_names(ours, left, model.state_dict(), layout, what)
    check_numbers(ours, dtype, called)


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
