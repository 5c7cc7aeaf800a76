"""Swin, ConvNeXt and hybrids: the numbers of timm, torchvision and transformers, the published sizes, the names."""

import json
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import ConvNextConfig, ConvNextForImageClassification, SwinForImageClassification
from transformers import SwinConfig as HFSwinConfig

from tests.vitlib.reference.backbones import PATH
from tests.vitlib.reference.backbones import given as formula
from tests.vitlib.reference.make import images
from vitlib.backbones.convnext import ConvNeXt, ConvNeXtConfig
from vitlib.backbones.hybrid import HybridConfig
from vitlib.backbones.presets import BACKBONES, MODELS
from vitlib.backbones.swin import Swin, SwinConfig
from vitlib.backbones.windows import WindowAttention
from vitlib.models import create
from vitlib.weights import CheckpointError, convert, load_into

REFERENCE = json.loads(PATH.read_text())
CONFIGS = {"swin": SwinConfig, "convnext": ConvNeXtConfig, "hybrid": HybridConfig}
TINY: dict[str, Any] = {
    "swin": SwinConfig(
        image_size=(16, 32), patch_size=2, embed_dim=8, depths=(2, 1), num_heads=(2, 4), window_size=4, num_classes=5
    ),
    "swin, as the formula is written": SwinConfig(
        image_size=(16, 16),
        patch_size=2,
        embed_dim=8,
        depths=(1, 2),
        num_heads=(2, 4),
        window_size=4,
        num_classes=5,
        fused=False,
    ),
    "convnext": ConvNeXtConfig(image_size=(16, 32), depths=(1, 2), dims=(8, 16), num_classes=5, layer_scale=0.1),
    "hybrid": HybridConfig((16, 32), 8, num_classes=5, embed_dim=16, depth=1, num_heads=4, stem=(4, 8, 8)),
    "swin, regularised": SwinConfig(
        image_size=(16, 16),
        patch_size=2,
        embed_dim=8,
        depths=(1, 2),
        num_heads=(2, 4),
        window_size=4,
        num_classes=5,
        drop_path_rate=0.3,
    ),
    "convnext, regularised": ConvNeXtConfig(
        image_size=(16, 16), depths=(1, 2), dims=(8, 16), num_classes=5, layer_scale=0.1, drop_path_rate=0.3
    ),
    "swin, no classifier": SwinConfig(
        image_size=(16, 16), patch_size=2, embed_dim=8, depths=(2, 2), num_heads=(2, 4), window_size=4, num_classes=0
    ),
    "convnext, no classifier": ConvNeXtConfig(image_size=(16, 16), depths=(1, 1), dims=(8, 16), num_classes=0),
}


def make(kind: str) -> Any:
    """A small model, in evaluation mode, whose every parameter is far from its initial value."""
    config = TINY[kind]
    model = MODELS[type(config)](config).eval()
    model.load_state_dict(formula(shapes(model)), strict=False)
    return model


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(each.shape) for name, each in model.state_dict().items()}


def pictures(model: Any, count: int = 3) -> Tensor:
    c = model.config
    return torch.randn(count, c.in_chans, *c.image_size, generator=torch.Generator().manual_seed(2))


# Parity


def ours(reference: dict[str, Any]) -> Any:
    choices = {name: tuple(each) if isinstance(each, list) else each for name, each in reference["config"].items()}
    if choices.get("in_chans", 3) != 3 and reference["model"] != "hybrid":
        choices |= {"mean": (0.5,), "std": (0.5,)}
    if reference["model"] == "swin":
        choices["convention"] = reference["library"]
    config = CONFIGS[reference["model"]](**choices)
    return MODELS[type(config)](config).eval()


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in REFERENCE if "hybrid" not in name])
def test_timm_and_torchvision_give_these_logits(name: str) -> None:
    reference = REFERENCE[name]
    model = ours(reference)
    load_into(model, formula(reference["shapes"]))
    answers = model(images(model.config.in_chans, *model.config.image_size))
    torch.testing.assert_close(answers, torch.tensor(reference["logits"]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in REFERENCE if "timm" in name])
def test_parameters_have_timms_names_and_shapes(name: str) -> None:
    """But for the tables of windows that timm makes smaller with the grid: ours are as large as the others."""
    theirs, model = REFERENCE[name]["shapes"], ours(REFERENCE[name])
    small = {
        f"{key}.relative_position_bias_table": (2 * high - 1) * (2 * wide - 1)
        for key, each in model.named_modules()
        if isinstance(each, WindowAttention)
        for high, wide in [each.windows.sides]
        if (high, wide) != (model.config.window_size,) * 2
    }
    found = {key: [small.get(key, shape[0]), *shape[1:]] if shape else [] for key, shape in shapes(model).items()}
    assert found == theirs


def torchvisions_stem(name: str) -> str:
    """Our name of a tensor of torchvision's stem: its layers are (convolution, norm, ReLU), then the embedding."""
    name = re.sub(r"^conv_proj\.conv_bn_relu_(\d)\.0\.", r"patch_embed.backbone.\1.conv.", name)
    name = re.sub(r"^conv_proj\.conv_bn_relu_(\d)\.1\.", r"patch_embed.backbone.\1.bn.", name)
    return name.replace("conv_proj.conv_last.", "patch_embed.proj.")


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in REFERENCE if "hybrid" in name])
def test_hybrids_of_timm_and_torchvision_give_these_logits(name: str) -> None:
    reference = REFERENCE[name]
    model, state = ours(reference), formula(reference["shapes"])
    if "torchvision" in name:
        stem = {torchvisions_stem(key): each for key, each in state.items() if key.startswith("conv_proj.")}
        state = convert({key: each for key, each in state.items() if not key.startswith("conv_proj.")}, "timm") | stem
    missing = model.load_state_dict(state, strict=False)
    assert all(key.endswith("num_batches_tracked") for key in missing.missing_keys) and not missing.unexpected_keys
    answers = model(images(3, *model.config.image_size))
    torch.testing.assert_close(answers, torch.tensor(reference["logits"]), rtol=0, atol=1e-5)


def hf_swin() -> tuple[Any, Any]:
    config = SwinConfig(
        image_size=(32, 32),
        patch_size=2,
        embed_dim=16,
        depths=(2, 1, 2),
        num_heads=(2, 2, 4),
        window_size=4,
        num_classes=5,
        convention="hf",
    )
    theirs = HFSwinConfig(
        image_size=32, patch_size=2, embed_dim=16, depths=[2, 1, 2], num_heads=[2, 2, 4], window_size=4, num_labels=5
    )
    return SwinForImageClassification(theirs), Swin(config)


def hf_convnext() -> tuple[Any, Any]:
    theirs = ConvNextConfig(depths=[1, 1, 2], hidden_sizes=[8, 16, 24], num_stages=3, num_labels=5)
    config = ConvNeXtConfig(image_size=(32, 48), depths=(1, 1, 2), dims=(8, 16, 24), num_classes=5, head_eps=1e-12)
    return ConvNextForImageClassification(theirs), ConvNeXt(config)


@torch.no_grad()
@pytest.mark.parametrize("pair", [hf_swin, hf_convnext])
@pytest.mark.parametrize("stored", [False, True])
def test_transformers_gives_these_logits(pair: Any, stored: bool, tmp_path: Any) -> None:
    theirs, model = pair()
    theirs.load_state_dict(formula(shapes(theirs)), strict=False)
    theirs.eval()
    if stored:
        theirs.save_pretrained(tmp_path)
    load_into(model.eval(), tmp_path / "model.safetensors" if stored else theirs.state_dict())
    batch = images(3, *model.config.image_size)
    torch.testing.assert_close(model(batch), theirs(batch).logits, rtol=0, atol=1e-5)


def test_a_checkpoint_that_does_not_fit_is_refused() -> None:
    model = make("swin")
    state = model.state_dict()
    bigger = {**state, "head.fc.weight": torch.zeros(7, 16), "extra": torch.zeros(1)}
    del bigger["norm.bias"]
    words = r"Swin of depths \(2, 1\)[\s\S]*norm.bias[\s\S]*extra[\s\S]*head.fc.bias: is 5, expected 7"
    with pytest.raises(CheckpointError, match=words):
        load_into(model, bigger)
    with pytest.raises(CheckpointError, match=r"kind is 'Swin' in the model and 'ViT' in the checkpoint"):
        load_into(model, create("vit_cifar_patch4_32", depth=1).state_dict(), num_heads=3)
    theirs = {name: each for name, each in hf_swin()[0].state_dict().items() if "k_proj.bias" not in name}
    with pytest.raises(CheckpointError, match=r"missing \(5\):\n.*attn.k.bias \(# = 0…2\)\n"):
        load_into(hf_swin()[1], theirs)


# Sizes


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("swin_tiny_patch4_window7_224", 28_288_354),
        ("swin_small_patch4_window7_224", 49_606_258),
        ("swin_base_patch4_window7_224", 87_768_224),
        ("convnext_tiny", 28_589_128),
        ("convnext_small", 50_223_688),
        ("convnext_base", 88_591_464),
        ("vitc_1gf_patch16_224", 4_600_000),
        ("vitc_4gf_patch16_224", 17_800_000),
    ],
)
def test_parameters_are_as_many_as_published(name: str, parameters: int) -> None:
    config = BACKBONES[name]
    with torch.device("meta"):
        count = sum(each.numel() for each in MODELS[type(config)](config).parameters())
    rounded = round(count, -5) if name.startswith("vitc") else count  # published in millions, to one digit
    assert rounded == parameters


@pytest.mark.parametrize("name", [name for name, config in BACKBONES.items() if config.image_size[0] <= 64])
def test_the_small_family_runs_and_learns_from_every_parameter(name: str) -> None:
    model = create(name, seed=0, num_classes=4)
    answers = model(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert answers.shape == (2, 4)
    (answers * torch.linspace(1, 2, 8).view(2, 4)).square().sum().backward()
    assert [name for name, each in model.named_parameters() if each.grad is None or not each.grad.any()] == []


def test_the_seed_decides_the_weights() -> None:
    for name in ("swin_cifar_patch2_window4_32", "convnext_cifar_32", "vitc_cifar_patch4_32"):
        first, again, other = (create(name, seed=seed).state_dict() for seed in (0, 0, 1))
        assert all(torch.equal(each, again[key]) for key, each in first.items())
        assert any(not torch.equal(each, other[key]) for key, each in first.items())


def test_an_unknown_field_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="a Swin has no 'windows': did you mean 'window_size'"):
        create("swin_cifar_patch2_window4_32", windows=4)
    with pytest.raises(ValueError, match="did you mean 'convnext_tiny'"):
        create("convnext_tin")
