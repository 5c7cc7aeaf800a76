"""Chapter 1 as a learner meets it: Run All on the released notebook, then the grid explorer by keyboard."""

from playwright.sync_api import Page, expect

from tests.browser.lab import ARTEFACTS, CHAPTER, Lab

KERNEL_IS_IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
CELLS = """[...jupyterapp.shell.currentWidget.content.model.cells]
    .filter(cell => cell.type === 'code')
    .map(cell => ({
        source: cell.sharedModel.source,
        ran: cell.executionCount !== null,
        failed: cell.outputs.toJSON().some(output => output.output_type === 'error'),
        graded: cell.metadata.nbgrader?.grade === true,
    }))"""


def test_all_cells_run_and_the_patch_slider_changes_n(page: Page, lab: Lab) -> None:
    page.goto(lab.url(""))  # where `make lab` begins
    page.wait_for_url(f"**/lab/tree/chapters/{CHAPTER}/{CHAPTER}.ipynb")
    page.wait_for_function(KERNEL_IS_IDLE)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    # to the very end: the check of an unanswered exercise complains, and is tagged so that Run All goes on
    page.wait_for_function(f"{CELLS}.every(cell => cell.ran) && {KERNEL_IS_IDLE}")
    failed = [cell for cell in page.evaluate(CELLS) if cell["failed"]]
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
