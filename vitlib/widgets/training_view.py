"""What the training widget shows of its runs: curves of loss, accuracy and learning rate, and what they say in words.

Pure functions of `Run`s, the latest one last; the controls are in training.py.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

from vitlib.plotting import Figure
from vitlib.widgets.chart import LineChart
from vitlib.widgets.training_run import Run

COLOURS = {"A": "#0072B2", "B": "#D55E00", "C": "#009E73"}  # of Okabe and Ito's palette, by a run's letter
POINTS = 120  # of a curve, at most
CHANGES: dict[str, dict[str, Any]] = {
    "none": {},
    "shift each by a pixel": {"shift": 1},
    "mirror left and right": {"flip": True},
    "mixup": {"mixup": 0.4},
    "shift and mixup": {"shift": 1, "mixup": 0.4},
}  # what is done to training pictures: fields of a Recipe


def verdict(run: Run) -> str:
    """What a run's curves say, in a sentence or two.

    >>> from vitlib.training.fit import Recipe
    >>> verdict(Run("1077 digits", Recipe(), loss=[2.9] * 4, train=[0.1], valid=[0.1], per_epoch=4))
    'The loss, 2.90, is above ln 10 = 2.30: guessing would do better. The learning rate is too high.'
    """
    if run.state == "failed":
        return f"Training stopped: {run.problem}"
    if run.state == "diverged":
        return (
            f"The loss is {run.loss[-1]} at step {len(run.loss)}: diverged. Take a smaller learning rate, or a warm-up."
        )
    ln = f"ln {run.classes} = {run.guessing:.2f}"
    if not run.loss:
        return f"Not a step yet. The first loss should be near {ln}."
    if not run.epochs:
        return f"In the first epoch: the loss began at {run.loss[0]:.2f}, and {ln} is what guessing gives."
    now, before = _epoch_loss(run, run.epochs - 1), _epoch_loss(run, 0)
    train, valid = run.train[-1], run.valid[-1]
    if now > run.guessing + 0.05:
        return f"The loss, {now:.2f}, is above {ln}: guessing would do better. The learning rate is too high."
    if now > 0.8 * run.guessing:
        why = (
            "It falls, but slowly: a higher learning rate, or more epochs."
            if run.epochs == 1 or now < before - 0.02
            else "It does not fall: another learning rate, most likely a lower one."
        )
        return f"The loss, {now:.2f}, is still near {ln}. {why}"
    share = f"{train:.0%} of its training pictures right, and {valid:.0%} of new ones"
    if train - valid > 0.08:
        return f"{share}: it overfits. More pictures, changed pictures, or a pretrained model would help."
    if run.recipe.flip and "digits" in run.data and run.over:
        return f"{share}. But half of what it learned from was mirrored, and no validation digit is: compare without."
    return f"{share}: it {'has learned' if run.over else 'learns'}, and holds for new pictures."


def describe(run: Run) -> str:
    """What was chosen for a run."""
    recipe = run.recipe
    changes = next(name for name, fields in CHANGES.items() if all(getattr(recipe, f) == v for f, v in _all(fields)))
    change = "pictures as they are" if changes == "none" else changes
    return (
        f"{run.data}, {recipe.optimizer}, learning rate {recipe.lr:g}, warm-up {recipe.warmup:.0%}, {change}, batch "
        f"{recipe.batch_size}, {recipe.epochs} epochs, seed {recipe.seed}"
    )


def words_html(run: Run | None, following: Run) -> str:
    """How the latest run stands, and what comes next, read aloud whenever the verdict changes."""
    coming = f"<p><b>Start</b> trains on {escape(describe(following))}.</p>"
    if run is None:
        return f'<div class="vit-words"><p role="status">No run yet.</p>{coming}</div>'
    share = [f"{each[-1]:.1%}" if each else "–" for each in (run.train, run.valid)]
    tiles = [
        (f"{run.epochs}", f"of {run.recipe.epochs} epochs"),
        (f"{run.loss[-1]:.2f}" if run.loss else "–", "loss, last step"),
        (share[0], "train"),
        (share[1], "validation"),
    ]
    cells = "".join(f"<div><b>{number}</b>{name}</div>" for number, name in tiles)
    said = escape(verdict(run))
    if run.state in ("failed", "diverged"):
        said = f'<div class="vit-notice" role="alert">⚠ {said}</div>'
    else:
        said = f'<p role="status">{said}</p>'
    if run.state == "paused":
        coming = "<p>Paused: <b>Start</b> goes on, <b>Reset</b> ends the run and frees the settings.</p>"
    if run.state == "running":
        coming = "<p>Running. Other cells can be run meanwhile; training goes on when they are done.</p>"
    return f'<div class="vit-words"><div class="vit-tiles">{cells}</div>{said}{coming}</div>'


def curves_html(runs: Sequence[Run]) -> str:
    """Three panels side by side, or below one another where the page is narrow, and whose curve is whose."""
    if not runs:
        return '<p class="vit-caption">The curves will be drawn here.</p>'
    guessing = max(run.guessing for run in runs)
    highest = max((loss for run in runs if run.state != "failed" for loss in run.loss), default=0.0)
    top = min(2 * guessing, max(1.15 * guessing, highest))
    losses = [(run, _thinned([(i / run.per_epoch, loss) for i, loss in enumerate(run.loss)])) for run in runs]
    rates = [(run, _thinned([(i / run.per_epoch, rate) for i, rate in enumerate(_shares(run))])) for run in runs]
    train, valid = [(run, _after(run.train)) for run in runs], [(run, _after(run.valid)) for run in runs]
    epochs = max(run.recipe.epochs for run in runs)
    loss, share, across = LineChart(epochs, top), LineChart(epochs, 1.0), (0, epochs / 2, epochs)
    halves = (0, 0.5, 1)
    panels = [
        loss.svg(
            "loss", "epochs", across, (0, top / 2, top),
            _drawn(loss, losses) + loss.level(guessing, name="guessing"), "{:.1f}",
        ),
        share.svg(
            "accuracy: — validation, - - train", "epochs", across, halves,
            _drawn(share, train, "5 4") + _drawn(share, valid), "{:.0%}",
        ),
        share.svg("learning rate / its highest", "epochs", across, halves, _drawn(share, rates)),
    ]  # fmt: skip
    grid = "display: grid; gap: 4px 12px; grid-template-columns: repeat(auto-fit, minmax(min(200px, 100%), 1fr))"
    drawn = f'<div role="img" aria-label="{escape(_description(runs))}" style="{grid}">{"".join(panels)}</div>'
    return drawn + _legend(runs)


def still(runs: Sequence[Run]) -> Figure:
    """The curves as a picture."""
    figure = Figure(figsize=(9, 3.1), layout="constrained")
    loss, accuracy, rate = figure.subplots(1, 3)
    for run in runs:
        colour, letter = COLOURS[run.letter], run.letter
        epochs = [(i + 1) / run.per_epoch for i in range(len(run.loss))]
        loss.plot(epochs, run.loss, color=colour, linewidth=1, label=letter)
        accuracy.plot(range(1, run.epochs + 1), run.train, "--", color=colour)
        accuracy.plot(range(1, run.epochs + 1), run.valid, color=colour, marker=".", label=letter)
        rate.plot(epochs, _shares(run), color=colour, label=letter)
    for guessing in {run.guessing for run in runs}:
        loss.axhline(guessing, color="#999999", linewidth=1)
        loss.text(0, guessing, "guessing", fontsize=8, color="#555555", va="bottom")
    titles = ("loss (nats)", "accuracy: — validation, - - train", "learning rate / its highest")
    for axes, title in zip((loss, accuracy, rate), titles, strict=True):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epochs")
    accuracy.set_ylim(0, 1.02)
    if runs:
        accuracy.legend(loc="lower right")
    figure.description = _description(runs)
    return figure


def _all(fields: dict[str, Any]) -> list[tuple[str, Any]]:
    """The fields that a change may touch, with what this one makes of them."""
    return [*({"shift": 0, "flip": False, "mixup": 0.0} | fields).items()]


def _shares(run: Run) -> list[float]:
    """Each step's learning rate over the run's highest: so runs whose rates differ a thousandfold share a panel."""
    return [rate / run.recipe.lr for rate in run.rate]


def _epoch_loss(run: Run, epoch: int) -> float:
    some = run.loss[epoch * run.per_epoch : (epoch + 1) * run.per_epoch]
    return sum(some) / len(some)


def _description(runs: Sequence[Run]) -> str:
    """The curves for those who do not see them."""
    if not runs:
        return "Empty axes for curves of loss, accuracy and learning rate: no run yet."
    said = " ".join(f"{run.letter}: {describe(run)}. {verdict(run)}" for run in runs)
    return f"Curves of loss, accuracy and learning rate over the epochs. {said}"


def _legend(runs: Sequence[Run]) -> str:
    rows = []
    for run in runs:
        valid = f"{run.valid[-1]:.1%}" if run.valid else "–"
        rows.append(
            f'<div style="width: 18px; height: 4px; background: {COLOURS[run.letter]}"></div><b>{run.letter}</b>'
            f"<div>{escape(describe(run))}</div><div>{valid}</div>"
        )
    columns = "grid-template-columns: 18px max-content 1fr max-content"
    return f'<div class="vit-caption vit-table" style="{columns}">{"".join(rows)}</div>'


def _after(shares: list[float]) -> list[tuple[float, float]]:
    """Accuracies at the ends of their epochs."""
    return [(epoch, share) for epoch, share in enumerate(shares, start=1)]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most POINTS of them: the mean of as many neighbours as that takes."""
    size = -(-len(points) // POINTS)
    groups = [points[i : i + size] for i in range(0, len(points), size)] if points else []
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _drawn(chart: LineChart, curves: Sequence[tuple[Run, list[tuple[float, float]]]], dash: str = "none") -> str:
    return "".join(chart.curve(curve, COLOURS[run.letter], dash=dash) for run, curve in curves)
