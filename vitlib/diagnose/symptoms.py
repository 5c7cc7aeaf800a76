"""From symptoms to causes: which symptoms a chart shows, which cause has which symptoms, and how two causes differ."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vitlib.diagnose.ward import Chart

LN_K = math.log(10)  # ten digits: the loss of a guess


@dataclass(frozen=True)
class Symptom:
    """A symptom: its description, where to look for it, and whether a chart shows it."""

    words: str
    look: str
    there: Callable[[Chart], bool]


def last_loss(chart: Chart) -> float:
    """The mean of the last ten steps."""
    return sum(chart.losses[-10:]) / len(chart.losses[-10:])


def alarmed(*checks: str) -> Callable[[Chart], bool]:
    """A function of a chart: whether one of these questions of `examine` raised an alarm."""
    return lambda chart: bool({*checks} & {*chart.alarms})


def attention(chart: Chart) -> str:
    """What `examine` says about the chart's attention."""
    return chart.report["attention"].seen


SYMPTOMS: dict[str, Symptom] = {
    # visible in the training curve and in the two accuracies
    "stuck": Symptom(
        "the loss hardly leaves ln K",
        "compare the end of the curve with ln K",
        lambda chart: last_loss(chart) > LN_K - 0.7 and chart.train_accuracy < 0.4,
    ),
    "jumps": Symptom(
        "the loss jumps above where it began",
        "look for losses far above ln K",
        lambda chart: max(chart.losses) > LN_K + 0.5,
    ),
    "test worse": Symptom(
        "good in training, much worse in the test",
        "compare the two accuracies",
        lambda chart: chart.train_accuracy - chart.test_accuracy > 0.15,
    ),
    "starts anew": Symptom(
        "said to be pretrained, and begins at ln K",
        "look at the loss of the very first step",
        lambda chart: chart.patient.pretrained and chart.losses[0] > LN_K - 0.5,
    ),
    # found by running the model again, in another way
    "random": Symptom(
        "a second pass gives other answers",
        "ask twice",
        lambda chart: chart.same_again < 0.97,
    ),
    "batch order": Symptom(
        "the order of the batch changes answers",
        "turn the batch round, and compare picture by picture",
        lambda chart: chart.same_reversed < 0.97,
    ),
    "patch order": Symptom(
        "patches change places, and nothing changes",
        "exchange patches, and compare the logits",
        alarmed("positions"),
    ),
    "one batch": Symptom(
        "eight pictures cannot be learned by heart",
        "train on one batch alone, at the same learning rate",
        alarmed("one batch"),
    ),
    # found by looking at the inputs, and by comparing parts with their formula
    "pixels": Symptom(
        "in use, the pixels have another range",
        "print mean and deviation of what the model gets, in training and in use",
        alarmed("pixels"),
    ),
    "sharpness": Symptom(
        "test pictures are less sharp",
        "put pictures of both kinds side by side, and compare how much neighbouring pixels differ",
        alarmed("test pictures"),
    ),
    "right answers": Symptom(
        "even right answers get a large loss",
        "hand the loss the logits of a model that is right",
        alarmed("loss function"),
    ),
    "count": Symptom(
        "more parameters than the formula says",
        "count them, part by part",
        lambda chart: chart.parameters > 27_000,
    ),
    "tokens": Symptom(
        "a token mixes several patches",
        "compute E x + b for one patch by hand, and compare",
        alarmed("patch embedding"),
    ),
    "large scores": Symptom(
        "attention's scores are √d_k times too large",
        "compare attention with the formula, score by score",
        lambda chart: "not divided" in attention(chart) or "after the softmax" in attention(chart),
    ),
    "rows": Symptom(
        "attention's rows do not sum to 1",
        "sum the weights of a token",
        lambda chart: "no row sums to 1" in attention(chart),
    ),
    "read": Symptom(
        "the head reads another row than 0",
        "compare what the head gets with the rows of the last block",
        alarmed("readout"),
    ),
}

SHOWS: dict[str, frozenset[str]] = {  # cause → symptoms; a test holds it against the charts
    "healthy": frozenset(),
    "pixels": frozenset({"test worse", "pixels"}),
    "blur": frozenset({"test worse", "sharpness"}),
    "mode": frozenset({"random", "batch order"}),
    "positions": frozenset({"patch order"}),
    "batch positions": frozenset({"batch order", "patch order", "count"}),
    "low rate": frozenset({"stuck", "one batch"}),
    "loss": frozenset({"stuck", "right answers"}),
    "high rate": frozenset({"stuck", "jumps", "one batch"}),
    "reshape": frozenset({"tokens"}),
    "scale": frozenset({"large scores"}),
    "late scale": frozenset({"large scores", "rows"}),
    "readout": frozenset({"read"}),
    "wide heads": frozenset({"count"}),
    "weights": frozenset({"starts anew"}),
}


def seen(chart: Chart) -> frozenset[str]:
    """The symptoms that a chart shows."""
    return frozenset(name for name, symptom in SYMPTOMS.items() if symptom.there(chart))


def ranked(ticked: Iterable[str]) -> list[tuple[str, float]]:
    """Every cause with how well it fits the ticked symptoms, 0…1, the best first.

    The fit is Jaccard's index: symptoms in both sets over symptoms in either. Without any symptom, "healthy" fits best.

    >>> [cause for cause, _ in ranked(["stuck"])][:3]
    ['low rate', 'loss', 'high rate']

    Errors: KeyError for a symptom that is not one of SYMPTOMS.
    """
    found = {*ticked}
    for name in found:
        if name not in SYMPTOMS:
            raise KeyError(f"no symptom is called {name!r}; there are {', '.join(SYMPTOMS)}")
    fits = {cause: len(found & shows) / len(found | shows) if found | shows else 1.0 for cause, shows in SHOWS.items()}
    return sorted(fits.items(), key=lambda pair: -pair[1])


def between(one: str, other: str) -> str | None:
    """A symptom that only one of two causes shows, to look for next; None if they show the same ones."""
    apart = SHOWS[one] ^ SHOWS[other]
    return next((name for name in SYMPTOMS if name in apart), None)
