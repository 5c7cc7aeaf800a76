"""Whatever is handed in becomes a notebook that can be graded, and what was repaired is said."""

import copy
import json
import re

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograde.engine.matching import RELEASED
from autograde.engine.repair import repair
from tests.autograde.edited import (
    about,
    add_behind,
    answered,
    cell_of,
    copy_of,
    own,
    sources,
    stubs,
    without,
    written,
)
from tests.autograde.problem_set import PROBLEM1


def test_an_honest_submission_stays_as_it_is(template):
    repaired = repair(written(answered(template)), template)
    assert repaired.notes == []
    assert sources(repaired.notebook) == sources(answered(template))


def test_an_unreadable_file_leaves_the_release_and_a_note_that_says_why(template):
    repaired = repair(b"%PDF-1.7", template)
    assert "a PDF" in repaired.unreadable and repaired.notes == [f"Unreadable: {repaired.unreadable}."]
    assert sources(repaired.notebook)[1:] == sources(template)


@pytest.mark.parametrize("nbgrader", [{}, {"grade_id": "tokens-of-chapter-3", "solution": True}])
def test_another_notebook_is_not_taken_for_one_that_nobody_answered(template, nbgrader):
    other = nbformat.v4.new_notebook(cells=[own("mine = 1", "mine", nbgrader=nbgrader)])
    if nbgrader:
        other.cells += template.cells[:2]  # chapters have their imports in common
    assert "another notebook" in repair(written(other), template).unreadable
    other.cells.append(own("tokens = 16"))  # all that is left of this one
    assert bool(repair(written(other), template).unreadable) == bool(nbgrader)


def test_an_answer_cell_that_is_gone_comes_back_and_does_not_run(template):
    notebook = answered(template)
    without(notebook, "share-answer", "tokens")
    repaired = repair(written(notebook), stubs(template))
    back = cell_of(repaired.notebook, "share-answer")
    assert back.source == "share = ..." and about(back) == {"skip": "its cell is not there any more"}
    assert repaired.notes == ["No answer cell was found for share."]


def test_a_picture_attached_to_a_text_is_kept_and_others_are_named(template):
    notebook = answered(template)
    drawn = nbformat.v4.new_markdown_cell("![sketch](attachment:a.png)", id="drawn")
    drawn.attachments = {"a.png": {"image/png": "iVBORw0KGgo="}, "b.svg": {"image/svg+xml": "<svg onload='x'/>"}}
    add_behind(notebook, "tokens", drawn)
    repaired = repair(written(notebook), template)
    nbformat.validate(repaired.notebook)
    shown = next(cell for cell in repaired.notebook.cells if "attachments" in cell)
    assert shown.attachments == {"picture-1": {"image/png": "iVBORw0KGgo="}}
    assert shown.source.endswith("![picture-1](attachment:picture-1)")
    assert "1 attached files are not shown" in repaired.notes[0]


@pytest.mark.parametrize("of", ["tokens-answer", "tokens", "tokens-prompt"])
def test_a_copied_cell_is_scratch_paper_that_stays(template, of):
    """Whatever it is a copy of: with the metadata of an answer, a check, or a locked text."""
    notebook = answered(template)
    scratch = copy_of(notebook, of, "def halves(x):\n    return x // 2")
    add_behind(notebook, "share", scratch)
    repaired = repair(written(notebook), template).notebook
    assert cell_of(repaired, "tokens-answer").source == "tokens = 16"
    assert cell_of(repaired, of).source != scratch.source
    position = next(i for i, cell in enumerate(repaired.cells) if scratch.source in cell.source)
    assert repaired.cells[position - 1].id == "share"


def test_what_was_typed_into_a_locked_text_is_kept_before_it(template):
    notebook = answered(template)
    cell_of(notebook, "tokens-prompt").source += "\nMY NOTES"
    repaired = repair(written(notebook), template)
    shown = sources(repaired.notebook)
    assert cell_of(template, "tokens-prompt").source in shown
    assert any("MY NOTES" in text for text in shown) and "1 locked text was changed" in repaired.notes[0]


@pytest.mark.parametrize("change", [str.rstrip, lambda text: text + "\n", lambda text: text.replace("\n", "\r\n")])
def test_what_an_editor_changes_on_its_own_is_no_change(template, change):
    notebook = answered(template)
    for cell in notebook.cells:
        cell.source = change(cell.source)
    assert repair(written(notebook), template).notes == []


def test_the_order_is_the_learners(template):
    notebook = answered(template)
    answer, check = cell_of(notebook, "tokens-answer"), cell_of(notebook, "tokens")
    notebook.cells.remove(answer)
    add_behind(notebook, "tokens", answer)
    ids = [cell.id for cell in repair(written(notebook), template).notebook.cells]
    assert ids.index(check.id) < ids.index("tokens-answer")
    assert sorted(ids) == sorted(cell.id for cell in template.cells)


def test_a_cell_of_the_book_that_was_deleted_is_not_run(template):
    """It would not run for the learner either; what is locked or graded does come back."""
    notebook = answered(template)
    free = next(cell.id for cell in template.cells if "nbgrader" not in cell.metadata)
    without(notebook, free)
    assert free not in [cell.id for cell in repair(written(notebook), template).notebook.cells]


def test_a_deleted_test_cell_comes_back(template):
    notebook = answered(template)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "tokens"]
    assert sources(repair(written(notebook), template).notebook) == sources(answered(template))


def test_an_edited_test_cell_is_the_released_one_again(template):
    notebook = answered(template)
    cell_of(notebook, "tokens").source = "print('✓ full points')"
    cell_of(notebook, "tokens").metadata.nbgrader.points = 100
    repaired = repair(written(notebook), template).notebook
    assert cell_of(repaired, "tokens") == cell_of(template, "tokens")


def test_the_learners_own_cells_stay_where_they_were(template):
    notebook = answered(template)
    position = notebook.cells.index(cell_of(notebook, "tokens-answer"))
    notebook.cells.insert(position, nbformat.v4.new_code_cell("helper = 4", id="mine"))
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("My notes", id="notes"))
    repaired = sources(repair(written(notebook), template).notebook)
    assert repaired[0] == "```text\nMy notes\n```"  # as typed: HTML in it could act on whoever grades
    assert repaired.index("helper = 4") == repaired.index("tokens = 16") - 1


def test_a_notebook_of_the_old_format_is_read(template):
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": []}]}
    old["worksheets"][0]["cells"] = [
        {"cell_type": "code", "input": "tokens = 16", "language": "python", "outputs": [], "metadata": {}}
    ]
    repaired = repair(json.dumps(old).encode(), template).notebook
    assert cell_of(repaired, "tokens-answer").source == "tokens = 16"


def test_forged_outputs_and_metadata_do_not_survive(template):
    notebook = answered(template)
    notebook.metadata.autograde = {"graded": "forged"}
    cell_of(notebook, "tokens").outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "99"})]
    repaired = repair(written(notebook), template).notebook
    assert repaired.metadata.autograde == {"notes": []}
    assert cell_of(repaired, "tokens").outputs == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["code", "markdown", "tokens"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["cells", "cell_type", "source", "metadata", "nbgrader", "grade_id", "id", "tags"]), inner
        )
    ),
    max_leaves=25,
)


@given(st.binary(max_size=200) | anything.map(lambda data: json.dumps({"cells": [data]}).encode()))
def test_no_bytes_whatsoever_break_it(template, submitted):
    repaired = repair(submitted, template).notebook
    nbformat.validate(repaired)
    graded = [cell.id for cell in template.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert [cell.id for cell in repaired.cells if cell.id in graded] == graded


def test_what_nbgrader_takes_out_at_release_is_no_change_of_the_learners():
    sealed = nbformat.v4.new_notebook(cells=copy.deepcopy(PROBLEM1))
    scheme = "\n### BEGIN MARK SCHEME\nA sum of theirs.\n### END MARK SCHEME"
    next(cell for cell in sealed.cells if cell.id == "project").source += scheme
    handed_in = copy.deepcopy(sealed)
    for cell in handed_in.cells:
        cell.source = re.sub(r"\n### BEGIN (HIDDEN TESTS|MARK SCHEME)\n.*?### END \1", "", cell.source, flags=re.DOTALL)
    for cell, shown in zip(sealed.cells, handed_in.cells, strict=True):
        if shown.source != cell.source:
            cell.metadata[RELEASED] = shown.source
    assert "HIDDEN" not in str(handed_in) and "SCHEME" not in str(handed_in)
    repaired = repair(nbformat.writes(handed_in).encode(), sealed)
    assert repaired.notes == []
    by_id = {cell.id: cell.source for cell in repaired.notebook.cells}
    assert by_id.keys() == {cell.id for cell in sealed.cells}
    assert by_id["correct_squares"] == sealed.cells[2].source, "the hidden tests run"
    for cell in handed_in.cells:
        cell.metadata, cell.id = nbformat.NotebookNode(), f"other-{cell.id}"
    assert by_id["correct_squares"] in [
        c.source for c in repair(nbformat.writes(handed_in).encode(), sealed).notebook.cells
    ]
