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
        Misconception("rows and columns", lambda side, patch: 2 * (side // patch), "Multiply rows and columns."),
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
    misconceptions=[
        Misconception("the other part", 1 / 3, "That is one of three."),
        Misconception("upside down", 3 / 2, "Divide two by three."),
        Misconception("the difference", 1.0, "That is three minus two."),
    ],
    hints=["Divide."],
    why="2 / 3 = 0.667, so 0.67.",
)

positions = TrueFalse(
    "positions", title="What is added?", prompt="Positions are added.", answer=True,
    misconception="Look at h = z + PE again.", hints=["Is there a plus?"], why="True: h = z + PE.",
)

remedy = Choice(
    "remedy",
    title="Out of memory",
    points=2,
    prompt="Which helps?",
    options={"more labels": "Labels cost nothing.", "larger patches": None, "a new name": "Names cost nothing."},
    hints=["What is the memory for?"],
    why="Larger patches are fewer tokens.",
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
    examples=[
        (torch.arange(8).reshape(1, 1, 4, 2), 2),
        (torch.arange(0, 9, 0.25).reshape(2, 3, 6, 1), 3),
        (torch.zeros(1, 1, 3, 2), 2),
    ],
    checks={
        "one channel": [(torch.arange(24).reshape(1, 1, 6, 4), 3)],
        "three channels": lambda dice: [(torch.rand(2, 3, 8, 5, generator=torch.manual_seed(dice.randrange(99))), 4)],
        "a height that does not divide": [(torch.zeros(1, 1, 5, 2), 2)],
    },
    hints=["unflatten the height, then move an axis."],
    why="Height becomes rows × patch; the rows go in front of the channels.",
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


@cut_rows.alternative
def _(images, patch):
    if images.shape[2] % patch:
        raise ValueError("does not divide")
    return images.unfold(2, patch, patch).permute(0, 2, 1, 4, 3)


@cut_rows.misconception("last row first", "Your rows go from bottom to top.")
def _(images, patch):
    return rows(images, patch).flip(1)


@cut_rows.misconception("each row upside down", "Inside a row of patches, pixels go from top to bottom.")
def _(images, patch):
    return rows(images, patch).flip(3)


@cut_rows.misconception("first row only", "There are more rows.")
def _(images, patch):
    return rows(images, patch)[:, :1]


@cut_rows.misconception("one flat row", "Keep the axes of a row.")
def _(images, patch):
    return rows(images, patch).flatten(2)


@cut_rows.misconception("rows turned", "Height comes before width.")
def _(images, patch):
    return rows(images, patch).transpose(-1, -2)


@cut_rows.misconception("patch and rows exchanged", "patch is the height of a row, not the number of rows.")
def _(images, patch):
    return rows(images, images.shape[2] // patch) if images.shape[2] % patch == 0 else rows(images, patch)


@cut_rows.misconception("nothing cut", "Cut the picture.")
def _(images, patch):
    return images


@cut_rows.misconception("mean of a row", "Keep all pixels of a row.")
def _(images, patch):
    return rows(images, patch).float().mean(3)
