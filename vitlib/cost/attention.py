"""Attention as operations: fused, where the N × N weights are never stored, or as the formula is written.

`number` is the bytes of a number in a matrix product, `learned` those of a weight (vitlib.cost.run.Run.numbers).
"""

from vitlib.cost.ops import Call, Op, Ops, call, cast, linear
from vitlib.cost.run import Run


def attention(batch: int, tokens: int, width: int, heads: int, fused: bool | None, rows: int, run: Run) -> Call:
    """q, k and v for all tokens, answers for `rows` of them, and the matrix that mixes the heads."""
    return call(
        cast(batch * tokens, width, run),
        linear("qkv", batch * tokens, width, 3 * width, run),
        call(
            attend(batch, heads, rows, tokens, width // heads, fused, run, parts=3),
            linear("proj", batch * rows, width, width, run),
        ),
    )


def attend(batch: int, heads: int, queries: int, keys: int, each: int, fused: bool | None, run: Run, parts: int) -> Ops:
    """softmax(Q Kᵀ / √d) V, for `heads` heads of `each` numbers: two products of queries × keys × d.

    `parts` is how many of q, k and v are made by one matrix: backward, their gradients are joined.
    """
    number = run.numbers[1]
    joins = parts * number * batch * keys * heads * each
    answers, product = number * batch * queries * heads * each, 2 * batch * heads * queries * keys * each
    if fused is None or fused:  # backward computes the weights again: five products for the two of forward
        sums = 4 * batch * heads * (queries if number == 2 else up(queries, 32))  # float32, of each row of weights
        return (Op("attend", answers, 2 * product, 5 * product, keeps="both", extra=sums, joins=joins),)
    scores, q, k = batch * heads * queries * keys, answers, number * batch * heads * keys * each
    widened = (Op("cast", 4 * scores),) if run.precision == "amp" else ()  # autocast wants float32 in a softmax
    return (
        Op("q kᵀ", number * scores, product, 2 * product, extra=q + k, scratch=q, joins=joins),
        call(widened, softmax(scores, run)),
        *narrowed(scores, run),
        Op("weights v", answers, product, 2 * product, keeps="in", extra=k),
        Op("join heads", answers),
    )


def attend_biased(
    batch: int, heads: int, queries: int, keys: int, each: int, lines: int, fused: bool | None, run: Run, separate: bool
) -> tuple[Op, *tuple[Op | Call, ...]]:
    """softmax(Q Kᵀ / √d + bias) V, as `attend_with_bias` computes it; `lines` counts the biases' rows.

    The fused kernel needs rows of a multiple of 8 numbers. The formula needs q, k and v in three separate tensors: it
    copies all three, or only the queries where these are `separate` already.
    """
    learned, number = run.numbers
    q, k, product = (each * heads * batch * n for n in (queries, keys, 2 * queries * keys))
    scores, parts = batch * heads * queries * keys, number * (q + 2 * k)
    if fused is None or fused:
        kept = number * lines * up(keys, 8) + 4 * batch * heads * up(queries, 32)  # biases; sums, as above
        made = learned * lines * keys  # biases before their rows are lengthened
        joins = 0 if separate else parts
        return (
            Op("attend", number * q, 2 * product, 5 * product, keeps="both", extra=kept, scratch=made, joins=joins),
        )
    copied = Op("contiguous", parts, joins=parts, passes=True)
    first = Op("contiguous", number * q, keeps="in", passes=True) if separate else copied
    return (
        first,
        call(
            Op("q kᵀ", number * scores, product, 2 * product, keeps="" if separate else "in", scratch_back=number * k),
            Op("bias", learned * scores),
            call(
                softmax(scores, run),
                narrowed(scores, run),
                Op("weights v", number * q, product, 2 * product, keeps="in"),
            ),
        ),
    )


def joined(rows: int, width: int, fused: bool | None, run: Run) -> Ops:
    """The outputs of the heads, side by side: a view of the fused kernel's output; without that kernel, a copy."""
    return () if fused is None or fused else (Op("join heads", run.numbers[1] * rows * width),)


def softmax(scores: int, run: Run) -> Op:
    """The attention weights. Softmax keeps its output, because its derivative is computed from it."""
    return Op("softmax", run.numbers[0] * scores, keeps="out", kind="scores")


def narrowed(scores: int, run: Run) -> Ops:
    """Autocast's bfloat16 copy of the attention weights, kept by the product with V in addition to the float32 ones."""
    return (Op("cast", 2 * scores, kind="scores"),) if run.precision == "amp" else ()


def up(number: int, step: int) -> int:
    """The next multiple of `step`.

    >>> up(197, 32)
    224
    """
    return -(-number // step) * step
