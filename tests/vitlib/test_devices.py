"""None is the best device, and inputs follow the model.

torch's `meta` device stands in for a GPU: it is another device on every machine, and has shapes without numbers.
"""

from typing import Any

import pytest
import torch

from vitlib import device
from vitlib.models import create

SMALL: dict[str, dict[str, Any]] = {
    "vit_digits_patch2_8": {"image_size": 8},
    "swin_cifar_patch2_window4_32": {"embed_dim": 12, "depths": (1, 1, 1)},
    "convnext_cifar_32": {"dims": (8, 8, 8), "depths": (1, 1, 1)},
    "vitc_cifar_patch4_32": {"depth": 1},
}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A machine whose best device is not the CPU."""
    monkeypatch.setattr(device, "available_devices", lambda: ["meta", "cpu"])
    monkeypatch.delenv(device.VARIABLE, raising=False)
    return torch.device("meta")


@pytest.mark.parametrize("name", SMALL)
def test_models_are_made_on_the_best_device_and_images_follow_them(name: str, elsewhere: torch.device) -> None:
    model = create(name, **SMALL[name])
    assert {each.device for each in model.parameters()} == {elsewhere}
    images = torch.zeros(2, model.config.in_chans, *model.config.image_size)
    assert model(images).device == elsewhere


def test_the_environment_decides_where_no_argument_does(
    elsewhere: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(device.VARIABLE, "cpu")
    assert next(create("vit_digits_patch2_8").parameters()).device.type == "cpu"
