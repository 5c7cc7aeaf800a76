"""`autograde report`: the class at a glance, exercise by exercise, as one page and as a table for the terminal."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment

from autograde.course.course import Course
from autograde.course.grading import Graded, read_graded
from autograde.exercises.verdict import Status


@dataclass(frozen=True)
class ExerciseSummary:
    """How a class did on one exercise."""

    id: str
    title: str
    out_of: float  # points
    share: float  # of the points, on average over the submissions, 0 to 1
    slips: list[tuple[str, int]]  # the most common named slips, with how many made them
    unanswered: int  # blank, or lost


def gather(course: Course, chapter: str) -> list[Graded]:
    """Every graded submission of `chapter`."""
    students = course.submissions(chapter)
    return [graded for student in students if (graded := read_graded(course, chapter, student)) is not None]


def summarise(course: Course, chapter: str, results: Sequence[Graded]) -> list[ExerciseSummary]:
    summaries = []
    for exercise in course.key(chapter).exercises.values():
        verdicts = [verdict for graded in results for verdict in graded.verdicts if verdict["exercise"] == exercise.id]
        slips = Counter(verdict["slip"] for verdict in verdicts if verdict["slip"])
        earned = sum(verdict["points"] for verdict in verdicts)
        share = earned / (exercise.points * len(verdicts)) if verdicts else 0.0
        unanswered = sum(verdict["status"] in (Status.BLANK, Status.LOST) for verdict in verdicts)
        title = exercise.title
        summaries.append(ExerciseSummary(exercise.id, title, exercise.points, share, slips.most_common(3), unanswered))
    return summaries


def spread(results: Sequence[Graded]) -> list[int]:
    """How many submissions earned 0 to 10 % of the points, 10 to 20 %, and so on up to 100 %."""
    counts = [0] * 10
    for graded in results:
        if graded.out_of:
            counts[min(9, int(10 * graded.points / graded.out_of))] += 1
    return counts


def write_report(course: Course, chapters: list[str]) -> Path:
    """Write report.html and marks.csv beside the gradebook; returns the page's path."""
    pages, results = [], list[Graded]()
    for chapter in chapters:
        group = gather(course, chapter)
        exercises = summarise(course, chapter, group)
        pages.append({"name": chapter, "results": group, "exercises": exercises, "spread": spread(group)})
        results += group
    template = resources.files("autograde.course").joinpath("report.html").read_text(encoding="utf-8")
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template)
    folder = course.submitted.parent
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.html"
    path.write_text(page.render(chapters=pages, colour=_colour), encoding="utf-8")
    _write_marks(folder / "marks.csv", results)
    return path


def table(results: Sequence[Graded]) -> str:
    """One line a student, for the terminal."""
    width = max([7, *(len(graded.student) for graded in results)])
    lines = [f"{'student':<{width}}  {'points':>11}  exercises"]
    for graded in results:
        if graded.failure:
            lines.append(f"{graded.student:<{width}}  {'not graded':>11}  {graded.failure}")
            continue
        signs = "".join(_sign(verdict["status"]) for verdict in graded.verdicts)
        note = f"  {graded.notes[0]}" if graded.notes else ""
        lines.append(f"{graded.student:<{width}}  {graded.points:>5g}/{graded.out_of:<5g}  {signs}{note}")
    lines.append("✓ right  ◐ partly  ✗ wrong  … not answered  ! no answer arrived")
    return "\n".join(lines)


def _sign(status: str) -> str:
    return {Status.RIGHT: "✓", Status.PARTLY: "◐", Status.BLANK: "…", Status.LOST: "!"}.get(Status(status), "✗")


def _colour(share: float) -> str:
    """From orange over white to blue: told apart by colour-blind eyes too."""
    strength = abs(share - 0.5) * 2
    red, green, blue = (38, 122, 186) if share > 0.5 else (213, 94, 0)
    mixed = (round(255 + (channel - 255) * strength * 0.55) for channel in (red, green, blue))
    return "rgb({}, {}, {})".format(*mixed)


def _write_marks(path: Path, results: Sequence[Graded]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["student", "chapter", "exercise", "points", "out_of", "status", "slip", "message", "notes"])
        for graded in results:
            for verdict in graded.verdicts:
                row = [verdict[name] for name in ("exercise", "points", "out_of", "status", "slip", "message")]
                cells = (graded.student, graded.chapter, *row, " ".join(graded.notes))
                writer.writerow([_harmless(cell) for cell in cells])


def _harmless(cell: object) -> object:
    """Text that a spreadsheet would run as a formula is kept as text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t")) else cell
