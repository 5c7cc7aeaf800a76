"""Single questions of the examination: pixels, mode, weights, loss, gradients, and the learning rate."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.vitlib.diagnose.test_diagnose import SOME, TEST, alarms, photos
from vitlib import create
from vitlib.data.pictures import normalise
from vitlib.diagnose import examine
from vitlib.diagnose.mistakes import blurred, one_for_all
from vitlib.diagnose.patients import body, grey
from vitlib.diagnose.ward import chart
from vitlib.vit.model import ViT


@pytest.fixture(scope="module")
def learned() -> ViT:
    """A model that has been trained a little: its norms have moved."""
    return chart("healthy").model


def test_pixels_are_recognised_by_what_was_done_to_them() -> None:
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "bytes, 0…255": lambda images: images.float(),
        "are 0…1": lambda images: images.float() / 255,
        "normalised twice": lambda images: (grey(images) - 0.5) / 0.5,
        "not divided by 255": lambda images: (images.float() - 0.5) / 0.5,
    }
    for words, prepare in ways.items():
        report = examine(body(), SOME, prepare=prepare)
        assert [each.check for each in report.alarms] == ["pixels"]
        assert words in report["pixels"].remedy


def test_blue_and_red_exchanged_and_imagenets_numbers_are_recognised() -> None:
    model = create("vit_cifar_patch4_32", seed=0, embed_dim=48, depth=2)
    sunset = photos()
    tinted = replace(sunset, images=(sunset.images.float() * torch.tensor([1.0, 0.6, 0.2]).reshape(3, 1, 1)).byte())
    wrong = examine(model, tinted, prepare=lambda images: normalise(images.flip(1), (0.5,), (0.5,)))
    assert "BGR" in wrong["pixels"].remedy
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    assert "ImageNet" in examine(model, tinted, prepare=lambda x: normalise(x, mean, std))["pixels"].remedy


def test_test_pictures_of_another_kind_are_told_and_others_of_the_same_kind_are_not() -> None:
    assert not alarms(body(), test=TEST)
    assert alarms(body(), test=blurred(TEST)) == {"test pictures"}
    inverted = replace(TEST, images=255 - TEST.images)
    assert "brightness" in examine(body(), SOME, test=inverted)["test pictures"].seen
    turned = replace(TEST, classes=TEST.classes[::-1])
    assert "classes" in examine(body(), SOME, test=turned)["test pictures"].seen
    larger = replace(TEST, images=TEST.images.repeat(1, 1, 2, 2))
    assert alarms(body(), test=larger) == {"test pictures"}


def test_a_trained_model_in_training_mode_is_told_and_a_fresh_one_is_not(learned: ViT) -> None:
    fresh = body(dropout=0.3)
    assert fresh.training and not alarms(fresh)
    dropped = body(dropout=0.3)
    dropped.load_state_dict(learned.state_dict())
    assert alarms(dropped.train()) == {"mode"}
    assert not alarms(dropped.eval())


def test_batchnorm_in_training_mode_is_told() -> None:
    hybrid = create("vitc_cifar_patch4_32", seed=0, embed_dim=48, depth=2)
    with torch.no_grad():
        for module in hybrid.modules():
            if isinstance(module, nn.LayerNorm | nn.BatchNorm2d):
                module.bias.add_(0.01)
    assert alarms(hybrid.train(), photos(), pretrained=True) == {"mode"}
    assert not alarms(hybrid.eval(), photos(), pretrained=True)


def test_weights_that_are_said_to_be_trained_must_be(learned: ViT) -> None:
    assert not alarms(learned, pretrained=True)
    assert alarms(body(), pretrained=True) == {"weights"}
    partly = copy.deepcopy(learned)
    partly.blocks[1] = body(seed=1).blocks[1]  # type: ignore[call-overload]
    report = examine(partly, SOME, pretrained=True)
    assert "2 of 5" in report["weights"].seen and "blocks.1.norm1" in report["weights"].seen


def test_shuffled_labels_are_worse_than_a_guess_for_a_trained_model(learned: ViT) -> None:
    wrong = replace(SOME, labels=(SOME.labels + 3) % 10)
    assert alarms(learned, wrong, pretrained=True) == {"loss"}


def test_a_loss_that_makes_a_table_is_told_and_a_smoothed_one_is_not() -> None:
    def smooth(logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=0.1)

    assert not alarms(body(), criterion=smooth)
    assert alarms(body(), criterion=one_for_all) == {"loss function"}


def test_what_is_frozen_is_told_unless_it_is_meant() -> None:
    model = body()
    model.blocks.requires_grad_(False)  # type: ignore[attr-defined]
    assert alarms(model) == {"frozen"}
    assert not alarms(model, frozen=("blocks.*",))


def test_a_parameter_that_no_gradient_reaches_is_named() -> None:
    model = body()
    model.spare = nn.Parameter(torch.zeros(3))
    report = examine(model, SOME)
    assert [each.check for each in report.alarms] == ["gradients"] and "spare" in report["gradients"].seen


@pytest.mark.parametrize(("lr", "words"), [(1e-6, "too low"), (1e-2, ""), (3.0, "too high")])
def test_the_learning_rate_is_tried_on_one_batch(lr: float, words: str) -> None:
    finding = examine(body(), SOME, lr=lr)["one batch"]
    assert (finding.verdict == "alarm") == bool(words)
    assert words in finding.remedy
