"""Whatever is handed in becomes a notebook that can be graded, and what was repaired is said."""

import copy
import json
import re

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograde.authoring.weave import weave
from autograde.engine.repair import repair
from tests.autograde.conftest import HERE, TOY
from tests.autograde.problem_set import PROBLEM1


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The toy chapter, woven, with the answers of a release."""
    import shutil

    folder = tmp_path_factory.mktemp("toy") / TOY
    shutil.copytree(HERE / "course" / TOY, folder)
    weave(folder)
    notebook = nbformat.read(folder / f"{TOY}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = "def rows(images, patch):\n    return ..." if cell.id == "cut-rows-answer" else "x = ..."
    next(cell for cell in notebook.cells if cell.id == "tokens-answer").source = "tokens = ..."
    return notebook


def written(notebook) -> bytes:
    return nbformat.writes(notebook).encode()


def cell_of(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def answered(template):
    notebook = copy.deepcopy(template)
    cell_of(notebook, "tokens-answer").source = "tokens = 16"
    return notebook


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def test_an_honest_submission_stays_as_it_is(template):
    repaired = repair(written(answered(template)), template)
    assert repaired.notes == []
    assert sources(repaired.notebook) == sources(answered(template))


def own(source, name=None, **metadata):
    return nbformat.v4.new_code_cell(source, metadata=metadata, **({"id": name} if name else {}))


def copy_of(notebook, name, source, new="copied"):
    """A cell copied with its metadata, as an editor does, and then edited."""
    copied = copy.deepcopy(cell_of(notebook, name))
    copied.id, copied.source = new, source
    return copied


def add_behind(notebook, name, *cells):
    place = notebook.cells.index(cell_of(notebook, name)) + 1
    notebook.cells[place:place] = cells


def without(notebook, *names):
    notebook.cells = [cell for cell in notebook.cells if cell.id not in names]


def that_run(notebook):
    """What runs, in its order: the learner's code and the release's."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code" and "skip" not in about(cell)]


def about(cell):
    return cell.metadata.get("autograde", {})


def test_an_unreadable_file_leaves_the_release_and_a_note_that_says_why(template):
    repaired = repair(b"%PDF-1.7", template)
    assert "a PDF" in repaired.unreadable and repaired.notes == [f"Unreadable: {repaired.unreadable}."]
    assert sources(repaired.notebook)[1:] == sources(template)


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


def stubs(template):
    released = copy.deepcopy(template)
    for cell in released.cells:
        if cell.id.endswith("-answer") and cell.id != "cut-rows-answer":
            cell.source = f"{cell.id.removesuffix('-answer')} = ..."
    return released


def test_an_answer_cell_that_is_gone_comes_back_and_does_not_run(template):
    notebook = answered(template)
    without(notebook, "share-answer", "tokens")
    repaired = repair(written(notebook), stubs(template))
    back = cell_of(repaired.notebook, "share-answer")
    assert back.source == "share = ..." and about(back) == {"skip": "its cell is not there any more"}
    assert repaired.notes == ["No answer cell was found for share."]


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


FIGURE = "def cut_up(x):\n    return x\n\nface = cut_up(photo)\nfigure = 1"


@pytest.fixture
def with_figures(template):
    """Two figures at the top, of which the second needs the first."""
    released = copy.deepcopy(template)
    drawn = [own("photo = 1", "first", tags=["illustration"]), own(FIGURE, "second", tags=["illustration"])]
    add_behind(
        released, "setup" if any(cell.id == "setup" for cell in released.cells) else released.cells[0].id, *drawn
    )
    return released


@pytest.mark.parametrize(
    ("answer", "first", "second"),
    [
        ("tokens = 16", False, False),
        ("tokens = cut_up(16)", True, True),
        ("def f():\n    return face\ntokens = f()", True, True),
        ("tokens = photo", True, False),
        ("photo = 16\ntokens = photo", False, False),
        ("tokens = eval('cut_up(16)')", True, True),
        ("%time tokens = cut_up(16)", True, True),
        ("figure = 16\ntokens = figure", False, False),
        ("if 0:\n    figure = 16\ntokens = figure", True, True),
        ("# cut_up\ntokens = 16", False, False),
        ("tokens = (16", False, False),
    ],
)
def test_an_untouched_figure_runs_where_its_names_are_needed(with_figures, answer, first, second):
    notebook = copy.deepcopy(with_figures)
    cell_of(notebook, "tokens-answer").source = answer
    code = that_run(repair(written(notebook), with_figures).notebook)
    assert ("photo = 1" in code, FIGURE in code) == (first, second)


def test_a_figure_that_the_learner_edited_or_copied_runs(with_figures):
    notebook = copy.deepcopy(with_figures)
    cell_of(notebook, "first").source += "\nhelper = 2"
    add_behind(notebook, "second", copy_of(notebook, "second", "mine = 3"))
    code = that_run(repair(written(notebook), with_figures).notebook)
    assert "photo = 1\nhelper = 2" in code and "mine = 3" in code and FIGURE not in code


def test_a_figure_below_a_function_that_uses_it_runs(with_figures):
    notebook = copy.deepcopy(with_figures)
    notebook.cells.insert(0, own("def late():\n    return face"))
    assert FIGURE in that_run(repair(written(notebook), with_figures).notebook)


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
