"""My progress on a page: a row for each chapter, the achievements, and a button that asks before it forgets."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Button, HBox, Layout, VBox

from autograde.learner.ticks import FILE_NAME, Progress, forget, read_progress

_CELL = "padding: 2px 16px 2px 0; text-align: left; font-variant-numeric: tabular-nums"  # of the table


def _wrote_a_function(progress: Progress) -> bool:
    return any(chapter.functions & chapter.solved for chapter in progress.chapters)


def _solved_every_kind(progress: Progress) -> bool:
    kinds = {kind for chapter in progress.chapters for kind in chapter.kinds.values()}
    solved = {chapter.kinds[exercise] for chapter in progress.chapters for exercise in chapter.solved}
    return len(kinds) > 1 and solved == kinds


def _built_a_model(progress: Progress) -> bool:
    """Every function of chapters 1 to 5 has its tick."""
    heart = [chapter for chapter in progress.chapters if "01" <= chapter.name[:2] <= "05"]
    return len(heart) == 5 and all(chapter.functions <= chapter.solved for chapter in heart)


ACHIEVEMENTS: dict[str, tuple[str, Callable[[Progress], bool]]] = {
    "First tick": ("one exercise has its tick", lambda progress: progress.solved > 0),
    "Own code": ("a function that you wrote has its tick", _wrote_a_function),
    "All kinds": ("an exercise of every kind has its tick", _solved_every_kind),
    "A whole chapter": (
        "every exercise of a chapter has its tick, the practice one not counted",
        lambda progress: any(chapter.done and len(chapter.kinds) > 1 for chapter in progress.chapters),
    ),
    "Came back": ("you earned ticks on three different days", lambda progress: progress.days >= 3),
    "A model of your own": ("every function of chapters 1 to 5 has its tick: together they are a ViT", _built_a_model),
    "The whole book": (
        "every exercise has its tick",
        lambda progress: 0 < progress.exercises == progress.solved,
    ),
}


def earned(progress: Progress) -> list[str]:
    """The achievements so far, by name."""
    return [name for name, (_, test) in ACHIEVEMENTS.items() if test(progress)]


def my_progress() -> Board:
    """A table of all chapters with the ticks so far, and a button to start over."""
    return Board(Path.cwd().parent)


class Board(VBox):
    """The table, with a button below it. Without a kernel only the table is shown."""

    def __init__(self, book: Path) -> None:
        self._book = book
        self.table, self.answer = HTML(), HTML()
        self.reset = Button(description="Begin anew…", icon="undo")
        self.sure = Button(description="Yes, forget my ticks", button_style="warning", layout=Layout(width="auto"))
        self.keep = Button(description="No, keep them", layout=Layout(width="auto"))
        self.question = VBox([self.answer, HBox([self.sure, self.keep])])
        super().__init__([self.table, self.reset, self.question])
        self.reset.on_click(self._ask)
        self.sure.on_click(self._forget)
        self.keep.on_click(self._draw)
        self._draw()

    def _draw(self, _: Any = None) -> None:
        self.progress = read_progress(self._book)
        self.table.value = board_html(self.progress)
        self.reset.layout.display = None
        self.reset.disabled = not self.progress.solved
        self.question.layout.display = "none"

    def _ask(self, _: Any = None) -> None:
        count = self.progress.solved
        ticks = "your tick" if count == 1 else f"all {count} ticks"
        self.answer.value = f'<p role="alert">Forget {ticks}? What you wrote in the notebooks stays.</p>'
        self.reset.layout.display = "none"
        self.question.layout.display = None

    def _forget(self, _: Any = None) -> None:
        try:
            forget(self._book)
        except OSError as error:
            reason = escape(str(error.strerror))
            self.answer.value = f'<p role="alert">{FILE_NAME} cannot be removed ({reason}).</p>'
            return
        self._draw()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        return shown | {"text/html": self.table.value, "text/plain": str(self.progress)}


def board_html(progress: Progress) -> str:
    """The chapters as a table, the achievements as a list, and warnings about the file."""
    rows = "".join(_row(chapter.title, len(chapter.solved), len(chapter.kinds)) for chapter in progress.chapters)
    have = earned(progress)
    marks = "".join(_mark(name, how, name in have) for name, (how, _) in ACHIEVEMENTS.items())
    notes = [progress.not_kept] if progress.not_kept else []
    if progress.unreadable:
        lines = "1 line" if progress.unreadable == 1 else f"{progress.unreadable} lines"
        notes.append(f"{lines} of {FILE_NAME} could not be read and count for nothing; the file was left as it is.")
    return (
        f'<div role="status"><p><b>{escape(str(progress))}</b></p>'
        f'<table style="border-collapse: collapse"><tr><th scope="col" style="{_CELL}">chapter</th>'
        f'<th scope="col" colspan="2" style="{_CELL}">ticks</th></tr>{rows}</table>'
        f"<p><b>My achievements</b>: {len(have)} of {len(ACHIEVEMENTS)}</p>"
        f'<ul style="list-style: none; padding-left: 0">{marks}</ul>'
        f"{''.join(f'<p>⚠ {escape(text)}</p>' for text in notes)}</div>"
    )


def _row(title: str, solved: int, count: int) -> str:
    share = 100 * solved / count
    bar = (
        '<div aria-hidden="true" style="width: 160px; height: 10px; outline: 1px solid #888; border-radius: 2px">'
        f'<div style="width: {share:.0f}%; height: 100%; background: #0072B2"></div></div>'
    )
    words = f"{solved} of {count}{' ✓' * (solved == count)}"
    return (
        f'<tr><th scope="row" style="{_CELL}; font-weight: 400">{escape(title)}</th>'
        f'<td style="{_CELL}">{bar}</td><td style="{_CELL}">{words}</td></tr>'
    )


def _mark(name: str, how: str, has: bool) -> str:
    sign, said = ("●", "earned") if has else ("○", "open")
    style = "" if has else ' style="opacity: .75"'
    return f'<li{style}><span role="img" aria-label="{said}">{sign}</span> <b>{name}</b>: {how}</li>'
