"""Names of the papers' own code, of backbones without a classifier, and of versions that are refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    ConvNextConfig,
    ConvNextModel,
    SwinModel,
)
from transformers import SwinConfig as HFSwinConfig

from tests.vitlib.backbones.test_presets import formula, make, pictures, shapes
from tests.vitlib.reference.make import images
from tests.vitlib.weights.shared import assert_equal, refusal, tensors
from vitlib.backbones.swin import Swin, SwinConfig
from vitlib.weights import convert, load, load_into


def official_swin(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Ours → microsoft/Swin-Transformer's: a merging belongs to the stage before it."""
    names = {name: name.replace("head.fc.", "head.") for name in state}
    for name in state:
        if ".downsample." in name:
            _, stage, rest = name.split(".", 2)
            names[name] = f"layers.{int(stage) - 1}.{rest}"
    index = {"layers.0.blocks.0.attn.relative_position_index": torch.zeros(16, 16, dtype=torch.long)}
    return {names[name]: each for name, each in state.items()} | index


def official_convnext(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Ours → facebookresearch/ConvNeXt's."""
    theirs = {}
    for name, each in state.items():
        words = name.split(".")
        if words[0] == "stem":
            new = f"downsample_layers.0.{words[1]}.{words[2]}"
        elif words[0] == "stages" and words[2] == "downsample":
            new = f"downsample_layers.{words[1]}.{words[3]}.{words[4]}"
        elif words[0] == "stages":
            rest = ".".join(words[4:]).replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv")
            new = f"stages.{words[1]}.{words[3]}.{rest}"
        else:
            new = name.replace("head.norm.", "norm.").replace("head.fc.", "head.")
        theirs[new] = each
    return theirs


@pytest.mark.parametrize(("kind", "official"), [("swin", official_swin), ("convnext", official_convnext)])
def test_the_papers_own_names_are_read(kind: str, official: Any, tmp_path: Path) -> None:
    model = make(kind)
    torch.save({"model": official(model.state_dict()), "epoch": 3}, tmp_path / "official.pth")
    size, channels = model.config.image_size, {"mean": model.config.mean, "std": model.config.std}
    loaded = load(tmp_path / "official.pth", image_size=size, **channels)
    assert_equal(loaded.state_dict(), model.state_dict())
    load_into(
        type(model)(model.config), {f"module.{name}": each for name, each in official(model.state_dict()).items()}
    )


@torch.no_grad()
@pytest.mark.parametrize("stored", [False, True])
def test_bare_backbones_of_transformers_are_read(stored: bool, tmp_path: Path) -> None:
    swin = SwinModel(
        HFSwinConfig(image_size=32, patch_size=2, embed_dim=16, depths=[2, 1], num_heads=[2, 4], window_size=4)
    )
    convnext = ConvNextModel(ConvNextConfig(depths=[1, 2], hidden_sizes=[8, 16], num_stages=2))
    for theirs in (swin.eval(), convnext.eval()):
        theirs.load_state_dict(formula(shapes(theirs)), strict=False)
        theirs.save_pretrained(tmp_path)
        model = load(tmp_path if stored else theirs.state_dict(), image_size=32)
        assert model.config.num_classes == 0
        batch = images(3, 32, 32)
        expected = theirs(batch).pooler_output
        torch.testing.assert_close(model(batch), expected, rtol=0, atol=1e-5)


def test_second_versions_are_named() -> None:
    state = {
        "layers.0.blocks.0.attn.logit_scale": torch.zeros(2, 1, 1),
        "layers.0.blocks.0.attn.qkv.weight": torch.zeros(6, 2),
    }
    assert "looks like the second version, Swin V2" in refusal(lambda: load(state))


def test_smaller_tables_of_timm_are_whole_again() -> None:
    """timm takes smaller windows in small grids; what its tables lack are distances that occur in larger ones alone."""
    config = SwinConfig(image_size=(16, 32), patch_size=2, depths=(1, 1), embed_dim=8, num_heads=(1, 2), window_size=7,
                        num_classes=3)  # fmt: skip
    model = Swin(config)
    small = dict(model.state_dict())
    for stage, (high, wide) in enumerate([(7, 7), (4, 7)]):
        name = f"layers.{stage}.blocks.0.attn.relative_position_bias_table"
        table = small[name].T.unflatten(1, (13, 13))
        small[name] = table[:, 7 - high : 6 + high, 7 - wide : 6 + wide].flatten(1).T
    loaded = load(small, image_size=(16, 32)).eval()
    torch.testing.assert_close(loaded(pictures(model)), model.eval()(pictures(model)))


def test_what_convert_gives_still_loads() -> None:
    assert_equal(load(convert(tensors(), "hf"), num_heads=4).state_dict(), tensors())
