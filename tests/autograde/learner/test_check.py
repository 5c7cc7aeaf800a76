"""What a learner sees below an answer, in the released folder and in a real kernel."""

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from autograde import check
from autograde.course.release import release
from autograde.learner.check import CheckFailed
from tests.autograde.conftest import TOY


@pytest.fixture
def chapter(course, monkeypatch):
    monkeypatch.chdir(course.released / TOY)
    return course


def right_rows(images, patch):
    if images.shape[2] % patch:
        raise ValueError
    return torch.stack(images.split(patch, dim=2), dim=1)


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        ("tokens", 16, "✓ Count tokens: 16 patches is right."),
        ("tokens", 16.0, "✓ Count tokens: 16.0 patches is right."),
        ("share", 0.67, "0.67 is right"),
        ("share", 2 / 3, "is right"),
        ("positions", True, "True is right"),
        ("remedy", 2, "option 2 is right"),
        ("cut-rows", right_rows, "all 3 examples pass. Grading tries other inputs too. Height becomes rows"),
    ],
)
def test_right_answers_get_a_tick(chapter, capsys, exercise, answer, words):
    check(exercise, answer)
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        ("tokens", 4, "✗ 4 patches: That is one side of 32 / 8."),
        ("tokens", 17, "CLS is no patch."),
        ("tokens", 15, "15 patches is not the answer. Unfold a hint above"),
        ("tokens", (1, 6), "write it without commas"),
        (
            "tokens",
            ...,
            "✎ Your turn: `tokens` is not answered yet: put your answer in place of the dots, and run",
        ),
        ("tokens", "16", "write it without quotes"),
        ("tokens", torch.tensor(16), "take it out with .item()"),
        ("tokens", None, "is None; expected a number"),
        ("tokens", float("nan"), "expected a finite number"),
        ("tokens", 10**60, "a number of 61 digits patches is not the answer"),
        ("share", 0.33, "That is one of three."),
        ("positions", 0, "Look at h = z + PE again."),
        ("positions", 7, "expected 1 for true or 0 for false"),
        ("remedy", 3, "Names cost nothing."),
        ("remedy", 4, "expected the number of an option, 1 to 3"),
        ("cut-rows", ..., "put your answer in place of the dots"),
        ("cut-rows", 5, "is 5; expected a function"),
        ("cut-rows", lambda images, patch: ..., "write its body in place of the dots"),
        ("cut-rows", lambda images: images, "takes 1 positional argument but 2 were given"),
        ("cut-rows", lambda images, patch: print(images.shape), "print only shows it"),
        ("cut-rows", lambda images, patch: ValueError("no"), "got      an object of type ValueError"),
        ("cut-rows", lambda images, patch: images.unflatten(-2, (-1, patch)), "has shape (1, 1, 2, 2, 2)"),
        ("no-such", 1, "this chapter has no exercise 'no-such'; it has tokens, share"),
    ],
)
def test_everything_else_gets_one_message(chapter, exercise, answer, words):
    with pytest.raises(CheckFailed) as caught:
        check(exercise, answer)
    assert words in str(caught.value)
    assert caught.value._render_traceback_() == [str(caught.value)]


def test_an_integer_that_python_would_not_print_gets_its_line_too(chapter):
    with pytest.raises(CheckFailed, match="is an integer of about 4,9"):
        check("tokens", 2**16500)


def test_a_wrong_function_is_shown_the_example(chapter):
    with pytest.raises(CheckFailed) as caught:
        check("cut-rows", lambda images, patch: images)
    assert "rows(tensor (1, 1, 4, 2) [[[[0, 1], [2, 3], [4, 5], [6, 7]]]], 2)" in str(caught.value)
    assert "expected tensor (1, 2, 1, 2, 2) [[[[[0, 1], [2, 3]]], [[[4, 5], [6, 7]]]]]" in str(caught.value)
    assert "got      tensor (1, 1, 4, 2)" in str(caught.value)


def test_without_its_sheet_a_notebook_says_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckFailed, match="fetch the whole chapter folder"):
        check("tokens", 16)
    (tmp_path / "exercises.json").write_text("{")
    with pytest.raises(CheckFailed, match="damaged: fetch the chapter again"):
        check("tokens", 16)


def test_form_feedback_says_that_the_format_is_ok_and_no_more(course, monkeypatch, capsys):
    release(course, [TOY], feedback="form")
    monkeypatch.chdir(course.released / TOY)
    check("tokens", 15)
    assert "15 patches: format OK, not marked yet." in capsys.readouterr().out
    with pytest.raises(CheckFailed, match="without quotes"):
        check("tokens", "15")


def test_in_a_notebook_a_failed_check_shows_its_message_and_no_traceback(chapter):
    notebook = nbformat.v4.new_notebook()
    sources = ["from autograde import check", 'check("tokens", 4)', 'check("tokens", 16)']
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    folder = {"metadata": {"path": str(chapter.released / TOY)}}
    NotebookClient(notebook, allow_errors=True, timeout=60, resources=folder).execute()
    (failed,), (passed,) = notebook.cells[1].outputs, notebook.cells[2].outputs
    assert failed.traceback == ["✗ 4 patches: That is one side of 32 / 8."]
    assert "16 patches is right." in passed.data["text/html"]
