"""The clinic's patients: small ViTs for digits, each with one fault in its code (mistakes.py), training or use.

All of them run without an error, and most of them learn. ward.py measures their symptoms.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from vitlib.data.pictures import Pictures, normalise
from vitlib.diagnose.mistakes import blurred, infect, one_for_all
from vitlib.models import create
from vitlib.vit.model import ViT

SHAPE: dict[str, Any] = {"patch_size": 4, "embed_dim": 32, "depth": 2, "num_heads": 2}  # 8 × 8 pixels: 4 tokens and CLS


def body(seed: int = 0, **changes: Any) -> ViT:
    """A healthy, untrained model, from which all patients are made; on the CPU, which is fastest for so few tokens.

    >>> body().config.tokens
    5
    """
    model: ViT = create("vit_digits_patch2_8", seed=seed, device="cpu", **SHAPE, **changes)
    return model


def grey(images: UInt8[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """Bytes as numbers −1…1, on which the patients are trained."""
    return normalise(images, (0.5,), (0.5,))


@dataclass(frozen=True, eq=False)
class Patient:
    """One model: how it is built, trained and used, and what is wrong with it."""

    cause: str  # in a few words
    why: str  # what the mistake does, and how to correct it
    build: Callable[[], ViT] = body
    lr: float = 1e-2
    epochs: int = 4
    criterion: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    asked: Callable[[UInt8[Tensor, "B 1 H W"]], Float[Tensor, "B 1 H W"]] = grey  # from bytes to pixels in the test
    test: Callable[[Pictures], Pictures] = field(default=lambda pictures: pictures)  # the test pictures it gets
    testing: bool = True  # whether it is tested in evaluation mode
    pretrained: bool = False  # whether it should start with the weights of the healthy one


def _with(mistake: str) -> Callable[[], ViT]:
    return lambda: infect(body(), mistake)


PATIENTS: dict[str, Patient] = {
    "healthy": Patient(
        "nothing is wrong",
        "This is what a sound chart looks like: hold the others against it.",
    ),
    "pixels": Patient(
        "other pixel values than in training",
        "It learned from −1…1 and is asked with 0…255. Training was sound, so every curve looks sound: only a look at "
        "the pixels that reach the model in *use* tells. Keep one function for both.",
        asked=lambda images: images.float(),
    ),
    "blur": Patient(
        "test pictures of another resolution",
        "It learned from sharp pictures and is asked with enlarged thumbnails. The size is the same, so nothing "
        "complains; how much neighbouring pixels differ gives it away. Train on what you will be asked about.",
        test=blurred,
    ),
    "mode": Patient(
        "model.eval() was forgotten",
        "Dropout is still on, so two passes over one picture differ, and both are worse than they need be. Call "
        "model.eval() before you ask.",
        lambda: body(dropout=0.4),
        epochs=6,
        testing=False,
    ),
    "positions": Patient(
        "positions are not added",
        "The model sees its patches as a set. With four large patches it reads digits nearly as well, so no curve "
        "shows it. What shows it: patches change places, and the logits stay. Add positions before the first block.",
        _with("positions"),
    ),
    "batch positions": Patient(
        "positions have the batch's shape",
        "Positions of shape [B, 1, D] give each picture of a batch a vector of its own, and all its patches the same "
        "one. So the answer depends on the place in the batch, and not on where a patch was. Take [1, N + 1, D].",
        _with("batch positions"),
    ),
    "low rate": Patient(
        "the learning rate is too low",
        "The loss falls evenly, and hardly at all. One batch cannot be learned by heart either, until the rate is ten "
        "or a hundred times as high.",
        lr=3e-5,
    ),
    "loss": Patient(
        "the loss broadcasts over the batch",
        "Targets [B, 1, K] against logits [B, K] make a table of B × B, and each picture is taught the labels of all. "
        "The best that can be learned is how often each class occurs: ln K. Even right answers get a large loss.",
        criterion=one_for_all,
    ),
    "high rate": Patient(
        "the learning rate is too high",
        "Each step leaps over the valley that it is looking for: the loss jumps, and stays near ln K or above. Take a "
        "tenth, or a hundredth, and a warm-up.",
        lr=3.0,
    ),
    "reshape": Patient(
        "a reshape where a transpose belongs",
        "[B, D, rows, columns] reshaped to [B, N, D] has the right shape and the wrong numbers: a token holds a few "
        "numbers of every patch. Trained from scratch, the model learns around it; with weights from elsewhere it is "
        "lost. Take flatten(2).transpose(1, 2).",
        _with("reshape"),
    ),
    "scale": Patient(
        "the scale 1/√d_k is missing",
        "With heads of 16 numbers the scores are four times as large as they should be, which a small model survives: "
        "only the comparison with the formula shows it. In wide heads the softmax saturates.",
        _with("scale"),
    ),
    "late scale": Patient(
        "the scale comes after the softmax",
        "The weights of a token no longer sum to 1 but to 1/√d_k, and the scores are as large as without a scale. The "
        "output projection learns to make up for it. Divide first, then take the softmax.",
        _with("late scale"),
    ),
    "readout": Patient(
        "the head reads a patch, not CLS",
        "Attention brings the whole picture to every token, so a model that is trained this way learns to sum up in "
        "its first patch, and no curve shows it. With weights that were trained for CLS it is lost. Compare what the "
        "head reads with row 0 of the last block.",
        _with("readout"),
    ),
    "wide heads": Patient(
        "head and token dimension are confused",
        "Each head has as many numbers as a token, so attention is as many times too large as there are heads. It "
        "learns, and its numbers cannot be compared with anybody's. Count the parameters: a head has d / h numbers.",
        _with("wide heads"),
    ),
    "weights": Patient(
        "pretrained weights were not loaded",
        "The checkpoint's names begin with “module.”, none of them fits, and load_state_dict(…, strict=False) passes "
        "over them in silence. A pretrained model does not begin at ln K.",
        epochs=1,
        lr=3e-3,
        pretrained=True,
    ),
}
