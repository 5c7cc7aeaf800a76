"""A drawing of matplotlib as a small SVG: fewer decimals, photographs as WebP, and each picture stored once."""

import base64
import io
import re
from collections import Counter

from PIL import Image, ImageChops, ImageStat

FEW_PIXELS = 128  # a picture or table with no longer side is shown as squares, not blurred
EXACT = 40  # pixels: pictures with no longer side, such as CIFAR's or a sheet of its patches, keep every colour
QUALITY = 80  # of larger photographs, 0 to 100
HIGH_QUALITY = 90  # of those that QUALITY would change for the eye
UNSEEN = 4  # of 255: a mean difference between squares that nobody sees

# What no browser draws: a comment repeats each text, and each part has a name
_NOT_DRAWN = re.compile(r'<!--.*?-->|(?<=<g) id="[^"]*"', re.DOTALL)
_SPACES = re.compile(r"(?<=[\d.\s])\s*([A-Zz])\s*")  # "L 3 4 z" is "L3 4z"
_PATH = re.compile(r' d="[^"]*"')
_MORE_DECIMALS = re.compile(r"(\.\d\d)\d+")  # than a hundredth of a point
_PNG_INSIDE = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")
_AS_SQUARES = re.compile(r'(width="([\d.]+)" height="([\d.]+)"[^>]*) style="image-rendering:[^"]*"')
_PLACE = re.compile(r' [xy]="[^"]*"')
_IMAGE = re.compile(r'<image ([^>]*?)id="(\w+)"([^>]*?) (transform="[^"]*")([^>]*)/>')


def small_svg(drawing: str) -> str:
    """The same drawing with less to store: what matplotlib wrote as an SVG file, in one line."""
    drawing = _NOT_DRAWN.sub("", drawing)
    drawing = _PATH.sub(lambda path: _SPACES.sub(r"\1", _MORE_DECIMALS.sub(r"\1", path[0])), drawing)
    drawing = _AS_SQUARES.sub(lambda found: found[1] if _has_many_pixels(found) else found[0], drawing)
    drawing = _PNG_INSIDE.sub(lambda found: _smaller(found[1]), drawing)
    return " ".join(_each_once(drawing).split())


def _has_many_pixels(size: re.Match[str]) -> bool:
    return max(float(size[2]), float(size[3])) > FEW_PIXELS


def _smaller(png: str) -> str:
    """The address of an embedded picture, as WebP where that takes less room: a photograph, not a table of colours."""
    content = base64.b64decode(png)
    image = Image.open(io.BytesIO(content))
    for quality in (QUALITY, HIGH_QUALITY) if max(image.size) > EXACT else ():
        file = io.BytesIO()
        image.save(file, format="webp", quality=quality, method=4)
        if len(file.getvalue()) < len(content) // 2 and _looks_like(image, Image.open(file)):
            return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _looks_like(image: Image.Image, stored: Image.Image) -> bool:
    """Whether squares keep their colours: WebP mixes those of neighbours, which suits a photograph, not a table."""
    apart = ImageStat.Stat(ImageChops.difference(image.convert("RGB"), stored.convert("RGB"))).mean
    return max(image.size) > FEW_PIXELS or sum(apart) / 3 < UNSEEN


def _each_once(drawing: str) -> str:
    """A picture that is drawn several times is defined where it comes first, and used there and later.

    matplotlib names pictures by their content, so those of one name differ in nothing but their place.
    """
    times = Counter(found[2] for found in _IMAGE.finditer(drawing))
    defined = set()

    def use(found: re.Match[str]) -> str:
        before, name, between, transform, after = found.groups()
        if times[name] == 1:
            return found[0]
        place = "".join(_PLACE.findall(after))  # of a colour bar; a picture's is in its transform
        new = name not in defined
        defined.add(name)
        definition = f'<defs><image {before}id="{name}"{between}{_PLACE.sub("", after)}/></defs>' if new else ""
        return f'{definition}<use xlink:href="#{name}" {transform}{place}/>'

    return _IMAGE.sub(use, drawing)
