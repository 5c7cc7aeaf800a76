"""ConvNeXt as a list of operations: a convolution of each channel by itself where the ViT has attention."""

from functools import lru_cache

from vitlib.backbones.convnext import ConvNeXtConfig
from vitlib.cost.ops import Call, Op, Ops, call, cast, classifier, drop, linear, listed, mlp, norm
from vitlib.cost.run import Run
from vitlib.cost.stages import nested, widened, without_input


def convnext(config: ConvNeXtConfig, run: Run) -> Ops:
    """Patches → stages of blocks, with a halving between two → the mean of the places → logits."""
    c, width = config, config.dims[-1]
    rows, pixels = run.batch_size * places(c, 0), c.in_chans * c.patch_size**2
    stem = patch_convolution(rows, pixels, c.dims[0], run)
    head = classifier(width, c.num_classes, run)
    return listed(
        *stem[:-1],
        without_input(stem[-1]),
        widened(rows, c.dims[0], run),
        norm("norm", rows, c.dims[0], run),
        nested(
            *(stage(c, i, run) for i in range(len(c.depths))),
            (Op("mean", run.numbers[0] * run.batch_size * width), norm("norm", run.batch_size, width, run), *head),
        ),
    )


def places(c: ConvNeXtConfig, number: int) -> int:
    """Of the grid of a stage."""
    rows, columns = c.grids[number]
    return rows * columns


def patch_convolution(rows: int, numbers: int, width: int, run: Run) -> tuple[Op, ...]:
    """A convolution whose stride is its kernel's size: the product of each patch's numbers with the filters."""
    return (*cast(rows, numbers, run), linear("patches", rows, numbers, width, run))


def stage(c: ConvNeXtConfig, number: int, run: Run) -> Ops:
    """Halve the sides (but in the first stage), then the blocks. Without drop path all are alike but the first."""
    alike = [i if c.drop_path_rate else min(i, 1) for i in range(c.depths[number])]
    return listed(halving(c, number, run) if number else (), *(block(c, number, i, run) for i in alike))


def halving(c: ConvNeXtConfig, number: int, run: Run) -> Call:
    """Four places, normalised, become one."""
    rows, width = run.batch_size * places(c, number), c.dims[number - 1]
    return call(norm("norm", 4 * rows, width, run), patch_convolution(rows, 4 * width, c.dims[number], run))


@lru_cache(maxsize=8)
def block(c: ConvNeXtConfig, number: int, index: int, run: Run) -> Call:
    """x + γ mlp(norm(conv(x))). γ is float32 under autocast, and so is the sum."""
    rows, width, (outer, inner) = run.batch_size * places(c, number), c.dims[number], run.numbers
    narrow = index == 0 and number > 0  # x is what a product wrote
    hidden, size = int(width * c.mlp_ratio), rows * width
    flops = 2 * size * c.kernel_size**2  # each place of a channel sees kernel² of its neighbours
    weights = width * (c.kernel_size**2 + 1)
    copies = inner * weights if run.precision == "amp" else 0
    return call(
        () if narrow else cast(rows, width, run),
        Op("conv", inner * size, flops, 2 * flops, weights, "in", copies=copies, scratch_back=copies),
        widened(rows, width, run),
        norm("norm", rows, width, run),
        mlp(rows, width, hidden, run),
        Op("scale", outer * size, weights=width, keeps="in", scratch_back=outer * size),
        drop(outer * size, size, 0.0, c.drop_paths[number][index], run),
        Op("add", outer * size, adds=True, passes=True),
        block=True,
    )
