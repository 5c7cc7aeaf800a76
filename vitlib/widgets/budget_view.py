"""What the budget widget shows of a `Fit`: a bar for each phase against the GPU's line, what is in it, and words.

Pure functions; the controls are in budget.py.
"""

from html import escape

from vitlib.cost.gpus import gib
from vitlib.cost.overhead import CONTEXT, reserved
from vitlib.cost.report import KINDS, PASSES, Fit, parts, pictures, sentence, way
from vitlib.cost.run import Breakdown, Kind
from vitlib.plotting import Figure

# of Okabe and Ito's palette, which every kind of colour vision tells apart; and green, dark
COLOURS: dict[Kind, str] = {
    "weights": "#0072B2",
    "gradients": "#56B4E9",
    "optimizer": "#009E73",
    "ema": "#004D39",
    "inputs": "#F0E442",
    "activations": "#E69F00",
    "scores": "#D55E00",
    "copies": "#CC79A7",
    "temporary": "#7F7F7F",
}
MEANINGS: dict[Kind, str] = {
    "weights": "what the model has learned",
    "gradients": "one number for each weight",
    "optimizer": "what it remembers of each weight; AdamW: two numbers",
    "ema": "one more copy of the weights",
    "inputs": "what the model is given",
    "activations": "what forward keeps for backward",
    "scores": "N × N for each head and picture: readable attention keeps them",
    "copies": "weights in bfloat16, for the products",
    "temporary": "what an operation needs while it runs",
}
BEYOND = "repeating-linear-gradient(45deg, #BBBBBB 0 4px, #555555 4px 6px)"


def beyond(breakdown: Breakdown) -> int:
    """Bytes that the GPU needs on top of the tensors of a phase: an estimate."""
    return reserved(breakdown.total) + CONTEXT - breakdown.total


def bars_html(fit: Fit) -> str:
    """A stacked bar for each phase, and the GPU's memory as a line through them all."""
    whole = max(fit.needed, fit.budget) / 0.97  # bytes of a bar as wide as the page: a rim is left
    line = 100 * fit.budget / whole
    side = f"right: {100 - line:.2f}%; text-align: right" if line > 50 else f"left: {line:.2f}%"
    rows = [
        f'<div></div><div style="position: relative; height: 1.4em"><b style="position: absolute; {side}; '
        f'white-space: nowrap">{escape(fit.gpu)}: {gib(fit.budget)}</b></div><div></div>'
    ]
    for phase, breakdown in fit.cost.phases.items():
        cells = "".join(_cell(size / whole, COLOURS[kind], KINDS[kind]) for kind, size in parts(breakdown).items())
        cells += _cell(beyond(breakdown) / whole, BEYOND, "beyond the tensors")
        weight = 700 if phase == fit.phase else 400
        rows.append(
            f'<div class="vit-right" style="font-weight: {weight}">{phase}</div><div class="vit-track">{cells}'
            f'<div style="position: absolute; left: {line:.2f}%; top: -3px; bottom: -3px; '
            'border-left: 3px dashed currentColor"></div></div>'
            f'<div class="vit-right" style="font-weight: {weight}">{gib(breakdown.total + beyond(breakdown))}</div>'
        )
    columns = "grid-template-columns: max-content 1fr max-content"
    caption = f"{escape(fit.model)}, {pictures(fit)}; {way(fit)}"
    return (
        f'<p class="vit-caption">{caption}</p><div class="vit-caption vit-table" aria-hidden="true" style="{columns}">'
        f"{''.join(rows)}</div>{_legend(fit)}"
    )


def wrong_html(reason: str) -> str:
    """Of choices that do not go together, why."""
    text = f"⚠ This cannot be: {escape(reason)}. The bars show the choices before."
    return f'<div class="vit-words"><div class="vit-notice" role="alert">{text}</div></div>'


def words_html(fit: Fit) -> str:
    """The answer, what to watch, and every remedy."""
    mark = "✓ It fits" if fit.fits else "✗ Too much"
    return (
        '<div class="vit-words"><div class="vit-tiles">'
        f"<div{'' if fit.fits else ' class=vit-left'}><b>{mark}</b>{gib(fit.needed)} of {gib(fit.budget)}</div>"
        f"<div><b>{fit.largest_batch:,}</b>pictures a step at most</div></div>"
        f"<p>{escape(sentence(fit))}</p>{_remedies(fit)}</div>"
    )


def still(fit: Fit) -> Figure:
    """The bars as a picture."""
    figure = Figure(figsize=(8.4, 0.55 * len(fit.cost.phases) + 1.7), layout="constrained")
    axes = figure.subplots()
    unit = 2**30
    names, phases = list(fit.cost.phases), list(fit.cost.phases.values())
    ends = [0.0] * len(names)  # GiB: where the next part of each bar begins
    for kind, name in KINDS.items():
        widths = [getattr(each, kind) / unit for each in phases]
        if any(widths):
            axes.barh(names, widths, left=ends, color=COLOURS[kind], label=name)
            ends = [end + width for end, width in zip(ends, widths, strict=True)]
    more = [beyond(each) / unit for each in phases]
    axes.barh(names, more, left=ends, color="#BBBBBB", hatch="////", edgecolor="#555555", label="beyond the tensors")
    axes.axvline(fit.budget / unit, color="black", linestyle="--", linewidth=2)
    axes.set_xlim(0, 1.04 * max(fit.needed, fit.budget) / unit)
    axes.invert_yaxis()
    axes.set_xlabel("memory (GiB)")
    axes.set_title(f"{fit.model}, {pictures(fit)}\n{way(fit)}; dashed: {fit.gpu}", fontsize=10)
    figure.legend(loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    figure.description = (
        f"A stacked bar of memory for each phase, and a dashed line at {gib(fit.budget)}, what {fit.gpu} has. "
        f"{fit.model}, {pictures(fit)}; {way(fit)}. {sentence(fit)}"
    )
    return figure


def _cell(share: float, paint: str, name: str) -> str:
    """One part of a bar; a white edge parts it from the next."""
    return (
        f'<div title="{name}" style="width: {100 * share:.3f}%; background: {paint}; box-sizing: border-box; '
        'border-right: 1px solid white"></div>'
    )


def _legend(fit: Fit) -> str:
    """What the bar of the peak is made of, part by part, in its order."""
    rows = [(COLOURS[kind], KINDS[kind], size, MEANINGS[kind]) for kind, size in parts(fit.breakdown).items()]
    rows.append((BEYOND, "beyond the tensors", beyond(fit.breakdown), "gaps, cuBLAS and CUDA itself: an estimate"))
    cells = "".join(
        f'<div style="width: 14px; height: 14px; background: {paint}"></div><div>{name}</div>'
        f'<div class="vit-right">{gib(size)}</div><div>{meaning}</div>'
        for paint, name, size, meaning in rows
    )
    columns = "grid-template-columns: 14px max-content max-content 1fr"
    caption = f"At the peak, in {PASSES[fit.phase]}:"
    return f'<p class="vit-caption">{caption}</p><div class="vit-caption vit-table" style="{columns}">{cells}</div>'


def _remedies(fit: Fit) -> str:
    """Each with what it saves and costs; a tick where it is enough by itself."""
    if not fit.remedies:
        return ""
    cells = "".join(
        f"<div>{'✓' if each.fits else '·'}</div><div><b>{escape(each.name)}</b>: {escape(each.extra)}</div>"
        f'<div class="vit-right">−{gib(each.saves)}</div>'
        for each in fit.remedies
    )
    columns = "grid-template-columns: 1em 1fr max-content"
    caption = "<b>What would save memory</b>, the cheapest first" + ("" if fit.fits else "; ✓ is enough")
    return f'<p>{caption}:</p><div class="vit-table" style="{columns}">{cells}</div>'
