"""The examination: a healthy model raises no alarm, each planted mistake its own and nothing unrelated."""

from collections.abc import Callable
from dataclasses import dataclass

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
from vitlib.diagnose.mistakes import MISTAKES, infect
from vitlib.diagnose.patients import body, grey
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
