"""Files that are cut off, damaged, hostile or something else, and saving them whole."""

import contextlib
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import save_file

from tests.vitlib.weights.shared import FITTING, TINY, made, refusal, tensors
from vitlib.weights import CheckpointError, files, load, save


class Trap:
    """A pickle that runs a command when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_that_would_run_code_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    for zipped in (True, False):
        torch.save({"model": Trap(tmp_path / "ran")}, tmp_path / "trap.pth", _use_new_zipfile_serialization=zipped)
        said = refusal(lambda: load(tmp_path / "trap.pth"))
        assert "posix.mkdir" in said and "nothing was run" in said
    np.savez(tmp_path / "trap.npz", cls=np.array([Trap(tmp_path / "ran")], dtype=object))
    assert "'cls' is no array of numbers" in refusal(lambda: load(tmp_path / "trap.npz"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", files.SUFFIXES)
def test_a_file_cut_off_anywhere_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"vit{suffix}"
    save(made(FITTING["google"]), path, "google")
    whole = path.read_bytes()
    for share in (0.0, 0.001, 0.3, 0.9, 0.9999):
        path.write_bytes(whole[: int(len(whole) * share)])
        assert str(path) in refusal(lambda: load(path))


@pytest.mark.parametrize("suffix", [".pth", ".npz"])
def test_a_flipped_bit_is_noticed(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"vit{suffix}"
    save(made(FITTING["google"]), path, "google")
    damaged = bytearray(path.read_bytes())
    at = damaged.find(tensors()["norm.bias"].numpy().tobytes())
    damaged[at + 2] ^= 1
    path.write_bytes(damaged)
    assert "fails its checksum" in refusal(lambda: load(path))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(files.SUFFIXES), st.integers(0, 10_000), st.integers(1, 255), st.booleans())
def test_a_damaged_file_raises_nothing_else(tmp_path: Path, suffix: str, at: int, by: int, behind: bool) -> None:
    path = tmp_path / f"vit{suffix}"
    if not (tmp_path / "whole.npz").exists():
        for each in files.SUFFIXES:
            save(made(FITTING["google"]), tmp_path / f"whole{each}", "google")
    damaged = bytearray((tmp_path / f"whole{suffix}").read_bytes())
    damaged[-1 - at % 2000 if behind else at % 2000] ^= by  # where the archives and headers keep their books
    path.write_bytes(damaged)
    with contextlib.suppress(CheckpointError):
        load(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html><title>404</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (b"\x1f\x8b\x08 compressed", "gzip"),
        (b"just some words", "begins with b'just som'"),
        (b"\x80\x04\x95 a pickle of something else", "cut off or damaged"),
        (b"PK\x03\x04 and no archive", "cut off or damaged"),
    ],
)
def test_other_files_are_refused(content: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / "vit.pth").write_bytes(content)
    said = refusal(lambda: load(tmp_path / "vit.pth"))
    assert what in said and "vit.pth" in said and "fetch" in said


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "vit.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "readme.txt" in refusal(lambda: load(tmp_path / "vit.pth"))
    torch.save([1, 2], tmp_path / "vit.pth")
    assert "0 state dicts" in refusal(lambda: load(tmp_path / "vit.pth"))


def test_a_note_that_is_damaged_is_refused(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "vit.safetensors", metadata={"vitlib": "{not json"})
    assert "note is no JSON" in refusal(lambda: load(tmp_path / "vit.safetensors"))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere.pth")


# Saving


@contextlib.contextmanager
def full_disk(after: int) -> Iterator[None]:
    """No file may grow beyond `after` bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", files.SUFFIXES)
def test_a_save_that_fails_leaves_the_old_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"vit{suffix}"
    save(made(TINY), path)
    before = path.read_bytes()
    other = made(replace(TINY, num_classes=3))
    with full_disk(after=len(before) // 2), pytest.raises((OSError, RuntimeError, SafetensorError)):
        save(other, path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]


def test_vitlib_imports_no_reader_of_files() -> None:
    unwanted = "{'safetensors', 'transformers', 'vitlib.weights.files'}"
    code = f"import sys, vitlib; print(*sorted({unwanted} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
