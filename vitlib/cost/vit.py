"""The ViT as a list of operations, in the order in which vitlib.vit.model runs them."""

from dataclasses import replace
from functools import lru_cache

from vitlib.cost.attention import attend, attention
from vitlib.cost.dropins import pooled_attention, windowed_attention
from vitlib.cost.merging import merged_blocks
from vitlib.cost.ops import Call, Op, Ops, call, cast, classifier, drop, linear, listed, mlp, norm, residual
from vitlib.cost.run import Run
from vitlib.vit.attention import check_heads
from vitlib.vit.config import ViTConfig


def vit(config: ViTConfig, run: Run) -> Ops:
    """Patches → tokens → blocks → the row that is read → logits.

    Errors: ValueError for heads that do not share the width.
    """
    c = config
    check_heads(c.embed_dim, c.num_heads)
    patches = c.grid.tokens - run.merge * (c.depth - 1)  # that are left in the end
    read = 1 if c.global_pool == "token" else patches  # rows that the classifier reads
    rows = [*[c.tokens] * (c.depth - 1), read if c.trim else c.tokens]  # that each block answers for
    return listed(
        patch_embed(c, run),
        token_row(c, run),
        merged_blocks(c, run) if run.merge else blocks(c, rows, run),
        pool(c, read, run),
        classifier(c.embed_dim, c.num_classes, run),
    )


def patch_embed(c: ViTConfig, run: Run) -> Ops:
    """One product for all patches. Pictures need no gradient, so backward has one product and not two."""
    rows, pixels = run.batch_size * c.grid.tokens, c.in_chans * c.grid.patch_height * c.grid.patch_width
    embed = linear("patch_embed", rows, pixels, c.embed_dim, run)
    return (*cast(rows, pixels, run), replace(embed, back=embed.flops))


def token_row(c: ViTConfig, run: Run) -> Call:
    """CLS and registers before the patches, and a position for each."""
    numbers = run.batch_size * c.tokens * c.embed_dim
    row, patch_row = run.numbers[0] * numbers, run.numbers[0] * c.grid.tokens * c.embed_dim
    widened = run.batch_size * patch_row if run.precision == "amp" else 0  # the patches in float32, as CLS is
    ops = [Op("tokens", row, weights=c.prefix * c.embed_dim, scratch=widened)]
    if c.positions == "learned":
        ops.append(Op("positions", row, weights=(c.prefix_rows + c.grid.tokens) * c.embed_dim, passes=True))
    elif c.positions != "none":
        ops.append(Op("positions", row, buffers=patch_row, passes=True))
    return call(*ops, drop(row, numbers, c.dropout, 0.0, run))


def blocks(c: ViTConfig, rows: list[int], run: Run) -> Ops:
    """One after another. Without drop path all are alike, or every second one where windows shift."""
    return tuple(
        block(c, i if c.drop_path_rate else i % 2 if run.window else 0, each, run) for i, each in enumerate(rows)
    )


@lru_cache(maxsize=8)
def block(c: ViTConfig, number: int, rows: int, run: Run) -> Call:
    """x + attention(norm1(x)), then x + mlp(norm2(x)), for `rows` of the tokens."""
    every, some, hidden = run.batch_size * c.tokens, run.batch_size * rows, int(c.embed_dim * c.mlp_ratio)
    if run.window:
        attend = windowed_attention(c, number, rows, run)
    elif run.pool_stride:
        attend = pooled_attention(c, number, rows, run)
    else:
        attend = attention(run.batch_size, c.tokens, c.embed_dim, c.num_heads, c.fused, rows, run)
    path = c.drop_path_rate * number / max(c.depth - 1, 1)
    first = norm("norm1", every, c.embed_dim, run), attend
    second = norm("norm2", some, c.embed_dim, run), mlp(some, c.embed_dim, hidden, run)
    scaled = c.layer_scale is not None
    return call(
        *(residual(each, some, c.embed_dim, run, scaled, c.dropout, path) for each in (first, second)),
        block=True,
    )


def pool(c: ViTConfig, read: int, run: Run) -> Ops:
    """One normalised vector for each picture: CLS, the mean of the patches, or what a learned query finds in them."""
    rows, number = run.batch_size * read, run.numbers[0]
    if c.global_pool == "map":
        return (norm("norm", rows, c.embed_dim, run), attention_pool(c, read, run))
    mean = (Op("mean", number * run.batch_size * c.embed_dim),) if c.global_pool == "avg" else ()
    if c.global_pool == "avg" and not c.norm_before_pool:
        return (*mean, norm("fc_norm", run.batch_size, c.embed_dim, run))
    return (norm("norm", rows, c.embed_dim, run), *mean)


def attention_pool(c: ViTConfig, read: int, run: Run) -> Call:
    """One learned query looks at all patches, and an MLP works on what it found."""
    batch, rows, width = run.batch_size, run.batch_size * read, c.embed_dim
    # the query comes from the latent, not from the tokens: in a list, it stands beside k and v
    q, kv = linear("q", batch, width, width, run), linear("q, k, v", rows, width, 2 * width, run)
    qkv = replace(
        kv, out=kv.out + q.out, flops=kv.flops + q.flops, back=kv.back + q.back, extra=q.out,
        weights=kv.weights + q.weights + width, copies=kv.copies + q.copies,
    )  # fmt: skip
    then = (norm("norm", batch, width, run), mlp(batch, width, int(width * c.mlp_ratio), run))
    return call(
        cast(rows, width, run),
        qkv,
        attend(batch, c.num_heads, 1, read, width // c.num_heads, True, run, parts=2),
        linear("proj", batch, width, width, run),
        residual(then, batch, width, run, scaled=False, dropout=0.0, path=0.0),
    )
