"""What the grader takes from a kernel, and what it leaves."""

import base64
import json
import re

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograde.cli import main
from autograde.course.course import CONFIG_FILE, Course
from autograde.course.grading import grade
from autograde.course.simulate import simulate
from autograde.engine.client import MAX_VALUES, read_json, rebuild
from autograde.engine.execute import OPEN, Limits, run_notebook
from tests.autograde.conftest import TOY

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
SCRIPT = "<script>fetch('/')</script>"


def test_text_and_pictures_are_kept():
    assert rebuild("stream", {"name": "stdout", "text": "hello"}) == {
        "output_type": "stream",
        "name": "stdout",
        "text": "hello",
    }
    shown = rebuild("display_data", {"data": {"text/plain": "a figure", "image/png": PIXEL}, "metadata": {}})
    assert shown.data == {"text/plain": "a figure", "image/png": PIXEL}
    failed = rebuild("error", {"ename": "ValueError", "evalue": "no", "traceback": ["ValueError: no"]})
    assert failed.traceback == ["ValueError: no"]


@pytest.mark.parametrize(
    "kind", ["text/html", "application/javascript", "text/latex", "text/markdown", "application/x-any"]
)
def test_what_a_page_could_run_is_left(kind):
    assert rebuild("display_data", {"data": {kind: SCRIPT}, "metadata": {}}) is None
    both = rebuild("execute_result", {"data": {kind: SCRIPT, "text/plain": "1"}, "metadata": {}, "execution_count": 1})
    assert both.data == {"text/plain": "1"}


def test_a_drawing_is_kept_as_a_picture_in_which_nothing_runs():
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg">{SCRIPT}</svg>'
    data = {"image/svg+xml": drawing, "text/plain": '"><script>'}
    shown = rebuild("display_data", {"data": data, "metadata": {}}).data
    assert shown.keys() == {"text/plain", "text/html"}
    found = re.fullmatch(
        r'<img src="data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)" alt="&quot;&gt;&lt;script&gt;">', shown["text/html"]
    )
    assert base64.b64decode(found[1]).decode() == drawing
    both = rebuild("display_data", {"data": data | {"image/png": PIXEL}, "metadata": {}}).data
    assert both.keys() == {"text/plain", "image/png"}
    assert rebuild("display_data", {"data": {"image/svg+xml": 7}}) is None


@pytest.mark.parametrize("picture", [f'"/>{SCRIPT}', "A", "%%%", 7, None, [PIXEL]])
def test_a_picture_that_is_none_is_left(picture):
    shown = rebuild("display_data", {"data": {"image/png": picture, "text/plain": "x"}})
    assert SCRIPT not in json.dumps(shown)
    assert shown.data["text/plain"] == "x"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("stream", {"name": "autograde", "text": "x"}),
        ("stream", {"name": "stdout", "text": 7}),
        ("stream", {}),
        ("error", {"ename": None, "evalue": "", "traceback": []}),
        ("display_data", {"data": [["text/plain", "x"]]}),
        ("display_data", {"data": {"text/plain": ["x"]}}),
        ("update_display_data", {"data": {"text/plain": "x"}}),
        ("comm_open", {"target_name": "jupyter.widget", "data": {"state": {}}}),
        ("execute_reply", {"status": "ok"}),
        ("autograde", {}),
    ],
)
def test_what_is_no_output_is_left(kind, content):
    assert rebuild(kind, content) is None


_text = st.text(st.characters())
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(["data", "text"]), inner),
    max_leaves=12,
)


@given(
    kind=st.sampled_from(["stream", "error", "display_data", "execute_result"]),
    content=st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["stdout", "stderr"]) | _json,
            "text": _text | _json,
            "ename": _json,
            "evalue": _json,
            "traceback": st.lists(_text) | _json,
            "data": st.dictionaries(st.sampled_from(["text/plain", "text/html", "image/png"]), _text | _json),
            "metadata": _json,
        },
    ),
)
def test_whatever_arrives_the_notebook_stays_one(kind, content):
    output = rebuild(kind, content)
    cells = [nbformat.v4.new_code_cell(outputs=[] if output is None else [output])]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbformat.validate(notebook)
    nbformat.writes(notebook).encode("utf-8")
    assert output is None or not output.get("metadata")


def test_a_message_of_many_values_or_many_levels_is_not_read():
    with pytest.raises(ValueError, match="more than 1,000,000 values"):
        read_json(b"[" + b"0," * MAX_VALUES + b"0]")
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(b"[" * 10_000 + b"]" * 10_000)
    assert read_json(b'{"answer": [1, 2.5, "text"]}') == {"answer": [1, 2.5, "text"]}


def shown(course, tmp_path, source):
    notebook = nbformat.read(course.solutions / TOY / f"{TOY}.ipynb", as_version=4)
    notebook.cells.insert(2, nbformat.v4.new_code_cell(source))
    verdicts = run_notebook(notebook, course.key(TOY), tmp_path, Limits(cell_seconds=300, notebook_seconds=600))
    assert all(verdict.points for verdict in verdicts)
    return notebook.cells[2].outputs


def test_outputs_of_a_cell_are_kept_in_order_and_joined(course, tmp_path):
    source = "print('one'); print('two')\nimport sys; print('three', file=sys.stderr)\n4"
    outputs = shown(course, tmp_path, source)
    assert sorted(output.get("text", "") for output in outputs) == ["", "one\ntwo\n", "three\n"]
    assert [output.data for output in outputs if "data" in output] == [{"text/plain": "4"}]


def test_of_endless_output_the_beginning_is_kept(course, tmp_path):
    outputs = shown(course, tmp_path, "for line in range(400_000): print(line)")
    assert outputs[0].text.startswith("0\n1\n2\n")
    assert outputs[-1].text.endswith("… the rest of this cell's output is left out")
    assert sum(len(output.text) for output in outputs) < 2 * 2**20


def test_of_endless_displays_the_first_are_kept(course, tmp_path):
    outputs = shown(course, tmp_path, "for n in range(2_000): display(n)")
    assert 50 < len(outputs) <= 101


def test_clearing_keeps_what_comes_after(course, tmp_path):
    source = "from IPython.display import clear_output\nprint('before'); clear_output(); print('after')"
    assert [output.text for output in shown(course, tmp_path, source)] == ["after\n"]


def test_without_a_sandbox_every_notebook_says_so(course, capsys):
    simulate(course, TOY, 1)
    assert main(["grade", "--no-sandbox", "--jobs", "0"]) == 0
    page = nbformat.read(course.autograded / "student-001" / TOY / f"{TOY}.ipynb", as_version=4)
    assert OPEN in page.cells[0].source
    assert OPEN in page.metadata.autograde.notes
    assert comments(course) == [OPEN] * 5
    assert course.api.autograde(TOY, "student-001")["success"]
    assert comments(course) == [None] * 5  # nbgrader's own command follows the configuration, which says nothing of it
    with (course.root / CONFIG_FILE).open("a") as config:
        config.write("c.Limits.sandbox = False\n")
    assert Course(course.root).api.autograde(TOY, "student-001")["success"]
    assert comments(course) == [OPEN] * 5
    assert main(["report"]) == 0
    assert (course.root / "gradebook" / "marks.csv").read_text().count(OPEN) == 5


def comments(course):
    """What nbgrader's gradebook says of each answer."""
    with course.api.gradebook as gradebook:
        (notebook,) = gradebook.find_submission(TOY, "student-001").notebooks
        return [comment.auto_comment for comment in notebook.comments]


def test_without_a_sandbox_the_marks_are_the_same(course, capsys):
    simulate(course, TOY, 1)
    (inside,) = grade(course, TOY, [])
    course.config.Limits.sandbox = False
    (outside,) = grade(course, TOY, [], regrade=True)
    assert outside.verdicts == inside.verdicts
    assert outside.notes == [*inside.notes, OPEN]


def test_where_no_sandbox_works_grading_refuses(course, capsys, monkeypatch, tmp_path):
    simulate(course, TOY, 1)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["grade", "--jobs", "0"]) == 1  # the process that workers are forked from would keep this PATH
    assert "bubblewrap (bwrap) is not installed" in capsys.readouterr().err
    assert not course.autograded.exists()
