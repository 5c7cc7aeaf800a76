"""How far a real training step grows on this CPU, beside what vitlib.cost says of it.

    python bench/resident.py        a minute; on Linux, which alone has the numbers

A CPU has no allocator that counts. So the peak is the process's resident memory at its highest in the second step, less
what it was before there was a model. Each case has a process of its own, with one thread, in which a tensor of 64 KiB
or more has its own mapping, so that the system has it back when it dies (MALLOC_MMAP_THRESHOLD_=65536). vitlib.cost
speaks of CUDA's kernels, and a CPU's have buffers of their own: this checks the sum of the large things, not the last
per cent.
"""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from vitlib.cost import Run, cost
from vitlib.cost.measured import build, optimizer
from vitlib.models import PRESETS
from vitlib.training.memory import checkpointed
from vitlib.vit.config import ViTConfig

MIB = 2**20  # bytes
TINY, SMALL = (replace(PRESETS[f"vit_{size}_patch16_224"], fused=True) for size in ("tiny", "small"))
CASES = {
    "ViT-Ti/16, batch 16": (TINY, Run(batch_size=16)),
    "the same, readable attention": (replace(TINY, fused=False), Run(batch_size=16)),
    "the same, fused, checkpointing": (TINY, Run(batch_size=16, checkpointing=True)),
    "the same, inference, batch 64": (TINY, Run(batch_size=64, training=False)),
    "ViT-S/16, batch 8": (SMALL, Run(batch_size=8)),
    "the same, batch 1": (SMALL, Run(batch_size=1)),
    "the same, batch 1, SGD": (SMALL, Run(batch_size=1, optimizer="sgd")),
}


def measure(config: ViTConfig, run: Run) -> int:
    """Bytes that the process grows by, at its highest in the second step. In a fresh process."""
    torch.set_num_threads(1)
    steps(PRESETS["vit_digits_patch2_8"], run)  # what is loaded at the first use, once and for all
    before = resident("VmRSS")
    return steps(config, run) - before


def steps(config: ViTConfig, run: Run) -> int:
    """Bytes that are resident at the highest in the second of two steps."""
    model = build(config, run)
    images = torch.rand(run.batch_size, config.in_chans, *config.image_size)
    rule = optimizer(model, run) if run.training else None
    for _ in range(2):
        Path("/proc/self/clear_refs").write_text("5")  # the highest begins anew, with what there is now
        with torch.set_grad_enabled(run.training), checkpointed(model, run.checkpointing):
            logits = model(images)
            if rule:
                F.cross_entropy(logits, torch.zeros(run.batch_size, dtype=torch.int64)).backward()
                rule.step()
                rule.zero_grad()
        del logits
    return resident("VmHWM")


def resident(name: str) -> int:
    """Bytes of this process that are in memory: "VmRSS" now, "VmHWM" at the highest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def main() -> None:
    if not Path("/proc/self/clear_refs").exists():
        print("not measured: it needs Linux's /proc/self/clear_refs")
        return
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # bytes; a new process reads it as it starts
    print(f"torch {torch.__version__}, one thread, fp32, 224 px\n")
    print("| case | predicted, MiB | resident, MiB | error |\n|---|---|---|---|")
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh, max_tasks_per_child=1) as pool:
        for name, job in CASES.items():
            predicted, found = cost(*job).peak, pool.submit(measure, *job).result()
            print(f"| {name} | {predicted / MIB:.0f} | {found / MIB:.0f} | {predicted / found - 1:+.0%} |", flush=True)


if __name__ == "__main__":
    main()
