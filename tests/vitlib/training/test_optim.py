"""Learning rates and optimisers: which parameter moves how fast."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from vitlib.data.datasets import digits
from vitlib.data.pictures import normalisation, normalise
from vitlib.models import create
from vitlib.training.optim import optimizers, schedule, warm_cosine


@given(st.integers(2, 50), st.integers(0, 20), st.floats(0, 0.9))
def test_the_rate_climbs_to_one_then_falls_to_the_floor(steps, warmup, floor):
    rates = [warm_cosine(step, steps + warmup, warmup, floor) for step in range(steps + warmup + 1)]
    assert max(rates) == 1.0
    assert rates[: warmup + 1] == sorted(rates[: warmup + 1])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert rates[-1] == pytest.approx(floor)


def test_matrices_decay_and_nothing_else_does():
    model = create("vit_digits_patch2_8")
    names = {id(each): name for name, each in model.named_parameters()}
    groups = [group for mover in optimizers(model, "muon", 1.0, 0.1) for group in mover.param_groups]
    decayed = {names[id(each)] for group in groups if group["weight_decay"] for each in group["params"]}
    assert {"patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "head.weight"} <= decayed
    assert not decayed & {"cls_token", "pos_embed", "norm.weight", "head.bias", "blocks.0.norm1.weight"}
    assert sum(len(group["params"]) for group in groups) == len(names)


def test_muon_takes_the_blocks_matrices_and_moves_every_direction_alike():
    model = create("vit_digits_patch2_8", seed=0)
    weight = model.blocks[0].mlp.fc1.weight
    before = weight.detach().clone()
    muon, _ = optimizers(model, "muon", lr=0.1, weight_decay=0.0)
    train, _ = digits()
    pixels = normalise(train.images[:256], *normalisation(model))
    F.cross_entropy(model(pixels), train.labels[:256]).backward()
    muon.step()

    def steepness(matrix: torch.Tensor) -> torch.Tensor:
        stretch = torch.linalg.svdvals(matrix)
        return stretch.max() / stretch.median()

    assert steepness(weight.detach() - before) < 10 < steepness(weight.grad) / 10


def test_a_schedule_that_was_stopped_goes_on():
    (whole,) = optimizers(create("vit_digits_patch2_8"), "adamw", 1e-3, 0.0, layer_decay=0.5)
    (resumed,) = optimizers(create("vit_digits_patch2_8"), "adamw", 1e-3, 0.0, layer_decay=0.5)
    plan = schedule(whole, steps=10, warmup=2)
    for _ in range(4):
        whole.step()
        plan.step()
    assert plan.get_last_lr() == schedule(resumed, steps=10, warmup=2, done=4).get_last_lr()
    assert [group["lr"] for group in whole.param_groups] == [group["lr"] for group in resumed.param_groups]
