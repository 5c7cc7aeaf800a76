"""The config.json next to a checkpoint, in which transformers and timm write what the tensors do not show."""

import json
import re
import warnings
from collections.abc import Mapping
from math import isclose
from pathlib import Path
from typing import Any

from vitlib.backbones.presets import BACKBONES
from vitlib.vit.config import ViTConfig
from vitlib.vit.fields import pair_of, side_of
from vitlib.vit.presets import PRESETS
from vitlib.weights.files import CheckpointError
from vitlib.weights.layouts import Layout

GELU = {"gelu": "erf", "gelu_python": "erf", "gelu_new": "tanh", "gelu_fast": "tanh", "gelu_pytorch_tanh": "tanh",
        "gelu_tanh": "tanh", "gelu_erf": "erf"}  # fmt: skip
# timm's architectures that use the tanh approximation of GELU, though their config.json does not say so
TANH = re.compile(r"vit_((base_patch32|so400m_patch16|giantopt_patch16)_siglip|large_patch16_siglip_(gap_)?512)")


def read_config_json(path: Path, layout: Layout) -> dict[str, Any]:
    """Fields of the configuration, from the JSON files next to `path`; {} if there are none. null counts as absent."""
    config, pixels = _json(path.with_name("config.json")), _json(path.with_name("preprocessor_config.json"))
    known: dict[str, Any] = {}
    for told in (
        {"image_size": _size(pixels)},
        _of_transformers(config, layout.family),
        _pixels(pixels, layout.implies),
        _of_timm(config, layout.family),
    ):
        known |= {field: value for field, value in told.items() if value is not None}
    return known


def plain(known: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as a configuration has them: lists become tuples, image_size a pair, a square patch_size one side."""
    fields = {field: tuple(value) if isinstance(value, list) else value for field, value in known.items()}
    if "image_size" in fields:
        fields["image_size"] = pair_of(fields["image_size"])
    if "patch_size" in fields:
        fields["patch_size"] = side_of(fields["patch_size"])
    return fields


def _of_transformers(config: Mapping[str, Any], family: str) -> dict[str, Any]:
    for theirs, expected in (("use_absolute_embeddings", False), ("use_swiglu_ffn", False), ("qkv_bias", True)):
        if config.get(theirs, expected) != expected:
            raise CheckpointError(f"config.json says {theirs}={config[theirs]!r}: our models have {expected!r} alone")
    names = {
        "ViT": {"hidden_size": "embed_dim", "num_attention_heads": "num_heads", "layer_norm_eps": "eps"},
        "Swin": {"window_size": "window_size", "num_heads": "num_heads", "layer_norm_eps": "eps"},
        "ConvNeXt": {"layer_norm_eps": "head_eps"},
    }[family]
    size = config.get("image_size")
    return {ours: config.get(theirs) for theirs, ours in names.items()} | {
        "image_size": None if family == "ConvNeXt" and size == 224 else size,  # 224 is written whatever it was
        "gelu": _gelu("hidden_act", config),
        "class_names": _class_names(config.get("id2label") or {}) or None,
    }


def _class_names(labels: Mapping[str, Any]) -> tuple[str, ...]:
    """The class names in the order of their indices. A name that occurs twice gets its index. () for the placeholders
    LABEL_0, LABEL_1, … of transformers.

    >>> _class_names({"1": "crane", "0": "ant", "2": "crane"})
    ('ant', 'crane (1)', 'crane (2)')
    """
    if set(labels) != {str(k) for k in range(len(labels))}:
        warnings.warn(
            f"config.json's id2label numbers its classes {', '.join(labels)}: expected 0…{len(labels) - 1}; the names "
            "are left out. Give class_names=",
            UserWarning,
            stacklevel=4,
        )
        return ()
    names = [str(labels[str(k)]) for k in range(len(labels))]
    if all(name == f"LABEL_{k}" for k, name in enumerate(names)):
        return ()
    return tuple(name if names.count(name) == 1 else f"{name} ({k})" for k, name in enumerate(names))


def _pixels(pixels: Mapping[str, Any], implied: Mapping[str, Any]) -> dict[str, Any]:
    """`mean` and `std` for pixels from 0 to 1, from a preprocessor_config.json, which may scale bytes otherwise."""
    if not pixels:
        return {}
    known = {field: pixels.get(f"image_{field}") for field in ("mean", "std")}
    if not pixels.get("do_normalize", True):
        known = {"mean": [0.0], "std": [1.0]}
    factor = 255 * pixels.get("rescale_factor", 1 / 255) if pixels.get("do_rescale", True) else 255.0
    if not isclose(factor, 1.0, rel_tol=1e-6):
        known = {field: [each / factor for each in values or implied[field]] for field, values in known.items()}
    return known


def _size(pixels: Mapping[str, Any]) -> Any:
    size = pixels.get("crop_size" if pixels.get("do_center_crop") else "size") or pixels.get("size")
    if not isinstance(size, Mapping):
        return size
    return [size["height"], size["width"]] if "height" in size and "width" in size else size.get("shortest_edge")


def _of_timm(config: Mapping[str, Any], family: str) -> dict[str, Any]:
    pretrained = config.get("pretrained_cfg") or config  # older files have one level
    arguments, name = config.get("model_args") or {}, str(config.get("architecture", "")).split(".")[0]
    preset = (PRESETS | BACKBONES).get(name)
    pool = arguments.get("global_pool", config.get("global_pool"))
    if family != "ViT" and pool not in (None, "avg"):
        raise CheckpointError(f"config.json says global_pool={pool!r}: a {family} of ours averages, 'avg'")
    eps = 1e-5 if name.startswith("convnext_xxlarge") else None
    return {
        "mean": pretrained.get("mean"),
        "std": pretrained.get("std"),
        "image_size": arguments.get("img_size", pretrained.get("input_size", [])[1:] or None),  # behind the channels
        "num_heads": arguments.get("num_heads", preset.num_heads if isinstance(preset, ViTConfig) else None),
        "window_size": arguments.get("window_size"),
        "gelu": _gelu("act_layer", arguments) or ("tanh" if TANH.match(name) else None),
        "global_pool": pool if family == "ViT" else None,
        "class_names": pretrained.get("label_names") or None,
        "eps": eps,
        "head_eps": eps,
    }


def _gelu(field: str, config: Mapping[str, Any]) -> str | None:
    """Our name for the activation in a field of `config`; None if it is absent."""
    value = config.get(field)
    if value is not None and str(value) not in GELU:
        raise CheckpointError(f"{field} is {value!r}: expected a GELU, one of {', '.join(GELU)}")
    return GELU.get(str(value))


def _json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is no JSON ({error}); fetch it again or take it away") from None
    return content if isinstance(content, dict) else {}
