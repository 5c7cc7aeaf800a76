"""`save`: write a model to a file, in the layout of any library."""

import json
import warnings
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vitlib.vit.config import ViTConfig
from vitlib.vit.fields import side_of
from vitlib.weights import files
from vitlib.weights.check import differences
from vitlib.weights.config import config_of
from vitlib.weights.files import CheckpointError
from vitlib.weights.into import plain_model
from vitlib.weights.recognise import layout_named
from vitlib.weights.renaming import to_ours, to_theirs


def save(model: nn.Module, path: str | PathLike[str], layout: str = "timm") -> None:
    """Write a model's weights in a layout, as .safetensors, .pth, .pt or .npz, atomically.

    The file also contains the model's configuration, in a note that other libraries ignore. With a layout of Hugging
    Face, a path without a suffix is a folder, with the names of the classes and the normalisation of the pictures:
    `from_pretrained` and `pipeline` read it. Hybrid, Swin and ConvNeXt can only be written in timm's layout.

    Errors: TypeError for another kind of model; CheckpointError if the layout does not have one of the tensors, or if
    its library would compute something else with them (the message names the field). A warning for a ViT with another
    attention (with_windows, with_pooled_keys), which no layout stores.
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
    family, note = type(config).__name__.removesuffix("Config"), asdict(config)
    column = layout_named(layout, family)
    if family != "ViT":  # in timm's names, which are ours
        files.write(path, state, note)
        return
    if config.positions != "learned" and "positions" not in column.settable:
        raise CheckpointError(
            f"{layout} keeps learned positions, and this model's are {config.positions!r}; save it as 'timm'"
        )
    if "mask_token" in column.names:  # the library needs it, and our models lack it
        state["mask_token"] = torch.zeros(1, config.embed_dim)
    theirs = to_theirs(state, column, config.prefix_rows, config.num_heads)
    # the configuration that the layout's library would have with these tensors, with the fields that users can set
    same = ("num_heads", "image_size", "mean", "std", "prefix_positions", *column.settable)
    given = {field: getattr(config, field) for field in same}
    made = config_of(to_ours(theirs, column)[0], column, given)
    if differing := differences(made, config):
        theirs_has, this_has = (", ".join(f"{f}={values[i]!r}" for f, values in differing.items()) for i in (0, 1))
        raise CheckpointError(
            f"{layout}'s own model has {theirs_has}, this one has {this_has}: it would compute something else; save it "
            "as 'timm', or convert(model.state_dict(), …) for the names alone"
        )
    if layout.startswith("hf") and not path.suffix:
        contents = {"config.json": _hf_config(config, layout), "preprocessor_config.json": _hf_pixels(config)}
        path.mkdir(parents=True, exist_ok=True)
        files.write(path / "model.safetensors", theirs, note)
        for name, content in contents.items():
            with files.whole(path / name) as draft:
                draft.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
    else:
        files.write(path, theirs, note)


def _hf_config(config: ViTConfig, layout: str) -> dict[str, Any]:
    """The config.json with which transformers builds the same model."""
    hidden = int(config.embed_dim * config.mlp_ratio)
    fields: dict[str, Any] = {
        "hidden_size": config.embed_dim,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.num_heads,
        "hidden_act": "gelu" if config.gelu == "erf" else "gelu_pytorch_tanh",
        "layer_norm_eps": config.eps,
        "image_size": side_of(config.image_size),
        "patch_size": config.patch_size,
        "num_channels": config.in_chans,
        "qkv_bias": True,
    }
    if layout == "hf-dinov2":
        if hidden % config.embed_dim:
            raise CheckpointError(
                f"the MLP is {hidden} wide: transformers' DINOv2 needs a multiple of {config.embed_dim}"
            )
        name, base = ("dinov2_with_registers", "Dinov2WithRegisters") if config.reg_tokens else ("dinov2", "Dinov2")
        fields |= {"mlp_ratio": hidden // config.embed_dim, "num_register_tokens": config.reg_tokens}
        return {"model_type": name, "architectures": [f"{base}Model"], **fields}
    names = config.class_names or [f"LABEL_{k}" for k in range(config.num_classes)]
    fields |= {
        "intermediate_size": hidden,
        "label2id": {name: k for k, name in enumerate(names)},
        "id2label": {k: name for k, name in enumerate(names)},
    }
    return {"model_type": "vit", "architectures": ["ViTForImageClassification" if names else "ViTModel"], **fields}


def _hf_pixels(config: ViTConfig) -> dict[str, Any]:
    """The preprocessor_config.json with which transformers prepares pictures for this model."""
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": config.image_size[0], "width": config.image_size[1]},
        "resample": 3,  # bicubic
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": config.mean * (config.in_chans // len(config.mean)),
        "image_std": config.std * (config.in_chans // len(config.std)),
        **({"do_convert_rgb": True} if config.in_chans == 3 else {}),
    }
