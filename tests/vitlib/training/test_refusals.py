"""What cannot be is refused by name, before any training; and memory that runs out."""

import math

import pytest
import torch
from torch import nn

from tests.vitlib.training.zoo import BACKBONES, EVERY, WRAPPED, moved, shades, state, vit
from vitlib.data.pictures import Pictures
from vitlib.diagnose import examine
from vitlib.training.batch_size import step_memory
from vitlib.training.classes import name_classes
from vitlib.training.finetune import finetune, with_new_head
from vitlib.training.fit import Recipe, TrainingError, evaluate, fit
from vitlib.training.memory import checkpointed
from vitlib.training.muon import Muon
from vitlib.training.predict import predict
from vitlib.vit.attention_maps import attention_gradients, attention_maps
from vitlib.vit.logit_lens import readout
from vitlib.vit.model import ViT
from vitlib.weights import save

SHORT = Recipe(epochs=2, batch_size=8, lr=3e-3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 1.5), ("batch_size", True), ("lr", math.nan), ("lr", math.inf), ("ema", 1), ("erase", -1),
        ("layer_decay", 1.5), ("weight_decay", math.inf), ("mixup", -0.1), ("amp", "int8"), ("validation", 0.6),
        ("seed", 0.5), ("seed", 2**70), ("warmup", math.nan), ("optimizer", "sgd"), ("flip", "no"), ("balanced", 1),
        ("randaugment", 11), ("randaugment", 0.5),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("as_a_learner")
def test_a_recipe_out_of_range_names_the_field(field, value):
    with pytest.raises(ValueError, match=f"{field} is {value!r}: expected"):
        Recipe(**{field: value})


@pytest.mark.parametrize("train", [fit, lambda model, pictures: finetune(model, pictures, progress=False)])
def test_a_single_class_is_nothing_to_learn(train):
    pictures = shades()
    alone = Pictures(pictures.images, torch.zeros_like(pictures.labels), ("grey",))
    with pytest.raises(ValueError, match="all pictures are of the only class there is, 'grey'"):
        train(vit(num_classes=1), alone)


@pytest.mark.usefixtures("as_a_learner")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (lambda model, pictures: ("vit", pictures), "model is a str: expected torch.nn"),
        (lambda model, pictures: (model, pictures.images), "train is a Tensor: expected vitlib.data.pictures.Pictures"),
        (lambda model, pictures: (model, pictures, None, {"epochs": 1}), "recipe is a dict: expected vitlib"),
        (lambda model, pictures: (model, pictures, (pictures.images, pictures.labels)), "test is a tuple: expected"),
    ],
)
def test_arguments_of_another_kind_are_named(arguments, said):
    for train in (fit, finetune):
        with pytest.raises(TypeError, match=said):
            train(*arguments(vit(), shades()))


@pytest.mark.usefixtures("as_a_learner")
@pytest.mark.parametrize(
    "ask",
    [
        lambda model: predict(model, shades().images), lambda model: evaluate(model, shades()),
        lambda model: attention_maps(model, torch.zeros(1, 3, 16, 16)), lambda model: readout(model, shades().images),
        lambda model: step_memory(model, shades().images[0], 1), lambda model: save(model, "model.safetensors"),
        lambda model: name_classes(model, ("dark", "light")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("other", ["vit_digits_patch2_8", None, ViT, {}])
def test_what_is_no_model_is_named(ask, other):
    with pytest.raises(TypeError, match=f"model is a {type(other).__name__}: expected torch.nn"):
        ask(other)


@pytest.mark.parametrize("name", ["test", "valid"])
def test_pictures_to_measure_with_are_refused_before_the_training(name):
    """And not after an epoch, which may have taken an hour."""
    epochs = []
    for pictures, said in ((shades(0), f"no pictures in {name}"), (large(), r"resize the images, or take")):
        with pytest.raises(ValueError, match=said):
            fit(vit(), shades(), recipe=SHORT, watch=epochs.append, progress=False, **{name: pictures})
    assert not epochs


def large() -> Pictures:
    return Pictures(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.zeros(2).long(), ("dark", "light"))


def test_inference_mode_outside_does_not_stop_what_needs_gradients():
    model, expected = vit(), fit(vit(), shades(), recipe=SHORT, progress=False).loss
    healthy = [each.verdict for each in examine(model, shades()).findings]
    with torch.inference_mode():
        assert [each.verdict for each in examine(model, shades()).findings] == healthy
        assert step_memory(model, shades().images[0], 2, train=True) > 0
        assert attention_gradients(model, torch.zeros(1, 3, 16, 16)).shape == (1, 2, 2, 17, 17)
        assert fit(model, shades(), recipe=SHORT, progress=False).loss == expected
        assert finetune(model, shades(), recipe=SHORT, progress=False)[1].loss
        with pytest.raises(ValueError, match=r"made inside torch.inference_mode\(\)"):
            fit(vit(), shades(), progress=False)


@pytest.mark.usefixtures("as_a_learner")
def test_part_of_a_block_cannot_learn():
    with pytest.raises(ValueError, match=r"blocks is 1.5: expected 0 \(the head alone\) to"):
        finetune(vit(), shades(), blocks=1.5, progress=False)


@pytest.mark.parametrize("name", BACKBONES)
def test_an_answer_that_is_no_number_is_no_accuracy(name):
    model = BACKBONES[name]()
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    with pytest.raises(ValueError, match=r"\d+ of \d+ answers of the model are NaN"):
        evaluate(model, shades())
    with pytest.raises(ValueError, match=r"\d+ of \d+ answers of the model are NaN"):
        predict(model, shades().images, top=1)


@pytest.mark.usefixtures("as_a_learner")
def test_no_batch_is_no_batch():
    with pytest.raises(ValueError, match="batch_size is 0: expected at least 1"):
        evaluate(vit(), shades(), batch_size=0)
    for images, remedy in (
        (shades().images.numpy(), r"torch\.as_tensor\(images\) makes one"),
        ([*shades().images], r"torch\.stack\(images\) makes one"),
        (shades(), r"give what they hold, its \.images"),
    ):
        with pytest.raises(TypeError, match=f"images are a {type(images).__name__}: expected .*{remedy}"):
            predict(vit(), images)
    for pictures in (shades().images, (shades().images, shades().labels), None):
        with pytest.raises(TypeError, match=f"pictures is a {type(pictures).__name__}: expected vitlib"):
            evaluate(vit(), pictures)


@pytest.mark.usefixtures("as_a_learner")
def test_answers_for_places_are_no_logits():
    """Compared with labels [N], answers [N, K, 1, 1] would give N × N comparisons."""
    places = nn.Sequential(nn.Conv2d(3, 2, 16))
    for ask in (lambda: evaluate(places, shades()), lambda: fit(places, shades(), progress=False)):
        with pytest.raises(ValueError, match=r"the model answers \(\d+, 2, 1, 1\): expected \(N, K\)"):
            ask()


@pytest.mark.usefixtures("as_a_learner")
@pytest.mark.parametrize("amp", ["int8", torch.float16, None])
def test_a_precision_that_is_none_is_not_taken_for_another(amp):
    with pytest.raises(ValueError, match=r"amp is .*: expected True, False, 'bfloat16' or 'float16'"):
        predict(vit(), shades().images, amp=amp)


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
        with pytest.raises(ValueError, match=r"there are no (training )?pictures( in test)?: expected at least one"):
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
