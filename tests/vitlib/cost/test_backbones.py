"""The formulas of Swin, ConvNeXt and the hybrid against their measured twins: FLOPs exactly, memory within 2 %."""

from dataclasses import replace

import pytest

from vitlib.backbones.convnext import ConvNeXtConfig
from vitlib.backbones.hybrid import HybridConfig
from vitlib.backbones.presets import BACKBONES, MODELS, Config
from vitlib.backbones.swin import SwinConfig
from vitlib.cost import Run, cost, flops
from vitlib.cost.measured import measured_flops, measured_memory

SWIN = SwinConfig(depths=(2, 1, 1, 1))  # Swin-T, its later stages shorter
WRITTEN = replace(SWIN, fused=False)
CIFAR = BACKBONES["swin_cifar_patch2_window4_32"]
CONVNEXT = ConvNeXtConfig(depths=(1, 2, 2, 1))
HYBRID = HybridConfig(embed_dim=384, depth=3, num_heads=6, mlp_ratio=3.0)
PLAIN = replace(HYBRID, fused=False)
CASES: list[tuple[Config, Run]] = [
    *((config, Run(batch_size=4)) for config in (SWIN, WRITTEN, CONVNEXT, HYBRID, PLAIN, CIFAR)),
    *((config, Run(batch_size=4, precision="amp")) for config in (SWIN, WRITTEN, CONVNEXT, HYBRID, PLAIN, CIFAR)),
    *((config, Run(batch_size=4, precision="bf16")) for config in (SWIN, CONVNEXT, PLAIN)),
    *((config, Run(batch_size=4, checkpointing=True)) for config in (SWIN, WRITTEN, CONVNEXT, HYBRID, PLAIN, CIFAR)),
    *((config, Run(batch_size=4, checkpointing=True, precision="amp")) for config in (WRITTEN, CONVNEXT, HYBRID)),
    *((config, Run(batch_size=4, training=False)) for config in (SWIN, WRITTEN, CONVNEXT, HYBRID, PLAIN)),
    *((config, Run(batch_size=4, training=False, precision="amp")) for config in (SWIN, WRITTEN, CONVNEXT, HYBRID)),
    (SWIN, Run(batch_size=1, optimizer="adamw-foreach", ema=True)),
    (CONVNEXT, Run(batch_size=1, optimizer="sgd")),
    (replace(SWIN, image_size=(448, 672), drop_path_rate=0.2), Run(batch_size=2)),
    (replace(SWIN, image_size=(200, 232)), Run(batch_size=4)),  # windows and mergings filled up
    (replace(CONVNEXT, image_size=(96, 608), kernel_size=5, drop_path_rate=0.1), Run(batch_size=16, precision="amp")),
    (replace(HYBRID, image_size=(384, 512), global_pool="avg"), Run(batch_size=2)),
    (replace(HYBRID, image_size=(64, 64), num_classes=0), Run(batch_size=32)),
]


def name(case: tuple[Config, Run]) -> str:
    config, run = case
    return f"{type(config).__name__}-{'×'.join(map(str, config.image_size))}-{run}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_memory_is_within_two_percent(case: tuple[Config, Run]) -> None:
    found, expected = cost(*case).phases, measured_memory(*case)
    assert {phase: each.total for phase, each in found.items()} == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("case", [case for case in CASES if case[1].precision == "fp32"], ids=name)  # the same in all
def test_flops_are_exact(case: tuple[Config, Run]) -> None:
    assert flops(*case) == measured_flops(*case)


@pytest.mark.parametrize("config", BACKBONES.values(), ids=BACKBONES)
def test_parameters_are_exact(config: Config) -> None:
    model = MODELS[type(config)](config)
    assert cost(config).parameters == sum(each.numel() for each in model.parameters())


def test_a_swin_of_absurd_pictures_is_whole_numbers() -> None:
    """No overflow, and no square of the number of tokens: Swin's cost grows with the picture's area."""
    once, more = (flops(replace(SWIN, image_size=(side, side)))["forward"] for side in (224, 224 * 5000))
    head = 2 * SWIN.dims[-1] * SWIN.num_classes
    assert more - head == 5000**2 * (once - head)
