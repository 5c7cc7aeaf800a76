"""Token merging as operations: vitlib.merging, whose blocks have fewer tokens from one to the next."""

from vitlib.config import ViTConfig
from vitlib.cost.attention import attend_biased, qkv
from vitlib.cost.ops import Call, Op, call, cast, linear, mlp, norm, residual
from vitlib.cost.run import Run


def merged_blocks(c: ViTConfig, run: Run) -> tuple[Call, ...]:
    """The blocks; each but the last merges between its halves. Checkpointing knows nothing of them.

    Errors: ValueError where more pairs are asked for than can merge, and for a model that pools by attention.
    """
    most = c.grid.tokens // c.depth if c.depth > 1 else 0
    if run.merge > most:
        raise ValueError(
            f"merge is {run.merge}: {c.grid.tokens} patches through {c.depth} blocks can lose 0 to {most} in each; "
            f"choose {most} or less"
        )
    if c.pooling == "attention":
        raise ValueError('the model pools by attention, which does not weigh tokens: expected "cls" or "mean"')
    return tuple(merged_block(c, number, c.tokens - run.merge * number, run) for number in range(c.depth))


def merged_block(c: ViTConfig, number: int, tokens: int, run: Run) -> Call:
    """x + attention(norm1(x)), with the sizes' logarithms as a bias; merge, but not in the last; x + mlp(norm2(x))."""
    last, batch, width, each = number == c.depth - 1, run.batch, c.width, c.width // c.heads
    queries = tokens if not last else 1 if c.pooling == "cls" else tokens - c.prefix
    left, every, some = queries if last else tokens - run.merge, batch * tokens, batch * queries
    path = c.drop_path * number / max(c.depth - 1, 1)
    ends = {"scaled": c.layer_scale is not None, "dropout": c.dropout, "path": path}
    look = (
        norm("norm1", every, width, run),
        *cast(every, width, run),
        qkv(every, width, run),
        call(
            attend_biased(batch, c.heads, queries, tokens, each, batch, c.fused, run, apart=False),
            linear("proj", some, width, width, run),
        ),
    )
    think = norm("norm2", batch * left, width, run), mlp(batch * left, width, int(width * c.mlp_ratio), run)
    return call(
        residual(look, some, width, run, **ends),
        () if last else merge(c, tokens, run),
        residual(think, batch * left, width, run, **ends),
    )


def merge(c: ViTConfig, tokens: int, run: Run) -> Op:
    """Half of the patches compare their keys with the other half; the r best pairs become means.

    Which goes where is a choice, not a slope: backward has no products for it, and keeps the places alone.
    """
    (learned, number), batch, patches, each = run.numbers, run.batch, tokens - c.prefix, c.width // c.heads
    first, second = (patches + 1) // 2, patches // 2
    compared = number * batch * (first * second + 3 * patches * each)  # similarities, keys, and their directions
    summed = learned * batch * (2 * patches - run.merge) * c.width  # weighed patches, and their sums
    return Op(
        "merge",
        learned * batch * (tokens - run.merge) * c.width,
        2 * batch * first * second * each,
        extra=8 * batch * patches,
        scratch=max(compared, summed),
        scratch_back=learned * batch * 2 * patches * c.width,
    )
