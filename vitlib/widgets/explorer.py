"""What every explorer is made of: its frame, its controls, and the figure that replaces it where no kernel runs."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Checkbox, Dropdown, FileUpload, HBox, Layout, ToggleButtons, VBox, Widget
from jaxtyping import UInt8
from torch import Tensor

from vitlib.data.decode import read_picture
from vitlib.data.samples import PICTURES
from vitlib.plotting import Figure

STYLE = f"<style>{Path(__file__).with_name('style.css').read_text(encoding='utf-8')}</style>"
# arguments of a control that is as wide as its column, with its name before it
CONTROL: dict[str, Any] = {"layout": {"width": "auto"}, "style": {"description_width": "96px"}}
INSET = {"margin": "2px 2px 2px 100px", "width": "auto"}  # the layout of what stands below the controls' values


class Explorer(VBox):
    """Controls, and what is drawn each time one of them changes. A subclass has a `sentence` and a `still`.

    It may be looked at with no kernel behind it: then the still figure and the sentence take its place.
    """

    def __init__(self, *rows: Widget, width: int = 1040) -> None:
        """rows: from top to bottom; width: pixels, at most."""
        super().__init__([HTML(STYLE), *rows], layout=Layout(width="100%", max_width=f"{width}px"))
        self.add_class("vit-explorer")

    @property
    def sentence(self) -> str:
        """What is shown, in words."""
        raise NotImplementedError

    def still(self) -> Figure:
        """What is shown, as a figure."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = self.still()._repr_mimebundle_()
        return super()._repr_mimebundle_(**kwargs) | data | {"text/plain": self.sentence}, metadata


def picture_choice(name: str) -> Dropdown:
    """The bundled pictures, and before them the one of this name or path if it is another."""
    own = () if name in PICTURES else (name,)
    return Dropdown(options=[*own, *PICTURES], value=name, description="Picture", **CONTROL)


def uploaded(upload: FileUpload, notice: HTML) -> tuple[str, UInt8[Tensor, "3 H W"]] | None:
    """The name and the pixels of a file that was uploaded; None where there is none, or where `notice` says why not."""
    if not upload.value:
        return None
    file = upload.value[0]
    upload.value = ()  # so that the same file can be chosen again
    try:
        return file["name"], read_picture(bytes(file["content"]), file["name"])
    except ValueError as error:
        notice.value = notice_html(f"⚠ {error}. The picture that was shown stays.")
        return None


def notice_html(message: str) -> str:
    """A line about an uploaded picture."""
    return f'<div class="vit-notice" role="alert">{escape(message)}</div>'


def buttons(description: str, options: Iterable[Any], width: int = 80, **value: Any) -> ToggleButtons:
    """A few choices side by side, each `width` pixels wide."""
    made = ToggleButtons(options=[*options], description=description, style={"description_width": "96px"}, **value)
    made.style.button_width = f"{width}px"
    made.layout = Layout(display="flex", flex_flow="row wrap", width="auto")
    return made


def tick(description: str, value: bool = False) -> Checkbox:
    """A box to tick, below the other controls' values."""
    return Checkbox(value=value, description=description, indent=False, layout=INSET)


def column(*widgets: Widget, basis: int = 300, limit: int | None = None, grow: int = 1) -> VBox:
    """Widgets below one another, in a column of about `basis` pixels and at most `limit`."""
    return VBox(widgets, layout=flexible(basis, limit, grow))


def flexible(basis: int, limit: int | None = None, grow: int = 1, **more: str) -> Layout:
    """The layout of what shares a row with others, and stands below them where the page is narrow."""
    widest = {} if limit is None else {"max_width": f"{limit}px"}
    return Layout(flex=f"{grow} 1 {basis}px", min_width="0", **widest, **more)


def side_by_side(*widgets: Widget) -> HBox:
    """Widgets side by side, or below one another where the page is narrow."""
    return HBox(widgets, layout=Layout(flex_flow="row wrap", grid_gap="12px 28px", width="100%"))


def on_change(call: Callable[[Any], None], *controls: Widget, trait: str = "value") -> None:
    """Call each time one of the controls changes."""
    for control in controls:
        control.observe(call, trait)


@contextmanager
def unobserved(control: Widget, call: Callable[[Any], None], trait: str = "value") -> Iterator[None]:
    """Change a control without the call that `on_change` asked for."""
    control.unobserve(call, trait)
    try:
        yield
    finally:
        control.observe(call, trait)
