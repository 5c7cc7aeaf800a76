"""Whatever is handed in becomes a notebook that can be graded, and what was put right is said."""

import copy
import json

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograde.authoring.weave import weave
from autograde.engine.repair import MAX_BYTES, repair
from tests.autograde.conftest import HERE, TOY


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


@pytest.mark.parametrize(
    ("submitted", "words"),
    [
        (b"", "empty"),
        (b"   \n", "empty"),
        (b"%PDF-1.7 not a notebook", "not a notebook"),
        (b"\xff\xfe\x00\x01" * 50, "not a notebook"),
        (b'{"cells": [', "not a notebook"),
        (b"[" * 100_000, "not a notebook"),
        (b"[]", "no cells"),
        (b"42", "no cells"),
        (b'{"metadata": {}}', "no cells"),
        (b'{"cells": 3}', "no cells"),
        (b'{"cells": [1, null, {"cell_type": "video"}, {"cell_type": "code", "source": 5}]}', "4 of its 4 cells"),
        (b'{"a": "' + b"x" * MAX_BYTES + b'"}', "more than 20 MiB"),
    ],
)
def test_what_is_no_notebook_becomes_the_release(template, submitted, words):
    repaired = repair(submitted, template)
    assert words in repaired.notes[0]
    assert sources(repaired.notebook)[1:] == sources(template)  # the first cell says what was put right
    assert words in repaired.notebook.cells[0].source


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


def test_a_copied_test_cell_is_dropped_and_named(template):
    notebook = answered(template)
    copied = copy.deepcopy(cell_of(notebook, "tokens"))
    copied.id = "copied"
    notebook.cells.append(copied)
    repaired = repair(written(notebook), template)
    assert sources(repaired.notebook)[1:] == sources(answered(template))
    assert "tokens was there 2 times" in repaired.notes[0]


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
    assert "found by what it defines" in repaired.notes[0]


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
