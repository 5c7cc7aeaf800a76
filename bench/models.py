"""vitlib beside its peers: one process, the same machine, turn by turn.

    python bench/models.py                                  a few minutes: eager, inference and training
    python bench/models.py --how compiled --rounds 7        compiled: about a minute for each cell
    python bench/models.py --size small --task train --peers timm

Other work on the machine slows every turn. So the models take turns, in a new order each round; a ratio is the
median, over the rounds, of the peer's time over vitlib's in the same round: above 1, vitlib is faster. Where the
machine is busy, one thread and its own clock measure best: OMP_NUM_THREADS=1 python bench/models.py --clock cpu
"""

import argparse
import importlib.metadata
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import product
from pathlib import Path

import peers
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from vitlib.backbones.presets import BACKBONES, Config
from vitlib.device import best_device
from vitlib.models import PRESETS

# name of a row, preset, pictures in a batch on a CPU and on an accelerator
SIZES = {
    "tiny": ("vit_tiny_patch16_224", 4, 256),
    "small": ("vit_small_patch16_224", 4, 256),
    "cifar": ("vit_cifar_patch4_32", 32, 1024),
    "swin": ("swin_tiny_patch4_window7_224", 2, 128),
    "convnext": ("convnext_tiny", 2, 128),
    "hybrid": ("vitc_1gf_patch16_224", 4, 256),
}
Step = Callable[[], object]


def inference(model: nn.Module, images: Tensor, bf16: bool) -> Step:
    """One forward pass, without gradients."""
    model.eval()

    def step() -> Tensor:
        with torch.inference_mode(), _precision(images, bf16):
            return model(images)

    return step


def training(model: nn.Module, images: Tensor, bf16: bool) -> Step:
    """Forward, loss, backward, and AdamW's step."""
    model.train()
    labels = torch.zeros(len(images), dtype=torch.long, device=images.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        with _precision(images, bf16):
            loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _precision(images: Tensor, bf16: bool) -> torch.autocast | nullcontext[None]:
    return torch.autocast(images.device.type, torch.bfloat16) if bf16 else nullcontext()


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def seconds(step: Step, args: argparse.Namespace) -> float:
    """Time of one step, with whatever the accelerator still had to do."""
    clock = CLOCKS[args.clock]
    start = clock()
    step()
    if args.device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def rounds(steps: dict[str, Step], args: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of every step in every round; the order changes, and two rounds before the count warm up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(-2, args.rounds):
        for name in random.sample(list(steps), len(steps)):
            took = seconds(steps[name], args)
            if number >= 0:
                times[name].append(took)
    return times


def row(config: Config, batch: int, names: list[str], task: str, precision: str, how: str, args) -> dict:
    """Seconds of each peer that has this model."""
    torch.manual_seed(0)
    images = torch.randn(batch, config.in_chans, *config.image_size, device=args.device)
    steps = {}
    for name in names:
        if (model := peers.build(name, config)) is None:
            continue
        model = model.to(args.device)
        if how == "compiled":
            torch.compiler.reset()
            model = torch.compile(model)
        steps[name] = {"infer": inference, "train": training}[task](model, images, precision == "bf16")
    return rounds(steps, args)


def table(args: argparse.Namespace) -> Iterator[str]:
    """The lines of a Markdown table: vitlib's time, then each peer's time over vitlib's."""
    others = [name for name in args.peers if name != "vitlib"]
    yield "| model | batch | task | precision | how | vitlib, ms | " + " | ".join(others) + " |"
    yield "|" + "---|" * (6 + len(others))
    choices = list(product(args.size, args.task, args.precision, args.how))
    for size, task, precision, how in tqdm(choices, desc="rows", disable=None):
        preset, on_cpu, on_gpu = SIZES[size]
        batch = args.batch or (on_cpu if args.device.type == "cpu" else on_gpu)
        times = row((PRESETS | BACKBONES)[preset], batch, ["vitlib", *others], task, precision, how, args)
        ours = times["vitlib"]
        ratios = [[t / o for t, o in zip(times.get(name, []), ours, strict=False)] for name in others]
        cells = [f"{statistics.median(ours) * 1e3:.1f}"]
        cells += [f"{statistics.median(each):.3f}×" if each else "–" for each in ratios]
        yield f"| {size} | {batch} | {task} | {precision} | {how} | " + " | ".join(cells) + " |"


def machine(device: torch.device) -> str:
    """The hardware, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} threads"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--task", nargs="+", choices=["infer", "train"], default=["infer", "train"])
    parser.add_argument("--precision", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    parser.add_argument("--how", nargs="+", choices=["eager", "compiled"], default=["eager"])
    parser.add_argument("--peers", nargs="+", choices=peers.BUILDERS, default=peers.installed())
    parser.add_argument("--rounds", type=int, default=9, help="turns that each model takes")
    parser.add_argument("--batch", type=int, help="pictures; a small number of its own for each size")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: blind to the machine's other work")
    parser.add_argument("--device", type=best_device, default=best_device())
    args = parser.parse_args()
    if not {"timm", "torchvision", "lucidrains", "simple_vit"}.isdisjoint(args.peers):
        print("torchvision imports", peers.import_torchvision())
    packages = ["torch", "timm", "torchvision", "transformers", "vit-pytorch"]
    found = {dist.metadata["Name"]: dist.version for dist in importlib.metadata.distributions()}
    print(machine(args.device), *(f"{name} {found[name]}" for name in packages if name in found), sep="; ")
    print(f"medians of {args.rounds} rounds, {args.clock} clock\n")
    for line in table(args):
        print(line, flush=True)


if __name__ == "__main__":
    main()
