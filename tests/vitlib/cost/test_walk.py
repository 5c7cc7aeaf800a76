"""The walk takes a short cut through blocks that are alike: its answer is that of the whole way, to the byte."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitlib.backbones.presets import BACKBONES, Config
from vitlib.cost import Run, cost, operations, walk
from vitlib.cost.ops import Call, Op
from vitlib.models import PRESETS

SWIN, CONVNEXT = BACKBONES["swin_cifar_patch2_window4_32"], BACKBONES["convnext_cifar_32"]
VIT = replace(PRESETS["vit_cifar_patch4_32"], embed_dim=96, num_heads=3, num_classes=10)


PATHS = st.sampled_from([0.0, 0.1])
DEPTHS = st.tuples(*[st.integers(1, 13)] * 3)  # blocks in each stage
SHAPES = {
    VIT: {
        "depth": st.integers(2, 13),
        "fused": st.sampled_from([None, False]),
        "global_pool": st.sampled_from(["token", "avg"]),
        "trim": st.booleans(),
        "layer_scale": st.sampled_from([None, 0.1]),
        "dropout": st.sampled_from([0.0, 0.1]),
        "drop_path_rate": PATHS,
    },
    SWIN: {"depths": DEPTHS, "fused": st.sampled_from([None, False]), "drop_path_rate": PATHS},
    CONVNEXT: {"depths": DEPTHS, "drop_path_rate": PATHS},
}
RUNS = {
    "batch_size": st.sampled_from([1, 2, 64]),  # gradients outgrow what they are made of, or not
    "training": st.booleans(),
    "precision": st.sampled_from(["fp32", "amp", "bf16"]),
    "checkpointing": st.booleans(),
    "optimizer": st.sampled_from(["adamw", "adamw-foreach"]),
}
DROPINS = [{}, {"window": 4}, {"window": 2}, {"pool_stride": 2}, {"merge": 1}]


@given(st.data(), st.sampled_from(list(SHAPES)), st.fixed_dictionaries(RUNS))
def test_the_short_way_gives_what_the_whole_way_gives(data: st.DataObject, model: Config, choices: Any) -> None:
    dropin = data.draw(st.sampled_from(DROPINS)) if model is VIT else {}
    config, run = replace(model, **data.draw(st.fixed_dictionaries(SHAPES[model]))), Run(**choices, **dropin)
    short = cost(config, run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "shortened", lambda ops: ((each, 1) for each in ops))
        assert cost(config, run) == short


@pytest.mark.parametrize(
    ("model", "at_most"), [("vit_huge_patch14_224", 5), ("convnext_base", 13), ("swin_base_patch4_window7_224", 14)]
)
def test_the_short_way_is_short(model: str, at_most: int) -> None:
    every = walk.steps(operations((PRESETS | BACKBONES)[model]))
    assert sum(step.op.name == "fc1" for step in every) == at_most


def test_a_round_of_calls_that_comes_often_is_walked_four_times() -> None:
    one, other, last = Call((Op("one", 1),)), Call((Op("other", 1),)), Op("last", 1)
    found = [(each, times) for each, times in walk.shortened((*(one, other) * 9, last))]
    assert found == [*((each, times) for times in (1, 1, 6, 1) for each in (one, other)), (last, 1)]
    assert [*walk.shortened((one,) * 4)] == [(one, 1)] * 4
