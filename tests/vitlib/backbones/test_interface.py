"""What every backbone can be asked for, by timm's names; and what every configuration refuses, in words."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from tests.vitlib.backbones.test_presets import make, pictures
from tests.vitlib.weights.shared import TINY, made
from vitlib.backbones.convnext import ConvNeXtConfig
from vitlib.backbones.hybrid import HybridConfig
from vitlib.backbones.swin import SwinConfig
from vitlib.backbones.token_merging import MergedViT
from vitlib.vit.attention_maps import attention_maps
from vitlib.vit.config import ViTConfig

EVERY = ["vit", "hybrid", "swin", "convnext"]
every = pytest.mark.parametrize("kind", EVERY)


def model_of(kind: str) -> Any:
    return made(TINY) if kind == "vit" else make(kind)


@torch.no_grad()
@every
def test_features_and_head_in_a_row_are_the_model(kind: str) -> None:
    model = model_of(kind)
    batch = pictures(model)
    features = model.forward_features(batch)
    torch.testing.assert_close(model.forward_head(features), model(batch))
    pooled = model.forward_head(features, pre_logits=True)
    torch.testing.assert_close(model.get_classifier()(pooled), model(batch))
    c = model.config
    shape = {"swin": lambda: (3, *c.grids[-1], c.dims[-1]), "convnext": lambda: (3, c.dims[-1], *c.grids[-1])}
    assert features.shape == shape.get(kind, lambda: (3, c.tokens, c.embed_dim))()


@every
def test_the_classifier_is_reset_in_place(kind: str) -> None:
    model = model_of(kind).double()
    batch = pictures(model).double()
    model.config = replace(model.config, class_names=tuple(map(str, range(model.config.num_classes))))
    model.reset_classifier(7, torch.Generator().manual_seed(0))
    assert model(batch).shape == (3, 7) and model(batch).dtype == torch.float64
    assert (model.config.num_classes, model.config.class_names) == (7, ())
    again = copy.deepcopy(model)
    again.reset_classifier(7, torch.Generator().manual_seed(0))
    torch.testing.assert_close(again(batch), model(batch))
    model.reset_classifier(0)
    torch.testing.assert_close(model(batch), model.forward_head(model.forward_features(batch), pre_logits=True))
    with pytest.raises(ValueError, match="num_classes is -1: expected 0"):
        model.reset_classifier(-1)


@torch.no_grad()
@every
def test_the_size_of_pictures_is_set_in_place_as_in_a_copy(kind: str) -> None:
    model = model_of(kind)
    before, batch = copy.deepcopy(model), pictures(model)
    size = (32, 96) if kind != "swin" else (24, 40)
    model.get_classifier().requires_grad_(False)
    other = model.resized(size)
    assert [each.requires_grad for each in other.parameters()] == [each.requires_grad for each in model.parameters()]
    model.set_input_size(size)
    assert model.config == other.config and model.config.image_size == size
    torch.testing.assert_close(model(pictures(model)), other(pictures(model)))
    with pytest.raises(ValueError, match="picture is"):
        model.set_input_size((33, 32))
    assert model.config.image_size == size
    torch.testing.assert_close(before(batch), model_of(kind)(batch))  # a copy was a copy
    model.set_input_size(64)
    assert model.config.image_size == (64, 64) and model(pictures(model)).isfinite().all()


@torch.no_grad()
def test_a_swin_of_another_size_is_the_swin_made_for_it() -> None:
    model = make("swin")
    other = type(model)(replace(model.config, image_size=(24, 40))).eval()
    other.load_state_dict(model.state_dict())
    model.set_input_size((24, 40))
    torch.testing.assert_close(model(pictures(model)), other(pictures(model)))


# Attention maps


@torch.no_grad()
def test_maps_of_a_swin_come_window_by_window() -> None:
    model = make("swin")
    batch = pictures(model)
    logits, maps = attention_maps(model, batch)
    torch.testing.assert_close(logits, model(batch))
    assert len(maps) == sum(model.config.depths)
    for each, attention in zip(maps, model.attention_layers(), strict=True):
        windows = attention.windows
        assert each.shape == (3, windows.count, attention.heads, windows.area, windows.area)
        torch.testing.assert_close(each.sum(dim=-1), torch.ones_like(each[..., 0]))
    _, some = attention_maps(model, batch, layers=[-1], heads=[1])
    torch.testing.assert_close(some[0], maps[-1][:, :, [1]])
    read: list[torch.Tensor] = []
    first = model.attention_layers()[1]
    with_hook = first.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    model(batch)
    with_hook.remove()
    order = first.order.unflatten(0, (-1, first.windows.area))
    whole = first.weights(read[0])  # B h N N
    for number, tokens in enumerate(order):
        torch.testing.assert_close(maps[1][:, number], whole[:, :, tokens[:, None], tokens[None]])


def test_maps_are_refused_for_models_that_have_none() -> None:
    with pytest.raises(ValueError, match="a ConvNeXt has no attention maps: expected a ViT, Hybrid or Swin"):
        attention_maps(make("convnext"), pictures(make("convnext")))
    with pytest.raises(ValueError, match=r"a MergedViT has no .*; take its \.vit"):
        attention_maps(MergedViT(made(TINY), 1), pictures(made(TINY)))
    with pytest.raises(ValueError, match="layer 9 is not there"):
        attention_maps(make("swin"), pictures(make("swin")), layers=[9])
    wrapped = nn.DataParallel(made(TINY))
    assert attention_maps(wrapped, pictures(made(TINY)))[1].shape == (3, 2, 4, 17, 17)


# The meta device


@pytest.mark.parametrize("kind", [*EVERY, "sincos"])
def test_a_model_of_the_meta_device_is_filled_by_the_usual_recipe(kind: str) -> None:
    model = made(replace(TINY, positions="sincos2d")) if kind == "sincos" else model_of(kind)
    with torch.device("meta"):
        empty = type(model)(model.config)
    filled = empty.to_empty(device="cpu").eval()
    filled.load_state_dict(model.state_dict())
    for name, each in model.named_modules():
        for table in getattr(each, "table_names", ()):
            assert torch.equal(getattr(filled.get_submodule(name), table), getattr(each, table))
    torch.testing.assert_close(filled(pictures(model)), model(pictures(model)))


# Configurations


@pytest.mark.parametrize(
    ("kind", "choices", "error", "words"),
    [
        (ViTConfig, {"num_heads": 0}, ValueError, "num_heads is 0: expected at least 1"),
        (ViTConfig, {"embed_dim": -4}, ValueError, "embed_dim is -4: expected at least 1"),
        (ViTConfig, {"depth": -1}, ValueError, "depth is -1: expected at least 1"),
        (ViTConfig, {"dropout": 2}, ValueError, "dropout is 2: expected a probability, 0 to 1"),
        (ViTConfig, {"drop_path_rate": -0.1}, ValueError, "drop_path_rate is -0.1: expected a probability"),
        (ViTConfig, {"num_classes": -1}, ValueError, "num_classes is -1: expected at least 0"),
        (ViTConfig, {"num_classes": 2.5}, TypeError, r"num_classes is 2.5 \(float\): expected a whole number"),
        (ViTConfig, {"mlp_ratio": 0}, ValueError, "mlp_ratio is 0: expected more than 0"),
        (ViTConfig, {"eps": float("nan")}, ValueError, "eps is nan: expected 0 or more"),
        (ViTConfig, {"std": (0.0,)}, ValueError, "std is 0.0: expected more than 0"),
        (ViTConfig, {"mean": 0.5}, TypeError, "mean is 0.5: expected several numbers"),
        (ViTConfig, {"image_size": (224,)}, TypeError, r"image_size is \(224,\): expected two numbers"),
        (ViTConfig, {"class_token": "no"}, TypeError, r"class_token is 'no' \(str\): expected True or False"),
        (ViTConfig, {"embed_dim": 30, "num_heads": 4}, ValueError, "4 heads cannot share a width of 30"),
        (HybridConfig, {"stem": [48, -1]}, ValueError, "stem is -1: expected at least 1"),
        (SwinConfig, {"window_size": 0}, ValueError, "window_size is 0: expected at least 1"),
        (SwinConfig, {"num_heads": 3}, TypeError, "num_heads is 3: expected several numbers"),
        (SwinConfig, {"num_heads": (3, 6, 0, 1)}, ValueError, "num_heads is 0: expected at least 1"),
        (SwinConfig, {"embed_dim": 20}, ValueError, "3 heads cannot share a width of 20"),
        (SwinConfig, {"convention": "keras"}, ValueError, "convention is 'keras': expected one of 'timm'"),
        (ConvNeXtConfig, {"kernel_size": -3}, ValueError, "kernel_size is -3: expected at least 1"),
        (ConvNeXtConfig, {"depths": ()}, ValueError, r"depths is \(\): expected at least one number"),
        (ConvNeXtConfig, {"drop_path_rate": 1.5}, ValueError, "drop_path_rate is 1.5: expected a probability"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused_by_name(
    kind: Any, choices: Any, error: Any, words: str, as_a_learner: None
) -> None:
    with pytest.raises(error, match=words):
        kind(**choices)


def test_lists_and_single_sides_are_taken(as_a_learner: None) -> None:
    assert ViTConfig(image_size=[32, 48], patch_size=[8, 16], mean=[0.5]) == ViTConfig((32, 48), (8, 16), mean=(0.5,))  # type: ignore[arg-type]
    assert ViTConfig(image_size=32).image_size == (32, 32)  # type: ignore[arg-type]
    swin = SwinConfig(image_size=[64, 64], depths=[2, 2], num_heads=[3, 6])  # type: ignore[arg-type]
    assert swin.grids == ((16, 16), (8, 8)) and hash(swin) == hash(replace(swin))
