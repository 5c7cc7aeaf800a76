"""Chapter 7: how many pictures fit into a step.

A CUDA device raises an error if memory runs out, and nothing is lost: so we try. On a CPU the system starts to swap, or
ends the program. There we measure the memory of two small steps and extrapolate in a straight line: beyond a few
pictures, each further one needs the same memory.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from vitlib.device import Amp, autocast
from vitlib.training.counter import Counter
from vitlib.training.memory import goes_through, untouched
from vitlib.training.predict import as_pixels, predict
from vitlib.training.search import largest
from vitlib.training.steps import train_mode
from vitlib.vit.checks import require_picture, require_size
from vitlib.vit.wrappers import require_numbers

FIRST = (4, 8)  # batch sizes that are measured for a first estimate


def largest_batch(
    model: nn.Module,
    picture: Shaped[Tensor, "C H W"],
    train: bool = False,
    amp: Amp = False,
    memory: int | None = None,
    limit: int = 65_536,
) -> int:
    """The largest batch of pictures like this one that fits in memory, at most `limit`; 0 if not even one fits.

    `train`: for a training step with AdamW, whose state is not yet in memory; otherwise for a call of `predict`.
    `memory` is how many bytes a step may take in addition to what is in use. Measuring takes half of it, or that of
    eight pictures. None, for CUDA only: all memory that the device has. The model is left as it was.

    >>> from vitlib.models import create
    >>> largest_batch(create("vit_digits_patch2_8"), torch.zeros(1, 8, 8), memory=10_000_000) > 100
    True

    Errors: ValueError for `memory` that is missing on another device than CUDA or is not positive, and for a tensor
    that is not one picture; those of the model.
    """
    require_size("limit", limit)
    require_picture(picture)
    require_numbers(model)
    device = next(model.parameters()).device
    if memory is None:
        if device.type != "cuda":
            raise ValueError(
                f"memory is None on {device.type}, which swaps or ends the program rather than refuse; say how many "
                "bytes a step may take, such as memory=2_000_000_000"
            )
        return largest(lambda n: goes_through(partial(_step, model, picture, train=train, amp=amp), n), limit)

    if not 0 < memory < math.inf:
        raise ValueError(f"memory is {memory}: expected bytes, more than 0, such as 2_000_000_000")

    def need(batch: int) -> int:
        return step_memory(model, picture, batch, train, amp)

    guess = _extrapolated(need, memory, limit, FIRST)
    return _extrapolated(need, memory, limit, (guess // 4, guess // 2)) if guess > 2 * FIRST[1] else guess


def _extrapolated(bytes_of: Callable[[int], int], memory: int, limit: int, points: tuple[int, int]) -> int:
    """The batch size at which the line through two measured points reaches `memory` bytes."""
    few, more = map(bytes_of, points)
    each = (more - few) / (points[1] - points[0])  # bytes a picture
    return max(0, min(limit, int(points[1] + (memory - more) / each)))


def step_memory(
    model: nn.Module, picture: Shaped[Tensor, "C H W"], batch_size: int, train: bool = False, amp: Amp = False
) -> int:
    """The peak memory of a step with `batch_size` pictures, in bytes, in addition to what is in use: pictures,
    activations, and, with `train`, gradients and AdamW's two numbers for each parameter.

    On a CUDA device the allocator reports it. Elsewhere the tensors that operations return are counted, but not the
    memory that kernels use internally.
    """
    require_size("batch_size", batch_size)
    require_picture(picture)
    require_numbers(model)
    device = next(model.parameters()).device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        _step(model, picture, batch_size, train, amp)
        return torch.cuda.max_memory_allocated(device) - before
    with Counter() as count:
        _step(model, picture, batch_size, train, amp)
    return count.peak


@torch.inference_mode(False)
def _step(model: nn.Module, picture: Tensor, batch_size: int, train: bool, amp: Amp) -> None:
    device = next(model.parameters()).device
    images = picture.to(device).repeat(batch_size, 1, 1, 1)  # B C H W
    if not train:
        predict(model, images, batch_size, amp)
        return
    with untouched(model), torch.enable_grad():
        train_mode(model)
        weights = [each for each in model.parameters() if each.requires_grad]
        if not weights:
            raise ValueError("nothing is left to learn: every parameter is frozen")
        moments = [torch.empty_like(each) for each in weights for _ in range(2)]  # AdamW's, alive during the step
        with autocast(device, amp):
            loss = model(as_pixels(images, model)).float().logsumexp(dim=-1).mean()
        torch.autograd.grad(loss, weights, allow_unused=True)
        del moments
