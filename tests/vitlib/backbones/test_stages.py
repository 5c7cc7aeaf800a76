"""Swin, ConvNeXt and the hybrid as a whole and in parts: compiled, resized, regularised, and clear refusals."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from tests.vitlib.backbones.test_presets import TINY, make, pictures
from vitlib.backbones.convnext import ConvNeXtBlock, ConvNeXtConfig
from vitlib.backbones.hybrid import Hybrid, HybridConfig
from vitlib.backbones.stages import StageConfig
from vitlib.backbones.swin import PatchMerging, Swin, SwinConfig

# The whole models


@pytest.mark.parametrize("kind", TINY)
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


def test_a_convnext_block_is_its_formula() -> None:
    block = ConvNeXtBlock(6, kernel_size=3, layer_scale=0.5).double()
    x = torch.randn(2, 5, 4, 6, generator=torch.Generator().manual_seed(0)).double()  # B H W C
    padded = nn.functional.pad(x, (0, 0, 1, 1, 1, 1))  # a border of one
    near = torch.zeros_like(x) + block.conv_dw.bias
    for i in range(3):
        for j in range(3):
            near += padded[:, i : i + 5, j : j + 4] * block.conv_dw.weight[:, 0, i, j]
    expected = x + block.gamma * block.mlp(block.norm(near))
    torch.testing.assert_close(block(x.permute(0, 3, 1, 2)), expected.permute(0, 3, 1, 2))


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
        (SwinConfig, {"image_size": (224, 242)}, "242 pixels wide: no multiple of patch_size 4; choose 240 or 244"),
        (SwinConfig, {"num_heads": (3, 6)}, r"num_heads are \(3, 6\) and .*: expected one number for each stage"),
        (SwinConfig, {"depths": (2, 0, 2, 2)}, "depths is 0: expected at least 1"),
        (ConvNeXtConfig, {"image_size": (32, 50)}, "50 pixels wide: patch 4, halved 3 times, takes multiples of 32; "
         "choose 32 or 64"),
        (ConvNeXtConfig, {"kernel_size": 4}, "kernel_size is 4: expected an odd side"),
        (ConvNeXtConfig, {"dims": (8, 16)}, r"dims are \(8, 16\) .*: expected one number for each stage"),
        (ConvNeXtConfig, {"mean": (0.5, 0.5)}, "mean has 2 numbers: expected 1, or 3"),
        (HybridConfig, {"stem": (8, 16)}, "patch_size is 16 and the stem has 2 convolutions, .*: choose 4"),
    ],
)  # fmt: skip
def test_choices_that_cannot_go_together_are_refused(kind: Any, choices: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kind(**choices)


def test_heads_that_do_not_share_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="4 heads cannot share a width of 6"):
        Swin(SwinConfig(embed_dim=6, num_heads=(4, 4, 4, 4)))


def test_a_side_that_no_pairs_fill_gets_zeros() -> None:
    merging = PatchMerging(grid=(1, 3), width=1)
    merging.norm, merging.reduction = nn.Identity(), nn.Identity()  # type: ignore[assignment]
    assert merging(torch.arange(1.0, 4).view(1, 3, 1)).tolist() == [[[1, 0, 2, 0], [3, 0, 0, 0]]]


@pytest.mark.parametrize("kind", ["swin", "convnext", "hybrid"])
def test_pictures_that_the_model_was_not_made_for_are_refused(kind: str, as_a_learner: None) -> None:
    with pytest.raises(ValueError, match=r"\(1, 3, 32, 32\): expected .*; resize the images, or take model.resized"):
        make(kind)(torch.zeros(1, 3, 32, 32))


def test_stages_are_halved_and_doubled() -> None:
    config: StageConfig = SwinConfig(image_size=(448, 224))
    assert config.grids == ((112, 56), (56, 28), (28, 14), (14, 7))
    assert [SwinConfig().windows(stage, 1).shift for stage in range(4)] == [3, 3, 3, 0]  # the last is one window
    assert [config.windows(stage, 1).shift for stage in range(4)] == [3, 3, 3, (3, 0)]  # one window wide
