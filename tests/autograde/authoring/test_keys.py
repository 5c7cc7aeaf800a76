"""Whatever a key declares holds: its answer is right, every misconception is named, every wrong function fails.

The tests run over every key of the book, so a new exercise is covered the moment it is declared.
"""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
import torch

from autograde.answers.outcomes import outcome, outcomes
from autograde.answers.serialize import pack
from autograde.answers.sheet import make_replies
from autograde.authoring.key import load_key
from autograde.exercises import Choice, Code, Exercise, Numeric, Plain, TrueFalse
from autograde.exercises.verdict import Status
from autograde.learner.examples import Wrong, try_examples

ROOT = Path(__file__).parents[3]
BOOK_FOLDERS = sorted(path.parent for path in ROOT.glob("solutions/*/key.py"))
FOLDERS = [*BOOK_FOLDERS, ROOT / "tests/autograde/course/01-toy"]
KEYS = [load_key(folder) for folder in FOLDERS]


def each(kind: type[Exercise]):
    exercises = [exercise for key in KEYS for exercise in key.exercises.values() if isinstance(exercise, kind)]
    names = [f"{key.chapter}/{e.id}" for key in KEYS for e in key.exercises.values() if isinstance(e, kind)]
    return pytest.mark.parametrize("exercise", exercises, ids=names)


def reply(exercise: Exercise, answer):
    """The verdict on an answer of the key itself, as if a learner had given it."""
    if isinstance(exercise, Code):
        return exercise.mark({"outcomes": exercise.run(answer)})
    return exercise.mark({"answer": pack(exercise.value(answer))})


@each(Exercise)
def test_the_answer_earns_full_points(exercise):
    answer = exercise.reference if isinstance(exercise, Code) else exercise.answer
    verdict = reply(exercise, answer)
    assert (verdict.status, verdict.points) == (Status.RIGHT, exercise.points)


@each(Exercise)
def test_the_dots_earn_nothing_and_say_so(exercise):
    verdict = exercise.mark({"answer": pack(...)})
    assert (verdict.status, verdict.points) == (Status.BLANK, 0)
    assert "not answered yet" in verdict.message


@each(Exercise)
def test_every_misconception_gets_its_own_message(exercise):
    for misconception in exercise.misconceptions:
        verdict = reply(exercise, misconception.answer)
        assert verdict.status in (Status.MISCONCEPTION, Status.PARTLY)
        assert verdict.points < exercise.points or exercise.points == 0  # practice gives none
        assert verdict.misconception == misconception.name
        assert verdict.message == exercise.fill(misconception.message)


@each(Exercise)
def test_misconceptions_have_different_names_and_messages(exercise):
    names = [misconception.name for misconception in exercise.misconceptions]
    messages = [misconception.message for misconception in exercise.misconceptions]
    assert len(set(names)) == len(names)
    assert len(set(messages)) == len(messages)


@each(Plain)
def test_no_two_misconceptions_coincide_with_each_other_or_the_answer(exercise):
    """Not even by one in the last place, where that is accepted."""
    values = [exercise.value(answer) for answer in (exercise.answer, *(w.answer for w in exercise.misconceptions))]
    assert not any(exercise.read(later) in exercise.accepted(earlier) for earlier, later in combinations(values, 2))


@each(Numeric)
def test_numbers_that_are_not_whole_say_to_how_many_places(exercise):
    assert exercise.decimals is not None or isinstance(exercise.right, int)


@each(Numeric)
def test_the_text_of_a_number_is_no_number(exercise):
    verdict = exercise.mark({"answer": str(exercise.value(exercise.answer))})
    assert verdict.status is Status.FORM
    assert "without quotes" in verdict.message


@each(Choice)
def test_a_number_outside_the_options_is_told(exercise):
    verdict = exercise.mark({"answer": len(exercise.options) + 1})
    assert verdict.status is Status.FORM


@each(Code)
def test_every_alternative_earns_full_points(exercise):
    for function in exercise.alternatives:
        assert reply(exercise, function).points == exercise.points


@each(Code)
def test_the_examples_reach_no_hidden_case(exercise):
    hidden = [arguments for _, arguments in exercise.cases]
    assert all(pack(arguments) not in hidden for arguments in exercise.examples)


@each(Code)
def test_a_function_that_always_raises_earns_nothing(exercise):
    def refuse(*arguments):
        raise ValueError("no")

    assert reply(exercise, refuse).points == 0


@each(Code)
def test_a_function_that_returns_nothing_earns_nothing(exercise):
    assert reply(exercise, lambda *arguments: None).points == 0


@each(Code)
def test_the_stub_is_told_from_a_wrong_function(exercise):
    assert reply(exercise, lambda *arguments: ...).status is Status.BLANK


@each(Code)
def test_the_reference_does_not_change_what_it_is_given(exercise):
    """In an example that it takes; one that it refuses is left out."""
    taken = (arguments for arguments in exercise.examples if "value" in outcome(exercise.reference, pack(arguments)))
    for arguments in taken:
        before = pack(arguments)
        exercise.reference(*arguments)
        assert pack(arguments) == before


@each(Exercise)
def test_prompts_are_filled_in(exercise):
    names = "|".join(map(re.escape, exercise.parameters)) or "$^"
    texts = [
        exercise.prompt,
        *(exercise.hints or ()),
        exercise.why,
        *(misconception.message for misconception in exercise.misconceptions),
    ]
    assert not any(re.search(rf"\{{({names})\}}", exercise.fill(text)) for text in texts)


@each(Exercise)
def test_everything_a_learner_reads_is_there(exercise):
    assert exercise.title and exercise.prompt
    assert exercise.difficulty in (1, 2, 3) and exercise.minutes >= 1


def test_a_misconception_is_known_before_the_refusal_is_written():
    cut_rows = KEYS[-1]["cut-rows"]
    verdict = reply(cut_rows, lambda images, patch: images.unflatten(-2, (-1, patch)))
    assert verdict.misconception == "left the rows behind the channels"


@each(Code)
def test_every_wrong_function_fails_an_example_and_gets_its_own_message(exercise):
    """As a learner meets it: `check` tries the examples that the notebook's sheet holds."""
    entry = {"salt": "s", "variable": exercise.variable, "hints": 1, "replies": make_replies("s", exercise.replies())}
    entry |= json.loads(json.dumps(exercise.entry()))
    for wrong in exercise.misconceptions:
        with pytest.raises(Wrong) as caught:
            try_examples(entry, wrong.answer)
        assert str(caught.value).endswith(exercise.fill(wrong.message)), wrong.name
    assert try_examples(entry, exercise.reference).endswith(exercise.fill(exercise.why))


@each(Code)
def test_a_result_rounded_to_four_decimals_gets_no_tick(exercise):
    """Where rounding changes a tensor."""

    def short(value):
        if isinstance(value, tuple):
            return tuple(map(short, value))
        return value.round(decimals=4) if isinstance(value, torch.Tensor) and value.is_floating_point() else value

    def rounding(*arguments):
        return short(exercise.reference(*arguments))

    changed = outcomes(rounding, exercise.packed_examples) != outcomes(exercise.reference, exercise.packed_examples)
    assert not (changed and exercise.passes_examples(rounding))


@each(Exercise)
def test_weave_refuses_no_exercise(exercise):
    """Three misconceptions a number, ten wrong and two other right solutions a function, hints and a reason for all."""
    assert list(exercise.problems()) == []


@pytest.mark.parametrize(
    ("kind", "misconceptions", "alternatives"), [(Numeric, 3, 0), (Code, 10, 2), (TrueFalse, 0, 0), (Choice, 0, 0)]
)
def test_how_many_a_key_has_to_name(kind, misconceptions, alternatives):
    assert kind.fewest_misconceptions == misconceptions
    assert getattr(kind, "fewest_alternatives", 0) == alternatives
