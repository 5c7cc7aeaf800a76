"""My progress in JupyterLab: the ticks so far, and a way to begin anew that asks first."""

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Page, expect

from autograde.authoring.key import load_key
from autograde.learner.ticks import FILE_NAME
from tests.browser.lab import CHAPTER, ROOT, Lab, run_all

EXERCISES = load_key(ROOT / "solutions" / CHAPTER).exercises


def test_ticks_are_shown_kept_and_forgotten(page: Page, lab: Lab) -> None:
    ticks = lab.course / "chapters" / FILE_NAME
    ticks.write_text(f"2026-11-22\t{CHAPTER}\t{next(iter(EXERCISES))}\n", encoding="utf-8")
    cell = new_code_cell("from autograde.learner.progress import my_progress\nmy_progress()")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    (lab.course / "chapters" / "desk").mkdir()
    nbformat.write(new_notebook(cells=[cell], metadata=kernel), lab.course / "chapters" / "desk" / "progress.ipynb")

    page.goto(lab.url("lab/workspaces/progress/tree/chapters/desk/progress.ipynb"))
    run_all(page, "chapters/desk/progress.ipynb")
    board = page.get_by_role("status").filter(has_text="My achievements")
    expect(board).to_contain_text(f"1 of {len(EXERCISES)} exercises")

    page.get_by_role("button", name="Begin anew").click()
    expect(page.get_by_role("alert").filter(has_text="Forget your tick?")).to_be_visible()
    page.get_by_role("button", name="No, keep them").click()
    expect(board).to_contain_text(f"1 of {len(EXERCISES)} exercises")
    assert ticks.exists()

    page.get_by_role("button", name="Begin anew").click()
    page.get_by_role("button", name="Yes, forget my ticks").click()
    expect(board).to_contain_text(f"0 of {len(EXERCISES)} exercises")
    assert not ticks.exists()
