"""The examination: a healthy model raises no alarm, each planted mistake its own and nothing unrelated."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from vitlib import create
from vitlib.backbones.pooled_attention import with_pooled_keys
from vitlib.backbones.token_merging import MergedViT
from vitlib.backbones.windowed_attention import with_windows
from vitlib.data.datasets import digits
from vitlib.data.pictures import Pictures, normalise
from vitlib.data.samples import picture
from vitlib.diagnose import Finding, examine
from vitlib.diagnose.mistakes import MISTAKES, blurred, infect, one_for_all
from vitlib.diagnose.patients import body, grey
from vitlib.diagnose.ward import chart
from vitlib.trained import card
from vitlib.vit.model import ViT

TRAIN, TEST = digits()
SOME = TRAIN.take(slice(0, 24))


def alarms(model: nn.Module, pictures: Pictures = SOME, **more: object) -> set[str]:
    return {each.check for each in examine(model, pictures, **more).alarms}  # type: ignore[arg-type]


def photos(classes: tuple[str, ...] = tuple("abcdefghij")) -> Pictures:
    """The bundled pictures, 32 × 32 pixels, as if they were of eight classes."""
    names = ("astronaut", "chelsea", "coffee", "china", "flower", "ihc", "retina", "digits")
    small = [F.interpolate(picture(name)[None].float(), size=(32, 32), mode="area") for name in names]
    return Pictures(torch.cat(small).round().to(torch.uint8), torch.arange(8), classes)


def cats() -> Pictures:
    """Views of a cat that the shipped model knows."""
    classes = tuple(card("vit_cifar_patch4_32")["classes"])
    cat = picture("chelsea")[None].float()
    views = [cat[:, :, :size, left : left + size] for size in (260, 300) for left in range(0, 150, 20)]
    small = [F.interpolate(view, size=(32, 32), mode="bilinear", antialias=True) for view in views]
    pixels = torch.cat(small).round().clamp(0, 255).to(torch.uint8)
    return Pictures(pixels, torch.full((len(pixels),), classes.index("cat")), classes)


@pytest.fixture(scope="module")
def learned() -> ViT:
    """A model that has been trained a little: its norms have moved."""
    return chart("healthy").model


# healthy models


@pytest.mark.parametrize("name", ["vit", "swin", "convnext", "vitc"])
def test_a_fresh_model_of_every_kind_is_healthy(name: str) -> None:
    preset = {
        "vit": "vit_cifar_patch4_32",
        "swin": "swin_cifar_patch2_window4_32",
        "convnext": "convnext_cifar_32",
        "vitc": "vitc_cifar_patch4_32",
    }[name]
    report = examine(create(preset, seed=1), photos())
    assert report.healthy, report
    asked = {each.check for each in report if each.verdict == "fine"}
    assert {"numbers", "logits", "mode", "neighbours", "positions", "reach", "gradients", "gradients' scale"} <= asked


@pytest.mark.parametrize("cheaper", [with_windows, with_pooled_keys, MergedViT])
def test_cheaper_attention_is_no_mistake(cheaper: Callable[[ViT, int], nn.Module]) -> None:
    report = examine(cheaper(create("vit_cifar_patch4_32", seed=1, depth=2), 2), photos())
    assert report.healthy, report


def test_the_model_that_comes_with_vitlib_is_healthy() -> None:
    model = create("vit_cifar_patch4_32", pretrained=True)
    report = examine(model, cats(), pretrained=True, prepare=lambda images: normalise(images, (0.5,), (0.5,)))
    assert report.healthy, report
    assert {each.check for each in report if each.verdict == "left out"} == {
        "test pictures",
        "loss function",
        "one batch",
    }


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**30),
    patch_size=st.sampled_from([2, 4]),
    global_pool=st.sampled_from(["token", "avg", "map"]),
    positions=st.sampled_from(["learned", "sincos1d", "sincos2d", "none"]),
    reg_tokens=st.integers(0, 2),
    trim=st.booleans(),
    fused=st.booleans(),
    depth=st.integers(1, 3),
)
def test_whatever_a_fresh_vit_is_made_of_it_is_healthy(seed: int, trim: bool, **choices: object) -> None:
    model = create("vit_digits_patch2_8", seed=seed, trim=trim, embed_dim=16, num_heads=2, **choices)
    report = examine(model, SOME, prepare=grey, test=TEST.take(slice(0, 200)))
    assert report.healthy, report


def test_a_model_that_nobody_here_knows_is_asked_what_can_be_asked() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 10))
    report = examine(model, SOME, lr=1e-2)
    assert report.healthy, report
    fine = {each.check for each in report if each.verdict == "fine"}
    assert fine == {"numbers", "logits", "mode", "loss", "neighbours", "reach", "frozen", "gradients", "one batch"}


# what is planted is found, and nothing unrelated

RELATED = {"positions": {"gradients"}, "batch positions": {"positions"}}
OWN = {
    "positions": "positions",
    "batch positions": "neighbours",
    "reshape": "patch embedding",
    "scale": "attention",
    "late scale": "attention",
    "readout": "readout",
    "wide heads": "attention",
}


@pytest.mark.parametrize("mistake", MISTAKES)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**30), patch=st.sampled_from([2, 4]), heads=st.sampled_from([2, 4]))
def test_every_mistake_in_code_raises_its_own_alarm(mistake: str, seed: int, patch: int, heads: int) -> None:
    model = create("vit_digits_patch2_8", seed=seed, patch_size=patch, embed_dim=32, num_heads=heads, depth=2)
    found = alarms(infect(model, mistake))
    assert OWN[mistake] in found
    assert found <= {OWN[mistake], *RELATED.get(mistake, ())}


def test_the_lab_names_the_mistake_in_attention() -> None:
    words = {
        "scale": "not divided by √d_k",
        "late scale": "no row sums to 1",
        "wide heads": "2 heads of 32 numbers each",
    }
    for mistake, expected in words.items():
        assert expected in examine(infect(body(), mistake), SOME)["attention"].seen


class Around(nn.Module):
    """A model with something done to its pixels before it, or to its answers behind it."""

    def __init__(
        self,
        model: nn.Module,
        after: Callable[[Tensor], Tensor] = lambda x: x,
        before: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> None:
        super().__init__()
        self.model, self.after, self.before = model, after, before

    def forward(self, images: Tensor) -> Tensor:
        return self.after(self.model(self.before(images)))


def with_nan(model: ViT) -> ViT:
    with torch.no_grad():
        model.blocks[1].mlp.fc1.weight[3, 4] = torch.nan
    return model


def loud(model: ViT) -> ViT:
    with torch.no_grad():
        model.head.weight.mul_(50)
    return model


def steep(model: ViT) -> ViT:
    with torch.no_grad():
        model.blocks[0].attn.proj.weight.mul_(1e-9)
        model.blocks[0].mlp.fc2.weight.mul_(1e-9)
        model.blocks[0].mlp.fc1.weight.mul_(1e-9)
        model.blocks[0].attn.qkv.weight.mul_(1e-9)
    return model


def saturated(model: ViT) -> ViT:
    with torch.no_grad():
        model.blocks[0].attn.qkv.weight[:64].mul_(200)
    return model


@dataclass(frozen=True)
class Plant:
    """A sick model, and what may raise an alarm for it; the first must."""

    make: Callable[[], nn.Module]
    found: tuple[str, ...]


class Noisy(nn.Module):
    """Dropout that does not listen to the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.model = body()

    def forward(self, images: Tensor) -> Tensor:
        return self.model(F.dropout(images, 0.5, training=True))


class Blind(ViT):
    """CLS never meets a patch."""

    def tokens(self, patches: Tensor) -> Tensor:
        return super().tokens(patches * 0)


PLANTS = {
    "nan": Plant(lambda: with_nan(body()), ("numbers",)),
    "nan from a logarithm": Plant(lambda: Around(body(), lambda x: x.log()), ("numbers",)),
    "another number of classes": Plant(lambda: create("vit_digits_patch2_8", num_classes=7), ("logits",)),
    "a softmax in the model": Plant(lambda: Around(body(), lambda x: x.softmax(-1)), ("logits",)),
    "a softmax over the batch": Plant(lambda: Around(body(), lambda x: x.softmax(0)), ("neighbours",)),
    "the batch's mean subtracted": Plant(lambda: Around(body(), lambda x: x - x.mean(0)), ("neighbours",)),
    "a loud head": Plant(lambda: loud(body()), ("loss",)),
    "dropout that never ends": Plant(Noisy, ("mode", "neighbours", "positions", "reach")),
    "detached": Plant(lambda: Around(body(), before=lambda x: x, after=lambda x: x.detach()), ("gradients", "reach")),
    "an edge cut off": Plant(lambda: Around(body(), before=lambda x: F.pad(x[..., :6], (0, 2))), ("reach",)),
    "pictures of another size": Plant(lambda: create("vit_digits_patch2_8", image_size=16), ("picture size",)),
    "vanishing gradients": Plant(lambda: steep(body()), ("gradients' scale",)),
    "a saturated softmax": Plant(lambda: saturated(body()), ("attention's focus",)),
}


@pytest.mark.parametrize("name", PLANTS)
def test_every_other_plant_raises_its_own_alarm(name: str) -> None:
    plant = PLANTS[name]
    found = alarms(plant.make().eval())
    assert plant.found[0] in found and found <= {*plant.found}, examine(plant.make().eval(), SOME)


def test_after_a_first_fault_nothing_else_is_asked() -> None:
    report = examine(with_nan(body()), SOME)
    assert report["positions"] == Finding("positions", "left out", "first mend the numbers")
    assert "blocks.1.mlp.fc1.weight" in report["numbers"].seen


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
