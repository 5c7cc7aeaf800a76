"""What the commands share: a model by name or file, names on a terminal, and what can go wrong."""

import warnings
from typing import Any

import torch

from vitlib.device import best_device
from vitlib.models import create, list_models
from vitlib.trained import trained_models
from vitlib.training.fit import TrainingError
from vitlib.weights import load

FAILURES = (ValueError, OSError, TrainingError, torch.OutOfMemoryError)  # told in a line; anything else is a bug


def opened(model: str, device: str | None, fresh: bool = False) -> Any:
    """The model of that name with its trained weights, or the one in that file. `fresh` allows random weights.

    Errors: those of `create` and `load`; ValueError for a device that is not there.
    """
    try:
        place = best_device(device)
    except RuntimeError as error:
        raise ValueError(str(error)) from None
    if model in list_models():
        trained = model in trained_models()
        if fresh and not trained:
            warnings.warn(f"{model} has no trained weights here: it learns from nothing but your photos", stacklevel=2)
        return create(model, seed=0, pretrained=trained or not fresh).to(place)
    return load(model, dtype=torch.float32, device=place)


def shown(words: str) -> str:
    r"""The text with control characters, such as line breaks and terminal codes, written as escapes.

    >>> print(shown("a\nb\x1b[2J é 猫 \udcff"))
    a\nb\x1b[2J é 猫 \udcff
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in words)
