"""My progress: every tick is noted once, nothing is ever lost, and nothing is written where it has no business."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograde import check
from autograde.course.grading import grade
from autograde.learner.check import CheckFailed
from autograde.learner.progress import ACHIEVEMENTS, Board, board_html, earned
from autograde.learner.ticks import FILE_NAME, note, read_progress, read_ticks
from tests.autograde.conftest import TOY

KINDS = {"count": "numeric", "claim": "truefalse", "cure": "choice", "cut": "code"}


def add_chapter(book: Path, name: str, kinds: dict[str, str] = KINDS) -> Path:
    folder = book / name
    folder.mkdir()
    sheet = {
        "exercises": {
            exercise: {"kind": kind} | ({"examples": []} if kind == "code" else {}) for exercise, kind in kinds.items()
        }
    }
    (folder / "exercises.json").write_text(json.dumps(sheet), encoding="utf-8")
    return folder


@pytest.fixture
def book(tmp_path, monkeypatch) -> Path:
    """A folder of three chapters; a notebook of the second is open."""
    for name in ("00-glance", "01-grid", "02-embedding"):
        add_chapter(tmp_path, name, {"first-tick": "numeric"} if name == "00-glance" else KINDS)
    monkeypatch.chdir(tmp_path / "01-grid")
    return tmp_path


def solved(book: Path) -> dict[str, set[str]]:
    return {chapter.name: set(chapter.solved) for chapter in read_progress(book).chapters}


def test_a_tick_is_one_line_that_a_person_can_read(book):
    note("count")
    assert (book / FILE_NAME).read_text() == f"{date.today()}\t01-grid\tcount\n"


def test_a_tick_is_noted_once(book):
    for exercise in ("count", "cut", "count", "cut"):
        note(exercise)
    assert len((book / FILE_NAME).read_text().splitlines()) == 2
    assert solved(book) == {"00-glance": set(), "01-grid": {"count", "cut"}, "02-embedding": set()}


def test_the_same_exercise_of_another_chapter_is_another_one(book, monkeypatch):
    note("count")
    monkeypatch.chdir(book / "02-embedding")
    note("count")
    assert solved(book) == {"00-glance": set(), "01-grid": {"count"}, "02-embedding": {"count"}}
    assert str(read_progress(book)) == "2 of 9 exercises have their tick; 0 of 3 chapters are done."


def test_exercises_that_a_chapter_no_longer_has_are_not_counted(book):
    note("gone")
    assert read_progress(book).solved == 0


@given(before=st.binary())
def test_whatever_is_in_the_file_stays_and_new_ticks_are_noted_behind_it(before):
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        chapter = add_chapter(Path(folder), "01-grid")
        (chapter.parent / FILE_NAME).write_bytes(before)
        patch.chdir(chapter)
        note("count")
        assert (chapter.parent / FILE_NAME).read_bytes().startswith(before)
        assert solved(chapter.parent) == {"01-grid": {"count"}}


def test_a_damaged_line_costs_itself_alone_and_the_page_says_so(book):
    text = "2026-01-05\t01-grid\tcount\n\x00\x00 grid\n2026-01-06\t01-grid\tcut\n2026-01-07\t01-gr"
    (book / FILE_NAME).write_text(text)
    assert solved(book)["01-grid"] == {"count", "cut"}
    assert "2 lines of my-progress.txt could not be read" in board_html(read_progress(book))
    note("claim")
    assert solved(book)["01-grid"] == {"count", "cut", "claim"}


def test_lines_that_another_system_ended_its_own_way_are_read():
    ticks, unreadable = read_ticks("2026-01-05\t01-grid\tcount\r\n\r\n2026-01-06\t01-grid\tcut\r\n")
    assert ([tick.exercise for tick in ticks], unreadable) == (["count", "cut"], 0)


def test_where_the_file_cannot_be_opened_a_tick_is_a_tick_all_the_same(book):
    (book / FILE_NAME).mkdir()
    note("count")
    assert "my-progress.txt cannot be opened" in read_progress(book).not_kept


def test_a_teachers_folder_keeps_no_progress(book):
    (book / "02-embedding" / "key.py").touch()
    note("count")
    assert not (book / FILE_NAME).exists()
    assert "a teacher's folder" in read_progress(book).not_kept


def test_a_chapter_that_is_added_is_found_by_its_folder_and_one_without_exercises_is_none(book):
    add_chapter(book, "11-exam", {"last": "numeric"})
    (book / "10-reference").mkdir()
    (book / "10-reference" / "10-reference.ipynb").touch()
    add_chapter(book, "12-words", {})
    assert [chapter.name for chapter in read_progress(book).chapters][2:] == ["02-embedding", "11-exam"]


def test_a_chapter_bears_the_title_of_its_notebook_and_where_that_cannot_be_read_the_name_of_its_folder(book):
    code, title = new_code_cell("# no title"), new_markdown_cell("Before it.\n\n# 1 · Squares < pixels\n\n# Later")
    nbformat.write(new_notebook(cells=[code, title]), book / "01-grid" / "01-grid.ipynb")
    (book / "02-embedding" / "02-embedding.ipynb").write_text('{"cells": [{"source": 3}]}', encoding="utf-8")
    assert [chapter.title for chapter in read_progress(book).chapters] == [
        "00-glance",
        "1 · Squares < pixels",
        "02-embedding",
    ]
    assert ">1 · Squares &lt; pixels</th>" in board_html(read_progress(book))


def test_a_chapter_with_a_damaged_sheet_or_none_is_passed_over(book):
    (book / "02-embedding" / "exercises.json").write_text("{")
    (book / "notes").mkdir()
    assert [chapter.name for chapter in read_progress(book).chapters] == ["00-glance", "01-grid"]


def test_check_notes_right_answers_and_no_others(course, monkeypatch):
    monkeypatch.chdir(course.released / TOY)
    with pytest.raises(CheckFailed):
        check("tokens", 4)
    assert not (course.released / FILE_NAME).exists()
    check("tokens", 16)
    check("remedy", 2)
    assert solved(course.released) == {TOY: {"tokens", "remedy"}}


def test_grading_notes_nothing_even_where_a_learner_calls_check_once_more(course):
    notebook = nbformat.read(course.released / TOY / f"{TOY}.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell('from autograde import check\n\ncheck("tokens", 16)'))
    folder = course.submitted / "ada" / TOY
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{TOY}.ipynb")
    assert [graded.failure for graded in grade(course, TOY, ["ada"])] == [""]
    assert list(course.root.rglob(FILE_NAME)) == []


def test_the_button_asks_before_it_forgets(book):
    note("count")
    note("cut")
    board = Board(book)
    assert board.question.layout.display == "none" and not board.reset.disabled
    board.reset.click()
    assert "Forget all 2 ticks? What you wrote in the notebooks stays." in board.answer.value
    assert (board.question.layout.display, board.reset.layout.display) == (None, "none")
    board.keep.click()
    assert (book / FILE_NAME).exists() and board.question.layout.display == "none"
    board.reset.click()
    board.sure.click()
    assert not (book / FILE_NAME).exists()
    assert board.reset.disabled and "0 of 9 exercises" in board.table.value


def test_where_nothing_can_be_forgotten_the_page_says_so(book):
    board = Board(book)
    (book / FILE_NAME).mkdir()
    board.sure.click()
    assert "my-progress.txt cannot be removed" in board.answer.value


def test_without_a_kernel_the_table_is_left(book):
    note("count")
    data = Board(book)._repr_mimebundle_()
    assert data["text/plain"] == "1 of 9 exercises have their tick; 0 of 3 chapters are done."
    assert "01-grid" in data["text/html"] and "1 of 4" in data["text/html"]


HEART = ["01-grid", "02-embedding", "03-positions", "04-encoder", "05-head"]


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ([], []),
        ([("1", "00-glance", "first-tick")], ["First tick"]),
        ([("1", "01-grid", "cut")], ["First tick", "Own code"]),
        ([(str(day), "01-grid", "count") for day in (1, 2, 3)], ["First tick", "Came back"]),
        (
            [("1", "01-grid" if exercise == "cut" else "02-embedding", exercise) for exercise in KINDS],
            ["First tick", "Own code", "All kinds"],
        ),
        ([("1", "01-grid", e) for e in KINDS], ["First tick", "Own code", "All kinds", "A whole chapter"]),
        ([("1", chapter, "cut") for chapter in HEART[:4]], ["First tick", "Own code"]),
        ([("1", chapter, "cut") for chapter in HEART], ["First tick", "Own code", "A model of your own"]),
        (
            [("1", "00-glance", "first-tick"), *(("1", chapter, e) for chapter in HEART for e in KINDS)],
            [name for name in ACHIEVEMENTS if name != "Came back"],
        ),
    ],
)
def test_achievements_are_earned_by_what_they_say(book, ticks, expected):
    for name in HEART[2:]:
        add_chapter(book, name)
    lines = [f"2026-01-0{day}\t{chapter}\t{exercise}\n" for day, chapter, exercise in ticks]
    (book / FILE_NAME).write_text("".join(lines))
    progress = read_progress(book)
    assert earned(progress) == expected
    assert f"{len(expected)} of {len(ACHIEVEMENTS)}" in board_html(progress)


def test_a_folder_without_chapters_has_no_progress(tmp_path):
    assert earned(read_progress(tmp_path)) == []
    assert "0 of 0 exercises" in board_html(read_progress(tmp_path))


def test_check_waits_neither_for_torch_nor_for_widgets():
    code = "import sys, autograde.learner.check; sys.exit(bool({'torch', 'ipywidgets'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
