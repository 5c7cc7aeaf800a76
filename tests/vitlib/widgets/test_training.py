"""The training curves: every choice, a run from Start to its end, what goes wrong on the way, and what is left."""

import asyncio
import html
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from vitlib.training.fit import Recipe
from vitlib.widgets import training
from vitlib.widgets.training import BATCHES, EPOCHS, KEPT, RATES, WARMUPS, TrainingCurves, training_curves
from vitlib.widgets.training_run import DATA, Run
from vitlib.widgets.training_view import CHANGES, COLOURS, POINTS, curves_html, describe, still, verdict

FEW = "100 digits"


@pytest.fixture
def curves(monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingCurves]:
    """One step a slice, on however quick a machine: a run cannot be over before it can be paused."""
    monkeypatch.setattr(training, "SLICE", 0.0)
    widget = training_curves(epochs=2, data=FEW)
    yield widget
    widget.close()


def words(curves: TrainingCurves) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", curves.words.value)).split())


# every choice


def test_every_choice_is_told_and_can_be_trained_with(curves: TrainingCurves) -> None:
    controls = {
        curves.data: [*DATA], curves.lr: RATES, curves.warmup: WARMUPS, curves.optimizer: ["adamw", "muon"],
        curves.change: [*CHANGES], curves.batch: BATCHES, curves.epochs: EPOCHS, curves.seed: range(10),
    }  # fmt: skip
    for control, values in controls.items():
        kept = control.value
        for value in values:
            control.value = value
            chosen = curves._chosen()
            assert describe(chosen) in words(curves)
            run = Run(chosen.data, replace(chosen.recipe, epochs=1))
            run.advance()
            assert len(run.loss) == 1 and run.state == "ready"
        control.value = kept


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"lr": 0.5}, "lr is 0.5: expected one of 1e-05, "),
        ({"warmup": 2.0}, "warmup is 2.0: expected one of 0.0, 0.05"),
        ({"batch": 7}, "batch is 7: expected one of 8, 16"),
        ({"epochs": 0}, "epochs is 0: expected one of 2, 5"),
        ({"data": "cats"}, "data is 'cats': expected one of '1077 digits', "),
    ],
)
def test_a_choice_that_is_not_offered_is_refused(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        training_curves(**choice)


# the buttons


def test_before_the_first_run_there_is_nothing_to_pause(curves: TrainingCurves) -> None:
    assert (curves.start.disabled, curves.pause.disabled, curves.reset.disabled) == (False, True, True)
    assert words(curves).startswith("No run yet.") and "will be drawn here" in curves.curves.value
    curves.reset.click()
    curves.pause.click()
    assert curves.run is None


def test_without_a_loop_start_trains_to_the_end(curves: TrainingCurves) -> None:
    curves.start.click()
    assert curves.run is not None and curves.run.state == "done" and curves.run.epochs == 2
    assert not any(control.disabled for control in curves._settings)
    assert "2 of 2 epochs" in words(curves)


def test_other_cells_run_while_it_trains(curves: TrainingCurves) -> None:
    turns = 0

    async def notebook() -> None:
        nonlocal turns
        curves.start.click()
        curves.start.click()  # a second press changes nothing
        assert curves.run is not None and curves.run.state == "running" and len(curves.runs) == 1
        assert all(control.disabled for control in curves._settings) and not curves.pause.disabled
        while not curves.run.over:
            turns += 1
            await asyncio.sleep(0)

    asyncio.run(notebook())
    assert curves.run is not None and curves.run.state == "done" and turns > 1


def test_a_paused_run_goes_on_to_the_same_end(curves: TrainingCurves) -> None:
    other = training_curves(epochs=2, data=FEW)
    other.train()

    async def notebook() -> None:
        curves.start.click()
        while not curves.run or not curves.run.loss:
            await asyncio.sleep(0)
        curves.pause.click()
        steps = len(curves.run.loss)
        assert curves.run.state == "paused" and not curves.start.disabled and "Paused" in words(curves)
        assert all(control.disabled for control in curves._settings)
        await asyncio.sleep(0.1)  # a slice that still came would come now
        assert len(curves.run.loss) == steps
        curves.start.click()
        while not curves.run.over:
            await asyncio.sleep(0)

    asyncio.run(notebook())
    assert curves.run and other.run and curves.run.loss == other.run.loss and len(curves.runs) == 1


def test_reset_ends_a_run_and_then_clears_the_curves(curves: TrainingCurves) -> None:
    async def notebook(epochs: int) -> None:
        curves.start.click()
        while not curves.run or curves.run.epochs < epochs:
            await asyncio.sleep(0)
        curves.reset.click()

    asyncio.run(notebook(epochs=0))  # nothing to keep
    assert curves.runs == [] and not any(control.disabled for control in curves._settings)
    curves.epochs.value = 40
    asyncio.run(notebook(epochs=1))
    assert curves.run is not None and curves.run.state == "done" and 1 <= curves.run.epochs < 40
    curves.reset.click()
    assert curves.runs == []


def test_the_last_runs_are_kept_each_with_a_letter_of_its_own(curves: TrainingCurves) -> None:
    for seed in range(KEPT + 2):
        curves.seed.value = seed
        curves.train()
        letters = [run.letter for run in curves.runs]
        assert len({*letters}) == len(letters) == min(seed + 1, KEPT)
        assert curves.run is not None and curves.run.recipe.seed == seed
    assert curves.curves.value.count("<b>") == KEPT and all(
        colour in curves.curves.value for colour in COLOURS.values()
    )


def test_a_closed_widget_trains_no_more(curves: TrainingCurves) -> None:
    async def notebook() -> None:
        curves.start.click()
        while not curves.run or not curves.run.loss:
            await asyncio.sleep(0)
        curves.close()
        steps = len(curves.run.loss)
        await asyncio.sleep(0.1)
        assert len(curves.run.loss) == steps and curves.run.state == "paused"

    asyncio.run(notebook())


# what the curves say


def test_long_curves_are_thinned_and_high_ones_stay_in_the_picture() -> None:
    run = Run(FEW, Recipe(epochs=40), loss=[50.0] * 4 + [1.0] * 996, rate=[1e-3] * 1000, per_epoch=25)
    drawn = curves_html([run])
    lines = re.findall(r'<polyline points="([^"]+)"[^>]*stroke-width="1.8"', drawn)
    assert len(lines) == 2 and all(len(line.split()) <= POINTS for line in lines)
    heights = [float(point.split(",")[1]) for line in lines for point in line.split()]
    assert min(heights) >= 0
    broken = curves_html([Run(FEW, Recipe(), loss=[2.0, float("nan")], rate=[1e-3] * 2, state="diverged")])
    assert not any("nan" in line for line in re.findall(r'<polyline points="([^"]+)"', broken))


def test_with_no_kernel_a_picture_stays(curves: TrainingCurves) -> None:
    empty = curves._repr_mimebundle_()
    curves.train()
    data, metadata = curves._repr_mimebundle_()
    assert data["image/png"] != empty[0]["image/png"] and "no run yet" in empty[0]["text/plain"]
    assert curves.run is not None
    assert verdict(curves.run) in metadata["image/png"]["alt"] == still(curves.runs).description
    assert html.escape(metadata["image/png"]["alt"]) in curves.curves.value  # and those who do not see hear the same
