"""Your own pictures: a folder with a sub-folder for each class, as cats/ and dogs/."""

import warnings
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from vitlib.data.archives import DatasetError
from vitlib.data.pictures import Pictures
from vitlib.data.samples import read_picture


def image_folder(folder: str | PathLike[str], size: int | tuple[int, int], skip_damaged: bool = False) -> Pictures:
    """Every picture below `folder`, at one size; the class is the sub-folder, in alphabetical order.

    `size` is in pixels, (height, width) or the side of a square. A picture is scaled until it covers that size, and the
    middle is kept; it is read as `picture` reads it: upright, in RGB. Files and folders whose name begins
    with a dot are passed over. Every other file must be a picture; with `skip_damaged`, those that are not are left
    out, and a warning names them.

    Errors: FileNotFoundError; DatasetError for a folder without sub-folders, a class without pictures, and files that
    cannot be read, which it names.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder at {root}; check the path (this notebook runs in {Path.cwd()})")
    classes = tuple(sorted(each.name for each in root.iterdir() if each.is_dir() and not each.name.startswith(".")))
    if not classes:
        raise DatasetError(f"{root} has no sub-folders: expected one for each class, such as cats/ and dogs/")
    files = [(path, label) for label, name in enumerate(classes) for path in _files(root / name)]
    height, width = (size, size) if isinstance(size, int) else size

    images = torch.empty(len(files), 3, height, width, dtype=torch.uint8)
    good, bad = [], []
    for i, (path, _) in enumerate(tqdm(files, desc=f"decoding {root.name}", delay=2)):
        try:
            images[i] = _cover(read_picture(path), height, width)
            good.append(i)
        except ValueError as error:
            bad.append(str(error))
    if bad:
        told = f"{len(bad)} of {len(files)} files in {root} cannot be read: {'; '.join(bad[:5])}{' …' * (len(bad) > 5)}"
        if not skip_damaged:
            raise DatasetError(f"{told}. Mend or remove them, or leave them out with skip_damaged=True")
        warnings.warn(told, stacklevel=2)
    labels = torch.tensor([files[i][1] for i in good], dtype=torch.int64)
    counts = labels.bincount(minlength=len(classes))
    if empty := [name for name, count in zip(classes, counts.tolist(), strict=True) if not count]:
        raise DatasetError(f"{root} has no picture of {', '.join(empty)}; add some, or remove the sub-folder")
    return Pictures(images[good] if bad else images, labels, classes)


def _files(folder: Path) -> list[Path]:
    def hidden(path: Path) -> bool:
        return any(part.startswith(".") for part in path.relative_to(folder).parts)

    return sorted(path for path in folder.rglob("*") if path.is_file() and not hidden(path))


def _cover(picture: UInt8[Tensor, "3 H W"], height: int, width: int) -> UInt8[Tensor, "3 H2 W2"]:
    image = Image.fromarray(picture.permute(1, 2, 0).numpy())  # C H W → H W C
    fitted = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1)  # H W C → C H W
