"""The clinic's ward: every patient shows what the book says it shows, is found, and can be told from any other."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vitlib.data.datasets import digits
from vitlib.diagnose.mistakes import MISTAKES, infect
from vitlib.diagnose.patients import PATIENTS, body, grey
from vitlib.diagnose.symptoms import SHOWS, SYMPTOMS, between, ranked, seen
from vitlib.diagnose.ward import bed, chart, charts, smoothed
from vitlib.vit.attention import Attention
from vitlib.vit.model import ViT

TRAIN, _ = digits()


def test_every_patient_shows_what_the_book_says_it_shows() -> None:
    for name, each in charts(progress=False).items():
        assert seen(each) == SHOWS[name], name
    assert chart("healthy").report.healthy and bed(1) is chart("healthy")


def test_every_sick_patient_is_found_by_the_examination() -> None:
    for name in PATIENTS:
        assert bool(chart(name).alarms) == (name != "healthy"), name


def test_the_same_patient_is_trained_once_and_the_same_each_time() -> None:
    assert chart("pixels").model is chart("healthy").model
    assert len(chart("healthy").losses) == PATIENTS["healthy"].epochs * (len(TRAIN) // 64)


def test_any_two_causes_can_be_told_apart() -> None:
    assert list(SHOWS) == list(PATIENTS)
    for one in SHOWS:
        for other in SHOWS:
            assert (between(one, other) is None) == (one == other)


@given(ticked=st.sets(st.sampled_from([*SYMPTOMS])))
def test_the_ranking_is_a_share_and_its_best_is_exact_for_a_whole_chart(ticked: set[str]) -> None:
    fits = ranked(ticked)
    assert {cause for cause, _ in fits} == {*PATIENTS}
    assert [fit for _, fit in fits] == sorted((fit for _, fit in fits), reverse=True)
    for cause, fit in fits:
        assert 0 <= fit <= 1 and (fit == 1) == (ticked == SHOWS[cause])


def test_names_that_do_not_exist_are_refused() -> None:
    for call in (lambda: chart("x"), lambda: bed(0), lambda: bed(16), lambda: infect(body(), "x"), lambda: ranked("x")):
        with pytest.raises(KeyError, match=r"there (are|is no)"):
            call()


@given(losses=st.lists(st.floats(0, 10), min_size=1, max_size=30), window=st.integers(1, 8))
def test_smoothing_is_the_mean_of_what_came_before(losses: list[float], window: int) -> None:
    for i, mean in enumerate(smoothed(losses, window)):
        part = losses[max(0, i - window + 1) : i + 1]
        assert math.isclose(mean, sum(part) / len(part), abs_tol=1e-4)


def test_a_planted_mistake_keeps_the_weights_and_leaves_the_model_alone() -> None:
    model = body()
    for mistake in set(MISTAKES) - {"batch positions", "wide heads"}:
        sick = infect(model, mistake)
        assert all(torch.equal(each, model.state_dict()[key]) for key, each in sick.state_dict().items())
        assert not torch.equal(sick.eval()(grey(TRAIN.images[:24])), model(grey(TRAIN.images[:24])))
    assert type(model) is ViT and type(model.blocks[0].attn) is Attention
