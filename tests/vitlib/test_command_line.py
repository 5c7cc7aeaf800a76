"""`python -m vitlib`: a folder of photos becomes a model and a report, and every refusal is one line."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vitlib.__main__ import main
from vitlib.commands.report import Result, mistakes
from vitlib.cost.__main__ import main as cost
from vitlib.data.pictures import Pictures
from vitlib.weights import load

COLOURS = {"blue": (20, 30, 220), "red": (220, 30, 20), "r&<b>$x$": (220, 30, 20)}  # the last two cannot be told apart
QUICK = ["--epochs", "2", "--size", "16", "--device", "cpu"]
FILES = ["model.safetensors", "report.html", "run.json", "training.safetensors"]


def paint(file: Path, colour: tuple[int, int, int], seed: int = 0) -> None:
    noise = np.random.default_rng(seed).integers(-20, 20, (20, 24, 3))
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(file)


def photos(root: Path, classes: dict[str, int], first: int = 0) -> Path:
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            alike = 0 if "red" in name or "$" in name else i  # the same pixels in both of the classes that are alike
            paint(root / name / f"{first + i}.png", COLOURS.get(name, (20, 200, 20)), alike)
    return root


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("command")
    folder, out = photos(root / "photos", dict.fromkeys(COLOURS, 5) | {"blue": 10}), root / "run"
    assert main(["finetune", str(folder), "--out", str(out), *QUICK]) == 0
    return folder, out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that says why the command has exit status 1."""
    capsys.readouterr()
    assert main([str(each) for each in arguments]) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note:")]
    assert len(told) == 1 and told[0].startswith(f"python -m vitlib {arguments[0]}: "), told
    return told[0]


# The front door


def test_help_comes_without_torch_and_names_the_commands() -> None:
    code = (
        "import sys\nfrom vitlib.__main__ import main\n"
        "try: main(['finetune', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'torch', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    told = subprocess.run([sys.executable, "-m", "vitlib", "--help"], check=True, capture_output=True, text=True)
    assert all(f"    {name} " in told.stdout for name in ("finetune", "predict", "cost"))


@pytest.mark.parametrize("given", [[], ["paint"], ["finetune"], ["predict", "x"], ["finetune", "x", "--epochs", "few"]])
def test_arguments_that_no_command_understands_are_status_2(given: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(given)
    assert end.value.code == 2


def test_a_refusal_is_one_line_and_status_1_outside_of_this_process_too(tmp_path: Path) -> None:
    there = subprocess.run(
        [sys.executable, "-m", "vitlib", "finetune", "nowhere"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (there.returncode, there.stderr.count("\n"), there.stdout) == (1, 1, "")
    assert "no folder at nowhere" in there.stderr and not [*tmp_path.iterdir()]


def test_cost_says_what_vitlib_cost_says(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["vit_tiny_patch16_224", "--gpu", "24", "--batch", "8"]
    cost(given)
    alone = capsys.readouterr().out
    assert main(["cost", *given]) == 0
    assert capsys.readouterr().out == alone and "GiB" in alone
    with pytest.raises(SystemExit) as end:
        main(["cost", "no_such_model", "--gpu", "24"])
    assert end.value.code == 2 and "python -m vitlib cost" in capsys.readouterr().err


# finetune


def test_a_folder_becomes_a_model_that_knows_its_classes_and_a_report(tuned: tuple[Path, Path]) -> None:
    out = tuned[1]
    assert sorted(each.name for each in out.iterdir()) == FILES
    assert load(out / "model.safetensors").config.class_names == tuple(sorted(COLOURS))
    run = json.loads((out / "run.json").read_text())
    history, test = run["history"], run["test"]
    assert len(history["valid_accuracy"]) == 2 and history["test_accuracy"] == [test["accuracy"]]
    assert {name: each["of"] for name, each in test["classes"].items()} == {"blue": 2, "red": 1, "r&<b>$x$": 1}
    shares = [each["right"] / each["of"] for each in test["classes"].values()]
    assert test["balanced_accuracy"] == pytest.approx(sum(shares) / 3)
    assert test["accuracy"] == sum(each["right"] for each in test["classes"].values()) / 4
    page = (out / "report.html").read_text()
    assert f"{test['accuracy']:.1%}" in page and f"{test['balanced_accuracy']:.1%}" in page
    assert "<b>$x$" not in page and "r&amp;&lt;b&gt;$x$" in page
    described = re.findall(r'<img [^>]*alt="([^"]+)" src="data:image/svg[^"]+"', page)
    assert described[0].startswith("Curves over 2 epochs")
    assert "taken for" in described[1] and "%)" in described[1]  # two classes are alike, so one picture must be wrong


def test_a_second_run_says_that_it_is_done_and_changes_nothing(
    tuned: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tuned
    before = {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in out.iterdir()}
    assert main(["finetune", str(folder), "--out", str(out), *QUICK]) == 0
    assert "this run was done already" in capsys.readouterr().out
    assert {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in out.iterdir()} == before
    told = refused(capsys, "finetune", folder, "--out", out, *QUICK, "--seed", "1")
    assert "is of another run" in told and "Give another --out" in told and "resume=" not in told
    assert {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in out.iterdir()} == before


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(
    tuned: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the first epoch's snapshot, as Ctrl-C does it."""
    from vitlib.training.snapshot import Snapshot

    write = Snapshot.write

    def write_and_stop(*given: object) -> None:
        write(*given)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    folder, out = tuned
    again = ["finetune", str(folder), "--out", str(tmp_path / "run"), *QUICK]
    with monkeypatch.context() as patched:
        patched.setattr(Snapshot, "write", write_and_stop)
        assert main(again) == 130
    assert [each.name for each in (tmp_path / "run").iterdir()] == ["training.safetensors"]
    assert "the same command goes on" in capsys.readouterr().err
    assert main(again) == 0
    assert "this run was done already" not in capsys.readouterr().out
    one, other = (load(each / "model.safetensors").state_dict() for each in (out, tmp_path / "run"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_other_wishes_that_cannot_be_met_are_refused(
    tuned: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tuned

    def told(*more: object) -> str:
        return refused(capsys, "finetune", folder, "--out", tmp_path / "run", *more)

    assert "picture is 17×17 pixels: not a multiple of patch 4" in told("--size", "17")
    assert "epochs is 0" in told("--epochs", "0")
    assert "device is 'tpu'" in told("--device", "tpu")
    assert "vit_tiny_patch16_223" in told("--model", "vit_tiny_patch16_223")
    assert "blocks is 99" in told("--blocks", "99", *QUICK)
    assert "channels" in told("--model", "vit_digits_patch2_8", "--device", "cpu")
    assert "among the photos" in refused(capsys, "finetune", folder, "--out", folder / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.safetensors").write_text("precious")
    assert "no run of this command" in refused(capsys, "finetune", folder, "--out", tmp_path / "mine")
    assert (tmp_path / "mine" / "model.safetensors").read_text() == "precious"
    assert "is a file" in refused(capsys, "finetune", folder, "--out", out / "run.json")


def test_the_worst_mistakes_are_those_of_which_the_model_is_surest(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", {"blue": 4})
    images = torch.zeros(4, 3, 8, 12, dtype=torch.uint8)
    shares = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.97, 0.03]])
    some = Pictures(images, torch.tensor([0, 0, 1, 1]), ("猫$_", "dog"))
    result = Result(some, shares, sorted((folder / "blue").iterdir()), folder)
    assert result.look(0).shape == (3, 192, 288) and result.look(0)[2].float().mean() > 200  # the photo itself
    assert result.worst() == [3, 2, 1]
    assert result.confusion().tolist() == [[1, 1], [2, 0]]
    assert (result.accuracy, result.balanced) == (0.25, 0.25)
    assert mistakes(result).description == (
        "The 3 worst mistakes, with probabilities: 1, dog (3%) taken for 猫$_ (97%); 2, dog (20%) taken for 猫$_ "
        "(80%); 3, 猫$_ (40%) taken for dog (60%)."
    )


# predict


def test_photos_get_names_and_probabilities(tuned: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tuned
    model = ["--model", str(out / "model.safetensors"), "--device", "cpu"]
    assert main(["predict", str(folder / "blue" / "0.png"), *model]) == 0
    one = capsys.readouterr().out
    assert one.count("%") == 3 and all(name in one for name in COLOURS) and one.count("\n") == 1
    assert main(["predict", str(folder), *model, "--top", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 21 and re.fullmatch(r"\d+ of 20 are in the folder of their class \(.*%\)", lines[-1])
    assert main(["predict", str(folder / "blue"), *model, "--top", "99"]) == 0  # no sub-folders, more than there are
    assert len(capsys.readouterr().out.splitlines()) == 10


def test_a_table_is_safe_whatever_the_files_are_called(
    tuned: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["=cmd|x!A0.png", 'a,"b".png', "line\nbreak.png", "\x1b[31m猫.png", os.fsdecode(b"\xff.png")]
    (tmp_path / "=odd").mkdir()
    for name in names:
        paint(tmp_path / "=odd" / name, COLOURS["red"])
    monkeypatch.chdir(tmp_path)
    model = ["--model", str(tuned[1] / "model.safetensors"), "--device", "cpu"]
    assert main(["predict", "=odd", *model, "--csv", "answers.csv", "--top", "2"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    with open("answers.csv", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        heads, *rows = csv.reader(file)
    assert heads == ["picture", "class 1", "probability 1", "class 2", "probability 2"]
    assert {Path(row[0]) for row in rows} == {Path("=odd") / name for name in names}
    assert all(row[0].startswith("./=") and float(row[2]) >= float(row[4]) for row in rows)


def test_what_cannot_be_predicted_is_refused(
    tuned: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tuned
    model = ["--model", out / "model.safetensors", "--device", "cpu"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.txt").write_text("words")
    assert "nothing is at" in refused(capsys, "predict", tmp_path / "nowhere", *model)
    assert "holds no picture" in refused(capsys, "predict", tmp_path / "empty", *model)
    assert "is no picture that can be read" in refused(capsys, "predict", tmp_path / "words.txt", *model)
    assert "--skip-damaged" in refused(capsys, "predict", tmp_path, *model)
    assert "top is 0" in refused(capsys, "predict", folder, *model, "--top", "0")
    assert "is no place for a table" in refused(capsys, "predict", folder, *model, "--csv", tmp_path / "no" / "a.csv")
    assert "brings no weights for" in refused(capsys, "predict", folder, "--model", "vit_tiny_patch16_224")
    assert "nowhere.safetensors" in refused(capsys, "predict", folder, "--model", tmp_path / "nowhere.safetensors")
