"""What is frozen stays as it is: weights, statistics, and copies of another size."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.vitlib.training.zoo import BACKBONES, COMPILED, hybrid, moved, shades, state, vit
from vitlib.training.batch_size import step_memory
from vitlib.training.finetune import finetune
from vitlib.training.fit import Recipe, fit
from vitlib.training.steps import train_mode

SHORT = Recipe(epochs=2, batch_size=8, lr=3e-3)


@pytest.mark.parametrize("blocks", [0, 1])
@pytest.mark.parametrize("name", BACKBONES)
def test_below_what_learns_nothing_moves(name, blocks):
    model = BACKBONES[name](5).eval()
    tuned, _ = finetune(model, shades(), recipe=SHORT, blocks=blocks, progress=False)
    changed = moved(tuned, state(model) | {name: each for name, each in tuned.state_dict().items() if "head" in name})
    assert all(name.startswith(("blocks.1", "norm", "layers.1.blocks.1", "stages.1.blocks.1")) for name in changed)
    assert bool(changed) == (blocks > 0)


def test_a_frozen_norm_keeps_its_statistics_wherever_it_is():
    body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5))
    model = nn.Sequential(body, nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 14 * 14, 2))
    body.requires_grad_(False)
    model[2].requires_grad_(False)
    before = state(model)
    fit(model, shades(), recipe=SHORT, progress=False)
    assert moved(model, before) == {"1.weight", "1.bias", "4.weight", "4.bias"}
    train_mode(model)
    assert [module.training for module in (model, body, body[2], model[2], model[1])] == [
        True,
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("name", BACKBONES)
def test_a_copy_for_another_size_is_as_frozen_as_the_model(name):
    model = BACKBONES[name]()
    model.requires_grad_(False)
    model.get_classifier().requires_grad_()
    model.get_classifier().train(False)
    state_of_dice = torch.get_rng_state()
    copy_of = model.resized((32, 32))
    assert torch.equal(state_of_dice, torch.get_rng_state())
    learns = [[each.requires_grad for each in one.parameters()] for one in (model, copy_of)]
    modes = [[each.training for each in one.modules()] for one in (model, copy_of)]
    assert learns[0] == learns[1] and modes[0] == modes[1]


def test_a_wholly_frozen_model_is_refused():
    model = vit().requires_grad_(False)
    with pytest.raises(ValueError, match="every parameter is frozen"):
        fit(model, shades(), recipe=SHORT, progress=False)
    with pytest.raises(ValueError, match="a Flatten has no parameters"):
        fit(nn.Flatten(), shades(), recipe=SHORT, progress=False)
    with pytest.raises(ValueError, match="every parameter is frozen"):
        step_memory(model, shades().images[0], 2, train=True)


def test_a_fresh_hybrid_still_learns_its_statistics():
    model = hybrid()
    before = state(model)
    fit(model, shades(), recipe=SHORT, progress=False)
    assert any("running_mean" in name for name in moved(model, before))


def test_a_compiled_model_trains_to_the_same_bits():
    root = Path(__file__).parents[3]
    told = subprocess.run(
        [sys.executable, "-c", COMPILED], env={"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}, cwd=root,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
