"""What an optimizer's step costs beside the rest of a training step, and what it brings: AdamW and Muon.

    OMP_NUM_THREADS=1 python bench/optimizers.py
    OMP_NUM_THREADS=1 python bench/optimizers.py --accuracy 20 60

One training step of the small CIFAR model: forward and backward, and then each optimizer on gradients of its own copy.
They take turns, in a new order each round; a share is the median over the rounds of an optimizer's time over that of
forward and backward in the same round.

`--accuracy` trains the digits recipe for so many epochs with each optimizer, three seeds each, and prints the share of
the test pictures that is right. AdamW gets three learning rates, Muon that of the recipe.
"""

import argparse
import copy
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch.optim import AdamW, Optimizer
from tqdm import trange

from vitlib.device import best_device, fast_bfloat16
from vitlib.models import create
from vitlib.recipes.digits import RECIPE, train_digits
from vitlib.training.optim import optimizers

NAME = "vit_cifar_patch4_32"


def torchs_muon(model: torch.nn.Module) -> list[Optimizer]:
    """As vitlib.training.optim shares the parameters out, with torch's Muon in place of vitlib's."""
    ours, adamw = optimizers(model, "muon", 1e-3, 0.05)
    matrices = [each for group in ours.param_groups for each in group["params"]]
    return [torch.optim.Muon(matrices, adjust_lr_fn="match_rms_adamw"), adamw]


KINDS: dict[str, Callable[[torch.nn.Module], list[Optimizer]]] = {
    "AdamW": lambda model: [AdamW(model.parameters(), fused=True)],
    "Muon, vitlib": lambda model: optimizers(model, "muon", 1e-3, 0.05),
    "Muon, torch": torchs_muon,
}


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """On the CPU's clock, which is blind to the machine's other work; on an accelerator, the wall's."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    start = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def accuracy(epochs: int, seeds: int = 3) -> None:
    """The digits recipe with each optimizer, all else equal: test accuracy over the seeds."""
    for kind, lr in (("adamw", 1e-3), ("adamw", 3e-3), ("adamw", 1e-2), ("muon", 1e-2)):
        recipe = replace(RECIPE, epochs=epochs, optimizer=kind, lr=lr)
        start = time.process_time()
        right = [100 * train_digits(seed, recipe, progress=False)[1].test_accuracy[-1] for seed in range(seeds)]
        took = (time.process_time() - start) / seeds
        each = " ".join(f"{share:.2f}" for share in right)
        print(f"| {epochs} | {kind} | {lr:g} | {statistics.mean(right):.2f} | {each} | {took:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=256, help="pictures in a step")
    parser.add_argument("--side", type=int, default=16, help="pixels: side of a picture")
    parser.add_argument("--accuracy", type=int, nargs="+", metavar="EPOCHS", help="train the digits recipe instead")
    options = parser.parse_args()
    if options.accuracy:
        print("| epochs | optimizer | lr | right, % | each seed | CPU s a seed |\n|---|---|---|---|---|---|")
        for epochs in options.accuracy:
            accuracy(epochs)
        return
    device = best_device()
    model = create(NAME, image_size=options.side).train().to(device)
    images = torch.randn(options.batch, 3, options.side, options.side, device=device)
    labels = torch.zeros(options.batch, dtype=torch.long, device=device)
    amp = fast_bfloat16(device)

    def both_ways() -> None:
        model.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            logits = model(images)
        F.cross_entropy(logits.float(), labels).backward()

    both_ways()
    steps: dict[str, Callable[[], object]] = {"forward and backward": both_ways}
    for name, make in KINDS.items():
        other = copy.deepcopy(model)  # with the gradients
        for mine, theirs in zip(other.parameters(), model.parameters(), strict=True):
            mine.grad = theirs.grad.clone()
        movers = make(other)
        steps[name] = lambda movers=movers: [mover.step() for mover in movers]
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in trange(-1, options.rounds, desc="rounds", disable=None):  # the first one warms up
        for name in random.sample(list(steps), len(steps)):
            took = seconds(steps[name], device)
            if number >= 0:
                times[name].append(took)
    print(
        f"{NAME}, {options.batch} pictures of {options.side} px, {'AMP' if amp else 'float32'}, {options.rounds} rounds"
    )
    print("| | ms | of forward and backward |\n|---|---|---|")
    for name, took in times.items():
        share = statistics.median(a / b for a, b in zip(took, times["forward and backward"], strict=True))
        print(f"| {name} | {statistics.median(took) * 1e3:.0f} | {share:.0%} |")


if __name__ == "__main__":
    main()
