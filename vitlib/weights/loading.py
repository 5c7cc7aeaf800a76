"""`load`: a model from a file. Read, recognise, rename, configure, check, fill."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from vitlib.backbones.convnext import ConvNeXt
from vitlib.backbones.hybrid import Hybrid
from vitlib.backbones.stages import StageConfig
from vitlib.backbones.swin import Swin
from vitlib.device import best_device
from vitlib.vit.config import ViTConfig
from vitlib.vit.fields import fitted_statistics, pair_of
from vitlib.vit.model import ViT
from vitlib.weights.check import check_fit, looks_like
from vitlib.weights.config import config_of
from vitlib.weights.config_json import plain, read_config_json
from vitlib.weights.files import CheckpointError
from vitlib.weights.fill import filled, with_channels
from vitlib.weights.recognise import recognise
from vitlib.weights.renaming import move_rows, to_ours
from vitlib.weights.sources import Source, open_source
from vitlib.weights.vit_names import heads_of

Size = int | tuple[int, int]
FIRST = ("patch_embed.backbone.0.conv.weight", "stem.0.weight", "patch_embed.proj.weight")  # the first layer


def load(
    source: Source,
    *,
    num_classes: int | None = None,
    image_size: Size | None = None,
    made_for: Size | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    part: str | None = None,
    prefix: str = "",
    drop: str | Sequence[str] = (),
    in_chans: int | None = None,
    generator: torch.Generator | None = None,
    like: ViTConfig | StageConfig | None = None,
    **choices: Any,
) -> ViT | Hybrid | Swin | ConvNeXt:
    """The model of a checkpoint: a file, a folder, a state dict or a name on Hugging Face's hub. In evaluation mode.

    A ViT, Hybrid, Swin or ConvNeXt: the layout is detected, and sizes are read from the shapes. `choices` are fields of
    the configuration that the tensors do not show, such as num_heads=4. Files that `save` wrote contain them. If
    nothing gives the number of heads, that of published models is taken, with a warning.

    A folder contains model.safetensors or pytorch_model.bin, whole or sharded, and perhaps config.json. A name such as
    "google/vit-base-patch16-224" that is not a file is downloaded by huggingface_hub, if that is installed.

    - `num_classes`: a new head, initialised by `generator`, if the checkpoint has another number of classes.
    - `image_size` (pixels: a side, or height and width): resize the positions, in the way of the checkpoint's library.
      Swin and ConvNeXt have no positions; without this argument and a note they are made for 224 × 224.
    - `made_for`: the size of the pictures for which the positions were trained, if that is not a square.
    - `device`: as in best_device (None: the best there is).
    - `dtype`: needed if the checkpoint is not float32.
    - `like`: a configuration that gives heads, picture size, eps and so on, if nothing else gives them.
    - `part`: which of several state dicts in one file; `prefix`: take only names that begin with it, and cut it off;
      `drop`: shell patterns of names to leave out.
    - `in_chans`: adapt the first layer to another number of channels: its weights are summed for one, else repeated.

    >>> from vitlib.models import create
    >>> from vitlib.weights import convert
    >>> model = create("vit_digits_patch2_8")
    >>> load(convert(model.state_dict(), "hf"), num_heads=4).config.eps  # what transformers computes with
    1e-12

    Errors: CheckpointError for a checkpoint that cannot be read or does not fit; FileNotFoundError; TypeError or
    ValueError for an argument of another type or out of its range; those of best_device.
    """
    place = best_device(device)
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype is {dtype!r}: expected one of real numbers, such as torch.float32")

    state, note, path = open_source(source, part, prefix, drop)
    if dtype:
        state = {name: each.to(dtype) if each.is_floating_point() else each for name, each in state.items()}
    layout = recognise(state)

    given = plain((read_config_json(path, layout) if path else {}) | note | choices)
    given.pop("in_chans", None)  # the shapes show it
    names = choices.get("class_names") if num_classes is not None else None  # of the new head
    if names is not None:
        given["class_names"] = ()
    if size := made_for or (image_size if layout.family != "ViT" else None):
        given["image_size"] = pair_of(size)

    ours, left = to_ours(state, layout)
    first = next((name for name in FIRST if name in ours), None)
    if first is None:  # no configuration without it
        expected = {FIRST[1 if layout.family == "ConvNeXt" else 2]: torch.empty(0), **ours}
        check_fit(ours, expected, f"any {layout.family} in {layout.library}'s layout", layout, left)
    elif in_chans is not None and ours[first].ndim == 4 and ours[first].shape[1] != in_chans:
        ours, given = ours | {first: with_channels(ours[first], in_chans)}, fitted_statistics(given, in_chans)
        layout = replace(layout, implies=fitted_statistics(layout.implies, in_chans))
    try:
        config = config_of(ours, layout, given, like, heads_of(state))
    except CheckpointError as error:
        raise CheckpointError(f"{error}{looks_like(left)}") from None
    if isinstance(config, ViTConfig) and config.positions == "learned":
        ours = move_rows(ours, ours["pos_embed"].shape[1] - config.grid.tokens, config.prefix_rows)

    model = filled(config, ours, layout, left, num_classes, dtype, generator).to(place).eval()
    if names is not None:
        model.config = replace(model.config, class_names=tuple(names))
    return model if image_size is None else _resized(model, pair_of(image_size), sure="image_size" in given)


def _resized(model: Any, size: tuple[int, int], sure: bool) -> Any:
    """The model for pictures of another size. Errors: CheckpointError if the present grid was a guess (not `sure`), and
    `size` has as many patches in another grid."""
    if not sure:
        side, patches, (high, wide) = model.config.grid, replace(model.config, image_size=size).grid, size
        if patches.tokens == side.tokens and patches != side:
            raise CheckpointError(
                f"the positions fit {side.height}×{side.width} pixels and {high}×{wide} alike: give the size that they "
                "were made for, made_for=(height, width)"
            )
    return model.resized(size)
