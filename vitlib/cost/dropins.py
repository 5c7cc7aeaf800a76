"""Cheaper attention as operations, in place of a ViT's own: inside windows, or to pooled keys."""

from vitlib.backbones.pooled_attention import check_stride
from vitlib.backbones.windows import Windows
from vitlib.cost.attention import attend, attend_biased, joined
from vitlib.cost.ops import Call, Op, call, cast, linear
from vitlib.cost.run import Run
from vitlib.vit.config import ViTConfig


def windowed_attention(c: ViTConfig, number: int, rows: int, run: Run) -> Call:
    """backbones/windowed_attention.py: the prefix looks at every token, each patch at the prefix and at its own window.

    q, k and v are copied, window by window, with the prefix's in each. Tokens that are not read attend as well.

    Errors: ValueError for a window that does not fit the grid.
    """
    windows = Windows(c.grid.rows, c.grid.columns, run.window, run.window // 2 * (number % 2))
    (learned, size), every, keys = run.numbers, run.batch_size * c.tokens, c.prefix + windows.area
    count, each = run.batch_size * windows.count, c.embed_dim // c.num_heads
    lines = windows.area * (count if windows.shift and windows.count > 1 else 1)
    buffers = 16 * c.grid.tokens + learned * windows.count * windows.area * keys  # order, places and bias
    patches = size * run.batch_size * c.grid.tokens * c.embed_dim
    return call(
        cast(every, c.embed_dim, run),
        linear("qkv", every, c.embed_dim, 3 * c.embed_dim, run),
        call(
            attend(run.batch_size, c.num_heads, c.prefix, c.tokens, each, c.fused, run, parts=3),
            call(
                Op("cut", 3 * size * count * keys * c.embed_dim, kind="copies", scratch=patches, buffers=buffers),
                call(
                    attend_biased(count, c.num_heads, windows.area, keys, each, lines, c.fused, run, separate=True),
                    call(joined(run.batch_size * c.grid.tokens, c.embed_dim, c.fused, run), Op("order", patches)),
                ),
                Op("tokens", size * every * c.embed_dim, adds=True, passes=True),
            ),
            call(
                Op("join heads", size * every * c.embed_dim),
                linear("proj", run.batch_size * rows, c.embed_dim, c.embed_dim, run),
            ),
        ),
    )


def pooled_attention(c: ViTConfig, number: int, rows: int, run: Run) -> Call:
    """vitlib.backbones.pooled_attention: the tokens ask, but of the prefix and of the means of s × s patches.

    Errors: ValueError for a stride that does not divide the grid.
    """
    grid, stride = c.grid, run.pool_stride
    check_stride(grid.rows, grid.columns, stride, "pool_stride")
    keys, queries, width = c.prefix + grid.tokens // stride**2, run.batch_size * rows, c.embed_dim
    means = run.numbers[0] * run.batch_size * keys * width
    fused = c.fused is None or c.fused
    return call(
        cast(queries, width, run),
        linear("q", queries, width, width, run),
        call(
            Op("pool", means, scratch=means, keeps="in" if fused else ""),  # q, which attention needs
            cast(run.batch_size * keys, width, run),
            linear("k, v", run.batch_size * keys, width, 2 * width, run),
            call(
                attend(run.batch_size, c.num_heads, rows, keys, width // c.num_heads, fused, run, parts=2),
                linear("proj", queries, width, width, run),
            ),
        ),
    )
