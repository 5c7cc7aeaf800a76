"""Classes are compared by name: in training, in testing, in what is answered and in what is saved."""

import pytest
import torch
from torch import nn

import vitlib
from tests.vitlib.training.zoo import EVERY, shades, vit
from vitlib.data.pictures import Pictures
from vitlib.training.classes import class_names, name_classes
from vitlib.training.finetune import finetune, with_new_head
from vitlib.training.fit import Recipe, evaluate, fit
from vitlib.training.predict import predict

NAMES = ("ant", "bear", "cat")
SHORT = Recipe(epochs=6, batch_size=8, lr=5e-3)


def as_named(pictures: Pictures, names: tuple[str, ...]) -> Pictures:
    """The pictures of these classes alone, labelled in this order, as a folder with other sub-folders has them."""
    places = [pictures.classes.index(name) for name in names]
    kept = pictures.take(torch.isin(pictures.labels, torch.tensor(places)).nonzero()[:, 0])
    return Pictures(kept.images, torch.tensor([places.index(each) for each in kept.labels.tolist()]), names)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return shades(48, NAMES)


@pytest.fixture(scope="module")
def trained(pictures):
    model = vit(3)
    history = fit(model, pictures, recipe=SHORT, progress=False)
    assert history.train_accuracy[-1] > 0.9
    return model


@pytest.mark.parametrize("names", [("bear", "cat"), ("cat",), ("cat", "ant", "bear")])
def test_other_folders_are_tested_by_name(pictures, trained, names):
    assert evaluate(trained, as_named(pictures, names)) == 1.0
    history = fit(vit(3), pictures, as_named(pictures, names), SHORT, progress=False)
    assert history.test_accuracy[-1] == 1.0
    assert fit(vit(3), pictures, None, SHORT, valid=as_named(pictures, names), progress=False).valid_accuracy[-1] == 1.0


def test_training_goes_on_with_pictures_in_another_order(pictures):
    model = vit(3)
    fit(model, pictures, recipe=SHORT, progress=False)
    fit(model, as_named(pictures, ("cat", "ant")), recipe=Recipe(epochs=1, batch_size=8), progress=False)
    assert class_names(model) == NAMES and evaluate(model, pictures) > 0.6


def test_pictures_of_an_unknown_class_are_refused_by_name(pictures, trained):
    other = Pictures(pictures.images, pictures.labels, ("zebra", "bear", "cat"))
    for call in (
        lambda: evaluate(trained, other),
        lambda: fit(vit(3), pictures, other, SHORT, progress=False),
        lambda: fit(trained, other, recipe=SHORT, progress=False),
        lambda: finetune(vit(5), pictures, other, SHORT, progress=False),
    ):
        with pytest.raises(ValueError, match=r"pictures of zebra, and the classes are ant, bear, cat"):
            call()
    more = Pictures(pictures.images, pictures.labels, (*NAMES, "zebra"))  # of which there is no picture
    assert evaluate(trained, more) == 1.0


def test_a_model_without_names_is_not_asked_about_another_number_of_classes(pictures):
    with pytest.raises(ValueError, match="the model has 5 logits and the pictures have 3 classes"):
        evaluate(vit(5), pictures)


@pytest.mark.parametrize("name", EVERY)
def test_every_model_learns_the_names(name):
    model = EVERY[name]()
    fit(model, shades(16), recipe=Recipe(epochs=1, batch_size=8), progress=False)
    assert class_names(model) == ("dark", "light")
    plain = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
    fit(plain, shades(16), recipe=Recipe(epochs=1, batch_size=8), progress=False)
    assert class_names(plain) == ("dark", "light")


def test_names_travel_with_the_weights_and_end_with_the_head(trained, tmp_path):
    vitlib.save(trained, tmp_path / "model.safetensors")
    loaded = vitlib.load(tmp_path / "model.safetensors")
    assert class_names(loaded) == NAMES and class_names(trained.resized((32, 32))) == NAMES
    assert class_names(vitlib.load(tmp_path / "model.safetensors", num_classes=3)) == NAMES
    assert class_names(vitlib.load(tmp_path / "model.safetensors", num_classes=4)) == ()
    assert class_names(with_new_head(trained, 2)) == ()
    for call in (lambda: name_classes(vit(3), ("a", "b")), lambda: vit(3, class_names=("a", "b"))):
        with pytest.raises(ValueError, match="class_names has 2 names: expected 3"):
            call()


@pytest.mark.usefixtures("as_a_learner")
def test_names_that_are_not_one_for_each_logit_name_nothing(pictures):
    plain = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 3))
    name_classes(plain, ("ant", "bear"))  # how many logits it has, nothing says
    for call in (lambda: predict(plain, pictures.images, top=1), lambda: evaluate(plain, pictures)):
        with pytest.raises(ValueError, match="class_names has 2 names: expected 3"):
            call()
    for names in ("abc", (0, 1, 2)):
        with pytest.raises(TypeError, match=r"names are .*: expected words"):
            name_classes(plain, names)


def test_answers_are_readable(pictures, trained):
    guesses = predict(trained, pictures.images[:3], top=2)
    assert [each[0].name for each in guesses] == list(NAMES)
    shares = predict(trained, pictures.images[:3], probabilities=True)
    assert torch.allclose(shares.sum(dim=1), torch.ones(3)) and guesses[0][0].probability == shares[0].max().item()
    assert predict(vit(3), pictures.images[:1], top=3)[0][0].name in "012"
    with pytest.raises(ValueError, match=r"top is 4, and the model answers \(1, 3\)"):
        predict(trained, pictures.images[:1], top=4)


def test_a_rare_class_counts_as_much_as_a_frequent_one(pictures, trained):
    ants = (pictures.labels == 0).nonzero()[:, 0]
    with torch.no_grad():
        blind = vit(3)
        nn.init.zeros_(blind.head.weight)
        nn.init.zeros_(blind.head.bias)
        blind.head.bias[0] = 1.0  # whatever it sees is an ant
    many = pictures.take(torch.cat([ants, torch.tensor([1, 2])]))
    assert evaluate(blind, many) == pytest.approx(16 / 18) and evaluate(blind, many, balanced=True) == pytest.approx(
        1 / 3
    )
    rare = pictures.take(torch.cat([ants, ants, ants, torch.tensor([1, 2, 4, 5])]))
    recipe = Recipe(epochs=10, batch_size=13, lr=5e-3, label_smoothing=0.0)
    fair = vit(3)
    history = fit(fair, rare, pictures, Recipe(**vars(recipe) | {"balanced": True}), progress=False)
    assert history.test_accuracy[-1] == evaluate(fair, pictures, balanced=True)


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(ValueError, match="classes name 'cat' twice"):
        Pictures(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.tensor([0]), ("cat", "cat"))
