"""Run by test_killed.py: a training run that is killed again and again, and one that never is, in one folder.

One process imports torch and never trains; every run is a fork of it, so that twenty kills cost no twenty imports.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from vitlib.data.datasets import digits
from vitlib.data.pictures import Pictures
from vitlib.models import create
from vitlib.training.fit import Recipe, fit
from vitlib.weights import save

RECIPE = Recipe(epochs=8, batch_size=32, warmup=0.25, shift=1, mixup=0.2, cutmix=1.0, ema=0.9, optimizer="muon")
KILLS = 20


def forked(train: Pictures, folder: Path, name: str) -> int:
    child = os.fork()
    if not child:
        model = create("vit_digits_patch2_8", seed=0, embed_dim=16, depth=2, num_heads=2, dropout=0.1)
        fit(model, train, recipe=RECIPE, save=folder / f"{name}-run.safetensors", progress=False)
        save(model, folder / f"{name}.safetensors")
        os._exit(0)
    return child


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    train = digits()[0].take(slice(0, 128))
    started = time.perf_counter()
    os.waitpid(forked(train, folder, "whole"), 0)
    seconds = time.perf_counter() - started  # of a run in peace: the kills fall somewhere in it
    moments = random.Random(0)
    killed = finished = 0
    while killed < KILLS:
        child = forked(train, folder, "killed")
        time.sleep(moments.uniform(0, seconds / 4))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        else:  # it was done before its time: start again, for the kills that are left
            finished += 1
            (folder / "killed-run.safetensors").unlink()
    os.waitpid(forked(train, folder, "killed"), 0)
    print(killed, finished)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
