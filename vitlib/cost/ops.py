"""The operations that models consist of: for each its FLOPs, the bytes of its output, and those it keeps for backward.

A forward pass is a list of operations; each reads what the one before it wrote. Backward goes through the list from
its end, and each operation then needs some of what it read or wrote: a Linear its input (the weights' gradient is
made of it), softmax its output. Such tensors are kept from forward to backward, and they are what fills the memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
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
    extra_kind: Kind = "activations"  # how a Breakdown calls those
    copies: int = 0  # bytes of the bfloat16 copies of its weights, which autocast makes once per step
    buffers: int = 0  # bytes of buffers, which are stored like weights and not learned
    scratch: int = 0  # bytes that it needs besides while it runs, forward
    scratch_back: int = 0  # likewise, backward
    joins: int = 0  # backward: bytes of gradients (of q, k and v) that are joined into one tensor at its end
    adds: bool = False  # adds the input of its call to its own input: the sum that ends a residual branch
    passes: bool = False  # the gradient of its input is that of its output: no new tensor


@dataclass(frozen=True)
class Call:
    """The operations inside one function call. The function holds its input in memory until it returns."""

    ops: tuple[Union[Op, "Call"], ...]
    block: bool = False  # an encoder block: what checkpointing computes twice

    @cached_property
    def flat(self) -> tuple[Op, ...]:
        """All its operations in order, those of inner calls included."""
        return flat(self.ops)


Ops = tuple[Op | Call, ...]


def listed(*ops: Op | Call | Ops) -> Ops:
    """Operations, calls and lists of them, joined into one list."""
    return tuple(one for each in ops for one in (each if isinstance(each, tuple) else (each,)))


def call(*ops: Op | Call | Ops, block: bool = False) -> Call:
    """A call that runs these operations in order."""
    return Call(listed(*ops), block)


def flat(ops: Ops) -> tuple[Op, ...]:
    """All operations in order, those of inner calls included."""
    return tuple(op for each in ops for op in ((each,) if isinstance(each, Op) else each.flat))


def blocks(ops: Ops) -> Iterator[Call]:
    """The encoder blocks, those of inner calls included."""
    for each in ops:
        if isinstance(each, Call):
            yield from (each,) if each.block else blocks(each.ops)


def again(block: Call) -> tuple[Op, ...]:
    """The operations that checkpointing runs twice: all before the last one that keeps a tensor for backward."""
    ops = list(block.flat)
    while not (ops[-1].keeps or ops[-1].extra):
        ops.pop()
    return tuple(ops[:-1])


# The operations that every model shares. `rows` are the tokens of the whole batch, B·T.


def linear(name: str, rows: int, inputs: int, outputs: int, run: Run, bias: bool = True) -> Op:
    """x W + b: a multiply-add for each row and weight. Backward has two products of that size, for x and for W."""
    number, learned = run.numbers[1], (inputs + bias) * outputs
    flops, copies = 2 * rows * inputs * outputs, number * learned if run.precision == "amp" else 0
    return Op(name, number * rows * outputs, flops, 2 * flops, learned, "in", copies=copies)


def cast(rows: int, width: int, run: Run) -> tuple[Op, ...]:
    """Autocast's bfloat16 copy of what a LayerNorm wrote; nothing in the other precisions."""
    return (Op("cast", 2 * rows * width),) if run.precision == "amp" else ()


def norm(name: str, rows: int, width: int, run: Run) -> Op:
    """(x − mean) / deviation · γ + β: keeps x, and each row's mean and deviation in float32."""
    return Op(name, run.numbers[0] * rows * width, weights=2 * width, keeps="in", extra=8 * rows)


def mlp(rows: int, width: int, hidden: int, run: Run) -> Call:
    """fc2(GELU(fc1(x))), token by token. GELU keeps its input: the slope depends on where on the curve it was."""
    return call(
        cast(rows, width, run),
        linear("fc1", rows, width, hidden, run),
        Op("gelu", run.numbers[1] * rows * hidden, keeps="in"),
        linear("fc2", rows, hidden, width, run),
    )


def drop(size: int, numbers: int, dropout: float, path: float, run: Run) -> Ops:
    """vitlib.vit.branch.Drop, in training: a mask of one byte a number (dropout), and a factor for each picture."""
    if not run.training or not (dropout or path):
        return ()
    masked = (Op("dropout", size, extra=numbers),) if dropout else ()
    return (*masked, Op("drop path", size))


def residual(ops: Ops, rows: int, width: int, run: Run, scaled: bool, dropout: float, path: float) -> Call:
    """x + drop(γ · …x…): the sum keeps nothing, and its gradient is that of both its terms."""
    number = run.numbers[0] if scaled else run.numbers[1]  # γ is not bfloat16 under autocast, nor is then the product
    size = number * rows * width
    scale = (Op("scale", size, weights=width, keeps="in", scratch_back=size),) if scaled else ()
    total = Op("add", run.numbers[0] * rows * width, adds=True, passes=number == run.numbers[0])
    return call(ops, scale, drop(size, rows * width, dropout, path, run), total)


def classifier(width: int, classes: int, run: Run) -> Ops:
    """The product that makes logits of one vector for each picture; nothing where there are no classes."""
    rows = run.batch_size
    return (*cast(rows, width, run), linear("head", rows, width, classes, run)) if classes else ()


def cross_entropy(logits: int) -> Op:
    """The loss of `logits` numbers (B·K): keeps the logarithms of the probabilities, in float32."""
    return Op("loss", 4 * logits, keeps="out")
