"""Which layer learns how fast, and which parameters decay, in every kind of model."""

import pytest
import torch
from torch import nn

from tests.vitlib.training.zoo import WRAPPED, swin, vit
from vitlib.training.optim import optimizers


@pytest.mark.parametrize("name", WRAPPED)
def test_in_every_model_lower_layers_learn_more_slowly(name):
    model = WRAPPED[name]()
    (adamw,) = optimizers(model, "adamw", 1.0, 0.1, layer_decay=0.5)
    names = {id(each): name for name, each in model.named_parameters()}
    rates = {names[id(each)]: group["lr"] for group in adamw.param_groups for each in group["params"]}
    depth = {"swin": 4, "compiled": 4, "convnext": 3}.get(name, 2)
    assert set(rates.values()) == {0.5**k for k in range(depth + 2)}
    assert all(rate == 1.0 for name, rate in rates.items() if "head" in name)
    assert all(rate == 0.5 ** (depth + 1) for name, rate in rates.items() if "patch_embed" in name or "stem" in name)
    assert len(rates) == len(names)


def test_a_model_that_does_not_say_its_layers_is_refused_and_a_forgotten_one_is_named():
    with pytest.raises(ValueError, match="a Linear does not say which layer lies above which: leave layer_decay at 1"):
        optimizers(nn.Linear(2, 2), "adamw", 1.0, 0.1, layer_decay=0.5)
    model = vit()
    model.extra = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"layer_groups\(\) of the ViT leaves out extra.weight, extra.bias"):
        optimizers(model, "adamw", 1.0, 0.1, layer_decay=0.5)


class Foreign(nn.Module):
    """Tables, tokens and scales as other libraries write them."""

    def __init__(self) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.positions = nn.Embedding(9, 4)
        self.norm = nn.LayerNorm([3, 4])
        self.attention = nn.MultiheadAttention(4, 2, add_bias_kv=True)
        self.bias = nn.Parameter(torch.zeros(4, 4))


def decayed(model: nn.Module, kind: str = "adamw") -> set[str]:
    names = {id(each): name for name, each in model.named_parameters()}
    groups = [group for each in optimizers(model, kind, 1.0, 0.1) for group in each.param_groups]
    return {names[id(each)] for group in groups if group["weight_decay"] for each in group["params"]}


def test_tables_biases_and_tokens_do_not_decay_in_any_model():
    assert decayed(Foreign()) == {"attention.in_proj_weight", "attention.out_proj.weight"}
    for name, make in WRAPPED.items():
        found = decayed(make())
        assert found and not [
            each for each in found if "token" in each or "pos" in each or not each.endswith("weight")
        ], name


def test_muon_turns_no_table_of_positions():
    muon, _ = optimizers(swin(), "muon", 1.0, 0.1)
    shapes = {tuple(each.shape) for group in muon.param_groups for each in group["params"]}
    assert (9, 2) not in shapes and (24, 8) in shapes
