"""One chapter's way through a class on one machine, by mouse and keyboard: from its release to what a learner reads."""

import csv
import getpass
import random
import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from autograde.course.course import Course
from tests.browser.lab import ARTEFACTS, CHAPTER, NOTEBOOK, PATIENCE, Lab

STUDENT = getpass.getuser()
BY_HAND, COMMENT = 0.5, "You were on the right way."
TYPE_HERE = f"""name => {{
    const {{content}} = {NOTEBOOK};
    content.activeCellIndex = content.widgets.findIndex(
        cell => cell.model.getMetadata("nbgrader")?.grade_id === name);
    content.mode = "edit";
    return content.scrollToItem(content.activeCellIndex);
}}"""
ACTIVE = f"{NOTEBOOK}.content.activeCell.model.sharedModel.source"


def test_a_chapters_way_from_its_release_to_the_feedback(page: Page, lab: Lab) -> None:
    answered, by_hand = list(Course(lab.course).key(CHAPTER).exercises.values())[:2]
    page.goto(lab.url("formgrader/manage_assignments"))
    row = page.get_by_role("row").filter(has_text=CHAPTER)
    row.wait_for()
    assert page.locator(".alert").all_inner_texts() == [], "formgrader warns"
    press(page, row.locator(".assign a"), f"Successfully created the student version of '{CHAPTER}':")
    press(page, row.locator(".release a"), f"Successfully released '{CHAPTER}'.")

    open_assignments(page, lab)
    page.locator("#released_assignments_list").get_by_role("button", name="Fetch", exact=True).click()
    page.locator("#fetched_assignments_list").get_by_role("button", name="Submit", exact=True).wait_for()
    fetched = lab.course / "vision-transformers" / CHAPTER
    assert {path.name for path in fetched.iterdir()} == {f"{CHAPTER}.ipynb", "exercises.json"}
    answer(page, lab, fetched, answered.id, answered.right_source(random.Random(0)))

    open_assignments(page, lab)
    page.locator("#fetched_assignments_list").get_by_role("button", name="Submit", exact=True).click()
    page.locator("#submitted_assignments_list").get_by_text(CHAPTER).first.wait_for()
    page.screenshot(path=ARTEFACTS / "assignment_list.png")

    page.goto(lab.url("formgrader/manage_assignments"))
    press(page, row.locator(".collect a"), f"Successfully collected submissions of '{CHAPTER}'.")
    expect(row.locator(".num-submissions")).to_have_text("1")
    collected = lab.course / "gradebook" / "submitted" / STUDENT / CHAPTER
    assert (collected / f"{CHAPTER}.ipynb").read_bytes() == (fetched / f"{CHAPTER}.ipynb").read_bytes()

    page.goto(lab.url(f"formgrader/manage_submissions/{CHAPTER}"))
    submission = page.get_by_role("row").filter(has_text=STUDENT)
    press(page, submission.locator(".autograde a"), f"Successfully autograded '{CHAPTER}'")
    expect(submission.locator(".score")).to_contain_text(f"{answered.points:g} / ")
    mark_by_hand(page, lab, by_hand.id)

    page.goto(lab.url("formgrader/manage_assignments"))
    press(page, row.locator(".generate-feedback a"), f"Successfully generated feedback of '{CHAPTER}'.")
    press(page, row.locator(".release-feedback a"), f"Successfully released feedback of '{CHAPTER}'.")
    open_assignments(page, lab)
    submitted = page.locator("#submitted_assignments_list")
    submitted.get_by_role("button", name="Fetch Feedback", exact=True).click()
    submitted.get_by_text("(view feedback)").wait_for(state="attached")

    total = answered.points + BY_HAND
    (feedback,) = fetched.glob(f"feedback/*/{CHAPTER}.html")
    told = feedback.read_text(encoding="utf-8")
    assert f"<strong>{total:g} of " in told
    assert COMMENT in told
    assert points_everywhere(lab.course) == {"report": total, "marks.csv": total, "export": total}


def open_assignments(page: Page, lab: Lab) -> None:
    """A learner's list."""
    page.goto(lab.url("lab?reset"))
    page.get_by_role("menuitem", name="Nbgrader", exact=True).click()
    page.get_by_role("menuitem", name="Assignment List", exact=True).click()


def answer(page: Page, lab: Lab, folder: Path, exercise: str, source: str) -> None:
    """Type an answer into its cell, and save."""
    path = f"{folder.relative_to(lab.course)}/{CHAPTER}.ipynb"
    page.goto(lab.url(f"lab/tree/{path}?reset"))
    page.wait_for_function(f"{NOTEBOOK}?.context?.path === '{path}' && {NOTEBOOK}.context.isReady")
    page.evaluate(TYPE_HERE, f"{exercise}-answer")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(source)
    page.wait_for_function(f"source => {ACTIVE} === source", arg=source)
    page.keyboard.press("ControlOrMeta+s")
    page.wait_for_function(f"!{NOTEBOOK}.context.model.dirty")


def mark_by_hand(page: Page, lab: Lab, exercise: str) -> None:
    """Give points and a comment where formgrader shows one submission."""
    view = page.context.new_page()  # its own, unwatched: nbgrader's page asks a CDN for MathJax, here in vain
    view.set_default_timeout(PATIENCE * 1000)
    view.route(lambda url: not url.startswith(lab.address), lambda route: route.abort())
    view.goto(lab.url(f"formgrader/manage_students/{STUDENT}/{CHAPTER}"))
    view.get_by_role("link", name=CHAPTER, exact=True).last.click()
    # What is typed before the marks have arrived is overwritten by them
    view.wait_for_function("window.formgrader?.grades?.loaded && formgrader.comments?.loaded")
    for kind, field, text in (("grade", exercise, f"{BY_HAND}"), ("comment", f"{exercise}-answer-comment", COMMENT)):
        box = view.locator(f"[id='{field}']")
        with view.expect_response(lambda answer, kind=kind: f"/api/{kind}/" in answer.url) as saved:
            box.fill(text)
            box.blur()
        assert saved.value.ok
    view.screenshot(path=ARTEFACTS / "formgrader.png")
    view.close()


def points_everywhere(course: Path) -> dict[str, float]:
    """The student's points by every way in which a teacher gets them."""
    for command in ("report", "export"):
        subprocess.run([sys.executable, "-m", "autograde.cli", command], cwd=course, check=True, timeout=PATIENCE)
    gradebook = course / "gradebook"
    with (gradebook / "marks.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["student"] == STUDENT]
    with (gradebook / "marks-csv.csv").open(newline="", encoding="utf-8") as file:
        (exported,) = [row for row in csv.DictReader(file) if row["id"] == STUDENT]
    (shown,) = re.findall(r'<td class="points">([\d.]+) / ', (gradebook / "report.html").read_text(encoding="utf-8"))
    return {
        "report": float(shown),
        "marks.csv": sum(float(row["points"]) for row in rows),
        "export": float(exported[CHAPTER]),
    }


def press(page: Page, button: Locator, answer: str) -> None:
    """Press one of formgrader's buttons and put its success message away."""
    button.click()
    dialog = page.locator(".modal.in")
    expect(dialog).to_contain_text(answer)
    dialog.get_by_role("button", name="Close").last.click()
    expect(page.locator(".modal-backdrop")).to_have_count(0)
