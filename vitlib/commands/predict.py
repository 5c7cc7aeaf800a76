"""`python -m vitlib predict FOLDER`: what is on photos."""

import csv
import os
from argparse import Namespace
from pathlib import Path

from vitlib.commands.common import opened, shown
from vitlib.data.folders import image_file, unlabelled_folder
from vitlib.training.classes import class_names
from vitlib.training.predict import Guess, predict
from vitlib.weights import files

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet may run


def run(options: Namespace) -> None:
    """Print the likeliest classes of each photo and, with `options.csv`, write them as a table.

    Where every photo is in a sub-folder that has the name of one of the model's classes, the accuracy is printed,
    too.

    Errors: ValueError for a file that is not a photo and for too few classes; FileNotFoundError; those of the model.
    """
    source, table = Path(options.source), Path(options.csv) if options.csv else None
    if table is not None and (table.is_dir() or not table.parent.is_dir()):
        raise FileNotFoundError(f"{table} is no place for a table: give a file in a folder that exists")
    if not source.exists():
        raise FileNotFoundError(f"nothing is at {source}; check the path (this program runs in {Path.cwd()})")
    model = opened(options.model, options.device)
    names, size = class_names(model), model.config.image_size
    top = min(options.top, model.config.num_classes)
    if source.is_dir():
        images, paths = unlabelled_folder(source, size, options.skip_damaged)
    else:
        images, paths = image_file(source, size)[None], [source]
    answers = predict(model, images, top=top)
    for path, guesses in zip(paths, answers, strict=True):
        told = ", ".join(f"{shown(name)} {probability:.1%}" for name, probability in guesses)
        print(f"{shown(str(path))}: {told}")
    if source.is_dir() and names:
        folders = [path.relative_to(source).parts[0] for path in paths]
        if set(folders) <= set(names):
            right = sum(guesses[0].name == folder for guesses, folder in zip(answers, folders, strict=True))
            print(f"{right} of {len(paths)} are in the folder of their class ({right / len(paths):.1%})")
    if table is not None:
        _write(table, paths, answers)


def _write(table: Path, paths: list[Path], answers: list[list[Guess]]) -> None:
    """A row for each photo: UTF-8 as spreadsheets read it; bytes of a file name that are no UTF-8 stay as they are."""
    heads = [f"{what} {place}" for place in range(1, len(answers[0]) + 1) for what in ("class", "probability")]
    with files.whole(table) as draft, draft.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write("\ufeff")
        rows = csv.writer(file)
        rows.writerow(["picture", *heads])
        for path, guesses in zip(paths, answers, strict=True):
            cells = [cell for name, share in guesses for cell in (_harmless(name), f"{share:.6f}")]
            rows.writerow([_located(path), *cells])


def _located(path: Path) -> str:
    """The path, written so that a spreadsheet does not read it as a formula."""
    return f"{os.curdir}{os.sep}{path}" if str(path).startswith(FORMULA) else str(path)


def _harmless(name: str) -> str:
    return f"'{name}" if name.startswith(FORMULA) else name
