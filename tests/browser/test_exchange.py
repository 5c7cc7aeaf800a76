"""One chapter's way through a class on one machine, by mouse: release, fetch, submit, collect."""

import getpass

from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import ARTEFACTS, CHAPTER, Lab


def test_a_chapter_is_released_fetched_submitted_and_collected(page: Page, lab: Lab) -> None:
    page.goto(lab.url("formgrader/manage_assignments"))
    row = page.get_by_role("row").filter(has_text=CHAPTER)
    row.wait_for()
    assert page.locator(".alert").all_inner_texts() == [], "formgrader warns"
    press(page, row.locator(".release a"), f"Successfully released '{CHAPTER}'.")

    page.goto(lab.url("lab?reset"))
    page.get_by_role("menuitem", name="Nbgrader", exact=True).click()
    page.get_by_role("menuitem", name="Assignment List", exact=True).click()
    page.locator("#released_assignments_list").get_by_role("button", name="Fetch", exact=True).click()
    page.locator("#fetched_assignments_list").get_by_role("button", name="Submit", exact=True).click()
    page.locator("#submitted_assignments_list").get_by_text(CHAPTER).first.wait_for()
    page.screenshot(path=ARTEFACTS / "assignment_list.png")
    fetched = lab.course / "vision-transformers" / CHAPTER
    assert {path.name for path in fetched.iterdir()} == {f"{CHAPTER}.ipynb", "exercises.json"}

    page.goto(lab.url("formgrader/manage_assignments"))
    press(page, row.locator(".collect a"), f"Successfully collected submissions of '{CHAPTER}'.")
    expect(row.locator(".num-submissions")).to_have_text("1")
    collected = lab.course / "gradebook" / "submitted" / getpass.getuser() / CHAPTER
    assert (collected / f"{CHAPTER}.ipynb").read_bytes() == (fetched / f"{CHAPTER}.ipynb").read_bytes()


def press(page: Page, button: Locator, answer: str) -> None:
    """Press one of formgrader's buttons and put its success message away."""
    button.click()
    dialog = page.locator(".modal.in")
    expect(dialog).to_contain_text(answer)
    dialog.get_by_role("button", name="Close").last.click()
    expect(page.locator(".modal-backdrop")).to_have_count(0)
