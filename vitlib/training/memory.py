"""Chapter 7: what memory a training step needs, what to do when there is too little, and how to need less."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from vitlib.backbones.convnext import ConvNeXtBlock
from vitlib.backbones.token_merging import MergedViT
from vitlib.device import random_state_kept
from vitlib.training.search import largest
from vitlib.training.snapshot import TrainingError
from vitlib.vit.encoder import Block
from vitlib.vit.wrappers import unwrapped


@contextmanager
def checkpointed(model: nn.Module, wanted: bool = True) -> Iterator[None]:
    """Inside the block, each block of the model keeps only its input; the backward pass computes the rest again.

    Activations kept fall from about 16 · D numbers per token and block to D, for about a quarter more FLOPs.

    Errors: ValueError for a model without blocks of a ViT, Swin or ConvNeXt.
    Source: Chen et al., 2016, "Sublinear memory cost".
    """
    if not wanted:
        yield
        return
    blocks = [module for module in model.modules() if isinstance(module, (Block, ConvNeXtBlock))]
    if not blocks or any(isinstance(module, MergedViT) for module in model.modules()):
        why = "runs its blocks in halves" if blocks else "has no encoder Block to checkpoint"
        raise ValueError(f"a {type(unwrapped(model)).__name__} {why}: leave checkpointing off")
    blocks = [block for block in blocks if "forward" not in vars(block)]  # others are checkpointed already
    for block in blocks:
        setattr(block, "forward", partial(checkpoint, block.forward, use_reentrant=False))  # noqa: B010
    try:
        yield
    finally:
        for block in blocks:
            delattr(block, "forward")  # the class has its own


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """After the block, restore the model's buffers (running means), gradients and modes, and torch's random state.

    Weights are not restored.
    """
    buffers = [(each, each.clone()) for each in model.buffers()]
    gradients = [(each, each.grad) for each in model.parameters()]
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters()).device
    try:
        with random_state_kept(device):
            yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        for weight, gradient in gradients:
            weight.grad = gradient
        for module, mode in modes:
            module.training = mode


@contextmanager
def explained(step: Callable[[int], None], batch_size: int) -> Iterator[None]:
    """Where the memory runs out inside the block, a TrainingError says how many pictures would have fitted.

    `step(n)` does what a step does with n pictures.
    """
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # what the failed step still holds
        fits = largest(lambda few: goes_through(step, few), limit=batch_size - 1)
        remedy = f"{fits} would: take batch_size={fits}" if fits else "nor does a single one: take a smaller model"
        raise TrainingError(
            f"{batch_size} pictures a step do not fit in memory; {remedy}, or checkpointing=True, or amp=True "
            f"({str(error).splitlines()[0]})"
        ) from None


def out_of_memory(error: BaseException) -> bool:
    """Whether the error means that memory ran out: a class of its own on a CUDA device, known messages on a CPU.

    The last of these messages is oneDNN's, when a kernel finds no memory for its own work.
    """
    words = ("out of memory", "not enough memory", "can't allocate memory", "could not create a")
    return isinstance(error, torch.OutOfMemoryError) or any(each in str(error) for each in words)


def goes_through(step: Callable[[int], object], batch_size: int) -> bool:
    """Whether a step with so many pictures fits into memory. Errors of any other kind are raised."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # what the trial before left in pieces
    try:
        step(batch_size)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # what the failed step still holds
        return False
    return True
