"""FLOPs and parameters of a ViT from its configuration alone: exactly what torch counts."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitlib.cost import Run, cost, flops
from vitlib.cost.measured import build, measured_flops
from vitlib.models import PRESETS
from vitlib.vit.config import ViTConfig

SMALL: dict[str, Any] = {
    "image_size": (24, 32),
    "patch_size": 4,
    "embed_dim": 32,
    "depth": 2,
    "num_heads": 4,
    "num_classes": 5,
}
KINDS: dict[str, dict[str, Any]] = {
    "as in the paper": {},
    "registers, waves": {"reg_tokens": 3, "positions": "sincos2d"},
    "registers, positions for CLS": {"reg_tokens": 3, "prefix_positions": "cls"},
    "no positions": {"positions": "none"},
    "mean": {"global_pool": "avg", "reg_tokens": 2},
    "mean of normed tokens": {"global_pool": "avg", "class_token": False, "norm_before_pool": True},
    "attention pooling": {"global_pool": "map", "class_token": False},
    "layer scale": {"layer_scale": 0.1},
    "no classifier": {"num_classes": 0},
    "last block whole": {"trim": False},
    "regularised": {"dropout": 0.1, "drop_path_rate": 0.1},
    "one block": {"depth": 1},
    "grey, oblong patches": {"in_chans": 1, "patch_size": (4, 8), "mlp_ratio": 2.5},
}


def test_vit_b16_takes_35_gigaflops() -> None:
    """Its linear layers 12·24·N·D², attention 12·4·N²·D, embedding and head (Dosovitskiy et al., 2021; N = 197)."""
    n, d = 197, 768
    by_hand = 12 * (24 * n * d**2 + 4 * n**2 * d) + 2 * 196 * 3 * 16**2 * d + 2 * d * 1000
    assert flops(ViTConfig(trim=False), Run(training=False)) == {"inference": by_hand} == {"inference": 35_127_656_448}


def test_backward_takes_twice_forward_but_for_the_embedding_and_fused_attention() -> None:
    """Pictures need no gradient; the fused kernel has five products for two."""
    n, d = 197, 768
    found = flops(ViTConfig(trim=False))
    assert found["backward"] - 2 * found["forward"] == 12 * 2 * n**2 * d - 2 * 196 * 3 * 16**2 * d


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_that_a_vit_learns_is_counted(kind: str) -> None:
    config = ViTConfig(**{**SMALL, **KINDS[kind]})
    assert cost(config).parameters == sum(each.numel() for each in build(config, Run()).parameters())


@given(
    kind=st.sampled_from(list(KINDS)),
    fused=st.booleans(),
    batch=st.integers(1, 3),
    precision=st.sampled_from(["fp32", "amp", "bf16"]),
    checkpointing=st.booleans(),
    dropin=st.sampled_from([{}, {}, {"window": 2}, {"pool_stride": 2}, {"merge": 2}]),
)
@settings(max_examples=12, deadline=None)
def test_flops_are_those_that_torch_counts(
    kind: str, fused: bool, batch: int, precision: Any, checkpointing: bool, dropin: dict[str, int]
) -> None:
    config = ViTConfig(**{**SMALL, **KINDS[kind], "fused": fused})
    checkpointing = checkpointing and "merge" not in dropin  # which runs its blocks in halves, and refuses it
    run = Run(batch, precision=precision, checkpointing=checkpointing, **dropin)
    if run.merge and (config.global_pool == "map" or config.depth == 1):
        with pytest.raises(ValueError, match=r"pools by attention|can lose 0 to 0"):
            flops(config, run)
        return
    assert flops(config, run) == measured_flops(config, run)


@pytest.mark.parametrize("name", ["vit_cifar_patch4_32", "vit_small_patch32_384", "vit_large_patch16_224"])
def test_flops_of_the_models_by_name(name: str) -> None:
    run = Run(batch_size=2, training=False)
    assert flops(PRESETS[name], run) == measured_flops(PRESETS[name], run)
