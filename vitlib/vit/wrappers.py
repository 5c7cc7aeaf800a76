"""The model inside a wrapper (torch.compile, DataParallel, an average of weights), and the mode that it is in."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from vitlib.vit.checks import require_kind


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside any wrappers, with its configuration and with parameter names without a prefix.

    >>> unwrapped(DataParallel(nn.Linear(2, 1)))
    Linear(in_features=2, out_features=1, bias=True)

    Errors: TypeError for what is not a model, such as a name or a state dict.
    """
    require_kind("model", model, nn.Module)
    while True:
        if isinstance(model, (DataParallel, DistributedDataParallel, AveragedModel)):
            model = model.module
        elif "_orig_mod" in model._modules:  # torch.compile
            model = model.get_submodule("_orig_mod")
        else:
            return model


def require_numbers(model: nn.Module) -> None:
    """ValueError for a model on the meta device, which has shapes and no numbers."""
    empty = next((name for name, each in unwrapped(model).named_parameters() if each.is_meta), None)
    if empty:
        raise ValueError(
            f"{empty} is on the meta device, which keeps shapes without numbers; create the model on a real device, "
            'or call model.to_empty(device="cpu") and load weights'
        )


@contextmanager
def in_mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Inside the block every part of the model is in training mode, or none is; afterwards each is as it was."""
    modes = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
