"""An answer is found wherever it was put, and counts as "Run All" has it."""

import copy

import nbformat
import pytest

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
    that_run,
    without,
    written,
)


@pytest.mark.parametrize("half", ["tokens", "print(tokens)", "side = 4", "assert tokens == 16"])
@pytest.mark.parametrize("first", [True, False])
def test_both_halves_of_a_split_answer_run_in_their_order(template, half, first):
    notebook = answered(template)
    add_behind(notebook, "tokens-answer", copy_of(notebook, "tokens-answer", half))
    if first:
        mine = cell_of(notebook, "tokens-answer")
        mine.source, cell_of(notebook, "copied").source = half, mine.source
    repaired = repair(written(notebook), template)
    code = that_run(repaired.notebook)
    assert abs(code.index("tokens = 16") - code.index(half)) == 1
    assert (code.index(half) < code.index("tokens = 16")) is first
    assert cell_of(repaired.notebook, "tokens-answer").source == "tokens = 16"
    assert "tokens-answer was there 2 times" in repaired.notes[0]


@pytest.mark.parametrize("bare", [False, True], ids=["with metadata", "metadata lost"])
def test_answers_joined_in_one_cell_are_not_overwritten_by_a_stub(template, bare):
    notebook = answered(template)
    cell_of(notebook, "tokens-answer").source = "tokens = 16\nshare = 2 / 3\npositions = 1"
    without(notebook, "share-answer", "share", "positions-answer", "positions-prompt")
    if bare:
        for number, cell in enumerate(notebook.cells):
            cell.metadata, cell.id = nbformat.NotebookNode(), f"other-{number}"
    repaired = repair(written(notebook), stubs(template)).notebook
    assert not [cell for cell in repaired.cells if cell.id in ("share-answer", "positions-answer")]
    code = [cell.id for cell in repaired.cells if cell.cell_type == "code"]
    assert code.index("tokens-answer") < code.index("tokens") < code.index("share")


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_an_answer_in_a_text_cell_is_kept_for_the_eye_and_said(template, kind):
    notebook = answered(template)
    text = {"markdown": nbformat.v4.new_markdown_cell, "raw": nbformat.v4.new_raw_cell}[kind]
    place = notebook.cells.index(cell_of(notebook, "tokens-answer"))
    metadata = notebook.cells[place].metadata
    notebook.cells[place] = text("tokens = 16", id="tokens-answer", metadata=metadata)
    repaired = repair(written(notebook), template)
    shown = sources(repaired.notebook)
    assert "```text\ntokens = 16\n```" in shown and "tokens = 16" not in that_run(repaired.notebook)
    assert "which is not run: make it a code cell" in repaired.notes[0]
    assert "make it a code cell" in about(cell_of(repaired.notebook, "tokens-answer"))["skip"]


def test_an_essay_in_a_code_cell_is_read_as_text(template):
    released = copy.deepcopy(template)
    essay = nbformat.v4.new_markdown_cell("YOUR ANSWER HERE", id="essay")
    essay.metadata.nbgrader = {"grade": True, "solution": True, "locked": False, "grade_id": "essay", "points": 3}
    released.cells.append(essay)
    notebook = copy.deepcopy(released)
    notebook.cells[-1] = own("Patches <b>overlap</b>.", "essay", nbgrader=essay.metadata.nbgrader)
    repaired = repair(written(notebook), released)
    assert repaired.notebook.cells[-1].cell_type == "markdown"
    assert repaired.notebook.cells[-1].source == "```text\nPatches <b>overlap</b>.\n```"
    assert "was read, and not run" in repaired.notes[0]


def test_what_was_typed_into_a_check_runs_before_the_released_check(template):
    notebook = answered(template)
    cell_of(notebook, "tokens").source = 'tokens = 16\ncheck("tokens", tokens)'
    repaired = repair(written(notebook), template)
    code = that_run(repaired.notebook)
    released = cell_of(template, "tokens").source
    assert code.index('tokens = 16\ncheck("tokens", tokens)') == code.index(released) - 1
    assert "1 locked code cell was changed" in repaired.notes[0]


@pytest.mark.parametrize("typed", ["16", "4 * 4", "int(16.0)"])
def test_an_answer_typed_into_the_call_of_the_check_is_found(template, typed):
    notebook = copy.deepcopy(template)
    cell_of(notebook, "tokens").source = f'check("tokens", {typed})'
    repaired = repair(written(notebook), template)
    assert about(cell_of(repaired.notebook, "tokens")) == {"instead": typed}
    assert "The answer to tokens stands in its check" in repaired.notes[0]


def test_of_two_answer_cells_the_changed_one_counts(template):
    notebook = answered(template)
    untouched = copy.deepcopy(cell_of(template, "tokens-answer"))
    untouched.id = "copied"
    notebook.cells.append(untouched)
    repaired = repair(written(notebook), template).notebook
    assert cell_of(repaired, "tokens-answer").source == "tokens = 16"


def test_answers_without_metadata_are_found_by_what_they_define(template):
    notebook = answered(template)
    for number, cell in enumerate(notebook.cells):
        cell.metadata, cell.id = nbformat.NotebookNode(), f"other-{number}"
    repaired = repair(written(notebook), template)
    assert cell_of(repaired.notebook, "tokens-answer").source == "tokens = 16"
    assert "found by what they define" in repaired.notes[0]
