"""A chapter of four exercises, one of each kind, for the tests of the grader."""

import torch

from autograde.exercises import Choice, Code, Misconception, Numeric, TrueFalse

tokens = Numeric(
    "tokens",
    title="Count tokens",
    parameters={"side": 32, "patch": 8},
    parameter_values={"side": range(32, 512, 16), "patch": (4, 8, 16)},
    prompt="A picture of {side} × {side} pixels, patches of {patch}: how many?",
    answer=lambda side, patch: (side // patch) ** 2,
    unit="patches",
    misconceptions=[
        Misconception("forgot to square", lambda side, patch: side // patch, "That is one side of {side} / {patch}."),
        Misconception("counted CLS", lambda side, patch: (side // patch) ** 2 + 1, "CLS is no patch."),
    ],
    hints=["Count one side first."],
    why=lambda side, patch: f"{side} / {patch} = {side // patch} a side, squared: {(side // patch) ** 2}.",
)

share = Numeric(
    "share",
    title="A share",
    prompt="What share are two of three, to 2 decimals?",
    answer=2 / 3,
    decimals=2,
    misconceptions=[Misconception("the other part", 1 / 3, "That is one of three.")],
)

positions = TrueFalse(
    "positions", title="Positions", prompt="Positions are added.", answer=True, misconception="Look at h = z + PE "
    "again."
)

remedy = Choice(
    "remedy",
    title="Out of memory",
    points=2,
    prompt="Which helps?",
    options={"more labels": "Labels cost nothing.", "larger patches": None, "a new name": "Names cost nothing."},
)


def rows(images: torch.Tensor, patch: int) -> torch.Tensor:
    """Cut (B, C, H, W) into rows of patches: (B, H / patch, C, patch, W).

    Raises ValueError where the height does not divide.
    """
    height = images.shape[-2]
    if height % patch:
        raise ValueError(f"{height} is not a multiple of {patch}")
    cut = images.unflatten(-2, (height // patch, patch))
    return cut.movedim(-3, 1)


cut_rows = Code(
    "cut-rows",
    title="Cut rows",
    points=4,
    prompt="Write `rows`.",
    reference=rows,
    examples=[(torch.arange(8).reshape(1, 1, 4, 2), 2)],
    checks={
        "one channel": [(torch.arange(24).reshape(1, 1, 6, 4), 3)],
        "three channels": lambda dice: [(torch.rand(2, 3, 8, 5, generator=torch.manual_seed(dice.randrange(99))), 4)],
        "a height that does not divide": [(torch.zeros(1, 1, 5, 2), 2)],
    },
)


@cut_rows.alternative
def _(images, patch):
    if images.shape[2] % patch != 0:
        raise ValueError("does not divide")
    return torch.stack(images.split(patch, dim=2), dim=1)


@cut_rows.misconception("does not refuse", "Refuse a height that does not divide.")
def _(images, patch):
    return torch.stack(images[:, :, : images.shape[2] // patch * patch].split(patch, dim=2), dim=1)


@cut_rows.misconception("left the rows behind the channels", "Rows come before channels.")
def _(images, patch):
    if images.shape[2] % patch:
        raise ValueError("does not divide")
    return images.unflatten(-2, (-1, patch))
