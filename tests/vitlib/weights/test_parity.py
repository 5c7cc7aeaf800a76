"""The same weights give the same numbers as timm, torchvision and transformers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    ViTForImageClassification,
    ViTModel,
)
from transformers import ViTConfig as HFConfig

from tests.vitlib.reference.make import PATH, images, weights
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT
from vitlib.weights import load, save

REFERENCE = json.loads(PATH.read_text())
# what the tensors of a variant don't show; heads are never shown
TOLD: dict[str, dict[str, Any]] = {
    "tanh GELU": {"gelu": "tanh"},
    "mean of normed tokens": {"global_pool": "avg", "norm_before_pool": True},
    "not square": {"made_for": (24, 40)},
    "timm resized": {"image_size": (48, 24)},
    "torchvision resized": {"image_size": 48},
}


@torch.no_grad()
def assert_same(model: ViT, pictures: Tensor, expected: Tensor, within: float = 1e-5) -> None:
    torch.testing.assert_close(model(pictures), expected, rtol=0, atol=within)


@pytest.mark.parametrize("name", REFERENCE)
def test_timm_and_torchvision_give_these_logits(name: str) -> None:
    reference = REFERENCE[name]
    model = load(weights(reference["shapes"]), num_heads=4, **TOLD.get(name, {}))
    assert_same(model, images(*reference["images"]), torch.tensor(reference["logits"]))


@pytest.mark.parametrize("name", ["tanh GELU", "mean of normed tokens"])
def test_the_reference_tells_apart_what_no_tensor_shows(name: str) -> None:
    reference = REFERENCE[name]
    model = load(weights(reference["shapes"]), num_heads=4)
    with torch.no_grad():
        difference = model(images(*reference["images"])) - torch.tensor(reference["logits"])
    assert difference.abs().max() > 5e-5


# transformers, live: random weights, nothing is downloaded

HF = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32, "patch_size": 8}


def shaken(model: torch.nn.Module) -> Any:
    """Every parameter far from its initial value, so that none can be forgotten unnoticed."""
    model.load_state_dict(weights({name: tuple(each.shape) for name, each in model.state_dict().items()}))
    return model.eval()


@pytest.fixture
def hf_classifier() -> ViTForImageClassification:
    return shaken(ViTForImageClassification(HFConfig(**HF, intermediate_size=48, num_labels=5)))


@torch.no_grad()
def test_transformers_in_memory(hf_classifier: ViTForImageClassification) -> None:
    pictures = images(3, 32, 32)
    model = load(hf_classifier.state_dict(), num_heads=4)
    assert model.config.eps == 1e-12
    assert_same(model, pictures, hf_classifier(pictures).logits)


@torch.no_grad()
def test_transformers_from_disk_needs_no_hint(hf_classifier: ViTForImageClassification, tmp_path: Path) -> None:
    hf_classifier.save_pretrained(tmp_path)
    pictures = images(3, 32, 32)
    assert_same(load(tmp_path), pictures, hf_classifier(pictures).logits)


@torch.no_grad()
@pytest.mark.parametrize("size", [(48, 48), (24, 56)])
def test_transformers_at_another_size(hf_classifier: ViTForImageClassification, size: tuple[int, int]) -> None:
    pictures = images(3, *size)
    model = load(hf_classifier.state_dict(), num_heads=4, image_size=size)
    assert_same(model, pictures, hf_classifier(pictures, interpolate_pos_encoding=True).logits)


@torch.no_grad()
def test_transformers_not_square_and_tanh(tmp_path: Path) -> None:
    config = HFConfig(**HF | {"image_size": [16, 40], "hidden_act": "gelu_new"}, num_labels=5)
    theirs = shaken(ViTForImageClassification(config))
    theirs.save_pretrained(tmp_path)
    pictures = images(3, 16, 40)
    assert_same(load(tmp_path), pictures, theirs(pictures).logits)


@torch.no_grad()
def test_transformers_features_without_their_pooler(tmp_path: Path) -> None:
    theirs = shaken(ViTModel(HFConfig(**HF)))
    pictures = images(3, 32, 32)
    features = theirs(pictures).last_hidden_state[:, 0]
    assert_same(load(theirs.state_dict(), num_heads=4), pictures, features)
    theirs.save_pretrained(tmp_path)
    assert_same(load(tmp_path), pictures, features)


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 32), (40, 24)])
@pytest.mark.parametrize(
    "theirs",
    [Dinov2Model(Dinov2Config(**HF)), Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**HF, num_register_tokens=3))],
    ids=["DINOv2", "with registers"],
)
def test_transformers_dinov2(theirs: torch.nn.Module, size: tuple[int, int], tmp_path: Path) -> None:
    pictures = images(3, *size)
    features = shaken(theirs)(pictures).last_hidden_state[:, 0]
    assert_same(load(theirs.state_dict(), num_heads=4, image_size=size), pictures, features)
    theirs.save_pretrained(tmp_path)
    assert_same(load(tmp_path, image_size=size), pictures, features)


@torch.no_grad()
@pytest.mark.parametrize("layout", ["hf", "hf-disk"])
@pytest.mark.parametrize("classes", [5, 0])
def test_transformers_reads_what_we_save(layout: str, classes: int, tmp_path: Path) -> None:
    config = ViTConfig((32, 32), 8, num_classes=classes, embed_dim=32, depth=2, num_heads=4, eps=1e-9, gelu="tanh")
    ours = shaken(ViT(config))
    save(ours, tmp_path / "saved", layout)
    kind = ViTForImageClassification if classes else ViTModel
    theirs, report = kind.from_pretrained(tmp_path / "saved", output_loading_info=True)
    pictures = images(3, 32, 32)
    answer = theirs.eval()(pictures)
    assert not report["unexpected_keys"] and not report["mismatched_keys"]
    assert_same(ours, pictures, answer.logits if classes else answer.last_hidden_state[:, 0])


@torch.no_grad()
@pytest.mark.parametrize("registers", [0, 3])
def test_transformers_reads_our_dinov2(registers: int, tmp_path: Path) -> None:
    sizes = {"num_classes": 0, "embed_dim": 32, "depth": 2, "num_heads": 4}
    ours = shaken(ViT(ViTConfig((32, 32), 8, **sizes, reg_tokens=registers, layer_scale=0.1)))
    save(ours, tmp_path / "saved", "hf-dinov2")
    kind = Dinov2WithRegistersModel if registers else Dinov2Model
    theirs, report = kind.from_pretrained(tmp_path / "saved", output_loading_info=True)
    pictures = images(3, 32, 32)
    assert not any(report.values())
    assert_same(ours, pictures, theirs.eval()(pictures).last_hidden_state[:, 0])
