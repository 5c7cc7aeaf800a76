"""Will it fit? The command: python -m vitlib.cost vit_base_patch16_224 --batch 64 --gpu "RTX 4090" --amp."""

import argparse
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from vitlib.backbones.presets import Config
from vitlib.cost import Run
from vitlib.cost.budget import config_of, will_it_fit
from vitlib.cost.gpus import GPUS


def parser(prog: str) -> argparse.ArgumentParser:
    """What the command understands."""
    found = argparse.ArgumentParser(
        prog=prog,
        description="Whether a training step, or inference, fits into a GPU's memory, and what to do if it does not.",
        epilog=f"GPUs by name: {', '.join(GPUS)}. Any other by its memory in GiB: --gpu 24.",
    )
    found.add_argument("model", help="its name, one of vitlib.list_models()")
    found.add_argument("--gpu", required=True, help='a name, such as "RTX 4090", or its memory in GiB')
    found.add_argument("--batch", type=int, default=1, help="pictures in a step (1)")
    found.add_argument("--inference", action="store_true", help="no training step, only answers")
    precision = found.add_mutually_exclusive_group()
    precision.add_argument("--amp", action="store_true", help="weights in float32, products in bfloat16")
    precision.add_argument("--bf16", action="store_true", help="everything in bfloat16")
    found.add_argument("--checkpointing", action="store_true", help="keep the inputs of blocks alone")
    found.add_argument("--optimizer", default="adamw", choices=("adamw", "adamw-foreach", "sgd"))
    found.add_argument("--ema", action="store_true", help="keep a moving average of the weights")
    found.add_argument("--readable", action="store_true", help="attention as the formula is written, not fused")
    found.add_argument("--size", type=int, nargs="+", metavar="PIXELS", help="of a picture: side, or height and width")
    found.add_argument("--patch", type=int, metavar="PIXELS", help="side of a patch")
    found.add_argument("--window", type=int, default=0, metavar="TOKENS", help="side of with_windows' windows")
    found.add_argument("--pool-stride", type=int, default=0, metavar="PATCHES", help="of with_pooled_keys")
    found.add_argument("--merge", type=int, default=0, metavar="PAIRS", help="r of MergedViT")
    return found


def changed(options: argparse.Namespace) -> Config:
    """The named model's configuration, changed as the options say.

    Errors: ValueError for a size that is not one or two numbers, and for what the model does not have.
    """
    config = config_of(options.model)
    changes: dict[str, Any] = {}
    if options.size:
        if len(options.size) > 2:
            raise ValueError(f"--size is {options.size}: expected a side, or height and width, in pixels")
        changes["image_size"] = (options.size[0], options.size[-1])
    if options.patch is not None:
        changes["patch_size"] = options.patch
    if options.readable:
        changes["fused"] = False
    for name in set(changes) - {field.name for field in fields(config)}:
        raise ValueError(f"{options.model} has no {name!r}, as it has no attention")
    return replace(config, **changes)


def main(arguments: Sequence[str] | None = None, prog: str = "python -m vitlib.cost") -> None:
    """Print the report. Errors: SystemExit with code 2 for what cannot be, after a line that says why."""
    command = parser(prog)
    options = command.parse_args(arguments)
    try:
        run = Run(
            batch_size=options.batch,
            training=not options.inference,
            precision="amp" if options.amp else "bf16" if options.bf16 else "fp32",
            checkpointing=options.checkpointing,
            optimizer=options.optimizer,
            ema=options.ema,
            window=options.window,
            pool_stride=options.pool_stride,
            merge=options.merge,
        )
        print(replace(will_it_fit(changed(options), gpu_of(options.gpu), run), model=options.model))
    except ValueError as error:
        command.error(str(error))


def gpu_of(words: str) -> str | float:
    """A number is a size in GiB, anything else a name."""
    try:
        return float(words)
    except ValueError:
        return words


if __name__ == "__main__":
    main()
