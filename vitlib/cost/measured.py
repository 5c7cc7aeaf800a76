"""Chapter 6: what a model costs, measured rather than calculated. The formulas of vitlib.cost are tested against this.

FLOPs come from torch's own counter, memory from counting every tensor of a step. Both run on fake tensors, which have
shapes but no numbers: a model for the largest card is measured on a laptop, in seconds, and in no memory at all.
Where there is a CUDA device, `cuda_memory` asks its allocator.

What a step is, here and in the formulas. The model, the optimizer's states (there from the second step on, so the
second is measured), the average of the weights, the pictures and their labels lie in memory throughout. Gradients do
not: each step begins without (`zero_grad` sets them to None) and ends with them. Three phases: "forward" up to the
loss, which is the cross entropy of float32 logits; "backward"; "step", the optimizer's and the average's. Inference is
one phase, without gradients and without an optimizer.

Fake tensors are on a CPU. Where CUDA computes otherwise, `_AsOnCuda` does as CUDA does. What remains different, and is
not counted: memory inside a kernel (cuBLAS's and cuDNN's workspaces, partial sums of a backward pass), the CUDA
context, and the allocator's rounding. One thing is counted that CUDA saves: where two gradients of one tensor meet,
CUDA adds in place, fake tensors do not.

This file alone knows torch's fake tensors and the names of CUDA's attention kernels, which torch does not promise to
keep.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import _engine_run_backward
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from vitlib.backbones.pooled_attention import with_pooled_keys
from vitlib.backbones.presets import MODELS, Config
from vitlib.backbones.swin import SwinConfig
from vitlib.backbones.token_merging import MergedViT
from vitlib.backbones.windowed_attention import with_windows
from vitlib.cost.run import Run
from vitlib.training.counter import Counter
from vitlib.training.memory import checkpointed
from vitlib.vit.config import ViTConfig

Phase = Callable[[str], Any]  # what to do where a phase ends, given its name
ALIGNED = 8  # numbers: a bias whose rows do not begin at multiples of this is copied for CUDA's kernel


def _convolution_backward(gradient: Any, _inputs: Any, weight: Any, *rest: Any, **_: Any) -> int:
    """FLOPs from shapes: one product as large as forward's for each of two gradients, if wanted."""
    wanted = rest[-1]  # the pictures', the weights' and the bias's gradient
    return sum(wanted[:2]) * 2 * math.prod(gradient) * math.prod(weight[1:])


OWN = {torch.ops.aten.convolution_backward: _convolution_backward}


def measured_flops(config: Config, run: Run = Run()) -> dict[str, int]:  # noqa: B008, a Run is frozen
    """FLOPs of a step by phase ("forward" and "backward", or "inference"); a multiply-add is 2.

    They are FlopCounterMode's, but for one thing: for a convolution of each channel by itself, torch counts the
    gradient of its weights as if every channel saw every other one. Here it is counted as it is computed.

    >>> measured_flops(ViTConfig(trim=False), Run(training=False))  # ViT-B/16, one picture
    {'inference': 35127656448}
    """
    model = _shapes(config, run)
    with _fake(), FlopCounterMode(display=False, custom_mapping=OWN) as counter:
        job, found, before = _Job(config, run, model.to_empty(device="cpu")), {}, 0

        def note(phase: str) -> None:
            nonlocal before
            found[phase], before = counter.get_total_flops() - before, counter.get_total_flops()

        job.step(note)
    return {phase: count for phase, count in found.items() if phase != "step"}


def measured_memory(config: Config, run: Run = Run()) -> dict[str, int]:  # noqa: B008, a Run is frozen
    """Bytes at the peak of each phase ("forward", "backward" and "step", or "inference"), from fake tensors.

    >>> peaks = measured_memory(ViTConfig(), Run(batch_size=64))
    >>> max(peaks, key=peaks.get)
    'backward'
    """
    model = _shapes(config, run)
    with _fake(), Counter() as counter:
        job, found = _Job(config, run, model.to_empty(device="cpu")), {}

        def note(phase: str) -> None:
            found[phase], counter.peak = counter.peak, counter.now

        job.fill_optimizer()
        counter.peak = counter.now
        job.step(note)
    return found


def cuda_memory(config: Config, run: Run = Run(), device: str = "cuda") -> dict[str, dict[str, int]]:  # noqa: B008, a Run is frozen
    """Bytes at the peak of each phase on a CUDA device: {"forward": {"allocated": …, "reserved": …}, …}.

    "allocated" is what tensors take, "reserved" what torch holds of the device to put them in. Both count from what the
    process has allocated already, so run it in a fresh one.

    Errors: RuntimeError where there is no CUDA device, OutOfMemoryError where the step does not fit.
    """
    if not torch.cuda.is_available():
        raise RuntimeError(
            "torch finds no CUDA device here, so there is nothing to measure; measured_memory counts the same step "
            "on fake tensors, on any machine"
        )
    found = {}

    def note(phase: str) -> None:
        torch.cuda.synchronize(device)
        found[phase] = {
            "allocated": torch.cuda.max_memory_allocated(device),
            "reserved": torch.cuda.max_memory_reserved(device),
        }
        torch.cuda.reset_peak_memory_stats(device)

    job = _Job(config, run, build(config, run).to(device))
    job.step(note)
    job.step(note)
    return found


def build(config: Config, run: Run) -> nn.Module:
    """The model of a configuration, run as `run` says: with its drop-ins, and in its precision."""
    if isinstance(config, (ViTConfig, SwinConfig)) and config.fused is None:
        config = replace(config, fused=True)  # as it is on a CUDA device
    model = MODELS[type(config)](config)
    if run.window:
        model = with_windows(model, run.window)
    if run.pool_stride:
        model = with_pooled_keys(model, run.pool_stride)
    if run.merge:
        model = MergedViT(model, run.merge)
    model = model.to(torch.bfloat16) if run.precision == "bf16" else model
    return model.train(run.training)


class _Job:
    """A model, pictures, and everything else in memory between two steps."""

    def __init__(self, config: Config, run: Run, model: nn.Module) -> None:
        self.run, self.model = run, model
        first = next(model.parameters())
        device = first.device
        self.images = torch.zeros(run.batch_size, config.in_chans, *config.image_size, dtype=first.dtype, device=device)
        self.labels = torch.zeros(run.batch_size * run.training, dtype=torch.int64, device=device)
        self.optimizer = optimizer(self.model, run) if run.training else None
        averaged = (*model.parameters(), *model.buffers()) if run.ema and run.training else ()
        self.average = [each.detach().clone() for each in averaged]

    def fill_optimizer(self) -> None:
        """The optimizer's states, as they lie in memory from the second step on."""
        if self.optimizer:
            for each in self.model.parameters():
                each.grad = torch.zeros_like(each)
            self.optimizer.step()
            self.optimizer.zero_grad()

    def step(self, ended: Phase) -> None:
        """One step, or one forward pass; `ended` is called with each phase's name where it ends."""
        autocast = torch.autocast(self.images.device.type, torch.bfloat16, enabled=self.run.precision == "amp")
        if self.optimizer is None:
            with torch.no_grad(), autocast:
                self.model(self.images)
            ended("inference")
            return
        with checkpointed(self.model, self.run.checkpointing):
            with autocast:
                logits = self.model(self.images)
            loss = F.cross_entropy(logits.float(), self.labels)
            del logits
            ended("forward")
            loss.backward()
            ended("backward")
            self.optimizer.step()
            if self.average:
                weights = list(self.model.parameters())
                get_ema_multi_avg_fn(0.999)(self.average[: len(weights)], weights, 1)
            self.optimizer.zero_grad()
            ended("step")


def optimizer(model: nn.Module, run: Run) -> Optimizer:
    """The optimizer of a run."""
    if run.optimizer == "sgd":
        return SGD(model.parameters(), lr=1e-3, momentum=0.9)
    return AdamW(model.parameters(), fused=run.optimizer == "adamw", foreach=run.optimizer == "adamw-foreach")


def _shapes(config: Config, run: Run) -> nn.Module:
    """The model without numbers; `to_empty` gives it fake ones."""
    with torch.device("meta"):
        return build(config, run)


@contextmanager
def _fake() -> Iterator[None]:
    """Inside the block, tensors have no numbers and take no memory, and CUDA's ways are kept."""
    with FakeTensorMode(allow_non_fake_inputs=True), _AsOnCuda():
        yield


class _AsOnCuda(TorchFunctionMode):
    """Inside the block, a CPU computes as CUDA does, as far as it shows in memory.

    Attention goes to the kernels that CUDA has. Autocast computes in float32 what it does on CUDA: the softmax (whose
    weights are then kept twice: in float32 for its own gradient, in bfloat16 for the product) and LayerNorm.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return _fused_attention(*args, **kwargs)
        if func is Tensor.backward:  # checkpoints compute forward again in it, and as on CUDA
            with self:
                (loss,) = args
                everything = {"allow_unreachable": True, "accumulate_grad": True}
                return _engine_run_backward((loss,), (torch.ones_like(loss),), False, False, (), **everything)
        if func in (Tensor.softmax, F.layer_norm) and torch.is_autocast_enabled("cpu"):
            args = tuple(each.float() if isinstance(each, Tensor) else each for each in args)
        return func(*args, **kwargs)


def _fused_attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """F.scaled_dot_product_attention by the kernel that CUDA takes: flash, or for float32 and biases "efficient"."""
    bias = attn_mask
    if bias is None and q.dtype != torch.float32:
        return torch.ops.aten._scaled_dot_product_flash_attention(q, k, v)[0]
    if bias is not None:
        *strides, last = bias.stride()
        if last != 1 or any(stride % ALIGNED for stride in strides):
            bias = F.pad(bias, (0, ALIGNED - bias.shape[-1] % ALIGNED))[..., : bias.shape[-1]]
        bias = bias.expand(len(q), q.shape[1], q.shape[2], k.shape[2])
    training = torch.is_grad_enabled() and q.requires_grad
    return torch.ops.aten._scaled_dot_product_efficient_attention(q, k, v, bias, training)[0]
