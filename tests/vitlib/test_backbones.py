"""Swin, ConvNeXt and hybrids: the numbers of timm, torchvision and transformers, the published sizes, one graph."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import ConvNextConfig, ConvNextForImageClassification, SwinForImageClassification
from transformers import SwinConfig as HFSwinConfig

from tests.vitlib.reference.backbones import PATH
from tests.vitlib.reference.backbones import given as formula
from tests.vitlib.reference.make import images
from vitlib.backbones import BACKBONES, MODELS
from vitlib.convnext import ConvNeXt, ConvNeXtBlock, ConvNeXtConfig, patch_convolution
from vitlib.hybrid import Hybrid, HybridConfig
from vitlib.presets import create
from vitlib.stages import StageConfig
from vitlib.swin import PatchMerging, Swin, SwinConfig
from vitlib.weights import CheckpointError, convert
from vitlib.weights.backbones import fill, to_timm

REFERENCE = json.loads(PATH.read_text())
CONFIGS = {"swin": SwinConfig, "convnext": ConvNeXtConfig, "hybrid": HybridConfig}
TINY: dict[str, Any] = {
    "swin": SwinConfig(image_size=(16, 32), patch=2, width=8, depths=(2, 1), heads=(2, 4), window=4, num_classes=5),
    "swin, as the formula is written": SwinConfig(
        image_size=(16, 16), patch=2, width=8, depths=(1, 2), heads=(2, 4), window=4, num_classes=5, fused=False
    ),
    "convnext": ConvNeXtConfig(image_size=(16, 32), depths=(1, 2), widths=(8, 16), num_classes=5, layer_scale=0.1),
    "hybrid": HybridConfig((16, 32), 8, num_classes=5, width=16, depth=1, heads=4, stem=(4, 8, 8)),
    "swin, regularised": SwinConfig(
        image_size=(16, 16), patch=2, width=8, depths=(1, 2), heads=(2, 4), window=4, num_classes=5, drop_path=0.3
    ),
    "convnext, regularised": ConvNeXtConfig(
        image_size=(16, 16), depths=(1, 2), widths=(8, 16), num_classes=5, layer_scale=0.1, drop_path=0.3
    ),
    "swin, no classifier": SwinConfig(
        image_size=(16, 16), patch=2, width=8, depths=(2, 2), heads=(2, 4), window=4, num_classes=0
    ),
    "convnext, no classifier": ConvNeXtConfig(image_size=(16, 16), depths=(1, 1), widths=(8, 16), num_classes=0),
}
every_kind = pytest.mark.parametrize("kind", TINY)


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
    return torch.randn(count, c.channels, *c.image_size, generator=torch.Generator().manual_seed(2))


# Parity


def ours(reference: dict[str, Any]) -> Any:
    choices = {name: tuple(each) if isinstance(each, list) else each for name, each in reference["config"].items()}
    if choices.get("channels", 3) != 3 and reference["model"] != "hybrid":
        choices |= {"mean": (0.5,), "std": (0.5,)}
    config = CONFIGS[reference["model"]](**choices)
    return MODELS[type(config)](config).eval()


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in REFERENCE if "hybrid" not in name])
def test_timm_and_torchvision_give_these_logits(name: str) -> None:
    reference = REFERENCE[name]
    model = ours(reference)
    fill(model, formula(reference["shapes"]))
    answers = model(images(model.config.channels, *model.config.image_size))
    torch.testing.assert_close(answers, torch.tensor(reference["logits"]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in REFERENCE if "timm" in name])
def test_parameters_have_timms_names_and_shapes(name: str) -> None:
    found = {key: list(shape) for key, shape in shapes(ours(REFERENCE[name])).items()}
    assert found == REFERENCE[name]["shapes"]


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
        image_size=(32, 32), patch=2, width=16, depths=(2, 1, 2), heads=(2, 2, 4), window=4, num_classes=5
    )
    theirs = HFSwinConfig(
        image_size=32, patch_size=2, embed_dim=16, depths=[2, 1, 2], num_heads=[2, 2, 4], window_size=4, num_labels=5
    )
    return SwinForImageClassification(theirs), Swin(config)


def hf_convnext() -> tuple[Any, Any]:
    theirs = ConvNextConfig(depths=[1, 1, 2], hidden_sizes=[8, 16, 24], num_stages=3, num_labels=5)
    config = ConvNeXtConfig(image_size=(32, 48), depths=(1, 1, 2), widths=(8, 16, 24), num_classes=5)
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
    fill(model.eval(), tmp_path / "model.safetensors" if stored else theirs.state_dict())
    batch = images(3, *model.config.image_size)
    torch.testing.assert_close(model(batch), theirs(batch).logits, rtol=0, atol=1e-5)


def test_a_checkpoint_that_does_not_fit_is_refused() -> None:
    model = make("swin")
    state = model.state_dict()
    bigger = {**state, "head.fc.weight": torch.zeros(7, 16), "extra": torch.zeros(1)}
    del bigger["norm.bias"]
    words = r"Swin of depths \(2, 1\)[\s\S]*norm.bias[\s\S]*extra[\s\S]*7×16, expected 5×16"
    with pytest.raises(CheckpointError, match=words):
        fill(model, bigger)
    with pytest.raises(CheckpointError, match=r"neither Swin nor ConvNeXt .* vitlib\.weights\.load"):
        to_timm({"blocks.0.norm1.bias": torch.zeros(2)})
    theirs = {name: each for name, each in hf_swin()[0].state_dict().items() if "k_proj.bias" not in name}
    with pytest.raises(CheckpointError, match=r"attn.q.bias is there, and .*attn.k.bias is missing"):
        to_timm(theirs)


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
    with pytest.raises(ValueError, match="a Swin has no 'windows': did you mean 'window'"):
        create("swin_cifar_patch2_window4_32", windows=4)
    with pytest.raises(ValueError, match="did you mean 'convnext_tiny'"):
        create("convnext_tin")


# The whole models


@every_kind
def test_return_all_has_the_same_logits_bit_for_bit(kind: str) -> None:
    model = make(kind)
    out = model(pictures(model), return_all=True)
    assert torch.equal(out["logits"], model(pictures(model)))
    assert list(out)[-2:] == ["pooled", "logits"]


@pytest.mark.parametrize("kind", ["swin", "swin, as the formula is written", "convnext", "hybrid"])
def test_compile_takes_the_whole_model_in_one_graph(kind: str, as_a_learner: None) -> None:
    torch.compiler.reset()
    model = make(kind)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.inference_mode():
        torch.testing.assert_close(compiled(pictures(model)), model(pictures(model)))


@pytest.mark.parametrize("kind", ["swin, regularised", "convnext, regularised", "hybrid"])
def test_compile_takes_training_and_autocast_in_one_graph(kind: str, as_a_learner: None) -> None:
    torch.compiler.reset()
    model = make(kind).train()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.autocast("cpu", torch.bfloat16):
        loss = compiled(pictures(model)).square().sum()
    loss.backward()
    assert next(model.parameters()).grad.abs().sum() > 0


@pytest.mark.parametrize("kind", ["swin", "convnext", "hybrid"])
def test_a_resized_model_has_the_same_weights(kind: str) -> None:
    model = make(kind)
    other = model.resized((32, 16))
    assert other(pictures(other)).shape == (3, 5)
    assert not other.training and model.config.image_size == (16, 32)
    weights = other.state_dict()
    assert all(torch.equal(each, weights[key]) for key, each in model.state_dict().items() if key != "pos_embed")


def test_both_forms_of_swin_agree() -> None:
    written = make("swin, as the formula is written")
    fused = Swin(replace(written.config, fused=True)).eval()
    fused.load_state_dict(written.state_dict())
    batch = pictures(fused)
    with torch.inference_mode():
        torch.testing.assert_close(fused(batch), written(batch))


def test_later_blocks_are_skipped_more_often() -> None:
    assert TINY["swin, regularised"].drop_paths == ((0.0,), (0.15, 0.3))
    model = make("convnext, regularised")
    assert [each.drop and each.drop.path for stage in model.stages for each in stage.blocks] == [None, 0.15, 0.3]
    images = pictures(model, 8)
    assert not torch.equal(model.train()(images), model(images))


# The parts


@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))
def test_a_convolution_by_patches_is_the_convolution(rows: int, columns: int, patch: int, channels: int) -> None:
    conv = nn.Conv2d(channels, 5, patch, stride=patch).double()
    x = torch.randn(2, rows * patch, columns * patch, channels).double()
    expected = conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(patch_convolution(x, conv), expected)


def test_a_convnext_block_is_its_formula() -> None:
    block = ConvNeXtBlock(6, kernel=3, layer_scale=0.5).double()
    x = torch.randn(2, 5, 4, 6, generator=torch.Generator().manual_seed(0)).double()
    padded = nn.functional.pad(x, (0, 0, 1, 1, 1, 1))  # a border of one
    near = torch.zeros_like(x) + block.conv_dw.bias
    for i in range(3):
        for j in range(3):
            near += padded[:, i : i + 5, j : j + 4] * block.conv_dw.weight[:, 0, i, j]
    torch.testing.assert_close(block(x), x + block.gamma * block.mlp(block.norm(near)))


def test_merging_puts_four_neighbours_side_by_side() -> None:
    merging = PatchMerging(grid=(2, 4), width=1)
    merging.norm, merging.reduction = nn.Identity(), nn.Identity()  # type: ignore[assignment]
    assert merging(torch.arange(8.0).view(1, 8, 1)).tolist() == [[[0, 4, 1, 5], [2, 6, 3, 7]]]


def test_the_stem_leaves_one_place_for_each_patch() -> None:
    model = make("hybrid")
    assert model.patch_embed.backbone(pictures(model)).shape == (3, 8, 2, 4)
    assert isinstance(model, Hybrid) and model.config.grid.tokens == 8


# Bad input


@pytest.mark.parametrize(
    ("kind", "choices", "words"),
    [
        (SwinConfig, {"image_size": (224, 240)}, "240 pixels wide: the last of 4 stages would have 7 × 7.5 tokens, no "
         "multiple of window 7; choose 224 or 448"),
        (SwinConfig, {"image_size": (64, 64)}, "64 pixels high: .* 2 × 2 tokens, no multiple of window 7; choose 224"),
        (SwinConfig, {"heads": (3, 6)}, r"heads are \(3, 6\) and depths .*: expected one number for each stage"),
        (SwinConfig, {"depths": (2, 0, 2, 2)}, "expected at least one stage, and a block in each"),
        (ConvNeXtConfig, {"image_size": (32, 50)}, "50 pixels wide: patch 4, halved 3 times, takes multiples of 32; "
         "choose 32 or 64"),
        (ConvNeXtConfig, {"kernel": 4}, "kernel is 4: expected an odd side"),
        (ConvNeXtConfig, {"widths": (8, 16)}, r"widths are \(8, 16\) .*: expected one number for each stage"),
        (ConvNeXtConfig, {"mean": (0.5, 0.5)}, "mean has 2 numbers: expected 1, or 3"),
        (HybridConfig, {"stem": (8, 16)}, "patch is 16 and the stem has 2 convolutions, .*: choose patch 4"),
    ],
)  # fmt: skip
def test_choices_that_cannot_go_together_are_refused(kind: Any, choices: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kind(**choices)


def test_heads_that_do_not_share_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="4 heads cannot share a width of 6"):
        Swin(SwinConfig(width=6, heads=(4, 4, 4, 4)))
    with pytest.raises(ValueError, match=r"the grid has 3 × 4 tokens"):
        PatchMerging((3, 4), 8)


@pytest.mark.parametrize("kind", ["swin", "convnext", "hybrid"])
def test_pictures_that_the_model_was_not_made_for_are_refused(kind: str, as_a_learner: None) -> None:
    with pytest.raises(ValueError, match=r"\(1, 3, 32, 32\): expected .*; resize the images, or take model.resized"):
        make(kind)(torch.zeros(1, 3, 32, 32))


def test_stages_are_halved_and_doubled() -> None:
    config: StageConfig = SwinConfig(image_size=(448, 224))
    assert config.grids == ((112, 56), (56, 28), (28, 14), (14, 7))
    assert [SwinConfig().windows(stage, 1).shift for stage in range(4)] == [3, 3, 3, 0]  # the last is one window
