"""Chapter 6's key: every exercise with its answer, the misconceptions that learners have, and the words that help."""

import math
import random

from autograde.exercises import Choice, Code, Misconception, Numeric, TrueFalse

# ── 6.2 · Products ─────────────────────────────────────────────────────────────────────────────────────────────────


def count_flops(tokens: int, width: int, hidden: int) -> int:
    """FLOPs of the matrix products of one encoder block for one picture, forward; a multiply-add is two.

    tokens: S, the sequence length, CLS included; width: D; hidden: the numbers between fc1 and fc2, often 4D.

    >>> count_flops(2, 3, 5)  # 2 · (54 + 18 + 30 + 30 + 12 + 12)
    312
    """
    linear = tokens * (width * 3 * width + width * width + 2 * width * hidden)  # qkv, proj, fc1 and fc2
    scores = 2 * tokens**2 * width  # Q Kᵀ, and weights times V
    return 2 * (linear + scores)


def block_sizes(dice: random.Random, count: int = 3) -> list[tuple[int, int, int]]:
    """Arguments of `count_flops`; the MLP is not four times as wide."""
    widths = [dice.randrange(8, 400) for _ in range(count)]
    return [(dice.randrange(5, 900), width, width * 5 // 2 + dice.randrange(1, 50)) for width in widths]


products = Code(
    "count-flops", title="Your own count_flops", points=4, difficulty=2, minutes=8, tolerance=0,
    prompt="Count the FLOPs of the six matrix products of one encoder block, for one picture and the forward pass. The "
    "heads cut the work of attention into pieces and change nothing in the sum, so leave them out.",
    reference=count_flops,
    examples=[(2, 3, 5), (197, 768, 3072)],
    checks={
        "any block": lambda dice: block_sizes(dice),
        "an MLP of four times the width": lambda dice: [(dice.randrange(20, 300), 96, 384), (65, 192, 768)],
        "a narrow MLP": lambda dice: [(dice.randrange(20, 300), 64, 16)],
        "one token": [(1, 48, 100)],
        "more tokens than numbers in a token": lambda dice: [(dice.randrange(2000, 5000), 64, 256)],
    },
    hints=[
        "Go through the table line by line. A product of [m, k] with [k, n] takes m·k·n multiply-adds.",
        "Four of the products have S rows: S·D·3D, S·D·D, S·D·hidden and S·hidden·D. The other two are S·D·S and "
        "S·S·D.",
        "The examples pass but grading finds a mistake? Do you use `hidden`, or 4 times the width?",
    ],
    why="With hidden = 4D it is 2 · (12 S D² + 2 S² D): twelve for the linear layers, two for attention.",
)


@products.alternative
def _(tokens, width, hidden):
    shapes = [
        (tokens, width, 3 * width), (tokens, width, tokens), (tokens, tokens, width),
        (tokens, width, width), (tokens, width, hidden), (tokens, hidden, width),
    ]  # fmt: skip
    return sum(2 * m * k * n for m, k, n in shapes)


@products.alternative
def _(tokens, width, hidden):
    each_token = 4 * width**2 + 2 * width * hidden + 2 * tokens * width
    return tokens * each_token * 2


@products.misconception("multiply-adds", "Those are multiply-adds. Each is two operations: multiply, then add.")
def _(tokens, width, hidden):
    return tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width


@products.misconception("no scores",
    "The linear layers are right. Q Kᵀ and weights · V are products as well, and they have no "
    "weights of their own.")
def _(tokens, width, hidden):
    return 2 * tokens * (4 * width**2 + 2 * width * hidden)


@products.misconception("scores once",
    "Attention multiplies twice: Q Kᵀ gives the table, and the table is multiplied by V. You "
    "counted one of the two.")
def _(tokens, width, hidden):
    return 2 * (tokens * (4 * width**2 + 2 * width * hidden) + tokens**2 * width)


@products.misconception("one of q, k, v",
    "Your qkv gives D numbers for a token. It gives 3D: a query, a key and a value.")
def _(tokens, width, hidden):
    return 2 * (tokens * (2 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width)


@products.misconception("no output projection",
    "One linear layer is missing: proj, from D to D, which mixes what the heads "
    "found.")
def _(tokens, width, hidden):
    return 2 * (tokens * (3 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width)


@products.misconception("half the MLP", "The MLP multiplies twice: fc1 widens the token, fc2 narrows it again.")
def _(tokens, width, hidden):
    return 2 * (tokens * (4 * width**2 + width * hidden) + 2 * tokens**2 * width)


@products.misconception("hidden is 4D",
    "Right for an MLP of four times the width. `hidden` says how wide it is: use it.")
def _(tokens, width, hidden):
    return 2 * (12 * tokens * width**2 + 2 * tokens**2 * width)


@products.misconception("the formula of the text",
    "That is 12·S·D² + 2·S²·D. It counts multiply-adds, which are two operations each, and it holds for an MLP of four "
    "times the width: use `hidden`.")
def _(tokens, width, hidden):
    return 12 * tokens * width**2 + 2 * tokens**2 * width


@products.misconception("four times hidden",
    "You multiply `hidden` by 4. It is the width of the MLP's hidden layer already, often 4D.")
def _(tokens, width, hidden):
    return 2 * (tokens * (4 * width**2 + 2 * width * 4 * hidden) + 2 * tokens**2 * width)


@products.misconception("no MLP",
    "That is attention alone, with its linear layers. The MLP belongs to the block: fc1 and fc2.")
def _(tokens, width, hidden):
    return 2 * (4 * tokens * width**2 + 2 * tokens**2 * width)


@products.misconception("twelve blocks", "You counted the twelve blocks of a ViT-B. Count a single one.")
def _(tokens, width, hidden):
    return 24 * (tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width)


@products.misconception("scores twice, the rest once",
    "You doubled attention's two products only. In every product a multiply-add is two operations.")
def _(tokens, width, hidden):
    return tokens * (4 * width**2 + 2 * width * hidden) + 4 * tokens**2 * width


@products.misconception("one token's linear layers",
    "You counted the linear layers for one token. Every token goes through "
    "them: S times.")
def _(tokens, width, hidden):
    return 2 * (4 * width**2 + 2 * width * hidden + 2 * tokens**2 * width)


@products.misconception("pairs without D",
    "You counted the entries of the table, S². Each of them is a dot product of D "
    "numbers over all heads.")
def _(tokens, width, hidden):
    return 2 * (tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2)


@products.misconception("squared the wrong letter",
    "Your scores grow with S·D². Q is [S, D] and Kᵀ is [D, S]: their product "
    "takes S·D·S multiply-adds.")
def _(tokens, width, hidden):
    return 2 * (tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens * width**2)


@products.misconception("S² everywhere",
    "You squared S for the linear layers, too. A linear layer takes each token by itself: "
    "S, not S².")
def _(tokens, width, hidden):
    return 2 * (tokens**2 * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width)


@products.misconception("one more token", "You added a token. `tokens` is the whole sequence already, CLS included.")
def _(tokens, width, hidden):
    tokens = tokens + 1
    return 2 * (tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width)


@products.misconception("backward as well",
    "That is three times as much: forward and backward. Count the forward pass only.")
def _(tokens, width, hidden):
    return 6 * (tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width)


@products.misconception("gave GFLOP", "Those are billions, GFLOP. Return FLOPs, a whole number.")
def _(tokens, width, hidden):
    return count_flops(tokens, width, hidden) / 1e9


@products.misconception("added biases",
    "You counted the biases' additions. Count the matrix products alone, as the counters "
    "do.")
def _(tokens, width, hidden):
    return 2 * (tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width) + tokens * (5 * width + hidden)


# ── 6.3 · What happens if … ────────────────────────────────────────────────────────────────────────────────────────

width_doubles = Numeric(
    "width-doubles", title="D doubles", points=1, difficulty=2, minutes=4, decimals=2,
    parameters=dict(tokens=1024, D=256),
    parameter_values=dict(tokens=range(256, 6401, 64), D=(128, 192, 256, 384, 512)),
    valid_if=lambda tokens, D: 0.15 < tokens / (6 * D) < 8,
    prompt="A block reads {tokens} tokens of D = {D} numbers; the hidden layer of its MLP has 4D. Now **D is "
    "doubled**, and with it the hidden layer; the number of tokens stays. By what factor does the number of "
    "multiply-adds grow?",
    answer=lambda tokens, D: 2 * (12 * D + tokens) / (6 * D + tokens),
    misconceptions=[
        Misconception("linear layers alone", 4,
            "So the linear layers grow: their matrices have D² entries. But attention's two products do "
            "not grow with D²."),
        Misconception("scores alone", 2,
            "So attention's products grow: S²·D. The linear layers have D² in them."),
        Misconception("scores once", lambda tokens, D: 2 * (24 * D + tokens) / (12 * D + tokens),
            "You counted one of attention's two products. There are Q Kᵀ and weights · V: 2·S²·D."),
        Misconception("averaged the factors", 3,
            "4 for the one part, 2 for the other, yes. But the parts are not equally large: put the numbers in."),
        Misconception("ratio for a share", lambda tokens, D: 4 - 2 * tokens / (6 * D),
            "You weighted with S/(6D). That is scores over linear layers, not the scores' share of the sum."),
        Misconception("turned round", lambda tokens, D: (6 * D + tokens) / (2 * (12 * D + tokens)),
            "The right size, the wrong way round: the new number over the old one."),
        Misconception("the hidden layer kept its width", lambda tokens, D: (16 * D + 2 * tokens) / (6 * D + tokens),
            "You kept the MLP's hidden layer as wide as it was. It has 4D numbers, and doubles with D."),
        Misconception("weights exchanged", lambda tokens, D: (2 * 6 * D + 4 * tokens) / (6 * D + tokens),
            "You gave attention the 4 and the linear layers the 2. Which of the two terms has D²?"),
        Misconception("both factors at once", 8,
            "You multiplied 4 by 2. The two terms are added, and each grows by its own factor."),
    ],
    hints=["Write down 12·S·D² + 2·S²·D, once with D and once with 2D in its place.",
           "Divide the second by the first, with S = {tokens} and D = {D}."],
    why=lambda tokens, D: f"The linear layers grow 4 times, attention's products 2 times. Together: "
    f"2·(12·{D} + {tokens}) / (6·{D} + {tokens}) = {2 * (12 * D + tokens) / (6 * D + tokens):.2f}.",
)

side_doubles = Numeric(
    "side-doubles", title="The picture's side doubles", points=1, difficulty=2, minutes=4, decimals=2,
    parameters=dict(side=512, patch=16, D=384),
    parameter_values=dict(side=range(256, 1281, 32), D=(192, 384, 768, 1024)),
    prompt="A ViT with D = {D} and patches of {patch} × {patch} pixels reads pictures of {side} × {side}. Now you give "
    "it pictures of **twice the side**. By what factor does the number of multiply-adds in each block grow? (Leave CLS "
    "out.)",
    answer=lambda side, patch, D: 4 * (6 * D + 4 * (side // patch) ** 2) / (6 * D + (side // patch) ** 2),
    misconceptions=[
        Misconception("tokens alone", 4, "So S grows, and the linear layers with it. Attention has S²."),
        Misconception("scores alone", 16, "So S² grows, and attention with it. The linear layers have S."),
        Misconception("the side alone",
            2, "That is the side. S grows with its square, and attention with the square of S."),
        Misconception("S doubled", lambda side, patch, D:
            2 * (6 * D + 2 * (side // patch) ** 2) / (6 * D + (side // patch) ** 2),
            "You doubled S. Twice the height and twice the width: how many times as many patches?"),
        Misconception("scores once", lambda side, patch, D:
            4 * (12 * D + 4 * (side // patch) ** 2) / (12 * D + (side // patch) ** 2),
            "You counted one of attention's two products: 2·S²·D."),
        Misconception("averaged the factors", 10,
            "4 for the one part, 16 for the other, yes. But the parts are not equally large: put the numbers in."),
        Misconception("ratio for a share", lambda side, patch, D: 4 + 12 * (side // patch) ** 2 / (6 * D),
            "You weighted with S/(6D). That is attention over linear layers, not attention's share of the sum."),
        Misconception("weights exchanged", lambda side, patch, D:
            (16 * 6 * D + 4 * (side // patch) ** 2) / (6 * D + (side // patch) ** 2),
            "You gave the linear layers the 16 and attention the 4. Which of the two terms has S²?"),
        Misconception("turned round", lambda side, patch, D:
            (6 * D + (side // patch) ** 2) / (4 * (6 * D + 4 * (side // patch) ** 2)),
            "The right size, the wrong way round: the new number over the old one."),
    ],
    hints=["S = ({side} / {patch})², and with twice the side it is 4 times as large.",
           "Put both into 12·S·D² + 2·S²·D, and divide."],
    why=lambda side, patch, D: f"S grows from {(side // patch) ** 2} to {4 * (side // patch) ** 2}: the linear layers "
    f"4 times, attention's products 16 times, together "
    f"{4 * (6 * D + 4 * (side // patch) ** 2) / (6 * D + (side // patch) ** 2):.2f} times.",
)

# ── 6.4 · Where S² bites ───────────────────────────────────────────────────────────────────────────────────────────

crossover_side = Numeric(
    "crossover-side", title="Where the curves cross", points=1, difficulty=2, minutes=3,
    parameters=dict(D=864, patch=14),
    parameter_values=dict(D=(96, 150, 216, 294, 384, 486, 600, 726, 864, 1014, 1176), patch=(8, 12, 14, 16, 20, 32)),
    valid_if=lambda D, patch: 200 < patch * math.isqrt(6 * D) < 4000,
    prompt="A ViT has D = {D} and patches of {patch} × {patch} pixels. How long must the side of a square picture be, "
    "in pixels, for attention's products to cost as much as the linear layers? (Leave CLS out.)",
    answer=lambda D, patch: patch * math.isqrt(6 * D), unit="pixels",
    misconceptions=[
        Misconception("gave the tokens", lambda D, patch: 6 * D,
            "That is S, the number of tokens. How many of them lie along one side, and how many pixels is that?"),
        Misconception("gave the patches a side", lambda D, patch: math.isqrt(6 * D),
            "That is how many patches lie along the side. Each of them is {patch} pixels wide."),
        Misconception("no root", lambda D, patch: 6 * D * patch,
            "You multiplied all the tokens by the patch. They do not lie in one row: the picture is square."),
        Misconception("crossed at D", lambda D, patch: round(patch * math.sqrt(D)),
            "You took S = D. Set 2·S²·D equal to 12·S·D²: what is S then?"),
        Misconception("crossed at 12D", lambda D, patch: round(patch * math.sqrt(12 * D)),
            "You took S = 12D: one of attention's two products is missing."),
        Misconception("crossed at 2D", lambda D, patch: round(patch * math.sqrt(2 * D)),
            "You took S = 2D: that is the crossover with attention's own four matrices, without the MLP."),
        Misconception("ViT-B/16's side", 1086,
            "That is the side for ViT-B/16, with D = 768 and patches of 16. This model has D = {D} and patches of "
            "{patch}."),
        Misconception("crossed at 6", lambda D, patch: round(patch * math.sqrt(6)),
            "You took S = 6: D is missing. The terms are equal where S = 6D."),
    ],
    hints=["2·S²·D = 12·S·D². Divide both sides by 2·S·D.", "S = 6D tokens, as a square: √S along each side."],
    why=lambda D, patch: f"S = 6·{D} = {6 * D} = {math.isqrt(6 * D)}², and {math.isqrt(6 * D)} patches of {patch} "
    f"pixels are {patch * math.isqrt(6 * D)} pixels.",
)

# ── 6.5 · Weights, gradients, states ───────────────────────────────────────────────────────────────────────────────

state_bytes = Numeric(
    "state-bytes", title="Before the first picture", points=1, difficulty=1, minutes=2, decimals=3,
    parameters=dict(millions=304), parameter_values=dict(millions=range(20, 900)),
    prompt="A ViT with {millions} million parameters is trained in float32 with AdamW. How many **GB** (10⁹ bytes) do "
    "its weights, their gradients and AdamW's states take up together?",
    answer=lambda millions: 16 * millions / 1000, unit="GB",
    misconceptions=[
        Misconception("4 bytes a parameter", lambda millions: 4 * millions / 1000,
            "That is 4 bytes a parameter: the weights alone, or four numbers whose bytes were forgotten. There are "
            "four numbers for each parameter, and each takes 4 bytes."),
        Misconception("8 bytes a parameter", lambda millions: 8 * millions / 1000,
            "That is 8 bytes a parameter: two numbers of four. Weight, gradient, and what AdamW remembers."),
        Misconception("one state", lambda millions: 12 * millions / 1000,
            "Nearly: AdamW remembers **two** averages for each parameter."),
        Misconception("two copies of the weights", lambda millions: 20 * millions / 1000,
            "One number too many for each parameter. A running average of the weights (EMA) would be a fifth; there "
            "is none here."),
        Misconception("gave GiB", lambda millions: 16e6 * millions / 2**30,
            "That is GiB, units of 2³⁰ bytes. The question asks for GB, units of 10⁹."),
        Misconception("gave MB", lambda millions: 16 * millions, "Those are megabytes: a thousand of them are one GB."),
        Misconception("gave bytes", lambda millions: 16_000_000 * millions,
            "Those are bytes. A GB is 10⁹ of them: divide."),
    ],
    hints=["How many numbers are there for each parameter? Count: the weight, its gradient, and AdamW's.",
           "Four numbers of 4 bytes: 16 bytes for each parameter."],
    why=lambda millions: f"4 + 4 + 8 = 16 bytes a parameter, {16 * millions / 1000:g} GB, whatever the pictures are.",
)

# ── 6.7 · The table of scores ──────────────────────────────────────────────────────────────────────────────────────


def attention_bytes(side: int, patch: int, batch: int, heads: int, depth: int) -> int:
    """Bytes of the attention weights that a training step keeps: float32, all layers, attention as the formula says.

    side: of the square pictures, pixels; patch: pixels. A CLS token leads the sequence. depth: layers.

    >>> attention_bytes(side=32, patch=16, batch=1, heads=1, depth=1)  # 5 tokens: 25 numbers of 4 bytes
    100
    """
    tokens = (side // patch) ** 2 + 1
    return 4 * depth * batch * heads * tokens**2


def tables(dice: random.Random) -> tuple[int, int, int, int, int]:
    """Arguments of `attention_bytes`, none of them 1."""
    patch = dice.choice([8, 14, 16, 32])
    return patch * dice.randrange(4, 30), patch, dice.randrange(2, 20), dice.randrange(2, 17), dice.randrange(2, 25)


scores = Code(
    "attention-bytes", title="Your own attention_bytes", points=3, difficulty=1, minutes=6, tolerance=0,
    prompt="How many bytes do the tables of attention weights take up, over a batch, all heads and all layers, when "
    "attention is computed as the formula is written and every layer keeps its table for the backward pass?",
    reference=attention_bytes,
    examples=[(32, 16, 1, 1, 1), (224, 16, 1, 12, 12), (16, 8, 2, 3, 4)],
    checks={
        "any model": lambda dice: [tables(dice) for _ in range(4)],
        "one picture": lambda dice: [(384, 16, 1, dice.randrange(3, 9), 12)],
        "one head": lambda dice: [(dice.randrange(5, 20) * 8, 8, 3, 1, 6)],
        "one layer": lambda dice: [(dice.randrange(5, 20) * 14, 14, 5, 3, 1)],
        "a patch that is the picture": [(64, 64, 2, 3, 4)],
    },
    hints=[
        "First the tokens: the patches along one side, squared, and CLS.",
        "One table has S · S numbers of 4 bytes. There is one for each head of each layer, for each picture.",
        "The examples pass but grading finds a mistake? Try several pictures, and check on paper: 5 tokens, 2 "
        "pictures, 3 heads, 4 layers are 4 · 2 · 3 · 4 · 25 bytes.",
    ],
    why="4 bytes · layers · pictures · heads · S². Neither D nor the classes are in it, and S grows with the square of "
    "the side: twice the side is 16 times the bytes.",
)


@scores.alternative
def _(side, patch, batch, heads, depth):
    row = side // patch
    one_table = (1 + row * row) * (1 + row * row) * 4
    return sum(one_table for _ in range(batch * heads * depth))


@scores.alternative
def _(side, patch, batch, heads, depth):
    numbers = batch * heads * (side**2 // patch**2 + 1) ** 2
    return numbers * 32 // 8 * depth


@scores.misconception("forgot CLS",
    "CLS is missing: it attends, and is attended to. One token more than there are patches.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * batch * heads * (side // patch) ** 4


@scores.misconception("tokens not squared",
    "You counted tokens. A table has a row *and* a column for each of them: S · S.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * batch * heads * ((side // patch) ** 2 + 1)


@scores.misconception("patches of one row",
    "You took the patches along one side for the tokens. The picture has as many rows "
    "as columns.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * batch * heads * (side // patch + 1) ** 2


@scores.misconception("CLS in every row",
    "You added 1 to the patches along a side. CLS is one token, not one for each row and column: side²/patch² + 1.")
def _(side, patch, batch, heads, depth):
    return 4 * batch * heads * depth * (side // patch + 1) ** 4


@scores.misconception("CLS joins too late",
    "You squared the patches and added 1 to the table. CLS is a token: add it first, and square then.")
def _(side, patch, batch, heads, depth):
    return 4 * batch * heads * depth * ((side // patch) ** 4 + 1)


@scores.misconception("a table each for q, k and v",
    "You counted three tables. Queries and keys make one table together, and it weighs the values.")
def _(side, patch, batch, heads, depth):
    return 3 * attention_bytes(side, patch, batch, heads, depth)


@scores.misconception("counted pixels", "You made a token of every pixel. A patch of P × P pixels is one token.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * batch * heads * (side**2 + 1) ** 2


@scores.misconception("counted numbers", "Those are numbers. In float32 each takes 4 bytes.")
def _(side, patch, batch, heads, depth):
    return depth * batch * heads * ((side // patch) ** 2 + 1) ** 2


@scores.misconception("16 bits", "You took 2 bytes for a number, as in bfloat16. In float32 it takes 4.")
def _(side, patch, batch, heads, depth):
    return 2 * depth * batch * heads * ((side // patch) ** 2 + 1) ** 2


@scores.misconception("twice as much",
    "That is twice as much: 8 bytes for a number, where float32 takes 4, or two tables a head. The scores before the "
    "softmax need not be kept: the attention weights are enough.")
def _(side, patch, batch, heads, depth):
    return 8 * depth * batch * heads * ((side // patch) ** 2 + 1) ** 2


@scores.misconception("counted bits", "Those are bits: 32 for a number. Return bytes.")
def _(side, patch, batch, heads, depth):
    return 32 * depth * batch * heads * ((side // patch) ** 2 + 1) ** 2


@scores.misconception("patches of 16",
    "Right for patches of 16 pixels. `patch` says how large they are: use it.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * batch * heads * ((side // 16) ** 2 + 1) ** 2


@scores.misconception("one table", "That is a single table. There is one for each picture, head and layer.")
def _(side, patch, batch, heads, depth):
    return 4 * ((side // patch) ** 2 + 1) ** 2


@scores.misconception("no CLS, not squared",
    "You counted patches. CLS is a token, too, and a table has a row *and* a column for each token.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * batch * heads * (side // patch) ** 2


@scores.misconception("one head", "That is one head. Every head makes a table of its own.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * batch * ((side // patch) ** 2 + 1) ** 2


@scores.misconception("one layer only",
    "That is one layer. In training, every layer keeps its tables until the backward pass.")
def _(side, patch, batch, heads, depth):
    return 4 * batch * heads * ((side // patch) ** 2 + 1) ** 2


@scores.misconception("one picture only", "That is one picture. Every picture of the batch has tables of its own.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * heads * ((side // patch) ** 2 + 1) ** 2


@scores.misconception("pictures attend to each other",
    "You squared the batch as well. Tokens attend within their picture only.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * heads * (batch * ((side // patch) ** 2 + 1)) ** 2


@scores.misconception("heads share the table",
    "You divided by the heads. They share the D numbers of a token; each of them "
    "makes a whole table of S · S weights.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * batch * ((side // patch) ** 2 + 1) ** 2 // heads


@scores.misconception("half a table",
    "You counted each pair once. How much token 3 takes from token 7 and token 7 from token 3 "
    "are two numbers, and both are stored.")
def _(side, patch, batch, heads, depth):
    tokens = (side // patch) ** 2 + 1
    return 2 * depth * batch * heads * tokens * (tokens + 1)


@scores.misconception("gave GB", "Those are gigabytes. Return bytes, a whole number.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * batch * heads * ((side // patch) ** 2 + 1) ** 2 / 1e9


@scores.misconception("gave GiB", "Those are GiB, units of 2³⁰ bytes. Return bytes, a whole number.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * batch * heads * ((side // patch) ** 2 + 1) ** 2 / 2**30


@scores.misconception("gave MiB", "Those are MiB, units of 2²⁰ bytes. Return bytes, a whole number.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * batch * heads * ((side // patch) ** 2 + 1) ** 2 / 2**20


@scores.misconception("gave megabytes", "Those are megabytes. Return bytes, a whole number.")
def _(side, patch, batch, heads, depth):
    return 4 * depth * batch * heads * ((side // patch) ** 2 + 1) ** 2 / 1e6


fused_products = TrueFalse(
    "fused-products", title="What fused attention saves", points=1, difficulty=2, minutes=1,
    prompt="“Fused attention takes fewer multiply-adds than the formula as it is written: its cost grows with S "
    "instead of S².”",
    answer=False,
    misconception="Its *memory* grows with S instead of S². But every token still meets every token: look at what the "
    "code above does with each piece.",
    hints=["How many scores are computed in the loop above, over all pieces? And how many are in memory at a time?"],
    why="False. Every one of the S² scores is computed, but they are never all stored. In the backward pass they are "
    "even computed a second time.",
)

# ── 6.8 · The peak ─────────────────────────────────────────────────────────────────────────────────────────────────

at_inference = Choice(
    "at-inference", title="Checkpointing at inference", points=1, difficulty=2, minutes=2,
    prompt="A trained ViT classifies the pictures of a large archive, 512 at a time, under `torch.inference_mode()`. "
    "It runs out of memory. What helps?",
    options={
        "Switch on checkpointing.":
            "Checkpointing drops what would be kept for the backward pass. There is no backward pass here, and "
            "nothing is kept for one.",
        "Give it 128 pictures at a time.": None,
        "Take plain SGD instead of AdamW: it has no states.":
            "True, but there is no optimizer here at all: nothing is learned.",
        "Average the gradients of four smaller batches.":
            "Nothing has a gradient here. Which part of this remedy would help by itself, without the gradients?",
    },
    hints=["Which of the phases are there, when nothing is learned? And what is in memory then?"],
    why="At inference there are the weights and the widest moment of the forward pass, and that grows with the batch. "
    "The answers stay the same, because pictures do not see each other.",
)

# ── 6.10 · An out-of-memory message ────────────────────────────────────────────────────────────────────────────────

oom_message = Choice(
    "oom-message", title="Whose 6.00 GiB?", points=1, difficulty=2, minutes=4,
    prompt="A ViT-B/16 (D = 768, 12 heads, 12 layers, CLS) is trained in float32, 8 pictures of 1024 × 1024 pixels at "
    "a time, with attention as its formula is written. It stops with *“Tried to allocate 6.00 GiB”*. Which "
    "tensor was it?",
    options={
        "the scores of one layer, for all heads and pictures": None,
        "the scores of all layers":
            "A layer's table is made when its turn comes. Count one layer's bytes: B · heads · S² · 4.",
        "what fc1 gives, 4D numbers for every token":
            "8 · 4097 · 3072 numbers of 4 bytes: divide by 2³⁰ and compare.",
        "all the weights of the model, with gradients and AdamW's states":
            "16 bytes for each of 86.6 million parameters is 1.3 GiB, and no single tensor at all.",
    },
    hints=["S = 64² + 1. Count the bytes of each in a cell, and divide by 2³⁰ (1 GiB).",
           "Your `attention_bytes` counts the tables."],
    why="8 · 12 · 4097² · 4 bytes / 2³⁰ = 6.00. The number in the message is one tensor, and it often tells which.",
)

# ── 6.11 · Remedies ────────────────────────────────────────────────────────────────────────────────────────────────

tempting_changes = Choice(
    "tempting-changes", title="Five tempting changes", points=1, difficulty=1, minutes=2,
    prompt="Training a ViT from scratch runs out of memory in the middle of the forward pass of its first step. Which "
    "change makes the peak smaller and leaves what is learned nearly as it was?",
    options={
        "Merge the 1000 labels into 500.":
            "The head's matrix becomes half as large: some megabytes. No other tensor changes. And the task is another "
            "one then.",
        "Make the learning rate ten times smaller.":
            "The learning rate is one number. It changes what is written into the weights, and not how many there are.",
        "Use Adam instead of AdamW.":
            "Another name for the same two averages for each parameter. And in the forward pass it is the "
            "activations that grow.",
        "Take a quarter of the batch, and let the optimizer step after every fourth.": None,
        "Double the batch, so that there are half as many steps.":
            "An epoch has fewer steps then. But it is one step that does not fit, and it would be twice as large.",
    },
    hints=["For each of them: which large tensor becomes smaller?"],
    why="Four quarter batches whose gradients are added up give (nearly) the gradient of the whole batch, and only a "
    "quarter of the activations exists at a time.",
)

same_answers = Choice(
    "same-answers", title="The answers must stay", points=1, difficulty=2, minutes=2,
    prompt="A ViT-B/16 was trained with pictures of 1024 × 1024 pixels, and approved for use in a clinic. Its "
    "attention is computed as the formula is written. On the clinic's small GPU even a single picture does not fit. "
    "Its answers must remain what they are. What do you try **first**?",
    options={
        "Use patches of 32 pixels.":
            "A quarter of the tokens. But the trained embedding has a column for each number of a 16 × 16 patch: it "
            "does not fit any more.",
        "Compute attention with a fused kernel.": None,
        "Show it pictures of 512 × 512 pixels.":
            "A quarter of the tokens, too. But fine detail is gone, and the answers may change with it.",
        "Let tokens attend within windows only.":
            "That is cheap, but each token sees less than in training: other answers.",
    },
    hints=["Which of them computes the *same function* with less memory?"],
    why="A fused kernel gives the same numbers up to rounding, and stores no table. All the others change what the "
    "model sees. Try the remedies that change nothing before those that do.",
)

states_too_large = Choice(
    "states-too-large", title="It stops in the optimizer's step", points=1, difficulty=3, minutes=3,
    prompt="A ViT with 632 million parameters is fine-tuned in float32 on a GPU of 8 GiB: one picture a step, fused "
    "attention, AdamW. Forward and backward pass go through. It runs out of memory in the first "
    "`optimizer.step()`. What helps?",
    options={
        "Switch on checkpointing.":
            "It makes activations smaller. At the optimizer's step they are gone already.",
        "Halve the pictures' side.":
            "Fewer tokens, smaller activations. At the optimizer's step they are gone already.",
        "Freeze all blocks but the last few.": None,
        "Halve the batch, and take twice as many steps.":
            "There is one picture in the batch. And weights, gradients and states do not depend on the batch.",
        "Make the learning rate smaller.":
            "It is a number by which an update is multiplied. Just as many numbers are updated as before.",
    },
    hints=["What is in memory at the optimizer's step? Count it: bytes for each parameter that learns, and for each "
           "that does not.", "When does AdamW make its two averages?"],
    why="16 bytes for each of 632 million parameters that learn are 9.4 GiB. A frozen one needs 4: no gradient, no "
    "states. SGD without momentum would help as well (8 bytes).",
)

# ── 6.12 · Fit a budget ────────────────────────────────────────────────────────────────────────────────────────────


def largest_batch(budget: int, fixed: int, each: int) -> int:
    """The largest number of pictures whose step fits into `budget` bytes; 0 where not even one fits.

    fixed: bytes that are needed whatever the batch is, such as weights; each: bytes that every picture adds.

    >>> largest_batch(budget=100, fixed=30, each=20)
    3
    >>> largest_batch(budget=20, fixed=30, each=20)
    0
    """
    return max(0, (budget - fixed) // each)


def budgets(dice: random.Random) -> tuple[int, int, int]:
    """Arguments of `largest_batch`: several pictures fit, and something is left over."""
    fixed, each = dice.randrange(10**8, 10**9), dice.randrange(10**7, 10**8)
    return fixed + each * dice.randrange(5, 100) + dice.randrange(1, each), fixed, each


most = Code(
    "largest-batch", title="Your own largest_batch", points=3, difficulty=1, minutes=5, tolerance=0,
    prompt="Now the other way round: not how much memory a batch needs, but how large a batch fits into the memory "
    "that there is.",
    reference=largest_batch,
    examples=[
        (100, 30, 20), (35, 30, 20), (100, 40, 20), (20, 30, 20), (100, 130, 20),
        (8 * 2**30, 1_385_082_496, 172_000_000),
    ],
    checks={
        "any budget": lambda dice: [budgets(dice) for _ in range(4)],
        "nothing left over": lambda dice: [(1000 + 7 * dice.randrange(20, 90), 1000, 7)],
        "not even one": lambda dice: [(1000, 900, 101 + dice.randrange(50)), (500, 499, 2)],
        "less than what is fixed": lambda dice: [(10**9, 10**9 + dice.randrange(10**8, 10**9), 10**6)],
        "as much as what is fixed": [(12_345, 12_345, 10)],
    },
    hints=[
        "What remains for pictures, once the fixed part is in memory?",
        "`//` rounds down, and for negative numbers as well: −3 // 2 is −2. What must your function say then?",
        "The examples pass but grading finds a mistake? Try a budget that fits to the byte, and one below `fixed`.",
    ],
    why="What is left after the fixed part, divided by one picture's bytes, rounded down, and never below 0.",
)


@most.alternative
def _(budget, fixed, each):
    batch = 0
    while fixed + (batch + 1) * each <= budget:
        batch += 1
    return batch


@most.alternative
def _(budget, fixed, each):
    left = budget - fixed
    return 0 if left < each else (left - left % each) // each


@most.misconception("forgot the fixed part",
    "You gave the whole budget to the pictures. The weights want their place first.")
def _(budget, fixed, each):
    return budget // each


@most.misconception("below zero",
    "Right where the weights fit. Where they do not, your answer is negative: no batch at all is "
    "0.")
def _(budget, fixed, each):
    return (budget - fixed) // each


@most.misconception("minus one for nothing", "Where not even one picture fits you say −1. The answer is 0.")
def _(budget, fixed, each):
    return (budget - fixed) // each if budget >= fixed + each else -1


@most.misconception("a tenth left free",
    "You leave a tenth of the budget free. That is wise, but not asked for here: `budget` may be used to the last "
    "byte.")
def _(budget, fixed, each):
    return max(0, (budget * 9 // 10 - fixed) // each)


@most.misconception("fixed and each exchanged",
    "You subtract `each` and divide by `fixed`. It is the other way round: `fixed` is there once.")
def _(budget, fixed, each):
    return max(0, (budget - each) // fixed)


@most.misconception("cut towards zero",
    "`int` cuts towards zero, so that −0.5 becomes 0 but −1.5 becomes −1. Where the weights do not fit, the answer is "
    "0.")
def _(budget, fixed, each):
    return int((budget - fixed) / each)


@most.misconception("the first that does not fit",
    "That is the first batch that does *not* fit. The largest that fits is one smaller.")
def _(budget, fixed, each):
    return max(0, (budget - fixed) // each + 1)


@most.misconception("refused where nothing fits",
    "Where not even one picture fits you raise an error. The answer is 0.")
def _(budget, fixed, each):
    if budget < fixed + each:
        raise ValueError("nothing fits")
    return (budget - fixed) // each


@most.misconception("at least one",
    "You say 1 where not even one picture fits. That would be an out-of-memory error: say 0.")
def _(budget, fixed, each):
    return max(1, (budget - fixed) // each)


@most.misconception("rounded up", "You round up. The last picture would be cut off: round down.")
def _(budget, fixed, each):
    return max(0, -((fixed - budget) // each))


@most.misconception("rounded to the nearest",
    "You round to the nearest whole number. Nine tenths of a picture do not fit: "
    "round down.")
def _(budget, fixed, each):
    return max(0, (2 * (budget - fixed) + each) // (2 * each))


@most.misconception("not rounded", "A batch is a whole number of pictures: divide with `//`.")
def _(budget, fixed, each):
    return max(0, (budget - fixed) / each)


@most.misconception("fixed for every picture",
    "You add the fixed part to every picture. The weights are there once, however "
    "many pictures there are.")
def _(budget, fixed, each):
    return budget // (fixed + each)


@most.misconception("one byte to spare", "One picture too few where it fits to the byte: `<=`, not `<`.")
def _(budget, fixed, each):
    return max(0, (budget - fixed - 1) // each)


@most.misconception("one picture to spare", "One picture too few, always.")
def _(budget, fixed, each):
    return max(0, (budget - fixed) // each - 1)


@most.misconception("gave what is left over", "That is how many bytes are left over. Return how many pictures fit.")
def _(budget, fixed, each):
    return max(0, budget - fixed) % each


@most.misconception("gave bytes", "Those are the bytes that pictures may take. How many pictures is that?")
def _(budget, fixed, each):
    return max(0, budget - fixed)


@most.misconception("power of two",
    "You round down to a power of two. That is a habit and no law: a batch may have any size.")
def _(budget, fixed, each):
    batch = max(0, (budget - fixed) // each)
    return 2 ** (batch.bit_length() - 1) if batch else 0


@most.misconception("added the fixed part",
    "You add the fixed part to the budget. It takes memory away.")
def _(budget, fixed, each):
    return (budget + fixed) // each


@most.misconception("absolute value",
    "Where the weights do not fit, you take away the minus sign. No picture fits then: 0.")
def _(budget, fixed, each):
    return abs(budget - fixed) // each


def largest_side(budget: int, fixed: int, patch: int, width: int, depth: int, batch: int) -> int:
    """The largest side of square pictures, in pixels, that can be trained on within `budget` bytes.

    The side is a multiple of the patch. A block keeps 64 bytes for each of B·S·D numbers; CLS is one of the S tokens.
    `fixed` bytes come on top, whatever the side is. 0 where not even a picture of one patch fits.

    >>> largest_side(budget=20_000, fixed=1_000, patch=16, width=8, depth=2, batch=1)  # 4 patches a side: 18,408 bytes
    64
    """
    row = 0  # patches along a side
    while fixed + 64 * batch * ((row + 1) ** 2 + 1) * width * depth <= budget:
        row += 1
    return row * patch


def rooms(dice: random.Random, spare: int = 0) -> tuple[int, int, int, int, int, int]:
    """Arguments of `largest_side`: 3 to 20 patches a side fit, with some bytes left over, or `spare` exactly."""
    width, depth, batch = dice.randrange(32, 200), dice.randrange(2, 12), dice.randrange(2, 9)
    row, each = dice.randrange(6, 20), 64 * batch * width * depth
    room = spare or dice.randrange(each, 2 * row * each)
    fixed = dice.randrange(3 * each, 9 * row * each)
    return fixed + each * (row**2 + 1) + room, fixed, dice.choice([8, 14, 32]), width, depth, batch


widest = Code(
    "largest-side", title="Your own largest_side", points=5, difficulty=3, minutes=12, tolerance=0,
    prompt="Now the resolution. How large may square pictures be for a given batch and model? Count as in section "
    "6.6: fused attention, float32, 64u bytes for every block. (`fixed` would grow a little with the positions: leave "
    "that out.)",
    reference=largest_side,
    examples=[
        (20_000, 1_000, 16, 8, 2, 1), (1_000, 900, 16, 8, 2, 1), (8 * 2**30, 1_385_082_496, 16, 768, 12, 16),
        (1_000 + 64 * 5 * 8 * 2, 1_000, 14, 8, 2, 1), (1_000 + 64 * 14 * 8 * 2, 1_000, 14, 8, 2, 3),
        (20_000_000, 1_000, 8, 8, 2, 1),
    ],
    checks={
        "any budget": lambda dice: [rooms(dice) for _ in range(4)],
        "to the byte": lambda dice: [
            (5_000 + 64 * 3 * 26 * 40 * 4, 5_000, 8, 40, 4, 3), (777 + 64 * 2 * 65 * 24 * 3, 777, 14, 24, 3, 2),
        ],
        "one byte too few": lambda dice: [(5_000 + 64 * 3 * 26 * 40 * 4 - 1, 5_000, 8, 40, 4, 3)],
        "a picture of one patch": [(100 + 64 * 2 * 10 * 2 * 3, 100, 32, 10, 2, 3)],
        "nothing fits": [(100 + 64 * 2 * 10 * 2 * 3 - 1, 100, 32, 10, 2, 3), (50, 100, 16, 10, 2, 3)],
    },
    hints=[
        "With r patches along the side there are r² + 1 tokens. How many bytes is that?",
        "Let r grow from 0 for as long as the *next* r still fits. Then r patches of `patch` pixels are the side.",
        "Or solve for r: the tokens that fit, less CLS, and the integer root of that: `math.isqrt`.",
        "The examples pass but grading finds a mistake? Try a budget that fits to the byte, and one byte less.",
    ],
    why="Bytes grow with r², so the side grows with the root of the budget: four times the memory for twice the side, "
    "as long as attention is fused.",
)


@widest.alternative
def _(budget, fixed, patch, width, depth, batch):
    tokens = (budget - fixed) // (64 * batch * width * depth)
    return patch * math.isqrt(tokens - 1) if tokens > 1 else 0


@widest.alternative
def _(budget, fixed, patch, width, depth, batch):
    best = 0
    for side in range(patch, 40_000 * patch, patch):
        if fixed + depth * 64 * batch * width * (1 + (side // patch) ** 2) > budget:
            break
        best = side
    return best


def longest(room: float, tokens_of) -> int:
    """The largest r for which tokens_of(r) is at most `room`, 0 if none."""
    row = 0
    while tokens_of(row + 1) <= room:
        row += 1
    return row


@widest.misconception("forgot CLS", "CLS is missing: every picture has r² + 1 tokens, not r².")
def _(budget, fixed, patch, width, depth, batch):
    return patch * longest((budget - fixed) / (64 * batch * width * depth), lambda r: r**2)


@widest.misconception("gave patches", "Those are patches along the side. Return the side in pixels.")
def _(budget, fixed, patch, width, depth, batch):
    return longest((budget - fixed) / (64 * batch * width * depth), lambda r: r**2 + 1)


@widest.misconception("gave tokens",
    "That is the number of patches. They fill a square: take the root, and count in pixels.")
def _(budget, fixed, patch, width, depth, batch):
    return longest((budget - fixed) / (64 * batch * width * depth), lambda r: r**2 + 1) ** 2


@widest.misconception("patches in one row", "You lay the patches in one row, r of them. A square picture has r · r.")
def _(budget, fixed, patch, width, depth, batch):
    return patch * longest((budget - fixed) / (64 * batch * width * depth), lambda r: r + 1)


@widest.misconception("forgot the fixed part",
    "You gave the whole budget to the activations. Subtract `fixed` first.")
def _(budget, fixed, patch, width, depth, batch):
    return patch * longest(budget / (64 * batch * width * depth), lambda r: r**2 + 1)


@widest.misconception("one picture", "You counted one picture. There are `batch` of them.")
def _(budget, fixed, patch, width, depth, batch):
    return patch * longest((budget - fixed) / (64 * width * depth), lambda r: r**2 + 1)


@widest.misconception("one block", "You counted one block. Each of the `depth` blocks keeps its own.")
def _(budget, fixed, patch, width, depth, batch):
    return patch * longest((budget - fixed) / (64 * batch * width), lambda r: r**2 + 1)


@widest.misconception("forgot the width", "You counted tokens and forgot that each has D numbers.")
def _(budget, fixed, patch, width, depth, batch):
    return patch * longest((budget - fixed) / (64 * batch * depth), lambda r: r**2 + 1)


@widest.misconception("4 bytes", "You took 4 bytes for each of B·S·D numbers: one tensor. A block keeps sixteen such "
    "tensors, 64 bytes.")
def _(budget, fixed, patch, width, depth, batch):
    return patch * longest((budget - fixed) / (4 * batch * width * depth), lambda r: r**2 + 1)


@widest.misconception("numbers for bytes",
    "You took 16 for each of B·S·D numbers: a block keeps sixteen such tensors, of 4 bytes a number. That is 64 bytes.")
def _(budget, fixed, patch, width, depth, batch):
    return patch * longest((budget - fixed) / (16 * batch * width * depth), lambda r: r**2 + 1)


@widest.misconception("bytes twice",
    "You multiplied 64 by 4. The 64 are bytes already: sixteen tensors of 4 bytes a number.")
def _(budget, fixed, patch, width, depth, batch):
    return patch * longest((budget - fixed) / (256 * batch * width * depth), lambda r: r**2 + 1)


@widest.misconception("patches of 16", "Right for patches of 16 pixels. `patch` says how large they are: use it.")
def _(budget, fixed, patch, width, depth, batch):
    return 16 * longest((budget - fixed) / (64 * batch * width * depth), lambda r: r**2 + 1)


@widest.misconception("CLS taken from the side",
    "You take CLS away after the root: a whole row and column less. Take it from the tokens, and then the root.")
def _(budget, fixed, patch, width, depth, batch):
    return patch * max(0, math.isqrt(max(0, int((budget - fixed) / (64 * batch * width * depth)))) - 1)


@widest.misconception("every side that fits",
    "You try every number of pixels. A side is a multiple of the patch: go in steps of `patch`.")
def _(budget, fixed, patch, width, depth, batch):
    row = longest((budget - fixed) / (64 * batch * width * depth), lambda r: r**2 + 1)
    return row * patch + patch - 1 if row else 0


@widest.misconception("stopped where nothing fits",
    "Where not even one patch fits your function raises an exception: your own, or that of `math.isqrt`, which takes "
    "no negative number. The answer is 0.")
def _(budget, fixed, patch, width, depth, batch):
    row = longest((budget - fixed) / (64 * batch * width * depth), lambda r: r**2 + 1)
    if not row:
        raise ValueError("nothing fits")
    return row * patch


@widest.misconception("mixed precision", "You took 36u, the sum for mixed precision. In float32 it is 64u.")
def _(budget, fixed, patch, width, depth, batch):
    return patch * longest((budget - fixed) / (36 * batch * width * depth), lambda r: r**2 + 1)


@widest.misconception("one patch too many", "Your side is the first that does *not* fit. Stop one step earlier.")
def _(budget, fixed, patch, width, depth, batch):
    return patch * (longest((budget - fixed) / (64 * batch * width * depth), lambda r: r**2 + 1) + 1)


@widest.misconception("one byte to spare", "Nearly: what fits to the byte fits. `<=`, not `<`.")
def _(budget, fixed, patch, width, depth, batch):
    return patch * longest((budget - fixed - 1) / (64 * batch * width * depth), lambda r: r**2 + 1)


@widest.misconception("rounded to the nearest",
    "You round the patches along a side to the nearest whole number. Half a patch more does not fit: round down.")
def _(budget, fixed, patch, width, depth, batch):
    return round(max(0, (budget - fixed) / (64 * batch * width * depth) - 1) ** 0.5) * patch


@widest.misconception("the root of a negative number",
    "Where nothing fits you take the root of a negative number, which is no whole number any more. Ask first whether "
    "one patch fits: if not, the answer is 0.")
def _(budget, fixed, patch, width, depth, batch):
    return int(((budget - fixed) / (64 * batch * width * depth) - 1) ** 0.5) * patch


@widest.misconception("no multiple of the patch",
    "Your side is no multiple of the patch. Round the patches along a side down, "
    "then multiply.")
def _(budget, fixed, patch, width, depth, batch):
    tokens = (budget - fixed) / (64 * batch * width * depth) - 1
    return int(patch * math.sqrt(max(tokens, 0)))


@widest.misconception("at least one patch", "You say one patch where not even that fits. Say 0 there.")
def _(budget, fixed, patch, width, depth, batch):
    return max(patch, patch * longest((budget - fixed) / (64 * batch * width * depth), lambda r: r**2 + 1))


@widest.misconception("a table of scores", "You added tables of S² scores. With fused attention there are none.")
def _(budget, fixed, patch, width, depth, batch):
    row = 0
    while fixed + batch * depth * (64 * ((row + 1) ** 2 + 1) * width + 4 * ((row + 1) ** 2 + 1) ** 2) <= budget:
        row += 1
    return row * patch
