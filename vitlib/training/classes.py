"""Chapter 7: the classes that logits stand for. A model stores their names, and labels are matched by name."""

from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

from torch import Tensor, nn

from vitlib.data.pictures import Pictures
from vitlib.vit.config import check_class_names
from vitlib.vit.wrappers import unwrapped


def class_names(model: nn.Module) -> tuple[str, ...]:
    """The names of the classes, in the order of the logits; () if the model has none."""
    bare = unwrapped(model)
    config = getattr(bare, "config", None)
    return tuple(getattr(config, "class_names", ()) or getattr(bare, "class_names", ()))


def name_classes(model: nn.Module, names: tuple[str, ...]) -> None:
    """Store the names of the classes in the model: in its configuration, which `save` writes, or as an attribute.

    Errors: TypeError for names that are not strings; ValueError for a name that occurs twice, and for another number of
    names than logits.
    """
    bare = unwrapped(model)
    given: object = names
    if not isinstance(given, (tuple, list)) or not all(isinstance(name, str) for name in given):
        raise TypeError(f'names are {names!r}: expected words, such as ("cat", "dog")')
    names, own = tuple(names), cast(Any, getattr(bare, "config", None))
    check_class_names(names, own.num_classes if _named(own) else len(names))
    for module in bare.modules():  # the model, and a ViT inside it that gives the same logits
        config: Any = getattr(module, "config", None)
        if _named(config) and len(names) in (0, config.num_classes):
            module.config = replace(config, class_names=names)
    if not _named(getattr(bare, "config", None)):
        bare.class_names = names  # type: ignore[assignment]


def same_classes(model: nn.Module, pictures: Pictures, answers: Tensor) -> Pictures:
    """The same pictures, with labels that are indices of the model's logits. `answers` is any output of the model.

    Errors: ValueError for outputs that are not logits [N, K], for pictures of a class that the model does not know,
    and, if it has no names, for another number of classes than logits.
    """
    if answers.ndim != 2:
        raise ValueError(f"the model answers {tuple(answers.shape)}: expected (N, K), a logit for each class")
    names, logits = class_names(model), answers.shape[1]
    if names:
        check_class_names(names, logits)
        return pictures.aligned(names)
    if logits != len(pictures.classes):
        raise ValueError(
            f"the model has {logits} logits and the pictures have {len(pictures.classes)} classes; create it with "
            f"num_classes={len(pictures.classes)}, or tell it the names of its classes with name_classes(model, names)"
        )
    return pictures


def _named(config: Any) -> bool:
    return is_dataclass(config) and "class_names" in {field.name for field in fields(config)}
