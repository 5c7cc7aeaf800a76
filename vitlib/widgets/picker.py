"""Pictures under a grid of tokens that answer to clicks and to the arrow keys, for the explorers of attention."""

from pathlib import Path

import traitlets
from anywidget import AnyWidget

from vitlib.widgets.pictures import framed


class Picker(AnyWidget):
    """Pictures side by side under one grid. Python draws them; the browser sets `chosen`, and tells of clicks.

    A click is a message {"panel": which picture, from 0, "token": which token}; Enter and Space are {"key", "token"}.
    """

    _esm = Path(__file__).with_name("picker.js").read_text(encoding="utf-8")
    html = traitlets.Unicode().tag(sync=True)  # the pictures, each a `panel`
    label = traitlets.Unicode().tag(sync=True)  # what is chosen, for those who cannot see it
    words = traitlets.Unicode().tag(sync=True)  # what is shown, for them
    first = traitlets.Int(1).tag(sync=True)  # 0 where a token stands before the patches
    rows = traitlets.Int().tag(sync=True)  # patches
    columns = traitlets.Int().tag(sync=True)  # patches
    chosen = traitlets.Int().tag(sync=True)  # a token: patches count from 1


def panel(number: int, caption: str, source: str, size: tuple[int, int], over: str, below: str = "") -> str:
    """One picture of a Picker: its caption, the picture of so many pixels under an SVG, and what stands below it."""
    drawn = framed(source, size, "", over, smooth=False)
    return f'<div data-panel="{number}"><p class="vit-caption">{caption}</p>{drawn}{below}</div>'
