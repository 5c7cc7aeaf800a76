"""`python -m vitlib finetune FOLDER`: a folder of photos becomes a model and an honest report of how good it is."""

import json
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path

from torch import Tensor

from vitlib.commands.common import opened, shown
from vitlib.commands.report import Result, write_report
from vitlib.data.folders import image_files
from vitlib.data.pictures import Pictures
from vitlib.trained import trained_models
from vitlib.training.finetune import FINETUNE, finetune
from vitlib.training.predict import predict
from vitlib.vit.fields import pair_of
from vitlib.weights import files, save

PARTS = 5  # a fifth of each class to test, a fifth to choose the best epoch by, and the rest to learn from


def run(options: Namespace) -> None:
    """Train, measure once, and write model.safetensors, run.json and report.html into `options.out`.

    A run that was stopped is resumed; for one that is finished, only its report is printed again.

    Errors: ValueError for a folder with too little to learn from, and for an `out` that holds anything else; those of
    image_folder, of finetune and of a disk.
    """
    folder = Path(options.folder)
    out = Path(options.out or f"{folder.resolve().name}-finetuned")
    _check_place(out, folder)
    recipe = replace(
        FINETUNE,
        epochs=options.epochs,
        batch_size=options.batch,
        lr=options.lr,
        balanced=options.balanced,
        seed=options.seed,
        flip=True,
    )
    start = opened(options.model or trained_models()[0], options.device, fresh=True)
    size = start.config.image_size if options.size is None else options.size
    start = start.resized(pair_of(size))  # a size that does not fit is told before the pictures are read
    pictures, paths = image_files(folder, size, options.skip_damaged)
    _check_enough(pictures, folder)
    train, valid, test = three_ways(pictures, options.seed)
    print(f"{len(pictures)} pictures of {len(pictures.classes)} classes in {shown(str(folder))}: ", end="")
    print(f"{len(train)} to learn from, {len(valid)} to choose the best epoch by, {len(test)} to test")

    out.mkdir(parents=True, exist_ok=True)
    done = (out / "report.html").exists() and (out / "model.safetensors").exists()
    model, history = finetune(
        start,
        pictures.take(train),
        pictures.take(test),
        recipe,
        blocks=options.blocks,
        valid=pictures.take(valid),
        save=out / "training.safetensors",
    )
    tested = pictures.take(test)
    answers = predict(model, tested.images, probabilities=True)
    result = Result(tested, answers, [paths[i] for i in test.tolist()], folder)
    if not done:
        save(model, out / "model.safetensors")
        with files.whole(out / "run.json") as draft:
            told = {"options": vars(options), "history": asdict(history), "test": result.numbers()}
            draft.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        write_report(out / "report.html", folder.resolve().name, result, history)
    print(history)
    print(shown_classes(result))
    print(f"\n{'this run was done already' if done else 'done'}: {shown(str(out / 'model.safetensors'))}, ", end="")
    print(shown(str(out / "report.html")))


def three_ways(pictures: Pictures, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of pictures for training, validation and test: of each class with five or more, at least 3, 1 and 1.

    >>> import torch
    >>> some = Pictures(torch.zeros(10, 3, 1, 1, dtype=torch.uint8), torch.tensor([0] * 5 + [1] * 5), ("cat", "dog"))
    >>> [len(each) for each in three_ways(some, seed=0)]
    [6, 2, 2]
    """
    rest, test = pictures.split_places(PARTS, seed)
    train, valid = pictures.take(rest).split_places(PARTS - 1, seed)
    return rest[train], rest[valid], test


def shown_classes(result: Result) -> str:
    """The accuracy, plain and balanced, and that of each class."""
    lines = [f"on {len(result.truth)} test pictures: {result.accuracy:.1%} right, classes alike {result.balanced:.1%}"]
    wide = max(len(shown(name)) for name in result.classes)
    lines += [f"  {shown(name):{wide}}  {right} of {count}" for name, right, count in result.by_class()]
    return "\n".join(lines)


def _check_place(out: Path, folder: Path) -> None:
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"the results would go to {out}, among the photos of {folder}, and count as photos the next time: give a "
            "folder elsewhere by --out"
        )
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: give a folder by --out")
    inside = [each.name for each in out.iterdir() if not each.name.startswith(".")] if out.exists() else []
    if inside and "training.safetensors" not in inside:
        raise ValueError(f"{out} holds {sorted(inside)[0]}, and no run of this command: give another folder by --out")


def _check_enough(pictures: Pictures, folder: Path) -> None:
    counts = pictures.labels.bincount(minlength=len(pictures.classes)).tolist()
    if len(counts) < 2:
        raise ValueError(
            f"{folder} has one class, {pictures.classes[0]}: expected two sub-folders or more to tell apart"
        )
    if few := [f"{name} ({count})" for name, count in zip(pictures.classes, counts, strict=True) if count < PARTS]:
        raise ValueError(
            f"too few pictures of {', '.join(few)}: expected at least {PARTS} of each class, three to learn from, one "
            "to choose the best epoch by and one to test"
        )
