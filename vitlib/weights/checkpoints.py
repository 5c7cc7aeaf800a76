"""`load` and `load_into`: a model from a file, or a file's weights in a model that is there."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import nn

from vitlib.backbones.convnext import ConvNeXt
from vitlib.backbones.hybrid import Hybrid
from vitlib.backbones.stages import StageConfig, Staged
from vitlib.backbones.swin import Swin
from vitlib.vit.config import ViTConfig, renamed
from vitlib.vit.fields import fitted_statistics, pair_of
from vitlib.vit.model import ViT
from vitlib.vit.wrappers import require_numbers
from vitlib.vit.wrappers import unwrapped as unwrapped_model
from vitlib.weights import stems
from vitlib.weights.backbones import staged_layout
from vitlib.weights.channels import with_channels
from vitlib.weights.files import CheckpointError
from vitlib.weights.fill import filled, head_of
from vitlib.weights.hubconfig import plain, read_beside
from vitlib.weights.layouts import LAYOUTS
from vitlib.weights.misfits import check_fit
from vitlib.weights.recognise import recognise
from vitlib.weights.renaming import UNREAD, detect, heads_apart, move_rows, rows, to_ours
from vitlib.weights.sources import Source, open_source, unwrapped
from vitlib.weights.staged import load_staged

Size = int | tuple[int, int]
SIZES = {name: torch.empty(0) for name in ("patch_embed.proj.weight", "blocks.0.mlp.fc1.weight")}
# fields of a configuration in which two models may differ, and one set of weights still means the same to both
FREE = {
    "class_names",
    "fused",
    "trim",
    "dropout",
    "drop_path_rate",
    "mean",
    "std",
    "resize",
    "convention",
    "layer_scale",
}


def load(
    source: Source,
    *,
    num_classes: int | None = None,
    image_size: Size | None = None,
    made_for: Size | None = None,
    dtype: torch.dtype | None = None,
    part: str | None = None,
    prefix: str = "",
    drop: Sequence[str] = (),
    in_chans: int | None = None,
    generator: torch.Generator | None = None,
    like: ViTConfig | StageConfig | None = None,
    **choices: Any,
) -> ViT | Hybrid | Swin | ConvNeXt:
    """The model whose weights lie in a file, a folder or a state dict, or on Hugging Face's hub; in evaluation mode.

    A ViT, Hybrid, Swin or ConvNeXt: the layout is detected and the sizes are read from the shapes. `choices` are fields
    of its configuration that neither shows, such as num_heads=4. A model of your own keeps them in the note that `save`
    writes; where nothing says how many heads there are, those of published models are taken, with a warning.

    A folder has model.safetensors, pytorch_model.bin or either in parts, and its config.json is read. A name such as
    "google/vit-base-patch16-224" that is no file is fetched by huggingface_hub, where that is installed.

    - `num_classes` other than the checkpoint's puts a new head in place of the old, drawn with `generator`.
    - `image_size` (pixels: a side, or height and width) resizes the positions, in the way of the checkpoint's library.
      Swin and ConvNeXt have none; without it and without a note they are made for 224 × 224.
    - `made_for` is the size that the positions were made for, where that is no square.
    - `dtype` must be given where the checkpoint is not float32.
    - `like` is a configuration to turn to where heads, picture size, eps and the like cannot be told otherwise.
    - `part` chooses between several state dicts in one file; `prefix` keeps the names that begin with it, without it;
      `drop` leaves out names, by shell patterns.
    - `in_chans` other than the checkpoint's adapts the first layer: summed up for grey pictures, repeated for more.

    >>> from vitlib.models import create
    >>> from vitlib.weights import convert
    >>> model = create("vit_digits_patch2_8")
    >>> load(convert(model.state_dict(), "hf"), num_heads=4).config.eps  # what transformers computes with
    1e-12

    Errors: CheckpointError for whatever does not fit (those of files.read among them), FileNotFoundError; TypeError or
    ValueError for an argument of another kind, or out of its range.
    """
    state, note, path = open_source(source, part, prefix, drop)
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype is {dtype!r}: expected one of real numbers, such as torch.float32")
    if dtype:
        state = {name: each.to(dtype) if each.is_floating_point() else each for name, each in state.items()}
    state, stem = stems.apart(unwrapped(state))
    told = plain(renamed(note)) | choices
    told.pop("in_chans", None)  # the shapes show it
    if staged_layout(state):
        if size := image_size or made_for:
            told["image_size"] = pair_of(size)
        return load_staged(state, path, told, like, in_chans, num_classes, dtype, generator)
    layout = detect(state)
    if path:
        told = read_beside(path, layout, implied=LAYOUTS[layout].implies) | told
    if made_for is not None:
        told["image_size"] = pair_of(made_for)
    pixels, told = told, stems.behind(told, stems.halvings(stem))
    ours, left = to_ours(state, LAYOUTS[layout])
    if not ours.keys() >= SIZES.keys():  # without them there is no telling which model it is
        check_fit(ours, SIZES | ours, _what(layout, "any ViT"), _called(layout, SIZES | ours), left)
    ours, adapted = (ours, {}) if stem else with_channels(ours, in_chans)
    if stem:
        stem, adapted = with_channels(stem, in_chans)
    if adapted and in_chans:
        told, pixels = (fitted_statistics({**LAYOUTS[layout].implies, **each}, in_chans) for each in (told, pixels))
    mine = stems.vit_behind(like) if isinstance(like, ViTConfig) else None
    config, form = recognise(ours, LAYOUTS[layout], told | heads_apart(state, LAYOUTS[layout]), mine)
    ours = {name: each for name, each in move_rows(ours, form, config.prefix_positions).items() if name not in UNREAD}
    what = _what(layout, f"a ViT of width {config.embed_dim}, depth {config.depth}, patch {config.patch_size}")
    naming: Any = {"called": lambda names: _called(layout, names), "left": left}
    model = filled(config, ours, what, num_classes=num_classes, dtype=dtype, generator=generator, **naming)
    if stem:
        model = stems.joined(stem, model, {**LAYOUTS[layout].implies, **pixels})
    model.to(dtype or torch.float32).eval()
    return model if image_size is None else _resized(model, pair_of(image_size), sure="image_size" in told)


def load_into(model: nn.Module, source: Source, *, new_head: bool = False, **options: Any) -> None:
    """Fill a ViT, Hybrid, Swin or ConvNeXt with a checkpoint's weights, as `load` does it.

    Positions are resized to the model's pictures, the first layer is adapted to their channels, and numbers are
    converted to the model's dtype. What the checkpoint does not say, such as heads and eps of a plain state dict, is as
    in the model. With `new_head` the model keeps its own classifier, for classes of its own. `options` are those of
    `load`. The model takes the checkpoint's normalisation and way of resizing into its configuration; a Swin keeps its
    convention.

    Errors: those of `load`; TypeError for another kind of model; CheckpointError where the two models differ, with
    every field and both values.
    """
    target = plain_model(model)
    mine: Any = target.config
    told: dict[str, Any] = {"image_size": mine.image_size, "in_chans": mine.in_chans, "like": mine}
    told["dtype"] = next(target.parameters()).dtype
    if isinstance(mine, ViTConfig):
        told["prefix_positions"] = mine.prefix_positions
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
    target.load_state_dict(loaded.state_dict() | (head_of(target) if new_head else {}))
    taken = asdict(mine).keys() & {"mean", "std", "resize"}
    names = {} if new_head or not loaded.config.class_names else {"class_names": loaded.config.class_names}
    target.config = replace(mine, **{field: getattr(loaded.config, field) for field in taken}, **names)


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


def plain_model(model: nn.Module) -> Any:
    """The model that torch.compile or data parallelism wrapped.

    Errors: TypeError for another kind of model, ValueError for one without numbers.
    """
    bare = unwrapped_model(model)
    if not isinstance(bare, (ViT, Staged)):
        raise TypeError(f"this is a {type(bare).__name__}: expected a ViT, Hybrid, Swin or ConvNeXt of vitlib")
    require_numbers(bare)
    return bare


def _what(layout: str, model: str) -> str:
    return f"{model} (it is in {layout}'s layout)"


def _called(layout: str, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What the layout calls each of our tensors."""
    return {row.ours: row.theirs for row in rows(LAYOUTS[layout], names)}


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
