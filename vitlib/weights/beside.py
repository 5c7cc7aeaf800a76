"""The config.json beside a checkpoint: what transformers and timm write there of a model's choices."""

import json
from collections.abc import Mapping
from math import isclose
from pathlib import Path
from typing import Any

from vitlib.backbones.presets import BACKBONES
from vitlib.vit.config import ViTConfig
from vitlib.vit.presets import PRESETS
from vitlib.weights.files import CheckpointError
from vitlib.weights.layouts import Layout

GELU = {"gelu": "erf", "gelu_python": "erf", "gelu_new": "tanh", "gelu_fast": "tanh", "gelu_pytorch_tanh": "tanh",
        "gelu_tanh": "tanh", "gelu_erf": "erf"}  # fmt: skip


def read_beside(path: Path, layout: Layout) -> dict[str, Any]:
    """Fields of the configuration of a model in this layout from the files beside `path`; {} where there are none."""
    config = _json(path.with_name("config.json"))
    if layout.library.startswith("hf"):
        pixels = _json(path.with_name("preprocessor_config.json"))
        known = _of_transformers(config, layout.family) | _pixels(pixels, layout.implies)
        if "image_size" not in known and (size := _size(pixels)):
            known["image_size"] = size
    elif layout.library in ("timm", "dinov2", "official"):
        known = _of_timm(config)
        if layout.family != "ViT":
            known.pop("global_pool", None)
    else:
        known = {}
    return plain(known)


def plain(known: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples of a configuration; a picture's one side as two."""
    fields = {field: tuple(value) if isinstance(value, list) else value for field, value in known.items()}
    if isinstance(fields.get("image_size"), int):
        fields["image_size"] = (fields["image_size"],) * 2
    return fields


def _of_transformers(config: Mapping[str, Any], kind: str) -> dict[str, Any]:
    same = {"image_size": "image_size"}
    names = {
        "ViT": same | {"hidden_size": "embed_dim", "num_attention_heads": "num_heads", "layer_norm_eps": "eps"},
        "Swin": same | {"window_size": "window_size", "layer_norm_eps": "eps", "num_heads": "num_heads"},
        "ConvNeXt": same | {"layer_norm_eps": "head_eps"},
    }[kind]
    if config.get("image_size", ...) is None or (kind == "ConvNeXt" and config.get("image_size") == 224):
        config = {field: value for field, value in config.items() if field != "image_size"}
    known = {ours: config[theirs] for theirs, ours in names.items() if theirs in config}
    if "hidden_act" in config:
        known["gelu"] = _gelu("hidden_act", config["hidden_act"])
    for theirs, expected in (("use_absolute_embeddings", False), ("use_swiglu_ffn", False), ("qkv_bias", True)):
        if config.get(theirs, expected) != expected:
            raise CheckpointError(f"config.json says {theirs}={config[theirs]!r}: our models have {expected!r} alone")
    labels = config.get("id2label") or {}
    names_of = [labels[key] for key in sorted(labels, key=int)]
    if names_of and any(name != f"LABEL_{i}" for i, name in enumerate(names_of)):
        known["class_names"] = tuple(map(str, names_of))
    return known


def _pixels(pixels: Mapping[str, Any], implied: Mapping[str, Any]) -> dict[str, Any]:
    """`mean` and `std` of pixels from 0 to 1. Its library multiplies bytes by a factor, and need not normalise."""
    if not pixels:
        return {}
    known = {ours: pixels[f"image_{ours}"] for ours in ("mean", "std") if f"image_{ours}" in pixels}
    if not pixels.get("do_normalize", True):
        known = {"mean": [0.0], "std": [1.0]}
    factor = 255 * pixels.get("rescale_factor", 1 / 255) if pixels.get("do_rescale", True) else 255.0
    if not isclose(factor, 1.0, rel_tol=1e-6):
        known = {field: known.get(field) or list(implied[field]) for field in ("mean", "std")}
        known = {field: [each / factor for each in values] for field, values in known.items()}
    return known


def _size(pixels: Mapping[str, Any]) -> Any:
    size = pixels.get("crop_size" if pixels.get("do_center_crop") else "size") or pixels.get("size")
    if not isinstance(size, Mapping):
        return size
    return [size["height"], size["width"]] if "height" in size and "width" in size else size.get("shortest_edge")


def _of_timm(config: Mapping[str, Any]) -> dict[str, Any]:
    pretrained = config.get("pretrained_cfg") or config  # older files have one level
    arguments = config.get("model_args") or {}
    known = {field: pretrained[field] for field in ("mean", "std") if field in pretrained}
    if "input_size" in pretrained:
        known["image_size"] = list(pretrained["input_size"][1:])  # channels, height, width
    preset = (PRESETS | BACKBONES).get(str(config.get("architecture", "")).split(".")[0])
    if isinstance(preset, ViTConfig):
        known["num_heads"] = preset.num_heads
    known |= {
        ours: arguments[theirs]
        for theirs, ours in (("num_heads", "num_heads"), ("img_size", "image_size"), ("window_size", "window_size"))
        if theirs in arguments
    }
    if isinstance(act := arguments.get("act_layer"), str):
        known["gelu"] = _gelu("act_layer", act)
    pool = arguments.get("global_pool", config.get("global_pool"))
    if pool in ("token", "avg", "map"):
        known["global_pool"] = pool
    if labels := pretrained.get("label_names"):
        known["class_names"] = tuple(labels)
    return known


def _gelu(field: str, value: Any) -> str:
    if value not in GELU:
        raise CheckpointError(f"{field} is {value!r}: expected a GELU, one of {', '.join(GELU)}")
    return GELU[value]


def hf_config(config: ViTConfig, layout: str) -> dict[str, Any]:
    """The config.json with which transformers builds the same model."""
    hidden = int(config.embed_dim * config.mlp_ratio)
    fields: dict[str, Any] = {
        "hidden_size": config.embed_dim,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.num_heads,
        "hidden_act": "gelu" if config.gelu == "erf" else "gelu_pytorch_tanh",
        "layer_norm_eps": config.eps,
        "image_size": list(config.image_size),
        "patch_size": config.patch_size if isinstance(config.patch_size, int) else list(config.patch_size),
        "num_channels": config.in_chans,
        "qkv_bias": True,
    }
    if config.image_size[0] == config.image_size[1]:
        fields["image_size"] = config.image_size[0]
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


def hf_pixels(config: ViTConfig) -> dict[str, Any]:
    """The preprocessor_config.json with which transformers prepares pictures as this model wants them."""
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": config.image_size[0], "width": config.image_size[1]},
        "resample": 3,  # bicubic
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(config.mean * (config.in_chans // len(config.mean))),
        "image_std": list(config.std * (config.in_chans // len(config.std))),
        **({"do_convert_rgb": True} if config.in_chans == 3 else {}),
    }


def _json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is no JSON ({error}); fetch it again or take it away") from None
    return content if isinstance(content, dict) else {}
