"""A figure as a file that a notebook can store: an SVG that is the same on every run, or a small PNG."""

import base64
import io
import re

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

PHOTO_DPI = 150  # pixels of a photograph in a figure for an inch: the bundled ones have no more
SMALL_DPI = 72  # of the small PNG
FEW_PIXELS = 128  # a picture or table with no longer side is drawn as squares, not blurred

_PATH = re.compile(r' d="[^"]*"')
_MORE_DECIMALS = re.compile(r"(\.\d\d)\d+")  # than a hundredth of a point
_PNG_INSIDE = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")


def svg_text(figure: Figure) -> str:
    """The figure as an SVG file, the same on every run; photographs in it are WebP."""
    pictures = figure.findobj(AxesImage)
    before = [picture.get_interpolation() for picture in pictures]
    for picture in pictures:
        if max(picture.get_size()) <= FEW_PIXELS:
            picture.set_interpolation("none")  # stored pixel by pixel, enlarged without blur by whoever shows it
    file = io.StringIO()
    with rc_context({"svg.hashsalt": "vitlib", "svg.fonttype": "path"}):
        figure.savefig(file, format="svg", dpi=PHOTO_DPI, bbox_inches="tight", metadata={"Date": None})
    for picture, interpolation in zip(pictures, before, strict=True):
        picture.set_interpolation(interpolation)
    short = _PATH.sub(lambda path: _MORE_DECIMALS.sub(r"\1", path[0]), file.getvalue())
    return " ".join(_PNG_INSIDE.sub(lambda found: _smaller(found[1]), short).split())


def png_bytes(figure: Figure) -> bytes:
    """The figure as a small PNG file of 256 dithered colours."""
    full, file = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png", dpi=SMALL_DPI, bbox_inches="tight", pil_kwargs={"compress_level": 1})
    image = Image.open(full).convert("RGB")
    palette = image.quantize(256, Image.Quantize.FASTOCTREE)  # keeps rare colours, such as a cat's green eye
    image.quantize(palette=palette).save(file, format="png")
    return file.getvalue()


def _smaller(png: str) -> str:
    """The address of an embedded picture, as WebP where that takes less room: a photograph, not a table of colours."""
    content, file = base64.b64decode(png), io.BytesIO()
    Image.open(io.BytesIO(content)).save(file, format="webp", quality=90, method=4)
    if len(file.getvalue()) < len(content) // 2:
        return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
