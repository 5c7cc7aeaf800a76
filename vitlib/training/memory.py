"""Chapter 7: what memory a training step needs, what to do when there is too little, and how to need less."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from vitlib.training.snapshot import TrainingError
from vitlib.vit.encoder import Block


@contextmanager
def checkpointed(model: nn.Module, wanted: bool = True) -> Iterator[None]:
    """Inside the block, an encoder block keeps only its input; the backward pass computes the rest again.

    Memory for activations falls from 16 numbers a token, width and block to one, for about a quarter more products.

    Errors: ValueError for a model without encoder blocks. Source: Chen et al., 2016, "Sublinear memory cost".
    """
    blocks = [module for module in model.modules() if isinstance(module, Block)] if wanted else []
    if wanted and not blocks:
        raise ValueError(f"a {type(model).__name__} has no encoder Block to checkpoint: leave checkpointing off")
    for block in blocks:
        setattr(block, "forward", partial(checkpoint, block.forward, use_reentrant=False))  # noqa: B010
    try:
        yield
    finally:
        for block in blocks:
            delattr(block, "forward")  # the class has its own


@contextmanager
def explained(step: Callable[[int], None], batch: int) -> Iterator[None]:
    """Where the memory runs out inside the block, a TrainingError says how many pictures would have fitted.

    `step(n)` does what a step does with n pictures; it is tried with half of them, and half again.
    """
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # what the failed step still holds
        fits = _largest(step, batch)
        remedy = f"{fits} would: take batch={fits}" if fits else "nor does a single one: take a smaller model"
        raise TrainingError(
            f"{batch} pictures a step do not fit in memory; {remedy}, or checkpointing=True, or amp=True "
            f"({str(error).splitlines()[0]})"
        ) from None


def out_of_memory(error: BaseException) -> bool:
    """Whether this is torch's way to say so: an error of its own on a CUDA device, words alone on a CPU.

    The last of them are oneDNN's, whose kernels find no room for themselves.
    """
    words = ("out of memory", "not enough memory", "can't allocate memory", "could not create a")
    return isinstance(error, torch.OutOfMemoryError) or any(each in str(error) for each in words)


def _largest(step: Callable[[int], None], batch: int) -> int:
    while batch := batch // 2:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            step(batch)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)
        else:
            return batch
    return 0
