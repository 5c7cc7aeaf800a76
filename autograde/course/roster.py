"""The class list of a learning platform: who a student id is there.

Read as the platforms write it: Canvas' gradebook export, Moodle's participants, grade export or grading worksheet,
Blackboard's and ILIAS' lists, nbgrader's own `id, first_name, last_name, email`, or any table with such headings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

from autograde.answers.names import normal, words
from autograde.course.course import CourseError
from autograde.course.tables import read_csv

_HEADINGS = {
    "id": ("id", "student_id"),
    "login": ("sis login id", "username", "user name", "login", "login name"),
    "sis_id": ("sis user id", "id number", "idnumber", "matriculation number", "student id"),
    "lms_id": ("identifier", "lms_user_id"),
    "name": ("full name", "name", "display name"),
    "first_name": ("first name", "first_name", "firstname", "given name"),
    "last_name": ("last name", "last_name", "lastname", "surname", "family name"),
    "email": ("email address", "email", "e-mail", "e-mail address", "mail"),
    "section": ("section", "group", "groups"),
}
_CANVAS = {"student": "name", "id": "lms_id", "sis user id": "sis_id", "sis login id": "login", "section": "section"}


@dataclass(frozen=True)
class Learner:
    """One row of a class list; what the list does not say is empty."""

    id: str = ""  # as the gradebook has it
    login: str = ""
    sis_id: str = ""  # Canvas' SIS user id, Moodle's id number
    lms_id: str = ""  # the platform's own number
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    section: str = ""

    @property
    def main_id(self) -> str:
        """What a submission is filed under where nothing is there yet."""
        return self.id or self.login or self.sis_id or self.lms_id or self.email or self.full_name

    @property
    def full_name(self) -> str:
        return self.name or f"{self.first_name} {self.last_name}".strip()

    @property
    def sortable_name(self) -> str:
        """`Lovelace, Ada`, as Canvas sorts; what is there where that is not known."""
        both = self.first_name and self.last_name
        return f"{self.last_name}, {self.first_name}" if both else self.full_name or self.main_id

    def keys(self) -> list[set[str]]:
        """What the learner is known by, the surest first."""
        ids = {normal(key) for key in (self.id, self.login, self.sis_id, self.lms_id, self.email)}
        ids |= {key.removeprefix("participant ") for key in ids}  # Moodle's worksheet
        names = {words(self.full_name), words(f"{self.first_name} {self.last_name}")}
        return [ids - {""}, {normal(self.email).partition("@")[0]} - {""}, names - {""}]


@dataclass(frozen=True)
class Roster:
    learners: tuple[Learner, ...]
    headings: tuple[str, ...] = ()  # of the file

    @cached_property
    def _places(self) -> list[dict[str, list[int]]]:
        """Where the learners stand, by what they are known by."""
        ranks: list[dict[str, list[int]]] = [{}, {}, {}]
        for place, learner in enumerate(self.learners):
            for rank, keys in zip(ranks, learner.keys(), strict=True):
                for key in keys:
                    rank.setdefault(key, []).append(place)
        return ranks

    def find(self, student: Learner) -> int | None:
        """Where a student is in the list, by id, e-mail address or name; None where they do not.

        Raises:
            CourseError: several could be meant.
        """
        ids, mailboxes, names = self._places
        mail, full = normal(student.email), words(student.full_name)
        tries = ((ids, normal(student.id)), (ids, mail), (mailboxes, normal(student.id)), (names, words(student.id)))
        for known, spelled in (*tries, (names, full)):
            found = known.get(spelled, [])
            if len(found) > 1:
                meant = [self.learners[place] for place in found[:3]]
                both = " and ".join(f"{learner.full_name or '?'} ({learner.main_id})" for learner in meant)
                raise CourseError(f"{student.id} could be {both} in the roster: give one of them another id there")
            if found:
                return found[0]
        return None

    def numbered(self, number: str) -> int | None:
        """Where the learner with the platform's own number stands."""
        numbers = [learner.lms_id.lower().removeprefix("participant ") for learner in self.learners]
        return numbers.index(number) if number and numbers.count(number) == 1 else None

    def heading(self, chapter: str) -> str:
        """What the platform calls the chapter: `01-toy (4711)` in Canvas, `Assignment: 01-toy (Real)` in Moodle."""
        column = re.compile(rf"(?:[^:]+: )?{re.escape(chapter)}(?: \([^)]*\))?")
        return next((heading for heading in self.headings if column.fullmatch(heading.strip())), chapter)


def read_roster(path: Path) -> Roster:
    """The class list in a file.

    Raises:
        CourseError: there is none, or no column says who is who.
    """
    try:
        rows = read_csv(path.read_bytes())
    except OSError as error:
        raise CourseError(f"the roster {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CourseError(f"the roster {path} is no table ({error}): export it as CSV") from None
    columns = _columns(rows[0]) if rows else {}
    if not columns.keys() & {"id", "login", "sis_id", "lms_id", "email"}:
        raise CourseError(
            f"the roster {path} has no column that says who is who: name one of its columns id, username, ID number, "
            "SIS Login ID or Email address"
        )
    learners = [
        Learner(**{field: row[place].strip() for field, place in columns.items() if place < len(row)})
        for row in rows[1:]
        if "points possible" not in row[0].lower()  # Canvas' second row
    ]
    return Roster(tuple(_with_names(one) for one in learners if one.main_id), tuple(rows[0]))


def _columns(headings: Iterable[str]) -> dict[str, int]:
    """Where each field stands."""
    places: dict[str, int] = {}
    for place, heading in enumerate(headings):
        places.setdefault(normal(heading), place)
    if {"student", "id", "section"} <= places.keys():
        return {field: places[heading] for heading, field in _CANVAS.items() if heading in places}
    found: dict[str, int] = {}
    for field in fields(Learner):
        for heading in _HEADINGS[field.name]:
            if heading in places and places[heading] not in found.values():
                found[field.name] = places[heading]
                break
    return found


def _with_names(learner: Learner) -> Learner:
    """First and last name out of `Lovelace, Ada`."""
    last, comma, first = learner.name.partition(", ")
    if comma and not learner.last_name:
        return replace(learner, first_name=first, last_name=last)
    return learner
