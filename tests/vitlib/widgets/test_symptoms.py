"""The symptom board: every control over its range, what it says of ticks and guesses, and what is left of it."""

import html
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitlib.diagnose.patients import PATIENTS
from vitlib.diagnose.symptoms import SHOWS, SYMPTOMS, ranked
from vitlib.diagnose.ward import chart
from vitlib.widgets.symptoms import GROUPS, SURPRISE, SymptomBoard, symptom_board
from vitlib.widgets.symptoms_view import HIDDEN, TOP, curve_html, fit_words, measured, still, words_html

NAMES = [*PATIENTS]


@pytest.fixture(scope="module")
def board() -> SymptomBoard:
    return symptom_board("healthy")


def text(markup: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", markup)).split())


def tick(board: SymptomBoard, names: frozenset[str]) -> None:
    for name, box in board.ticks.items():
        box.value = name in names


# every control over its range


@pytest.mark.parametrize("name", NAMES)
def test_every_patient_shows_its_own_chart_and_starts_with_nothing_said(board: SymptomBoard, name: str) -> None:
    board.choice.value = NAMES[NAMES.index(name) - 1]
    board.ticks["stuck"].value, board.guess.value, board.lab.value = True, "mode", True
    board.choice.value = name
    assert (board.ticked, board.guess.value, board.lab.value) == ([], None, False)
    assert board.chart is chart(name) and board.step.value == board.step.max == len(chart(name).losses)
    shown = text(board.board.value)
    for (line, value), (_, sound) in zip(measured(name), measured("healthy"), strict=True):
        assert f"{line} {value} {sound}" in shown
    assert PATIENTS[name].cause in shown and "The lab" not in shown


@pytest.mark.parametrize("name", ["healthy", "weights", "mode", "high rate"])
def test_every_step_of_the_curve_is_told(board: SymptomBoard, name: str) -> None:
    board.choice.value = name
    for step in range(1, board.step.max + 1):
        board.step.value = step
        assert f"At step {step} of {len(chart(name).losses)}" in board.sentence
        assert f"the loss is {chart(name).losses[step - 1]:.2f};" in text(board.words.value)


@pytest.mark.parametrize("name", NAMES)
def test_the_lab_tells_its_alarms_when_it_is_asked(board: SymptomBoard, name: str) -> None:
    board.choice.value = name
    board.lab.value = True
    shown = text(board.board.value)
    assert ("✓ no alarm" in shown) == (name == "healthy")
    for check in chart(name).alarms:
        assert f"✗ {check} :" in shown
    board.lab.value = False
    assert "The lab" not in text(board.board.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_guess_is_answered_with_a_reason(board: SymptomBoard, name: str) -> None:
    board.choice.value = name
    for guess in NAMES:
        board.guess.value = guess
        said = text(board.words.value)
        if guess == name:
            assert f"✓ Right: {PATIENTS[name].cause}. {' '.join(PATIENTS[name].why.split())}" in said
        else:
            assert "✗ Not this." in said and "✓" not in said
            reasons = SHOWS[guess] ^ SHOWS[name]
            assert any(SYMPTOMS[each].words in said or SYMPTOMS[each].look in said for each in reasons)
    board.guess.value = None
    assert "✗" not in text(board.words.value)


def test_a_misread_chart_is_put_right_after_the_right_guess(board: SymptomBoard) -> None:
    board.choice.value = "loss"
    tick(board, frozenset({"stuck", "jumps"}))
    board.guess.value = "loss"
    assert f"You ticked “{SYMPTOMS['jumps'].words}”, which this chart does not show." in board.sentence


# ticks and causes


@pytest.mark.parametrize("name", [each for each in NAMES if each != "healthy"])
def test_with_all_its_symptoms_ticked_a_cause_comes_first_alone(board: SymptomBoard, name: str) -> None:
    tick(board, SHOWS[name])
    assert f"Only “{PATIENTS[name].cause}” shows exactly this." in text(board.words.value)
    tick(board, frozenset())
    assert "Nothing is ticked yet" in board.sentence


@settings(max_examples=60)
@given(ticked=st.sets(st.sampled_from([*SYMPTOMS]), max_size=5))
def test_the_bars_are_the_ranking_and_the_words_name_its_first_two(ticked: set[str]) -> None:
    names = sorted(ticked)
    markup = words_html(chart("healthy"), 1, names, None)
    bars = [int(each) for each in re.findall(r"width: (\d+)%", markup)]
    first = [(cause, fit) for cause, fit in ranked(names)[:5] if fit and names]
    assert bars == [round(100 * fit) for _, fit in first]
    words = fit_words(names)
    if "come first" in words:
        assert words.startswith(f"“{PATIENTS[first[0][0]].cause}” and “{PATIENTS[ranked(names)[1][0]].cause}”")
        assert any(symptom.look in words for symptom in SYMPTOMS.values())


def test_what_tells_the_first_two_apart_is_true_of_the_one_that_is_named() -> None:
    for ticked in [[name] for name in SYMPTOMS]:
        words = fit_words(ticked)
        if "come first" not in words:
            continue
        (best, _), (second, _), *_ = ranked(ticked)
        which = best if "with the first," in words else second
        symptom = next(name for name, each in SYMPTOMS.items() if words.endswith(f"{each.words}."))
        assert symptom in SHOWS[which] and symptom not in SHOWS[best if which == second else second]


def test_every_symptom_stands_in_one_group() -> None:
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(SYMPTOMS)


# the surprise


def test_a_surprise_is_told_by_nothing_until_it_is_named() -> None:
    board = symptom_board(seed=3)
    for _ in range(12):
        name = board.chart.name
        data, metadata = board._repr_mimebundle_()
        told = [text(board.board.value), board.sentence, metadata["image/png"]["alt"], data["text/plain"]]
        for words in told:
            assert PATIENTS[name].cause not in words.replace("healthy", "")
        assert HIDDEN in told[0] and board.hidden
        board.guess.value = name
        assert not board.hidden and PATIENTS[name].cause in text(board.board.value)
        before = name
        board.another.click()
        assert board.chart.name != before and board.hidden and board.guess.value is None


def test_another_surprise_may_be_asked_for_from_anywhere_and_is_the_same_for_a_seed() -> None:
    orders = []
    for _ in range(2):
        board, names = symptom_board("mode", seed=5), []
        for _ in range(6):
            board.another.click()
            assert board.choice.value == SURPRISE
            names.append(board.chart.name)
        orders.append(names)
    assert orders[0] == orders[1] and len(set(orders[0])) > 2


# the picture, and the edges


@pytest.mark.parametrize("name", ["healthy", "high rate"])
def test_the_curve_is_to_scale_and_has_words(name: str) -> None:
    curve = curve_html(chart(name), 10)
    line = re.findall(r'points="([^"]+)"[^>]*stroke-width="2" stroke-dasharray="none"', curve)[0].split()
    heights = [float(point.split(",")[1]) for point in line]
    assert len(heights) == len(chart(name).losses)
    for height, loss in zip(heights, chart(name).losses, strict=True):
        assert height == pytest.approx(22 + 154 * (1 - min(loss, TOP) / TOP), abs=0.06)
    assert 'role="img"' in curve and "At step 10 of" in curve


def test_a_patient_and_the_healthy_model_are_drawn_alike() -> None:
    healthy = chart("healthy")
    _, beside, own, *_ = re.findall(r'points="([^"]+)"', curve_html(healthy, 10))
    assert beside == own
    first, second = (np.asarray(line.get_xydata()) for line in still(healthy, hidden=True).axes[0].lines[:2])
    assert first.tolist() == second.tolist() == [list(point) for point in enumerate(healthy.losses, start=1)]


def test_without_a_kernel_a_picture_and_a_sentence_take_its_place(board: SymptomBoard) -> None:
    board.choice.value = "healthy"
    assert "right in use" in board.still().description


def test_it_cannot_be_opened_on_nobody() -> None:
    with pytest.raises(ValueError, match="patient is 'Bob': expected 'a surprise' or one of healthy, pixels"):
        symptom_board("Bob")
