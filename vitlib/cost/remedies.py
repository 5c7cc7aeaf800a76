"""What to do where a step does not fit, the cheapest first, each with what it saves and what it costs.

A remedy is a change of the configuration or of the way to run it; what it saves is found by calling `cost` again. The
order is from the smallest change to the largest: first what costs only time, then what changes the numbers a little,
then what makes it another model. Remedies that are on already, or that do not help here, are left out.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from typing import TypeGuard

from vitlib.backbones.hybrid import HybridConfig
from vitlib.backbones.presets import Config
from vitlib.backbones.stages import StageConfig
from vitlib.backbones.swin import SwinConfig
from vitlib.cost import Run
from vitlib.cost.gpus import gib, half_of
from vitlib.cost.job import Job, largest_within
from vitlib.vit.config import ViTConfig

Found = tuple[str, Job, str] | None  # a name, the job with it, its price in words; None: not for this job


@dataclass(frozen=True)
class Remedy:
    """One change, and what becomes of a step with it."""

    name: str
    job: Job  # with the change
    saves: int  # bytes allocated at the peak
    extra: str  # what it costs, in words
    fits: bool  # whether it is enough

    @property
    def change(self) -> tuple[Config, Run]:
        """The configuration and the run with it."""
        return self.job.config, self.job.run

    def __str__(self) -> str:
        return f"{self.name}: saves {gib(self.saves)}; {self.extra}"


def remedies(job: Job, room: int) -> tuple[Remedy, ...]:
    """Every remedy that saves something, each by itself. `room`: bytes that may be allocated.

    >>> from vitlib.models import PRESETS
    >>> job = Job(PRESETS["vit_base_patch16_224"], Run(batch_size=64, precision="amp"))
    >>> print(remedies(job, room=3 * 2**30)[0])
    batch 22, gradients of 3 steps added up: saves ... GiB; the same gradient, in more and smaller steps; as many FLOPs
    """
    tried = (_tried(remedy, job, room) for remedy in CHEAPEST_FIRST)
    return tuple(remedy for remedy in tried if remedy)


def combined(job: Job, room: int) -> tuple[Remedy, ...]:
    """The cheapest remedies that together make the step fit; empty where all of them together do not."""
    taken: list[Remedy] = []
    for remedy in CHEAPEST_FIRST:
        if found := _tried(remedy, job, room):
            taken.append(found)
            job = found.job
            if found.fits:
                return tuple(taken)
    return ()


def _tried(remedy: Callable[[Job, int], Found], job: Job, room: int) -> Remedy | None:
    found = remedy(job, room)
    if found is None or found[1].peak >= job.peak:
        return None
    name, changed, price = found
    more = round(100 * (changed.work / job.work - 1))  # per cent
    flops = f"{abs(more)} % {'more' if more > 0 else 'fewer'} FLOPs" if more else "as many FLOPs"
    return Remedy(name, changed, job.peak - changed.peak, f"{price}; {flops}", changed.peak <= room)


def _fused_attention(job: Job, room: int) -> Found:
    if not isinstance(job.config, ViTConfig | SwinConfig) or job.config.fused is not False:
        return None
    return "fused attention", job.reshaped(fused=None), "the same answers, and faster"


def _fused_optimizer(job: Job, room: int) -> Found:
    if not job.run.training or job.run.optimizer != "adamw-foreach":
        return None
    return "AdamW with fused=True", job.rerun(optimizer="adamw"), "the same steps, and faster"


def _half_precision(job: Job, room: int) -> Found:
    """In the numbers that the GPU is made for; both kinds take 2 bytes."""
    half, faster = half_of(job.gpu), ", and faster" * (job.gpu != "P40")  # Pascal saves memory alone
    if job.run.training and job.run.precision == "fp32":
        scaled = " with a GradScaler" * (half == "float16")
        return f"AMP in {half}{scaled}", job.rerun(precision="amp"), f"products to about 3 digits{faster}"
    if not job.run.training and job.run.precision != "bf16":
        return f"the model in {half}", job.rerun(precision="bf16"), f"numbers to about 3 digits{faster}"
    return None


def _smaller_batch(job: Job, room: int) -> Found:
    """As few steps as possible, and as equal as possible."""
    whole = job.run.batch_size
    if whole == 1 or job.peak <= room:
        return None
    most = largest_within(lambda batch: job.rerun(steps=2, batch_size=batch).peak, room, whole - 1)
    steps = -(-whole // max(most, 1))
    batch = -(-whole // steps)
    if not job.run.training:
        return f"batch {batch}, {steps} times", job.rerun(batch_size=batch), "the same answers"
    price = "the same gradient, in more and smaller steps"
    if isinstance(job.config, HybridConfig):
        price = "nearly the same gradient, as the stem normalises over fewer pictures"
    return f"batch {batch}, gradients of {steps} steps added up", job.rerun(steps, batch_size=batch), price


def _checkpointing(job: Job, room: int) -> Found:
    """Not for inference, which keeps no activations; nor where no block runs as a whole, as in token merging."""
    run = job.run
    if not run.training or run.checkpointing or run.merge:
        return None
    return "checkpointing", job.rerun(checkpointing=True), "the same gradient; blocks are computed twice"


def _token_merging(job: Job, room: int) -> Found:
    """Merge half of the tokens that can merge: up to there the paper loses little accuracy (Bolya et al., 2023)."""
    if not _plain_vit(job.config, job.run) or job.config.global_pool == "map" or job.config.depth == 1:
        return None
    r = job.config.grid.tokens // job.config.depth // 2
    price = "like patches share a token: a little accuracy"
    return (f"token merging, r = {r}", job.rerun(merge=r, checkpointing=False), price) if r else None


def _smaller_picture(job: Job, room: int) -> Found:
    """The largest that fits, down to half the sides."""
    config, units = job.config, _units(job.config, job.run)
    counts = [side // unit for side, unit in zip(config.image_size, units, strict=True)]
    most = min(counts)

    def shrunk(number: int) -> Job:
        """The shorter side `number` units long, the other in proportion."""
        height, width = (number * count // most * unit for count, unit in zip(counts, units, strict=True))
        smaller = job.reshaped(image_size=(height, width))
        if isinstance(smaller.config, ViTConfig) and job.run.merge:
            return smaller.rerun(merge=min(job.run.merge, smaller.config.grid.tokens // smaller.config.depth))
        return smaller

    if most == 1:
        return None
    tried = range(-(-most // 2), most)
    fitting = 1  # the smallest, where none fits
    if shrunk(tried[0]).peak <= room < job.peak:
        fitting = bisect_right(tried, room, lo=1, key=lambda number: shrunk(number).peak)
    smaller = shrunk(tried[fitting - 1])
    height, width = smaller.config.image_size
    return f"pictures of {height} × {width}", smaller, "small things are harder to see"


def _windows(job: Job, room: int) -> Found:
    """Fewer scores; fused attention keeps none, and windows save it no memory."""
    if not _plain_vit(job.config, job.run) or job.config.fused is not False:
        return None
    rows, columns = job.config.grid.rows, job.config.grid.columns
    windows = [side for side in range(4, min(rows, columns)) if gcd(rows, columns) % side == 0]
    if not windows:
        return None
    name = f"windows of {windows[-1]} × {windows[-1]} tokens"
    return name, job.rerun(window=windows[-1]), "another attention: fine-tune the model with it"


def _larger_patch(job: Job, room: int) -> Found:
    """The smallest that fits, up to twice the side; the largest of these where none does."""
    config = job.config
    if not _plain_vit(config, job.run) or not isinstance(config.patch_size, int):
        return None
    patches = range(config.patch_size + 1, 2 * config.patch_size + 1)
    jobs = [job.reshaped(patch_size=side) for side in patches if gcd(*config.image_size) % side == 0]
    if not jobs:
        return None
    larger = next((each for each in jobs if each.peak <= room), jobs[-1])
    return f"patches of {larger.config.patch_size}", larger, "another model, to be trained anew; small things are lost"


CHEAPEST_FIRST: tuple[Callable[[Job, int], Found], ...] = (
    _fused_attention,
    _fused_optimizer,
    _half_precision,
    _smaller_batch,
    _checkpointing,
    _token_merging,
    _smaller_picture,
    _windows,
    _larger_patch,
)


def _units(config: Config, run: Run) -> tuple[int, int]:
    """Pixels: what the height and the width of a picture are multiples of."""
    if isinstance(config, StageConfig):
        return config.unit, config.unit
    square = run.window or run.pool_stride or 1  # tokens that stay together
    return config.grid.patch_height * square, config.grid.patch_width * square


def _plain_vit(config: Config, run: Run) -> TypeGuard[ViTConfig]:
    """Whether the model is a plain ViT without cheaper attention, so that a drop-in can be chosen."""
    return isinstance(config, ViTConfig) and not isinstance(config, HybridConfig) and not run.dropins
