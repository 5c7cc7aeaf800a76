"""Chapter 2's key: every exercise with its answer, the misconceptions that learners have, and the words that help."""

import random

import torch

from autograde.exercises import Choice, Code, Misconception, Numeric, TrueFalse

# ── 2.1 · One patch, one token ─────────────────────────────────────────────────────────────────────────────────────

token_by_hand = Numeric(
    "token-by-hand", title="One number of a token, by hand", points=1, difficulty=1, minutes=3,
    parameters=dict(a=5, b=1, c=6, d=2, bias=6),
    parameter_values=dict(a=range(1, 10), b=(1, 2, 3, 4), c=range(1, 10)),
    prompt=r"A grey patch of 2 × 2 pixels, one row of $E$ drawn as a picture, and its bias:" "\n\n"
    r"$$\text{patch} = \begin{pmatrix} {a} & {b} \\ {c} & {d} \end{pmatrix} \qquad "
    r"\text{filter} = \begin{pmatrix} 2 & -1 \\ 3 & -2 \end{pmatrix} \qquad b_k = {bias}$$" "\n\n"
    "Which number $z_k$ does the token get from this filter?",
    answer=lambda a, b, c, d, bias: 2 * a - b + 3 * c - 2 * d + bias,
    misconceptions=[
        Misconception("forgot the bias", lambda a, b, c, d, bias: 2 * a - b + 3 * c - 2 * d,
            "The weighted sum is right. The bias is still missing: it is added once, at the end."),
        Misconception("lost the signs", lambda a, b, c, d, bias: 2 * a + b + 3 * c + 2 * d + bias,
            "You added all four products. Two weights of the filter are negative: their products are taken away."),
        Misconception("columns before rows", lambda a, b, c, d, bias: 2 * a - c + 3 * b - 2 * d + bias,
            "Two pixels changed places: the patch was read column by column, the filter row by row. Each pixel meets "
            "the weight in its own place."),
        Misconception("left out the weights", lambda a, b, c, d, bias: a + b + c + d + bias,
            "You added the pixels as they are. Each pixel is multiplied by its weight first."),
        Misconception("a bias for every pixel", lambda a, b, c, d, bias: 2 * a - b + 3 * c - 2 * d + 4 * bias,
            "You added the bias four times, once for each pixel. It belongs to the filter, and is added once."),
        Misconception("took the bias away", lambda a, b, c, d, bias: 2 * a - b + 3 * c - 2 * d - bias,
            "You subtracted the bias. In z = E x + b it is added."),
    ],
    hints=["Lay the filter over the patch. Each pixel is multiplied by the weight that covers it.",
           "Add the four products, with their signs. Then add the bias, once."],
    why=lambda a, b, c, d, bias: f"2·{a} − 1·{b} + 3·{c} − 2·{d} + {bias} = {2 * a - b + 3 * c - 2 * d + bias}.",
)

pc_columns = TrueFalse(
    "pc-columns", title="The columns of E", points=1, difficulty=1, minutes=1,
    prompt="“Flattened, a patch of P × P pixels with C channels is x ∈ ℝ^(P·C). So E has P·C columns.”",
    answer=False,
    misconception="Count for P = 2 and C = 1: how many pixels does the patch have, and how many weights did one "
    "filter have in the exercise before?",
    hints=["A patch has P rows. How many pixels are in each?"],
    why="False. A patch has P² pixels and P²·C numbers. Each of them needs a weight, so E has P²·C columns.",
)

# ── 2.2 · All patches at once ──────────────────────────────────────────────────────────────────────────────────────


def embed(patches: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """z = E x + b for every patch: flattened patches [B, N, L] become tokens [B, N, D].

    `weight` is E, [D, L], and `bias` is b, [D].

    >>> embed(torch.tensor([[[1., 2.]]]), torch.tensor([[1., 1.], [1., -1.], [0., 3.]]), torch.tensor([0., 0., 10.]))
    tensor([[[ 3., -1., 16.]]])
    """
    return patches @ weight.T + bias  # B N L · L D → B N D, and b for every token


def numbers(*shape: int, start: int = 0) -> torch.Tensor:
    """Small halves, no two neighbours alike, as floats: every sum of them is exact, and a rounded one is wrong."""
    count = torch.Size(shape).numel()
    return ((torch.arange(start, start + count) * 7) % 11 / 2 - 2).reshape(shape)


def any_embedding(dice: random.Random) -> list[tuple[torch.Tensor, ...]]:
    sizes = [[dice.randint(1, 3), dice.randint(2, 6), dice.randint(2, 12), dice.randint(2, 9)] for _ in range(4)]
    return [
        (numbers(batch, count, length, start=3), numbers(width, length, start=8), numbers(width, start=2))
        for batch, count, length, width in sizes
    ]


tokens = Code(
    "embed", title="Your own embed", points=4, difficulty=2, minutes=8,
    prompt="One matrix product for all patches of all pictures. This is the second piece of the Vision Transformer "
    "that you are building: what `patchify` of chapter 1 cuts, `embed` turns into tokens.",
    reference=embed,
    examples=[
        (torch.tensor([[[1.0, 2.0]]]), torch.tensor([[1.0, 1.0], [1.0, -1.0], [0.0, 3.0]]), torch.tensor([0.0, 0, 10])),
        (numbers(1, 3, 4), numbers(2, 4), torch.zeros(2)),
        (numbers(2, 3, 4), numbers(2, 4, start=5), torch.tensor([1.0, -2.0])),
        (numbers(1, 2, 3), numbers(3, 3, start=1), torch.tensor([3.0, 0.0, -1.0])),
    ],
    checks={
        "one picture": [
            (numbers(1, 4, 6, start=1), numbers(3, 6, start=2), numbers(3, start=5)),
            (numbers(1, 1, 12, start=4), numbers(5, 12), numbers(5, start=1)),
        ],
        "a batch": any_embedding,
        # here a wrong turn raises no error: the shapes fit, and only the numbers tell
        "as long before as after": [(numbers(2, 3, 5, start=6), numbers(5, 5, start=9), numbers(5, start=3))],
        "as many tokens as numbers in each": [(numbers(2, 4, 6, start=2), numbers(4, 6, start=7), numbers(4, start=1))],
    },
    hints=[
        "For one patch it is `weight @ x + bias`. Which axis of `patches` has to meet which axis of `weight`?",
        "The L numbers of a patch stand in the last axis of `patches`, and E has them in its *second* axis. The "
        "product `patches @ …` sums over the first axis of what you write there, so E must be transposed.",
        "`bias` has shape [D]. Added to [B, N, D], it goes to every token by itself.",
        "The examples pass but grading finds a mistake? Try two pictures at once, and sizes where L = D or N = D: "
        "there a wrong axis raises no error.",
    ],
    why="Sum over L with E transposed, add b: one product for every patch of every picture.",
)


@tokens.alternative
def _(patches, weight, bias):
    return torch.nn.functional.linear(patches, weight, bias)


@tokens.alternative
def _(patches, weight, bias):
    return torch.einsum("bnl,dl->bnd", patches, weight) + bias


@tokens.alternative
def _(patches, weight, bias):
    return torch.stack([torch.stack([weight @ patch + bias for patch in picture]) for picture in patches])


@tokens.misconception("forgot to return",
    "Your function always gives back None. Hand the tokens to the caller with `return`.")
def _(patches, weight, bias):
    return None


@tokens.misconception("forgot the bias",
    "E x is right. The bias b is missing: one number for each of the D filters, added to "
    "every token.")
def _(patches, weight, bias):
    return patches @ weight.T


@tokens.misconception("E not transposed",
    "`patches @ weight` sums over the first axis of E, which counts filters. It should sum "
    "over the second, which counts the numbers of a patch. Where L = D it raises no error, and is wrong all "
    "the same: transpose E.")
def _(patches, weight, bias):
    return patches @ weight + bias


@tokens.misconception("E on the left",
    "torch cannot multiply the two like this. `weight @ x` is for one patch, written as a column. In `patches` every "
    "patch is a row: `patches` stands on the left, and E, transposed, on the right.")
def _(patches, weight, bias):
    return weight @ patches + bias


@tokens.misconception("reshaped in place of transposed",
    "You gave E the shape [L, D] with a reshape. The shape is right, but the weights of different filters are mixed: "
    "a reshape never swaps rows and columns. Transpose E: `weight.T`.")
def _(patches, weight, bias):
    return patches @ weight.reshape(weight.shape[1], weight.shape[0]) + bias


@tokens.misconception("took the bias away", "The bias is subtracted. In z = E x + b it is added.")
def _(patches, weight, bias):
    return patches @ weight.T - bias


@tokens.misconception("bias along the tokens",
    "Your bias runs along the tokens: token 1 gets b₁, token 2 gets b₂. It belongs "
    "to the filters: every token gets all of b.")
def _(patches, weight, bias):
    return patches @ weight.T + bias[:, None]


@tokens.misconception("bias for the first token only",
    "Only the first token of each picture gets its bias. Every token does.")
def _(patches, weight, bias):
    result = patches @ weight.T
    return torch.cat([result[:, :1] + bias, result[:, 1:]], dim=1)


@tokens.misconception("first picture only", "Only the first picture comes back. Keep the batch axis: [B, N, D].")
def _(patches, weight, bias):
    return patches[:1] @ weight.T + bias


@tokens.misconception("first picture, without its axis",
    "You embed the first picture only, and its batch axis is gone. Leave `patches` whole: `@` goes through the batch "
    "by itself, and gives [B, N, D].")
def _(patches, weight, bias):
    return patches[0] @ weight.T + bias


@tokens.misconception("batch axis lost",
    "All tokens of all pictures come in one list, [B·N, D]. Keep the pictures apart: "
    "[B, N, D].")
def _(patches, weight, bias):
    return patches.flatten(0, 1) @ weight.T + bias


@tokens.misconception("axes exchanged",
    "The numbers are right, but they come as [B, D, N]. A token is a row: [B, N, D].")
def _(patches, weight, bias):
    return (patches @ weight.T + bias).transpose(1, 2)


@tokens.misconception("averaged the patches",
    "You give one token for a whole picture, the mean of all of them. Every patch "
    "becomes a token of its own.")
def _(patches, weight, bias):
    return (patches @ weight.T + bias).mean(dim=1)


@tokens.misconception("cut off what is negative",
    "Where a token should be negative, yours is 0. The embedding is linear: no "
    "ReLU, no clamp.")
def _(patches, weight, bias):
    return (patches @ weight.T + bias).relu()


@tokens.misconception("softmax",
    "Your tokens are positive and sum to 1: there is a softmax too many. It belongs to attention "
    "and to the classifier.")
def _(patches, weight, bias):
    return (patches @ weight.T + bias).softmax(dim=-1)


@tokens.misconception("scaled by the root of L",
    "Your sums are divided by √L. That scaling belongs to attention. Here the sum "
    "stays as it is.")
def _(patches, weight, bias):
    return patches @ weight.T / patches.shape[-1] ** 0.5 + bias


@tokens.misconception("centred each patch",
    "You subtract each patch's mean first. That is a separate step, and not in "
    "z = E x + b.")
def _(patches, weight, bias):
    return (patches - patches.mean(dim=-1, keepdim=True)) @ weight.T + bias


@tokens.misconception("one filter only",
    "Every token holds the same number D times, the one of the first filter. Each of the "
    "D rows of E gives a number of its own.")
def _(patches, weight, bias):
    return (patches @ weight[:1].T).expand(-1, -1, len(weight)) + bias


same_patches = Choice(
    "same-patches", title="Two patches alike", points=1, difficulty=1, minutes=1,
    prompt="In a photo of the sky, patch 3 and patch 17 are equal, pixel for pixel. What about their tokens, z₃ and "
    "z₁₇, before positions are added?",
    options={
        "They differ: every patch has a row of E to itself.":
            "The rows of E are filters, D of them, whatever N is. Each patch meets all of them.",
        "They differ: E also sees where a patch lies.":
            "Look at z = E x + b. Where would the place come in? Positions are added in chapter 3.",
        "They are equal: the same E and b serve every patch.": None,
        "They are equal only where both patches stand in the same row of the grid.":
            "z = E x + b knows nothing of rows. What goes into it, apart from the numbers of the patch?",
    },
    hints=["Write down z₃ and z₁₇ as formulas. In which letter do they differ?"],
    why="z₃ = E x₃ + b and z₁₇ = E x₁₇ + b, and x₃ = x₁₇. One E for all patches is what makes the embedding small. "
    "That equal patches cannot be told apart is the reason for positions (chapter 3).",
)

# ── 2.3 · How large is it? ─────────────────────────────────────────────────────────────────────────────────────────

embedding_parameters = Numeric(
    "embedding-parameters", title="Parameters of the embedding", points=1, difficulty=2, minutes=3,
    parameters=dict(width=768, patch=16, channels=3, side=224),
    parameter_values=dict(width=range(128, 1025, 64), patch=(8, 14, 16, 28, 32), channels=(3, 4)),
    prompt=lambda width, patch, channels, side: (
        "ViT-B/16 cuts" if (width, patch, channels) == (768, 16, 3) else "A Vision Transformer cuts"
    ) + f" pictures of {side} × {side} pixels with {channels} channels into patches of {patch} × {patch} pixels, and "
    f"its tokens have D = {width} numbers. How many parameters does its patch embedding have, E and b together?",
    answer=lambda width, patch, channels, side: width * patch**2 * channels + width, unit="parameters",
    misconceptions=[
        Misconception("forgot the bias", lambda width, patch, channels, side: width * patch**2 * channels,
            "Those are the numbers in E. The bias is learned, too: one number for each filter."),
        Misconception("P times C", lambda width, patch, channels, side: width * patch * channels + width,
            "You gave each filter P·C weights. That covers one row of the patch: a filter has a weight for each of "
            "the P²·C numbers."),
        Misconception("forgot the channels", lambda width, patch, channels, side: width * patch**2 + width,
            "You gave each filter one weight per pixel. A pixel has {channels} numbers, and each has its own weight."),
        Misconception("an E for every patch", lambda width, patch, channels, side:
            (side // patch) ** 2 * (width * patch**2 * channels + width),
            "You counted an E for every patch of the picture. One E serves them all."),
        Misconception("one bias in all", lambda width, patch, channels, side: width * patch**2 * channels + 1,
            "You counted one bias in all. Each of the D filters has its own."),
        Misconception("multiplications", lambda width, patch, channels, side:
            (side // patch) ** 2 * width * patch**2 * channels,
            "That is how many multiplications a whole picture takes: every weight is used once for each patch. As a "
            "parameter it counts once. And the bias is missing."),
        Misconception("one filter", lambda width, patch, channels, side: patch**2 * channels + 1,
            "That is one filter with its bias. There are D of them."),
    ],
    hints=["How many weights does one filter have? One for each number of a flattened patch.",
           "D filters, each with P²·C weights and one bias. The size of the picture is not needed."],
    why=lambda width, patch, channels, side: f"{width} · ({patch}²·{channels} + 1) = {width} · "
    f"{patch**2 * channels + 1} = {width * (patch**2 * channels + 1):,}.",
)

larger_picture = TrueFalse(
    "larger-picture", title="A larger picture", points=1, difficulty=1, minutes=1,
    prompt="“A patch embedding that was trained on pictures of 224 × 224 pixels takes pictures of 384 × 384 as it is: "
    "with the same P, neither E nor b changes its shape.”",
    answer=True,
    misconception="Which letters are in the shape of E, D × P²·C? Are H, W or N among them?",
    hints=["What grows with the picture: the length of a patch, or the number of patches?"],
    why="True. A larger picture gives more patches, and each of them meets the same E. (Learned positions do not fit "
    "any more: chapter 3 resizes them.)",
)

# ── 2.4 · The same map as a convolution ────────────────────────────────────────────────────────────────────────────


def conv_weight(weight: torch.Tensor, channels: int, patch: int) -> torch.Tensor:
    """E in the shape of a convolution's weight: [D, L] becomes [D, C, P, P], with L = C·P·P.

    A row of E lists its weights as `patchify` lists the numbers of a patch: channel, row, column.

    >>> conv_weight(torch.arange(8.0).reshape(1, 8), channels=2, patch=2)[0, 1].tolist()
    [[4.0, 5.0], [6.0, 7.0]]

    Raises ValueError where L is not C·P·P.
    """
    width, length = weight.shape
    if length != channels * patch * patch:
        raise ValueError(f"E has {length} columns: expected {channels}·{patch}·{patch} = {channels * patch * patch}")
    return weight.reshape(width, channels, patch, patch)


def ramp(*shape: int) -> torch.Tensor:
    """−2.5, −1.5, −0.5, …: every number tells where it came from; a rounded one is wrong, or one without its sign."""
    return (torch.arange(torch.Size(shape).numel()) - 2.5).reshape(shape)


kernels = Code(
    "conv-weight", title="Your own conv_weight", points=3, difficulty=2, minutes=7, tolerance=0,
    prompt="Give E the shape in which a convolution keeps its weights, so that both compute the same tokens. No number "
    "changes. And be strict: an E with a wrong number of columns, such as P·C of them, ends in a `ValueError` that "
    "says what was expected.",
    reference=conv_weight,
    examples=[
        (ramp(1, 8), 2, 2), (ramp(4, 4), 1, 2), (ramp(3, 3), 3, 1), (ramp(2, 4), 2, 2), (ramp(2, 8), 1, 2),
    ],
    checks={
        "several channels": [(ramp(4, 12), 3, 2), (ramp(2, 27), 3, 3), (ramp(5, 32), 2, 4)],
        "one channel": [(ramp(3, 9), 1, 3), (ramp(1, 16), 1, 4)],
        "any size": lambda dice: [
            (ramp(width, channels * patch**2), channels, patch)
            for width, channels, patch in [(12, 3, 2), (2, 2, 1), *(
                (dice.randint(2, 9), dice.randint(2, 6), dice.randint(2, 5)) for _ in range(3))]
        ],
        # the first two hold P·C numbers a row; the last two would reshape into another number of filters
        "refuses other columns": [(ramp(2, 6), 3, 2), (ramp(4, 12), 3, 4), (ramp(4, 8), 1, 2), (ramp(8, 6), 3, 4)],
    },
    hints=[
        "A row of E is a flattened patch of weights. What undoes a flatten?",
        "The order in a row is channel, row, column: the slowest axis stands first, as in the shape [D, C, P, P]. So "
        "one reshape does it, and nothing has to change places.",
        "Compare the second axis of `weight` with C·P·P before you reshape.",
        "The examples pass but grading finds a mistake? Try an E whose columns are too many or too few by a whole "
        "factor: with `-1` in it, a reshape makes up another number of filters in silence.",
    ],
    why="A reshape, because E and the convolution agree on the order: channel, row, column.",
)


@kernels.alternative
def _(weight, channels, patch):
    if weight.shape[1] != channels * patch**2:
        raise ValueError("E has the wrong number of columns")
    return weight.unflatten(1, (channels, patch, patch))


@kernels.alternative
def _(weight, channels, patch):
    if weight.shape[1] != channels * patch**2:
        raise ValueError("E has the wrong number of columns")
    planes = weight.split(patch**2, dim=1)  # one for each channel
    return torch.stack([torch.stack(plane.split(patch, dim=1), dim=1) for plane in planes], dim=1)


@kernels.misconception("forgot to return",
    "Your function always gives back None. Hand the weights to the caller with `return`.")
def _(weight, channels, patch):
    return None


@kernels.misconception("channels last",
    "You split a row into row, column, channel. Its order is channel, row, column, and the "
    "convolution wants [D, C, P, P].")
def _(weight, channels, patch):
    if weight.shape[1] != channels * patch**2:
        raise ValueError("another number of columns")
    return weight.reshape(len(weight), patch, patch, channels)


@kernels.misconception("channels last, then moved",
    "The shape is right, but the weights are in other places: you read a row of "
    "E as row, column, channel and moved the axes. Its order is channel, row, column already.")
def _(weight, channels, patch):
    if weight.shape[1] != channels * patch**2:
        raise ValueError("another number of columns")
    return weight.reshape(len(weight), patch, patch, channels).permute(0, 3, 1, 2)


@kernels.misconception("transposed filters", "Every filter lies on its side: rows and columns are exchanged.")
def _(weight, channels, patch):
    if weight.shape[1] != channels * patch**2:
        raise ValueError("another number of columns")
    return weight.reshape(len(weight), channels, patch, patch).transpose(2, 3)


@kernels.misconception("flipped filters",
    "Every filter is rotated by 180 degrees. That is what the convolution of mathematics "
    "would need. `conv2d` does not flip: it lays the filter over the patch as it is.")
def _(weight, channels, patch):
    if weight.shape[1] != channels * patch**2:
        raise ValueError("another number of columns")
    return weight.reshape(len(weight), channels, patch, patch).flip(2, 3)


@kernels.misconception("E transposed first",
    "You transposed E before the reshape, so each filter gathers weights of many. A filter is "
    "a row of E: reshape E as it is.")
def _(weight, channels, patch):
    if weight.shape[1] != channels * patch**2:
        raise ValueError("another number of columns")
    return weight.T.reshape(len(weight), channels, patch, patch)


@kernels.misconception("filters and channels exchanged", "Your first axis counts channels and your second filters. The "
    "convolution wants [D, C, P, P].")
def _(weight, channels, patch):
    if weight.shape[1] != channels * patch**2:
        raise ValueError("another number of columns")
    return weight.reshape(len(weight), channels, patch, patch).transpose(0, 1)


@kernels.misconception("channels before filters",
    "The shape is right, but you split E as if all filters of the first channel "
    "came first. Each row of E is one filter with all its channels.")
def _(weight, channels, patch):
    if weight.shape[1] != channels * patch**2:
        raise ValueError("another number of columns")
    return weight.reshape(channels, len(weight), patch, patch).transpose(0, 1)


@kernels.misconception("no axis for the channels",
    "Your filters have no axis for the channels. A convolution's weight has four "
    "axes, also where C is 1.")
def _(weight, channels, patch):
    if weight.shape[1] != channels * patch**2:
        raise ValueError("another number of columns")
    return weight.reshape(len(weight), channels * patch, patch)


@kernels.misconception("three channels for ever", "Right for three channels only. Take C from the argument `channels`.")
def _(weight, channels, patch):
    if weight.shape[1] != channels * patch**2:
        raise ValueError("another number of columns")
    return weight.reshape(-1, 3, patch, patch)


@kernels.misconception("averaged",
    "You divide the weights by P². The convolution adds up as the product does; no number "
    "changes.")
def _(weight, channels, patch):
    if weight.shape[1] != channels * patch**2:
        raise ValueError("another number of columns")
    return weight.reshape(len(weight), channels, patch, patch) / patch**2


@kernels.misconception("makes up filters",
    "Where the columns do not fit, your `-1` makes up another number of filters in "
    "silence. Compare the columns with C·P·P first, and raise a ValueError.")
def _(weight, channels, patch):
    return weight.reshape(-1, channels, patch, patch)


@kernels.misconception("refuses too late",
    "The weights are right. But where the columns do not fit, it is torch that stumbles, "
    "with a RuntimeError about shapes. Look first, and raise a ValueError that says what is wrong.")
def _(weight, channels, patch):
    return weight.reshape(len(weight), channels, patch, patch)


@kernels.misconception("any multiple of the columns",
    "Your test lets twice as many columns as C·P·P pass. The two numbers have to be equal.")
def _(weight, channels, patch):
    if weight.shape[1] % (channels * patch**2):
        raise ValueError("another number of columns")
    return weight.reshape(-1, channels, patch, patch)


@kernels.misconception("compares the rows",
    "You compare the rows of E with C·P·P. Rows are filters, as many as you like; what has to fit is the number of "
    "columns, `weight.shape[1]`.")
def _(weight, channels, patch):
    if len(weight) != channels * patch**2:
        raise ValueError("another number of columns")
    return weight.reshape(-1, channels, patch, patch)


@kernels.misconception("refuses P times C only",
    "You refuse P·C columns, and nothing else. P·C was an example: any number of columns other than C·P·P is wrong. "
    "And where P = 1, P·C columns are right.")
def _(weight, channels, patch):
    if weight.shape[1] == channels * patch:
        raise ValueError("another number of columns")
    return weight.reshape(-1, channels, patch, patch)


@kernels.misconception("expects P times C", "You compare the columns with P·C. A filter has P²·C weights.")
def _(weight, channels, patch):
    if weight.shape[1] != channels * patch:
        raise ValueError("another number of columns")
    return weight.reshape(-1, channels, patch, patch)


conv_output = Numeric(
    "conv-output", title="What the convolution gives", points=1, difficulty=2, minutes=2,
    parameters=dict(height=480, width=640, patch=16, filters=192),
    parameter_values=dict(height=range(288, 673, 32), width=range(448, 961, 64), patch=(16, 32), filters=(192, 384)),
    valid_if=lambda height, width, patch, filters: 1.3 < width / height < 1.9,
    prompt="A convolution with {filters} filters, kernel size {patch} and stride {patch} runs over one colour picture "
    "of {height} × {width} pixels (height × width). How many numbers does it give in all?",
    answer=lambda height, width, patch, filters: filters * (height // patch) * (width // patch),
    misconceptions=[
        Misconception("one number a patch", lambda height, width, patch, filters: (height // patch) * (width // patch),
            "That is how many places the filters visit. At each of them every filter gives a number."),
        Misconception("slid by one pixel", lambda height, width, patch, filters:
            filters * (height - patch + 1) * (width - patch + 1),
            "You let the filters move on by one pixel. With stride {patch} they jump by {patch}."),
        Misconception("kept the size", lambda height, width, patch, filters: filters * height * width,
            "That is one number per pixel and filter. With stride {patch} there is one per patch and filter."),
        Misconception("kept the channels", lambda height, width, patch, filters:
            filters * (height // patch) * (width // patch) * 3,
            "You kept the three colours apart. A filter covers all channels and adds everything up to one number."),
        Misconception("divided once", lambda height, width, patch, filters: filters * height * width // patch,
            "You divided by the stride once. It divides the height, and it divides the width."),
        Misconception("counted CLS", lambda height, width, patch, filters:
            filters * ((height // patch) * (width // patch) + 1),
            "You counted a CLS token. A convolution gives none."),
        Misconception("the weights", lambda height, width, patch, filters: filters * patch**2 * 3,
            "Those are the weights of the filters. The question is how many numbers come out."),
        Misconception("the pixels", lambda height, width, patch, filters: 3 * height * width,
            "Those are the numbers that go in."),
    ],
    hints=["How many places does a filter visit? It starts at the top left and jumps by {patch} pixels each time.",
           "Places · filters. In letters: N · D."],
    why=lambda height, width, patch, filters: f"{height // patch} · {width // patch} = "
    f"{(height // patch) * (width // patch)} places, and {filters} numbers at each: "
    f"{filters * (height // patch) * (width // patch):,}.",
)

half_stride = Choice(
    "half-stride", title="Half the stride", points=1, difficulty=2, minutes=2,
    prompt="Somebody keeps the kernel size at 16 and sets the **stride to 8**. What changes?",
    options={
        "Nothing but the speed: the same tokens, computed more carefully.":
            "Count the places of the kernel along an edge of 64 pixels, with stride 16, then with stride 8.",
        "There are more tokens, of patches that overlap. E keeps its shape.": None,
        "There are more tokens, and E gets more columns.":
            "More tokens, yes. But the columns of E are the numbers under the kernel, and the kernel stayed as it was.",
        "There are fewer tokens: the smaller stride reaches only half the picture.":
            "A smaller stride means shorter steps. How many steps does it take to cross the picture?",
    },
    hints=["The kernel size says how large a patch is. The stride says how far it is to the next."],
    why="Kernel size 16 still means 16²·C weights per filter. Steps of 8 pixels make nearly twice as many places along "
    "each side, and neighbouring patches share half of their pixels. Some models do that on purpose.",
)

# ── 2.5 · What D numbers can keep ──────────────────────────────────────────────────────────────────────────────────

kept_share = Numeric(
    "kept-share", title="How much is kept", points=1, difficulty=2, minutes=3,
    parameters=dict(first=110, second=50, third=30, fourth=10),
    parameter_values=dict(first=range(70, 311, 20), second=(40, 50, 60), third=(20, 25, 30)),
    prompt="PCA finds four directions in some patches of 2 × 2 grey pixels. The variances along them are {first}, "
    "{second}, {third} and {fourth}. How many **per cent** of the variance do tokens of D = 2 numbers keep?",
    answer=lambda first, second, third, fourth: 100 * (first + second) / (first + second + third + fourth),
    decimals=1,
    misconceptions=[
        Misconception("a share, not per cent",
            lambda first, second, third, fourth: (first + second) / (first + second + third + fourth),
            "That is the share, a number from 0 to 1. In per cent it is a hundred times as much."),
        Misconception("one direction",
            lambda first, second, third, fourth: 100 * first / (first + second + third + fourth),
            "That is kept with D = 1. Two numbers per token keep two directions."),
        Misconception("what is lost", lambda first, second, third, fourth:
            100 * (third + fourth) / (first + second + third + fourth),
            "That is what gets lost. The question is what is kept."),
        Misconception("counted directions",
            50, "Two of four directions are half of the directions. But they do not hold equally "
            "much: compare variances."),
        Misconception("a sum, no share", lambda first, second, third, fourth: first + second,
            "That is the variance that is kept. Divide it by all of it."),
        Misconception("against the rest",
            lambda first, second, third, fourth: 100 * (third + fourth) / (first + second),
            "You divided what is lost by what is kept. The share is taken of the whole."),
        Misconception("the last two", lambda first, second, third, fourth: 100 * (second + third) / (
            first + second + third + fourth), "You skipped the strongest direction. PCA keeps the strongest first."),
    ],
    hints=["Which two directions does PCA keep?", "Their variances, divided by the sum of all four, times 100."],
    why=lambda first, second, third, fourth: f"({first} + {second}) / {first + second + third + fourth} = "
    f"{(first + second) / (first + second + third + fourth):.1%}.",
)


def reconstruct(tokens: torch.Tensor, basis: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """x̂ = Eᵀ z + mean for every token: tokens [B, N, D] become flattened patches [B, N, L] again.

    `basis` is E, [D, L]: its rows have length 1 and stand at right angles. `mean` is the mean patch, [L].

    >>> basis = torch.tensor([[0.6, 0.8]])
    >>> reconstruct(torch.tensor([[[10.0], [5.0]]]), basis, torch.tensor([1.0, 2.0]))
    tensor([[[ 7., 10.],
             [ 4.,  6.]]])
    """
    return tokens @ basis + mean  # B N D · D L → B N L, and the mean patch for every token


# Four directions at right angles in patches of four numbers: mean, left-right, top-bottom, crosswise
HADAMARD = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
# Three at right angles in patches of twelve numbers (2 × 2 pixels, three channels): one for each colour's brightness
COLOURS = torch.eye(3).repeat_interleave(4, dim=1) / 2

rebuild = Code(
    "reconstruct", title="Your own reconstruct", points=3, difficulty=2, minutes=8,
    prompt="The way back, for a basis whose rows have length 1 and stand at right angles, as those of PCA do: each of "
    "the D numbers says how much of its filter is in the patch. Add up the filters with these weights, and the mean "
    "patch.",
    reference=reconstruct,
    examples=[
        (torch.tensor([[[10.0], [5.0]]]), torch.tensor([[0.6, 0.8]]), torch.tensor([1.0, 2.0])),
        (numbers(1, 3, 2), HADAMARD[:2], torch.zeros(4)),
        (numbers(2, 2, 3), HADAMARD[:3], numbers(4)),
        (numbers(1, 2, 4), HADAMARD, numbers(4, start=2)),
    ],
    checks={
        "one picture": [
            (numbers(1, 5, 2, start=1), HADAMARD[:2], numbers(4, start=3)),
            (numbers(1, 4, 3, start=5), COLOURS, numbers(12, start=1)),
        ],
        "a batch": lambda dice: [
            (numbers(dice.randint(2, 4), dice.randint(2, 6), count, start=4), HADAMARD[:count], numbers(4, start=7))
            for count in (1, 2, 3)
        ] + [(numbers(3, 2, 3, start=9), COLOURS, numbers(12, start=6))],
        # a turned basis raises no error here: the shapes fit, and only the numbers tell
        "all directions": [(numbers(2, 3, 4, start=6), HADAMARD[[0, 2, 3, 1]], numbers(4, start=8))],
    },
    hints=[
        "For one token it is `z[0] * basis[0] + z[1] * basis[1] + … + mean`. Which matrix product is that?",
        "The D numbers of a token stand in the last axis of `tokens`, and the first axis of `basis` counts the D "
        "filters. So this time nothing is transposed.",
        "The examples pass but grading finds a mistake? Try two pictures at once, and a mean patch that is not 0.",
    ],
    why="A weighted sum of filters for each token, plus the mean patch: Eᵀ z + mean.",
)


@rebuild.alternative
def _(tokens, basis, mean):
    return torch.einsum("bnd,dl->bnl", tokens, basis) + mean


@rebuild.alternative
def _(tokens, basis, mean):
    patches = mean.expand(*tokens.shape[:2], -1).clone()
    for number, direction in enumerate(basis):
        patches += tokens[:, :, number, None] * direction
    return patches


@rebuild.alternative
def _(tokens, basis, mean):
    return torch.nn.functional.linear(tokens, torch.linalg.pinv(basis), mean)


@rebuild.misconception("forgot to return",
    "Your function always gives back None. Hand the patches to the caller with `return`.")
def _(tokens, basis, mean):
    return None


@rebuild.misconception("forgot the mean",
    "The weighted sum of filters is right. The mean patch is missing: add it to every "
    "patch.")
def _(tokens, basis, mean):
    return tokens @ basis


@rebuild.misconception("took the mean away",
    "The mean patch was subtracted on the way there. On the way back it is added.")
def _(tokens, basis, mean):
    return tokens @ basis - mean


@rebuild.misconception("basis transposed",
    "`tokens @ basis.T` is the way there. The way back sums over the D filters, the first "
    "axis of the basis: use it as it is. Where D = L the transposed one raises no error, and is wrong all the "
    "same.")
def _(tokens, basis, mean):
    return tokens @ basis.T + mean


@rebuild.misconception("basis on the left",
    "torch cannot multiply the two like this. Eᵀ z is for one token, written as a column. In `tokens` every token is "
    "a row: `tokens` stands on the left, and the basis, as it is, on the right.")
def _(tokens, basis, mean):
    return basis.T @ tokens + mean


@rebuild.misconception("mean before the product",
    "You add the mean patch to the tokens, before the product. It is a patch, of L numbers: it is added last, to "
    "patches.")
def _(tokens, basis, mean):
    return (tokens + mean) @ basis


@rebuild.misconception("one number for the mean patch",
    "You add the same number everywhere, the mean of the mean patch. Every pixel has a mean of its own: add the whole "
    "vector `mean`.")
def _(tokens, basis, mean):
    return tokens @ basis + mean.mean()


@rebuild.misconception("first picture, without its axis",
    "You rebuild the first picture only, and its batch axis is gone. Leave `tokens` whole: `@` goes through the batch "
    "by itself, and gives [B, N, L].")
def _(tokens, basis, mean):
    return tokens[0] @ basis + mean


@rebuild.misconception("first picture only", "Only the first picture comes back. Keep the batch axis: [B, N, L].")
def _(tokens, basis, mean):
    return tokens[:1] @ basis + mean


@rebuild.misconception("batch axis lost",
    "All patches of all pictures come in one list, [B·N, L]. Keep the pictures apart: "
    "[B, N, L].")
def _(tokens, basis, mean):
    return tokens.flatten(0, 1) @ basis + mean


@rebuild.misconception("axes exchanged",
    "The numbers are right, but they come as [B, L, N]. A patch is a row: [B, N, L].")
def _(tokens, basis, mean):
    return (tokens @ basis + mean).transpose(1, 2)


@rebuild.misconception("first filter only", "You use the first filter only. Each of the D numbers has one.")
def _(tokens, basis, mean):
    return tokens[..., :1] @ basis[:1] + mean


@rebuild.misconception("last filter left out", "The last filter is left out. All D of them count.")
def _(tokens, basis, mean):
    return tokens[..., :-1] @ basis[:-1] + mean


@rebuild.misconception("averaged the filters",
    "You divide the sum by D. It is a sum, not a mean: each number already says how "
    "much of its filter is in the patch.")
def _(tokens, basis, mean):
    return tokens @ basis / len(basis) + mean


@rebuild.misconception("cut off what is negative",
    "Where a patch should be negative, yours is 0. Leave the numbers as they "
    "come.")
def _(tokens, basis, mean):
    return (tokens @ basis + mean).clamp(min=0)


@rebuild.misconception("clamped to 0…1",
    "Your numbers are forced between 0 and 1. That is for showing a picture: leave the "
    "numbers as they come.")
def _(tokens, basis, mean):
    return (tokens @ basis + mean).clamp(0, 1)


@rebuild.misconception("mean for the first patch only",
    "Only the first patch of each picture gets the mean patch. Every patch "
    "does.")
def _(tokens, basis, mean):
    result = tokens @ basis
    return torch.cat([result[:, :1] + mean, result[:, 1:]], dim=1)


@rebuild.misconception("the tokens' own mean",
    "You add the mean of what you rebuilt. The mean patch is the argument `mean`: it "
    "was taken from the patches, before they became tokens.")
def _(tokens, basis, mean):
    result = tokens @ basis
    return result + result.mean(dim=(0, 1))


must_lose = TrueFalse(
    "must-lose", title="Fewer numbers than pixels", points=1, difficulty=2, minutes=2,
    prompt="“If D is smaller than P²·C, then there are different patches that get the same token, whatever E is.”",
    answer=True,
    misconception="Think of E as D equations for P²·C unknown numbers. Can fewer equations than unknowns have only one "
    "solution?",
    hints=["Take patches of two numbers and tokens of one: z = 3·x₁ + 5·x₂. Find a second patch with the same z as "
           "x = (0, 0).",
           "Add to a patch something that E maps to 0. What happens to its token?"],
    why="True. With fewer rows than columns, E maps some direction v ≠ 0 to 0, so x and x + v get the same token. "
    "The hope is that such a v hardly ever occurs in pictures. PCA picks E so that little is lost.",
)
