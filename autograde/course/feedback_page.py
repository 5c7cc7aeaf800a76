"""A feedback page: every exercise first, the chapter folded away. One exporter, for nbgrader's command, formgrader's
button and `autograde feedback` alike (see nbgrader_config.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources as package_data
from typing import Any

from jinja2 import Environment, Template
from markupsafe import Markup
from nbconvert.exporters import Exporter
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import GetGrades
from traitlets import Bool, default

from autograde.authoring.key import Key
from autograde.course.cell_html import CODE_STYLE, cell_html, code, markdown
from autograde.course.course import Course
from autograde.course.lateness import lateness
from autograde.course.rows import BY_HAND, NO_RESPONSE, read_result, sign
from autograde.course.settings import Release, read_settings
from autograde.engine.nbgrader_tests import is_test
from autograde.engine.repair import ABOUT, OURS
from autograde.engine.verdict_cell import message_html
from autograde.exercises.verdict import Status

Resources = dict[str, Any]
WORDS = {
    Status.RIGHT: "right", Status.PARTLY: "partly right", Status.BLANK: "not answered",
    Status.LOST: "no answer arrived", BY_HAND: "marked by your teacher",
}  # fmt: skip


class GetMarks(GetGrades):
    """GetGrades that also gets what a teacher marked, and what still waits for one."""

    def _get_score(self, cell: NotebookNode, resources: Resources) -> None:
        about = cell.metadata.nbgrader
        grade = self.gradebook.find_grade(about.grade_id, self.notebook_id, self.assignment_id, self.student_id)
        about.score, about.points, about.extra = grade.score, grade.max_score, grade.extra_credit or 0.0
        about.by_hand, about.waits = grade.manual_score is not None, bool(grade.needs_manual_grade)


@dataclass
class Item:
    """What a page says of one graded cell."""

    name: str  # grade id, and the anchor of its cell
    title: str
    points: float
    out_of: float
    status: str
    message: Markup | str
    why: Markup | str = ""  # the way to the answer
    answers: list[Markup] = field(default_factory=list)
    comments: list[Markup] = field(default_factory=list)
    extra: float = 0.0  # credit that a teacher added, part of the points
    waits: bool = False  # for a mark by hand

    @property
    def sign(self) -> str:
        return sign(self.status)

    @property
    def word(self) -> str:
        return WORDS.get(self.status, "not right")


class FeedbackExporter(Exporter):
    """A graded notebook as the page that its learner gets."""

    file_extension = ".html"
    output_mimetype = "text/html"
    why = Bool(
        help="whether a page gives the way to the answer where the answer was not right. By default as released: only "
        "with c.Release.feedback = 'full', which hands worked solutions out"
    ).tag(config=True)

    @default("why")
    def _why_default(self) -> bool:
        return read_settings(Course.find().config, Release).feedback == "full"

    def from_notebook_node(  # type: ignore[override]  # as every exporter but nbconvert's base class
        self, nb: NotebookNode, resources: Resources | None = None, **kw: Any
    ) -> tuple[str, Resources]:
        nb, resources = super().from_notebook_node(nb, resources, **kw)
        names = resources["nbgrader"]
        course, chapter, student = Course.find(), names["assignment"], names["student"]
        language = nb.metadata.get("kernelspec", {}).get("language", "python")
        about = nb.metadata.get("autograde", {})
        failure = about.get("failure", "")
        gives_way = self.why and not failure and course.has_key(chapter)  # what failed is to be handed in again
        items = list(_items(nb, _key(course, chapter, student) if gives_way else None, language))
        _leave_out_old_points(nb)
        if failure:  # the notebook is the release
            items = [replace(item, answers=[]) for item in items]
        page = _template().render(
            names=names,
            items=items,
            points=max(0.0, names["score"]),
            raw=names["score"] + names["late_penalty"],
            lateness=lateness(course, student, chapter),
            failure=failure,
            notes=about.get("notes", []),
            cells=[
                (cell.id, Markup(cell_html(cell, language)), cell.metadata.get(ABOUT, {}).get("skip", ""))
                for cell in nb.cells
                if cell.get("id") not in OURS
            ],
            code_style=Markup(CODE_STYLE),
        )
        return page, resources


@cache
def _template() -> Template:
    text = package_data.files("autograde.course").joinpath("feedback.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(text)


def _key(course: Course, chapter: str, student: str) -> Key:
    """The key with the learner's own numbers."""
    key, name = course.key(chapter), course.full_name(chapter, student)[0]
    return key.of(name) if name else key


def _items(nb: NotebookNode, key: Key | None, language: str) -> Iterator[Item]:
    """Every graded cell, with the answers that stand between it and the one before."""
    heading, seen, answers = "", set[str](), list[NotebookNode]()
    for cell in nb.cells:
        if cell.cell_type == "markdown" and not utils.is_solution(cell) and not cell.id.startswith("learner-"):
            heading = _heading(cell.source) or heading
        if utils.is_solution(cell) or utils.is_task(cell):
            answers.append(cell)
        if (result := read_result(cell)) is None:
            continue
        grading, name = cell.metadata.nbgrader, cell.metadata.nbgrader.grade_id
        by_hand = grading.by_hand or result["status"] == BY_HAND
        title = f"{heading} ({name})" if heading in seen else heading or name
        seen.add(heading)
        item = Item(
            name, title, grading.score, grading.points, BY_HAND if by_hand else result["status"],
            Markup(message_html(result["message"])), extra=grading.extra, waits=grading.waits,
        )  # fmt: skip
        if key and name in key.exercises and result["status"] != Status.RIGHT:
            item.why = Markup(markdown(key[name].fill(key[name].why)))
        if instead := cell.metadata.get(ABOUT, {}).get("instead"):
            item.answers.append(Markup(code(instead, language)))
        for answer in answers:
            if result["status"] != Status.BLANK and not utils.is_task(answer):
                item.answers.append(Markup(_answer(answer, language)))
            comment = answer.metadata.nbgrader.get("comment")
            if comment and not (comment == NO_RESPONSE and result["status"] == Status.BLANK):  # which is said already
                item.comments.append(Markup(markdown(comment)))
        answers = []
        yield item


def _leave_out_old_points(nb: NotebookNode) -> None:
    """Where a teacher gave other points than a test's own number says, that and its verdict are left out."""
    for cell in filter(is_test, nb.cells):
        if (result := read_result(cell)) and result["points"] != cell.metadata.nbgrader.score:
            cell.outputs = [one for one in cell.outputs if not one.get("data")]


def _heading(source: str) -> str:
    """The last heading of a text, which is the one above what follows; "" where it has none."""
    prose = re.sub(r"^(```|~~~).*?^\1", "", source, flags=re.MULTILINE | re.DOTALL)
    return ["", *re.findall(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", prose, re.MULTILINE)][-1]


def _answer(cell: NotebookNode, language: str) -> str:
    if cell.cell_type == "code":
        return code(cell.source, language)
    return markdown(cell.source, cell.get("attachments"))
