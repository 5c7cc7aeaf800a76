"""The hunts of chapter 9: every fault breaks one promise of the script, and one question tells it from all others."""

from collections.abc import Callable
from inspect import getdoc

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vitlib.data.pictures import Pictures
from vitlib.diagnose.hunts import FAULTS, GROUPS, faults, hunt
from vitlib.diagnose.patients import body
from vitlib.diagnose.script import Script
from vitlib.diagnose.ward import chart, known_digits

TRAIN, TEST = known_digits()
KINDS = {0: Script, **FAULTS}


def wrong_labels(script: Script) -> bool:
    return bool((script.split()[0].labels[: len(TRAIN)] != TRAIN.labels).double().mean() > 0.2)


def a_leak(script: Script) -> bool:
    train, test = (each.images.flatten(1) for each in script.split())
    return any(bool((train == one).all(dim=1).any()) for one in test)


def two_ranges(script: Script) -> bool:
    some = TEST.images[:8]
    return not torch.equal(script.prepare(some, training=True), script.prepare(some, training=False))


def blind_to_places(script: Script) -> bool:
    model, pixels = script.build().eval(), script.prepare(TEST.images[:8], training=True)
    return torch.allclose(model(pixels), model(pixels.roll(4, dims=3)), atol=1e-6)  # whole patches change places


def sums_to_one(script: Script) -> bool:
    rows = script.build().eval()(script.prepare(TEST.images[:8], training=True)).sum(dim=1)
    return torch.allclose(rows, torch.ones(8), atol=1e-4)


def stands_still(script: Script) -> bool:
    model = script.build()
    before = [each.clone() for each in model.parameters()]
    script.step(model, script.optimizer(model), *next(script.batches(TRAIN)))
    pairs = zip(before, model.parameters(), strict=True)
    return any(torch.equal(old, new) for old, new in pairs if new.grad is not None)


def keeps_gradients(script: Script) -> bool:
    model = script.build()
    assert isinstance(model.head, nn.Linear)
    weight = model.head.weight  # which the optimizer has in every case: what it does not have, it does not set back
    weight.grad = torch.full_like(weight, 1000.0)
    script.step(model, script.optimizer(model), *next(script.batches(TRAIN)))
    return bool(weight.grad.abs().max() > 500)


def changes_its_mind(script: Script) -> bool:
    model = body(dropout=0.5)
    return len({script.accuracy(model, TEST) for _ in range(4)}) > 1


def counts_others(script: Script) -> bool:
    wrong = Pictures(TEST.images, (TEST.labels + 1) % 10, TEST.classes)
    return script.accuracy(chart("healthy").model, wrong) > 0.3


QUESTIONS: dict[int, Callable[[Script], bool]] = {
    1: wrong_labels, 2: a_leak, 3: two_ranges, 4: blind_to_places, 5: sums_to_one,
    6: stands_still, 7: keeps_gradients, 8: changes_its_mind, 9: counts_others,
}  # fmt: skip


@pytest.mark.parametrize("number", FAULTS)
def test_each_fault_has_a_question_that_finds_it_and_no_other(number: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        assert [fault for fault, kind in KINDS.items() if QUESTIONS[number](kind())] == [number]


@given(case=st.integers(1, 2000))
def test_a_case_has_as_many_faults_as_it_says_each_of_another_group(case: int) -> None:
    found = faults(case)
    assert len(found) in ({1} if case < 100 else {2} if case < 200 else {1, 2, 3})
    assert list(found) == sorted(found) and faults(case) == found
    assert all(len({*found} & {*group}) <= 1 for group in GROUPS)
    script = hunt(case)
    assert all(isinstance(script, FAULTS[fault]) for fault in found) and type(script).__name__ == "Script"


def test_every_fault_occurs_alone_and_with_others() -> None:
    assert {faults(case) for case in range(1, 100)} == {(fault,) for fault in FAULTS}
    assert {fault for case in range(100, 200) for fault in faults(case)} == {*FAULTS}
    assert faults(0) == () and type(hunt(0)).__mro__[1] is Script
    with pytest.raises(ValueError, match="no case -1"):
        faults(-1)


def test_the_model_of_a_case_is_called_as_the_sound_one_is() -> None:
    assert {type(kind().build()).__name__ for kind in KINDS.values()} == {"ViT"}


def test_every_part_of_the_script_makes_a_promise() -> None:
    parts = [name for name in vars(Script) if not name.startswith("_")]
    assert parts == ["split", "prepare", "build", "optimizer", "batches", "step", "accuracy"]
    assert all(getdoc(getattr(Script, part)) for part in parts)
