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

from tests.vitlib.data.test_datasets import jpegs, packed
from vitlib.recipes import cifar10, digits, same_different
from vitlib.recipes.cifar10 import PLANS, Plan
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


# CIFAR-10


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "few.npz"
    np.savez(path, **packed(jpegs(8, side=32), jpegs(6, side=32)))
    return path


SMALL: dict[str, Any] = {"embed_dim": 16, "num_heads": 2, "depth": 1, "num_classes": 2}


def tiny(name: str) -> Plan:
    """The plan as it is, with a model of one narrow block and one epoch a stage."""
    plan = PLANS[name]
    return replace(
        plan,
        changes={**plan.changes, **SMALL},
        stages={side: replace(recipe, epochs=1) for side, recipe in plan.stages.items()},
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
    assert [stage["side"] for stage in card["stages"]] == list(plan.stages)
    assert all(stage["recipe"]["seed"] == card["seed"] == 3 for stage in card["stages"])
    assert {path.name for path in folder.iterdir()} == {
        *(f"{side}.safetensors" for side in plan.stages), f"{plan.model}.json", f"{plan.model}.safetensors"
    }  # fmt: skip

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
    monkeypatch.setitem(PLANS, "long", Plan("vitc_cifar_patch4_32", {32: Recipe(epochs=1)}))
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
