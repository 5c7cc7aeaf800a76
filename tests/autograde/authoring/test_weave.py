"""The key writes the cells of its exercises, and only those."""

import re
import shutil

import nbformat
import pytest

from autograde.authoring.outputs import _drop_what_varies, store_outputs
from autograde.authoring.weave import weave
from autograde.errors import AutogradeError
from autograde.exercises import BadKey
from tests.autograde.conftest import HERE, TOY


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / TOY
    shutil.copytree(HERE / "course" / TOY, made)
    return made


def read(folder):
    return nbformat.read(folder / f"{TOY}.ipynb", as_version=4)


def edit(folder, change):
    notebook = read(folder)
    change(notebook)
    nbformat.write(notebook, folder / f"{TOY}.ipynb")


def test_a_place_becomes_prompt_answer_and_graded_cell(folder):
    assert weave(folder)
    cells = {cell.id: cell for cell in read(folder).cells}
    assert "A picture of 32 × 32 pixels, patches of 8: how many?" in cells["tokens-prompt"].source
    assert "<summary>Hint 1</summary>" in cells["tokens-prompt"].source
    assert cells["tokens-answer"].source == "### BEGIN SOLUTION\ntokens = 16\n### END SOLUTION"
    assert cells["tokens"].source == 'check("tokens", tokens)'
    assert cells["tokens"].metadata.nbgrader.points == 1
    assert "2. larger patches" in cells["remedy-prompt"].source
    assert cells["cut-rows-answer"].source.startswith("def rows(images: torch.Tensor, patch: int) -> torch.Tensor:")


def test_weaving_twice_changes_nothing_more(folder):
    weave(folder)
    before = read(folder)
    assert not weave(folder)
    assert read(folder) == before


def test_a_notebook_without_ids_is_woven_and_keeps_its_exercises(folder):
    weave(folder)
    before = read(folder)
    bare = read(folder)
    bare.nbformat_minor = 4
    for cell in bare.cells:
        del cell["id"]
    nbformat.write(bare, folder / f"{TOY}.ipynb")
    assert weave(folder)
    after = read(folder)
    ours = {cell.id for cell in before.cells if "nbgrader" in cell.metadata}
    assert [cell.source for cell in after.cells] == [cell.source for cell in before.cells]
    assert {cell.id for cell in after.cells if "nbgrader" in cell.metadata} == ours
    assert not weave(folder)


def test_outputs_stay_where_the_source_is_the_same(folder):
    weave(folder)

    def run(notebook):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.execution_count = 7

    edit(folder, run)
    key = folder / "key.py"
    key.write_text(key.read_text().replace('"patch": 8', '"patch": 4'))
    assert weave(folder)
    counts = {cell.id: cell.execution_count for cell in read(folder).cells if cell.cell_type == "code"}
    assert counts["tokens-answer"] is None  # its answer is new
    assert counts["share-answer"] == counts["tokens"] == 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda notebook: notebook.cells.pop(2), "has no place for tokens"),
        (lambda notebook: notebook.cells.insert(3, notebook.cells[2].copy()), "places exercise tokens twice"),
        (lambda notebook: notebook.cells[2].update(source="{exercise toekns}"), "exercise toekns, which key.py does"),
        (lambda notebook: notebook.cells.insert(2, notebook.cells.pop(4)), "put key.py in the same order"),
    ],
)
def test_a_notebook_that_contradicts_its_key_is_refused(folder, change, words):
    def apply(notebook):
        change(notebook)
        for number, cell in enumerate(notebook.cells):
            cell.id = f"cell-{number}"

    edit(folder, apply)
    with pytest.raises(BadKey, match=words):
        weave(folder)


def line_of(key: str, words: str) -> int:
    return next(number for number, line in enumerate(key.splitlines(), start=1) if words in line)


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        ("** 2 + 1, ", "** 2, ", "counted CLS", "'counted CLS' has the same value as the answer"),
        ("2 * (side // patch), ", "side // patch, ", "rows and columns", "as the misconception 'forgot to square'"),
        (
            'Misconception("upside down", 3 / 2, "Divide two by three."),',
            "",
            "share = N",
            "2 misconceptions; expected at",
        ),
        ("    decimals=2,", "", "share = N", "no whole number; say to how many decimals"),
        ("CLS is no patch.", "Multiply rows and columns.", "tokens = N", "2 misconceptions have the message 'Multiply"),
        ('hints=["Divide."],', "", "share = N", "it has no hints"),
        ('hints=["Divide."],', "hints=None,", "share = N", None),  # as in an exam
        ("Divide two by three.", "{n} by three.", "share = N", None),  # no parameter is called n: LaTeX may look so
        ("patches of {patch}", "patches of {{patch}}", "tokens = N", None),
        ("@cut_rows.alternative", "# ", "cut_rows = C", "0 other right solutions; expected at least 2"),
        ('@cut_rows.misconception("rows turned", "Height comes before width.")', "# ", "cut_rows = C", "9 misconc"),
        (".flip(1)", "", "last row first", "'last row first' passes every hidden check"),
        ("        (torch.zeros(1, 1, 3, 2), 2),\n", "", "does not refuse", "passes every example and gets a tick"),
        ("(torch.zeros(1, 1, 3, 2), 2)", "(torch.zeros(1, 1, 5, 2), 2)", "cut_rows = C", "example 3 is a hidden case"),
        ("(2, 3, 6, 1), 3)", "(2, 3, 6, 1), 2)", "cut_rows = C", "`patch` is 2 in every example"),
        ("(2, 3, 6, 1), 3)", "(18, 1, 2, 1), 1)", "cut_rows = C", "`images.shape[-3]` is 1 in every example"),
        ("(2, 3, 6, 1), 3)", "(2, 3, 6, 1), 4)", "cut_rows = C", "`images.shape[-1]` is 2 in every example"),
        ("(2, 3, 6, 1), 3)", "(2, 2, 9, 1), 3)", "cut_rows = C", "`images.shape[-3]` equals `images.shape[-4]`"),
        ("arange(0, 9, 0.25)", "arange(36)", "cut_rows = C", "`images.dtype` is 'int64' in every example"),
        ("arange(0, 9, 0.25)", "arange(36)", "cut_rows = C", "its examples give whole numbers only"),
        ("points=2,", "points=-2,", "remedy = C", "-2 points; expected 0 or more"),
        ("points=2,", "pionts=2,", "remedy = C", "unexpected keyword argument 'pionts'"),
        ("remedy = Choice(", "remedy = Choice(,", "remedy = C", "invalid syntax"),
        (".flip(3)", ".flip(1)", "each row upside down", "does what 'last row first' does"),
    ],
)
def test_a_key_that_contradicts_itself_is_refused_with_the_line_to_mend(folder, old, new, at, words):
    key = folder / "key.py"
    text = key.read_text()
    assert old in text
    key.write_text(text.replace(old, new))
    if words is None:
        assert weave(folder)
        return
    before = (folder / f"{TOY}.ipynb").read_bytes()
    with pytest.raises(BadKey) as caught:
        weave(folder)
    lines = [line for line in str(caught.value).splitlines() if words in line]
    assert [re.search(r"line (\d+)", line)[1] for line in lines] == [str(line_of(key.read_text(), at))]
    assert (folder / f"{TOY}.ipynb").read_bytes() == before


def test_a_title_that_counts_wrong_is_refused_with_the_right_words(folder):
    def claim(notebook):
        notebook.cells[0].source += "\n\n5 exercises take 6 of these minutes and give 8 points."

    edit(folder, claim)
    with pytest.raises(BadKey, match="5 exercises take 5 of these minutes and give 9 points"):
        weave(folder)


def test_no_progress_bar_is_stored_and_no_widget_without_its_picture():
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "100%"}
    drawn = view | {"text/html": "<img>"}
    outputs = [nbformat.v4.new_output("display_data", data) for data in (view, drawn, {"text/plain": "3"})]
    cell = nbformat.v4.new_code_cell(outputs=outputs, metadata={"tags": ["nbval-ignore-output"]})
    notebook = nbformat.v4.new_notebook(cells=[cell])
    _drop_what_varies(notebook)
    assert [set(output.data) for output in notebook.cells[0].outputs] == [{"text/plain", "text/html"}, {"text/plain"}]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("print('x')\nraise ValueError('one line\\nanother')", "cell fails: ValueError: one line"),
        ("import os\nos._exit(1)", "cell fails: Kernel died"),
    ],
)
def test_a_cell_that_fails_is_named_in_a_line_and_the_outputs_stay(tmp_path, source, said):
    cells = [nbformat.v4.new_code_cell("1", id="runs"), nbformat.v4.new_code_cell(source, id="fails")]
    path = tmp_path / f"{tmp_path.name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    before = path.read_bytes()
    with pytest.raises(AutogradeError) as failed:
        store_outputs(tmp_path)
    assert str(failed.value).endswith(f"keeps the outputs that it had: {said}")
    assert path.read_bytes() == before
