"""The models that come with vitlib: their weights fit, and their cards say what one must know of them."""

import pytest
import torch

from vitlib.models import create
from vitlib.trained import card, trained_models, weights_of
from vitlib.weights import CheckpointError, files

NAMES = trained_models()
CIFAR = "vit_cifar_patch4_32"


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_fit_and_are_small(name):
    model = create(name, pretrained=True)
    tensors, _ = files.read(weights_of(name))
    assert {each.dtype for each in tensors.values()} == {torch.float16}
    assert {each.dtype for each in model.parameters()} == {torch.float32}
    assert weights_of(name).stat().st_size < 6_000_000  # bytes
    assert all(torch.equal(tensors[each].float(), tensor) for each, tensor in model.state_dict().items())
    assert not model.training


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_how_it_was_made(name):
    model, made = create(name, pretrained=True), card(name)
    assert made["model"] == name
    assert 0.5 < made["test_accuracy"] < 1
    assert len(made["classes"]) == model.config.num_classes
    assert (tuple(made["mean"]), tuple(made["std"])) == (model.config.mean, model.config.std)
    assert made["seconds"] > 0 and made["hardware"] and made["data"] and made["seed"] == 0
    assert [stage["side"] for stage in made["stages"]][-1] == model.config.image_size[0]
    assert made["stages"][-1]["history"]["test_accuracy"][-1] == pytest.approx(made["test_accuracy"], abs=2e-3)


def test_trained_weights_serve_other_sizes_and_other_classes():
    small, large = create(CIFAR, pretrained=True), create(CIFAR, pretrained=True, image_size=48)
    assert large.pos_embed.shape == (1, 1 + 12 * 12, 192)
    assert torch.equal(small.head.weight, large.head.weight)
    other = create(CIFAR, pretrained=True, num_classes=3, seed=0)
    assert other.head.weight.shape == (3, 192)
    assert torch.equal(small.blocks[0].attn.qkv.weight, other.blocks[0].attn.qkv.weight)


def test_what_has_no_trained_weights_names_what_has():
    with pytest.raises(ValueError, match=r"brings no weights for 'vit_base_patch16_224', only for vit_cifar_patch4_32"):
        create("vit_base_patch16_224", pretrained=True)
    with pytest.raises(CheckpointError, match="reg_tokens is 4 in the model and 0 in the checkpoint"):
        create(CIFAR, pretrained=True, reg_tokens=4)


def test_the_trained_model_knows_its_classes_by_name() -> None:
    assert create("vit_cifar_patch4_32", pretrained=True).config.class_names[3] == "cat"
    assert create("vit_cifar_patch4_32", 2, pretrained=True).config.class_names == ()
