"""Attention as operations: fused, where the N × N weights are never stored, or as the formula is written.

`number` is bytes of a number in a product, `learned` of one in a weight (vitlib.cost.run.Run.numbers).
"""

from dataclasses import replace

from vitlib.cost.ops import Call, Op, Ops, call, cast, linear
from vitlib.cost.run import Run


def attention(batch: int, tokens: int, width: int, heads: int, fused: bool | None, rows: int, run: Run) -> Call:
    """q, k and v for all tokens, answers for `rows` of them, and the matrix that mixes the heads."""
    return call(
        cast(batch * tokens, width, run),
        qkv(batch * tokens, width, run),
        call(
            attend(batch, heads, rows, tokens, width // heads, fused, run),
            linear("proj", batch * rows, width, width, run),
        ),
    )


def qkv(rows: int, width: int, run: Run) -> Op:
    """q, k and v by one matrix. Backward, their three gradients are joined to one before it."""
    op = linear("qkv", rows, width, 3 * width, run)
    return replace(op, scratch_back=op.out * 2 // 3)


def attend(batch: int, heads: int, queries: int, keys: int, each: int, fused: bool | None, run: Run) -> Ops:
    """softmax(Q Kᵀ / √d) V, for `heads` heads of `each` numbers: two products of queries × keys × d."""
    number = run.numbers[1]
    answers, product = number * batch * queries * heads * each, 2 * batch * heads * queries * keys * each
    if fused is None or fused:  # backward computes the weights again: five products for the two of forward
        sums = 4 * batch * heads * (queries if number == 2 else up(queries, 32))  # float32, of each row of weights
        return (Op("attend", answers, 2 * product, 5 * product, keeps="both", extra=sums),)
    scores, q, k = batch * heads * queries * keys, answers, number * batch * heads * keys * each
    widened = (Op("cast", 4 * scores),) if run.precision == "amp" else ()  # autocast wants float32 in a softmax
    return (
        Op("q kᵀ", number * scores, product, 2 * product, extra=q + k, scratch=q),
        call(widened, softmax(scores, run)),
        *narrowed(scores, run),
        Op("weights v", answers, product, 2 * product, keeps="in", extra=k),
        Op("join heads", answers),
    )


def attend_biased(
    batch: int, heads: int, queries: int, keys: int, each: int, lines: int, fused: bool | None, run: Run, apart: bool
) -> Ops:
    """softmax(Q Kᵀ / √d + bias) V, as vitlib.windows.attend_with_bias has it; `lines` are the biases' rows.

    The fused kernel wants rows of a multiple of 8 numbers. The formula wants q, k and v `apart` from one another: where
    they are, what it reads is kept, and otherwise a copy of it.
    """
    learned, number = run.numbers
    answers, product = number * batch * queries * heads * each, 2 * batch * heads * queries * keys * each
    if fused is None or fused:
        kept = number * lines * up(keys, 8) + 4 * batch * heads * up(queries, 32)  # biases; sums, as above
        made = learned * lines * keys  # biases before they are widened
        return (Op("attend", answers, 2 * product, 5 * product, keeps="both", extra=kept, scratch=made),)
    scores, qkv = batch * heads * queries * keys, number * batch * heads * (queries + 2 * keys) * each
    copies = 0 if apart else qkv
    return (
        Op("q kᵀ", number * scores, product, 2 * product, keeps="in" if apart else "", extra=copies),
        Op("bias", learned * scores),
        call(
            softmax(scores, run),
            narrowed(scores, run),
            Op("weights v", answers, product, 2 * product, keeps="in"),
        ),
        Op("join heads", answers),
    )


def softmax(scores: int, run: Run) -> Op:
    """The weights, which it keeps: its slope is theirs."""
    return Op("softmax", run.numbers[0] * scores, keeps="out", kind="scores")


def narrowed(scores: int, run: Run) -> Ops:
    """Autocast's bfloat16 copy of the weights, which the product keeps: so there are two."""
    return (Op("cast", 2 * scores, kind="scores"),) if run.precision == "amp" else ()


def up(number: int, step: int) -> int:
    """The next multiple of `step`.

    >>> up(197, 32)
    224
    """
    return -(-number // step) * step
