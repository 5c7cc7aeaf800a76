"""Attention as operations: fused, where the N × N weights are never stored, or as the formula is written."""

from vitlib.cost.ops import Call, Op, Ops, call, cast, linear
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
    q, k = answers, number * batch * heads * keys * each
    return (
        Op("q kᵀ", number * scores, product, 2 * product, extra=q + k, scratch=q),
        softmax(scores, run),
        *((Op("cast", number * scores, kind="scores"),) if run.precision == "amp" else ()),
        Op("weights v", answers, product, 2 * product, keeps="in", extra=k),
        Op("join heads", answers),
    )


def softmax(scores: int, run: Run) -> Call:
    """Keeps the weights. Autocast computes it in float32; the product that follows then keeps them in bfloat16 too."""
    cast = (Op("cast", 4 * scores),) if run.precision == "amp" else ()
    return call(cast, Op("softmax", run.numbers[0] * scores, keeps="out", kind="scores"))
