"""Chapter 7: the accuracy of a model."""

import torch
from torch import nn

from vitlib.data.pictures import Pictures
from vitlib.device import Amp
from vitlib.training.classes import same_classes
from vitlib.training.predict import predict, require_largest
from vitlib.vit.checks import require_kind, require_size


def evaluate(
    model: nn.Module, pictures: Pictures, batch_size: int = 512, amp: Amp = False, balanced: bool = False
) -> float:
    """The accuracy, 0…1: the share of pictures that the model classifies correctly, in evaluation mode.

    A model that knows the names of its classes (`fit` stores them) is compared by name, so the pictures may have the
    classes in another order, or lack some. `balanced`: the mean of the accuracies of all classes, in which a rare class
    counts as much as a frequent one.

    >>> from vitlib.models import create
    >>> blank = Pictures(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.zeros(4).long(), tuple("0123456789"))
    >>> evaluate(create("vit_digits_patch2_8"), blank) in (0.0, 1.0)  # all four alike
    True

    Errors: ValueError for no pictures, for outputs that are not logits [N, K], for pictures of classes that the model
    does not know, and for NaN logits; those of `predict`.
    """
    require_kind("pictures", pictures, Pictures)
    require_size("batch_size", batch_size)
    if not len(pictures):
        raise ValueError("there are no pictures: expected at least one")
    parts = pictures.images.split(batch_size)
    logits = torch.cat([predict(model, part, batch_size, amp) for part in parts])  # a part is no long wait: no bar
    labels = same_classes(model, pictures, logits).labels
    require_largest(logits)
    right = logits.argmax(dim=1) == labels
    if not balanced:
        return int(right.sum()) / len(right)
    seen, found = (each.bincount(minlength=logits.shape[1]).double() for each in (labels, labels[right]))
    return float((found[seen > 0] / seen[seen > 0]).mean())
