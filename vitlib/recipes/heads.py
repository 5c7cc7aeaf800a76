"""Chapter 8: its trained heads, all of them: a label for each pixel, a box for each thing, a caption for each picture.

`python -m vitlib.recipes.heads` trains each with three seeds and writes heads.json, which chapter 8 reads: some minutes
on two cores.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from vitlib.recipes import stored
from vitlib.recipes.body import ready
from vitlib.recipes.detection import boxes_of, detected, train_detector
from vitlib.recipes.scenes import scenes
from vitlib.recipes.segmentation import segmented, train_segmenter
from vitlib.recipes.two_towers import matched, train_towers

SEEDS, SHOWN = 3, 6  # seeds; test scenes whose answers are stored
TRAIN: dict[str, Callable[..., Any]] = {
    "coarse": partial(train_segmenter, False),
    "fine": partial(train_segmenter, True),
    "detector": train_detector,
    "towers": train_towers,
}


def results() -> dict[str, Any]:
    """What the recipe found: for each head a list in per cent, one number a seed, and the first seed's answers."""
    return stored.read("heads")


def train_all(seeds: int = SEEDS, **choices: Any) -> dict[str, Any]:
    """All heads with every seed, measured on the same test scenes. `choices` go to each training."""
    test = scenes(500, test=True)
    some = test.take(slice(0, SHOWN))
    found: dict[str, Any] = {"shown": SHOWN, "seeds": seeds}
    for name, train in TRAIN.items():
        models = [train(seed, **choices) for seed in range(seeds)]
        if name == "towers":
            found[name] = _per_cent([matched(each) for each in models])
        elif name == "detector":
            found[name] = _per_cent([detected(each, test) for each in models]) | {"shown": boxes_of(models[0], some)}
        else:
            with torch.no_grad():
                answers = models[0](ready(some.images)).argmax(dim=1)
            found[name] = _per_cent([segmented(each, test) for each in models]) | {"shown": answers.tolist()}
    return found


def _per_cent(found: list[dict[str, float]]) -> dict[str, list[float]]:
    """One list for each measure, a number a seed."""
    return {name: [round(100 * each[name], 1) for each in found] for name in found[0]}


if __name__ == "__main__":
    (stored.FOLDER / "heads.json").write_text(json.dumps(train_all()) + "\n", encoding="utf-8")
