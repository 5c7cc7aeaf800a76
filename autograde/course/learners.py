"""One page for each learner, for the teacher: progress over the chapters, lateness, notes; and how pages are made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from autograde.authoring.files import write_whole
from autograde.course.lateness import span
from autograde.course.marks import Marks

LEARNERS = "learners"  # the folder of the pages, beside report.html
_TEMPLATES = ("base.html", "report.html", "learner.html")


def render(name: str, page: dict[str, Any]) -> str:
    """One of the report's pages; everything in it is escaped."""
    texts = {one: resources.files("autograde.course").joinpath(one).read_text(encoding="utf-8") for one in _TEMPLATES}
    made = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=DictLoader(texts), undefined=StrictUndefined
    )
    return made.get_template(name).render(page, colour=_colour, address=address, late=late)


def address(student: str) -> str:
    """The address of a learner's page, relative to report.html: it shows nothing of the id."""
    return f"{LEARNERS}/{hashlib.sha256(student.encode()).hexdigest()[:16]}.html"


def late(marks: Marks) -> str:
    """For people: `2 days late`; "" where it came in time."""
    return f"{span(timedelta(seconds=marks.seconds_late))} late" if marks.is_late else ""


def write_learners(folder: Path, chapters: Sequence[str], results: Sequence[Marks]) -> None:
    """Write a page for everybody who handed something in; pages of others go."""
    folder.mkdir(parents=True, exist_ok=True)
    theirs: dict[str, dict[str, Marks]] = {}
    for marks in results:
        theirs.setdefault(marks.student, {})[marks.chapter] = marks
    for student, by_chapter in theirs.items():
        rows = [(chapter, by_chapter.get(chapter)) for chapter in chapters]
        page = render("learner.html", {"student": student, "rows": rows, "results": list(by_chapter.values())})
        write_whole(folder.parent / address(student), page.encode())
    for path in set(folder.glob("*.html")) - {folder.parent / address(student) for student in theirs}:
        path.unlink()


def _colour(share: float) -> str:
    """From orange over white to blue, which colour-blind people can distinguish, too."""
    share = min(1.0, max(0.0, share))
    strength = abs(share - 0.5) * 2
    red, green, blue = (38, 122, 186) if share > 0.5 else (213, 94, 0)
    mixed = (round(255 + (channel - 255) * strength * 0.55) for channel in (red, green, blue))
    return "rgb({}, {}, {})".format(*mixed)
