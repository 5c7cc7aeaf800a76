"""The photos that come with vitlib: small, with their terms, and known to the model that comes with it."""

import pytest
import torch

from vitlib.data.photos import PHOTOS
from vitlib.data.samples import PICTURES, picture
from vitlib.models import create
from vitlib.trained import card
from vitlib.training.predict import predict
from vitlib.widgets.attention_view import middle

CIFAR = "vit_cifar_patch4_32"
FREE = ("CC0 1.0, https://", "CC BY 2.5, https://", "public domain")


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_is_small_and_says_whose_it_is_and_what_it_shows(name: str) -> None:
    source = PICTURES[name]
    assert picture(name).shape == (3, 480, 480) and "480 × 480 pixels" in source.shows
    assert source.path.stat().st_size <= 60_000  # bytes
    assert source.licence.startswith(FREE) and "https://" in source.author
    assert source.kind in card(CIFAR)["classes"]


def test_the_trained_model_knows_the_photos_of_at_least_six_classes() -> None:
    seen = torch.stack([middle(picture(name), (32, 32)) for name in PHOTOS])
    classes = card(CIFAR)["classes"]
    said = [classes[number] for number in predict(create(CIFAR, pretrained=True), seen).argmax(dim=1).tolist()]
    right = {source.kind for source, word in zip(PHOTOS.values(), said, strict=True) if word == source.kind}
    assert len(right) >= 6, dict(zip(PHOTOS, said, strict=True))
