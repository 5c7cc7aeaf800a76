"""One front door for a folder of photos: `python -m vitlib finetune FOLDER`, `predict FOLDER`, `cost NAME`.

Imports of torch stand in the functions, so that `--help` comes at once.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence

PROG = "python -m vitlib"
# what the functions behind the commands call their arguments, and what the commands call them
OPTIONS = {
    "leave them out with skip_damaged=True": "leave them out with --skip-damaged",
    "Give another save=, or resume=False to replace it": "Give another --out",
    "give another save=": "give another --out",
    "; unlabelled_folder reads pictures without classes": "",
}


def parser() -> argparse.ArgumentParser:
    """What the commands understand."""
    whole = argparse.ArgumentParser(prog=PROG, description="Vision models for a folder of photos.")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    told = "train a model on a folder with a sub-folder of photos for each class, and report how good it is"
    tune = commands.add_parser("finetune", help=told, description=f"{told[0].upper()}{told[1:]}.")
    tune.add_argument("folder", metavar="FOLDER", help="such as photos, with photos/cats and photos/dogs in it")
    tune.add_argument("--model", metavar="NAME|FILE", help="where to start (the trained model that comes with vitlib)")
    tune.add_argument("--out", metavar="FOLDER", help="for model and report (FOLDER's name with -finetuned, here)")
    tune.add_argument("--epochs", type=int, default=10, help="passes over the training pictures (10)")
    tune.add_argument("--size", type=int, metavar="PIXELS", help="side that pictures are cut to (the model's own)")
    tune.add_argument("--batch", type=int, default=32, help="pictures in a step (32)")
    tune.add_argument("--lr", type=float, default=5e-4, help="the highest learning rate (0.0005)")
    tune.add_argument("--blocks", type=int, metavar="N", help="only the last N blocks learn; 0: the head alone (all)")
    tune.add_argument("--balanced", action="store_true", help="every class counts alike, however few photos it has")
    tune.add_argument("--seed", type=int, default=0, help="of the split and the training (0)")

    told = "say what is on photos: the likeliest classes and their probabilities"
    ask = commands.add_parser("predict", help=told, description=f"{told[0].upper()}{told[1:]}.")
    ask.add_argument("source", metavar="FOLDER|FILE", help="photos, in sub-folders or not, or one photo")
    ask.add_argument(
        "--model", metavar="NAME|FILE", required=True, help="such as photos-finetuned, the folder that finetune leaves"
    )
    ask.add_argument("--top", type=int, default=3, help="classes named for each photo (3)")
    ask.add_argument("--csv", metavar="FILE", help="write the answers as a table, too")
    for each in (tune, ask):
        each.add_argument("--device", help="cpu, cuda, cuda:1 or mps (the best there is)")
        each.add_argument("--skip-damaged", action="store_true", help="leave out files that cannot be read")

    commands.add_parser("cost", help="whether a model fits into a GPU's memory, and what to do if not", add_help=False)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status: 0, or 1 where it could not be done, after a line that says why.

    Errors: SystemExit with code 2 for arguments that no command understands.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["cost"]:
        from vitlib.cost.__main__ import main as cost

        cost(given[1:], prog=f"{PROG} cost")
        return 0
    options = parser().parse_args(given)
    from vitlib.commands import finetune, predict
    from vitlib.commands.common import FAILURES, shown

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = lambda message, *_: print(f"note: {shown(str(message))}", file=sys.stderr)
        try:
            (finetune.run if options.command == "finetune" else predict.run)(options)
        except FAILURES as error:
            words = str(error)
            for ours, theirs in OPTIONS.items():
                words = words.replace(ours, theirs)
            print(f"{PROG} {options.command}: {shown(words)}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            kept = "; the same command goes on after the last whole epoch" * (options.command == "finetune")
            print(f"\nstopped{kept}", file=sys.stderr)
            return 130
    return 0


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show stops nothing
    sys.exit(main())
