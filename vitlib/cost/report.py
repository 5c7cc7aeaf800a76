"""The answer of `will_it_fit`, in numbers and in words: what the command prints, and what the widget says."""

from dataclasses import dataclass

from vitlib.backbones.presets import Config
from vitlib.backbones.swin import SwinConfig
from vitlib.cost import Breakdown, Cost, Run
from vitlib.cost.gpus import gib, half_of
from vitlib.cost.overhead import CONTEXT, reserved
from vitlib.cost.remedies import Remedy
from vitlib.cost.run import Kind
from vitlib.vit.config import ViTConfig

BAR = 40  # characters of the longest bar
PASSES = {
    "forward": "the forward pass",
    "backward": "the backward pass",
    "step": "the optimizer's step",
    "inference": "inference",
}
KINDS: dict[Kind, str] = {  # what each part of a Breakdown is, in the order in which it is drawn
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimizer's states",
    "ema": "average of the weights",
    "inputs": "pictures",
    "activations": "activations",
    "scores": "attention scores",
    "copies": "copies",
    "temporary": "temporary",
}


@dataclass(frozen=True)
class Fit:
    """What a step needs of a GPU, what the GPU has, and what would help. Printed, it is a report."""

    model: str  # its name, or its kind
    config: Config
    run: Run
    gpu: str  # its name, or its size
    budget: int  # bytes that the GPU has
    cost: Cost
    largest_batch: int  # pictures that a step could have; 0: not even one
    remedies: tuple[Remedy, ...]  # each by itself, the cheapest first
    combined: tuple[Remedy, ...]  # one upon the other; empty where one is enough, and where all are too few

    @property
    def allocated(self) -> int:
        """Bytes of tensors at the peak."""
        return self.cost.peak

    @property
    def reserved(self) -> int:
        """Bytes that torch's allocator holds at the peak, an estimate."""
        return reserved(self.allocated)

    @property
    def needed(self) -> int:
        """Bytes of the GPU: reserved, and what CUDA takes for itself."""
        return self.reserved + CONTEXT

    @property
    def fits(self) -> bool:
        return self.needed <= self.budget

    @property
    def phase(self) -> str:
        """The part of a step that sets the peak: "forward", "backward" or "step", or "inference"."""
        return self.cost.peak_phase

    @property
    def breakdown(self) -> Breakdown:
        """What the memory is taken for at the peak."""
        return self.cost.phases[self.phase]

    @property
    def remedy(self) -> Remedy | None:
        """The cheapest that is enough by itself."""
        return next((each for each in self.remedies if each.fits), None)

    def __str__(self) -> str:
        return report(self)


def report(fit: Fit) -> str:
    """All of it, on a screen's width."""
    lines = [
        f"{fit.model}: {pictures(fit)}",
        f"{way(fit)}, on {fit.gpu} with {gib(fit.budget)}",
        "",
        *filter(None, (verdict(fit), halves(fit))),
        f"  {gib(fit.allocated):>11} allocated: tensors at the peak, in {PASSES[fit.phase]}",
        f"  {gib(fit.reserved):>11} reserved: what torch's allocator holds for them (estimate)",
        f"  {gib(fit.needed):>11} needed: with what CUDA takes for itself (estimate)",
        "",
        f"At the peak, in {PASSES[fit.phase]}:",
        *bars(fit.breakdown),
        "",
        batches(fit),
    ]
    if fit.remedies and not fit.fits:
        lines += ["", "Remedies, each by itself, the cheapest first (✓: enough):"]
        lines += [f"  {'✓' if each.fits else '·'} {each}" for each in fit.remedies]
        lines += ["", advice(fit)]
    return "\n".join(lines)


def sentence(fit: Fit) -> str:
    """The answer, the phase and the part that set the peak, the largest batch, and the cheapest remedy."""
    name, share = largest_part(fit.breakdown)
    passes = PASSES[fit.phase]
    peak = f"{passes[0].upper()}{passes[1:]} sets the peak, {share} % of it {name}."
    return " ".join(filter(None, (verdict(fit), halves(fit), peak, batches(fit), advice(fit))))


def verdict(fit: Fit) -> str:
    """Whether it fits, with the numbers."""
    if fit.fits:
        return f"It fits: {gib(fit.needed)} of {gib(fit.budget)}, {gib(fit.budget - fit.needed)} to spare."
    return f"It does not fit: {gib(fit.needed)} needed, {gib(fit.budget)} there."


def halves(fit: Fit) -> str:
    """What to take for bfloat16 where the GPU has none. It needs as much memory."""
    if fit.run.precision == "fp32" or half_of(fit.gpu) == "bfloat16":
        return ""
    if fit.run.precision == "bf16" and fit.run.training:
        instead = "amp, as float16 is too coarse for weights that learn"
    else:
        instead = "float16" + ", with a GradScaler: Recipe(amp=True) does" * fit.run.training
    return f"{fit.gpu} computes in no bfloat16: take {instead}."


def batches(fit: Fit) -> str:
    """The largest batch, in a sentence."""
    if not fit.largest_batch:
        return "Not even one picture would fit."
    return f"The largest batch that fits is {fit.largest_batch:,}."


def advice(fit: Fit) -> str:
    """What to do, if anything."""
    if fit.fits:
        return ""
    if fit.remedy:
        saved = gib(fit.remedy.saves)
        return f"The cheapest remedy is {fit.remedy.name}, which saves {saved}: {fit.remedy.extra}."
    if fit.combined:
        return f"No remedy is enough by itself; together these are: {' + '.join(each.name for each in fit.combined)}."
    return "No remedy is enough, not even all together: take a smaller model, or a larger GPU."


def pictures(fit: Fit) -> str:
    """The size of the pictures, and into how many tokens a ViT cuts them."""
    height, width = fit.config.image_size
    size = f"pictures of {height} × {width} pixels"
    return f"{size}, {fit.config.tokens} tokens" if isinstance(fit.config, ViTConfig) else size


def way(fit: Fit) -> str:
    """How the model is run: batch, precision, training or inference, in words."""
    run, config = fit.run, fit.config
    words = [f"{'training' if run.training else 'inference'} with batch {run.batch_size}", run.precision]
    if isinstance(config, ViTConfig | SwinConfig):
        words.append("readable attention" if config.fused is False else "fused attention")
    if run.training:
        words += [run.optimizer] + ["checkpointing"] * run.checkpointing + ["moving average"] * run.ema
    return ", ".join(words + dropin(run))


def dropin(run: Run) -> list[str]:
    """The cheaper attention that is on, if any."""
    return (
        [f"windows of {run.window} × {run.window}"] * bool(run.window)
        + [f"keys pooled {run.pool_stride} × {run.pool_stride}"] * bool(run.pool_stride)
        + [f"{run.merge} pairs of tokens merged a block"] * bool(run.merge)
    )


def parts(breakdown: Breakdown) -> dict[Kind, int]:
    """Bytes of each part that is there at all, in the order in which they are drawn."""
    return {kind: getattr(breakdown, kind) for kind in KINDS if getattr(breakdown, kind)}


def largest_part(breakdown: Breakdown) -> tuple[str, int]:
    """What most of the memory is for, and its share in per cent.

    >>> largest_part(Breakdown(weights=1, activations=3))
    ('activations', 75)
    """
    kind, size = max(parts(breakdown).items(), key=lambda part: part[1])
    return KINDS[kind], round(100 * size / breakdown.total)


def bars(breakdown: Breakdown) -> list[str]:
    """One line for each part."""
    most = max(parts(breakdown).values())
    return [
        f"  {gib(size):>11} {KINDS[kind]:<22} {'█' * round(BAR * size / most)}".rstrip()
        for kind, size in parts(breakdown).items()
    ]
