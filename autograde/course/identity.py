"""Which folders are students, and whose numbers a submission is marked with.

Where everyone has numbers of their own, they come from the name that the learner signed in with, and that need not be
the name of the folder that was handed in: a login, a matriculation number, "Ada Lovelace" from a learning platform.
The notebook carries the name, in an output of `sign_in` and in its call, and it is marked by that name unless the name
is somebody else's. So a typing error costs nothing, and signing in as a neighbour, whose answers could then be copied,
earns nothing. Where several sign in with one name that belongs to nobody, nobody knows who copied: each is marked by
it, and a teacher is asked to look. Wherever the two names differ, the marks say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autograde.answers.names import SIGNED_IN, clean, normal, words
from autograde.engine.reading import Unreadable, whole

_CALL = re.compile(
    r"""^(?:.*;)?[ \t]*(?:autograde\.)?sign_in\([ \t]*(?:student[ \t]*=[ \t]*)?(["'])([^"'\n]{1,200}|.{1,200}?)\1""",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Person:
    """A student as the gradebook knows them."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""

    def answers_to(self, name: str) -> bool:
        """Whether `name` is certainly theirs: their id, e-mail address or full name, however it is written."""
        mail = normal(self.email)
        full = words(f"{self.first_name} {self.last_name}") if self.first_name and self.last_name else ""
        spelled = {normal(self.id), mail, mail.partition("@")[0]} - {""}
        return normal(name) in spelled or words(name) in {words(self.id), full} - {""}


@dataclass(frozen=True)
class Marked:
    """Whose numbers a submission is marked with, and what there is to say about it."""

    name: str
    remark: str = ""  # for the learner and the teacher
    doubt: str = ""  # for the teacher alone


def is_student(folder: str) -> bool:
    """Whether a folder among the submissions is a student's, and no debris of an unpacked archive or of an editor.

    >>> [name for name in ("ada", "__MACOSX", ".ipynb_checkpoints", "lost+found", "-o'neil [2]") if is_student(name)]
    ['ada', "-o'neil [2]"]
    """
    return not folder.startswith((".", "__")) and folder not in ("lost+found", "$RECYCLE.BIN")


def signed_in(cells: Iterable[Any]) -> str:
    """The name that a submitted notebook's numbers come from: of the last `sign_in` in it; empty where nobody did.

    An output of `sign_in` counts before the text of its call: it holds the name of a hub, too.
    """
    shown = called = ""
    for cell in cells:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        for output in cell.get("outputs") or []:
            metadata = output.get("metadata") if isinstance(output, dict) else None
            name = metadata.get(SIGNED_IN) if isinstance(metadata, dict) else None
            shown = _readable(name) or shown
        source = cell.get("source")
        text = "".join(map(str, source)) if isinstance(source, list) else source
        if isinstance(text, str) and "sign_in" in text:
            for call in _CALL.finditer(text):
                called = _readable(call[2]) or called
    return shown or called


def cells_of(submitted: bytes) -> list[Any]:
    """The cells of a submitted file, whatever it holds; none where it cannot be read."""
    try:
        document = whole(submitted)
    except Unreadable:
        return []
    cells = document.get("cells") if isinstance(document, dict) else None
    return cells if isinstance(cells, list) else []


def marked_as(student: Person, claim: str, others: Iterable[Person], claims: Mapping[str, str]) -> Marked:
    """Whose numbers the submission of `student`, signed in as `claim`, is marked with.

    others: everybody else in the course; claims: the names that they signed in with for this chapter, by their id.
    """
    if not claim or normal(claim) == normal(student.id):
        return Marked(student.id)
    shown = claim.replace("`", "'")  # as code: the name is the learner's, and does nothing on a page
    statement = f"The submission of {student.id} is signed in as `{shown}`"
    for other in others:
        if normal(other.id) == normal(claim) or (other.answers_to(claim) and not student.answers_to(claim)):
            remark = f"{statement}, which is somebody else: it was marked with the numbers of {student.id}."
            return Marked(student.id, remark, f"it is signed in as `{shown}`, who is {other.id}")
    rivals = sorted(name for name, claimed in claims.items() if normal(claimed) == normal(claim) and name != student.id)
    doubt = f"{', '.join(rivals)} signed in as `{shown}`, too" if rivals and not student.answers_to(claim) else ""
    return Marked(claim, f"{statement}: it was marked with the numbers of that name.", doubt)


def _readable(name: Any) -> str:
    """A name that can be one; the dots of the release are none."""
    if not isinstance(name, str) or len(name) > 200:
        return ""
    text = clean(name.encode("utf-8", "replace").decode())
    return "" if text == "..." else text
