"""Chapter 1 as a learner meets it: Run All on the released notebook, then the grid explorer by keyboard."""

from playwright.sync_api import Page, expect

from tests.browser.lab import ARTEFACTS, CHAPTER, Lab, run_all


def test_all_cells_run_and_the_patch_slider_changes_n(page: Page, lab: Lab) -> None:
    page.goto(lab.url(""))  # where `make lab` begins
    # the check of an unanswered exercise complains, and is tagged so that Run All goes on
    failed = [cell for cell in run_all(page, f"chapters/{CHAPTER}/{CHAPTER}.ipynb") if cell["failed"]]
    assert [cell["source"] for cell in failed if not cell["graded"]] == []

    formula, figure = page.locator(".vit-formula"), page.locator(".vit-figure")
    before = formula.text_content() or ""
    slider = page.locator(".widget-slider").filter(has_text="Patch side").get_by_role("slider")
    slider.focus()
    figure.evaluate("figure => figure.scrollIntoView()")
    page.screenshot(path=ARTEFACTS / "grid_explorer.png")  # the README's picture, before it is made small
    slider.press("ArrowRight")
    expect(formula).not_to_have_text(before)
    tokens_before, tokens = (int(text.rsplit("=", 1)[1]) for text in (before, formula.text_content() or ""))
    assert tokens < tokens_before, "larger patches, fewer tokens"
