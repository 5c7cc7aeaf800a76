"""Models by name: the published sizes to the last parameter, and what an unknown name is answered."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch

import vitlib
from vitlib.backbones.convnext import ConvNeXt
from vitlib.backbones.hybrid import Hybrid
from vitlib.backbones.presets import BACKBONES, MODELS
from vitlib.backbones.swin import Swin
from vitlib.models import PRESETS, ConvNeXtName, HybridName, SwinName, ViTName, create, list_models
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT

PUBLISHED = {
    "vit_tiny_patch16_224": 5_717_416,
    "vit_small_patch16_224": 22_050_664,
    "vit_small_patch32_224": 22_878_952,
    "vit_base_patch16_224": 86_567_656,
    "vit_base_patch16_384": 86_859_496,
    "vit_base_patch32_224": 88_224_232,
    "vit_large_patch16_224": 304_326_632,
    "vit_large_patch32_384": 306_632_680,
    "vit_huge_patch14_224": 632_045_800,
}


def count(config: ViTConfig) -> int:
    with torch.device("meta"):  # shapes without numbers
        return sum(parameter.numel() for parameter in ViT(config).parameters())


def formula(config: ViTConfig) -> int:
    d, n, p = config.embed_dim, config.grid.tokens, config.grid.patch_height * config.grid.patch_width * config.in_chans
    block = (3 * d * d + 3 * d) + (d * d + d) + (4 * d * d + 4 * d) + (4 * d * d + d) + 2 * 2 * d
    return (p * d + d) + d + (n + 1) * d + config.depth * block + 2 * d + (d + 1) * config.num_classes


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_many_as_published(name: str) -> None:
    assert count(PRESETS[name]) == PUBLISHED[name]


@pytest.mark.parametrize("name", PRESETS)
def test_parameters_are_as_many_as_the_formula_says(name: str) -> None:
    assert count(PRESETS[name]) == formula(PRESETS[name])


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_head_has_64_numbers_and_80_in_the_huge_model(name: str) -> None:
    assert PRESETS[name].embed_dim / PRESETS[name].num_heads == (80 if "huge" in name else 64)


@pytest.mark.parametrize("name", PRESETS)
def test_a_name_says_patch_and_side(name: str) -> None:
    config = PRESETS[name]
    assert name.endswith(f"_patch{config.patch_size}_{config.image_size[0]}")
    assert config.image_size[0] == config.image_size[1]


@pytest.mark.parametrize("name", [name for name in PRESETS if PRESETS[name].image_size[0] <= 64])
def test_the_small_family_runs(name: str) -> None:
    config = PRESETS[name]
    images = torch.zeros(2, config.in_chans, *config.image_size)
    assert create(name)(images).shape == (2, config.num_classes)


def test_changes_are_fields_of_the_configuration() -> None:
    model = vitlib.create("vit_digits_patch2_8", num_classes=3, image_size=16, reg_tokens=2, mean=(0.3,))
    assert model.config == ViTConfig(
        image_size=(16, 16),
        patch_size=2,
        in_chans=1,
        num_classes=3,
        embed_dim=48,
        depth=3,
        num_heads=4,
        reg_tokens=2,
        mean=(0.3,),
    )


def test_no_classes_leave_features() -> None:
    assert create("vit_digits_patch2_8", num_classes=0)(torch.zeros(1, 1, 8, 8)).shape == (1, 48)


def test_the_seed_decides_the_weights_and_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    first, again = (create("vit_digits_patch2_8", seed=3) for _ in range(2))
    assert torch.equal(first.pos_embed, again.pos_embed)
    assert torch.equal(torch.get_rng_state(), state)


def test_names_are_listed_by_pattern() -> None:
    assert list_models("vit_large_*_384") == ["vit_large_patch16_384", "vit_large_patch32_384"]
    assert vitlib.list_models("vit_*") == list(PRESETS)
    assert vitlib.list_models() == [*PRESETS, *BACKBONES]
    assert list_models("resnet*") == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vit_base_patch16_242", "no model is called 'vit_base_patch16_242': did you mean 'vit_base_patch16_224'"),
        ("ViT-Base-Patch16-224", "did you mean 'vit_base_patch16_224'"),
        ("?", r"no model is called '\?'; list_models\(\) names them all"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        create(name)


@pytest.mark.parametrize("name", ["swin_cifar_patch2_window4_32", "convnext_cifar_32", "vit_cifar_patch4_32"])
@pytest.mark.parametrize("in_chans", [1, 4])
def test_statistics_of_colours_become_averages_for_other_channels(name: str, in_chans: int) -> None:
    colours = create(name).config
    config = create(name, in_chans=in_chans).config
    assert config.mean == pytest.approx((sum(colours.mean) / len(colours.mean),))
    assert config.std == pytest.approx((sum(colours.std) / len(colours.std),))
    assert create(name, in_chans=in_chans, mean=(0.1,)).config.mean == (0.1,)


def test_an_unknown_field_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"a ViT has no 'pool_global': did you mean 'global_pool'\?; it has image_size"
    ):
        create("vit_digits_patch2_8", pool_global="mean")


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises((RuntimeError, ValueError), match="'cuda:99'"):
        create("vit_digits_patch2_8", device="cuda:99")


def test_vitlib_imports_nothing_heavy_but_torch() -> None:
    heavy = "{'matplotlib', 'transformers', 'IPython', 'ipywidgets', 'pandas'}"
    code = f"import sys, vitlib; print(sorted({heavy} & set(sys.modules)))"
    root = Path(vitlib.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"


def test_the_types_of_create_know_every_preset() -> None:
    for names, kind in ((ViTName, ViT), (HybridName, Hybrid), (SwinName, Swin), (ConvNeXtName, ConvNeXt)):
        assert set(get_args(names)) == {
            name for name, config in (PRESETS | BACKBONES).items() if MODELS[type(config)] is kind
        }


@pytest.mark.parametrize("seed", [None, 0])
def test_on_the_meta_device_a_model_has_shapes_and_no_numbers(seed: int | None) -> None:
    with torch.device("meta"):
        model = create("vit_cifar_patch4_32", seed=seed)
    assert all(each.is_meta for each in model.parameters())
