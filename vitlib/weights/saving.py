"""`save`: a file from a model, in the layout of any library."""

import json
import warnings
from dataclasses import asdict
from os import PathLike
from pathlib import Path

import torch
from torch import nn

from vitlib.weights import files
from vitlib.weights.beside import hf_config, hf_pixels
from vitlib.weights.config import config_of
from vitlib.weights.files import CheckpointError
from vitlib.weights.into import plain_model
from vitlib.weights.recognise import layout_named
from vitlib.weights.renaming import to_ours, to_theirs


def save(model: nn.Module, path: str | PathLike[str], layout: str = "timm") -> None:
    """Write a model's weights in a layout, as .safetensors, .pth, .pt or .npz: the whole file or none.

    The model's configuration travels in the file as a note that other libraries don't see. A path without a suffix
    is a folder, for the layouts of Hugging Face: `from_pretrained` and `pipeline` read it, with the classes' names and
    the pictures' normalisation. Only a plain ViT has more than timm's.

    Errors: TypeError for another kind of model; CheckpointError where the layout has no place for a tensor, or its own
    library would compute something else with them, naming the choice. A warning where attention is not the ViT's own
    (with_windows, with_pooled_keys), as no file says so.
    """
    target = plain_model(model)
    others = {type(block.attn).__name__ for block in getattr(target, "blocks", ())} - {"Attention"}
    if others:
        warnings.warn(
            f"{', '.join(sorted(others))} is not written: what is loaded from the file attends to everything; take the "
            "copy with cheaper attention again then",
            UserWarning,
            stacklevel=2,
        )
    path, config, state = Path(path), target.config, dict(target.state_dict())
    family, note = type(target).__name__, asdict(config)
    if family in ("Swin", "ConvNeXt", "Hybrid"):
        layout_named(layout, family)
        files.write(path, state, note)
        return
    column = layout_named(layout)
    if config.positions != "learned" and "positions" not in column.settable:
        raise CheckpointError(
            f"{layout} keeps learned positions, and this model's are {config.positions!r}; save it as 'timm'"
        )
    state |= {name: torch.zeros(1, config.embed_dim) for name in column.zeros}
    theirs = to_theirs(state, column, config.prefix_positions, config.num_heads)
    # what the layout's library would make of these tensors, told what its users can tell it
    told = {field: getattr(config, field) for field in ("num_heads", "image_size", "mean", "std", *column.settable)}
    made, _ = config_of(to_ours(theirs, column)[0], column, told)
    apart = [f for f in ("eps", "gelu", "global_pool", "norm_before_pool") if getattr(made, f) != getattr(config, f)]
    if apart:
        raise CheckpointError(
            f"{layout}'s own model has {', '.join(f'{f}={getattr(made, f)!r}' for f in apart)}, this one has "
            f"{', '.join(f'{f}={getattr(config, f)!r}' for f in apart)}: it would compute something else; save it "
            "as 'timm', or convert(model.state_dict(), …) for the names alone"
        )
    if layout.startswith("hf") and not path.suffix:
        beside = {"config.json": hf_config(config, layout), "preprocessor_config.json": hf_pixels(config)}
        path.mkdir(parents=True, exist_ok=True)
        files.write(path / "model.safetensors", theirs, note)
        for name, content in beside.items():
            with files.whole(path / name) as draft:
                draft.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
    else:
        files.write(path, theirs, note)
