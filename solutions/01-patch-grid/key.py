"""Chapter 1's key: every exercise with its answer, the misconceptions that learners have, and the words that help."""

import math
from collections.abc import Callable

import torch

from autograde.exercises import Choice, Code, Misconception, Numeric, TrueFalse

# ── 1.2 · How many patches? ────────────────────────────────────────────────────────────────────────────────────────


def squares(fewest: int, most: int) -> Callable[..., bool]:
    """Whether the patches fit exactly, with so many along each side of a square picture."""
    return lambda side, patch: side % patch == 0 and fewest <= side // patch <= most


def count_squares(side: int, patch: int) -> str:
    number = side // patch
    return f"{side} / {patch} = {number} patches a side, and {number} × {number} = {number**2}."


patch_tokens = Numeric(
    "patch-tokens", title="Patch tokens of a standard ViT", points=1, difficulty=1, minutes=1,
    parameters=dict(side=224, patch=16),
    parameter_values=dict(side=range(112, 673, 2), patch=(14, 16)), valid_if=squares(7, 48),
    prompt="A picture of {side} × {side} pixels is cut into square patches of {patch} × {patch} pixels. "
    "How many patch tokens does that give, the CLS token not counted?",
    answer=lambda side, patch: (side // patch) ** 2, unit="patch tokens",
    misconceptions=[
        Misconception("forgot to square", lambda side, patch: side // patch,
            "That is the number of patches along one side. A grid has rows and columns."),
        Misconception("counted CLS", lambda side, patch: (side // patch) ** 2 + 1,
            "One too many: you counted the CLS token, which is not a patch."),
        Misconception("pixels of the picture", lambda side, patch: side**2,
            "That is how many pixels the picture has. Each patch holds many of them."),
        Misconception("divided the area once", lambda side, patch: side * side // patch,
            "You divided the area of the picture by one side of a patch. Divide by the area of a patch."),
        Misconception("pixels of a patch", lambda side, patch: patch**2,
            "That is how many pixels lie in one patch. The question is how many patches lie in the picture."),
        Misconception("added rows and columns", lambda side, patch: 2 * (side // patch),
            "You added rows and columns. Every row holds a patch for every column."),
    ],
    hints=["How many patches fit side by side along the top edge?",
           "The picture is square, so there are as many rows as columns. Rows times columns."],
    why=count_squares,
)


def count_patches(height: int, width: int, patch: int) -> int:
    """The number of square patches, `patch` pixels a side, in a picture of `height` × `width` pixels.

    >>> count_patches(32, 48, 16)
    6

    Raises ValueError where the patch does not divide both the height and the width.
    """
    if height % patch or width % patch:
        raise ValueError(f"image is {height} × {width}: not multiples of patch {patch}")
    return (height // patch) * (width // patch)


count = Code(
    "count-patches", title="Your own count_patches", points=3, difficulty=1, minutes=6,
    prompt="Turn the formula into a function. It must work for pictures that are not square, too, and it must be "
    "strict: where the patches do not fit exactly, it raises a `ValueError` whose text would help *you* find the "
    "mistake. (Section 1.6 shows gentler ways.)",
    reference=count_patches,
    # 24 and 40 leave 8 each: both their sum and their difference are multiples of 16
    examples=[
        (32, 48, 16), (6, 4, 2), (9, 9, 3), (32, 50, 16), (20, 50, 16), (24, 40, 16), (24, 32, 16), (8, 32, 16),
    ],
    checks={
        "square pictures": [(224, 224, 16), (32, 32, 8), (64, 64, 64), (7, 7, 1)],
        "any grid": lambda dice: [
            (patch * rows, patch * columns, patch)
            for patch, rows, columns in [(16, 3, 5), (14, 9, 2), *(
                (dice.randint(2, 32), dice.randint(2, 9), dice.randint(10, 20)) for _ in range(4))]
        ],
        # 24 · 96 pixels are 9 · 256: the area divides where the height does not
        "refuses what does not divide": [
            (33, 48, 16), (48, 33, 16), (24, 96, 16), (96, 24, 16), (16, 40, 16), (40, 16, 16), (30, 50, 16),
            (8, 8, 16),
        ],
    },
    hints=["Whole division is `//`, the remainder is `%`: `7 // 2` is 3 and `7 % 2` is 1.",
           "Test both remainders before you count, and `raise ValueError(f\"…\")` if one of them is not 0.",
           "The examples pass but grading finds a mistake? Try a picture that is high and narrow, one whose area "
           "divides although a side does not, and one that is smaller than the patch."],
    why="Rows times columns, and a refusal that looks at height and width separately.",
)


@count.alternative
def _(height, width, patch):
    rows, rest_below = divmod(height, patch)
    columns, rest_right = divmod(width, patch)
    if (rest_below, rest_right) != (0, 0):
        raise ValueError(f"{rest_below} rows and {rest_right} columns of pixels are left over")
    return rows * columns


@count.alternative
def _(height, width, patch):
    corners = [(top, left) for top in range(0, height, patch) for left in range(0, width, patch)]
    if any(top + patch > height or left + patch > width for top, left in corners):
        raise ValueError("the last patches would reach beyond the picture")
    return len(corners)


@count.misconception("forgot to return",
    "Your function always gives back None. `print` shows a number to you; `return` hands "
    "it to the caller.")
def _(height, width, patch):
    return None


@count.misconception("only the rows", "You return the number of rows. How many patches does a row hold?")
def _(height, width, patch):
    if height % patch or width % patch:
        raise ValueError("does not divide")
    return height // patch


@count.misconception("rows and columns as a pair", "You return rows and columns as a pair. Multiply them.")
def _(height, width, patch):
    if height % patch or width % patch:
        raise ValueError("does not divide")
    return height // patch, width // patch


@count.misconception("squared the rows", "You square the number of rows: right for square pictures only.")
def _(height, width, patch):
    if height % patch or width % patch:
        raise ValueError("does not divide")
    return (height // patch) ** 2


@count.misconception("divided the area once",
    "You divide the area by the patch's side once. It divides the height, and it "
    "divides the width.")
def _(height, width, patch):
    if height % patch or width % patch:
        raise ValueError("does not divide")
    return height * width // patch


@count.misconception("never refuses",
    "The counts are right where the patches fit. Where they do not, raise a ValueError "
    "instead of dropping the left-over pixels in silence.")
def _(height, width, patch):
    return (height // patch) * (width // patch)


@count.misconception("gives fractions", "Where the patches do not fit, you return a number that is not whole. Raise a "
    "ValueError there.")
def _(height, width, patch):
    return height / patch * (width / patch)


@count.misconception("looks at the height only", "A width that does not divide passes unnoticed. Look at both sides.")
def _(height, width, patch):
    if height % patch:
        raise ValueError("does not divide")
    return (height // patch) * (width // patch)


@count.misconception("looks at the width only", "A height that does not divide passes unnoticed. Look at both sides.")
def _(height, width, patch):
    if width % patch:
        raise ValueError("does not divide")
    return (height // patch) * (width // patch)


@count.misconception("needs both sides wrong",
    "You refuse only where neither side divides. One side is enough: `or` instead of "
    "`and`.")
def _(height, width, patch):
    if height % patch and width % patch:
        raise ValueError("does not divide")
    return (height // patch) * (width // patch)


@count.misconception("looks at the area", "You test whether the areas divide. They may, although a side does not: test "
    "height and width separately.")
def _(height, width, patch):
    if height * width % patch**2:
        raise ValueError("does not divide")
    return height * width // patch**2


@count.misconception("looks at the area once", "You test whether P divides the area. It does as soon as it divides one "
    "side: test height and width separately.")
def _(height, width, patch):
    if height * width % patch:
        raise ValueError("does not divide")
    return (height // patch) * (width // patch)


@count.misconception("one test for both sides",
    "You test both sides at once, and what is left over can cancel: neither 24 nor 40 is a multiple of 16, but their "
    "sum is, and so is their difference. Test height and width separately.")
def _(height, width, patch):
    if (height + width) % patch:
        raise ValueError("does not divide")
    return (height // patch) * (width // patch)


@count.misconception("returns None",
    "Where the patches do not fit, you return None. Raise a ValueError instead: nobody can "
    "overlook it.")
def _(height, width, patch):
    if height % patch == 0 and width % patch == 0:
        return (height // patch) * (width // patch)


@count.misconception("asserts", "You refuse in the right places, but with an AssertionError. Use "
    "`raise ValueError(…)`, which callers can catch and Python never skips.")
def _(height, width, patch):
    assert height % patch == 0 and width % patch == 0
    return (height // patch) * (width // patch)


eight_pixel_patches = Numeric(
    "eight-pixel-patches", title="“Side 8”, first reading", points=1, difficulty=1, minutes=1,
    parameters=dict(side=32, patch=8), parameter_values=dict(side=range(32, 481, 8)),
    prompt="A picture of {side} × {side} pixels is tiled with patches that are **{patch} pixels wide and {patch} "
    "pixels high**. How many patches is that?",
    answer=lambda side, patch: (side // patch) ** 2, unit="patches",
    misconceptions=[
        Misconception("forgot to square", lambda side, patch: side // patch,
            "That many fit along one side. Now count the whole grid."),
        Misconception("counted CLS", lambda side, patch: (side // patch) ** 2 + 1,
            "One too many: the CLS token is not a patch."),
        Misconception("divided the area once", lambda side, patch: side * side // patch,
            "You divided by the patch's side once. It divides the height, and it divides the width."),
        Misconception("read it as patches a side", lambda side, patch: patch**2,
            "That is the grid with {patch} patches along each side. Here a patch is {patch} pixels wide."),
        Misconception("gave the side of a patch", lambda side, patch: patch,
            "That is how many pixels wide a patch is, not how many patches there are."),
    ],
    hints=["{patch} is a length in pixels here. How many such lengths fit into {side} pixels?"],
    why=count_squares,
)

eight_a_side = Numeric(
    "eight-a-side", title="“Side 8”, second reading", points=1, difficulty=1, minutes=1,
    parameters=dict(side=32, count=8),
    prompt="Another picture of {side} × {side} pixels is tiled so that **{count} patches** lie along each side. "
    "How many patches is that?",
    answer=lambda side, count: count**2, unit="patches",
    misconceptions=[
        Misconception("forgot to square", lambda side, count: count,
            "That is one row. How many such rows are there?"),
        Misconception("counted CLS", lambda side, count: count**2 + 1,
            "One too many: the CLS token is not a patch."),
        Misconception("read it as pixels", lambda side, count: (side // count) ** 2,
            "That is the grid whose patches are {count} pixels wide. Here {count} is the number of patches along "
            "each side."),
        Misconception("gave the side of a patch", lambda side, count: side // count,
            "That is how many pixels wide one of these patches is."),
        Misconception("walked around the edge", lambda side, count: 4 * count,
            "You counted along the four edges. The patches inside count as well."),
        Misconception("counted pixels", lambda side, count: side**2,
            "That is how many pixels the picture has."),
    ],
    hints=["{count} is a number of patches here. The size in pixels is not needed at all."],
    why="8 rows of 8 patches: 8 × 8 = 64. Each patch is 32 / 8 = 4 pixels wide.",
)

# ── 1.3 · What is in a token? ──────────────────────────────────────────────────────────────────────────────────────

numbers_per_token = Numeric(
    "numbers-per-token", title="The length of a flattened patch", points=1, difficulty=1, minutes=1,
    parameters=dict(patch=16, channels=3), parameter_values=dict(patch=range(4, 65, 2), channels=(3, 4)),
    prompt=lambda patch, channels: f"A patch of {patch} × {patch} pixels is cut from an {'RGBA'[:channels]} picture "
    f"({channels} channels) and flattened. How many numbers does it hold?",
    answer=lambda patch, channels: patch**2 * channels,
    misconceptions=[
        Misconception("P times C", lambda patch, channels: patch * channels,
            "That is P·C: one row of the patch. A patch has as many rows as it has columns."),
        Misconception("forgot the channels", lambda patch, channels: patch**2,
            "Those are the pixels of the patch. Each pixel holds one number per channel."),
        Misconception("added the channels", lambda patch, channels: patch**2 + channels,
            "You added the channels. Every pixel has all of them: multiply."),
        Misconception("squared the channels too", lambda patch, channels: (patch * channels) ** 2,
            "You squared the channels as well. Only the side of the patch counts twice."),
        Misconception("forgot the square", lambda patch, channels: 2 * patch * channels,
            "You doubled the side where it should be squared."),
    ],
    hints=["First the pixels of the patch, then the numbers of a pixel.", "P²·C, with P = {patch} and C = {channels}."],
    why=lambda patch, channels: f"{patch}² · {channels} = {patch**2} · {channels} = {patch**2 * channels}.",
)


# ── 1.4 · Cut with two reshapes and a permute ──────────────────────────────────────────────────────────────────────


def eighths(*shape: int) -> torch.Tensor:
    """Numbers of which no two are equal, shuffled, below zero and above, most not whole, as normalised pixels are."""
    count = math.prod(shape)
    shuffled = torch.arange(count) * 8191 % count  # a prime and larger than any count: each number comes up once
    return (shuffled - count // 2).reshape(shape) / 8


def patchify(images: torch.Tensor, patch: int) -> torch.Tensor:
    """Cut images [B, C, H, W] into square patches and flatten each: [B, N, C·P·P], with P = patch.

    Patches come row by row. In a token the order is channel, row, column. Pixels are moved and never
    changed, so any dtype comes back as it went in.

    >>> patchify(torch.arange(16).reshape(1, 1, 4, 4), 2)[0, 1].tolist()
    [2, 3, 6, 7]

    Raises ValueError where the patch does not divide both the height and the width.
    """
    batch, channels, height, width = images.shape
    if height % patch or width % patch:
        raise ValueError(f"images are {height} × {width}: not multiples of patch {patch}")
    rows, columns = height // patch, width // patch
    tiles = images.reshape(batch, channels, rows, patch, columns, patch)
    tiles = tiles.permute(0, 2, 4, 1, 3, 5)  # B rows columns C P P
    return tiles.reshape(batch, rows * columns, channels * patch * patch)


cut = Code(
    "patchify", title="Your own patchify", points=5, difficulty=3, minutes=15, tolerance=0,
    prompt="You have cut one channel of one picture. Now write it for a whole batch with all its channels. "
    "This function is the first layer of the Vision Transformer that you will have built by the end of chapter 5, "
    "so keep the contract exactly: patches row by row, and in each token **channel, row, column**.",
    reference=patchify,
    examples=[
        (torch.arange(16).reshape(1, 1, 4, 4), 2),
        (torch.arange(96).reshape(1, 4, 4, 6), 2),
        (eighths(2, 3, 6, 4), 2),
        (torch.arange(20).reshape(1, 1, 4, 5), 2),
        (torch.arange(30).reshape(1, 1, 5, 6), 2),
        (torch.arange(35).reshape(1, 1, 5, 7), 2),
        (torch.arange(36, dtype=torch.uint8).reshape(1, 1, 3, 12), 3),
    ],
    checks={
        "one channel": [(eighths(1, 1, 6, 6), 3), (eighths(1, 1, 4, 6), 2)],
        "several channels": [(eighths(1, 3, 6, 6), 2), (eighths(1, 2, 4, 6), 2), (eighths(1, 5, 6, 4), 2)],
        "a batch": [(eighths(3, 2, 6, 8), 2), (eighths(4, 3, 8, 6), 2)],
        "any dtype": [
            (torch.arange(96, dtype=torch.uint8).reshape(2, 3, 4, 4), 2),
            (torch.arange(48).reshape(2, 1, 4, 6), 2),
        ],
        "refuses what does not divide": [
            (torch.zeros(1, 3, 5, 4), 2), (torch.zeros(1, 3, 4, 5), 2), (torch.zeros(1, 3, 6, 5), 2),
            (torch.zeros(1, 3, 5, 5), 2), (torch.zeros(1, 1, 4, 4), 8),
        ],
    },
    hints=[
        "Start with `batch, channels, height, width = images.shape`, and refuse what does not divide.",
        "The same three steps as above, with two more axes in front: split the height into rows × P, the width into "
        "columns × P, bring the axes into order, and merge.",
        "After the permute the axes should read: batch, row of the grid, column of the grid, channel, row in the "
        "patch, column in the patch. Write down where each of them stands before it.",
        "The examples pass but grading finds a mistake? Try three channels and two pictures at once, each filled with "
        "other numbers, and a picture of bytes (`torch.uint8`). Look at one token after another.",
    ],
    why="Split, bring into order, merge. Two reshapes and one permute, and no pixel is lost.",
)


@cut.alternative
def _(images, patch):
    height, width = images.shape[2:]
    if height % patch or width % patch:
        raise ValueError("does not divide")
    tokens = []
    for top in range(0, height, patch):
        for left in range(0, width, patch):
            tokens.append(images[:, :, top : top + patch, left : left + patch].flatten(1))
    return torch.stack(tokens, dim=1)


@cut.alternative
def _(images, patch):
    if images.shape[2] % patch or images.shape[3] % patch:
        raise ValueError("does not divide")
    windows = images.unfold(2, patch, patch).unfold(3, patch, patch)  # B C rows columns P P
    return windows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


@cut.misconception("reshape alone",
    "A reshape alone follows the scan lines: your tokens are pieces of pixel rows, not square "
    "patches. Split height and width, and bring the axes into order before you merge.")
def _(images, patch):
    B, C, H, W = images.shape
    if H % patch or W % patch:
        raise ValueError("does not divide")
    return images.reshape(B, -1, C * patch * patch)


@cut.misconception("split at one stroke",
    "You split height and width into rows, columns, P, P in one go. Each axis splits "
    "where it stands: height into rows, P, then width into columns, P.")
def _(images, patch):
    B, C, H, W = images.shape
    if H % patch or W % patch:
        raise ValueError("does not divide")
    tiles = images.reshape(B, C, H // patch, W // patch, patch, patch)
    return tiles.permute(0, 2, 3, 1, 4, 5).reshape(B, -1, C * patch * patch)


@cut.misconception("split the wrong way round",
    "You split a side into P × rows instead of rows × P. So your tokens gather "
    "pixels that lie far apart. The slower axis comes first: which patch, then where in the patch.")
def _(images, patch):
    B, C, H, W = images.shape
    if H % patch or W % patch:
        raise ValueError("does not divide")
    tiles = images.reshape(B, C, patch, H // patch, patch, W // patch)
    return tiles.permute(0, 3, 5, 1, 2, 4).reshape(B, -1, C * patch * patch)


@cut.misconception("channels not moved",
    "Right for one channel. With more, your tokens mix patches: the channel axis still "
    "stands before the grid. Move it behind rows and columns.")
def _(images, patch):
    B, C, H, W = images.shape
    if H % patch or W % patch:
        raise ValueError("does not divide")
    tiles = images.reshape(B, C, H // patch, patch, W // patch, patch)
    return tiles.permute(0, 1, 2, 4, 3, 5).reshape(B, -1, C * patch * patch)


@cut.misconception("channels last", "Right patches, but each pixel's channels stand together: row, column, channel. "
    "The order should be channel, row, column.")
def _(images, patch):
    B, C, H, W = images.shape
    if H % patch or W % patch:
        raise ValueError("does not divide")
    tiles = images.reshape(B, C, H // patch, patch, W // patch, patch)
    return tiles.permute(0, 2, 4, 3, 5, 1).reshape(B, -1, C * patch * patch)


@cut.misconception("transposed patches",
    "Right patches, but each one lies on its side: its columns are read before its rows. "
    "Swap the last two axes of your permute.")
def _(images, patch):
    B, C, H, W = images.shape
    if H % patch or W % patch:
        raise ValueError("does not divide")
    tiles = images.reshape(B, C, H // patch, patch, W // patch, patch)
    return tiles.permute(0, 2, 4, 1, 5, 3).reshape(B, -1, C * patch * patch)


@cut.misconception("column by column",
    "Every token is right, but they come column by column. Read the grid row by row.")
def _(images, patch):
    B, C, H, W = images.shape
    if H % patch or W % patch:
        raise ValueError("does not divide")
    tiles = images.reshape(B, C, H // patch, patch, W // patch, patch)
    return tiles.permute(0, 4, 2, 1, 3, 5).reshape(B, -1, C * patch * patch)


@cut.misconception("not merged",
    "The axes are in the right order, and there are still six of them. Merge rows and columns "
    "into N, and channel, row and column into one token.")
def _(images, patch):
    B, C, H, W = images.shape
    if H % patch or W % patch:
        raise ValueError("does not divide")
    return images.reshape(B, C, H // patch, patch, W // patch, patch).permute(0, 2, 4, 1, 3, 5)


@cut.misconception("three channels for ever", "Right for three channels only. Take C from the shape of the images.")
def _(images, patch):
    B, C, H, W = images.shape
    if H % patch or W % patch:
        raise ValueError("does not divide")
    tiles = images.reshape(B, C, H // patch, patch, W // patch, patch)
    return tiles.permute(0, 2, 4, 1, 3, 5).reshape(B, (H // patch) * (W // patch), 3 * patch * patch)


@cut.misconception("square pictures only",
    "Right for square pictures only: you use the number of rows for the columns, too.")
def _(images, patch):
    B, C, H, W = images.shape
    if H % patch or W % patch:
        raise ValueError("does not divide")
    rows = H // patch
    tiles = images.reshape(B, C, rows, patch, rows, patch)
    return tiles.permute(0, 2, 4, 1, 3, 5).reshape(B, rows * rows, C * patch * patch)


@cut.misconception("height and width exchanged", "Right for square pictures only: you took the height for the width. "
    "The axes are B, C, H, W.")
def _(images, patch):
    B, C, W, H = images.shape
    if H % patch or W % patch:
        raise ValueError("does not divide")
    tiles = images.reshape(B, C, H // patch, patch, W // patch, patch)
    return tiles.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, C * patch * patch)


@cut.misconception("fractions as sizes",
    "Every cut ends in a TypeError; call your function by hand to read it. The usual "
    "cause: `/` gives a float, 2.0, and `reshape` takes whole numbers only. Divide with `//`.")
def _(images, patch):
    B, C, H, W = images.shape
    if H % patch or W % patch:
        raise ValueError("does not divide")
    tiles = images.reshape(B, C, H / patch, patch, W / patch, patch)
    return tiles.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, C * patch * patch)


@cut.misconception("view after permute",
    "Every cut ends in a RuntimeError; call your function by hand to read it. Two usual "
    "causes: `view` cannot merge axes after a permute, while `reshape` copies where it must. Or the sizes that "
    "you ask for do not multiply to the number of pixels that is there.")
def _(images, patch):
    B, C, H, W = images.shape
    if H % patch or W % patch:
        raise ValueError("does not divide")
    tiles = images.view(B, C, H // patch, patch, W // patch, patch)
    return tiles.permute(0, 2, 4, 1, 3, 5).view(B, -1, C * patch * patch)


@cut.misconception("looks at the width only",
    "The tokens are right. But a height that does not divide passes your test, and torch stumbles over it. Look at "
    "both sides.")
def _(images, patch):
    B, C, H, W = images.shape
    if W % patch:
        raise ValueError("does not divide")
    tiles = images.reshape(B, C, H // patch, patch, W // patch, patch)
    return tiles.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, C * patch * patch)


@cut.misconception("looks at the height only",
    "The tokens are right. But a width that does not divide passes your test, and torch stumbles over it. Look at both "
    "sides.")
def _(images, patch):
    B, C, H, W = images.shape
    if H % patch:
        raise ValueError("does not divide")
    tiles = images.reshape(B, C, H // patch, patch, W // patch, patch)
    return tiles.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, C * patch * patch)


@cut.misconception("crops in silence",
    "The tokens are right. But where the patch does not divide, you drop the left-over pixels in silence. Raise a "
    "ValueError there.")
def _(images, patch):
    windows = images.unfold(2, patch, patch).unfold(3, patch, patch)  # B C rows columns P P
    return windows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


@cut.misconception("rounds the pixels",
    "Every pixel is in its place, but some are no longer what they were: fractions are lost. Move them as they are.")
def _(images, patch):
    tokens = patchify(images, patch)
    return tokens.round() if tokens.is_floating_point() else tokens


@cut.misconception("another dtype", "Every number is right, but not every dtype: bytes do not come back as bytes. What "
    "you move keeps its dtype; what you make anew needs `dtype=images.dtype`.")
def _(images, patch):
    return torch.tensor(patchify(images, patch).tolist())


@cut.misconception("always floats",
    "Every number is right, but whole numbers come back as floats. What you move keeps its dtype; `torch.zeros(…)` "
    "makes floats, unless you say `dtype=images.dtype`.")
def _(images, patch):
    return patchify(images, patch).float()


@cut.misconception("refuses too late",
    "The tokens are right. But where the patch does not divide, it is torch that stumbles, "
    "with a RuntimeError about shapes. Look first, and raise a ValueError that says what is wrong.")
def _(images, patch):
    B, C, H, W = images.shape
    tiles = images.reshape(B, C, H // patch, patch, W // patch, patch)
    return tiles.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, C * patch * patch)


# ── 1.5 · And back ─────────────────────────────────────────────────────────────────────────────────────────────────


def unpatchify(tokens: torch.Tensor, height: int, width: int, patch: int) -> torch.Tensor:
    """Put the tokens [B, N, C·P·P] of `patchify` back where they were: images [B, C, H, W], of the same dtype.

    >>> images = torch.arange(48).reshape(1, 2, 4, 6)
    >>> torch.equal(unpatchify(patchify(images, 2), 4, 6, 2), images)
    True

    The patch divides height and width. Raises ValueError where N is not the number of patches of such a picture.
    """
    batch, count, length = tokens.shape
    rows, columns = height // patch, width // patch
    if count != rows * columns:
        raise ValueError(f"{count} tokens: expected {rows} · {columns}, for a picture of {height} × {width}")
    channels = length // (patch * patch)
    grid = tokens.reshape(batch, rows, columns, channels, patch, patch)
    grid = grid.permute(0, 3, 1, 4, 2, 5)  # B C rows P columns P
    return grid.reshape(batch, channels, height, width)


mend = Code(
    "unpatchify", title="Your own unpatchify", points=4, difficulty=3, minutes=12, tolerance=0,
    prompt="Now the way back. The picture's size must be given: a sequence of tokens does not say how wide its grid "
    "was. The number of channels need not be given: it follows from the length of a token.",
    reference=unpatchify,
    examples=[
        (torch.tensor([[[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]]), 4, 4, 2),
        (torch.arange(96).reshape(1, 6, 16), 4, 6, 2),
        (eighths(2, 6, 12), 6, 4, 2),
        (torch.arange(20).reshape(1, 5, 4), 4, 4, 2),
        (torch.arange(12).reshape(1, 3, 4), 4, 4, 2),
        (torch.arange(32).reshape(1, 8, 4), 4, 4, 2),
        (torch.arange(36, dtype=torch.uint8).reshape(1, 4, 9), 3, 12, 3),
    ],
    checks={
        "one channel": [(eighths(1, 4, 9), 6, 6, 3), (eighths(1, 6, 4), 4, 6, 2)],
        "one patch": [(eighths(1, 1, 9), 3, 3, 3)],
        "several channels": [(eighths(1, 9, 12), 6, 6, 2), (eighths(1, 6, 8), 4, 6, 2), (eighths(1, 6, 20), 6, 4, 2)],
        "a batch": [(eighths(3, 12, 8), 6, 8, 2), (eighths(4, 12, 12), 8, 6, 2)],
        "any dtype": [(torch.arange(96, dtype=torch.uint8).reshape(2, 4, 12), 4, 4, 2)],
        "refuses tokens of another grid": [
            (torch.zeros(1, 5, 12), 4, 4, 2), (torch.zeros(2, 3, 12), 4, 4, 2), (torch.zeros(1, 8, 12), 4, 4, 2),
        ],
    },
    hints=[
        "Walk through `patchify` backwards: split what was merged, undo the permute, merge what was split.",
        "The tokens' shape gives B, N and the length C·P·P. The length divided by P² gives C.",
        "Split into: batch, row of the grid, column of the grid, channel, row in the patch, column in the patch. "
        "To become H, the row of the grid must stand directly before the row in the patch. Likewise for W.",
        "The examples pass but grading finds a mistake? Try more than one picture, five channels, and tokens that are "
        "too few by one: the last must end in a ValueError.",
    ],
    why="Every step of patchify is undone in reverse order, so the round trip is exact.",
)


@mend.alternative
def _(tokens, height, width, patch):
    batch, count, length = tokens.shape
    if count != (height // patch) * (width // patch):
        raise ValueError("another grid")
    images = tokens.new_empty(batch, length // patch**2, height, width)
    for number in range(count):
        row, column = divmod(number, width // patch)
        square = tokens[:, number].reshape(batch, -1, patch, patch)
        images[:, :, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch] = square
    return images


@mend.alternative
def _(tokens, height, width, patch):
    rows, columns = height // patch, width // patch
    if tokens.shape[1] != rows * columns:
        raise ValueError("another grid")
    squares = tokens.unflatten(2, (-1, patch, patch)).unbind(1)  # N squares, each B C P P
    strips = [torch.cat(squares[row * columns : (row + 1) * columns], dim=3) for row in range(rows)]
    return torch.cat(strips, dim=2)


@mend.misconception("reshape alone",
    "A reshape alone lays the tokens out as scan lines. Split them into squares first, and "
    "bring the axes into order.")
def _(tokens, height, width, patch):
    B, N, _ = tokens.shape
    if (height // patch) * (width // patch) != N:
        raise ValueError("another grid")
    return tokens.reshape(B, -1, height, width)


@mend.misconception("patchify's permute again",
    "You use the permute of `patchify` a second time. Undo it: each axis must "
    "go back to where it came from.")
def _(tokens, height, width, patch):
    B, N, L = tokens.shape
    rows, columns = height // patch, width // patch
    if rows * columns != N:
        raise ValueError("another grid")
    grid = tokens.reshape(B, rows, columns, L // patch**2, patch, patch)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, height, width)


@mend.misconception("grid and pixels not paired",
    "Before you merge, each row of the grid must stand next to the row in the "
    "patch, and each column next to the column. Yours stand rows, columns, row, column.")
def _(tokens, height, width, patch):
    B, N, L = tokens.shape
    rows, columns = height // patch, width // patch
    if rows * columns != N:
        raise ValueError("another grid")
    grid = tokens.reshape(B, rows, columns, L // patch**2, patch, patch)
    return grid.permute(0, 3, 1, 2, 4, 5).reshape(B, -1, height, width)


@mend.misconception("channels last", "You split a token into row, column, channel. Its order is channel, row, column.")
def _(tokens, height, width, patch):
    B, N, _ = tokens.shape
    rows, columns = height // patch, width // patch
    if rows * columns != N:
        raise ValueError("another grid")
    grid = tokens.reshape(B, rows, columns, patch, patch, -1)
    return grid.permute(0, 5, 1, 3, 2, 4).reshape(B, -1, height, width)


@mend.misconception("transposed patches",
    "Every patch is in its place, but lies on its side. Swap row and column in the "
    "patch.")
def _(tokens, height, width, patch):
    B, N, L = tokens.shape
    rows, columns = height // patch, width // patch
    if rows * columns != N:
        raise ValueError("another grid")
    grid = tokens.reshape(B, rows, columns, L // patch**2, patch, patch)
    return grid.permute(0, 3, 1, 5, 2, 4).reshape(B, -1, height, width)


@mend.misconception("rows and columns exchanged",
    "Right where the grid is square. Elsewhere you swap rows and columns "
    "when you split N.")
def _(tokens, height, width, patch):
    B, N, L = tokens.shape
    rows, columns = height // patch, width // patch
    if rows * columns != N:
        raise ValueError("another grid")
    grid = tokens.reshape(B, columns, rows, L // patch**2, patch, patch)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(B, -1, height, width)


@mend.misconception("height and width exchanged",
    "The last reshape gives [B, C, W, H]. Right where the picture is square, "
    "and nonsense elsewhere.")
def _(tokens, height, width, patch):
    B, N, L = tokens.shape
    rows, columns = height // patch, width // patch
    if rows * columns != N:
        raise ValueError("another grid")
    grid = tokens.reshape(B, rows, columns, L // patch**2, patch, patch)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(B, -1, width, height)


@mend.misconception("three channels for ever",
    "Right for three channels only. The length of a token tells how many there are.")
def _(tokens, height, width, patch):
    B, N, _ = tokens.shape
    rows, columns = height // patch, width // patch
    if rows * columns != N:
        raise ValueError("another grid")
    grid = tokens.reshape(B, rows, columns, 3, patch, patch)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(B, 3, height, width)


@mend.misconception("square grids only",
    "Right where the grid is square. Elsewhere rows and columns differ: rows come from "
    "the height, columns from the width.")
def _(tokens, height, width, patch):
    B, N, L = tokens.shape
    if (height // patch) * (width // patch) != N:
        raise ValueError("another grid")
    side = round(N**0.5)
    grid = tokens.reshape(B, side, side, L // patch**2, patch, patch)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(B, -1, height, width)


@mend.misconception("fractions as sizes",
    "Every call ends in a TypeError; call your function by hand to read it. The usual "
    "cause: `/` gives a float, 2.0, and `reshape` takes whole numbers only. Divide with `//`.")
def _(tokens, height, width, patch):
    B, N, L = tokens.shape
    rows, columns = height // patch, width // patch
    if rows * columns != N:
        raise ValueError("another grid")
    grid = tokens.reshape(B, rows, columns, L / patch**2, patch, patch)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(B, -1, height, width)


@mend.misconception("view after permute",
    "Every call ends in a RuntimeError; call your function by hand to read it. Two usual "
    "causes: `view` cannot merge axes after a permute, while `reshape` copies where it must. Or the sizes that "
    "you ask for do not multiply to what is there: a token holds P²·C numbers, not P·C.")
def _(tokens, height, width, patch):
    B, N, L = tokens.shape
    rows, columns = height // patch, width // patch
    if rows * columns != N:
        raise ValueError("another grid")
    grid = tokens.view(B, rows, columns, L // patch**2, patch, patch)
    return grid.permute(0, 3, 1, 4, 2, 5).view(B, -1, height, width)


@mend.misconception("refuses too late",
    "The pictures are right. But where the tokens belong to another grid, it is torch that "
    "stumbles, with a RuntimeError about shapes. Compare N with rows · columns first, and raise a ValueError.")
def _(tokens, height, width, patch):
    B, _, L = tokens.shape
    grid = tokens.reshape(B, height // patch, width // patch, L // patch**2, patch, patch)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(B, -1, height, width)


@mend.misconception("drops extra tokens",
    "Where there are too many tokens, the rest is dropped in silence. Raise a ValueError "
    "there as well.")
def _(tokens, height, width, patch):
    B, N, L = tokens.shape
    rows, columns = height // patch, width // patch
    if rows * columns > N:
        raise ValueError("another grid")
    grid = tokens[:, : rows * columns].reshape(B, rows, columns, L // patch**2, patch, patch)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(B, -1, height, width)


@mend.misconception("more tokens as more channels",
    "Where there are twice as many tokens as the grid has places, you make a picture of twice as many channels. C "
    "follows from the length of a token alone. Compare N with rows · columns, and raise a ValueError.")
def _(tokens, height, width, patch):
    B, N, L = tokens.shape
    if N * L % (height * width):
        raise ValueError("another grid")
    grid = tokens.reshape(B, height // patch, width // patch, -1, patch, patch)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(B, -1, height, width)


@mend.misconception("looks for a multiple",
    "You test whether N is a multiple of the number of places. Twice as many tokens pass your test, and torch stumbles "
    "over them: N must be rows · columns exactly.")
def _(tokens, height, width, patch):
    B, N, L = tokens.shape
    rows, columns = height // patch, width // patch
    if N % (rows * columns):
        raise ValueError("another grid")
    grid = tokens.reshape(B, rows, columns, L // patch**2, patch, patch)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(B, -1, height, width)


@mend.misconception("rounds the pixels",
    "Every pixel is where it was, but some are no longer what they were: fractions are lost. Move them as they are.")
def _(tokens, height, width, patch):
    images = unpatchify(tokens, height, width, patch)
    return images.round() if images.is_floating_point() else images


@mend.misconception("another dtype",
    "Every number is right, but not every dtype: bytes do not come back as bytes. What you move keeps its dtype; what "
    "you make anew needs `dtype=tokens.dtype`.")
def _(tokens, height, width, patch):
    return torch.tensor(unpatchify(tokens, height, width, patch).tolist())


@mend.misconception("always floats",
    "Every number is right, but whole numbers come back as floats. What you move keeps its dtype; `torch.zeros(…)` "
    "makes floats, unless you say `dtype=tokens.dtype`.")
def _(tokens, height, width, patch):
    return unpatchify(tokens, height, width, patch).float()


# ── 1.6 · Sizes that do not fit ────────────────────────────────────────────────────────────────────────────────────

leftover_corner = Numeric(
    "leftover-corner", title="Left over on two sides", points=2, difficulty=3, minutes=4,
    parameters=dict(side=1411, patch=16), parameter_values=dict(side=range(1011, 1612, 10)),
    prompt="An eye doctor's photo of a retina has {side} × {side} pixels. It is cut into patches of {patch} × {patch}: "
    "something is left over at the bottom **and** at the right. How many pixels lie in no patch?",
    answer=lambda side, patch: side**2 - (side // patch * patch) ** 2,
    unit="pixels",
    misconceptions=[
        Misconception("one strip only", lambda side, patch: side % patch * side,
            "That is one of the two strips. The other one lies at the other edge."),
        Misconception("counted the corner twice", lambda side, patch: 2 * (side % patch) * side,
            "Nearly: your two strips overlap at the bottom right, and the corner was counted twice."),
        Misconception("left out the corner", lambda side, patch: 2 * (side % patch) * (side - side % patch),
            "Nearly: your two strips stop before the bottom right corner, and the corner was left out."),
        Misconception("only the corner", lambda side, patch: (side % patch) ** 2,
            "That is the small square in the corner. Two long strips lead up to it."),
        Misconception("counted rows of pixels", lambda side, patch: side % patch,
            "That is how wide the strips are. How many pixels do they hold?"),
        Misconception("counted what stays", lambda side, patch: (side // patch * patch) ** 2,
            "Those are the pixels that do lie in a patch."),
    ],
    hints=["Draw it: a large square that is covered, a strip at the right, a strip at the bottom. What do they share?",
           "The safest way: all pixels minus the pixels that lie in a patch."],
    why=lambda side, patch: f"{side // patch} whole patches a side cover {side // patch * patch} × "
    f"{side // patch * patch} pixels, and {side}² − {side // patch * patch}² = "
    f"{side**2 - (side // patch * patch) ** 2}.",
)


# ── 1.7 · Where the tokens go ──────────────────────────────────────────────────────────────────────────────────────

image_to_tokens = Choice(
    "image-to-tokens", title="From image to encoder", points=1, difficulty=1, minutes=1,
    prompt="How does a Vision Transformer turn an image into tokens, and what becomes of them?",
    options={
        "encode → embed → patchify":
            "That is the order reversed. The encoder works on tokens, so the tokens must be there before it starts.",
        "patchify → embed → encode": None,
        "convolve → pool → flatten":
            "That is how many CNNs end: stacked convolutions, pooled into one vector. Where would a sequence of "
            "tokens come from?",
        "sort the pixels → embed → encode":
            "Pixels are never sorted: where they lie is what makes a picture. They are grouped into squares.",
    },
    hints=["Three stages: cut first, then a linear map for each piece, then layers in which the pieces meet."],
    why="Cut into patches, map each flattened patch to a token of D numbers, and let the encoder relate them.",
)

positions_after_embedding = TrueFalse(
    "positions-after-embedding", title="When positions are added", points=1, difficulty=1, minutes=1,
    prompt="“ViT usually adds positional embeddings **after** the patch embedding.”",
    answer=True,
    misconception="Look at the order of the stages again: a position is added to a token of D numbers. Which stage "
    "makes those D numbers?",
    hints=["A position embedding has D numbers. How long is a patch before the embedding, and how long afterwards?"],
    why="True. The patch embedding makes a token of D numbers, and a position embedding of the same D numbers is added "
    "to it.",
)

only_convolutions = TrueFalse(
    "only-convolutions", title="Only convolutions?", points=1, difficulty=1, minutes=1,
    prompt="“ViT's core is only stacked convolutions, without patch tokens.”",
    answer=False,
    misconception="That describes a CNN. What did you cut the picture into in this chapter, and what relates the "
    "pieces?",
    hints=["What does the encoder receive?"],
    why="False. Patch tokens go through self-attention and feed-forward layers. The patch embedding can be "
    "written as one convolution (chapter 2), and hybrids put a few in front, but the core is attention.",
)

cls_with_head = TrueFalse(
    "cls-with-head", title="What the head reads", points=1, difficulty=1, minutes=1,
    prompt="“[CLS] is commonly used with a classification head.”",
    answer=True,
    misconception="Something must speak for the whole picture. Which token belongs to no patch, and what is it there "
    "for?",
    hints=["Follow the last arrow of the figure."],
    why="True. The CLS token gathers information from all patches, and the head reads it. The mean of the patch tokens "
    "is the other common choice (chapter 5).",
)

# ── 1.8 · What tokens cost ─────────────────────────────────────────────────────────────────────────────────────────


pairs_factor = Numeric(
    "pairs-factor", title="Half the patch size", points=1, difficulty=2, minutes=2,
    prompt="You halve the patch size, from P to P/2. The picture stays as it is. **How many times as many attention "
    "scores**, N², does each head compute? (CLS is left out.)",
    answer=16,
    misconceptions=[
        Misconception("followed the side",
            2, "That is how many times as many patches fit along one side. Two steps are missing: from the side to the "
            "grid, and from the grid to the scores."),
        Misconception("followed the tokens",
            4, "That is how many times as many tokens there are. How does the number of scores grow with them?"),
        Misconception("stopped half-way",
            8, "Step by step: what happens to the patches along a side, then to N, then to N²?"),
        Misconception("turned it round",
            1 / 16, "The right factor, the wrong way round: smaller patches mean more tokens."),
        Misconception("nothing changes", 1, "The number of pixels stays the same, the number of tokens does not."),
    ],
    hints=["Try it with a square picture: 2 patches a side, then 4 a side. Count N and N² both times."],
    why="Twice as many patches along each side, 4 times as many tokens, 4² = 16 times as many scores.",
)

oom_cure = Choice(
    "oom-cure", title="Out of memory", points=1, difficulty=1, minutes=1,
    prompt="Training on high-resolution pictures stops with an out-of-memory (OOM) error. Which change gives fewer "
    "tokens, and can cure it?",
    options={
        "Change the labels only, or add some.":
            "Labels say what is in a picture. They do not change how many tokens it gives, so no large tensor shrinks.",
        "Use larger patches.": None,
        "Rename the optimizer.":
            "A name takes up no memory to speak of. Look for a change that makes the large tensors smaller.",
        "Use smaller patches.":
            "Each flattened patch is shorter then, but there are more of them, and the matrix of scores has N rows and "
            "N columns.",
    },
    hints=["N = (H / P) · (W / P). Which option makes N smaller?"],
    why="N falls with the square of P: double the patch size, and a quarter of the tokens and a sixteenth of the "
    "scores remain. The shape of the embedding changes with P, though, so a pretrained model must be adapted.",
)
