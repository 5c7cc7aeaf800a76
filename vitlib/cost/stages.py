"""What the lists of Swin, ConvNeXt and the hybrid share, beyond the vocabulary."""

from dataclasses import replace

from vitlib.cost.ops import Op, Ops, call, listed
from vitlib.cost.run import Run


def nested(*parts: Ops) -> Ops:
    """The parts in order. Every part's input stays in memory to the end: `forward` has a name for each."""
    *before, ops = parts
    for part in reversed(before):
        ops = listed(part, call(ops))
    return (call(ops),)


def widened(rows: int, width: int, run: Run, number: int = 2) -> Ops:
    """Autocast's float32 copy of numbers that have `number` bytes, for what it computes in float32."""
    return (Op("cast", 4 * rows * width),) if run.precision == "amp" and number == 2 else ()


def without_input(product: Op) -> Op:
    """A product that reads the pictures, which need no gradient: in backward there is one product, not two."""
    return replace(product, back=product.flops)
