"""A trained model asked, in batches."""

import pytest
import torch
from torch import nn

from vitlib.data.datasets import digits, normalise
from vitlib.data.pictures import normalisation
from vitlib.models import create
from vitlib.training.predict import in_mode, predict


def modes(model):
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("batch", [1, 7, 20, 1000])
def test_the_batch_changes_no_answer(batch):
    model, images = create("vit_digits_patch2_8", seed=0), digits()[1].images[:20]
    together = model.eval()(normalise(images, (0.5,), (0.5,)))
    assert torch.allclose(predict(model, images, batch), together, atol=1e-5)


def test_bytes_are_normalised_as_the_model_was_trained_and_floats_are_taken_as_they_are():
    model = create("vit_digits_patch2_8", seed=0, mean=(0.2,), std=(0.4,))
    images = digits()[1].images[:5]
    assert torch.equal(predict(model, images), predict(model, (images.float() / 255 - 0.2) / 0.4))
    assert not torch.allclose(predict(model, images), predict(model, images / 255), atol=1e-3)


def test_a_model_without_a_configuration_gets_pixels_from_minus_one_to_one():
    assert normalisation(nn.Flatten()) == ((0.5,), (0.5,))
    images = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)
    assert predict(nn.Flatten(), images).tolist() == [[-1.0, 1.0]]


def test_amp_computes_in_half_the_bits_and_answers_in_all():
    model, images = create("vit_digits_patch2_8", seed=0), digits()[1].images[:9]
    exact, half = predict(model, images), predict(model, images, amp=True)
    assert half.dtype == torch.float32 and not torch.equal(half, exact)
    assert torch.allclose(half, exact, atol=0.05)


def test_a_model_is_asked_in_evaluation_mode_and_left_as_it_was():
    model = create("vit_digits_patch2_8", seed=0, dropout=0.5)
    model.train()
    model.blocks[0].eval()  # as in partial fine-tuning
    before, images = modes(model), digits()[1].images[:4]
    assert torch.equal(predict(model, images), predict(model, images))
    assert modes(model) == before
    with pytest.raises(ValueError), in_mode(model, training=False):
        raise ValueError
    assert modes(model) == before


@pytest.mark.usefixtures("as_a_learner")
def test_predict_says_what_is_wrong():
    model = create("vit_digits_patch2_8")
    with pytest.raises(ValueError, match="there are no images: expected at least one"):
        predict(model, torch.zeros(0, 1, 8, 8))
    with pytest.raises(ValueError, match=r"expected four axes, \(B, C, H, W\); add the batch axis"):
        predict(model, torch.zeros(1, 8, 8))
    with pytest.raises(ValueError, match=r"take model.resized\(\(9, 9\)\)"):
        predict(model, torch.zeros(1, 1, 9, 9, dtype=torch.uint8))
    with pytest.raises(ValueError, match="batch_size is 0: expected at least 1"):
        predict(model, torch.zeros(1, 1, 8, 8), batch_size=0)


class Glutton(nn.Module):
    """Asks for more memory than any machine has when it is given more than `most` pictures."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images):
        torch.empty(10**15 if len(images) > self.most else 1)
        return images.flatten(1) * self.weight


def test_too_large_a_batch_says_who_finds_one_that_fits():
    with pytest.raises(torch.OutOfMemoryError, match=r"8 pictures at a time do not fit.*largest_batch finds"):
        predict(Glutton(most=7), torch.zeros(8, 1, 2, 2), batch_size=8)


class Record(nn.Module):
    """It answers as models of other libraries do."""

    def forward(self, images):
        return {"logits": images.flatten(1)}


@pytest.mark.usefixtures("as_a_learner")
def test_answers_that_are_no_logits_are_named():
    images = torch.zeros(2, 1, 8, 8)
    with pytest.raises(TypeError, match=r"the Record answers with a dict: expected a tensor of logits"):
        predict(Record(), images)
    features = create("vit_digits_patch2_8", num_classes=0)
    assert predict(features, images).shape == (2, 48)
    for more in ({"top": 1}, {"probabilities": True}):
        with pytest.raises(ValueError, match="has no classifier, and answers with features"):
            predict(features, images, **more)
