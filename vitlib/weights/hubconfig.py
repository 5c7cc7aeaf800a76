"""The config.json beside a checkpoint: what transformers and timm write there of a model's choices."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitlib.vit.config import ViTConfig, renamed
from vitlib.weights.files import CheckpointError

# transformers' fields that the tensors of a Vision Transformer don't show, with the width as a check; and ours
FIELDS = {
    "hidden_size": "embed_dim",
    "num_attention_heads": "num_heads",
    "layer_norm_eps": "eps",
    "hidden_act": "gelu",
    "image_size": "image_size",
}
GELU = {"gelu": "erf", "gelu_python": "erf", "gelu_new": "tanh", "gelu_fast": "tanh", "gelu_pytorch_tanh": "tanh"}


def read_beside(path: Path, layout: str) -> dict[str, Any]:
    """Fields of ViTConfig from config.json (and preprocessor_config.json) in the folder of `path`; {} without one."""
    config = _json(path.with_name("config.json"))
    if layout.startswith("hf"):
        known = {ours: config[theirs] for theirs, ours in FIELDS.items() if theirs in config}
        if "gelu" in known:
            if known["gelu"] not in GELU:
                raise CheckpointError(f"hidden_act is {known['gelu']!r}: expected a GELU, one of {', '.join(GELU)}")
            known["gelu"] = GELU[known["gelu"]]
        pixels = _json(path.with_name("preprocessor_config.json"))
        known |= {ours: pixels[f"image_{ours}"] for ours in ("mean", "std") if f"image_{ours}" in pixels}
    else:
        pretrained = config.get("pretrained_cfg", {}) if layout == "timm" else {}
        known = {field: pretrained[field] for field in ("mean", "std") if field in pretrained}
        if "input_size" in pretrained:
            known["image_size"] = pretrained["input_size"][1:]  # channels, height, width
    if isinstance(known.get("image_size"), int):
        known["image_size"] = (known["image_size"], known["image_size"])
    return plain(known)


def plain(known: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples of ViTConfig, under the names that its fields have today."""
    return {field: tuple(value) if isinstance(value, list) else value for field, value in renamed(known).items()}


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
    if layout == "hf-dinov2":
        if hidden % config.embed_dim:
            raise CheckpointError(
                f"the MLP is {hidden} wide: transformers' DINOv2 needs a multiple of {config.embed_dim}"
            )
        name, base = ("dinov2_with_registers", "Dinov2WithRegisters") if config.reg_tokens else ("dinov2", "Dinov2")
        fields |= {"mlp_ratio": hidden // config.embed_dim, "num_register_tokens": config.reg_tokens}
        return {"model_type": name, "architectures": [f"{base}Model"], **fields}
    labels = {f"LABEL_{k}": k for k in range(config.num_classes)}
    fields |= {"intermediate_size": hidden, "label2id": labels, "id2label": {k: label for label, k in labels.items()}}
    return {"model_type": "vit", "architectures": ["ViTForImageClassification" if labels else "ViTModel"], **fields}


def _json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise CheckpointError(f"{path} is no JSON ({error}); fetch it again or take it away") from None
    return content if isinstance(content, dict) else {}
