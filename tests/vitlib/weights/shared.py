"""Small models, and what the tests of checkpoints do with them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.vitlib.reference.make import images, weights
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT
from vitlib.weights import CheckpointError

TINY = ViTConfig((32, 32), 8, num_classes=5, embed_dim=32, depth=2, num_heads=4)
# a model that each layout can hold as it is: what its own library computes with
FITTING = {
    "timm": TINY,
    "torchvision": TINY,
    "hf": TINY,
    "hf-disk": TINY,
    "dinov2": replace(TINY, num_classes=0, reg_tokens=3, prefix_positions="cls", layer_scale=1.0),
    "hf-dinov2": replace(TINY, num_classes=0, reg_tokens=3, prefix_positions="cls", layer_scale=1.0),
    "google": replace(TINY, gelu="tanh"),
    "big_vision": replace(TINY, gelu="tanh", class_token=False, global_pool="map"),
}


def made(config: ViTConfig) -> ViT:
    """A model whose every parameter is far from its initial value."""
    model = ViT(config)
    model.load_state_dict(weights({name: tuple(each.shape) for name, each in model.state_dict().items()}))
    return model.eval()


def tensors(config: ViTConfig = TINY) -> dict[str, Tensor]:
    return made(config).state_dict()


def pictures(config: ViTConfig = TINY) -> Tensor:
    return images(config.in_chans, *config.image_size)


def assert_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype and torch.equal(tensor, theirs[name]), name


def refusal(make: Callable[[], object]) -> str:
    with pytest.raises(CheckpointError) as caught:
        make()
    return str(caught.value)
