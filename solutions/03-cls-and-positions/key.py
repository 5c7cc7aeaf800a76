"""Chapter 3's key: every exercise with its answer, the misconceptions that learners have, and the words that help."""

import math

import torch

from autograde.exercises import Choice, Code, Misconception, Numeric, TrueFalse

# ── 3.1 · One token more ───────────────────────────────────────────────────────────────────────────────────────────

row_length = Numeric(
    "row-length", title="The sequence that the encoder reads", points=1, difficulty=1, minutes=2,
    parameters=dict(side=384, patch=16),
    parameter_values=dict(side=range(112, 673, 2), patch=(14, 16, 32)),
    valid_if=lambda side, patch: side % patch == 0 and 6 <= side // patch <= 40,
    prompt="Pictures of {side} × {side} pixels are cut into patches of {patch} × {patch} pixels, and a CLS token is "
    "put in front. How long is the sequence that the encoder reads, in tokens?",
    answer=lambda side, patch: (side // patch) ** 2 + 1, unit="tokens",
    misconceptions=[
        Misconception("forgot CLS", lambda side, patch: (side // patch) ** 2,
            "Those are the patch tokens, N. This time CLS counts: it is in the sequence that the encoder reads."),
        Misconception("one CLS per row", lambda side, patch: (side // patch) ** 2 + side // patch,
            "You counted one CLS for each row of the grid. There is one for the whole picture."),
        Misconception("grew the grid", lambda side, patch: (side // patch + 1) ** 2,
            "You added 1 before squaring: that is a grid with one more row and one more column. Count the grid "
            "first, then add CLS."),
        Misconception("only one side", lambda side, patch: side // patch,
            "That is how many patches lie along one side. How many lie in the whole grid?"),
        Misconception("only one side, and CLS", lambda side, patch: side // patch + 1,
            "You counted the patches along one side. The grid has rows and columns."),
        Misconception("divided once", lambda side, patch: side * side // patch + 1,
            "You divided the pixels by {patch} once. A patch has {patch} × {patch} of them."),
        Misconception("one at each end", lambda side, patch: (side // patch) ** 2 + 2,
            "One too many: CLS stands at the front of the sequence, and nothing stands at its end."),
    ],
    hints=["First N, as in chapter 1: rows times columns.", "CLS is not cut from the picture. Add it: N + 1."],
    why=lambda side, patch: f"{side} / {patch} = {side // patch} patches a side, {side // patch}² = "
    f"{(side // patch) ** 2} patches, and one CLS: {(side // patch) ** 2 + 1}.",
)

one_cls = TrueFalse(
    "one-cls", title="A batch of CLS tokens", points=1, difficulty=1, minutes=1,
    prompt="“A batch holds 32 pictures. So CLS starts out as **32 different vectors**, one made from each picture.”",
    answer=False,
    misconception="No pixel flows into CLS before the encoder. What, then, could make one copy differ from another?",
    hints=["Look at the line that builds the sequence: what is CLS made from?"],
    why="It is one learned vector, repeated for every picture. Only in the encoder do the copies become different, "
    "because each meets the patches of its own picture.",
)


def prepend_cls(tokens: torch.Tensor, cls: torch.Tensor) -> torch.Tensor:
    """Put the CLS vector [D] in front of the tokens [B, N, D] of every picture: [B, N + 1, D].

    >>> prepend_cls(torch.zeros(2, 3, 4), torch.ones(4))[1, :, 0].tolist()
    [1.0, 0.0, 0.0, 0.0]
    """
    batch, _, width = tokens.shape
    front = cls.expand(batch, 1, width)  # D → B 1 D
    return torch.cat([front, tokens], dim=1)


def row(batch: int, count: int, width: int) -> torch.Tensor:
    """Tokens of which no two numbers are equal, none is one of `vector`'s, and a rounded one is wrong."""
    return (torch.arange(batch * count * width) - 2.5).reshape(batch, count, width)


def vector(width: int) -> torch.Tensor:
    return -torch.arange(1.0, 1 + width)


prepend = Code(
    "prepend-cls", title="Your own prepend_cls", points=3, difficulty=2, minutes=8, tolerance=0,
    prompt="Write the step for a whole batch. The vector `cls` has $D$ numbers and no batch axis.",
    reference=prepend_cls,
    examples=[(row(1, 3, 2), vector(2)), (row(2, 2, 3), vector(3)), (row(3, 1, 2), vector(2))],
    checks={
        "one picture": [(row(1, 4, 3), vector(3)), (row(1, 1, 5), vector(5))],
        "a batch": [(row(2, 3, 4), vector(4)), (row(4, 2, 2), vector(2)), (row(3, 3, 3), vector(3))],
        "as many pictures as tokens": [(row(2, 2, 2), vector(2)), (row(4, 4, 3), vector(3))],
    },
    hints=[
        "`torch.cat([first, second], dim=…)` joins tensors along one axis. Which of B, N and D grows by one?",
        "For `torch.cat`, the other axes must agree. So CLS needs the shape (B, 1, D).",
        "`cls.expand(batch, 1, width)` shows the same D numbers to every picture, and copies nothing.",
        "The examples pass but grading finds a mistake? Try four pictures of two tokens, and one picture of one token.",
    ],
    why="CLS is shown to every picture as (B, 1, D), and the sequence grows along the axis of the tokens.",
)


@prepend.alternative
def _(tokens, cls):
    B, N, d = tokens.shape
    longer = tokens.new_empty(B, N + 1, d)
    longer[:, 0] = cls
    longer[:, 1:] = tokens
    return longer


@prepend.alternative
def _(tokens, cls):
    return torch.stack([torch.vstack([cls, picture]) for picture in tokens])


@prepend.alternative
def _(tokens, cls):
    return torch.cat([cls.reshape(1, 1, -1).repeat(len(tokens), 1, 1), tokens], 1)


@prepend.misconception("forgot to return", "Your function always gives back None. End it with `return`.")
def _(tokens, cls):
    return None


@prepend.misconception("at the end",
    "You put CLS behind the patches. It belongs in front, at position 0: there the head will look "
    "for it.")
def _(tokens, cls):
    return torch.cat([tokens, cls.expand(len(tokens), 1, -1)], dim=1)


@prepend.misconception("one picture only",
    "Right for one picture. With more, your CLS has a batch axis of 1, and `torch.cat` "
    "stops. Repeat it for every picture with `expand`.")
def _(tokens, cls):
    return torch.cat([cls[None, None], tokens], dim=1)


@prepend.misconception("axes that cannot be joined",
    "torch cannot join the two. `torch.cat` wants tensors with the same number of axes, and of the same size along "
    "all but the one that grows. `tokens` is (B, N, D): give CLS the shape (B, 1, D), and join along dim=1.")
def _(tokens, cls):
    return torch.cat([cls, tokens])


@prepend.misconception("first picture, without its axis",
    "Only the first picture comes back, and its batch axis is gone. Join whole batches: (B, 1, D) and (B, N, D).")
def _(tokens, cls):
    return torch.cat([cls[None], tokens[0]])


@prepend.misconception("along the batch",
    "CLS has the right shape, (B, 1, D). But you join along dim=0, the batch. The axis of the tokens is dim=1.")
def _(tokens, cls):
    return torch.cat([cls.expand(len(tokens), 1, -1), tokens], dim=0)


@prepend.misconception("along the numbers",
    "CLS has the right shape, (B, 1, D). But you join along dim=2, the numbers of a token. The axis of the tokens is "
    "dim=1.")
def _(tokens, cls):
    return torch.cat([cls.expand(len(tokens), 1, -1), tokens], dim=2)


@prepend.misconception("as a picture",
    "You joined along the batch axis: CLS has become a picture of its own. The axis of the "
    "tokens is 1.")
def _(tokens, cls):
    return torch.cat([cls.expand(1, tokens.shape[1], -1), tokens], dim=0)


@prepend.misconception("into every token",
    "You joined along the last axis: every token became twice as long. The sequence should "
    "get longer, not its tokens.")
def _(tokens, cls):
    return torch.cat([cls.expand_as(tokens), tokens], dim=2)


@prepend.misconception("added", "You added CLS to every token. It is a token of its own: the sequence gets longer by "
    "one.")
def _(tokens, cls):
    return tokens + cls


@prepend.misconception("in place of the first patch",
    "You overwrote the first patch. No patch may be lost: the sequence gets "
    "longer by one.")
def _(tokens, cls):
    replaced = tokens.clone()
    replaced[:, 0] = cls
    return replaced


@prepend.misconception("zeros", "You put zeros in front. The first token must be the vector `cls`.")
def _(tokens, cls):
    return torch.nn.functional.pad(tokens, (0, 0, 1, 0))


@prepend.misconception("the mean",
    "You put the mean of the patches in front. CLS is a vector of its own, the argument `cls`.")
def _(tokens, cls):
    return torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1)


@prepend.misconception("for the first picture only",
    "Only your first picture gets CLS, the others get zeros. Every picture has "
    "its own copy.")
def _(tokens, cls):
    longer = torch.nn.functional.pad(tokens, (0, 0, 1, 0))
    longer[0, 0] = cls
    return longer


@prepend.misconception("one for every patch",
    "You put as many CLS tokens in front as there are patches. One is enough.")
def _(tokens, cls):
    return torch.cat([cls.expand_as(tokens), tokens], dim=1)


@prepend.misconception("one for every picture, in every row",
    "You put B copies of CLS into every sequence. Each picture gets one: "
    "the B belongs to the batch axis.")
def _(tokens, cls):
    batch = len(tokens)
    return torch.cat([cls.expand(batch, batch, -1), tokens], dim=1)


@prepend.misconception("at both ends", "You put CLS in front and at the end. It belongs in front only.")
def _(tokens, cls):
    front = cls.expand(len(tokens), 1, -1)
    return torch.cat([front, tokens, front], dim=1)


# ── 3.2 · Attention does not know the order ────────────────────────────────────────────────────────────────────────

orders_alike = Numeric(
    "orders-alike", title="How many pictures look the same?", points=1, difficulty=2, minutes=3,
    parameters=dict(rows=2, columns=3),
    prompt="A picture has {rows} rows and {columns} columns of patches, and no two patches are equal. Lay the patches "
    "in any order. How many different pictures can you lay, the original one included, that a model **without "
    "positions** cannot tell from one another?",
    answer=lambda rows, columns: math.factorial(rows * columns), unit="pictures",
    misconceptions=[
        Misconception("counted the patches", lambda rows, columns: rows * columns,
            "That is the number of patches. In how many orders can they lie?"),
        Misconception("squared", lambda rows, columns: (rows * columns) ** 2,
            "Once a patch has a place, the place is taken: there is one choice fewer for the next patch."),
        Misconception("every patch again", lambda rows, columns: (rows * columns) ** (rows * columns),
            "You let every place choose from all the patches again. A patch that is laid is gone."),
        Misconception("powers of two", lambda rows, columns: 2 ** (rows * columns),
            "That is how many subsets the patches have. All patches are laid every time; only the order changes."),
        Misconception("counted CLS", lambda rows, columns: math.factorial(rows * columns + 1),
            "You let CLS move as well. It stays in front: only patches change places."),
        Misconception("left out the original", lambda rows, columns: math.factorial(rows * columns) - 1,
            "One too few: the original counts, too."),
        Misconception("only swaps", lambda rows, columns: math.comb(rows * columns, 2),
            "That is the number of swaps of two patches. You may lay them in *any* order."),
        Misconception("rows and columns apart", lambda rows, columns: math.factorial(rows) * math.factorial(columns),
            "You only swapped whole rows and whole columns. Every patch may go anywhere."),
    ],
    hints=["How many patches can go to the first place? How many are left for the second?",
           "Multiply the choices, from the first place to the last. In Python: `math.factorial`."],
    why="Six patches for the first place, five for the second, and so on: 6! = 720 pictures, and such a model cannot "
    "tell them apart.",
)

swapped_logits = Choice(
    "swapped-logits", title="Two patches change places", points=1, difficulty=2, minutes=2,
    prompt="A model has **no position embeddings**, and its head reads CLS. In the picture, the patch with the cat's "
    "ear and the patch with its tail change places. What happens to the logits (the scores of the classes)?",
    options={
        "Two of them change places, too.":
            "It is the outputs of the two *patches* that change places. A logit belongs to a class, not to a position "
            "in the sequence.",
        "They change a little, since only two of many tokens moved.":
            "CLS weighs the same patches by the same weights. Whether one comes sooner or later in the sequence does "
            "not enter the formula.",
        "They stay as they were: CLS itself has not moved, and reads the same patches.": None,
        "They cannot be computed: the patches lie where the model does not expect them.":
            "A model without position embeddings expects nothing at a position. It computes as always.",
    },
    hints=["In the proof, Π moves the outputs as it moves the inputs. Where does Π move CLS?"],
    why="Π leaves CLS where it is. Its output is the same vector as before, and so are the logits that the head makes "
    "of it.",
)

# ── 3.3 · Every token gets its position ───────────────────────────────────────────────────────────────────────────────

position_numbers = Numeric(
    "position-numbers", title="What position embeddings cost", points=1, difficulty=1, minutes=2,
    parameters=dict(side=224, patch=16, width=384),
    parameter_values=dict(side=range(112, 673, 16), patch=(14, 16), width=(192, 384, 512)),
    valid_if=lambda side, patch, width: side % patch == 0,
    prompt="A ViT for pictures of {side} × {side} pixels has patches of {patch} × {patch}, a CLS token, and an "
    "embedding dimension of {width}. How many **parameters** are its position embeddings?",
    answer=lambda side, patch, width: ((side // patch) ** 2 + 1) * width, unit="parameters",
    misconceptions=[
        Misconception("forgot CLS", lambda side, patch, width: (side // patch) ** 2 * width,
            "You have a row for every patch. CLS gets one as well."),
        Misconception("counted the rows", lambda side, patch, width: (side // patch) ** 2 + 1,
            "That is the number of rows in the table. How many numbers are in each?"),
        Misconception("one number for CLS", lambda side, patch, width: (side // patch) ** 2 * width + 1,
            "CLS's position embedding is as long as any other: {width} numbers, not one."),
        Misconception("as long as a patch", lambda side, patch, width: ((side // patch) ** 2 + 1) * patch**2 * 3,
            "You made a position embedding as long as a flattened patch. It is added *after* the patch embedding, to "
            "a token of {width} numbers."),
        Misconception("one for all", lambda side, patch, width: width,
            "That is one position embedding. Every token has one of its own."),
        Misconception("only one side", lambda side, patch, width: (side // patch + 1) * width,
            "You took the patches along one side. The grid has rows and columns."),
    ],
    hints=["The table has one row for every token. How long is the sequence?",
           "Each position embedding is as long as the token that it is added to."],
    why=lambda side, patch, width: f"{(side // patch) ** 2} + 1 rows of {width} numbers: "
    f"{(side // patch) ** 2 + 1} · {width} = {((side // patch) ** 2 + 1) * width:,}.",
)


def add_positions(tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Add to every token, CLS included, its position embedding: tokens [B, N + 1, D] + positions [N + 1, D].

    >>> add_positions(torch.zeros(2, 3, 1), torch.tensor([[5.0], [6.0], [7.0]]))[1].flatten().tolist()
    [5.0, 6.0, 7.0]

    Raises ValueError where `positions` is not of shape (N + 1, D), even where torch would add it.
    """
    if positions.shape != tokens.shape[1:]:
        raise ValueError(f"positions are {tuple(positions.shape)}: expected {tuple(tokens.shape[1:])}, as the tokens")
    return tokens + positions


def table(count: int, width: int) -> torch.Tensor:
    """Positions of which no two are equal, negative ones among them, as among learned ones."""
    return 1000 * (torch.arange(count * width) - 1.5).reshape(count, width)


place = Code(
    "add-positions", title="Your own add_positions", points=4, difficulty=2, minutes=8, tolerance=0,
    prompt="Write the step, and make it strict. `positions`, the table $E_\\text{pos}$, must have exactly one row for "
    "every token, CLS included, and rows as long as a token. For any other shape, raise a `ValueError`.",
    reference=add_positions,
    examples=[
        (row(1, 2, 3), table(2, 3)),
        (row(2, 3, 2), table(3, 2)),
        (row(2, 3, 2), table(1, 2)),
        (row(2, 3, 2), table(2, 2)),
        (row(2, 3, 2), table(4, 2)),
        (row(2, 3, 2), table(3, 1)),
        (row(2, 3, 2), table(2, 3)),
    ],
    checks={
        "one picture": [(row(1, 4, 3), table(4, 3)), (row(1, 2, 5), table(2, 5))],
        "a batch": [(row(2, 3, 4), table(3, 4)), (row(4, 2, 3), table(2, 3)), (row(3, 3, 3), table(3, 3)),
                    (row(4, 3, 2), table(3, 2))],
        "refuses another number of rows": [
            (row(2, 4, 3), table(1, 3)), (row(2, 4, 3), table(3, 3)), (row(2, 4, 3), table(5, 3)),
        ],
        "refuses another width": [(row(2, 4, 3), table(4, 1)), (row(2, 4, 3), table(4, 2))],
        "refuses as many numbers in another shape": [(row(2, 4, 3), table(3, 4)), (row(1, 4, 2), table(2, 4))],
    },
    hints=[
        "torch adds (N + 1, D) to (B, N + 1, D) by itself: the same table for every picture.",
        "First the test: `positions.shape` against `tokens.shape[1:]`. Then the sum.",
        "The examples pass but grading finds a mistake? Try positions of a single row, of one row too many, and with "
        "rows of a single number. torch adds some of these without complaint.",
    ],
    why="A sum, and before it the one test that refuses a table of the wrong shape.",
)


@place.alternative
def _(tokens, positions):
    if tuple(positions.shape) != (tokens.size(1), tokens.size(2)):
        raise ValueError("positions do not fit the tokens")
    return torch.stack([picture + positions for picture in tokens])


@place.alternative
def _(tokens, positions):
    if positions.shape[0] != tokens.shape[1] or positions.shape[1] != tokens.shape[2]:
        raise ValueError("positions do not fit the tokens")
    return positions[None].expand_as(tokens) + tokens


def fits(tokens, positions):
    """What most slips below get right."""
    if positions.shape != tokens.shape[1:]:
        raise ValueError("positions do not fit the tokens")


@place.misconception("forgot to return", "Your function gives back None where the shapes fit. End it with `return`.")
def _(tokens, positions):
    fits(tokens, positions)


@place.misconception("never refuses",
    "The sums are right. But torch stretches a table of one row, or of one column, "
    "without complaint, and then all tokens get the same. Compare the shapes first, and raise a ValueError.")
def _(tokens, positions):
    return tokens + positions


@place.misconception("compares with the batch",
    "You refuse a table that fits. `tokens` is (B, N + 1, D), CLS included, and `positions` is (N + 1, D): compare its "
    "shape with `tokens.shape[1:]`, without the batch axis, and add no 1.")
def _(tokens, positions):
    if positions.shape != tokens.shape:
        raise ValueError("positions do not fit the tokens")
    return tokens + positions


@place.misconception("one shape for ever",
    "You take a table of 3 × 2 only. How many rows are right, and how long, the tokens say: `tokens.shape[1:]`.")
def _(tokens, positions):
    if positions.shape != (3, 2):
        raise ValueError("positions do not fit the tokens")
    return tokens + positions


@place.misconception("waits for torch to complain",
    "You leave the test to torch, and it complains too rarely: it stretches a table of one row, or of one column. "
    "Compare the shapes yourself, before the sum.")
def _(tokens, positions):
    try:
        return tokens + positions
    except RuntimeError:
        raise ValueError("positions do not fit the tokens") from None


@place.misconception("refuses only what is wrong twice",
    "You refuse a table only where the number of rows *and* their length are wrong. One of the two is enough: `or`, "
    "not `and`.")
def _(tokens, positions):
    if len(positions) != tokens.shape[1] and positions.shape[1] != tokens.shape[2]:
        raise ValueError("positions do not fit the tokens")
    return tokens + positions


@place.misconception("looks at the length of the rows only",
    "You check the length of the rows only. A table of a single row passes unnoticed, and torch stretches it. Compare "
    "the number of rows, too.")
def _(tokens, positions):
    if positions.shape[1] != tokens.shape[2]:
        raise ValueError("positions do not fit the tokens")
    return tokens + positions


@place.misconception("first picture, without its axis",
    "Only the first picture comes back, and its batch axis is gone. torch adds the table to every picture by itself.")
def _(tokens, positions):
    fits(tokens, positions)
    return tokens[0] + positions


@place.misconception("counts the numbers",
    "You compare how many numbers there are. A table of 2 × 3 has as many as one of 3 × 2, and its rows belong to "
    "other places. Compare the shapes.")
def _(tokens, positions):
    if positions.numel() != tokens[0].numel():
        raise ValueError("another number of positions")
    return tokens + positions.reshape(tokens.shape[1:])


@place.misconception("looks at the rows only",
    "You check the number of rows only. Rows of a single number pass unnoticed, "
    "and torch stretches them. Compare the length of the rows, too.")
def _(tokens, positions):
    if len(positions) != tokens.shape[1]:
        raise ValueError("not one position for every token")
    return tokens + positions


@place.misconception("cuts what is too long",
    "A table with too many rows passes: you take the first ones. It belongs to "
    "another grid: refuse it.")
def _(tokens, positions):
    if len(positions) < tokens.shape[1] or positions.shape[1] != tokens.shape[2]:
        raise ValueError("positions are missing")
    return tokens + positions[: tokens.shape[1]]


@place.misconception("asserts", "You refuse at the right places, but with an AssertionError. The exercise wants `raise "
    "ValueError(…)`, which callers can catch and Python never skips.")
def _(tokens, positions):
    assert positions.shape == tokens.shape[1:]
    return tokens + positions


@place.misconception("CLS goes without",
    "Your patches are right, but CLS gets no position embedding: a common mistake. All N + 1 "
    "tokens get one.")
def _(tokens, positions):
    fits(tokens, positions)
    return torch.cat([tokens[:, :1], tokens[:, 1:] + positions[1:]], dim=1)


@place.misconception("shifted by one",
    "Your patches get the position embedding of the token before them: the first patch has CLS's row. "
    "Row 0 is CLS's, row 1 is patch 1's.")
def _(tokens, positions):
    fits(tokens, positions)
    return torch.cat([tokens[:, :1], tokens[:, 1:] + positions[:-1]], dim=1)


@place.misconception("one row for all",
    "Every token gets the first row. Then no token differs from another by its position.")
def _(tokens, positions):
    fits(tokens, positions)
    return tokens + positions[0]


@place.misconception("the mean for all",
    "You add the mean of all position embeddings to every token: the positions are averaged away.")
def _(tokens, positions):
    fits(tokens, positions)
    return tokens + positions.mean(dim=0)


@place.misconception("by picture",
    "You go through the table by *picture*: the first picture gets row 0, the second row 1. A "
    "position belongs to a token of the sequence.")
def _(tokens, positions):
    fits(tokens, positions)
    rows = [positions[i % len(positions)] for i in range(len(tokens))]
    return tokens + torch.stack(rows)[:, None]


@place.misconception("the first picture only", "Only your first picture gets position embeddings. They are the same "
    "for all.")
def _(tokens, positions):
    fits(tokens, positions)
    return torch.cat([tokens[:1] + positions, tokens[1:]])


@place.misconception("multiplied", "You multiply by the position embeddings. They are added.")
def _(tokens, positions):
    fits(tokens, positions)
    return tokens * positions


@place.misconception("subtracted", "You subtract the position embeddings. They are added.")
def _(tokens, positions):
    fits(tokens, positions)
    return tokens - positions


@place.misconception("side by side",
    "You put the position embeddings behind the tokens' numbers, so that tokens are twice as "
    "long. They are added: D stays D.")
def _(tokens, positions):
    fits(tokens, positions)
    return torch.cat([tokens, positions.expand_as(tokens)], dim=2)


@place.misconception("positions only", "You return the position embeddings and drop the tokens. Add the two.")
def _(tokens, positions):
    fits(tokens, positions)
    return positions.expand_as(tokens).clone()


shuffled_after = TrueFalse(
    "shuffled-after", title="Shuffled too late", points=1, difficulty=3, minutes=2,
    prompt="A model **with** position embeddings has just built its sequence $z_{0,0}, \\dots, z_{0,N}$: every "
    "embedding is added. *Now* someone shuffles the tokens $z_{0,1}$ to $z_{0,N}$, and the encoder reads them in "
    "the new order. “The logits change.”",
    answer=False,
    misconception="Does a patch lose its position embedding on the way to its new seat? It was added, so it travels "
    "along. What is left for the encoder to notice?",
    hints=["Which vectors does the encoder get, before and after the shuffle? Compare them as a set.",
           "The encoder itself never looks at the order. It knows positions only from what was added."],
    why="The encoder does not know the order, with position embeddings or without. Each token already carries its "
    "position, so the set of vectors is the same, and CLS reads the same.",
)

# ── 3.5 · Position embeddings that nobody learns ─────────────────────────────────────────────────────────────────────


def sincos_positions(count: int, width: int) -> torch.Tensor:
    """Sin-cos position embeddings for `count` tokens of `width` numbers: [count, width], of type float32.

    Column 2k holds sin(i / 10000^(2k / width)), and column 2k + 1 the cosine of the same angle, for row i = 0, 1, …

    >>> sincos_positions(1, 4).tolist()
    [[0.0, 1.0, 0.0, 1.0]]

    Raises ValueError for an odd width.
    """
    if width % 2:
        raise ValueError(f"width is {width}: sines and cosines come in pairs, so it must be even")
    i = torch.arange(count, dtype=torch.float64)[:, None]  # count 1
    angles = i / 10_000 ** (torch.arange(0, width, 2) / width)  # count width/2
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1).float()  # count width/2 2 → count width


waves = Code(
    "sincos-positions", title="Your own sincos_positions", points=5, difficulty=3, minutes=12, tolerance=2e-5,
    prompt="Write the formula for a whole table. The sine and the cosine of one angle stand **side by side**: column 0 "
    "is a sine, column 1 its cosine, column 2 the next sine. An odd width is refused with a `ValueError`.",
    reference=sincos_positions,
    examples=[(1, 6), (2, 2), (6, 4), (2, 6), (2, 5)],
    checks={
        "one pair": [(4, 2), (9, 2)],
        "many pairs": [(5, 8), (12, 6), (3, 32)],
        "one token": [(1, 10)],
        "a longer row": [(40, 16), (50, 12)],
        "refuses an odd width": [(3, 7), (4, 1)],
    },
    hints=[
        "Two loops will do: over i, and over k from 0 to width / 2 − 1. Start from `torch.zeros(count, width)`, and "
        "fill columns 2k and 2k + 1 with `math.sin` and `math.cos`.",
        "Without loops: a column of positions, `torch.arange(count)[:, None]`, divided by a row of "
        "`10_000 ** (torch.arange(0, width, 2) / width)`, gives all angles at once.",
        "`table[:, 0::2]` are the even columns, `table[:, 1::2]` the odd ones. You can assign to them.",
        "The examples pass but grading finds a mistake? Compare a longer table with "
        "`vitlib.vit.sincos.sincos_1d(count, width)[0]`.",
    ],
    why="One angle for each pair of columns, its sine and its cosine side by side.",
)


def angle_table(count, width, base=10_000.0, first=0, share=1.0):
    """Angles in float64, so that every machine rounds them alike."""
    if width % 2:
        raise ValueError("the width is odd")
    places = torch.arange(first, first + count, dtype=torch.float64)[:, None]
    return places / base ** (share * torch.arange(0, width, 2, dtype=torch.float64) / width)


def side_by_side(even, odd):
    return torch.stack([even, odd], dim=2).flatten(1).float()


@waves.alternative
def _(count, width):
    if width % 2:
        raise ValueError("the width is odd")
    table = torch.zeros(count, width)
    for i in range(count):
        for k in range(width // 2):
            angle = i / 10_000 ** (2 * k / width)
            table[i, 2 * k], table[i, 2 * k + 1] = math.sin(angle), math.cos(angle)
    return table


@waves.alternative
def _(count, width):
    if width % 2 != 0:
        raise ValueError("the width is odd")
    speeds = torch.exp(torch.arange(0, width, 2).float() * (-math.log(10_000.0) / width))
    angles = torch.outer(torch.arange(count).float(), speeds)
    table = torch.empty(count, width)
    table[:, 0::2] = torch.sin(angles)
    table[:, 1::2] = torch.cos(angles)
    return table


@waves.misconception("forgot to return", "Your function gives back None for an even width. End it with `return`.")
def _(count, width):
    angle_table(count, width)


@waves.misconception("sines first, then cosines",
    "All your numbers are right, but they come in two halves: first all sines, "
    "then all cosines. The exercise wants sine, cosine, sine, cosine.")
def _(count, width):
    angles = angle_table(count, width)
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


@waves.misconception("cosine first", "In each pair you swapped the two: the sine comes first, in the even columns.")
def _(count, width):
    angles = angle_table(count, width)
    return side_by_side(angles.cos(), angles.sin())


@waves.misconception("counts from 1",
    "Your positions begin with 1. The first row is i = 0: its sines are 0, its cosines 1.")
def _(count, width):
    angles = angle_table(count, width, first=1)
    return side_by_side(angles.sin(), angles.cos())


@waves.misconception("sines only", "You filled all columns with sines. The odd columns hold cosines.")
def _(count, width):
    angles = angle_table(count, width)
    return side_by_side(angles.sin(), angles.sin())


@waves.misconception("an angle of its own for the cosine",
    "The sines are right. But your cosines have angles of their own: the "
    "exponent is 2k/D for *both* columns of a pair, not (2k+1)/D for the second.")
def _(count, width):
    angles = angle_table(count, width)
    return side_by_side(angles.sin(), (angles / 10_000 ** (1 / width)).cos())


@waves.misconception("forgot the two", "Your exponent is k/D. It is 2k/D: with k up to D/2, it then reaches nearly 1.")
def _(count, width):
    angles = angle_table(count, width, share=0.5)
    return side_by_side(angles.sin(), angles.cos())


@waves.misconception("twice too much",
    "Your waves slow down twice too fast: the exponent is 2k/D, with k = 0, 1, 2, … If you "
    "count 0, 2, 4, … already, that *is* 2k.")
def _(count, width):
    angles = angle_table(count, width, share=2.0)
    return side_by_side(angles.sin(), angles.cos())


@waves.misconception("power before the fraction",
    "All your angles are nearly 0. The exponent of 10,000 is 2k/D, all of it: write `10_000 ** (2 * k / width)`. "
    "Without the brackets, Python takes the power first.")
def _(count, width):
    angles = angle_table(count, width, base=1.0) / 10_000**2 * torch.arange(width // 2) / width
    return side_by_side(angles.sin(), angles.cos())


@waves.misconception("exponents up to 1",
    "Your exponents run from 0 to exactly 1: you divide k by D/2 − 1. In the formula it is 2k/D, which stays below 1.")
def _(count, width):
    angles = angle_table(count, width, share=width / max(1, width - 2))
    return side_by_side(angles.sin(), angles.cos())


@waves.misconception("over the number of positions",
    "You divide 2k by the number of positions. The exponent is 2k/D, and D is the number of columns.")
def _(count, width):
    angles = angle_table(count, width, share=width / count)
    return side_by_side(angles.sin(), angles.cos())


@waves.misconception("odd columns left empty",
    "The sines are right, and the odd columns are still 0. Column 2k + 1 holds the cosine of the same angle.")
def _(count, width):
    angles = angle_table(count, width)
    return side_by_side(angles.sin(), torch.zeros_like(angles))


@waves.misconception("last pair left empty",
    "The last two columns are still 0. k runs from 0 to D/2 − 1, and `range(width // 2)` ends there by itself.")
def _(count, width):
    angles = angle_table(count, width)
    filled = side_by_side(angles.sin(), angles.cos())
    filled[:, -2:] = 0
    return filled


@waves.misconception("multiplied instead of divided",
    "Your waves get faster and faster. The position i is *divided* by the power "
    "of 10,000.")
def _(count, width):
    angles = angle_table(count, width, base=1e-4)
    return side_by_side(angles.sin(), angles.cos())


@waves.misconception("one wave for all",
    "All your pairs are the same. The power of 10,000 makes each pair slower than the one "
    "before.")
def _(count, width):
    angles = angle_table(count, width, base=1.0)
    return side_by_side(angles.sin(), angles.cos())


@waves.misconception("base 1,000", "Your waves have the right form, but with the base 1,000. It is 10,000.")
def _(count, width):
    angles = angle_table(count, width, base=1_000.0)
    return side_by_side(angles.sin(), angles.cos())


@waves.misconception("degrees", "You turned the angles into degrees, or from degrees. They are in radians already.")
def _(count, width):
    angles = torch.deg2rad(angle_table(count, width))
    return side_by_side(angles.sin(), angles.cos())


@waves.misconception("lies on its side", "Your table is transposed. Each row belongs to a token: (count, width).")
def _(count, width):
    angles = angle_table(count, width)
    return side_by_side(angles.sin(), angles.cos()).T


@waves.misconception("an axis too many", "The numbers are right, but there is a batch axis in front that the exercise "
    "does not want.")
def _(count, width):
    angles = angle_table(count, width)
    return side_by_side(angles.sin(), angles.cos())[None]


@waves.misconception("takes an odd width",
    "The tables are right. For an odd width, though, you return one in which the last "
    "sine has no cosine. Raise a ValueError instead.")
def _(count, width):
    angles = angle_table(count, width + width % 2) if width % 2 == 0 else (
        torch.arange(count, dtype=torch.float64)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width))
    return side_by_side(angles.sin(), angles.cos())[:, :width]


@waves.misconception("a column too many",
    "The tables are right. For an odd width, though, you return one that is a column too "
    "wide. Raise a ValueError instead.")
def _(count, width):
    angles = torch.arange(count, dtype=torch.float64)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    return side_by_side(angles.sin(), angles.cos())


@waves.misconception("asserts",
    "You refuse at the right place, but with an AssertionError. The exercise wants `raise "
    "ValueError(…)`, which callers can catch and Python never skips.")
def _(count, width):
    assert width % 2 == 0
    angles = angle_table(count, width)
    return side_by_side(angles.sin(), angles.cos())


sincos_length = Numeric(
    "sincos-length", title="How long is a position embedding?", points=1, difficulty=2, minutes=3,
    parameters=dict(place=7, width=64),
    parameter_values=dict(place=range(3, 8), width=range(20, 1025, 4)),
    prompt="A table of sin-cos position embeddings has {width} columns. Multiply row {place} by itself, number by "
    "number, and add up. What is the dot product $PE_{{place}} \\cdot PE_{{place}}$, the square of the embedding's "
    "length?",
    answer=lambda place, width: width // 2,
    misconceptions=[
        Misconception("one for every column", lambda place, width: width,
            "You counted 1 for every column. It is sin² + cos² that makes 1, and that takes two columns."),
        Misconception("one pair only", lambda place, width: 1,
            "That is one pair. How many pairs are there in {width} columns?"),
        Misconception("times the place", lambda place, width: place * width // 2,
            "You multiplied by the position. Whatever the angle, sin² + cos² stays 1."),
        Misconception("the place squared", lambda place, width: place**2,
            "You multiplied the position by itself. Row {place} holds sines and cosines."),
        Misconception("zero", 0, "The numbers are squared before they are added: nothing can cancel."),
        Misconception("took the root", lambda place, width: math.sqrt(width // 2),
            "That is the length of the embedding. The question is its square, the dot product."),
        Misconception("quarter", lambda place, width: width // 4,
            "You halved once too often. There are {width} / 2 pairs, and each of them gives a whole 1."),
    ],
    hints=["Take one pair of columns: the sine and the cosine of one angle. What do their squares add up to?",
           "sin² + cos² = 1 for every angle. How many pairs are there?"],
    why=lambda place, width: f"Each of the {width} / 2 = {width // 2} pairs gives sin² + cos² = 1, at every position.",
)

which_map = Choice(
    "which-map", title="Which map is which?", points=1, difficulty=2, minutes=2,
    prompt="One of the three maps above was made with **1D** sin-cos position embeddings. Which one?",
    options={
        "map A":
            "In map A, the patches above and below are as similar as those left and right: these embeddings know rows "
            "*and* columns. In the sequence, the patch below is eight positions away.",
        "map B": None,
        "map C":
            "In map C, no neighbour is more similar than any other patch. 1D embeddings know at least what comes "
            "before and after in the sequence.",
    },
    hints=["1D embeddings know the sequence of tokens only. Which patches stand next to patch 28 there?",
           "In the sequence, 27 and 29 are next to patch 28. Patch 36, the one below, is eight positions away: as many "
           "as the grid has columns."],
    why="1D waves know the sequence: neighbours in it are similar, and the patch below is eight positions away.",
)

# ── 3.6 · Another grid ─────────────────────────────────────────────────────────────────────────────────────────────

resized_rows = Numeric(
    "resized-rows", title="A larger picture", points=1, difficulty=2, minutes=3,
    parameters=dict(height=288, width=384),
    parameter_values=dict(height=range(240, 481, 16), width=range(256, 641, 16)),
    valid_if=lambda height, width: height < width,
    prompt="A model with CLS learned its table of 197 position embeddings on pictures of 224 × 224 pixels, with "
    "patches of 16. You want to use it on pictures of {height} × {width} pixels (height × width). How many rows does "
    "the **resized** table have?",
    answer=lambda height, width: (height // 16) * (width // 16) + 1, unit="rows",
    misconceptions=[
        Misconception("forgot CLS", lambda height, width: (height // 16) * (width // 16),
            "Those are the rows of the patches. CLS keeps its row, too."),
        Misconception("kept the old table", lambda height, width: 197,
            "That is the old table. Every patch of the new grid needs a row."),
        Misconception("squared the rows", lambda height, width: (height // 16) ** 2 + 1,
            "You squared the rows of the grid. These pictures are wider than high."),
        Misconception("squared the columns", lambda height, width: (width // 16) ** 2 + 1,
            "You squared the columns of the grid. These pictures are wider than high."),
        Misconception("only what is new", lambda height, width: (height // 16) * (width // 16) - 196,
            "You counted the additional rows. The old rows do not stay as they are: the whole table is computed anew."),
        Misconception("added the old table", lambda height, width: (height // 16) * (width // 16) + 197,
            "You put the new rows behind the old ones. The new table takes the place of the old one."),
    ],
    hints=["How many patches does the new grid have?",
           "The patches' part of the table gets the size of the new grid. What happens to CLS's row?"],
    why=lambda height, width: f"{height} / 16 = {height // 16} rows and {width} / 16 = {width // 16} columns make "
    f"{(height // 16) * (width // 16)} patches; with CLS's row it is {(height // 16) * (width // 16) + 1}.",
)
