"""Chapter 7: memory in training. Checkpointing needs less of it, and errors say how many pictures would fit."""

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
    """Activation checkpointing: each block stores only its input, and the backward pass computes the rest again.

    About D activations for each token and block are stored instead of 16 · D; FLOPs grow by about a quarter.

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
    """If memory runs out inside the block, raise a TrainingError that says how many pictures would fit.

    `step(n)` uses the memory of a training step with n pictures.
    """
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # frees the tensors of the failed step
        fits = largest(lambda few: goes_through(step, few), limit=batch_size - 1)
        remedy = f"{fits} would: take batch_size={fits}" if fits else "nor does a single one: take a smaller model"
        raise TrainingError(
            f"{batch_size} pictures a step do not fit in memory; {remedy}, or checkpointing=True, or amp=True "
            f"({str(error).splitlines()[0]})"
        ) from None


def out_of_memory(error: BaseException) -> bool:
    """Whether the error means that memory ran out. CUDA has a class for it; on a CPU we compare messages.

    The last of these messages is oneDNN's, for a kernel that finds no memory.
    """
    words = ("out of memory", "not enough memory", "can't allocate memory", "could not create a")
    return isinstance(error, torch.OutOfMemoryError) or any(each in str(error) for each in words)


def goes_through(step: Callable[[int], object], batch_size: int) -> bool:
    """Whether a step with so many pictures fits in memory. Any other error is raised."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # the last trial left it fragmented
    try:
        step(batch_size)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # frees the tensors of the failed step
        return False
    return True
