"""What the symptom board shows: a patient's curve and chart, the causes by how well they fit, and what was guessed.

Pure functions; the controls are in symptoms.py.
"""

from collections.abc import Sequence
from functools import cache
from html import escape

import torch
import torch.nn.functional as F

from vitlib.diagnose.patients import PATIENTS, grey
from vitlib.diagnose.symptoms import LN_K, SHOWS, SYMPTOMS, between, ranked, seen
from vitlib.diagnose.ward import Chart, chart, known_digits
from vitlib.plotting import Figure
from vitlib.widgets.chart import LineChart
from vitlib.widgets.pictures import BLUE, ORANGE

GREY = "#7F7F7F"
TOP = 4.5  # nats: the upper end of the curve's scale
HIDDEN = "the surprise"


def title(subject: Chart, hidden: bool) -> str:
    """What the patient is called on the board."""
    return HIDDEN if hidden else subject.patient.cause


@cache
def measured(name: str) -> tuple[tuple[str, str], ...]:
    """The lines of a patient's chart: what was measured, and the number."""
    subject, (train, test) = chart(name), known_digits()
    shown = subject.patient.test(test).images
    given = subject.patient.asked(shown)
    learned = grey(train.images)
    right = 5.0 * F.one_hot(train.labels[:64], 10).float()
    return (
        ("right in training", f"{subject.train_accuracy:.0%}"),
        ("right in use", f"{subject.test_accuracy:.0%}"),
        ("loss of the first step", f"{subject.losses[0]:.2f}"),
        ("weights at the start", "“pretrained”" if subject.patient.pretrained else "fresh"),
        ("one batch is learned by heart", "no" if subject.rate["one batch"].verdict == "alarm" else "yes"),
        ("its loss for right answers", f"{float(subject.patient.criterion(right, train.labels[:64])):.2f}"),
        ("parameters", f"{subject.parameters:,}"),
        ("same class in a second pass", f"{subject.same_again:.0%}"),
        ("same class, batch reversed", f"{subject.same_reversed:.0%}"),
        ("logits move when patches do", f"{subject.logit_change:.2f}"),
        ("pixels in training", f"{learned.mean():.2f} ± {learned.std():.2f}"),
        ("pixels in use", f"{given.mean():.2f} ± {given.std():.2f}"),
        ("neighbours differ, in training", f"{_steps(train.images):.0f}"),
        ("neighbours differ, in use", f"{_steps(shown):.0f}"),
    )


def _steps(images: torch.Tensor) -> float:
    """How much neighbouring pixels differ, on average, of 255."""
    return images.float().diff(dim=3).abs().mean().item()


def curve_html(subject: Chart, step: int) -> str:
    """The loss over the steps beside the healthy one's, ln K, and a line at the chosen step."""
    steps = len(subject.losses)
    axes = LineChart(steps, TOP, width=460, height=210)
    healthy = chart("healthy").losses[:steps]
    drawn = (
        axes.level(LN_K, ORANGE, 2, "6 4")
        + axes.curve([*enumerate(healthy, start=1)], GREY, 1.5)
        + axes.curve([*enumerate(subject.losses, start=1)], BLUE, 2)
        + axes.curve([(step, 0), (step, TOP)], "currentColor", 0.5)
        + axes.dot(step, subject.losses[step - 1], BLUE, 4.5)
    )
    svg = axes.svg("loss (nats)", "step", range(0, steps + 1, max(20 * (steps // 80), 10)), range(5), drawn)
    words = escape(curve_words(subject, step))
    return f'<div role="img" aria-label="{words}" style="max-width: 560px">{svg}</div>'


def chart_html(subject: Chart, step: int, hidden: bool, lab: bool) -> str:
    """The curve, the chart next to that of the healthy model, and the lab's alarms where they were asked for."""
    legend = "".join(
        f'<span style="white-space: nowrap"><span style="color: {colour}">{mark}</span> {words}</span>'
        for colour, mark, words in ((BLUE, "━", title(subject, hidden)), (GREY, "━", "healthy"), (ORANGE, "╍", "ln 10"))
    )
    rows = "".join(
        f'<div>{name}</div><b class="vit-right">{value}</b><div class="vit-right" style="opacity: .75">{sound}</div>'
        for (name, value), (_, sound) in zip(measured(subject.name), measured("healthy"), strict=True)
    )
    columns = "grid-template-columns: 1fr max-content max-content"
    return (
        f'<div class="vit-caption" style="display: flex; flex-wrap: wrap; gap: 2px 14px">{legend}</div>'
        f"{curve_html(subject, step)}"
        f'<div class="vit-caption vit-table" style="{columns}"><b>Chart</b><div></div>'
        f'<div class="vit-right" style="opacity: .75">healthy</div>{rows}</div>{_lab(subject) if lab else ""}'
    )


def _lab(subject: Chart) -> str:
    """The alarms of vitlib.diagnose."""
    found = [*subject.report.alarms, *(each for each in subject.rate.alarms if each.check == "one batch")]
    lines = "".join(f"<div>✗ <b>{escape(each.check)}</b>: {escape(each.seen)}</div>" for each in found)
    asked = len(subject.report.findings)
    return (
        f'<div class="vit-notice" style="margin-top: 8px"><b>The lab</b> (vitlib.diagnose) asked {asked} questions.'
        f"{lines or '<div>✓ no alarm</div>'}</div>"
    )


def curve_words(subject: Chart, step: int) -> str:
    """The chosen point of the curve."""
    sound = chart("healthy").losses
    beside = f"{sound[step - 1]:.2f}" if step <= len(sound) else "no longer shown"
    return (
        f"At step {step} of {len(subject.losses)} the loss is {subject.losses[step - 1]:.2f}; the healthy one's is "
        f"{beside}, and ln 10 is {LN_K:.2f}."
    )


def fit_words(ticked: Sequence[str]) -> str:
    """Which causes fit the ticked symptoms best, and what would distinguish the first two."""
    if not ticked:
        return "Nothing is ticked yet: the chart of a healthy patient has no symptom."
    (best, fit), (second, other), *_ = ranked(ticked)
    if fit == 1 and other < 1:
        return f"Only “{PATIENTS[best].cause}” shows exactly this."
    if fit == 0:
        return "No cause shows this."
    check = between(best, second)
    assert check is not None  # two causes always differ: a test says so
    with_it = best if check in SHOWS[best] else second
    symptom = SYMPTOMS[check]
    return (
        f"“{PATIENTS[best].cause}” and “{PATIENTS[second].cause}” come first. To tell them apart, {symptom.look}: with "
        f"the {'first' if with_it == best else 'second'}, {symptom.words}."
    )


def guess_words(subject: Chart, guess: str | None, ticked: Sequence[str]) -> str:
    """Whether the diagnosis is right, and why."""
    if guess is None:
        return ""
    there = seen(subject)
    if guess == subject.name:
        wrong = [SYMPTOMS[name].words for name in ticked if name not in there]
        slips = f" You ticked “{wrong[0]}”, which this chart does not show." if wrong else ""
        return f"✓ Right: {subject.patient.cause}. {subject.patient.why}{slips}"
    expected, found = SHOWS[guess] - there, there - SHOWS[guess]
    if expected:
        name = next(each for each in SYMPTOMS if each in expected)
        return f"✗ Not this. With “{PATIENTS[guess].cause}”, {SYMPTOMS[name].words}; this chart does not show that."
    name = next(each for each in SYMPTOMS if each in found)
    return f"✗ Not this. “{PATIENTS[guess].cause}” does not explain everything: {SYMPTOMS[name].look}."


def words_html(subject: Chart, step: int, ticked: Sequence[str], guess: str | None) -> str:
    """The point of the curve, the ranking as bars, what distinguishes two, and the outcome of the diagnosis."""
    verdict = guess_words(subject, guess, ticked)
    colour = BLUE if verdict.startswith("✓") else "#D55E00"
    notice = f'<div class="vit-notice" style="border-left-color: {colour}">{escape(verdict)}</div>' if verdict else ""
    bars = "".join(
        f'<div>{escape(PATIENTS[cause].cause)}</div><div class="vit-track" style="height: 10px">'
        f'<div style="width: {100 * fit:.0f}%; background: {BLUE}"></div></div><div class="vit-right">{fit:.0%}</div>'
        for cause, fit in ranked(ticked)[:5]
        if fit and ticked
    )
    columns = "grid-template-columns: minmax(0, 1.6fr) minmax(40px, 1fr) max-content"
    ranking = f'<div class="vit-table" style="{columns}; margin-bottom: .6em">{bars}</div>' if bars else ""
    return (
        f'<div class="vit-words"><p aria-live="polite">{escape(curve_words(subject, step))}</p>'
        f"<p><b>Causes that fit what you ticked</b></p>{ranking}<p>{escape(fit_words(ticked))}</p>"
        f'<div aria-live="polite">{notice}</div></div>'
    )


def still(subject: Chart, hidden: bool) -> Figure:
    """The board without a kernel: the curve, and the chart beside it."""
    figure = Figure(figsize=(7.6, 3.6), layout="constrained")
    curve, table = figure.subplots(1, 2, width_ratios=(1, 1.3))
    for losses, colour, name in (
        (chart("healthy").losses, GREY, "healthy"),
        (subject.losses, BLUE, title(subject, hidden)),
    ):
        curve.plot(range(1, len(losses) + 1), losses, color=colour, label=name)
    curve.axhline(LN_K, color=ORANGE, linestyle="--", label="ln 10")
    curve.set(xlabel="step", ylabel="loss (nats)", ylim=(0, TOP))
    curve.legend(fontsize=8)
    table.set_axis_off()
    lines = zip(measured(subject.name), measured("healthy"), strict=True)
    for row, ((name, value), (_, sound)) in enumerate([(("", title(subject, hidden)), ("", "healthy")), *lines]):
        height = 1 - row / 15
        table.text(0.0, height, name, fontsize=8.5, va="top")
        table.text(0.76, height, value, fontsize=8.5, va="top", ha="right", weight="bold")
        table.text(1.0, height, sound, fontsize=8.5, va="top", ha="right", color="#555555")
    figure.description = (
        f"{curve_words(subject, len(subject.losses))} On the chart: "
        f"{'; '.join(f'{name} {value}' for name, value in measured(subject.name))}."
    )
    return figure
