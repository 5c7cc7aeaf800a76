"""`python -m vitlib finetune`: folders that are refused, damaged pictures, and the three parts of the rest."""

from pathlib import Path

import pytest
import torch

from tests.vitlib.test_command_line import QUICK, photos, refused
from vitlib.__main__ import main
from vitlib.commands.finetune import three_ways
from vitlib.data.folders import image_files, image_folder
from vitlib.data.pictures import Pictures


def test_folders_without_enough_to_learn_from_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(folder: Path) -> str:
        return refused(capsys, "finetune", folder, "--out", tmp_path / "run", *QUICK)

    (tmp_path / "empty").mkdir()
    assert "has no sub-folders" in told(tmp_path / "empty")
    assert "has one class, red" in told(photos(tmp_path / "one", {"red": 6}))
    assert "too few pictures of red (4)" in told(photos(tmp_path / "few", {"blue": 5, "red": 4}))
    assert "has no picture of red" in told(photos(tmp_path / "none", {"blue": 5, "red": 0}))
    assert "no folder at" in told(tmp_path / "nowhere")
    assert not (tmp_path / "run").exists()


def test_damaged_pictures_are_named_and_left_out_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = photos(tmp_path / "photos", {"blue": 6, "red": 6})
    whole = (folder / "red" / "3.png").read_bytes()
    (folder / "red" / "3.png").write_bytes(whole[: len(whole) // 2])
    given = ["finetune", folder, "--out", tmp_path / "run", "--epochs", "1", "--size", "16", "--device", "cpu"]
    told = refused(capsys, *given)
    assert "3.png" in told and "--skip-damaged" in told and not (tmp_path / "run").exists()
    assert main([str(each) for each in (*given, "--skip-damaged")]) == 0
    heard = capsys.readouterr()
    assert "note: 1 of 12 files" in heard.err and "3.png" in heard.err and "11 pictures of 2 classes" in heard.out


def test_each_picture_keeps_its_file(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", {"blue": 3, "red": 2})
    (folder / "blue" / "1.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="1 of 5 files"):
        pictures, paths = image_files(folder, 8, skip_damaged=True)
    assert [str(path.relative_to(folder)) for path in paths] == ["blue/0.png", "blue/2.png", "red/0.png", "red/1.png"]
    with pytest.warns(UserWarning, match="1 of 5 files"):
        assert torch.equal(image_folder(folder, 8, skip_damaged=True).images, pictures.images)


def test_what_is_tested_is_neither_learned_nor_chosen_by() -> None:
    labels = torch.tensor([0] * 5 + [1] * 6 + [2] * 7 + [3] * 23)
    images = torch.zeros(len(labels), 3, 1, 1, dtype=torch.uint8)
    for seed in range(20):
        parts = three_ways(Pictures(images, labels, tuple("abcd")), seed)
        assert sorted(torch.cat(parts).tolist()) == list(range(len(labels)))
        for part, least in zip(parts, (3, 1, 1), strict=True):
            assert labels[part].bincount(minlength=4).min() >= least
    assert not torch.equal(three_ways(Pictures(images, labels, tuple("abcd")), 0)[2], parts[2])
