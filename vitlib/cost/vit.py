"""The ViT as a list of operations, in the order in which vitlib.vit runs them."""

from dataclasses import replace

from vitlib.attention import check_heads
from vitlib.config import ViTConfig
from vitlib.cost.attention import attend, attention
from vitlib.cost.ops import Call, Op, Ops, add, call, cast, linear, listed, mlp, norm
from vitlib.cost.run import Run


def vit(config: ViTConfig, run: Run) -> Ops:
    """Patches → tokens → blocks → the row that is read → logits.

    Errors: ValueError for heads that do not share the width.
    """
    c = config
    check_heads(c.width, c.heads)
    read = 1 if c.pooling == "cls" else c.grid.tokens  # rows that the classifier reads
    return listed(
        patch_embed(c, run),
        token_row(c, run),
        *(block(c, i, c.tokens, run) for i in range(c.depth - 1)),
        block(c, c.depth - 1, read if c.trim else c.tokens, run),
        pool(c, read, run),
        head(c, run),
    )


def patch_embed(c: ViTConfig, run: Run) -> Ops:
    """One product for all patches. Pictures need no gradient, so backward has one product and not two."""
    rows, pixels = run.batch * c.grid.tokens, c.channels * c.grid.patch_height * c.grid.patch_width
    embed = linear("patch_embed", rows, pixels, c.width, run)
    return (replace(embed, back=embed.flops),)


def token_row(c: ViTConfig, run: Run) -> Ops:
    """CLS and registers before the patches, and a position for each."""
    number = run.numbers[0]
    row = number * run.batch * c.tokens * c.width
    ops = [Op("tokens", row, weights=c.prefix * c.width)]
    if c.positions != "none":
        learned = (c.prefix_rows + c.grid.tokens) * c.width * (c.positions == "learned")
        ops.append(Op("positions", row, weights=learned, passes=True))
    return tuple(ops)


def block(c: ViTConfig, number: int, rows: int, run: Run) -> Call:
    """x + attention(norm1(x)), then x + mlp(norm2(x)), for `rows` of the tokens."""
    every, some = run.batch * c.tokens, run.batch * rows
    return call(
        call(
            norm("norm1", every, c.width, run),
            attention(run.batch, c.tokens, c.width, c.heads, c.fused, rows, run),
            branch(c, number, some, run),
            add(some, c.width, run),
        ),
        call(
            norm("norm2", some, c.width, run),
            mlp(some, c.width, int(c.width * c.mlp_ratio), run),
            branch(c, number, some, run),
            add(some, c.width, run),
        ),
        block=True,
    )


def branch(c: ViTConfig, number: int, rows: int, run: Run) -> Ops:
    """What a branch may end with: a learned scale, and dropout."""
    bytes_ = run.numbers[1] * rows * c.width
    scale = () if c.layer_scale is None else (Op("scale", bytes_, weights=c.width, keeps="in"),)
    return listed(scale)


def pool(c: ViTConfig, read: int, run: Run) -> Ops:
    """One normalised vector for each picture: CLS, the mean of the patches, or what a learned query finds in them."""
    rows = run.batch * read
    number = run.numbers[0]
    if c.pooling == "attention":
        return (norm("norm", rows, c.width, run), attention_pool(c, read, run))
    mean = (Op("mean", number * run.batch * c.width),) if c.pooling == "mean" else ()
    if c.pooling == "mean" and not c.norm_before_pool:
        return (*mean, norm("fc_norm", run.batch, c.width, run))
    return (norm("norm", rows, c.width, run), *mean)


def head(c: ViTConfig, run: Run) -> Ops:
    """The classifier, where there is one."""
    if not c.num_classes:
        return ()
    return (*cast(run.batch, c.width, run), linear("head", run.batch, c.width, c.num_classes, run))


def attention_pool(c: ViTConfig, read: int, run: Run) -> Call:
    """One learned query looks at all patches, and an MLP works on what it found."""
    rows, width = run.batch * read, c.width
    query = Op("latent", run.numbers[1] * run.batch * width, weights=width)
    return call(
        query,
        linear("q", run.batch, width, width, run),
        linear("kv", rows, width, 2 * width, run),
        attend(run.batch, c.heads, 1, read, width // c.heads, True, run),
        linear("proj", run.batch, width, width, run),
        call(norm("norm", run.batch, width, run), mlp(run.batch, width, int(width * c.mlp_ratio), run), add(run.batch, width, run)),
    )
