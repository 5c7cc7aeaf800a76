"""The measured twins: what they count, on fake tensors as on real ones, and that torch still has what they lean on."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vitlib.backbones.convnext import ConvNeXtConfig
from vitlib.backbones.hybrid import HybridConfig
from vitlib.backbones.presets import Config
from vitlib.backbones.swin import SwinConfig
from vitlib.cost.measured import OWN, _fake, _Job, build, cuda_memory, measured_flops, measured_memory
from vitlib.cost.run import Run
from vitlib.training.counter import Counter
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT

VIT = ViTConfig(image_size=(32, 32), patch_size=8, embed_dim=64, depth=2, num_heads=4, num_classes=10, fused=False)
MODELS: list[Config] = [
    VIT,
    HybridConfig(image_size=(32, 32), patch_size=4, stem=(8, 16), embed_dim=32, depth=2, num_heads=2, fused=False),
    SwinConfig(image_size=(32, 32), depths=(2, 2), embed_dim=16, num_heads=(2, 4), window_size=2, fused=False),
    ConvNeXtConfig(image_size=(32, 32), depths=(1, 1), dims=(16, 32)),
]


def test_vit_b16_has_the_flops_that_are_known() -> None:
    """17.56 billion multiply-adds, of which trimming the last block saves 6 %."""
    flops = measured_flops(ViTConfig(trim=False), Run(training=False))
    assert flops == {"inference": 35_127_656_448}
    assert measured_flops(ViTConfig(), Run(training=False))["inference"] / flops["inference"] == pytest.approx(
        0.937, abs=1e-3
    )


@pytest.mark.parametrize("config", MODELS, ids=lambda config: type(config).__name__)
@pytest.mark.parametrize("training", [True, False])
def test_fake_tensors_count_as_real_ones(config: Config, training: bool) -> None:
    run, found = Run(batch_size=2, training=training), {}
    with Counter() as counter:
        job = _Job(config, run, build(config, run))

        def note(phase: str) -> None:
            found[phase], counter.peak = counter.peak, counter.now

        job.step(note)
        job.step(note)
    assert measured_memory(config, run) == pytest.approx(found, abs=8 * 2)  # how many batches a BatchNorm has seen


@pytest.mark.parametrize(("optimizer", "copies"), [("adamw", 4), ("adamw-foreach", 5), ("sgd", 3)])
@pytest.mark.parametrize(("precision", "ema"), [("fp32", False), ("amp", True), ("bf16", True)])
def test_the_step_holds_weights_gradients_and_states(optimizer: str, copies: int, precision: str, ema: bool) -> None:
    """A copy of the weights each; AdamW by foreach needs one more while it runs."""
    model = ViT(VIT)
    run = Run(batch_size=2, precision=precision, optimizer=optimizer, ema=ema)  # type: ignore[arg-type]
    number = 2 if precision == "bf16" else 4
    expected = number * (copies + ema) * sum(each.numel() for each in model.parameters())
    pictures = number * 2 * 3 * 32 * 32
    found = measured_memory(VIT, run)["step"] - pictures
    assert 0 <= found - expected <= 0.02 * expected  # labels, the loss, and the steps' numbers


def test_checkpointing_computes_the_blocks_twice() -> None:
    """All but the last product of each, whose answer nobody needs again; and it keeps their inputs alone."""
    config = replace(VIT, image_size=(128, 128), trim=False)
    plain, twice = (measured_flops(config, Run(checkpointing=wanted)) for wanted in (False, True))
    tokens, depth, width = config.tokens, config.depth, config.embed_dim
    again = 2 * depth * tokens * (8 * width**2 + 2 * tokens * width)  # qkv 3, proj 1 and fc1 4; q kᵀ and weights v
    assert twice == {"forward": plain["forward"], "backward": plain["backward"] + again}
    few, many = (measured_memory(config, Run(batch_size=64, checkpointing=wanted)) for wanted in (True, False))
    assert few["forward"] < 0.6 * many["forward"]


def kept(function: str, dtype: torch.dtype, **more: torch.Tensor) -> int:
    """Bytes that attention leaves for backward, beyond its answer: B 2, h 3, N 50, d 8."""
    with _fake():
        q, k, v = torch.zeros(3, 2, 3, 50, 8, dtype=dtype, requires_grad=True)
        mask = {name: torch.zeros(2, 3, 50, 50, dtype=dtype) for name in more}
        with Counter() as counter:
            answer = getattr(F, function)(q, k, v, **mask)
        assert answer.shape == q.shape
        return counter.now - answer.nbytes


def test_attention_goes_to_cudas_kernels() -> None:
    """They keep a float32 sum for each query: by 32s in "efficient", which is for float32, as they are in flash."""
    seeds = 4 * 8  # bytes: the state of the dice
    assert kept("scaled_dot_product_attention", torch.float32) == pytest.approx(4 * 2 * 3 * 64, abs=seeds)
    assert kept("scaled_dot_product_attention", torch.bfloat16) == pytest.approx(4 * 2 * 3 * 50, abs=seeds)


def test_a_bias_goes_to_cudas_kernel_in_rows_of_eight() -> None:
    bias = torch.zeros(2, 3, 50, 50)
    found = kept("scaled_dot_product_attention", torch.float32, attn_mask=bias)
    assert found == pytest.approx(4 * 2 * 3 * (64 + 50 * 56), abs=32)


def test_autocast_computes_in_float32_what_it_does_on_cuda() -> None:
    x, branch = torch.ones(2, 8), torch.ones(2, 8, dtype=torch.bfloat16)
    with _fake(), torch.autocast("cpu", torch.bfloat16):
        product = nn.Linear(8, 8)(torch.ones(2, 8))
        assert product.dtype == torch.bfloat16
        assert product.softmax(dim=-1).dtype == torch.float32
        assert nn.LayerNorm(8)(product).dtype == torch.float32
        assert torch.addcmul(x, x, branch).dtype == torch.float32
    assert product.softmax(dim=-1).dtype == torch.bfloat16


def test_torch_miscounts_a_convolution_of_single_channels() -> None:
    """When it no longer does, `OWN` can go."""
    conv, counts = nn.Conv2d(16, 16, 7, padding=3, groups=16), {}
    for name, own in (("torch", None), ("own", OWN)):
        with FlopCounterMode(display=False, custom_mapping=own) as counter:
            conv(torch.zeros(1, 16, 8, 8, requires_grad=True)).sum().backward()
        counts[name] = counter.get_total_flops()
    once = 2 * 16 * 8 * 8 * 7 * 7
    assert counts == {"own": 3 * once, "torch": (1 + 1 + 16) * once}


def test_other_convolutions_are_counted_as_torch_counts_them() -> None:
    config, run = MODELS[1], Run(batch_size=2)
    with FlopCounterMode(display=False) as counter:
        model = build(config, run)
        model(torch.zeros(2, 3, 32, 32)).sum().backward()
    assert sum(measured_flops(replace(config, fused=False), run).values()) == counter.get_total_flops()


def test_size_costs_nothing() -> None:
    """A step of half a terabyte."""
    config = ViTConfig(image_size=(4096, 4096), embed_dim=1024, num_heads=16, depth=2, fused=False)
    assert max(measured_memory(config, Run(batch_size=2)).values()) > 5e11


def test_without_a_device_there_is_nothing_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match=r"no CUDA device here.*measured_memory counts the same step"):
        cuda_memory(VIT)
