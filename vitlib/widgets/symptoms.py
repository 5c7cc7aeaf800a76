"""The symptom board: a patient's chart, the symptoms that you see on it, and the causes that fit them."""

import random
from typing import Any

from ipywidgets import HTML, Button, Checkbox, Dropdown, IntSlider, Layout
from tqdm.auto import tqdm

from vitlib.diagnose.patients import PATIENTS
from vitlib.diagnose.symptoms import SYMPTOMS
from vitlib.diagnose.ward import Chart, chart
from vitlib.plotting import Figure
from vitlib.widgets.explorer import CONTROL, Explorer, column, on_change, side_by_side
from vitlib.widgets.symptoms_view import chart_html, curve_words, fit_words, guess_words, measured, still, words_html

SURPRISE = "a surprise"
GROUPS = {  # of symptoms, by where one sees them
    "On the curve, and in the accuracies": ("stuck", "jumps", "test worse", "starts anew"),
    "When it is asked again": ("random", "batch order", "patch order", "one batch"),
    "In what goes in, and in its parts": ("pixels", "sharpness", "right answers", "count"),
    "Only in the lab": ("tokens", "large scores", "rows", "read"),
}


def symptom_board(patient: str = SURPRISE, seed: int = 0) -> "SymptomBoard":
    """A widget to practise diagnosis: choose a patient, tick the symptoms on its chart, weigh causes, name one.

    patient: "a surprise", whose name is hidden, or one of vitlib.diagnose.patients.PATIENTS. seed: of the surprises'
    order. The first board of a session trains the fifteen small models, which takes some seconds.

    >>> print(symptom_board("healthy").sentence)
    At step 84 of 84 the loss is 0...; the healthy one's is ... Nothing is ticked yet: ...

    Errors: ValueError for a patient that is not in the ward.
    """
    return SymptomBoard(patient, seed)


class SymptomBoard(Explorer):
    """A patient's chart and its symptoms; without a kernel, a figure of the chart."""

    def __init__(self, patient: str, seed: int) -> None:
        if patient not in (SURPRISE, *PATIENTS):
            raise ValueError(f"patient is {patient!r}: expected {SURPRISE!r} or one of {', '.join(PATIENTS)}")
        for name in tqdm(PATIENTS, desc="ward round", delay=1, leave=False):  # all at once, so that no change waits
            measured(name)
            chart(name).alarms  # noqa: B018
        self._rng = random.Random(seed)
        self._hidden = "healthy"  # who the surprise is
        causes = [(each.cause, name) for name, each in PATIENTS.items()]
        self.choice = Dropdown(options=[(SURPRISE, SURPRISE), *causes], value=patient, description="Patient", **CONTROL)
        self.another = Button(description="another surprise", icon="random", layout={"width": "auto"})
        self.step = IntSlider(value=1, min=1, max=1, description="Step", **CONTROL)
        self.lab = Checkbox(description="ask the lab (vitlib.diagnose)", indent=False, layout=Layout(width="auto"))
        self.guess = Dropdown(options=[("not yet", None), *causes], description="Diagnosis", **CONTROL)
        self.ticks = {
            name: Checkbox(description=symptom.words, indent=False, layout=Layout(width="auto", margin="0"))
            for name, symptom in SYMPTOMS.items()
        }
        self.board, self.words = HTML(), HTML()

        groups = [
            item
            for name, symptoms in GROUPS.items()
            for item in (HTML(f'<p class="vit-caption"><b>{name}</b></p>'), *(self.ticks[each] for each in symptoms))
        ]
        self.board.layout = Layout(overflow="auto hidden")
        left = column(self.choice, self.another, self.step, self.lab, self.board)
        right = column(*groups, self.guess, self.words)
        super().__init__(side_by_side(left, right))

        on_change(self._open, self.choice)
        self.another.on_click(self._surprise)
        on_change(self._draw, self.step, self.lab)
        on_change(self._weigh, self.guess, *self.ticks.values())
        self._open()

    @property
    def chart(self) -> Chart:
        """Of the patient on the board."""
        return chart(self._hidden if self.choice.value == SURPRISE else self.choice.value)

    @property
    def hidden(self) -> bool:
        """Whether the patient's name stays hidden: that of a surprise does, until it is guessed."""
        return bool(self.choice.value == SURPRISE and self.guess.value != self._hidden)

    @property
    def ticked(self) -> list[str]:
        """The names of the ticked symptoms."""
        return [name for name, tick in self.ticks.items() if tick.value]

    @property
    def sentence(self) -> str:
        parts = curve_words(self.chart, self.step.value), fit_words(self.ticked)
        return " ".join([*parts, guess_words(self.chart, self.guess.value, self.ticked)]).strip()

    def _surprise(self, _: Any = None) -> None:
        """Show another surprise."""
        if self.choice.value == SURPRISE:
            self._open()
        else:
            self.choice.value = SURPRISE

    def _open(self, _: Any = None) -> None:
        """Another patient: nothing is ticked, guessed or asked yet."""
        if self.choice.value == SURPRISE:
            self._hidden = self._rng.choice([name for name in PATIENTS if name != self._hidden])
        self.step.max = len(self.chart.losses)
        self.step.value = self.step.max
        self.guess.value = None
        for control in (*self.ticks.values(), self.lab):
            control.value = False
        self._draw()

    def _draw(self, _: Any = None) -> None:
        self.board.value = chart_html(self.chart, self.step.value, self.hidden, self.lab.value)
        self._weigh()

    def _weigh(self, change: Any = None) -> None:
        self.words.value = words_html(self.chart, self.step.value, self.ticked, self.guess.value)
        if change is not None and change["owner"] is self.guess:  # the legend may name the patient now
            self.board.value = chart_html(self.chart, self.step.value, self.hidden, self.lab.value)

    def still(self) -> Figure:
        """The curve, and the chart beside it."""
        return still(self.chart, self.hidden)
