"""What chapter 6 says of itself, of torch and of the library, is so."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from autograde.authoring.key import load_key
from autograde.exercises import Code, Plain
from vitlib.cost import Run, cost
from vitlib.models import PRESETS
from vitlib.vit.config import ViTConfig
from vitlib.vit.encoder import Block

FOLDER = Path(__file__).parents[2] / "solutions" / "06-cost-and-memory"
KEY = load_key(FOLDER)
GIB = 2**30
SMALL = st.integers(1, 4)


def code(name: str) -> Callable[..., int]:
    exercise = KEY[name]
    assert isinstance(exercise, Code)
    return exercise.reference


def everyones(name: str) -> list[tuple[Any, Any]]:
    """The parameters of some variants, and their answers."""
    exercise = KEY[name]
    assert isinstance(exercise, Plain) and len(exercise.variants) > 20
    some = exercise.variants[:: len(exercise.variants) // 20]
    return [(SimpleNamespace(**variant.parameters), variant.value(variant.answer)) for variant in some]


@settings(max_examples=20, deadline=None)
@given(tokens=st.integers(1, 9), heads=SMALL, each=SMALL, ratio=st.sampled_from([1.0, 2.5, 4.0]))
def test_the_flops_that_learners_count_are_torchs(tokens: int, heads: int, each: int, ratio: float) -> None:
    width = 2 * heads * each
    block = Block(width, heads, ratio, fused=False)  # the counter knows no fused attention on a CPU
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        block(torch.zeros(1, tokens, width))
    assert counter.get_total_flops() == code("count-flops")(tokens, width, int(width * ratio))


def test_what_doubling_costs_is_what_learners_count() -> None:
    count = code("count-flops")
    for it, answer in everyones("width-doubles"):
        d = it.D
        assert answer == pytest.approx(count(it.tokens, 2 * d, 8 * d) / count(it.tokens, d, 4 * d))
    for it, answer in everyones("side-doubles"):
        tokens, d = (it.side // it.patch) ** 2, it.D
        assert answer == pytest.approx(count(4 * tokens, d, 4 * d) / count(tokens, d, 4 * d))


def test_everyones_curves_cross_where_they_say() -> None:
    for it, answer in everyones("crossover-side"):
        tokens, odd = (answer // it.patch) ** 2, answer % it.patch
        assert not odd and 2 * tokens**2 * it.D == 12 * tokens * it.D**2


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("tokens", "width"), [(65, 192), (197, 384), (401, 768)])
def test_a_block_keeps_64_bytes_for_each_number_of_its_input(fused: bool, tokens: int, width: int) -> None:
    """Up to mean and deviation of the norms, and one number a row of attention; and the table, where there is one."""
    heads, block = width // 64, Block(width, width // 64, fused=fused)
    passed_over = {weight.untyped_storage().data_ptr() for weight in block.parameters()}
    found: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = block(torch.zeros(2, tokens, width, requires_grad=True))
    kept = sum(size for memory, size in found.items() if memory not in passed_over)
    table = 0 if fused else 4 * 2 * heads * tokens**2
    assert output.requires_grad
    assert kept - table == pytest.approx(64 * output.numel(), rel=0.005)


@given(side=st.integers(1, 8), batch=SMALL, heads=SMALL, depth=SMALL)
def test_the_tables_that_learners_count_are_those_of_the_library(side: int, batch: int, heads: int, depth: int) -> None:
    config = ViTConfig(
        (16 * side, 16 * side), embed_dim=8 * heads, num_heads=heads, depth=depth, fused=False, trim=False
    )
    found = cost(config, Run(batch_size=batch)).phases["forward"].scores
    assert found == code("attention-bytes")(16 * side, 16, batch, heads, depth)


def test_weights_gradients_and_states_are_16_bytes_a_parameter() -> None:
    found = cost(ViTConfig(depth=2))
    step = found.phases["step"]
    assert step.weights + step.gradients + step.optimizer == 16 * found.parameters


@given(budget=st.integers(0, 10**6), fixed=st.integers(0, 10**6), each=st.integers(1, 10**4))
def test_the_largest_batch_fits_and_one_more_does_not(budget: int, fixed: int, each: int) -> None:
    batch = code("largest-batch")(budget, fixed, each)
    assert fixed + (batch + 1) * each > budget
    assert batch == 0 or fixed + batch * each <= budget


@given(budget=st.integers(0, 10**7), fixed=st.integers(0, 10**6), patch=SMALL, width=SMALL, depth=SMALL, batch=SMALL)
def test_the_largest_side_fits_and_one_more_patch_does_not(
    budget: int, fixed: int, patch: int, width: int, depth: int, batch: int
) -> None:
    side = code("largest-side")(budget, fixed, patch, width, depth, batch)

    def needed(side: int) -> int:
        return fixed + 64 * batch * ((side // patch) ** 2 + 1) * width * depth

    assert side % patch == 0 and needed(side + patch) > budget
    assert side == 0 or needed(side) <= budget


def test_the_message_names_the_tables_of_one_layer() -> None:
    assert f"{code('attention-bytes')(1024, 16, 8, 12, 1) / GIB:.2f} GiB" == "6.00 GiB"


def test_checkpointing_does_nothing_at_inference_and_a_smaller_batch_does() -> None:
    run = Run(batch_size=512, training=False)
    peak = cost(ViTConfig(), run).peak
    assert cost(ViTConfig(), replace(run, checkpointing=True)).peak == peak
    assert cost(ViTConfig(), replace(run, batch_size=128)).peak < peak / 2


def test_in_the_clinic_fused_attention_is_enough() -> None:
    config, run = ViTConfig((1024, 1024), fused=False), Run(training=False)
    assert cost(replace(config, fused=True), run).peak < cost(config, run).peak / 2


def test_the_huge_model_stops_in_the_optimizers_step_and_nowhere_else() -> None:
    found = cost(PRESETS["vit_huge_patch14_224"])
    assert round(found.parameters / 1e6) == 632
    before = [found.phases[phase].total - found.phases[phase].optimizer for phase in ("forward", "backward")]
    assert max(before) < 7 * GIB and found.phases["step"].total > 9.4 * GIB
