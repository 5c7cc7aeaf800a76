"""A class that waits says for what: which students, at which workers, since when."""

import re
import threading

import pytest

from autograde.cli import main
from autograde.course.grading import grade
from autograde.course.simulate import simulate
from autograde.engine.watch import Watch
from tests.autograde.conftest import TOY

WORKER = r"worker 0 \(tcp://.*, last heard of \d+ s ago\)"


@pytest.mark.parametrize(("workers", "place"), [(0, "this process"), (1, WORKER)])
def test_where_nothing_arrives_it_says_who_is_waited_for_and_what_is_being_done(course, door, workers, place):
    said = []

    def say(text):
        said.append(text)
        if "in _mark_value" in text:  # the line that waits, in a stack
            door.touch()

    results = list(grade(course, TOY, [], workers=workers, watch=Watch(0.5, say, verbose=True)))
    assert [result.points for result in results] == [9, 9]
    told = next(text for text in said if "in _mark_value" in text)
    who = rf"  student-001, student-002, for \d+ s, at {place}\n"
    assert re.match(rf"(?s)nothing has arrived for \d+ s; waiting for\n{who} .*, in _mark_value\b", told)


def test_the_command_says_it_without_the_stacks_unless_they_are_asked_for(course, door, monkeypatch, capsys):
    monkeypatch.setattr("autograde.commands.grade.SILENCE", 0.2)
    threading.Timer(3, door.touch).start()
    assert main(["grade", "--jobs", "0"]) == 0
    said = capsys.readouterr().err
    assert re.search(r"student-001, student-002, for \d+ s, at this process\n", said)
    assert "in _mark_value" not in said
    door.unlink()
    threading.Timer(3, door.touch).start()
    assert main(["grade", "--jobs", "0", "--regrade", "--verbose"]) == 0
    assert "in _mark_value" in capsys.readouterr().err


def test_where_things_arrive_it_says_nothing(course, capsys):
    simulate(course, TOY, 1)
    said = []
    assert len(list(grade(course, TOY, [], watch=Watch(300, said.append)))) == 1
    assert said == []
