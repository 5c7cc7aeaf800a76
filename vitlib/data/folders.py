"""Your own pictures: a folder with a sub-folder for each class, as cats/ and dogs/."""

import warnings
from os import PathLike
from pathlib import Path

import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from vitlib.data.archives import DatasetError
from vitlib.data.decode import as_tensor, read_picture
from vitlib.data.pictures import Pictures
from vitlib.vit.checks import require_pair, shortened


def image_folder(folder: str | PathLike[str], size: int | tuple[int, int], skip_damaged: bool = False) -> Pictures:
    """Every picture below `folder`, at one size; the class is the sub-folder, in alphabetical order.

    `size` is in pixels, (height, width) or the side of a square. A picture is scaled until it covers that size, and its
    centre is cropped; it is read as `picture` reads it: upright, in RGB. Files that an operating system leaves (names
    that begin with a dot, Thumbs.db, desktop.ini, __MACOSX) are ignored, and a warning names files outside the
    sub-folders. Every other file must be a picture, or a link to one; with `skip_damaged`, those that cannot be read
    are left out, and a warning names them.

    Errors: FileNotFoundError; ValueError for a size that is not positive; DatasetError for a folder without
    sub-folders, a class without pictures, and files that cannot be read (the message names them).
    """
    return image_files(folder, size, skip_damaged)[0]


def image_files(
    folder: str | PathLike[str], size: int | tuple[int, int], skip_damaged: bool = False
) -> tuple[Pictures, list[Path]]:
    """The pictures of image_folder, and the path of each. Errors: those of image_folder."""
    root = _existing(folder)
    classes = tuple(sorted(each.name for each in root.iterdir() if each.is_dir() and not _debris(each, root)))
    if not classes:
        raise DatasetError(
            f"{root} has no sub-folders: expected one for each class, such as cats/ and dogs/; "
            "unlabelled_folder reads pictures without classes"
        )
    if outside := sorted(each.name for each in root.iterdir() if each.is_file() and not _debris(each, root)):
        warnings.warn(f"left out, as they lie in no class of {root}: {shortened(outside, 5)}", stacklevel=3)
    files = [(path, label) for label, name in enumerate(classes) for path in _files(root / name)]
    images, good = _read(root, [path for path, _ in files], size, skip_damaged, stacklevel=4)
    labels = torch.tensor([files[i][1] for i in good], dtype=torch.int64)
    counts = labels.bincount(minlength=len(classes))
    if empty := [name for name, count in zip(classes, counts.tolist(), strict=True) if not count]:
        raise DatasetError(f"{root} has no picture of {', '.join(empty)}; add some, or remove the sub-folder")
    return Pictures(images, labels, classes), [files[i][0] for i in good]


def image_file(path: Path, size: int | tuple[int, int]) -> UInt8[Tensor, "3 H W"]:
    """One picture, read, scaled and cropped as in `image_folder`. Errors: ValueError for the size or the file."""
    return _cover(read_picture(path), *require_pair("size", size))


def unlabelled_folder(
    folder: str | PathLike[str], size: int | tuple[int, int], skip_damaged: bool = False
) -> tuple[UInt8[Tensor, "N 3 H W"], list[Path]]:
    """Every picture below `folder`, at one size and in alphabetical order, and the path of each: for `predict`.

    They are read as in `image_folder`; sub-folders mean nothing. Errors: those of image_folder; DatasetError for a
    folder without a picture.
    """
    root = _existing(folder)
    files = _files(root)
    if not files:
        raise DatasetError(f"{root} holds no picture; check the path")
    images, good = _read(root, files, size, skip_damaged)
    if not good:
        raise DatasetError(f"{root} holds no picture that can be read")
    return images, [files[i] for i in good]


def _existing(folder: str | PathLike[str]) -> Path:
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder at {root}; check the path (this program runs in {Path.cwd()})")
    return root


def _read(
    root: Path, files: list[Path], size: int | tuple[int, int], skip_damaged: bool, stacklevel: int = 3
) -> tuple[UInt8[Tensor, "N 3 H W"], list[int]]:
    """The pictures that can be read, and the indices of their files."""
    height, width = require_pair("size", size)
    images = torch.empty(len(files), 3, height, width, dtype=torch.uint8)
    good, bad = [], []
    for i, path in enumerate(tqdm(files, desc=f"decoding {root.name}", delay=2)):
        try:
            images[i] = _cover(read_picture(path), height, width)
            good.append(i)
        except (ValueError, OSError) as error:
            bad.append(str(error))
    if bad:
        told = f"{len(bad)} of {len(files)} files in {root} cannot be read: {shortened(bad, 5, '; ')}"
        if not skip_damaged:
            raise DatasetError(f"{told}. Mend or remove them, or leave them out with skip_damaged=True")
        warnings.warn(told, stacklevel=stacklevel)
    return (images[good] if bad else images), good


def _files(folder: Path) -> list[Path]:
    """All files below a folder. Broken links are among them, so that a message names them."""
    found = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return sorted(path for path in found if not _debris(path, folder))


def _debris(path: Path, root: Path) -> bool:
    """Whether an operating system or a program made this file for itself."""
    return any(
        part.startswith(".") or part.lower() in ("thumbs.db", "desktop.ini", "__macosx")
        for part in path.relative_to(root).parts
    )


def _cover(picture: UInt8[Tensor, "3 H W"], height: int, width: int) -> UInt8[Tensor, "3 H2 W2"]:
    image = Image.fromarray(picture.permute(1, 2, 0).numpy())  # C H W → H W C
    fitted = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    return as_tensor(fitted)
