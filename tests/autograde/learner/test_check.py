"""What a learner sees below an answer, in the released folder and in a real kernel."""

import json

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from autograde import check, solution
from autograde.course.release import release
from autograde.learner.check import CheckFailed, Tick
from tests.autograde.conftest import TOY


def right_rows(images, patch):
    if images.shape[2] % patch:
        raise ValueError(f"{images.shape[2]} is not a multiple of {patch}")
    return torch.stack(images.split(patch, dim=2), dim=1)


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        ("tokens", 16, "✓ Count tokens: 16 patches is right."),
        ("tokens", 16.0, "✓ Count tokens: 16.0 patches is right."),
        ("tokens", torch.tensor([16]), "16 patches is right."),
        ("share", torch.tensor(0.67), "0.67 is right"),
        ("share", 0.67, "0.67 is right"),
        ("share", 2 / 3, "is right"),
        ("positions", True, "✓ What is added? True is right"),
        ("remedy", 2, "option 2 is right"),
        ("cut-rows", right_rows, "all 3 examples pass. Grading tries other inputs too. Height becomes rows"),
    ],
)
def test_right_answers_get_a_tick(chapter, capsys, exercise, answer, words):
    check(exercise, answer)
    assert words in capsys.readouterr().out


def in_place(images, patch):
    rows = right_rows(images, patch).clone()
    images *= 2
    return rows


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        ("tokens", 4, "✗ 4 patches: That is one side of 32 / 8."),
        ("tokens", 17, "CLS is no patch."),
        ("tokens", 15, "15 patches is not the answer. Unfold a hint above"),
        ("tokens", (1, 6), "write it without brackets and commas"),
        ("tokens", "4 x 4", "write it without quotes, as 4 * 4."),
        ("positions", "true", "the text 'true'; expected 1 for true or 0 for false."),
        ("remedy", "larger", "the text 'larger'; expected the number of an option, 1 to 3."),
        ("tokens", ..., "✎ Your turn: `tokens` is not answered yet: put your answer in place of the dots, and run"),
        ("tokens", "16", "write it without quotes"),
        ("tokens", torch.tensor([15]), "✗ 15 patches is not the answer."),
        ("tokens", torch.ones(16), "shape (16,); expected a number"),
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
        ("cut-rows", in_place, "it changes its argument number 1, which whoever calls it still needs: make a new"),
        ("cut-rows", lambda images, patch: right_rows(images, patch).numpy(), "leave it one, without .numpy()."),
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


def failure(call, *arguments) -> str:
    with pytest.raises(CheckFailed) as caught:
        call(*arguments)
    return str(caught.value)


def test_the_worked_solution_opens_after_three_different_answers(chapter, capsys, monkeypatch):
    monkeypatch.setattr("autograde.learner.check._wrong_answers", {})
    for tried, answer in enumerate((1, 1, 1, "four", ..., 2), start=1):
        message = failure(check, "share", answer)
        assert "solution(" not in message
        assert "opens after 3 different tries" in failure(solution, "share"), tried
    assert message.endswith("is not the answer. Unfold a hint above and try again.")
    assert 'Write solution("share") in a new cell' in failure(check, "share", 3)
    solution("share")
    assert capsys.readouterr().out == "share = 0.67\n"
    assert "opens after 3" in failure(solution, "tokens")  # each exercise for itself


def test_the_worked_solution_of_a_function_is_one(chapter, capsys):
    for wrong in (lambda images, patch: images, lambda images, patch: patch, lambda images, patch: None):
        message = failure(check, "cut-rows", wrong)
    assert message.endswith('Write solution("cut-rows") in a new cell to see the worked solution.')
    solution("cut-rows")
    assert capsys.readouterr().out.startswith("def rows(images: torch.Tensor, patch: int) -> torch.Tensor:\n")


@pytest.mark.parametrize("feedback", ["check", "form"])
def test_a_course_can_switch_worked_solutions_off(course, monkeypatch, feedback):
    release(course, [TOY], feedback=feedback)
    monkeypatch.chdir(course.released / TOY)
    sheet = json.loads((course.released / TOY / "exercises.json").read_text())
    assert not any("solution" in entry for entry in sheet["exercises"].values())
    if feedback == "check":
        for wrong in (1, 2, 3):
            assert "solution(" not in failure(check, "tokens", wrong)
    assert "switched off in this course" in failure(solution, "tokens")


def test_no_reason_and_no_message_can_be_read_in_the_sheet(chapter):
    """They are locked by the answers that they belong to."""
    text = (chapter.released / TOY / "exercises.json").read_text(encoding="utf-8")
    for hidden in ("squared", "CLS is no patch", "h = z + PE", "Labels cost nothing", "2 / 3 = 0.667", "rows ×"):
        assert hidden not in text
    assert "how many?" in text


def test_every_tick_shows_its_reason(chapter, capsys):
    for exercise, answer in (
        ("tokens", 16),
        ("share", 0.67),
        ("positions", 1),
        ("remedy", 2),
        ("cut-rows", right_rows),
    ):
        check(exercise, answer)
    lines = capsys.readouterr().out.splitlines()
    reasons = ("squared: 16.", "so 0.67.", "True: h = z + PE.", "fewer tokens.", "in front of the channels.")
    assert len(lines) == 5 and all(line.endswith(reason) for line, reason in zip(lines, reasons, strict=True))


def test_a_reason_is_shown_with_its_code_and_emphasis():
    html = Tick("Take `x < 1`, **not** *y*: 2 * 3 * 4.")._repr_html_()
    assert "Take <code>x &lt; 1</code>, <b>not</b> <i>y</i>: 2 * 3 * 4." in html
