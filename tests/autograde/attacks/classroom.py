"""A course that every attack is handed in to, and what is left of it when it has been graded."""

import hashlib
import re
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from autograde.course.course import Course
from autograde.course.grading import Graded
from autograde.engine.jobs import Job
from tests.autograde.attacks.answers import MESSAGES, VALUES
from tests.autograde.attacks.base import Attacks
from tests.autograde.attacks.channels import ON_THE_CHANNELS
from tests.autograde.attacks.files import BYTES, FOLDER
from tests.autograde.attacks.machine import ON_THE_MACHINE
from tests.autograde.attacks.marks import ON_THE_MARKS
from tests.autograde.attacks.notebooks import FORM
from tests.autograde.conftest import TOY

GROUPS: dict[str, Attacks] = {
    "marks": ON_THE_MARKS,
    "machine": ON_THE_MACHINE,
    "values": VALUES,
    "messages": MESSAGES,
    "channels": ON_THE_CHANNELS,
    "form": FORM,
    "bytes": BYTES,
    "folder": FOLDER,
}


ATTACKS = {f"{group}: {name}": attack for group, attacks in GROUPS.items() for name, attack in attacks.items()}


BRIEF = 3  # seconds for one cell of those that end only when they are stopped


def student(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name)


ENDLESS = {student(name) for name, attack in ATTACKS.items() if attack.endless}


class Attacked(Course):
    """Its limits are far from what an attack needs that ends of itself, on however busy a machine."""

    def job(self, chapter: str, student: str, notebook: str = "") -> Job:
        job = super().job(chapter, student, notebook)
        return replace(job, limits=replace(job.limits, cell_seconds=BRIEF)) if student in ENDLESS else job


@dataclass
class Class:
    """What is left when a class has been graded."""

    course: Course
    results: dict[str, Graded]
    rows: dict[tuple[str, str], float]  # marks in nbgrader's database, by student and exercise
    before: dict[Path, str]  # what lay in the course before, by its content
    around: list[str]  # names in the course's folder before
    connections: list[str]  # that reached a listener on this machine


def accepted(listener: socket.socket) -> list[str]:
    try:
        return [str(listener.accept()[1])]
    except BlockingIOError:
        return []


def hand_in(course: Course, name: str, attack, released) -> None:
    folder = course.submitted / name / TOY
    folder.mkdir(parents=True)
    attack(folder, released)


def fingerprints(course: Course) -> dict[Path, str]:
    """Every file of the course that grading only reads, by its content."""
    kept = (course.solutions, course.released, course.submitted, course.root / "gradebook" / "canary.txt")
    files = [path for place in kept for path in (place.rglob("*") if place.is_dir() else [place])]
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 2**30
    }
