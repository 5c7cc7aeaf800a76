"""Chapter 7: which logit means which class. A model stores the names of its classes; pictures are matched by name."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

from torch import nn

from vitlib.data.pictures import Pictures
from vitlib.vit.wrappers import unwrapped


def class_names(model: nn.Module) -> tuple[str, ...]:
    """The names of the classes, in the order of the logits; () where the model does not know them."""
    bare = unwrapped(model)
    config = getattr(bare, "config", None)
    return tuple(getattr(config, "class_names", ()) or getattr(bare, "class_names", ()))


def name_classes(model: nn.Module, names: tuple[str, ...]) -> None:
    """Store the names of the classes in the model: in its configuration, which `save` writes, or as an attribute."""
    bare = unwrapped(model)
    for module in bare.modules():  # the model, and a ViT inside it that gives the same logits
        config: Any = getattr(module, "config", None)
        if _named(config) and len(names) in (0, config.num_classes):
            module.config = replace(config, class_names=names)
    if not _named(getattr(bare, "config", None)):
        bare.class_names = names  # type: ignore[assignment]


def same_classes(model: nn.Module, pictures: Pictures, logits: int) -> Pictures:
    """The pictures, with the index of the logit of their class as labels.

    Errors: ValueError for pictures of a class that the model does not know; and, where it knows no names, for another
    number of classes than it has logits.
    """
    names = class_names(model)
    if names:
        return pictures.aligned(names)
    if logits != len(pictures.classes):
        raise ValueError(
            f"the model has {logits} logits and the pictures have {len(pictures.classes)} classes; create it with "
            f"num_classes={len(pictures.classes)}, or tell it the names of its classes with name_classes(model, names)"
        )
    return pictures


def _named(config: Any) -> bool:
    return is_dataclass(config) and "class_names" in {field.name for field in fields(config)}
