"""Chapter 7: the trained models that come with vitlib: a file of weights for each, in half precision, and its card.

The card says where the weights come from: the recipe, the data, the accuracy, the time and the hardware.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def trained_models() -> list[str]:
    """The names for which `create(name, pretrained=True)` has weights.

    >>> trained_models()
    ['vit_cifar_patch4_32']
    """
    return sorted(path.stem for path in HERE.glob("*.safetensors"))


def weights_of(name: str) -> Path:
    """The file of a trained model's weights.

    Errors: ValueError for a name without weights; it names those that have.
    """
    _require(name)
    return HERE / f"{name}.safetensors"


def card(name: str) -> dict[str, Any]:
    """How a model was trained, and how good it is.

    >>> made = card("vit_cifar_patch4_32")
    >>> made["classes"][3], made["seed"]
    ('cat', 0)

    Errors: ValueError for a name without weights; it names those that have.
    """
    _require(name)
    return json.loads((HERE / f"{name}.json").read_text())


def _require(name: str) -> None:
    if name not in trained_models():
        raise ValueError(
            f"vitlib brings no weights for {name!r}, only for {', '.join(trained_models())}; leave pretrained out, or "
            "load a checkpoint with vitlib.weights.load"
        )
