"""What goes wrong in a training run is said, and what was not to change has not changed."""

import copy
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.vitlib.training.zoo import BACKBONES, COMPILED, EVERY, WRAPPED, hybrid, shades, swin, vit
from vitlib.data.pictures import normalisation, normalise
from vitlib.training.batch_size import step_memory
from vitlib.training.finetune import finetune, with_new_head
from vitlib.training.fit import Recipe, TrainingError, evaluate, fit
from vitlib.training.memory import checkpointed
from vitlib.training.muon import Muon
from vitlib.training.optim import optimizers
from vitlib.training.predict import predict
from vitlib.training.steps import train_mode
from vitlib.weights import CheckpointError, files

SHORT = Recipe(epochs=2, batch_size=8, lr=3e-3)


def moved(model: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, each in model.state_dict().items() if not torch.equal(each, before[name])}


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(model.state_dict())


# frozen is frozen


@pytest.mark.parametrize("blocks", [0, 1])
@pytest.mark.parametrize("name", BACKBONES)
def test_below_what_learns_nothing_moves(name, blocks):
    model = BACKBONES[name](5).eval()
    tuned, _ = finetune(model, shades(), recipe=SHORT, blocks=blocks, progress=False)
    changed = moved(tuned, state(model) | {name: each for name, each in tuned.state_dict().items() if "head" in name})
    assert all(name.startswith(("blocks.1", "norm", "layers.1.blocks.1", "stages.1.blocks.1")) for name in changed)
    assert bool(changed) == (blocks > 0)


def test_a_frozen_norm_keeps_its_statistics_wherever_it_is():
    body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5))
    model = nn.Sequential(body, nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 14 * 14, 2))
    body.requires_grad_(False)
    model[2].requires_grad_(False)
    before = state(model)
    fit(model, shades(), recipe=SHORT, progress=False)
    assert moved(model, before) == {"1.weight", "1.bias", "4.weight", "4.bias"}
    train_mode(model)
    assert [module.training for module in (model, body, body[2], model[2], model[1])] == [
        True,
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("name", BACKBONES)
def test_a_copy_for_another_size_is_as_frozen_as_the_model(name):
    model = BACKBONES[name]()
    model.requires_grad_(False)
    model.get_classifier().requires_grad_()
    model.get_classifier().train(False)
    state_of_dice = torch.get_rng_state()
    copy_of = model.resized((32, 32))
    assert torch.equal(state_of_dice, torch.get_rng_state())
    learns = [[each.requires_grad for each in one.parameters()] for one in (model, copy_of)]
    modes = [[each.training for each in one.modules()] for one in (model, copy_of)]
    assert learns[0] == learns[1] and modes[0] == modes[1]


def test_a_wholly_frozen_model_is_refused():
    model = vit().requires_grad_(False)
    with pytest.raises(ValueError, match="every parameter is frozen"):
        fit(model, shades(), recipe=SHORT, progress=False)
    with pytest.raises(ValueError, match="a Flatten has no parameters"):
        fit(nn.Flatten(), shades(), recipe=SHORT, progress=False)
    with pytest.raises(ValueError, match="every parameter is frozen"):
        step_memory(model, shades().images[0], 2, train=True)


# another run is not resumed


def as_it_is(model: nn.Module) -> nn.Module:
    return model


def probe(model: nn.Module) -> nn.Module:
    model.requires_grad_(False)
    model.head.requires_grad_()
    return model


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "first weights is"),
        ({"freeze": probe}, r"learns is .* there and 2 tensors: head.weight, head.bias"),
        ({"recipe": Recipe(epochs=2, batch_size=8, lr=3e-3, seed=1)}, "seed is 0 there and 1 here"),
        ({"recipe": Recipe(epochs=2, batch_size=8, lr=3e-3, ema=0.5)}, r"ema is 0.0 there and 0.5 here"),
        ({"train": shades(seed=1)}, "pixels is"),
        ({"train": shades(classes=("dark", "bright"))}, "classes is"),
        ({"test": shades(seed=2)}, "test is none there and given here"),
        ({"valid": shades(seed=2)}, "valid is none there and given here"),
    ],
)
def test_a_snapshot_of_another_run_is_refused(tmp_path, change, words):
    def run(seed: int = 0, freeze: Callable = as_it_is, train=None, recipe: Recipe = SHORT, **pictures: object) -> None:
        model = freeze(vit(seed=seed))
        fit(model, train or shades(), recipe=recipe, save=tmp_path / "run.safetensors", progress=False, **pictures)

    run()
    before = (tmp_path / "run.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match=words):
        run(**change)
    assert (tmp_path / "run.safetensors").read_bytes() == before
    run()


def test_a_cell_that_is_run_twice_finds_its_run(tmp_path):
    """The model that comes back in is the one that the run has left: with its average, or its best weights."""
    for name, recipe in {"plain": SHORT, "average": Recipe(epochs=2, batch_size=8, ema=0.9)}.items():
        model = vit()
        once = fit(model, shades(), recipe=recipe, save=tmp_path / f"{name}.safetensors", progress=False)
        before = state(model)
        assert fit(model, shades(), recipe=recipe, save=tmp_path / f"{name}.safetensors", progress=False) == once
        assert not moved(model, before)


def test_a_snapshot_from_before_the_fields_took_timms_words_still_loads(tmp_path):
    path = tmp_path / "run.safetensors"
    recipe = Recipe(epochs=2, batch_size=8, lr=3e-3, ema=0.9)
    whole = vit()
    expected = fit(whole, shades(), recipe=recipe, save=path, progress=False)
    tensors, note = files.read(path)
    tensors = {name.replace("average.", "average.module."): each for name, each in tensors.items()}
    told = dict(note["about"]["recipe"])
    for now, then in (("batch_size", "batch"), ("label_smoothing", "smoothing")):
        told[then] = told.pop(now)
    for new in ("balanced", "validation"):
        del told[new]
    config = "image_size=(16, 16), patch=4, channels=3, num_classes=2, width=16, depth=2, heads=2, pooling='cls'"
    kept = {name: note["about"][name] for name in ("weights", "pictures", "pixels", "labels")}
    old = {**kept, "recipe": told, "model": f"ViT ViTConfig({config})"}
    files.write(path, tensors, {"about": old, "history": note["history"]})
    resumed = vit()
    assert fit(resumed, shades(), recipe=recipe, save=path, progress=False).loss == expected.loss
    assert not moved(resumed, state(whole))
    files.write(path, tensors, {"about": old | {"model": "ViT ViTConfig(heads=4)"}, "history": note["history"]})
    with pytest.raises(CheckpointError, match="model's num_heads is 4 there and 2 here"):
        fit(vit(), shades(), recipe=recipe, save=path, progress=False)


# what is not finite stops the run before a weight moves


class Poisoned(nn.Module):
    """Answers like the model inside; in one step, one number of the gradient or of the loss is not finite."""

    def __init__(self, step: int, where: str, value: float) -> None:
        super().__init__()
        self.inside, self.left, self.where, self.value = vit(), step, where, value

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.inside(images)
        if not self.training:
            return logits
        self.left -= 1
        if self.left == 0 and self.where == "loss":
            return logits * self.value
        if self.left == 0:
            weight = self.inside.blocks[0].attn.qkv.weight
            weight.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor(0), self.value))
        return logits


@pytest.mark.parametrize("where", ["gradient", "loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("step", [3, 8])  # in the first epoch, and the very last
def test_numbers_that_are_not_finite_move_no_weight(tmp_path, where, value, step):
    model, path = Poisoned(step, where, value), tmp_path / "run.safetensors"
    kept = "no epoch was saved" if step == 3 else "holds epoch 1"
    with pytest.raises(TrainingError, match=rf"the {where} is (nan|inf) at step {step - 1} .*{kept}"):
        fit(model, shades(), recipe=SHORT, save=path, progress=False)
    assert all(bool(each.isfinite().all()) for each in model.parameters())
    assert all(each.grad is None for each in model.parameters())
    if step == 8:
        tensors, _ = files.read(path)
        assert all(bool(each.isfinite().all()) for each in tensors.values() if each.is_floating_point())


def test_weights_that_leave_the_numbers_in_the_last_step_are_not_saved(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
    recipe = Recipe(epochs=1, batch_size=32, lr=1e39, warmup=0.0)
    with pytest.raises(TrainingError, match=r"the weights are not finite after step 0 \(epoch 1\).*no epoch was saved"):
        fit(model, shades(), recipe=recipe, save=tmp_path / "run.safetensors", progress=False)
    assert not [*tmp_path.iterdir()]


def test_gradients_that_others_left_are_no_part_of_the_first_step():
    one, other = vit(), vit()
    other(torch.randn(4, 3, 16, 16)).sum().backward()
    fit(one, shades(), recipe=SHORT, progress=False)
    fit(other, shades(), recipe=SHORT, progress=False)
    assert not moved(one, state(other))


# which layer learns how fast, and what decays


@pytest.mark.parametrize("name", WRAPPED)
def test_in_every_model_lower_layers_learn_more_slowly(name):
    model = WRAPPED[name]()
    (adamw,) = optimizers(model, "adamw", 1.0, 0.1, layer_decay=0.5)
    names = {id(each): name for name, each in model.named_parameters()}
    rates = {names[id(each)]: group["lr"] for group in adamw.param_groups for each in group["params"]}
    depth = {"swin": 4, "compiled": 4, "convnext": 3}.get(name, 2)
    assert set(rates.values()) == {0.5**k for k in range(depth + 2)}
    assert all(rate == 1.0 for name, rate in rates.items() if "head" in name)
    assert all(rate == 0.5 ** (depth + 1) for name, rate in rates.items() if "patch_embed" in name or "stem" in name)
    assert len(rates) == len(names)


def test_a_model_that_does_not_say_its_layers_is_refused_and_a_forgotten_one_is_named():
    with pytest.raises(ValueError, match="a Linear does not say which layer lies above which: leave layer_decay at 1"):
        optimizers(nn.Linear(2, 2), "adamw", 1.0, 0.1, layer_decay=0.5)
    model = vit()
    model.extra = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"layer_groups\(\) of the ViT leaves out extra.weight, extra.bias"):
        optimizers(model, "adamw", 1.0, 0.1, layer_decay=0.5)


class Foreign(nn.Module):
    """Tables, tokens and scales as other libraries write them."""

    def __init__(self) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.positions = nn.Embedding(9, 4)
        self.norm = nn.LayerNorm([3, 4])
        self.attention = nn.MultiheadAttention(4, 2, add_bias_kv=True)
        self.bias = nn.Parameter(torch.zeros(4, 4))


def decayed(model: nn.Module, kind: str = "adamw") -> set[str]:
    names = {id(each): name for name, each in model.named_parameters()}
    groups = [group for each in optimizers(model, kind, 1.0, 0.1) for group in each.param_groups]
    return {names[id(each)] for group in groups if group["weight_decay"] for each in group["params"]}


def test_tables_biases_and_tokens_do_not_decay_in_any_model():
    assert decayed(Foreign()) == {"attention.in_proj_weight", "attention.out_proj.weight"}
    for name, make in WRAPPED.items():
        found = decayed(make())
        assert found and not [
            each for each in found if "token" in each or "pos" in each or not each.endswith("weight")
        ], name


def test_muon_turns_no_table_of_positions():
    muon, _ = optimizers(swin(), "muon", 1.0, 0.1)
    shapes = {tuple(each.shape) for group in muon.param_groups for each in group["params"]}
    assert (9, 2) not in shapes and (24, 8) in shapes


# low precision


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", BACKBONES)
def test_a_halved_model_reads_bytes_and_floats(name, dtype):
    exact, half = BACKBONES[name]().eval(), BACKBONES[name]().eval().to(dtype)
    images = shades().images
    assert torch.allclose(predict(half, images), predict(exact, images), atol=0.05)
    assert torch.equal(predict(half, normalise(images, *normalisation(exact))), predict(half, images))
    assert 0 <= evaluate(half, shades()) <= 1
    assert step_memory(half, images[0], 4) > 0 and step_memory(half, images[0], 4, train=True) > 0


def test_a_bfloat16_model_trains_and_a_float16_model_is_refused():
    model = vit().to(torch.bfloat16)
    history = fit(model, shades(), shades(), Recipe(epochs=4, batch_size=8, lr=5e-3, ema=0.9), progress=False)
    assert history.test_accuracy[-1] == 1.0 and next(model.parameters()).dtype == torch.bfloat16
    with pytest.raises(ValueError, match=r"weights are torch.float16.*train model.float\(\), with amp='float16'"):
        fit(vit().half(), shades(), recipe=SHORT, progress=False)


def test_float16_scales_the_loss_and_skips_the_steps_in_which_that_was_too_much(tmp_path):
    """The first factor, 65536, is too large for gradients that reach 1: they leave float16's range."""
    recipe = Recipe(epochs=6, batch_size=8, lr=5e-3, amp="float16")
    whole, resumed = vit(), vit()
    history = fit(whole, shades(), shades(), recipe, save=tmp_path / "whole.safetensors", progress=False)
    assert history.test_accuracy[-1] == 1.0
    _, note = files.read(tmp_path / "whole.safetensors")
    assert note["scaler"]["_growth_tracker"] > 0

    class Stop(Exception):
        pass

    def stop(seen: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        fit(vit(), shades(), shades(), recipe, save=tmp_path / "run.safetensors", watch=stop, progress=False)
    fit(resumed, shades(), shades(), recipe, save=tmp_path / "run.safetensors", progress=False)
    assert not moved(resumed, state(whole))


# clear failures


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 1.5), ("batch_size", True), ("lr", math.nan), ("lr", math.inf), ("ema", 1), ("erase", -1),
        ("layer_decay", 1.5), ("weight_decay", math.inf), ("mixup", -0.1), ("amp", "int8"), ("validation", 0.6),
        ("seed", 0.5), ("warmup", math.nan), ("optimizer", "sgd"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("as_a_learner")
def test_a_recipe_out_of_range_names_the_field(field, value):
    with pytest.raises(ValueError, match=f"{field} is {value!r}: expected"):
        Recipe(**{field: value})


@pytest.mark.parametrize(("field", "most"), [("erase", 16), ("shift", 15)])
def test_changes_larger_than_the_pictures_are_refused(field, most):
    with pytest.raises(ValueError, match=f"{field} is {most + 1} pixels, and the pictures have 16 .* at most {most}"):
        fit(vit(), shades(), recipe=Recipe(**{field: most + 1}), progress=False)


@pytest.mark.parametrize(("name", "value"), [("lr", -1.0), ("momentum", 1.0), ("weight_decay", -0.1)])
def test_muon_refuses_numbers_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}: expected"):
        Muon([nn.Parameter(torch.zeros(2, 2))], **{name: value})


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_answers_with_features_without_a_head(name):
    bare = with_new_head(BACKBONES[name](), 0)
    assert bare(torch.zeros(1, 3, 16, 16)).ndim == 2 and bare.config.num_classes == 0
    assert with_new_head(bare, 3)(torch.zeros(1, 3, 16, 16)).shape == (1, 3)
    with pytest.raises(ValueError, match="classes is -1: expected 0"):
        with_new_head(bare, -1)


def test_other_models_are_refused_by_name_and_wrapped_ones_are_unwrapped():
    with pytest.raises(ValueError, match=r"the model is a MergedViT: expected .*; take its \.vit"):
        finetune(EVERY["merged"](), shades(), recipe=SHORT)
    with pytest.raises(ValueError, match="the model is a Sequential: expected a ViT, Hybrid, Swin or ConvNeXt"):
        finetune(nn.Sequential(nn.Flatten(), nn.Linear(2, 2)), shades(), recipe=SHORT)
    for name in ("parallel", "compiled"):
        tuned, history = finetune(WRAPPED[name](), shades(), shades(), SHORT, progress=False)
        assert type(tuned).__name__ in ("ViT", "Swin") and len(history.test_accuracy) == 2


def test_a_model_without_numbers_is_refused():
    with torch.device("meta"):
        empty = vit()
    for call in (
        lambda: predict(empty, shades().images),
        lambda: evaluate(empty, shades()),
        lambda: fit(empty, shades(), recipe=SHORT),
        lambda: finetune(empty, shades(), recipe=SHORT),
        lambda: step_memory(empty, shades().images[0], 1),
    ):
        with pytest.raises(ValueError, match="is on the meta device, which keeps shapes without numbers"):
            call()


def test_no_pictures_are_refused():
    none = shades().take(slice(0, 0))
    for call in (
        lambda: fit(vit(), none, recipe=SHORT),
        lambda: fit(vit(), shades(), none, SHORT, progress=False),
        lambda: evaluate(vit(), none),
    ):
        with pytest.raises(ValueError, match=r"there are no (training )?pictures: expected at least one"):
            call()


@pytest.mark.parametrize("name", BACKBONES)
def test_checkpointing_changes_no_number_in_any_backbone_even_twice(name):
    plain, frugal = BACKBONES[name](), BACKBONES[name]()
    fit(plain, shades(), recipe=SHORT, progress=False)
    with checkpointed(frugal):
        fit(frugal, shades(), recipe=Recipe(**vars(SHORT) | {"checkpointing": True}), progress=False)
    assert not moved(frugal, state(plain))
    assert not any("forward" in vars(module) for module in frugal.modules())


def test_checkpointing_that_would_save_nothing_is_refused():
    with pytest.raises(ValueError, match="a MergedViT runs its blocks in halves"), checkpointed(EVERY["merged"]()):
        pass


class Hungry(nn.Module):
    """Finds no memory in training, and has moved its statistics before it says so."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm2d(3), nn.Linear(3, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.norm(images)
        if self.training and len(images) > 4:
            raise torch.OutOfMemoryError("out of memory")
        return self.head(x.mean(dim=(2, 3)))


def test_memory_that_runs_out_leaves_the_statistics_of_the_trials_alone():
    model = Hungry()
    with pytest.raises(TrainingError, match="8 pictures a step do not fit in memory; 4 would: take batch_size=4"):
        fit(model, shades(), recipe=SHORT, progress=False)
    assert model.norm.num_batches_tracked == 1  # the step that failed, and none of the trials
    with pytest.raises(RuntimeError):
        step_memory(model, shades().images[0], 8, train=True)
    assert model.norm.num_batches_tracked == 1


# a validation split


@pytest.mark.parametrize("given", [True, False])
def test_the_epoch_is_chosen_by_validation_and_tested_once(given, tmp_path):
    asked = []
    recipe = Recipe(epochs=5, batch_size=8, lr=5e-3, floor=0.5, validation=0.0 if given else 0.25)

    def run(model, **more):
        valid = shades(16, seed=3) if given else None
        return fit(model, shades(40), shades(20, seed=4), recipe, valid=valid, progress=False, **more)

    model = vit()
    history = run(model, watch=lambda seen: asked.append(len(seen.test_accuracy)))
    assert asked == [0] * 5 and len(history.valid_accuracy) == 5 and len(history.test_accuracy) == 1
    best = history.valid_accuracy[history.best - 1]
    assert best == max(history.valid_accuracy) and best not in history.valid_accuracy[history.best :]
    held = shades(16, seed=3) if given else shades(40).split(4, recipe.seed)[1]
    assert evaluate(model, held) == best and evaluate(model, shades(20, seed=4)) == history.test_accuracy[0]
    assert f"best epoch: {history.best}, test {history.test_accuracy[0]:.1%}" in str(history)
    assert "valid" in history.plot().description

    class Stop(Exception):
        pass

    def stop(seen) -> None:
        if len(seen) == 3:
            raise Stop

    with pytest.raises(Stop):
        run(vit(), save=tmp_path / "run.safetensors", watch=stop)
    resumed = vit()
    again = run(resumed, save=tmp_path / "run.safetensors")
    assert again.valid_accuracy == history.valid_accuracy and not moved(resumed, state(model))


def test_two_ways_to_validate_are_one_too_many():
    with pytest.raises(ValueError, match="valid is given, and the recipe keeps back 20% too: choose one"):
        fit(vit(), shades(), recipe=Recipe(validation=0.2), valid=shades(), progress=False)


def test_a_share_that_keeps_no_picture_back_is_refused():
    with pytest.raises(ValueError, match=r"validation is 0.1, less than one of the 4 pictures: expected at least 0.25"):
        fit(vit(), shades(4), recipe=Recipe(validation=0.1), progress=False)


def test_where_a_run_cannot_be_saved_is_said_before_it_begins(tmp_path):
    watched = []
    for path, error in (("none/run.safetensors", FileNotFoundError), ("run.ckpt", CheckpointError)):
        with pytest.raises(error):
            fit(vit(), shades(), recipe=SHORT, save=tmp_path / path, watch=watched.append, progress=False)
    assert not watched
    fit(vit(), shades(), recipe=SHORT, save=str(tmp_path / "run.safetensors"), progress=False)
    assert (tmp_path / "run.safetensors").exists()


def test_a_fresh_hybrid_still_learns_its_statistics():
    model = hybrid()
    before = state(model)
    fit(model, shades(), recipe=SHORT, progress=False)
    assert any("running_mean" in name for name in moved(model, before))


def test_a_compiled_model_trains_to_the_same_bits():
    root = Path(__file__).parents[3]
    told = subprocess.run(
        [sys.executable, "-c", COMPILED], env={"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}, cwd=root,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
