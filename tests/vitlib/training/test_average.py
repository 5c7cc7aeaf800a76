"""The average of the weights: of what moves, and of nothing else."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tests.vitlib.training.zoo import EVERY, shades, swin, vit
from vitlib.backbones.windowed_attention import with_windows
from vitlib.training.average import Average
from vitlib.training.fit import Recipe, evaluate, fit

SHORT = Recipe(epochs=2, batch_size=16, lr=3e-3, ema=0.9)


class Odd(nn.Module):
    """Every kind of buffer, and two names for one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(4, 4)
        self.down = nn.Linear(4, 4)
        self.down.weight = self.up.weight
        self.register_buffer("places", torch.arange(4))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
        self.register_buffer("coarse", torch.tensor([0.1], dtype=torch.float16))
        self.register_buffer("seen", torch.tensor(True))
        self.register_buffer("mean", torch.zeros(1))


@pytest.mark.parametrize("name", EVERY)
def test_the_average_of_a_model_that_never_moves_is_the_model(name):
    model = EVERY[name]()
    before = copy.deepcopy(model.state_dict())
    average = Average(model, 0.9)
    for step in range(1, 4):
        average.update(model, step)
    average.give(model)
    for key, each in model.state_dict().items():
        assert torch.allclose(each, before[key], atol=1e-6), key


def test_statistics_are_averaged_and_constants_are_not():
    model = Odd()
    average = Average(model, 0.5)
    with torch.no_grad():
        model.mean.fill_(1.0)
        model.places.fill_(7)
        model.up.weight.fill_(2.0)
    average.update(model, steps=1000)
    average.give(model)
    assert model.mean.item() == 0.5 and model.places.tolist() == [7] * 4
    assert model.mask.tolist() == [0.0, -torch.inf] and model.coarse.dtype == torch.float16 and bool(model.seen)
    assert model.down.weight is model.up.weight
    assert len([name for name in average.values if "weight" in name]) == 1


def test_an_average_in_half_precision_moves_all_the_same():
    """A step of 1/1000 of the way is below what bfloat16 can tell apart: kept in it, the average would stand still."""
    model = nn.Linear(1, 1, bias=False).to(torch.bfloat16)
    nn.init.ones_(model.weight)
    average = Average(model, 0.999)
    nn.init.constant_(model.weight, 2.0)
    for step in range(10_000, 11_000):
        average.update(model, step)
    average.give(model)
    assert model.weight.item() == pytest.approx(2 - 0.999**1000, abs=0.01)


def test_a_young_average_follows_the_model_closely():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = Average(model, 0.9999)
    nn.init.ones_(model.weight)
    for step in range(1, 9):
        average.update(model, step)
    with average.inside(model):
        assert model.weight.item() > 0.99
    assert model.weight.item() == 1.0


@pytest.mark.parametrize("name", EVERY)
def test_what_is_tested_is_what_remains(name):
    model, pictures = EVERY[name](), shades()
    history = fit(model, pictures, pictures, SHORT, progress=False)
    assert all(bool(each.isfinite().all()) for each in model.parameters())
    assert history.test_accuracy[-1] == evaluate(model, pictures)


def test_a_swin_with_an_average_learns():
    model, pictures = swin(), shades()
    history = fit(model, pictures, pictures, Recipe(epochs=4, batch_size=8, lr=3e-3, ema=0.9), progress=False)
    assert history.test_accuracy[-1] == 1.0


def test_frozen_weights_are_not_averaged():
    model = vit()
    model.blocks.requires_grad_(False)
    assert not any(name.startswith("blocks") for name in Average(model, 0.9).values)


@pytest.mark.parametrize("kind", ["swin", "windowed"])
def test_constants_are_no_buffers_so_that_any_average_leaves_them_alone(kind: str) -> None:
    """torch's AveragedModel averages every buffer: of an index that is another index, of a mask of −∞ it is NaN."""
    model = (swin() if kind == "swin" else with_windows(vit(), 2)).eval()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(3):
        average.update_parameters(model)
    config = model.config
    images = torch.randn(2, config.in_chans, *config.image_size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(average.module(images), model(images), rtol=0, atol=1e-6)
