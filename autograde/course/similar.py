"""Code answers whose text is alike: a hint for the teacher, and no proof of anything.

Compared are the words of the programs: spaces, comments and line breaks do not count, names do.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from nbformat.v4 import reads_json
from nbgrader import utils

from autograde.course.course import Course
from autograde.engine.cells import grade_id

LEAST_WORDS = 40  # of a program: shorter ones are alike by chance
LEAST = 0.9  # the share of words that two have in common, in one order
MOST_ROWS = 30
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}

Words = tuple[str, ...]


@dataclass(frozen=True)
class Alike:
    """Answers to one exercise whose text is alike."""

    chapter: str
    answer: str  # grade id of the answer's cell
    students: tuple[str, ...]
    share: float  # 0 to 1: twice the words in common, by the words of both


def alike(course: Course, chapter: str, students: list[str]) -> list[Alike]:
    """The students whose code is alike, the most alike first."""
    answers: dict[str, dict[Words, list[str]]] = {}
    for student in students:
        for name, words in _answers(course, chapter, student):
            answers.setdefault(name, {}).setdefault(words, []).append(student)
    found = []
    for name, groups in answers.items():
        found += [Alike(chapter, name, tuple(group), 1.0) for group in groups.values() if len(group) > 1]
        matcher = SequenceMatcher[str](autojunk=False)
        texts = list(groups)
        for place, words in enumerate(texts):
            matcher.set_seq2(words)
            for other in texts[:place]:
                matcher.set_seq1(other)
                quick = (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio)  # each is an upper bound
                if all(share() >= LEAST for share in quick):
                    found.append(Alike(chapter, name, (*groups[other], *groups[words]), matcher.ratio()))
    return sorted(found, key=lambda one: (-one.share, one.answer, one.students))


def _answers(course: Course, chapter: str, student: str) -> Iterator[tuple[str, Words]]:
    """A student's own code answers, by grade id."""
    for name in course.seal(chapter).notebooks:
        released = {grade_id(cell): cell.source for cell in course.template(chapter, name).cells}
        try:
            text = (course.autograded / student / chapter / f"{name}.ipynb").read_text(encoding="utf-8")
            cells = reads_json(text).cells
        except (OSError, ValueError):
            continue
        for cell in cells:
            if cell.cell_type == "code" and utils.is_solution(cell) and cell.source != released.get(grade_id(cell)):
                words = tuple(_words(cell.source))
                if len(words) >= LEAST_WORDS:
                    yield grade_id(cell), words


def _words(source: str) -> Iterator[str]:
    """The words of a program; of what is not Python, those in front of the error, and then its lines."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type not in _SILENT:
                yield token.string
    except (tokenize.TokenError, SyntaxError):
        yield from source.split()
