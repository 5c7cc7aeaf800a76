"""An examination leaves the model as it was, refuses what cannot be examined, and says what it found in words."""

import copy
import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.vitlib.diagnose.test_diagnose import SOME, Around, alarms, photos
from vitlib import create
from vitlib.diagnose import QUESTIONS, Finding, Report, examine
from vitlib.diagnose.patients import body, grey
from vitlib.training.optim import optimizers

# the model is left as it was


@pytest.mark.parametrize(("name", "training"), [("vit_cifar_patch4_32", True), ("vitc_cifar_patch4_32", True),
                                                ("vitc_cifar_patch4_32", False)])  # fmt: skip
def test_the_model_and_the_dice_are_left_as_they_were(training: bool, name: str) -> None:
    model = create(name, seed=0, embed_dim=48, depth=2, dropout=0.1).train(training)
    model.norm.eval()  # a part in another mode
    images = torch.zeros(2, 3, 32, 32)
    model(images).sum().backward()
    torch.manual_seed(7)
    before = copy.deepcopy(model.state_dict())
    slopes = [each.grad.clone() for each in model.parameters() if each.grad is not None]
    modes = [each.training for each in model.modules()]
    dice = torch.get_rng_state()
    examine(model, photos(), lr=1e-2)
    assert all(torch.equal(each, before[key]) for key, each in model.state_dict().items())
    after = [each.grad for each in model.parameters() if each.grad is not None]
    assert all(torch.equal(a, b) for a, b in zip(slopes, after, strict=True))
    assert [each.training for each in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), dice)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_two_examinations_say_the_same() -> None:
    assert str(examine(body(), SOME, lr=1e-2)) == str(examine(body(), SOME, lr=1e-2))


def test_a_model_in_the_middle_of_its_training_can_be_examined() -> None:
    model = body()
    (mover,) = optimizers(model, "adamw", 1e-2, 0.0)
    F.cross_entropy(model(grey(SOME.images)), SOME.labels).backward()
    mover.step()
    assert not alarms(model)


# its words


@pytest.mark.usefixtures("as_a_learner")
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": torch.zeros}, TypeError, "expected a torch.nn.Module"),
        ({"pictures": SOME.images}, TypeError, "pictures is a Tensor: expected vitlib.data.pictures.Pictures"),
        ({"test": [1]}, TypeError, "test is a list"),
        ({"pictures": SOME.take(slice(0, 1))}, ValueError, "1 pictures: expected at least 2"),
        ({"lr": 0.0}, ValueError, "lr is 0.0: expected a learning rate above 0"),
    ],
)
def test_what_cannot_be_examined_is_refused(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        examine(**{"model": body(), "pictures": SOME} | arguments)  # type: ignore[arg-type]


def test_a_model_that_stumbles_is_an_alarm_and_no_crash() -> None:
    def stumble(x: Tensor) -> Tensor:
        raise RuntimeError("shapes (3, 4) and (5, 6) do not fit")

    report = examine(Around(body(), stumble), SOME)
    assert report["numbers"].verdict == "alarm" and "do not fit" in report["numbers"].seen


def test_a_report_is_read_by_name_and_as_text() -> None:
    report = examine(body(), SOME, pretrained=True)
    assert [each.check for each in report] == list(QUESTIONS)
    assert str(report).startswith(f"{sum(each.verdict != 'left out' for each in report)} of {len(QUESTIONS)} questions")
    assert "to do: they were not loaded" in str(report)
    with pytest.raises(KeyError, match="there are picture size, pixels"):
        report["nothing"]
    assert not Report((Finding("a", "alarm", "b", "c", "d"),)).healthy
