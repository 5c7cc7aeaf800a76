"""Single pictures: those that come with vitlib, by name, and your own, by their path.

Nothing is downloaded. `PICTURES` gives the subject, the author and the licence of each bundled picture.
"""

import gzip
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from vitlib.data.decode import as_tensor, read_picture
from vitlib.data.photos import PICTURES
from vitlib.vit.checks import nearest


def picture(name: str | Path) -> UInt8[Tensor, "3 H W"]:
    """A picture as a tensor of bytes, [3, H, W]: a bundled one by its name, or your own by its path.

    A file is turned upright (EXIF), grey and palette pictures become RGB, and transparent pixels lie on white. If a
    file has a name of PICTURES, the bundled picture is taken: write "./coffee" for the file.

    >>> picture("chelsea").shape
    torch.Size([3, 300, 451])

    Errors: ValueError for an unknown name (the nearest one is suggested), and for a file that is not a picture, is
    damaged, or has more than MAX_PIXELS; FileNotFoundError for a path without a file.
    """
    if name == "digits":
        return _digit_sheet()
    if name in PICTURES:
        return read_picture(PICTURES[str(name)].path)
    if Path(name).is_file():
        return read_picture(Path(name))
    raise _unknown(str(name))


def to_float(picture: UInt8[Tensor, "C H W"]) -> Float[Tensor, "1 C H W"]:
    """Bytes 0…255 as numbers 0…1, with the batch axis that a model expects.

    >>> to_float(torch.tensor([[[0, 51, 255]]], dtype=torch.uint8))
    tensor([[[[0.0000, 0.2000, 1.0000]]]])

    Errors: ValueError for another dtype or another number of axes.
    """
    if picture.dtype != torch.uint8 or picture.ndim != 3:
        raise ValueError(
            f"picture is {picture.dtype} of shape {tuple(picture.shape)}: "
            "expected torch.uint8 of shape (C, H, W), as vitlib.data.samples.picture gives it"
        )
    return picture.float().div(255).unsqueeze(0)  # C H W → 1 C H W


def shrink(picture: UInt8[Tensor, "3 H W"], longest: int) -> UInt8[Tensor, "3 H2 W2"]:
    """The same picture, scaled down (Lanczos) so that neither side is longer than `longest` pixels.

    >>> shrink(picture("chelsea"), 100).shape
    torch.Size([3, 67, 100])
    """
    image = Image.fromarray(picture.permute(1, 2, 0).numpy())  # C H W → H W C
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return as_tensor(image)


def digits() -> tuple[UInt8[Tensor, "1797 1 8 8"], Int64[Tensor, "1797"]]:
    """Handwritten digits (UCI, 1998): images [1797, 1, 8, 8] as bytes 0…255, and the digit on each, [1797].

    >>> images, labels = digits()
    >>> images.shape, labels[:5].tolist()
    (torch.Size([1797, 1, 8, 8]), [0, 1, 2, 3, 4])
    """
    with gzip.open(PICTURES["digits"].path, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",")
    ink = torch.from_numpy(table[:, :64])  # 0…16
    images = (ink * 255 / 16).round().to(torch.uint8).reshape(-1, 1, 8, 8)
    return images, torch.from_numpy(table[:, 64].astype(np.int64))


def _digit_sheet() -> UInt8[Tensor, "3 80 80"]:
    """The first hundred digits, 10 × 10 on one picture: with patches of 8 pixels, every patch is one digit."""
    images, _ = digits()
    sheet = images[:100, 0].reshape(10, 10, 8, 8).permute(0, 2, 1, 3).reshape(1, 80, 80)
    return sheet.repeat(3, 1, 1)


def _unknown(name: str) -> Exception:
    if Path(name).is_dir():
        return ValueError(f"{name!r} is a folder; give the path of one picture in it")
    if Path(name).suffix or Path(name).parent != Path("."):
        return FileNotFoundError(f"no file at {name!r}; check the path (this notebook runs in {Path.cwd()})")
    suggestion, names = nearest(name, PICTURES), ", ".join(PICTURES)
    return ValueError(f"no picture is called {name!r}{suggestion}; choose one of {names}, or give a file's path")
