"""The vocabulary: a handful of operations, and for each its FLOPs, the bytes it writes, and those it keeps for later.

A forward pass is a list of operations; each reads what the one before it wrote. Backward goes through the list from
its end, and each operation then needs some of what it read or wrote: a Linear its input (the weights' gradient is
made of it), softmax its output. Such tensors are kept from forward to backward, and they are what fills the memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Union

from vitlib.cost.run import Kind, Run


@dataclass(frozen=True)
class Op:
    """One operation, on the whole batch."""

    name: str  # as vitlib calls the layer, or what it does
    out: int  # bytes that it writes, for the next operation to read
    flops: int = 0  # forward; a multiply-add is 2
    back: int = 0  # FLOPs of the gradients
    weights: int = 0  # numbers that it learns
    keeps: Literal["", "in", "out", "both"] = ""  # which of what it reads and writes backward needs
    kind: Kind = "activations"  # how a Breakdown calls its output, where that is kept
    extra: int = 0  # bytes that backward needs besides
    copies: int = 0  # bytes of its weights' bfloat16 copies, which autocast makes once a step
    scratch: int = 0  # bytes that it needs besides while it runs, forward
    scratch_back: int = 0  # likewise, backward
    adds: bool = False  # to what it reads, it adds what its call was given (a residual branch ends)
    passes: bool = False  # the gradient of its input is that of its output: no new tensor

    def __post_init__(self) -> None:
        assert min(self.out, self.flops, self.weights, self.extra) >= 0


@dataclass(frozen=True)
class Call:
    """Operations inside a function, which holds what it was given until it returns."""

    ops: tuple[Union[Op, "Call"], ...]
    block: bool = False  # an encoder block: what checkpointing computes twice


Ops = tuple[Op | Call, ...]


def flat(ops: Ops) -> Iterator[Op]:
    """The operations one after another, whoever calls them."""
    for each in ops:
        if isinstance(each, Op):
            yield each
        else:
            yield from flat(each.ops)


def call(*ops: Op | Call | Ops, block: bool = False) -> Call:
    """A function that runs these, one after another."""
    return Call(listed(*ops), block)


def listed(*ops: Op | Call | Ops) -> Ops:
    """One list of operations and of lists of them."""
    return tuple(one for each in ops for one in (each if isinstance(each, tuple) else (each,)))


# The operations that every model shares. `rows` are the tokens of the whole batch, B·T.


def linear(name: str, rows: int, inputs: int, outputs: int, run: Run, bias: bool = True) -> Op:
    """x W + b: a multiply-add for each row and weight. Backward has two products of that size, for x and for W."""
    weights, (_, number) = inputs * outputs, run.numbers
    flops = 2 * rows * weights
    learned = weights + outputs * bias
    copies = number * learned if run.precision == "amp" else 0
    return Op(name, number * rows * outputs, flops, 2 * flops, learned, "in", copies=copies, scratch_back=copies)


def cast(rows: int, width: int, run: Run) -> Ops:
    """Autocast's bfloat16 copy of what a LayerNorm wrote; nothing in the other precisions."""
    return (Op("cast", 2 * rows * width),) if run.precision == "amp" else ()


def norm(name: str, rows: int, width: int, run: Run) -> Op:
    """(x − mean) / deviation · γ + β: keeps x, and each row's mean and deviation (float32)."""
    number, _ = run.numbers
    return Op(name, number * rows * width, weights=2 * width, keeps="in", extra=8 * rows)


def gelu(rows: int, width: int, run: Run) -> Op:
    """Bend each number; the slope depends on where it was."""
    return Op("gelu", run.numbers[1] * rows * width, keeps="in")


def mlp(rows: int, width: int, hidden: int, run: Run) -> Call:
    """fc2(GELU(fc1(x))), token by token."""
    return call(
        cast(rows, width, run),
        linear("fc1", rows, width, hidden, run),
        gelu(rows, hidden, run),
        linear("fc2", rows, hidden, width, run),
    )


def add(rows: int, width: int, run: Run) -> Op:
    """x + branch: nothing to keep, and both have the sum's gradient (in the branch's own precision)."""
    number, branch = run.numbers
    return Op("add", number * rows * width, adds=True, passes=number == branch)
