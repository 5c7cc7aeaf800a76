"""Published archives: fetched from a real server, whole or not at all; read, but not unpacked, and nothing is run."""

import gzip
import hashlib
import io
import socketserver
import struct
import tarfile
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest
import torch

from vitlib.data import datasets
from vitlib.data.archives import Archive, DatasetError, fetch, read_idx, read_members, read_records
from vitlib.data.datasets import cifar10, fashion_mnist


@dataclass
class Server:
    """An address on this machine, and what it answers."""

    url: str
    files: dict[str, bytes]
    breaks_off: bool = False  # after half of the file
    asked: int = 0  # requests so far

    def archive(self, name):
        return Archive(f"{self.url}/{name}", hashlib.md5(self.files[name]).hexdigest())


@pytest.fixture
def server(monkeypatch):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            here.asked += 1
            content = here.files.get(self.path[1:])
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write((content or b"")[: len(content or b"") // 2 if here.breaks_off else None])

        def log_message(self, *_):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as listening:
        here = Server(f"http://127.0.0.1:{listening.server_address[1]}", {})
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield here
        listening.shutdown()


# fetching


def test_a_file_arrives_whole(server, tmp_path):
    server.files["some.bin"] = bytes(range(256)) * 10_000
    path = fetch(server.archive("some.bin"), tmp_path / "new" / "folder")
    assert path == tmp_path / "new/folder/some.bin" and path.read_bytes() == server.files["some.bin"]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("breaks off", "broke off after 500 of 1,000 bytes"),
        ("is another", r"some\.bin \(1,000 bytes\) has MD5 .*: expected .*; it is damaged or another file"),
        ("is not there", "HTTP Error 404"),
        ("does not answer", "refused"),
    ],
)
def test_of_a_download_that_fails_nothing_is_left(server, tmp_path, trouble, message):
    server.files["some.bin"] = bytes(1000)
    archive = server.archive("some.bin")
    if trouble == "breaks off":
        server.breaks_off = True
    elif trouble == "is another":
        server.files["some.bin"] = bytes(999) + b"!"
    elif trouble == "is not there":
        del server.files["some.bin"]
    else:
        archive = Archive("http://127.0.0.1:9/some.bin", archive.md5)  # the port of a service that nobody runs
    with pytest.raises(DatasetError, match=message):
        fetch(archive, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    server.files["some.bin"] = b"some"
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DatasetError, match=r"did not arrive in .*taken .*File exists"):
        fetch(server.archive("some.bin"), tmp_path / "taken")


# CIFAR-10


def records(first):
    """10,000 records: record i has class i mod 10, and colours (first + i mod 100, 1, 2)."""
    i = np.arange(10_000)
    table = np.empty((10_000, 3073), np.uint8)
    table[:, 0] = i % 10
    table[:, 1:] = np.repeat([[0, 1, 2]], 1024, axis=1)
    table[:, 1:1025] = (first + i % 100)[:, None]
    return table.tobytes()


@pytest.fixture(scope="module")
def batches():
    names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    return {name: records(first) for first, name in enumerate(names)}


@pytest.fixture(scope="module")
def tarball(batches):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as tar:
        for name, content in {"readme.html": b"<html>", **batches}.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def looks_right(train, test):
    assert train.images.shape == (50_000, 3, 32, 32) and test.images.shape == (10_000, 3, 32, 32)
    assert train.classes[3] == "cat" and train.labels[:12].tolist() == [*range(10), 0, 1]
    assert train.images[20_005, :, 31, 31].tolist() == [2 + 5, 1, 2]  # of the third batch
    assert test.images[7, :, 0, 0].tolist() == [5 + 7, 1, 2]


def test_cifar10_is_fetched_once_and_only_on_request(server, tmp_path, tarball, monkeypatch):
    server.files[datasets.CIFAR10.name] = tarball
    monkeypatch.setattr(datasets, "CIFAR10", server.archive(datasets.CIFAR10.name))
    with pytest.raises(FileNotFoundError, match=r"no file at .*; fetch http.* into that folder, or say download=True"):
        cifar10(tmp_path)
    assert server.asked == 0
    looks_right(*cifar10(tmp_path, download=True))
    looks_right(*cifar10(tmp_path, download=True))
    assert server.asked == 1 and [path.name for path in tmp_path.iterdir()] == ["cifar-10-binary.tar.gz"]
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(tarball[:-1])
    with pytest.raises(DatasetError, match=r"has MD5 .*, not worth keeping; fetch http"):
        cifar10(tmp_path / "cifar-10-binary.tar.gz")


def test_cifar10_from_unpacked_files(tmp_path, batches):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name, content in batches.items():
        (folder / name).write_bytes(content)
    looks_right(*cifar10(tmp_path))
    (folder / "data_batch_2.bin").write_bytes(batches["data_batch_2.bin"][:-3073])
    with pytest.raises(DatasetError, match=r"data_batch_2\.bin has 9,999 pictures: expected 10,000"):
        cifar10(folder)
    (folder / "data_batch_2.bin").write_bytes(batches["data_batch_2.bin"][:-1])
    with pytest.raises(DatasetError, match=r"data_batch_2\.bin has 30,729,999 bytes: expected whole records of 3,073"):
        cifar10(folder)


def test_the_official_addresses_are_encrypted_and_the_pickles_are_left_alone():
    assert all(archive.url.startswith("https://") for archive in (datasets.CIFAR10, *datasets.FASHION))
    assert datasets.CIFAR10.name == "cifar-10-binary.tar.gz"


def test_an_archive_that_breaks_off_or_is_another_one(tmp_path, tarball):
    path = tmp_path / "some.tar.gz"
    for content in (tarball[: len(tarball) // 2], b"", b"<html>no such page</html>"):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"some\.tar\.gz is no whole \.tar\.gz archive"):
            read_members(path, ("test_batch.bin",))
    path.write_bytes(tarball)
    with pytest.raises(DatasetError, match=r"some\.tar\.gz lacks data_batch_6\.bin"):
        read_members(path, ("readme.html", "data_batch_6.bin"))


def test_records_of_no_bytes_are_refused():
    with pytest.raises(DatasetError, match="test has 0 bytes: expected whole records of 13"):
        read_records("test", b"", shape=(3, 2, 2))


# Fashion-MNIST


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def clothes(server, monkeypatch):
    """Six pictures to train on and four to test, on the server under the official names."""
    for split, number in (("train", 6), ("t10k", 4)):
        images = np.arange(number * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(number, 28, 28)
        server.files[f"{split}-images-idx3-ubyte.gz"] = gzip.compress(idx(images))
        server.files[f"{split}-labels-idx1-ubyte.gz"] = gzip.compress(idx(np.arange(number, dtype=np.uint8)))
    monkeypatch.setattr(datasets, "FASHION", tuple(server.archive(archive.name) for archive in datasets.FASHION))
    return server


def test_fashion_mnist_is_fetched_once_and_only_on_request(clothes, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file at .*train-images-idx3-ubyte\.gz; fetch"):
        fashion_mnist(tmp_path)
    for _ in range(2):
        train, test = fashion_mnist(tmp_path, download=True)
        assert train.images.shape == (6, 1, 28, 28) and test.images.shape == (4, 1, 28, 28)
        assert train.labels.tolist() == [0, 1, 2, 3, 4, 5] and train.classes[5] == "sandal"
        assert torch.equal(train.images.flatten()[:300].int(), torch.arange(300) % 256)
    assert clothes.asked == 4


def test_fashion_mnist_from_unpacked_files(clothes, tmp_path):
    for name, content in clothes.files.items():
        (tmp_path / name.removesuffix(".gz")).write_bytes(gzip.decompress(content))
    assert len(fashion_mnist(tmp_path)[0]) == 6 and clothes.asked == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(idx(np.zeros((2, 3), np.uint8)), mtime=0)[:-9], r"some is damaged"),
        (idx(np.zeros((2, 3), np.uint8))[:-1], r"holds 5 bytes of data for shape \[2, 3\]"),
        (idx(np.zeros((2, 3), np.uint8)) + b"!", r"holds 7 bytes of data for shape \[2, 3\]"),
        (b"\0\0\x08\x03\0\0", r"holds 2 bytes of data for shape \[\]"),
        (b"\0\0\x0d\x01" + bytes(8), r"begins with b'\\x00\\x00\\r\\x01': expected an idx file of bytes"),
        (b"", r"begins with b''"),
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path, content, message):
    (tmp_path / "some").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_idx(tmp_path / "some")
