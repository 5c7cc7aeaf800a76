"""What is not finite stops the run before a weight moves, and before it is saved."""

import math

import pytest
import torch
from torch import nn

from tests.vitlib.training.zoo import moved, shades, state, vit
from vitlib.training.fit import Recipe, TrainingError, fit
from vitlib.weights import files

SHORT = Recipe(epochs=2, batch_size=8, lr=3e-3)


class Poisoned(nn.Module):
    """Answers like the model inside; in one step, one number of the gradient or of the loss is not finite."""

    def __init__(self, step: int, where: str, value: float) -> None:
        super().__init__()
        self.inside, self.left, self.where, self.value = vit(), step, where, value

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.inside(images)
        if not self.training:
            return logits
        self.left -= 1
        if self.left == 0 and self.where == "loss":
            return logits * self.value
        if self.left == 0:
            weight = self.inside.blocks[0].attn.qkv.weight
            weight.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor(0), self.value))
        return logits


@pytest.mark.parametrize("where", ["gradient", "loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("step", [3, 8])  # in the first epoch, and the very last
def test_numbers_that_are_not_finite_move_no_weight(tmp_path, where, value, step):
    model, path = Poisoned(step, where, value), tmp_path / "run.safetensors"
    kept = "no epoch was saved" if step == 3 else "holds epoch 1"
    with pytest.raises(TrainingError, match=rf"the {where} is (nan|inf) at step {step - 1} .*{kept}"):
        fit(model, shades(), recipe=SHORT, save=path, progress=False)
    assert all(bool(each.isfinite().all()) for each in model.parameters())
    assert all(each.grad is None for each in model.parameters())
    if step == 8:
        tensors, _ = files.read(path)
        assert all(bool(each.isfinite().all()) for each in tensors.values() if each.is_floating_point())


def test_weights_that_leave_the_numbers_in_the_last_step_are_not_saved(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
    recipe = Recipe(epochs=1, batch_size=32, lr=1e39, warmup=0.0)
    with pytest.raises(TrainingError, match=r"the weights are not finite after step 0 \(epoch 1\).*no epoch was saved"):
        fit(model, shades(), recipe=recipe, save=tmp_path / "run.safetensors", progress=False)
    assert not [*tmp_path.iterdir()]


def test_gradients_that_others_left_are_no_part_of_the_first_step():
    one, other = vit(), vit()
    other(torch.randn(4, 3, 16, 16)).sum().backward()
    fit(one, shades(), recipe=SHORT, progress=False)
    fit(other, shades(), recipe=SHORT, progress=False)
    assert not moved(one, state(other))
