"""Token merging as operations: vitlib.backbones.token_merging, whose blocks have fewer tokens from one to the next."""

from dataclasses import replace

from vitlib.backbones.token_merging import check_merging
from vitlib.cost.attention import attend_biased, joined
from vitlib.cost.ops import Call, Op, Ops, call, cast, linear, mlp, norm, residual
from vitlib.cost.run import Run
from vitlib.vit.config import ViTConfig


def merged_blocks(c: ViTConfig, run: Run) -> Ops:
    """The blocks; each but the last merges tokens between its attention and its MLP. Checkpointing leaves them alone.

    The merged tokens of one block stay in memory until the next block has merged: so each call begins and ends between
    attention and MLP.

    Errors: ValueError where more pairs are asked for than can merge, and for a model that pools by attention.
    """
    check_merging(c, run.merge, "merge")
    attentions, mlps = zip(*(halves(c, number, run) for number in range(c.depth)), strict=True)
    merges = [merge(c, c.tokens - run.merge * number, run) for number in range(c.depth - 1)]
    # what comes after a block's first half: the last merges nothing
    after = [*(means for means, _ in merges[1:]), mlps[-1]]
    return (
        attentions[0],
        merges[0][0],
        *(call(row, *each) for (_, row), *each in zip(merges, mlps, attentions[1:], after, strict=False)),
    )


def halves(c: ViTConfig, number: int, run: Run) -> tuple[Call, Call]:
    """x + attention(norm1(x)), with the sizes' logarithms as a bias; and x + mlp(norm2(x)), when tokens have merged."""
    last, batch, width, each = number == c.depth - 1, run.batch_size, c.embed_dim, c.embed_dim // c.num_heads
    tokens = c.tokens - run.merge * number
    queries = tokens if not last else 1 if c.global_pool == "token" else tokens - c.prefix
    every, some, left = (batch * n for n in (tokens, queries, queries if last else tokens - run.merge))
    path = c.drop_path_rate * number / max(c.depth - 1, 1)
    waits = run.numbers[0] * (every - some) * width  # the gradient of all rows, where the block answers for a few
    first, *rest = attend_biased(batch, c.num_heads, queries, tokens, each, batch, c.fused, run, separate=False)
    first = replace(first, scratch_back=first.scratch_back + waits, joins=first.joins + waits)
    attention = (
        norm("norm1", every, width, run),
        call(cast(every, width, run), linear("qkv", every, width, 3 * width, run)),
        call(
            (first, *rest),
            call(joined(some, width, c.fused, run), linear("proj", some, width, width, run)),
        ),
    )
    perceptron = norm("norm2", left, width, run), mlp(left, width, int(width * c.mlp_ratio), run)
    scaled = c.layer_scale is not None
    return (
        residual(attention, some, width, run, scaled, c.dropout, path),
        residual(perceptron, left, width, run, scaled, c.dropout, path),
    )


def merge(c: ViTConfig, tokens: int, run: Run) -> tuple[Op, Op]:
    """Half of the patches compare their keys with the other half; the r best pairs become means.

    Which tokens merge is a discrete choice without a gradient, so backward has no products for it. It needs the
    indices, and torch keeps what was summed.
    """
    (learned, number), batch, patches, each = run.numbers, run.batch_size, tokens - c.prefix, c.embed_dim // c.num_heads
    first, second = (patches + 1) // 2, patches // 2
    weighed, means = (learned * batch * n * c.embed_dim for n in (patches, patches - run.merge))
    keys = number * batch * patches * each
    compared = number * batch * first * second + 2 * keys  # similarities, and the keys' directions
    flops = 2 * batch * first * second * each
    kept = weighed + 8 * batch * patches
    held = means + keys + 3 * 8 * batch * patches  # until the next: with the keys, and three lists of places
    return (
        Op("means", held, flops, extra=kept, scratch=max(means, compared - kept), scratch_back=2 * weighed),
        Op("row", learned * batch * (tokens - run.merge) * c.embed_dim, scratch=learned * batch * tokens * c.embed_dim),
    )
