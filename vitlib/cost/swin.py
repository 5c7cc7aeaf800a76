"""Swin as a list of operations: the ViT's blocks with windows, and half as many tokens a side from stage to stage."""

from functools import lru_cache

from vitlib.backbones.swin import SwinConfig
from vitlib.backbones.windows import Windows
from vitlib.cost.attention import narrowed, softmax, up
from vitlib.cost.ops import Call, Op, Ops, call, cast, classifier, drop, linear, listed, mlp, norm
from vitlib.cost.run import Run
from vitlib.cost.stages import nested, widened, without_input


def swin(config: SwinConfig, run: Run) -> Ops:
    """Patches → stages of blocks, with a merging between two → the mean of the tokens → logits."""
    c, tokens = config, [rows * columns for rows, columns in config.grids]
    rows, width = run.batch_size * tokens[-1], c.dims[-1]
    pixels = c.in_chans * c.patch_size**2
    embed = linear("patch_embed", run.batch_size * tokens[0], pixels, c.embed_dim, run)
    head = classifier(width, c.num_classes, run)
    return listed(
        cast(run.batch_size * tokens[0], pixels, run),
        without_input(embed),
        widened(run.batch_size * tokens[0], c.embed_dim, run),
        norm("norm", run.batch_size * tokens[0], c.embed_dim, run),
        nested(
            *(stage(c, i, run) for i in range(len(tokens))),
            (*widened(rows, width, run, stream(len(tokens) - 1, run)), norm("norm", rows, width, run)),
            (Op("mean", run.numbers[0] * run.batch_size * width), *head),
        ),
    )


def stage(c: SwinConfig, number: int, run: Run) -> Ops:
    """Merge (but in the first stage), then the blocks."""
    alike = [i if c.drop_path_rate else i % 2 for i in range(c.depths[number])]  # every second one has shifted windows
    return listed(merging(c, number, run) if number else (), *(block(c, number, i, run) for i in alike))


def merging(c: SwinConfig, number: int, run: Run) -> Call:
    """Four neighbours side by side, normalised, and one product that leaves twice the width."""
    rows, columns = c.grids[number]
    tokens, width = run.batch_size * rows * columns, 4 * c.dims[number - 1]
    before = stream(number - 1, run)
    return call(
        Op("side by side", before * tokens * width),
        widened(tokens, width, run, before),
        norm("norm", tokens, width, run),
        cast(tokens, width, run),
        linear("reduction", tokens, width, width // 2, run, bias=False),
    )


def stream(number: int, run: Run) -> int:
    """Bytes of a number between the blocks of a stage: under autocast, bfloat16 behind a merging, float32 before it."""
    return run.numbers[1] if number else run.numbers[0]


@lru_cache(maxsize=8)
def block(c: SwinConfig, number: int, index: int, run: Run) -> Call:
    """x + attention(norm1(x)), then x + mlp(norm2(x))."""
    windows, width, heads = c.windows(number, index), c.dims[number], c.num_heads[number]
    rows, each = run.batch_size * windows.rows * windows.columns, stream(number, run)
    size = run.numbers[1] * rows * width
    table = (2 * c.window_size - 1) ** 2 * heads
    branches = attention(windows, width, heads, table, c.fused, run), mlp(rows, width, int(width * c.mlp_ratio), run)
    return call(
        *(
            call(
                widened(rows, width, run, each),
                norm("norm", rows, width, run),
                branch,
                drop(size, rows * width, 0.0, c.drop_paths[number][index], run),
                Op("add", each * rows * width, adds=True, passes=each == run.numbers[1]),
            )
            for branch in branches
        ),
        block=True,
    )


def attention(windows: Windows, width: int, heads: int, table: int, fused: bool | None, run: Run) -> Call:
    """Cut into windows, attend in each, and put the tokens back. What was cut goes when q, k and v are made."""
    tokens, slots = windows.rows * windows.columns, windows.count * windows.area  # the slots beyond hold zeros
    rows, (outer, inner) = run.batch_size * slots, run.numbers
    buffers = 8 * (tokens + slots + windows.area**2)  # order, places and index
    masked = outer * windows.count * windows.area**2 if any(windows.shifts) else 0
    attend = fused_attention if fused is None or fused else written_attention
    return call(
        call(Op("cut", outer * rows * width, buffers=buffers + masked)),
        cast(rows, width, run),
        linear("qkv", rows, width, 3 * width, run),
        call(
            attend(windows, width, heads, table, run),
            linear("proj", rows, width, width, run),
            Op("join", inner * run.batch_size * tokens * width),
        ),
    )


def fused_attention(windows: Windows, width: int, heads: int, table: int, run: Run) -> Ops:
    """The kernel wants a bias for every window; without a shift, all windows share one.

    It reads biases in rows of a multiple of 8 numbers, and writes their gradients, for each window, in rows of 16.
    """
    (outer, inner), m = run.numbers, windows.area
    count = run.batch_size * windows.count  # V
    lines = heads * m * (count if any(windows.shifts) else 1)  # rows of biases
    copies = [outer * lines * m, inner * lines * m * (inner < outer), inner * lines * up(m, 8) * (m % 8 > 0)]
    kept = next(size for size in reversed(copies) if size)
    product = 2 * count * m * m * width
    return (
        Op(
            "attend",
            inner * count * m * width,
            2 * product,
            5 * product,
            weights=table,
            keeps="both",
            extra=4 * count * heads * up(m, 32) + kept,
            extra_kind="copies" if any(windows.shifts) else "activations",
            scratch=sum(copies) - kept,
            scratch_back=inner * count * heads * m * up(m, 16),
        ),
    )


def written_attention(windows: Windows, width: int, heads: int, table: int, run: Run) -> Ops:
    """softmax(Q Kᵀ / √d + bias) V as it is written: q, k and v are copied, and every score is stored."""
    (outer, inner), m = run.numbers, windows.area
    count = run.batch_size * windows.count  # V
    scores, answers = count * heads * m * m, inner * count * m * width
    product = 2 * count * m * m * width
    return (
        Op("q, k, v", 3 * answers),
        call(
            Op("q kᵀ", inner * scores, product, 2 * product, keeps="in"),
            Op("bias", outer * scores, weights=table),
            call(
                softmax(scores, run),
                narrowed(scores, run),
                Op("weights v", answers, product, 2 * product, keeps="in"),
            ),
        ),
        Op("join heads", answers),
    )
