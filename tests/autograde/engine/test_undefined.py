"""An answer that is not there at its check: it is looked for once more at the end, and where it is not, why is said."""

import nbformat
import pytest

from autograde.engine.repair import repair
from autograde.engine.session import Session
from tests.autograde.conftest import TOY
from tests.autograde.engine.test_execute import add_before, run, solved


def test_what_is_asked_below_its_check_is_found_at_the_end(course, tmp_path):
    notebook = solved(course)
    answer = next(cell for cell in notebook.cells if cell.id == "tokens-answer")
    notebook.cells.remove(answer)
    notebook.cells.append(answer)
    assert run(course, tmp_path, notebook)[0].points == 1


def at_the_end(notebook, name, source):
    answer = next(cell for cell in notebook.cells if cell.id == f"{name}-answer")
    notebook.cells.remove(answer)
    notebook.cells.append(answer)
    answer.source, answer.metadata["autograde"] = source, {"own": True}


@pytest.mark.parametrize("length", ["while True: pass", "import os; os._exit(1)", "raise RuntimeError"])
def test_a_value_that_cannot_be_read_at_the_end_costs_itself_alone(course, tmp_path, length):
    notebook = solved(course)
    at_the_end(notebook, "tokens", f"class Odd(list):\n    def __len__(self):\n        {length}\ntokens = Odd()")
    at_the_end(notebook, "share", "share = 0.67")
    verdicts = run(course, tmp_path, notebook, cell_seconds=2)
    assert [verdict.points for verdict in verdicts] == [0, 1, 1, 2, 4]


def test_values_that_are_not_there_are_asked_for_again_in_one_message(course, tmp_path, monkeypatch):
    asked, ask = [], Session.ask

    def listen(session, code, expressions, theirs=False):
        asked.append(len(expressions))
        return ask(session, code, expressions, theirs)

    monkeypatch.setattr(Session, "ask", listen)
    released = course.template(TOY)
    verdicts = run(course, tmp_path, repair(nbformat.writes(released).encode(), released).notebook)
    assert {verdict.status for verdict in verdicts} == {"blank"}
    assert asked == [1, 4, 1]  # the function where its check stands; at the end the four values, and the function


def test_a_deleted_answer_is_not_defined(course, tmp_path):
    notebook = solved(course)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "tokens-answer"]
    first = run(course, tmp_path, notebook)[0]
    assert first.message == "`tokens` is not defined: no cell sets it."


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("tokens = 32 \u2212 16", "cell 4, which is to set it, failed with SyntaxError: invalid character"),
        ("import nowhere\ntokens = 16", "failed with ModuleNotFoundError: No module named 'nowhere'."),
        ("tokens = int(input('How many?'))", "which is to set it, asks for input, and while grading nobody types."),
        ("# I do not know", "cell 4 ran, and left nothing of that name."),
    ],
)
def test_why_an_answer_is_not_defined_is_said(course, tmp_path, source, words):
    notebook = solved(course)
    next(cell for cell in notebook.cells if cell.id == "tokens-answer").source = source
    assert words in run(course, tmp_path, notebook)[0].message


def test_why_an_answer_below_its_check_is_not_defined_is_said_too(course, tmp_path):
    notebook = solved(course)
    at_the_end(notebook, "tokens", "tokens = half * 2")
    at_the_end(notebook, "share", "share = ...")
    add_before(notebook, "positions", "del positions")
    first, second, third, *_ = run(course, tmp_path, notebook)
    assert first.message.endswith("which is to set it, failed with NameError: name 'half' is not defined.")
    assert (second.status, third.status) == ("blank", "lost")
