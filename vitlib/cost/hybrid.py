"""The hybrid as a list of operations: a stem of convolutions, and behind it the ViT."""

from vitlib.backbones.hybrid import HybridConfig
from vitlib.cost.ops import Call, Op, Ops, call, cast, linear, listed
from vitlib.cost.run import Run
from vitlib.cost.stages import without_input
from vitlib.cost.vit import patch_embed, vit


def hybrid(config: HybridConfig, run: Run) -> Ops:
    """Pictures → convolutions, each halving the sides → one product for each place → the ViT behind its embedding."""
    c = config
    before, sides = (c.in_chans, *c.stem[:-1]), [2 ** (i + 1) for i in range(len(c.stem))]
    places = [c.image_size[0] * c.image_size[1] // side**2 for side in sides]
    stem = [stem_layer(i, *sizes, run) for i, sizes in enumerate(zip(before, c.stem, places, strict=True))]
    return listed(
        cast(run.batch_size * c.image_size[0] * c.image_size[1], c.in_chans, run),
        *stem,
        linear("patch_embed", run.batch_size * c.grid.tokens, c.stem[-1], c.embed_dim, run),
        vit(c, run)[len(patch_embed(c, run)) :],
    )


def stem_layer(number: int, channels: int, width: int, places: int, run: Run) -> Call:
    """ReLU(norm(conv(x))): the normalisation keeps its input, ReLU its output, which the next convolution reads.

    Pictures need no gradient, so the first convolution has one product in backward and not two.
    """
    rows, size = run.batch_size * places, run.numbers[1] * run.batch_size * places * width
    conv = linear("conv", rows, 9 * channels, width, run, bias=False)  # 3 × 3 places of each channel
    statistics = 2 * run.numbers[0] * width + 8  # running mean and variance, and how many batches they come from
    return call(
        conv if number else without_input(conv),
        Op("norm", size, weights=2 * width, keeps="in", extra=8 * width, buffers=statistics),
        Op("relu", size, keeps="out"),
    )
