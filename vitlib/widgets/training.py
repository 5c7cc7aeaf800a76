"""Training curves, live: choose how to train a small ViT, press Start, and watch what becomes of it."""

import asyncio
import time
from typing import Any

from ipywidgets import HTML, Button, Dropdown, HBox, IntSlider, Layout, SelectionSlider

from vitlib.plotting import Figure
from vitlib.training.fit import Recipe
from vitlib.vit.checks import require_one_of
from vitlib.widgets.explorer import CONTROL, Explorer, buttons, column, on_change, side_by_side
from vitlib.widgets.training_run import DATA, Run
from vitlib.widgets.training_view import CHANGES, COLOURS, curves_html, still, words_html

RATES = [1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0]
WARMUPS = [0.0, 0.05, 0.1, 0.2, 0.4]  # share of all steps
BATCHES = [8, 16, 32, 64, 128]  # pictures in a step
EPOCHS = [2, 5, 10, 20, 40]
KEPT = len(COLOURS)  # runs to be seen together
SLICE = 0.04  # seconds of training, about, before the kernel may do something else
REST = 0.02  # seconds that it has for that


def training_curves(
    lr: float = 3e-3, warmup: float = 0.1, batch: int = 64, epochs: int = 10, data: str = "1077 digits"
) -> "TrainingCurves":
    """A widget that trains a small ViT while you look on, and keeps the last three runs for comparison.

    lr: the highest learning rate; warmup: share of the steps in which it climbs; batch: pictures in a step; epochs:
    passes over the pictures; data: what to train on. The widget offers a choice for each: see its lists. Accuracy is
    measured on validation pictures: who compares settings here has not seen the test set.

    It trains in slices, in the kernel's own event loop: no thread, so other cells run meanwhile, one thing at a time,
    and neither disturbs the other's random numbers. The same choices give the same curves.

    >>> curves = training_curves(epochs=2, data="100 digits")
    >>> curves.train()  # to the end, at once; in a notebook, the button Start does it in the background
    >>> curves.run.state, curves.run.epochs
    ('done', 2)

    Errors: ValueError for a choice that the widget does not offer.
    """
    require_one_of("lr", lr, RATES)
    require_one_of("warmup", warmup, WARMUPS)
    require_one_of("batch", batch, BATCHES)
    require_one_of("epochs", epochs, EPOCHS)
    require_one_of("data", data, DATA)
    return TrainingCurves(lr, warmup, batch, epochs, data)


class TrainingCurves(Explorer):
    """The controls, and what is drawn while a run goes on; without a kernel, a figure of the runs so far."""

    def __init__(self, lr: float, warmup: float, batch: int, epochs: int, data: str) -> None:
        rates = [(f"{rate:g}", rate) for rate in RATES]
        shares = [(f"{share:.0%}", share) for share in WARMUPS]
        self.data = Dropdown(options=[*DATA], value=data, description="Data", **CONTROL)
        self.lr = SelectionSlider(options=rates, value=lr, description="Learning rate", **CONTROL)
        self.warmup = SelectionSlider(options=shares, value=warmup, description="Warm-up", **CONTROL)
        self.optimizer = buttons("Optimizer", ("adamw", "muon"))
        self.change = Dropdown(options=[*CHANGES], description="Augmentation", **CONTROL)
        self.batch = SelectionSlider(options=BATCHES, value=batch, description="Batch", **CONTROL)
        self.epochs = SelectionSlider(options=EPOCHS, value=epochs, description="Epochs", **CONTROL)
        self.seed = IntSlider(value=0, min=0, max=9, description="Seed", **CONTROL)
        self.start = Button(description="Start", icon="play", button_style="primary")
        self.pause = Button(description="Pause", icon="pause")
        self.reset = Button(description="Reset", icon="stop")
        self.reset.tooltip = "Ends a run that is under way; where none is, clears the curves"
        self.curves, self.words = HTML(), HTML()

        self._settings = [self.data, self.lr, self.warmup, self.optimizer, self.change, self.batch, self.epochs]
        self._settings.append(self.seed)
        row = HBox([self.start, self.pause, self.reset], layout=Layout(margin="6px 2px 2px 2px", width="auto"))
        for button in row.children:
            button.layout = Layout(flex="1 1 80px", width="auto")
        left = column(*self._settings, row, basis=280, limit=400)
        super().__init__(side_by_side(left, column(self.words, basis=380)), self.curves)

        self.runs: list[Run] = []  # the latest is the last
        self._task: asyncio.Task[None] | None = None
        on_change(self._draw, *self._settings)
        self.start.on_click(self._start)
        self.pause.on_click(self._pause)
        self.reset.on_click(self._reset)
        self._draw()

    @property
    def run(self) -> Run | None:
        """The latest run, None before the first."""
        return self.runs[-1] if self.runs else None

    def train(self) -> None:
        """Train to the end, and only then return: a new run, or the rest of one that is paused."""
        self._stop()
        run = self._open()
        while run.advance():
            pass
        self._draw()

    async def _train(self, run: Run) -> None:
        """Slice by slice; what waits for the kernel has its turn in between."""
        while self._slice(run):
            await asyncio.sleep(REST)

    def _slice(self, run: Run) -> bool:
        """A step at least, more if they are quick, then the picture; whether there is more to do."""
        until, more = time.monotonic() + SLICE, run.advance()
        while more and time.monotonic() < until:
            more = run.advance()
        self._draw()
        return more

    def _open(self) -> Run:
        """The run that is to go on: the paused one, or a new one as the controls say."""
        run = self.run
        if run is None or run.over:
            run = self._chosen()
            run.letter = next(
                letter for letter in COLOURS if letter not in [each.letter for each in self.runs[1 - KEPT :]]
            )
            self.runs = [*self.runs[1 - KEPT :], run]
        run.state = "running"
        return run

    def _chosen(self) -> Run:
        recipe = Recipe(
            epochs=self.epochs.value,
            batch_size=self.batch.value,
            optimizer=self.optimizer.value,
            lr=self.lr.value,
            warmup=self.warmup.value,
            label_smoothing=0.0,  # so that ln K is the loss of guessing, and 0 that of knowing
            seed=self.seed.value,
            **CHANGES[self.change.value],
        )
        return Run(self.data.value, recipe)

    def _start(self, _: Any = None) -> None:
        """Start, or go on, in the background; a second press changes nothing."""
        if self._task is not None and not self._task.done():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no notebook around it
            self.train()
            return
        self._task = loop.create_task(self._train(self._open()))
        self._draw()

    def _pause(self, _: Any = None) -> None:
        self._stop()
        self._draw()

    def _reset(self, _: Any = None) -> None:
        """End the run that is under way, and keep its curves if it has any; where none is, clear the curves."""
        self._stop()
        run = self.run
        if run is None or run.over:
            self.runs = []
        elif run.epochs:
            run.state = "done"
        else:
            self.runs.pop()
        self._draw()

    def _stop(self) -> None:
        """No slice comes after this. A run that was under way is paused."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self.run is not None and self.run.state == "running":
            self.run.state = "paused"

    def close(self) -> None:
        self._stop()
        super().close()

    def _draw(self, _: Any = None) -> None:
        run = self.run
        under_way = run is not None and not run.over
        running = run is not None and run.state == "running"
        for control in self._settings:
            control.disabled = under_way
        self.start.disabled, self.pause.disabled, self.reset.disabled = running, not running, run is None
        self.curves.value = curves_html(self.runs)
        self.words.value = words_html(run, self._chosen())

    @property
    def sentence(self) -> str:
        return self.still().description

    def still(self) -> Figure:
        """The curves."""
        return still(self.runs)
