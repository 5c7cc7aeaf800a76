"""Published archives of pictures: downloaded only on request, checked against the publisher's checksum, read in memory.

A download that fails leaves no file. No code in an archive is run, and nothing is unpacked onto the disk.
"""

import gzip
import hashlib
import http.client
import tarfile
import tempfile
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from tqdm.auto import tqdm

CHUNK = 1 << 20  # bytes read at a time
TIMEOUT = 30  # seconds without a byte, after which a download fails


class DatasetError(ValueError):
    """Data that cannot be used. The message says what was found, what was expected, and what to do."""


@dataclass(frozen=True)
class Archive:
    """One published file. The publishers state its MD5, which finds damage; HTTPS protects against forgery."""

    url: str  # official address
    md5: str  # hexadecimal, as published

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def fetch(archive: Archive, folder: Path) -> Path:
    """Download an archive into a folder. The file appears there only when it is complete and its checksum is right.

    Errors: DatasetError for an address that does not answer, a download that breaks off, a full disk and a wrong
    checksum. The folder then holds no part of the file.
    """
    target = folder / archive.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as scratch:
            draft = Path(scratch) / archive.name
            _download(archive.url, draft)
            check(archive, draft)
            draft.replace(target)
    except (OSError, http.client.HTTPException) as error:
        raise DatasetError(
            f"{archive.url} did not arrive in {folder} ({error}); nothing of it is left there. Try again, or fetch it "
            "by other means and give its path"
        ) from None
    return target


def _download(url: str, draft: Path) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, draft.open("wb") as file:
        expected = int(answer.headers["Content-Length"] or 0)  # bytes; 0: the server does not say
        with tqdm(total=expected or None, unit="B", unit_scale=True, desc=draft.name, delay=2) as bar:
            while block := answer.read(CHUNK):
                file.write(block)
                bar.update(len(block))
        if file.tell() < expected:
            raise OSError(f"it broke off after {file.tell():,} of {expected:,} bytes")


def check(archive: Archive, path: Path) -> None:
    """Raise DatasetError if a file is not the one that was published."""
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    if md5 != archive.md5:
        raise DatasetError(
            f"{path.name} ({path.stat().st_size:,} bytes) has MD5 {md5}: expected {archive.md5}; it is damaged or "
            f"another file, not worth keeping; fetch {archive.url} again"
        )


def read_members(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """The contents of the named files in a .tar.gz; a name is the last part of a path."""
    found = {}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                name = member.name.rpartition("/")[2]
                if name in names and (stream := tar.extractfile(member)):
                    found[name] = stream.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} is no whole .tar.gz archive ({error}); fetch it again") from None
    if missing := [name for name in names if name not in found]:
        raise DatasetError(f"{path} lacks {', '.join(missing)}: expected the archive with {', '.join(names)}")
    return found


def read_idx(path: Path) -> UInt8[Tensor, "..."]:
    """The array in an idx file, MNIST's format, compressed or not. It holds 0, 0, 8, the number of axes, their lengths,
    and the data, all unsigned.

    Source: LeCun, Cortes & Burges, 1998, "The MNIST database of handwritten digits", file formats.
    """
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetError(f"{path} is damaged ({error}); fetch it again") from None
    if content[:3] != b"\0\0\x08":
        raise DatasetError(f"{path} begins with {content[:4]!r}: expected an idx file of bytes, b'\\x00\\x00\\x08…'")
    axes = content[3]
    shape = np.frombuffer(content, ">u4", count=axes, offset=4).tolist() if len(content) >= 4 + 4 * axes else []
    data = np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape))
    if not shape or data.size != np.prod(shape, dtype=np.int64):
        raise DatasetError(f"{path} holds {data.size:,} bytes of data for shape {shape}; fetch it again")
    return torch.from_numpy(data.reshape(shape).copy())


def read_records(name: str, content: bytes, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Images [N, C, H, W] and labels [N] in CIFAR's binary format, which has a byte of label before each picture."""
    size = 1 + int(np.prod(shape))
    if not content or len(content) % size:
        raise DatasetError(f"{name} has {len(content):,} bytes: expected whole records of {size:,}; fetch it again")
    records = torch.from_numpy(np.frombuffer(content, np.uint8).reshape(-1, size).copy())
    return records[:, 1:].reshape(-1, *shape), records[:, 0].long()
