"""The recipes, whole, on a handful of pictures: every path of them runs, and what they leave behind can be used."""

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.vitlib.data.test_datasets import jpegs, packed
from vitlib.data.pictures import normalise
from vitlib.recipes import cifar10, digits, few_digits, same_different
from vitlib.recipes.cifar10 import PLANS, Plan, Stage
from vitlib.recipes.teacher import Teacher, whitening
from vitlib.training.fit import History, Recipe, evaluate
from vitlib.weights import load


def test_digits_are_one_call_and_a_seed_gives_its_own_model() -> None:
    recipe = replace(digits.RECIPE, epochs=1)
    (one, history), (again, _), (other, _) = (digits.train_digits(seed, recipe, progress=False) for seed in (0, 0, 1))
    assert len(history.test_accuracy) == 1 and not one.training
    assert torch.equal(one.pos_embed, again.pos_embed) and not torch.equal(one.pos_embed, other.pos_embed)


# Same or different


def test_both_models_are_compared_on_both_tasks_in_processes_of_their_own() -> None:
    recipe = Recipe(epochs=1, batch_size=32)
    found = same_different.compare_all(seeds=2, recipe=recipe, train=64, test=32)
    assert list(found) == [("ViT", True), ("ViT", False), ("CNN", True), ("CNN", False)]
    here = same_different.compare("CNN", aligned=False, seed=1, recipe=recipe, train=64, test=32)
    assert found["CNN", False][1].loss == pytest.approx(here.loss, rel=1e-5)
    assert found["CNN", False][0].loss != found["CNN", False][1].loss


def test_the_table_has_the_mean_the_spread_and_the_range() -> None:
    def history(accuracy: float) -> History:
        return History([0.5], [0.0], [1.0], [accuracy], [3.0])

    assert same_different.table({("ViT", True): [history(0.98), history(1.0)], ("CNN", False): [history(0.5)]}) == (
        "ViT on the grid: 99.00 ± 1.41 % (98.00…100.00), 3 s a seed\n"
        "CNN off the grid: 50.00 % (50.00…50.00), 3 s a seed"
    )


# Few digits


def test_both_models_learn_from_few_digits_and_have_about_as_many_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [sum(p.numel() for p in make(0).parameters()) for make in few_digits.MODELS.values()]
    assert max(sizes) < 1.1 * min(sizes)
    monkeypatch.setattr(few_digits, "STEPS", {"CNN": 2, "ViT": 2})
    rows = few_digits.compare(tasks=[(40, 0), (40, 1)], seeds=2)
    assert [(row["digits"], row["shift"], row["model"]) for row in rows] == [
        (40, 0, "CNN"), (40, 0, "ViT"), (40, 1, "CNN"), (40, 1, "ViT"),
    ]  # fmt: skip
    assert all(len(row["accuracy"]) == 2 for row in rows)
    first = few_digits.table(rows).splitlines()[0]
    assert first.startswith("40 digits as they are  CNN: ") and "±" in first


# CIFAR-10


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "few.npz"
    np.savez(path, **packed(jpegs(8, side=32), jpegs(6, side=32)))
    return path


SMALL: dict[str, Any] = {"embed_dim": 16, "num_heads": 2, "depth": 1, "num_classes": 2}


def tiny(name: str) -> Plan:
    """The plan as it is, with a model of one narrow block, a narrow teacher, and one epoch a stage."""
    plan = PLANS[name]
    return replace(
        plan,
        changes={**plan.changes, **SMALL},
        stages=tuple(replace(stage, recipe=replace(stage.recipe, epochs=1)) for stage in plan.stages),
        teacher=replace(plan.teacher, epochs=1),
        widths=(4, 6),
    )


@pytest.mark.parametrize("name", PLANS)
def test_every_plan_leaves_weights_and_a_card(
    name: str, pictures: Path, tmp_path: Path, as_a_learner: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # one graph is taken of the model, as ever, and not translated to C++: that takes half a minute
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    plan, folder = tiny(name), tmp_path / "run"
    card = cifar10.run(pictures, folder, plan, seed=3, progress=False)
    assert json.loads((folder / f"{plan.model}.json").read_text()) == json.loads(json.dumps(card))
    assert [(stage["side"], stage["taught"]) for stage in card["stages"]] == [(s.side, s.taught) for s in plan.stages]
    assert plan.stages[-1].taught and card["teacher"]["widths"] == [4, 6]
    assert all(part["recipe"]["seed"] == card["seed"] == 3 for part in [card["teacher"], *card["stages"]])
    names = ["teacher", *(f"stage{number}" for number in range(1, len(plan.stages) + 1)), plan.model]
    assert {path.name for path in folder.iterdir()} == {
        *(f"{name}.safetensors" for name in names),
        f"{plan.model}.json",
    }

    model = load(folder / f"{plan.model}.safetensors", dtype=torch.float32)
    assert model.config.image_size == (32, 32) and model.config.embed_dim == 16
    assert evaluate(model, cifar10.cifar10(pictures)[1]) == card["test_accuracy"]
    again = cifar10.run(pictures, folder, plan, seed=3, progress=False)  # every stage is found, and nothing trained
    assert again == card


def test_a_cpu_takes_the_short_plan_and_a_cuda_device_the_long_one() -> None:
    assert cifar10.plan_for(torch.device("cpu")) == "short"
    assert cifar10.plan_for(torch.device("cuda", 0)) == "long"


def test_the_command_runs_the_plan_that_it_names(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Recipe(epochs=1)
    monkeypatch.setitem(PLANS, "long", Plan("vitc_cifar_patch4_32", (Stage(32, one),), one, widths=(4, 6)))
    chosen = ["--plan", "long", "--model", "swin_cifar_patch2_window4_32", "--seed", "1"]
    pairs = packed(jpegs(8, side=32), jpegs(6, side=32), classes=np.array(list("abcdefghij")))
    np.savez(tmp_path / "ten.npz", **pairs)
    monkeypatch.setattr(sys, "argv", ["cifar10", str(tmp_path / "ten.npz"), str(tmp_path / "run"), *chosen])
    cifar10.main()
    assert capsys.readouterr().out.splitlines()[-1].startswith("test accuracy ")
    assert (tmp_path / "run/swin_cifar_patch2_window4_32.safetensors").exists()


def test_smaller_pictures_are_means_of_what_they_cover() -> None:
    whole = torch.arange(16, dtype=torch.uint8).reshape(1, 1, 4, 4) * 4
    small = cifar10.shrunk(cifar10.Pictures(whole, torch.tensor([0]), ("a",)), 2)
    assert small.images.flatten().tolist() == [10, 18, 42, 50]


def correlations(windows: torch.Tensor) -> torch.Tensor:
    """How alike any two filters answer: [K, K], without the diagonal."""
    return windows.T.corrcoef().fill_diagonal_(0)


def test_whitened_filters_answer_independently_of_one_another() -> None:
    smooth = F.interpolate(torch.rand(64, 3, 4, 4), size=16, mode="bilinear")
    images = (smooth * 255).round().to(torch.uint8)
    filters = whitening(images, side=2, eps=0.0)
    pixels = normalise(images, (0.5,), (0.5,))
    assert correlations(F.unfold(pixels, 2, stride=2).transpose(1, 2).flatten(0, 1)).max() > 0.9
    answers = F.conv2d(pixels, filters, stride=2).permute(0, 2, 3, 1).flatten(0, 2)
    assert correlations(answers).abs().max() < 0.01
    assert answers.std(dim=0) == pytest.approx(torch.ones(12).numpy(), abs=0.01)


def test_a_teacher_never_trains_its_first_layer_and_pools_what_is_left() -> None:
    images = torch.randint(256, (32, 3, 32, 32), dtype=torch.uint8)
    teacher = Teacher(images, widths=(8, 16, 16), classes=3)
    assert [name for name, each in teacher.named_parameters() if not each.requires_grad] == ["stem.weight"]
    assert teacher.blocks(F.gelu(teacher.stem(torch.zeros(1, 3, 32, 32)))).shape == (1, 16, 3, 3)
