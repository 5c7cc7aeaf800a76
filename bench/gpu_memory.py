"""Memory on a CUDA device: what vitlib.cost predicts, and what torch's allocator counts.

    python bench/gpu_memory.py                    all cases, each in a process of its own: about ten minutes
    python bench/gpu_memory.py --only "*large*"   some of them, by a shell pattern over the table's first column

Each case runs twice. First as it is, for `max_memory_allocated` and `max_memory_reserved`. Then in the smallest GPU
that will_it_fit says is large enough: torch may reserve so much and no more (`set_per_process_memory_fraction`). A case
that runs out of memory there is one that was wrongly said to fit.
"""

import argparse
import gc
import multiprocessing
import statistics
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from itertools import product

import torch
from tqdm import tqdm

from vitlib.backbones.presets import BACKBONES, Config
from vitlib.cost import Run, cost
from vitlib.cost.budget import will_it_fit
from vitlib.cost.gpus import GIB
from vitlib.cost.measured import cuda_memory
from vitlib.cost.overhead import CONTEXT, reserved
from vitlib.cost.report import Fit
from vitlib.models import PRESETS

NO_CUDA = "not measured: torch finds no CUDA device here, and nothing else can say what one allocates"


@dataclass(frozen=True)
class Case:
    """A model, pictures of one size, and how they are run."""

    model: str  # one of vitlib.list_models()
    side: int  # pixels: of a square picture
    run: Run
    readable: bool = False  # attention as the formula is written; else by a fused kernel

    @property
    def config(self) -> Config:
        config = replace((PRESETS | BACKBONES)[self.model], image_size=(self.side, self.side))
        return replace(config, fused=False) if self.readable else config

    @property
    def name(self) -> str:
        """What tells it from the others: "vit_small_patch16_224, 64 × 224 px, train, amp, checkpointing"."""
        run = self.run
        words = [self.model, f"{run.batch_size} × {self.side} px", "train" if run.training else "infer", run.precision]
        words += ["readable"] * self.readable + ["checkpointing"] * run.checkpointing + ["EMA"] * run.ema
        words += [run.optimizer] * (run.training and run.optimizer != "adamw")
        words += [f"{name.replace('_', ' ')} {getattr(run, name)}" for name in run.dropins]
        return ", ".join(words)

    @property
    def fit(self) -> Fit:
        """The answer for the smallest GPU that is said to be large enough."""
        needed = reserved(cost(self.config, self.run).peak) + CONTEXT
        return will_it_fit(self.config, needed / GIB, self.run)


def cases() -> list[Case]:
    """Models × batch × size × attention × precision × checkpointing × training and inference."""
    tiny, small, base, large = (f"vit_{size}_patch16_224" for size in ("tiny", "small", "base", "large"))
    amp, fast = Run(precision="amp"), Run(training=False)
    chosen = [
        Case(small, 224, Run(batch_size=64, precision=precision, checkpointing=checkpointing), readable)
        for precision, checkpointing, readable in product(("fp32", "amp", "bf16"), (False, True), (False, True))
    ]
    chosen += [
        Case(base, side, replace(amp, batch_size=batch, checkpointing=checkpointing), readable)
        for (batch, side), checkpointing, readable in product(((64, 224), (12, 512)), (False, True), (False, True))
    ]
    chosen += [Case(base, 1024, replace(amp, batch_size=2), readable) for readable in (False, True)]
    chosen += [Case(base, 224, replace(amp, batch_size=batch)) for batch in (1, 8, 256)]
    chosen += [Case(base, 512, replace(amp, batch_size=12, **dropin)) for dropin in DROPINS]
    chosen += [Case(base, 224, Run(batch_size=8, **rule)) for rule in STATES]
    chosen += [Case(tiny, 224, Run(batch_size=512, precision=precision)) for precision in ("fp32", "amp")]
    chosen += [Case(tiny, side, replace(amp, batch_size=16)) for side in (384, 768)]
    chosen += [
        Case(large, 224, replace(amp, batch_size=64, checkpointing=checkpointing)) for checkpointing in (False, True)
    ]
    chosen += [Case(large, 384, Run(batch_size=16, precision="bf16"))]
    chosen += [
        Case("vit_cifar_patch4_32", 32, Run(batch_size=2048, precision=precision)) for precision in ("fp32", "amp")
    ]
    chosen += [
        Case(model, 224, Run(batch_size=64, precision=precision))
        for model, precision in product(BACKBONE_NAMES, ("fp32", "amp", "bf16"))
    ]
    chosen += [Case(BACKBONE_NAMES[0], 224, replace(amp, batch_size=64, checkpointing=True))]
    chosen += [
        Case(model, 224, replace(fast, batch_size=256, precision=precision))
        for model, precision in product((small, base), ("fp32", "amp", "bf16"))
    ]
    chosen += [Case(base, 1024, replace(fast, batch_size=4), readable) for readable in (False, True)]
    chosen += [Case(base, 512, replace(fast, batch_size=16, **dropin)) for dropin in DROPINS]
    return chosen + [Case(model, 224, replace(fast, batch_size=256)) for model in BACKBONE_NAMES]


BACKBONE_NAMES = ("swin_tiny_patch4_window7_224", "convnext_tiny", "vitc_4gf_patch16_224")
DROPINS = ({"window": 8}, {"pool_stride": 2}, {"merge": 64})  # for a grid of 32 × 32 patches
STATES = ({"optimizer": "adamw-foreach"}, {"optimizer": "sgd"}, {"ema": True})  # where the weights are what counts


@dataclass(frozen=True)
class Row:
    """One case, predicted and measured. Bytes."""

    name: str
    predicted: dict[str, int]  # "allocated" and "reserved" at the peak, and "needed": of the smallest GPU that fits
    measured: dict[str, int]  # "allocated" and "reserved"
    phases: tuple[str, str]  # that set the peak, predicted and measured
    ran_out: bool  # in the smallest GPU that is said to be large enough

    def error(self, what: str) -> float:
        """The prediction over the measurement, less one: 0.02 is two per cent too much."""
        return self.predicted[what] / self.measured[what] - 1


def measure(case: Case) -> Row:
    """Run it twice: as it is, and where torch may reserve only what was predicted. In a fresh process."""
    fit = case.fit
    peaks = cuda_memory(case.config, case.run)
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(fit.reserved / torch.cuda.mem_get_info()[1])
    try:
        cuda_memory(case.config, case.run)
        ran_out = False
    except torch.OutOfMemoryError:
        ran_out = True
    return Row(
        case.name,
        {what: getattr(fit, what) for what in ("allocated", "reserved", "needed")},
        {what: max(peak[what] for peak in peaks.values()) for what in ("allocated", "reserved")},
        (fit.phase, max(peaks, key=lambda phase: peaks[phase]["allocated"])),
        ran_out,
    )


def table(rows: Iterable[Row]) -> Iterator[str]:
    """The lines of a Markdown table, one as soon as its row is there; then what they come to."""
    seen = []
    yield "| case | phase | predicted, GiB | allocated, GiB | error | predicted, GiB | reserved, GiB | error |"
    yield "|" + "---|" * 8
    for row in rows:
        phase, found = row.phases
        cells = [row.name, phase if phase == found else f"{phase} (measured: {found})"]
        for what in ("allocated", "reserved"):
            cells += [f"{row.predicted[what] / GIB:.3f}", f"{row.measured[what] / GIB:.3f}", f"{row.error(what):+.1%}"]
        yield f"| {' | '.join(cells)} |"
        seen.append(row)
    yield ""
    for what in ("allocated", "reserved"):
        worst = max(seen, key=lambda row: abs(row.error(what)))
        median = statistics.median(abs(row.error(what)) for row in seen)
        yield f"{what}: median error {median:.1%}, worst {worst.error(what):+.1%} ({worst.name})"
    out = [f"{row.name} ({row.predicted['needed'] / GIB:.2f} GiB)" for row in seen if row.ran_out]
    yield f"said to fit, and ran out of memory: {len(out)} of {len(seen)}" + "".join(f"; {each}" for each in out)


def hardware() -> str:
    """The GPU, in words."""
    gpu, gib = torch.cuda.get_device_properties(0), torch.cuda.mem_get_info()[1] / GIB
    return f"{gpu.name}, {gib:.2f} GiB; torch {torch.__version__}, CUDA {torch.version.cuda}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", help="a shell pattern over the names of the cases")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print(NO_CUDA)
        return
    wanted = [case for case in cases() if fnmatch(case.name, args.only)]
    room = torch.cuda.mem_get_info()[0]  # bytes that are free
    fitting = [case for case in wanted if case.fit.needed <= room]
    print(f"{hardware()}; {len(fitting)} of {len(cases())} cases\n")
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh, max_tasks_per_child=1) as pool:
        rows = tqdm(pool.map(measure, fitting), total=len(fitting), desc="cases", disable=None)
        for line in table(rows):
            print(line, flush=True)


if __name__ == "__main__":
    main()
