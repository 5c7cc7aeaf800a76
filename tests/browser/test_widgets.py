"""Every widget in JupyterLab, in one notebook: opened, moved by keyboard and by mouse, and read back."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import ARTEFACTS, Lab, change_theme, run_all

READOUT = """\
from vitlib import create
from vitlib.data.datasets import digits
from vitlib.widgets.readout import layer_readout
layer_readout(create("vit_digits_patch2_8", seed=0), digits()[1].take(slice(0, 10)))"""
# the cell that opens it, and a slider to move
WIDGETS = {
    "pipeline": ("from vitlib.widgets.pipeline import pipeline\npipeline()", "Follow patch"),
    "grid": ("from vitlib.widgets.grid import grid_explorer\ngrid_explorer()", "Patch side"),
    "embedding": ("from vitlib.widgets.embedding import embedding_explorer\nembedding_explorer()", "D"),
    "positions": ("from vitlib.widgets.positions import position_explorer\nposition_explorer()", "First patch"),
    "attention": ("from vitlib.widgets.attention import attention_explorer\nattention_explorer()", "Layer"),
    "readout": (READOUT, "Blocks"),
    "budget": ("from vitlib.widgets.budget import budget_explorer\nbudget_explorer()", "Batch"),
    "training": ("from vitlib.widgets.training import training_curves\ntraining_curves()", "Epochs"),
    "windows": ("from vitlib.widgets.windows import window_explorer\nwindow_explorer()", "Tokens a side"),
    "symptoms": ("from vitlib.widgets.symptoms import symptom_board\nsymptom_board()", "Step"),
}


def written(course: Path, *names: str) -> str:
    """A notebook with one of these widgets in each cell."""
    cells = [new_code_cell(WIDGETS[name][0]) for name in names]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}  # without one, JupyterLab asks which
    notebook = f"widgets-{len(names)}.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata=kernel), course / notebook)
    return notebook


def test_every_widget_answers_to_the_keyboard(page: Page, lab: Lab) -> None:
    notebook = written(lab.course, *WIDGETS)
    page.goto(lab.url(f"lab/workspaces/widgets/tree/{notebook}"))
    assert not any(cell["failed"] for cell in run_all(page, notebook))
    for number, (_, label) in enumerate(WIDGETS.values()):
        page.locator(".jp-CodeCell").nth(number).scroll_into_view_if_needed()
        explorer = page.locator(".vit-explorer").nth(number)
        slider = explorer.locator(".widget-slider").filter(has_text=label).first.get_by_role("slider")
        _changes(explorer, lambda slider=slider: slider.press("ArrowLeft"))
    windows = page.locator(".vit-explorer").nth([*WIDGETS].index("windows"))
    picker = windows.get_by_role("slider", name="Chosen token")
    _changes(windows, lambda: picker.press("ArrowDown"))
    _changes(windows, lambda: picker.locator("[data-panel='1'] svg").click(position={"x": 3, "y": 3}))
    expect(picker).to_have_attribute("aria-valuenow", "1")


def test_the_attention_explorer_answers_to_clicks(page: Page, lab: Lab) -> None:
    """Who asks, which weight is opened, and which patch is covered: by mouse and by keyboard."""
    notebook = written(lab.course, "attention")
    page.goto(lab.url(f"lab/workspaces/attention/tree/{notebook}"))
    run_all(page, notebook)
    explorer = page.locator(".vit-explorer")
    picker = explorer.get_by_role("slider", name="Token that asks")
    asks, answers = picker.locator("[data-panel='0']"), picker.locator("[data-panel='1']")
    _changes(explorer, lambda: asks.locator("rect[data-token='1']").click())
    expect(picker).to_have_attribute("aria-valuenow", "1")
    _changes(explorer, lambda: picker.press("ArrowDown"))
    expect(picker).to_have_attribute("aria-valuenow", "9")

    opened = explorer.get_by_role("status").filter(has_text="q · k")
    answers.locator("rect[data-token='20']").click()
    expect(opened).to_contain_text("query of patch 9 (row 2, column 1) times the key of patch 20 (row 3, column 4)")
    answers.locator("[data-token='0']").click()
    expect(opened).to_contain_text("times the key of CLS")

    covered = explorer.get_by_role("status").filter(has_text="Covered: ")
    picker.press("Enter")
    expect(covered).to_contain_text("Covered: patch 9. The logit of")
    explorer.get_by_role("radio", name="covers a patch").or_(explorer.get_by_text("covers a patch")).first.click()
    asks.locator("rect[data-token='20']").click()
    expect(covered).to_contain_text("Covered: patches 9, 20.")
    for theme, width in product(("JupyterLab Light", "JupyterLab Dark"), (1400, 620)):
        page.set_viewport_size({"width": width, "height": 1200})
        change_theme(page, theme)
        explorer.scroll_into_view_if_needed()
        name = f"attention-{width}-{theme.split()[1].lower()}.png"
        explorer.screenshot(path=ARTEFACTS / name)
    explorer.get_by_role("button", name="uncover all").click()
    expect(covered).to_have_count(0)


def _changes(explorer: Locator, move: Callable[[], None]) -> None:
    """The words that a widget says of itself are others after a move."""
    words = explorer.locator(".vit-words")
    before = words.inner_text()
    move()
    expect(words).not_to_have_text(before, use_inner_text=True)
