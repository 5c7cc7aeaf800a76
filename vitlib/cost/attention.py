"""Attention as operations: fused, where the N × N weights are never stored, or as the formula is written."""

from vitlib.cost.ops import Call, Op, Ops, call, cast, linear, listed
from vitlib.cost.run import Run


def attention(batch: int, tokens: int, width: int, heads: int, fused: bool | None, rows: int, run: Run) -> Call:
    """q, k and v for all tokens, answers for `rows` of them, and the matrix that mixes the heads."""
    return call(
        cast(batch * tokens, width, run),
        linear("qkv", batch * tokens, width, 3 * width, run),
        call(
            attend(batch, heads, rows, tokens, width // heads, fused, run),
            linear("proj", batch * rows, width, width, run),
        ),
    )


def attend(batch: int, heads: int, queries: int, keys: int, each: int, fused: bool | None, run: Run) -> Ops:
    """softmax(Q Kᵀ / √d) V, for `heads` heads of `each` numbers: two products of queries × keys × d."""
    number = run.numbers[1]
    answers, product = number * batch * queries * heads * each, 2 * batch * heads * queries * keys * each
    if fused is None or fused:  # backward computes the weights again: five products for the two of forward
        sums = 4 * batch * heads * queries  # float32, of each row of weights
        return (Op("attend", answers, 2 * product, 5 * product, keeps="both", extra=sums),)
    scores = batch * heads * queries * keys
    qk, v = number * batch * heads * (queries + keys) * each, number * batch * heads * keys * each
    softmax: Ops = (Op("softmax", number * scores, keeps="out", kind="scores"),)
    if run.precision == "amp":  # float32 for its own gradient, and again in bfloat16 for the product
        softmax = (
            Op("softmax", 4 * scores, keeps="out", kind="scores", scratch=4 * scores),
            Op("cast", 2 * scores, kind="scores"),
        )
    return listed(
        Op("q kᵀ", number * scores, product, 2 * product, extra=qk),
        softmax,
        Op("weights v", answers, product, 2 * product, keeps="in", extra=v),
        Op("join heads", answers),
    )
