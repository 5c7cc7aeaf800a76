"""`load_into`: load a checkpoint into an existing model."""

from dataclasses import asdict, replace
from typing import Any

from torch import nn

from vitlib.backbones.stages import Staged
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT
from vitlib.vit.wrappers import require_numbers, unwrapped
from vitlib.weights.check import differences
from vitlib.weights.files import CheckpointError
from vitlib.weights.fill import head_of
from vitlib.weights.loading import load
from vitlib.weights.sources import Source


def load_into(model: nn.Module, source: Source, *, new_head: bool = False, **options: Any) -> None:
    """Load a checkpoint's weights into a ViT, Hybrid, Swin or ConvNeXt.

    Positions are resized to the model's image size, the first layer is adapted to its channels, and tensors are
    converted to its dtype. Fields that the checkpoint does not have, such as heads and eps of a plain state dict, are
    taken from the model. With `new_head` the model keeps its own classifier. `options` are those of `load`. The
    checkpoint's normalisation and way of resizing are stored in the model's configuration; a Swin keeps its
    `convention`. The model stays on its device.

    Errors: those of `load`; TypeError for another kind of model; CheckpointError if the two models differ, with every
    field and both values.
    """
    target = plain_model(model)
    mine: Any = target.config
    given: dict[str, Any] = {"image_size": mine.image_size, "in_chans": mine.in_chans, "like": mine, "device": "cpu"}
    given["dtype"] = next(target.parameters()).dtype
    if isinstance(mine, ViTConfig):
        given["prefix_positions"] = mine.prefix_positions
        if mine.positions != "learned":
            given["positions"] = mine.positions
    loaded = load(source, num_classes=mine.num_classes if new_head else None, **given | options)
    if differing := differences(mine, loaded.config):
        fields = "; ".join(f"{f} is {here!r} in the model and {there!r} in the checkpoint"
                           for f, (here, there) in differing.items())  # fmt: skip
        remedy = "; new_head=True keeps the model's own head" if "num_classes" in differing else ""
        raise CheckpointError(
            f"the checkpoint is of another model: {fields}. Take vitlib.weights.load, which builds the model that "
            f"fits, or create one with these choices{remedy}"
        )
    target.load_state_dict(loaded.state_dict() | (head_of(target) if new_head else {}))
    taken = asdict(mine).keys() & {"mean", "std", "resize"}
    names = {} if new_head or not loaded.config.class_names else {"class_names": loaded.config.class_names}
    target.config = replace(mine, **{field: getattr(loaded.config, field) for field in taken}, **names)


def plain_model(model: nn.Module) -> Any:
    """The model inside torch.compile or data parallelism.

    Errors: TypeError for another kind of model, ValueError for one on the meta device.
    """
    bare = unwrapped(model)
    if not isinstance(bare, (ViT, Staged)):
        raise TypeError(f"this is a {type(bare).__name__}: expected a ViT, Hybrid, Swin or ConvNeXt of vitlib")
    require_numbers(bare)
    return bare
