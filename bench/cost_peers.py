"""Who counts a model's work right: vitlib.cost beside the counters that people use, in % of what torch does.

    python bench/cost_peers.py        a minute

What torch does are its matrix products and convolutions, where a multiply-add is two FLOPs. The truth is its own
counter's on the "meta" device, where no kernel is fused and every product comes to light. All others run as their
documentation says, in eval mode on a CPU, batch 1. Those that count multiply-adds (fvcore, ptflops, torchinfo) are
doubled.
"""

import importlib.metadata
import logging
import platform
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import peers
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vitlib.backbones.presets import BACKBONES, Config
from vitlib.cost import Run, cost
from vitlib.cost.measured import measured_flops, measured_memory
from vitlib.models import PRESETS
from vitlib.vit.config import ViTConfig

ONCE = Run(training=False)  # one picture, forward
MIB = 2**20


class Count(NamedTuple):
    """What a counter found."""

    flops: int
    parameters: int


def by_torch(model: nn.Module, images: Tensor) -> Count:
    with FlopCounterMode(display=False) as counter:
        model(images)
    return Count(counter.get_total_flops(), sum(each.numel() for each in model.parameters()))


def by_fvcore(model: nn.Module, images: Tensor) -> Count:
    from fvcore.nn import FlopCountAnalysis, parameter_count

    logging.getLogger("fvcore").setLevel(logging.ERROR)  # it lists what it does not count
    return Count(2 * FlopCountAnalysis(model, images).total(), parameter_count(model)[""])


def by_ptflops(model: nn.Module, images: Tensor, backend: str) -> Count:
    from ptflops import get_model_complexity_info

    size = tuple(images.shape[1:])
    macs, parameters = get_model_complexity_info(
        model, size, as_strings=False, print_per_layer_stat=False, backend=backend
    )
    return Count(2 * macs, parameters)


def by_torchinfo(model: nn.Module, images: Tensor) -> Count:
    from torchinfo import summary

    found = summary(model, input_data=images, verbose=0)
    return Count(2 * found.total_mult_adds, found.total_params)


def by_calflops(model: nn.Module, images: Tensor, backward: bool = False) -> Count:
    from calflops import calculate_flops

    flops, _, parameters = calculate_flops(
        model, args=[images], include_backPropagation=backward, print_results=False, output_as_string=False
    )
    return Count(int(flops), parameters)


COUNTERS: dict[str, Callable[[nn.Module, Tensor], Count]] = {
    "torch, on a CPU": by_torch,
    "fvcore": by_fvcore,
    "ptflops": partial(by_ptflops, backend="pytorch"),
    "ptflops, aten": partial(by_ptflops, backend="aten"),
    "torchinfo": by_torchinfo,
    "calflops": by_calflops,
}


class Subject(NamedTuple):
    """A model to count: whose it is, its configuration, and which way its attention goes."""

    library: str
    name: str
    side: int = 224  # pixels
    readable: bool = False  # attention as the formula is written; else by the fused kernel

    @property
    def config(self) -> Config:
        """As published: where vitlib would cut the last block short, the peers do not."""
        config = replace((PRESETS | BACKBONES)[self.name], image_size=(self.side, self.side))
        whole = {"trim": False, "fused": not self.readable} if isinstance(config, ViTConfig) else {}
        return replace(config, **whole)

    def build(self, device: str) -> nn.Module:
        with torch.device(device):
            model = peers.build(self.library, self.config)
        for module in model.modules():
            if self.library == "timm" and "Attention" in type(module).__name__:
                module.fused_attn = not self.readable
        return model.eval()

    def images(self, device: str) -> Tensor:
        return torch.zeros(1, 3, self.side, self.side, device=device)

    def __str__(self) -> str:
        way = ", readable" if self.readable else ""
        return f"{self.library} {self.name.split('_patch')[0]}, {self.side} px{way}"


BASE, TINY = "vit_base_patch16_224", "vit_tiny_patch16_224"
SWIN, CONVNEXT, HYBRID = "swin_tiny_patch4_window7_224", "convnext_tiny", "vitc_1gf_patch16_224"
SUBJECTS = [
    *(Subject(library, BASE, readable=way) for library in ("vitlib", "timm") for way in (False, True)),
    Subject("torchvision", BASE),
    *(Subject(library, TINY, 512, way) for library in ("vitlib", "timm") for way in (False, True)),
    *(Subject(library, name) for name in (SWIN, CONVNEXT, HYBRID) for library in ("vitlib", "timm")),
    Subject("torchvision", SWIN),
]


def work() -> Iterator[str]:
    """A Markdown table: the FLOPs of a forward pass, the share of attention's own products, and everyone's error."""
    yield "| model | GFLOP | in Q Kᵀ and A V | vitlib.cost | " + " | ".join(COUNTERS) + " |"
    yield "|" + "---|" * (4 + len(COUNTERS))
    for subject in SUBJECTS:
        model = subject.build("meta")
        with FlopCounterMode(display=False) as counter:
            model(subject.images("meta"))
        truth = counter.get_total_flops()
        products = counter.get_flop_counts()["Global"].get(torch.ops.aten.bmm, 0)
        found = [cost(subject.config, ONCE).flops["inference"]]
        found += [count(subject.build("cpu"), subject.images("cpu")).flops for count in COUNTERS.values()]
        errors = " | ".join(off(each, truth) for each in found)
        yield f"| {subject} | {truth / 1e9:.3f} | {products / truth:.1%} | {errors} |"


def learned() -> Iterator[str]:
    """Who counts the parameters right; the second time the first layer is frozen."""
    for frozen in (False, True):
        model = Subject("timm", BASE).build("cpu")
        model.patch_embed.requires_grad_(not frozen)
        truth = sum(each.numel() for each in model.parameters())
        found = {name: count(model, torch.zeros(1, 3, 224, 224)).parameters for name, count in COUNTERS.items()}
        wrong = [f"{name} {each:,}" for name, each in found.items() if each != truth]
        yield f"{truth:,} parameters{', some frozen' * frozen}: " + (", ".join(wrong) or "all right")


def there_and_back() -> Iterator[str]:
    """A training step's FLOPs: only calflops and vitlib say a number."""
    for subject in (Subject("vitlib", BASE), Subject("vitlib", BASE, readable=True), Subject("vitlib", TINY, 512)):
        truth = sum(measured_flops(subject.config).values())
        theirs = by_calflops(subject.build("cpu"), subject.images("cpu"), backward=True).flops
        ours = sum(cost(subject.config).flops.values())
        yield f"| {subject} | {truth / 1e9:.3f} | {off(ours, truth)} | {off(theirs, truth)} |"


def memory(batch: int = 8) -> Iterator[str]:
    """torchinfo's "Estimated Total Size" and vitlib.cost, beside the same step counted tensor by tensor."""
    from torchinfo import summary

    for subject in (Subject("vitlib", BASE), Subject("vitlib", BASE, readable=True), Subject("vitlib", SWIN)):
        found = summary(subject.build("cpu"), input_size=(batch, 3, 224, 224), verbose=0)
        theirs = found.total_input + found.total_output_bytes + found.total_param_bytes
        for run in (Run(batch), Run(batch, training=False)):
            truth = max(measured_memory(subject.config, run).values())
            ours, task = cost(subject.config, run).peak, "train" if run.training else "infer"
            yield f"| {subject} | {task} | {truth / MIB:.0f} | {off(ours, truth)} | {off(theirs, truth)} |"


def off(found: int, truth: int) -> str:
    """The error in %, "0" where there is none at all."""
    error = found / truth - 1
    return "0" if found == truth else f"{error:+.1%}" if abs(error) >= 0.001 else f"{error:+.2%}"


def main() -> None:
    print("torchvision imports", peers.import_torchvision())
    packages = ("torch", "timm", "torchvision", "fvcore", "ptflops", "torchinfo", "calflops")
    print(platform.machine(), *(f"{name} {importlib.metadata.version(name)}" for name in packages), sep="; ")
    tables = {
        "Forward": work(),
        "Parameters": learned(),
        "| model, forward and backward | GFLOP | vitlib.cost | calflops |\n|---|---|---|---|": there_and_back(),
        "| model, batch 8, fp32 | task | peak, MiB | vitlib.cost | torchinfo |\n|---|---|---|---|---|": memory(),
    }
    for title, lines in tables.items():
        print(f"\n{title}" if title.startswith("|") else f"\n{title}\n")
        for line in lines:
            print(line, flush=True)


if __name__ == "__main__":
    main()
