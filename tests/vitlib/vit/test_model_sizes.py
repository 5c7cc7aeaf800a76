"""A model for pictures of another size, and pictures and choices that are refused."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.vitlib.vit.test_model import make, pictures
from vitlib.vit.resize import resize_positions


@pytest.mark.parametrize("prefix_positions", ["all", "cls", "none"])
def test_a_resized_model_has_resized_positions_and_the_same_weights(prefix_positions: str) -> None:
    model = make(reg_tokens=2, prefix_positions=prefix_positions, resize="hf")
    other = model.resized((16, 8))
    assert other.config.image_size == (16, 8)
    rows = model.config.prefix_rows
    assert torch.equal(other.pos_embed, resize_positions(model.pos_embed, (2, 6), (4, 4), "hf", rows))
    assert torch.equal(other.head.weight, model.head.weight)
    assert other(torch.zeros(1, 2, 16, 8)).shape == (1, 5)
    assert model(pictures()).shape == (3, 5)  # the model itself is as it was


@pytest.mark.parametrize("positions", ["sincos1d", "sincos2d", "none"])
def test_positions_that_are_not_learned_are_made_anew(positions: str) -> None:
    other = make(positions=positions).resized((16, 8))
    fresh = make(positions=positions, image_size=(16, 8))
    assert torch.equal(other(torch.ones(1, 2, 16, 8)), fresh(torch.ones(1, 2, 16, 8)))


# Bad input


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(2, 8, 12), r"\(2, 8, 12\): expected torch.float32 \(B, 2, 8, 12\); images\[None\]"),
        (torch.zeros(1, 3, 8, 12), r"expected torch.float32 \(B, 2, 8, 12\); .* create the model with in_chans=3"),
        (
            torch.zeros(1, 2, 12, 8),
            r"\(1, 2, 12, 8\): expected .*; resize .*, or take model.resized\(\(12, 8\)\)",
        ),
        (torch.zeros(1, 2, 8, 10), r"\(1, 2, 8, 10\): expected .*; resize the images"),
        (torch.zeros(1, 2, 8, 12, dtype=torch.uint8), "torch.uint8 .*: expected torch.float32 .*; scale them to 0…1"),
        (torch.zeros(1, 2, 8, 12, dtype=torch.float64), r"torch.float64 .*; call images.to\(torch.float32\)"),
    ],
)
def test_pictures_that_the_model_was_not_made_for_are_refused(images: Tensor, words: str, as_a_learner: None) -> None:
    with pytest.raises(ValueError, match=words):
        make()(images)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"num_heads": 5}, "5 heads cannot share a width of 16; 2, 4, 8 heads can"),
        ({"patch_size": 16}, "patch 16 × 16 is larger than the image, 8 × 12 pixels"),
        ({"patch_size": 5}, "8×12 pixels: not a multiple of patch 5; choose 5×10 or another patch"),
        ({"depth": 0}, "depth is 0: expected at least 1"),
        ({"class_token": False}, 'global_pool "token" reads the CLS token'),
        ({"positions": "rope"}, "positions is 'rope': expected one of 'learned', 'sincos1d', 'sincos2d', 'none'"),
        ({"global_pool": "max"}, "global_pool is 'max': expected one of 'token', 'avg', 'map'"),
        ({"mean": (0.5, 0.5, 0.5)}, "mean has 3 numbers: expected 1, or 2, one a channel"),
        ({"mean": (0.5, 0.5), "in_chans": 1}, "mean has 2 numbers: expected one number"),
        ({"positions": "sincos2d", "embed_dim": 18, "num_heads": 2}, "width is 18: .* choose 20"),
        ({"num_classes": 2, "class_names": ("cat", "cat")}, "class_names has 'cat' twice"),
    ],
)
def test_choices_that_cannot_go_together_are_refused(choices: dict[str, Any], words: str, as_a_learner: None) -> None:
    with pytest.raises(ValueError, match=words):
        make(**choices)
