"""The report of fine-tuning as one HTML file: accuracies, curves, the confusion matrix, and the worst mistakes."""

import html
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from vitlib.commands.common import shown
from vitlib.data.folders import image_file
from vitlib.data.pictures import Pictures
from vitlib.plotting import WIDTH, Figure, draw_picture
from vitlib.training.history import History
from vitlib.weights import files

SHARP = 192  # pixels at least along the shorter side of a mistake
WORST = 12  # mistakes that are shown
LARGEST_TABLE = 30  # classes; with more, the most frequent confusions are listed instead
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #111;
  background: #fff }}
img {{ max-width: 100% }} .wide {{ overflow-x: auto }} table {{ border-collapse: collapse }}
th, td {{ padding: .2rem .6rem; text-align: left; border-bottom: 1px solid #bbb }} td.n {{ text-align: right }}
td.right {{ font-weight: bold }} caption {{ text-align: left; padding: .4rem 0 }}
</style></head><body><main>
<h1>{title}</h1>
{body}
</main></body></html>
"""


@dataclass(frozen=True)
class Result:
    """What a model answers to test pictures that it has never seen."""

    pictures: Pictures
    probabilities: Float[Tensor, "N K"]
    files: list[Path]  # where the N pictures lie
    folder: Path  # which all of them lie in

    @property
    def classes(self) -> tuple[str, ...]:
        return self.pictures.classes

    @property
    def truth(self) -> Int64[Tensor, "N"]:
        return self.pictures.labels

    @property
    def answers(self) -> Int64[Tensor, "N"]:
        return self.probabilities.argmax(dim=1)

    def look(self, i: int) -> UInt8[Tensor, "3 H W"]:
        """The part of a photo that the model sees, enlarged where the model's input is small."""
        height, width = self.pictures.images.shape[2:]
        times = -(-SHARP // min(height, width))
        return image_file(self.files[i], (times * height, times * width))

    def confusion(self) -> Int64[Tensor, "K K"]:
        """The confusion matrix: how many pictures of the row's class are predicted as the column's, [K, K]."""
        kinds = len(self.classes)
        return (self.truth * kinds + self.answers).bincount(minlength=kinds**2).reshape(kinds, kinds)

    def by_class(self) -> list[tuple[str, int, int]]:
        """Each class, how many of its pictures are recognised, and how many there are."""
        table = self.confusion()
        return list(zip(self.classes, table.diag().tolist(), table.sum(dim=1).tolist(), strict=True))

    @property
    def accuracy(self) -> float:
        return int((self.answers == self.truth).sum()) / len(self.truth)

    @property
    def balanced(self) -> float:
        """The mean of the classes' accuracies: a rare class counts as much as a frequent one."""
        shares = [right / count for _, right, count in self.by_class() if count]
        return sum(shares) / len(shares)

    def worst(self) -> list[int]:
        """The indices of the mistakes, those with the most confident predictions first."""
        sure = self.probabilities.max(dim=1).values
        wrong = (self.answers != self.truth).nonzero().flatten()
        return [int(i) for i in wrong[sure[wrong].argsort(descending=True, stable=True)]]

    def numbers(self) -> dict[str, Any]:
        classes = {name: {"right": right, "of": count} for name, right, count in self.by_class()}
        return {"accuracy": self.accuracy, "balanced_accuracy": self.balanced, "classes": classes}


def write_report(path: Path, name: str, result: Result, history: History) -> None:
    """The whole file or none. Errors: OSError where the disk does not take it."""
    count, worst = len(result.truth), result.worst()
    parts = [
        f"<p>On {count} test pictures, which had no part in the training, <strong>{result.accuracy:.1%}</strong> are "
        f"right. With every class counted alike (balanced accuracy): <strong>{result.balanced:.1%}</strong>. The "
        f"weights are those of epoch {history.best} of {len(history)}, the best on the validation pictures.</p>",
        "<h2>Each class</h2>",
        _table(
            "Test pictures recognised",
            ("class", "right", "of", "share"),
            ((each, right, total, f"{right / total:.0%}") for each, right, total in result.by_class()),
        ),
        "<h2>Training</h2>",
        _figure(history.plot()),
        "<h2>What is taken for what</h2>",
        _confusion(result),
        "<h2>The worst mistakes</h2>",
    ]
    if worst:
        parts += [
            f"<p>{len(worst)} of {count} are wrong; below, those of which the model is surest.</p>",
            _figure(mistakes(result)),
            _table(
                "The same mistakes, in the same order",
                ("", "file", "true class", "its probability", "answer", "its probability"),
                (
                    (number, result.files[i].relative_to(result.folder), *_words(result, i))
                    for number, i in enumerate(worst[:WORST], start=1)
                ),
            ),
        ]
    else:
        parts.append(f"<p>There are none among the {count} test pictures.</p>")
    page = PAGE.format(title=f"A model for {_safe(name)}", body="\n".join(parts))
    with files.whole(path) as draft:
        draft.write_text(page, encoding="utf-8")


def mistakes(result: Result) -> Figure:
    """The worst mistakes as a picture, with the true class, the answer, and the probability of both.

    Errors: ValueError where there are none.
    """
    worst = result.worst()[:WORST]
    if not worst:
        raise ValueError("there are no mistakes to show")
    columns = min(4, len(worst))
    rows = -(-len(worst) // columns)
    height, width = result.pictures.images.shape[2:]
    side = 1.5 * WIDTH / 4
    figure = Figure(figsize=(columns * side, rows * (side * height / width + 0.7)), layout="constrained")
    cells = figure.subplots(rows, columns, squeeze=False).flatten()
    told = []
    for number, (axes, i) in enumerate(zip(cells, worst, strict=False), start=1):
        true, its, answer, sure = _words(result, i)
        draw_picture(axes, result.look(i))
        words = f"{number}. true: {_short(true)} ({its})\nanswer: {_short(answer)} ({sure})"
        axes.set_title(words, fontsize=8, loc="left", parse_math=False)
        told.append(f"{number}, {shown(true)} ({its}) taken for {shown(answer)} ({sure})")
    for axes in cells:
        axes.set_axis_off()
    figure.description = f"The {len(worst)} worst mistakes, with probabilities: {'; '.join(told)}."
    return figure


def _words(result: Result, i: int) -> tuple[str, str, str, str]:
    true, answer = int(result.truth[i]), int(result.answers[i])
    shares = [f"{float(result.probabilities[i, each]):.0%}" for each in (true, answer)]
    return result.classes[true], shares[0], result.classes[answer], shares[1]


def _confusion(result: Result) -> str:
    table = result.confusion()
    if len(result.classes) <= LARGEST_TABLE:
        rows = ((name, *counts) for name, counts in zip(result.classes, table.tolist(), strict=True))
        return _table("A row for each true class, a column for each answer", ("true class", *result.classes), rows, 1)
    wrong = table.masked_fill(torch.eye(len(table), dtype=torch.bool), 0)
    counts, places = wrong.flatten().topk(LARGEST_TABLE)
    pairs = ((divmod(place, len(table)), count) for place, count in zip(places.tolist(), counts.tolist(), strict=True))
    listed = ((result.classes[true], result.classes[answer], count) for (true, answer), count in pairs if count)
    return _table("The most frequent confusions", ("true class", "answer", "pictures"), listed)


def _table(caption: str, heads: Iterable[str], rows: Iterable[tuple[Any, ...]], diagonal: int | None = None) -> str:
    """An HTML table. `diagonal`: the column that holds the first row's right answer, one further right in each row."""
    lines = ["".join(f'<th scope="col">{_safe(each)}</th>' for each in heads)]
    for number, row in enumerate(rows):
        cells = [f'<th scope="row">{_safe(row[0])}</th>']
        for place, each in enumerate(row[1:], start=1):
            kind = "n" * isinstance(each, int) + " right" * (diagonal is not None and place == number + diagonal)
            cells.append(f'<td class="{kind.strip()}">{_safe(each)}</td>')
        lines.append("".join(cells))
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><caption>{_safe(caption)}</caption>\n{body}</table></div>'


def _figure(figure: Figure) -> str:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the table below has the name in any script
        figure.description = shown(figure.description)
        return f"<p>{figure.html()}</p>"


def _safe(each: object) -> str:
    return html.escape(shown(str(each)))


def _short(name: str, most: int = 18) -> str:
    return shown(name if len(name) <= most else f"{name[: most - 1]}…")
