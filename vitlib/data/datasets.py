"""Chapter 7: labelled pictures to train on. Nothing is downloaded unless `download=True` asks for it.

Each function gives Pictures, which are stored as bytes. `pictures.to(device)` moves the whole set; batches are then
cut, augmented and normalised on that device.
"""

import io
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from vitlib.data import samples as data
from vitlib.data.archives import Archive, DatasetError, check, fetch, read_idx, read_members, read_records
from vitlib.data.folders import image_folder
from vitlib.data.photos import FACES
from vitlib.data.pictures import Pictures, normalise
from vitlib.data.same_different import same_different

__all__ = [
    "DatasetError",
    "Pictures",
    "cifar10",
    "digits",
    "faces",
    "fashion_mnist",
    "image_folder",
    "normalise",
    "read_jpegs",
    "same_different",
]

# Krizhevsky, 2009, "Learning multiple layers of features from tiny images". This is the binary version: the Python
# version consists of pickles, which can run code when they are read.
CIFAR10 = Archive("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530")
CIFAR10_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
CIFAR10_TEST = ("test_batch.bin",)
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# Xiao, Rasul & Vollgraf, 2017, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms"
_ZALANDO = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"
FASHION = (
    Archive(_ZALANDO + "train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
    Archive(_ZALANDO + "train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
    Archive(_ZALANDO + "t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
    Archive(_ZALANDO + "t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
)
FASHION_CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


def digits() -> tuple[Pictures, Pictures]:
    """Handwritten digits (UCI, 1998), 8 × 8 grey: 1347 to train on and 450 to test, always the same split.

    A quarter of each class is in the test. The same writer may be in both parts.

    >>> train, test = digits()
    >>> len(train), len(test), test.labels.bincount().tolist()
    (1347, 450, [45, 45, 45, 45, 46, 45, 45, 45, 44, 45])
    """
    images, labels = data.digits()
    return Pictures(images, labels, tuple("0123456789")).split(4)


def faces() -> tuple[Pictures, Pictures]:
    """100 faces and 100 pieces of background, grey: half to train on, half to test.

    The files have 25 × 25 pixels; the last row and column are cropped, so that patches of 4, 6, 8 or 12 fit.

    >>> train, test = faces()
    >>> train.images.shape, test.labels.bincount().tolist()
    (torch.Size([100, 1, 24, 24]), [50, 50])

    Source: Huang et al., 2012, "Learning to align from scratch": a subset of Labeled Faces in the Wild, as
    skimage.data.lfw_subset gives it. The people did not ask to be in a book, and the set names no licence: train on
    it, but print no single face.
    """
    with Image.open(FACES.path) as sheet:
        tiles = torch.from_numpy(np.array(sheet)).unflatten(0, (10, 25)).unflatten(2, (20, 25))  # 10 25 20 25
    images = tiles.transpose(1, 2).reshape(200, 1, 25, 25)[..., :24, :24].contiguous()
    return Pictures(images, torch.arange(200) // 100, ("face", "background")).split(2)


def cifar10(source: str | PathLike[str], download: bool = False) -> tuple[Pictures, Pictures]:
    """CIFAR-10, 32 × 32 colour pictures of ten classes: 50,000 to train on and 10,000 to test (184 MB in memory).

    `source` is the official archive of the binary version, a folder with it or with its unpacked files, or an .npz of
    JPEG files (see read_jpegs). With `download`, the archive is fetched into the folder if it is missing.

    Errors: FileNotFoundError; DatasetError for a file that is damaged, incomplete or a different one, and for a
    download that fails.
    """
    path = Path(source)
    if path.suffix == ".npz":
        return read_jpegs(_there(path))
    names = CIFAR10_TRAIN + CIFAR10_TEST
    for folder in (path, path / "cifar-10-batches-bin"):
        if all((folder / name).is_file() for name in names):
            return _cifar10({name: (folder / name).read_bytes() for name in names})
    archive = path if path.is_file() else _local(CIFAR10, path, download)
    check(CIFAR10, archive)
    return _cifar10(read_members(archive, names))


def _cifar10(files: dict[str, bytes]) -> tuple[Pictures, Pictures]:
    def join(names: tuple[str, ...]) -> Pictures:
        parts = [read_records(name, files[name], shape=(3, 32, 32)) for name in names]
        for name, (images, _) in zip(names, parts, strict=True):
            if len(images) != 10_000:
                raise DatasetError(f"{name} has {len(images):,} pictures: expected 10,000; fetch {CIFAR10.url} again")
        return Pictures(torch.cat([i for i, _ in parts]), torch.cat([k for _, k in parts]), CIFAR10_CLASSES)

    return join(CIFAR10_TRAIN), join(CIFAR10_TEST)


def fashion_mnist(folder: str | PathLike[str], download: bool = False) -> tuple[Pictures, Pictures]:
    """Fashion-MNIST, 28 × 28 grey pictures of ten kinds of clothes: 60,000 to train on and 10,000 to test (55 MB).

    `folder` holds the four official files, compressed or not; checksums are compared for compressed ones. With
    `download`, missing files are fetched into it.

    Errors: those of cifar10.
    """
    tensors = []
    for archive in FASHION:
        path = Path(folder) / archive.name.removesuffix(".gz")
        if not path.is_file():
            path = _local(archive, Path(folder), download)
            check(archive, path)
        tensors.append(read_idx(path))
    train, train_labels, test, test_labels = tensors
    return (
        Pictures(train.unsqueeze(1), train_labels.long(), FASHION_CLASSES),  # N 28 28 → N 1 28 28
        Pictures(test.unsqueeze(1), test_labels.long(), FASHION_CLASSES),
    )


def read_jpegs(path: Path) -> tuple[Pictures, Pictures]:
    """Training and test pictures from an .npz of JPEG files, all of one size.

    Arrays for each split, "train" and "test": `{split}_jpeg` holds the bytes of all files one after another. File i is
    jpeg[offsets[i]:offsets[i + 1]], where `{split}_offsets` has N + 1 numbers. `{split}_labels` has N class indices.
    The array `classes` holds the names.

    Errors: DatasetError for arrays that are missing or do not fit together, and for a picture that cannot be read.
    """
    wanted = [f"{split}_{part}" for split in ("train", "test") for part in ("jpeg", "offsets", "labels")] + ["classes"]
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if missing := [name for name in wanted if name not in arrays.files]:
                raise DatasetError(f"{path} lacks {', '.join(missing)}: expected {', '.join(wanted)}")
            found = {name: arrays[name] for name in wanted}
    except DatasetError:
        raise
    except Exception as error:  # damaged bytes make zipfile raise anything
        raise DatasetError(f"{path} is no whole .npz file ({error}); fetch it again") from None
    classes = tuple(str(name) for name in found["classes"])
    train, test = (
        Pictures(
            _decode_all(path, split, found[f"{split}_jpeg"], found[f"{split}_offsets"]),
            torch.from_numpy(found[f"{split}_labels"].astype(np.int64)),
            classes,
        )
        for split in ("train", "test")
    )
    return train, test


def _decode_all(path: Path, split: str, jpeg: np.ndarray, offsets: np.ndarray) -> Tensor:
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(jpeg) or (np.diff(offsets) <= 0).any():
        raise DatasetError(f"{path}: {split}_offsets do not fit its {len(jpeg):,} bytes of JPEG; fetch it again")
    content, pictures = jpeg.tobytes(), []
    for i in tqdm(range(len(offsets) - 1), desc=f"decoding {split} pictures", delay=2):
        try:
            image = Image.open(io.BytesIO(content[offsets[i] : offsets[i + 1]]), formats=("JPEG",)).convert("RGB")
        except (OSError, SyntaxError) as error:  # what Pillow raises for a damaged file
            raise DatasetError(f"{path}: {split} picture {i} cannot be read ({error}); fetch it again") from None
        pictures.append(np.asarray(image))
        if pictures[i].shape != pictures[0].shape:
            raise DatasetError(f"{path}: {split} picture {i} is {image.size}: expected the size of the first")
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()  # N H W C → N C H W


def _local(archive: Archive, folder: Path, download: bool) -> Path:
    """The path of the archive in the folder. A missing one is downloaded if `download` is true."""
    path = folder / archive.name
    if path.is_file():
        return path
    return fetch(archive, folder) if download else _there(path, archive.url)


def _there(path: Path, url: str = "") -> Path:
    if not path.is_file():
        remedy = f"; fetch {url} into that folder, or say download=True" if url else "; check the path"
        raise FileNotFoundError(f"no file at {path}{remedy}")
    return path
