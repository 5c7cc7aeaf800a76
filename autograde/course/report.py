"""`autograde report`: the class at a glance, exercise by exercise, as one page and as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from autograde.authoring.files import write_whole
from autograde.course.course import Course
from autograde.course.file_errors import require_writable
from autograde.course.learners import LEARNERS, render, write_learners
from autograde.course.marks import Marks, read_marks, spread, summarise
from autograde.course.next_steps import queue, topics, who_needs_help
from autograde.course.rows import sign
from autograde.course.similar import MOST_ROWS, alike
from autograde.course.tables import as_csv


def read_chapter(course: Course, chapter: str) -> dict[str, Any]:
    """What the report says of one chapter; its `results` are everybody's marks.

    Raises:
        CourseError: the chapter's sealed release is damaged or gone.
    """
    group = read_marks(course, chapter)
    exercises = summarise(course, chapter, group)
    same = alike(course, chapter, [marks.student for marks in group]) if group else []
    return {
        "name": chapter, "results": group, "exercises": exercises, "spread": spread(group),
        "topics": topics(chapter, exercises, group), "alike": same[:MOST_ROWS], "more_alike": len(same[MOST_ROWS:]),
        "queue": queue(course, chapter, group) if group else [],
    }  # fmt: skip


def write_report(course: Course, read: Sequence[dict[str, Any]]) -> Path:
    """Write report.html, a page for each learner in learners/, and marks.csv, all next to the gradebook.

    Of the chapters that `read_chapter` read; returns the path of report.html.
    """
    chapters = [chapter["name"] for chapter in read]
    results = [marks for chapter in read for marks in chapter["results"]]
    folder = course.submitted.parent
    require_writable(folder, folder / LEARNERS)
    folder.mkdir(parents=True, exist_ok=True)
    write_learners(folder / LEARNERS, chapters, results)
    path = folder / "report.html"
    page = {"chapters": read, "help": who_needs_help(results, chapters), "count": len(results)}
    write_whole(path, render("report.html", page).encode())
    write_whole(folder / "marks.csv", as_csv(_marks_table(results)).encode())
    return path


def table(results: Sequence[Marks]) -> str:
    """One line for each student, for the terminal."""
    width = max([7, *(len(marks.student) for marks in results)])
    lines = [f"{'student':<{width}}  {'points':>11}  exercises"]
    for marks in results:
        if marks.failure:
            lines.append(f"{marks.student:<{width}}  {'not graded':>11}  {marks.failure}")
            continue
        signs = "".join(sign(verdict["status"]) for verdict in marks.verdicts)
        late = [f"late: {marks.raw:g} less {marks.penalty:g}"] if marks.penalty else ["late"] * marks.is_late
        remarks = "; ".join([*late, *(f"look at this one: {doubt}" for doubt in marks.look), *marks.notes[:1]])
        lines.append(f"{marks.student:<{width}}  {marks.points:>5g}/{marks.out_of:<5g}  {signs}  {remarks}".rstrip())
    lines.append("✓ right  ◐ partly  ✗ wrong  … not answered  ! no answer arrived  ✎ by hand")
    return "\n".join(lines)


_COLUMNS = ("exercise", "points", "out_of", "auto", "manual", "extra", "status", "misconception", "message")


def _marks_table(results: Sequence[Marks]) -> Iterator[list[object]]:
    """One row for each graded cell, and one for a late penalty: a submission's rows add up to its score."""
    yield ["student", "chapter", *_COLUMNS, "notes"]
    for marks in results:
        rows: list[list[object]] = [[verdict[name] for name in _COLUMNS] for verdict in marks.verdicts]
        if marks.points != marks.raw:
            rows.append(["late penalty", marks.points - marks.raw, 0, "", "", "", "late", "", ""])
        for row in rows:
            yield [marks.student, marks.chapter, *row, " ".join([*marks.look, *marks.notes])]
