"""What a model that is there knows: load_into asks it for what a plain state dict does not show."""

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from tests.vitlib.backbones.test_presets import make, pictures
from tests.vitlib.reference.make import images
from tests.vitlib.weights.shared import TINY, assert_equal, made, tensors
from vitlib.models import create
from vitlib.vit.model import ViT
from vitlib.weights import load, load_into


def test_a_plain_state_dict_has_the_heads_of_the_model_it_is_for() -> None:
    config = replace(create("vit_cifar_patch4_32").config, num_heads=6, eps=1e-3, gelu="tanh", trim=False)
    source, target = made(config), ViT(config)
    load_into(target, source.state_dict())
    assert target.config.num_heads == 6
    batch = images(3, 32, 32)
    torch.testing.assert_close(target.eval()(batch), source(batch))
    with pytest.warns(UserWarning, match="nothing in the weights says how many heads"):
        load(source.state_dict())


@pytest.mark.parametrize("form", ["all", "cls", "none"])
def test_a_model_takes_its_own_state_dict_whichever_tokens_have_positions(form: Any) -> None:
    source = made(replace(TINY, reg_tokens=3, prefix_positions=form))
    target = ViT(source.config)
    load_into(target, source.state_dict())
    assert target.config == source.config
    assert_equal(target.state_dict(), source.state_dict())


@pytest.mark.parametrize("kind", ["swin", "convnext"])
def test_a_plain_state_dict_has_the_eps_of_the_model_it_is_for(kind: str) -> None:
    source = make(kind)
    source = type(source)(replace(source.config, eps=1e-2, gelu="tanh"))
    target = type(source)(source.config)
    load_into(target, source.state_dict())
    batch = pictures(source)
    assert target.config == source.config
    torch.testing.assert_close(target(batch), source(batch))


def test_half_precision_and_wrapped_models_are_filled() -> None:
    half = ViT(TINY).bfloat16()
    load_into(half, tensors())
    assert_equal(half.state_dict(), {name: each.bfloat16() for name, each in tensors().items()})
    inner = ViT(TINY)
    load_into(nn.DataParallel(inner), tensors())
    assert_equal(inner.state_dict(), tensors())
    inner = ViT(TINY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, when torch.compile is first imported
        compiled = torch.compile(inner)
    load_into(compiled, tensors())  # type: ignore[arg-type]
    assert_equal(inner.state_dict(), tensors())
    with pytest.raises(TypeError, match="this is a Linear: expected a ViT, Hybrid, Swin or ConvNeXt"):
        load_into(nn.Linear(2, 2), tensors())


@pytest.mark.parametrize(("wanted", "scale"), [(1, None), (2, 3 / 2), (4, 3 / 4), (7, 3 / 7)])
@pytest.mark.parametrize("kind", ["vit", "hybrid", "swin", "convnext"])
def test_the_first_layer_is_adapted_to_other_channels_as_timm_does(kind: str, wanted: int, scale: float | None) -> None:
    source: Any = made(TINY) if kind == "vit" else make(kind)
    c = source.config
    if c.in_chans != 3:
        source = type(source)(replace(c, in_chans=3, mean=(0.1, 0.2, 0.6), std=(0.5,)))
    target = type(source)(replace(source.config, in_chans=wanted, mean=(0.5,), std=(0.5,)))
    load_into(target, source.state_dict())
    name = {"hybrid": "patch_embed.backbone.0.conv.weight", "convnext": "stem.0.weight"}.get(
        kind, "patch_embed.proj.weight"
    )
    first, here = source.state_dict()[name], target.state_dict()[name]
    if scale is None:
        torch.testing.assert_close(here, first.sum(dim=1, keepdim=True))
    else:
        torch.testing.assert_close(here, torch.cat([first] * 3, dim=1)[:, :wanted] * scale)
    assert target.config.in_chans == wanted and len(target.config.mean) in (1, wanted)
    rest = {key: each for key, each in source.state_dict().items() if key != name}
    assert_equal({key: each for key, each in target.state_dict().items() if key != name}, rest)
