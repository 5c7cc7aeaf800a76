"""Memory of a ViT from its configuration alone, against the same step on fake tensors: within 2 %, phase by phase."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from vitlib.cost import Run, cost
from vitlib.cost.measured import measured_memory
from vitlib.vit.config import ViTConfig

VIT = ViTConfig(
    image_size=(112, 112), patch_size=8, embed_dim=96, depth=3, num_heads=3, num_classes=10
)  # 14 × 14 patches
WRITTEN = replace(VIT, fused=False)
STEP = Run(batch_size=16)
JOBS: dict[str, tuple[ViTConfig, Run]] = {}
for (name, config), precision in product({"fused": VIT, "written": WRITTEN}.items(), ("fp32", "amp", "bf16")):
    run = replace(STEP, precision=precision)  # type: ignore[arg-type]
    JOBS |= {
        f"{name} {precision}": (config, run),
        f"{name} {precision} checkpointed": (config, replace(run, checkpointing=True)),
        f"{name} {precision} inference": (config, replace(run, training=False)),
    }
DROPINS: list[dict[str, int]] = [{"window": 7}, {"window": 2}, {"pool_stride": 2}, {"merge": 8}]
for (name, config), (precision, training), dropin in product(
    {"fused": VIT, "written": WRITTEN}.items(), (("fp32", True), ("amp", True), ("fp32", False)), DROPINS
):
    run = replace(STEP, precision=precision, training=training, **dropin)  # type: ignore[arg-type]
    JOBS[f"{name} {precision} {dropin}{'' if training else ' inference'}"] = config, run
KINDS: dict[str, dict[str, Any]] = {
    "registers, waves": {"reg_tokens": 3, "positions": "sincos2d"},
    "mean": {"global_pool": "avg"},
    "mean of normed tokens": {"global_pool": "avg", "class_token": False, "norm_before_pool": True},
    "attention pooling": {"global_pool": "map", "class_token": False},
    "layer scale": {"layer_scale": 0.1},
    "stochastic depth": {"drop_path_rate": 0.1},
    "last block whole": {"trim": False},
    "one block": {"depth": 1},
    "narrow": {"mlp_ratio": 1.0},
    "long": {"image_size": (224, 224), "fused": False},
}
JOBS |= {name: (replace(VIT, **changes), STEP) for name, changes in KINDS.items()}
JOBS |= {f"{name}, amp": (replace(VIT, **KINDS[name]), replace(STEP, precision="amp")) for name in list(KINDS)[:6]}
JOBS |= {
    "foreach": (VIT, replace(STEP, optimizer="adamw-foreach")),
    "SGD": (VIT, replace(STEP, optimizer="sgd")),
    "ViT-B/16, three blocks": (ViTConfig(depth=3), Run(batch_size=64)),
}


@pytest.mark.parametrize("job", JOBS)
def test_each_peak_is_within_two_percent_of_what_is_measured(job: str) -> None:
    config, run = JOBS[job]
    measured = measured_memory(config, run)
    assert {phase: each.total for phase, each in cost(config, run).phases.items()} == pytest.approx(measured, rel=0.02)


def test_a_block_keeps_64_bytes_for_each_number_in_a_token() -> None:
    """4 each for x (twice), both norms, what attention finds; 12 for q, k, v; 16 each before and after GELU.

    Besides: mean and deviation of each token in both norms, and a sum for each head and token, in rows of 32.
    """
    one, two = (cost(ViTConfig(depth=depth), Run(batch_size=4)).phases["forward"].activations for depth in (3, 4))
    assert two - one == 4 * (64 * 197 * 768 + 2 * 8 * 197 + 4 * 12 * 224)


def test_a_block_whose_attention_is_written_out_keeps_n_squared_weights_for_each_head() -> None:
    shallow, deep = (cost(ViTConfig(depth=depth, fused=False), Run(batch_size=4)).phases["forward"] for depth in (3, 4))
    assert deep.scores - shallow.scores == 4 * 4 * 12 * 197**2
    amp = [cost(ViTConfig(depth=d, fused=False), Run(batch_size=4, precision="amp")).phases["forward"] for d in (3, 4)]
    assert amp[1].scores - amp[0].scores == 6 * 4 * 12 * 197**2  # in float32 for softmax, in bfloat16 for the product


def test_checkpointing_keeps_a_token_row_for_each_block() -> None:
    one, two = (cost(ViTConfig(depth=d), Run(batch_size=4, checkpointing=True)).phases["forward"] for d in (3, 4))
    assert two.activations - one.activations == 4 * 4 * 197 * 768


@pytest.mark.parametrize(("optimizer", "states"), [("adamw", 2), ("adamw-foreach", 2), ("sgd", 1)])
def test_the_step_holds_weights_gradients_and_states(optimizer: Any, states: int) -> None:
    """AdamW by foreach needs room for one more copy while it runs."""
    found = cost(VIT, replace(STEP, optimizer=optimizer, ema=True))
    weights = 4 * found.parameters
    step = found.phases["step"]
    assert (step.weights, step.gradients, step.ema) == (weights, weights, weights)
    assert step.optimizer == states * weights
    assert step.temporary == (weights if optimizer == "adamw-foreach" else 0)


def test_inference_keeps_nothing_and_checkpointing_changes_nothing_there() -> None:
    found = cost(VIT, Run(batch_size=16, training=False))
    peak = found.phases["inference"]
    assert peak.activations == peak.gradients == peak.optimizer == 0
    assert found == cost(VIT, Run(batch_size=16, training=False, checkpointing=True))


def test_a_million_pixels_a_side_are_answered_too() -> None:
    """3.9 billion patches: whole numbers in Python have no largest one."""
    patches = 62_500**2
    found = cost(replace(ViTConfig(fused=False), image_size=(10**6, 10**6)))
    assert found.phases["forward"].scores == 11 * 4 * 12 * (patches + 1) ** 2  # the twelfth block answers for CLS alone
    assert found.flops["forward"] > 11 * 4 * patches**2 * 768


@pytest.mark.parametrize(
    ("config", "run", "message"),
    [
        (VIT, Run(window=4), "no multiple of window 4; choose 1, 2, 7, 14"),
        (VIT, Run(pool_stride=3), "pool_stride is 3.*choose 1, 2, 7, 14"),
        (VIT, Run(merge=66), "merge is 66: 196 patches through 3 blocks can lose 0 to 65"),
        (replace(VIT, global_pool="map"), Run(merge=1), "pools by attention"),
    ],
)
def test_what_cannot_go_together_is_refused(config: ViTConfig, run: Run, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cost(config, run)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0: expected at least 1"),
        ({"precision": "fp8"}, "precision is 'fp8': expected one of 'fp32', 'amp', 'bf16'"),
        ({"optimizer": "adam"}, "expected one of 'adamw'"),
        ({"window": -1}, "window is -1"),
        ({"window": 7, "merge": 8}, "window and merge are set: a ViT takes one of them at a time"),
    ],
)
def test_a_run_that_makes_no_sense_is_refused(choices: dict[str, Any], message: str, as_a_learner: None) -> None:
    with pytest.raises(ValueError, match=message):
        Run(**choices)


def test_a_model_by_name_is_no_configuration(as_a_learner: None) -> None:
    with pytest.raises(TypeError, match="'vit_base_patch16_224': expected a ViTConfig"):
        cost("vit_base_patch16_224")  # type: ignore[arg-type]
