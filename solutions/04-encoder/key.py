"""Chapter 4's key: every exercise with its answer, the misconceptions that learners have, and the words that help."""

import math
import random
from typing import Any

import torch
import torch.nn.functional as F

from autograde.exercises import Choice, Code, Misconception, Numeric, TrueFalse


def eighths(seed: int, *shape: int, largest: int = 16) -> torch.Tensor:
    """Numbers between −largest/8 and largest/8 in steps of 1/8: the same on every machine, to the last bit."""
    dice = random.Random(seed)
    return torch.tensor([dice.randint(-largest, largest) / 8 for _ in range(math.prod(shape))]).reshape(shape)


# ── 4.1 · Attention by hand ────────────────────────────────────────────────────────────────────────────────────────

scaled_score = Numeric(
    "scaled-score", title="One score by hand", points=1, difficulty=1, minutes=2,
    parameters=dict(a=6, b=2), parameter_values=dict(a=range(2, 27, 2), b=range(1, 13)),
    prompt="A query is (3, 0, {b}, 1), a key is ({a}, 7, 2, 4). How large is their **scaled** score, as it goes into "
    "the softmax?",
    answer=lambda a, b: (3 * a + 2 * b + 4) // 2,
    misconceptions=[
        Misconception("forgot the scale", lambda a, b: 3 * a + 2 * b + 4,
            "That is the dot product. Before the softmax it is divided by √d_k. How many numbers does a key have "
            "here?"),
        Misconception("divided by d_k", lambda a, b: (3 * a + 2 * b + 4) / 4,
            "You divided by d_k, the number of numbers in a key. Divide by its square root."),
        Misconception("multiplied by the scale", lambda a, b: 2 * (3 * a + 2 * b + 4),
            "You multiplied by √d_k. The scale makes scores smaller: divide."),
        Misconception("added everything up", lambda a, b: a + b + 17,
            "You added up all the numbers. A dot product multiplies the numbers in the same position, then adds."),
        Misconception("divided by the tokens", lambda a, b: (3 * a + 2 * b + 4) / math.sqrt(3),
            "You divided by √3. The scale depends on d_k, the numbers in a key, not on the number of tokens."),
        Misconception("counted the zero as one", lambda a, b: (3 * a + 2 * b + 11) / 2,
            "Look at the second position: 0 · 7 is 0."),
    ],
    hints=["Position by position: multiply, then add the four products.",
           "A key has d_k = 4 numbers, so the dot product is divided by √4."],
    why=lambda a, b: f"3·{a} + 0·7 + {b}·2 + 1·4 = {3 * a + 2 * b + 4}, and {3 * a + 2 * b + 4} / √4 = "
    f"{(3 * a + 2 * b + 4) // 2}.",
)

second_weight = Numeric(
    "second-weight", title="From scores to weights", points=1, difficulty=1, minutes=3, decimals=3,
    parameters=dict(a=2, b=0.5, c=1),
    parameter_values=dict(a=(1.5, 2, 2.5, 3), b=(0.2, 0.5, 0.8, 1.1, 1.4, 1.7, 2.0, 2.3, 2.6),
                          c=(0.6, 0.9, 1, 1.3, 1.6)),
    valid_if=lambda a, b, c: len({a, b, c}) == 3,
    prompt="A token's three scaled scores are {a}, {b} and {c}. Which attention weight does the **second** of the "
    "three tokens get? Use Python as your pocket calculator: `import math`, then `math.exp(…)`.",
    answer=lambda a, b, c: math.exp(b) / (math.exp(a) + math.exp(b) + math.exp(c)),
    misconceptions=[
        Misconception("no exponential", lambda a, b, c: b / (a + b + c),
            "You divided the score by the sum of the scores. The softmax raises e to the power of each score first."),
        Misconception("not divided", lambda a, b, c: math.exp(b),
            "That is e to the power of the score. Divide it by the sum over all three, so that the weights sum to 1."),
        Misconception("the first token", lambda a, b, c: math.exp(a) / (math.exp(a) + math.exp(b) + math.exp(c)),
            "That is the first token's weight."),
        Misconception("the third token", lambda a, b, c: math.exp(c) / (math.exp(a) + math.exp(b) + math.exp(c)),
            "That is the third token's weight."),
        Misconception("left itself out of the sum", lambda a, b, c: math.exp(b) / (math.exp(a) + math.exp(c)),
            "Your sum has two terms. It runs over all three tokens, the second one included."),
        Misconception("the same for all", 1 / 3, "A third each would be right if all scores were equal."),
    ],
    hints=["First `math.exp` of each of the three scores, then their sum.",
           "The weight is exp(second score) / (the sum of all three)."],
    why=lambda a, b, c: f"exp({b}) / (exp({a}) + exp({b}) + exp({c})) = {math.exp(b):.3f} / "
    f"{math.exp(a) + math.exp(b) + math.exp(c):.3f} = {math.exp(b) / (math.exp(a) + math.exp(b) + math.exp(c)):.3f}.",
)

# ── 4.2 · Attention in code ────────────────────────────────────────────────────────────────────────────────────────


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """softmax(Q Kᵀ / √d_k) V: [..., S, d_k] → [..., S, d_k], for S tokens of d_k numbers each.

    Any number of axes may stand in front, such as pictures and heads: each picture and head attends by itself.

    >>> values = torch.tensor([[2.0, 0.0], [4.0, 6.0]])
    >>> attention(torch.zeros(2, 2), torch.zeros(2, 2), values).tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5  # ... S S
    weights = scores.softmax(dim=-1)  # every row sums to 1
    return weights @ v  # ... S d_k


attend = Code(
    "attention", title="Your own attention", points=4, difficulty=2, minutes=10,
    prompt="Now write the whole formula as a function. It must also work when more axes stand in front, as in "
    "[pictures, heads, tokens, numbers]: each picture and each head attends by itself.",
    reference=attention,
    examples=[
        (torch.zeros(2, 2), torch.zeros(2, 2), torch.tensor([[2.0, 0.0], [4.0, 6.0]])),
        (
            torch.tensor([[1.0, 0, 2, 0], [0, 2, 0, 1], [0, 0, 0, 0]]),
            torch.tensor([[2.0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 2]]),
            torch.tensor([[10.0, 0, 0, 4], [0, 10, 0, 4], [0, 0, 10, 4]]),
        ),
        (eighths(1, 2, 3, 4, 2), eighths(2, 2, 3, 4, 2), eighths(3, 2, 3, 4, 2)),
        (eighths(22, 2, 3, 4), eighths(23, 2, 3, 4), eighths(24, 2, 3, 4)),
        # scores up to 1281: their exponentials overflow, and above the row's mean, too; below the largest of all
        # scores the other rows' are 0
        (torch.tensor([[32.0], [3], [0]]), torch.tensor([[40.0], [40.03125], [-40]]), torch.tensor([[1.0], [2], [4]])),
    ],
    checks={
        "one sequence": [
            (eighths(4, 5, 4), eighths(5, 5, 4), eighths(6, 5, 4)),
            (eighths(7, 3, 9), eighths(8, 3, 9), eighths(9, 3, 9)),
        ],
        "a batch": [(eighths(10, 3, 4, 6), eighths(11, 3, 4, 6), eighths(12, 3, 4, 6))],
        "a batch with heads": [(eighths(13, 2, 3, 7, 5), eighths(14, 2, 3, 7, 5), eighths(15, 2, 3, 7, 5))],
        "one token": [(eighths(16, 2, 1, 4), eighths(17, 2, 1, 4), eighths(18, 2, 1, 4))],
        "five axes": [(eighths(25, 2, 2, 3, 4, 5), eighths(26, 2, 2, 3, 4, 5), eighths(27, 2, 2, 3, 4, 5))],
        "large scores": [
            (80 * eighths(19, 4, 3), 80 * eighths(20, 4, 3), eighths(21, 4, 3)),
            (torch.tensor([[24.0, 0], [0, -24]]), torch.tensor([[16.0, 16], [16.125, 16.125]]), torch.eye(2)),
        ],
    },
    hints=[
        "Three lines: scores, weights, mixture. `@` multiplies matrices, and it leaves the axes in front alone.",
        "Kᵀ swaps the last two axes: `k.transpose(-2, -1)`. Counting from the back works for any number of axes.",
        "d_k is the number of numbers in a query, `q.shape[-1]`. The softmax runs over the keys, along the last axis.",
        "The examples pass but grading finds a mistake? Try a single token, five axes, and queries and keys a hundred "
        "times as large: torch's own `softmax` does not overflow.",
    ],
    why="Scores, weights, mixture: three lines, and the axes in front need no code of their own.",
)


@attend.alternative
def _(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


@attend.alternative
def _(q, k, v):
    scores = torch.einsum("...ih,...jh->...ij", q, k) * q.shape[-1] ** -0.5
    weights = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return torch.einsum("...ij,...jh->...ih", weights / weights.sum(dim=-1, keepdim=True), v)


@attend.alternative
def _(q, k, v):
    answers = []
    for i in range(q.shape[-2]):
        scores = (q[..., i : i + 1, :] * k).sum(dim=-1) / math.sqrt(k.shape[-1])
        answers.append((scores.softmax(dim=-1).unsqueeze(-1) * v).sum(dim=-2))
    return torch.stack(answers, dim=-2)


@attend.misconception("forgot the scale", "The scores go into the softmax as they are. Divide them by √d_k first.")
def _(q, k, v):
    return (q @ k.transpose(-2, -1)).softmax(dim=-1) @ v


@attend.misconception("divided by d_k", "You divide the scores by d_k. Divide them by its square root.")
def _(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[-1]).softmax(dim=-1) @ v


@attend.misconception("multiplied by the scale",
    "You multiply the scores by √d_k. Divide, so that they do not grow with d_k.")
def _(q, k, v):
    return (q @ k.transpose(-2, -1) * q.shape[-1] ** 0.5).softmax(dim=-1) @ v


@attend.misconception("scaled after the softmax",
    "You scale the weights instead of the scores: they no longer sum to 1. "
    "Divide first, then take the softmax.")
def _(q, k, v):
    return (q @ k.transpose(-2, -1)).softmax(dim=-1) / q.shape[-1] ** 0.5 @ v


@attend.misconception("√ of the number of tokens",
    "You divide by √S, the root of the number of tokens. The scale is √d_k, from "
    "the numbers in a key.")
def _(q, k, v):
    return (q @ k.transpose(-2, -1) / k.shape[-2] ** 0.5).softmax(dim=-1) @ v


@attend.misconception("d_k from the second axis",
    "Right for one sequence. With more axes, `shape[1]` is another size: d_k is the "
    "last axis, `shape[-1]`.")
def _(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[1] ** 0.5).softmax(dim=-1) @ v


@attend.misconception("softmax over the queries",
    "Your softmax runs over the queries, so columns sum to 1. Each *query* "
    "shares out its attention: take `dim=-1`.")
def _(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-2) @ v


@attend.misconception("softmax along axis 1",
    "Right for one sequence. With more axes, axis 1 counts the heads or the queries: the keys are the last axis, "
    "`dim=-1`.")
def _(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=1) @ v


@attend.misconception("lost the axis of the sums",
    "Your sums of the rows have lost their axis, and torch spreads them over the columns. Keep it: "
    "`sum(dim=-1, keepdim=True)`.")
def _(q, k, v):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    powers = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return powers / powers.sum(dim=-1) @ v


@attend.misconception("len(q) for d_k",
    "`len(q)` is the size of the first axis: the number of tokens, or of pictures. d_k is the last one, `q.shape[-1]`.")
def _(q, k, v):
    return (q @ k.transpose(-2, -1) / len(q) ** 0.5).softmax(dim=-1) @ v


@attend.misconception("reshaped the keys",
    "Kᵀ is a transpose, not a reshape: a reshape to [d_k, S] mixes the numbers of several keys. Take "
    "`k.transpose(-2, -1)`.")
def _(q, k, v):
    keys = k.reshape(*k.shape[:-2], k.shape[-1], k.shape[-2])
    return (q @ keys / q.shape[-1] ** 0.5).softmax(dim=-1) @ v


@attend.misconception("weights transposed",
    "Your weights are right, and then you transpose them. Row i mixes the values for token i: weights @ v.")
def _(q, k, v):
    weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1)
    return weights.transpose(-2, -1) @ v


@attend.misconception("softmax over the whole table",
    "All weights of your table together sum to 1. Each row must sum to 1 by "
    "itself: take `dim=-1` of the table as it is.")
def _(q, k, v):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    return scores.flatten(-2).softmax(dim=-1).reshape(scores.shape) @ v


@attend.misconception("no softmax",
    "You mix the values with the scores themselves. They can be negative and sum to anything: "
    "the softmax is missing.")
def _(q, k, v):
    return q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5 @ v


@attend.misconception("sigmoid",
    "A sigmoid squeezes each score by itself, and a row no longer sums to 1. A softmax shares 1 "
    "out among all keys.")
def _(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).sigmoid() @ v


@attend.misconception("returned the weights",
    "You return the weights, [..., S, S]. One step is missing: they mix the values.")
def _(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1)


@attend.misconception("queries and keys exchanged",
    "You compute K Qᵀ: every key asks and every query answers. The rows belong "
    "to the queries: Q Kᵀ.")
def _(q, k, v):
    return (k @ q.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1) @ v


@attend.misconception("mixed the keys",
    "Your weights are right, but they mix the keys. A key is only the label; what is handed "
    "over is the value.")
def _(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1) @ k


@attend.misconception("one sequence only",
    "Right for one sequence. With more axes, your transpose swaps other axes than the "
    "last two: count them from the back, -2 and -1.")
def _(q, k, v):
    return (q @ k.transpose(0, 1) / q.shape[-1] ** 0.5).softmax(dim=-1) @ v


@attend.misconception("one maximum for all rows",
    "You subtract the largest of all scores. In a row of much smaller ones every exponential is then 0, and 0 / 0 is "
    "not a number. Subtract each row's own largest score, or let `softmax` do it.")
def _(q, k, v):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    weights = (scores - scores.max()).exp()
    return weights / weights.sum(dim=-1, keepdim=True) @ v


@attend.misconception("subtracted the mean",
    "You subtract the mean of each row. Where one score lies far above it, its exponential is infinite all the same. "
    "Subtract each row's largest score, so that no exponential is above 1.")
def _(q, k, v):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    weights = (scores - scores.mean(dim=-1, keepdim=True)).exp()
    return weights / weights.sum(dim=-1, keepdim=True) @ v


@attend.misconception("a mask, as in GPT",
    "Your tokens take only from themselves and from those before them. That is GPT's mask. In a ViT all tokens see all "
    "tokens.")
def _(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


@attend.misconception("softmax twice",
    "Your weights go through a softmax twice. Once, a row sums to 1 already; the second time only makes it more even.")
def _(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1).softmax(dim=-1) @ v


@attend.misconception("overflow",
    "Right for small scores. For large ones your exponential is infinite, and infinity divided by "
    "infinity is not a number. `softmax` takes care of that; so does subtracting each row's largest score first.")
def _(q, k, v):
    weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).exp()
    return weights / weights.sum(dim=-1, keepdim=True) @ v


columns_sum = TrueFalse(
    "columns-sum", title="Rows and columns", points=1, difficulty=1, minutes=1,
    prompt="“In a table of attention weights, every **column** sums to 1, too.”",
    answer=False,
    misconception="Each row is one softmax, so each row sums to 1. Look at the table of the three tokens: what do its "
    "columns sum to?",
    hints=["Add up the first column of the weights of the three tokens."],
    why="Each token shares out exactly 1, so rows sum to 1. A column sums to what all tokens take from one: some are "
    "looked at by everybody, others by nobody.",
)

# ── 4.3 · Why the scale ────────────────────────────────────────────────────────────────────────────────────────────

score_spread = Numeric(
    "score-spread", title="How far scores spread", points=1, difficulty=2, minutes=2,
    parameters=dict(d_k=256), parameter_values=dict(d_k=[n * n for n in range(5, 41)]),
    prompt="The numbers in queries and keys are independent, with mean 0 and variance 1. The head dimension is "
    "d_k = {d_k}. What is the **standard deviation** of a score q·k that has *not* been scaled?",
    answer=lambda d_k: math.isqrt(d_k),
    misconceptions=[
        Misconception("gave the variance", lambda d_k: d_k,
            "That is the variance. The standard deviation is its square root."),
        Misconception("as if it were scaled", 1, "That is what the scale makes of it. The question is about the score "
            "before that."),
        Misconception("turned it round", lambda d_k: 1 / math.isqrt(d_k),
            "Adding up more products makes a sum spread more, not less."),
        Misconception("squared", lambda d_k: d_k * d_k, "You squared where a root is needed: d_k variances of 1 add up "
            "to d_k."),
        Misconception("halved",
            lambda d_k: d_k / 2, "Half of d_k is right for d_k = 4 only. Variances add up; then take the root."),
    ],
    hints=["Each product of two such numbers has mean 0 and variance 1. How many products does a dot product add up?",
           "Variances of independent numbers add. The standard deviation is the root of the variance."],
    why=lambda d_k: f"{d_k} products with variance 1 each: variance {d_k}, standard deviation √{d_k} = "
    f"{math.isqrt(d_k)}. Dividing by √d_k brings it back to 1.",
)

# ── 4.4 · Heads ────────────────────────────────────────────────────────────────────────────────────────────────────


def multi_head_attention(
    x: torch.Tensor,
    qkv_weight: torch.Tensor,
    qkv_bias: torch.Tensor,
    out_weight: torch.Tensor,
    out_bias: torch.Tensor,
    heads: int,
) -> torch.Tensor:
    """Self-attention in several heads: [B, S, D] → [B, S, D].

    qkv_weight [3D, D] and qkv_bias [3D]: the rows of q, then those of k, then those of v. In each of the three,
    the first D / heads numbers belong to the first head. out_weight [D, D], out_bias [D]: the output projection.
    """
    batch, tokens, width = x.shape
    q, k, v = F.linear(x, qkv_weight, qkv_bias).chunk(3, dim=-1)  # B S D, each
    q, k, v = (part.reshape(batch, tokens, heads, -1).transpose(1, 2) for part in (q, k, v))  # B h S d_k, each
    mixed = attention(q, k, v)  # B h S d_k
    joined = mixed.transpose(1, 2).reshape(batch, tokens, width)  # B S D
    return F.linear(joined, out_weight, out_bias)


def heads_case(seed: int, batch: int, tokens: int, width: int, heads: int, bias: bool = True) -> tuple:
    """Arguments of multi_head_attention."""
    parts = [eighths(seed, batch, tokens, width), eighths(seed + 1, 3 * width, width, largest=6)]
    parts += [bias * eighths(seed + 2, 3 * width), eighths(seed + 3, width, width, largest=6)]
    return *parts, bias * eighths(seed + 4, width), heads


several = Code(
    "multi-head-attention", title="Your own multi-head attention", points=5, difficulty=3, minutes=15,
    prompt="Put the five steps together. Your function may call your `attention`. (If that is not finished yet, "
    "`F.scaled_dot_product_attention(q, k, v)` stands in for it.)",
    reference=multi_head_attention,
    examples=[heads_case(100, 1, 3, 6, 3, bias=False), heads_case(110, 2, 4, 8, 2)],
    checks={
        "two heads, no biases": [heads_case(120, 1, 5, 8, 2, bias=False), heads_case(130, 1, 4, 6, 2, bias=False)],
        "one head": [heads_case(140, 1, 4, 5, 1, bias=False)],
        "biases": [heads_case(150, 1, 5, 6, 2)],
        "a batch of pictures": [heads_case(160, 3, 4, 6, 2), heads_case(170, 2, 7, 4, 2)],
        "many narrow heads": [heads_case(180, 2, 3, 8, 8), heads_case(190, 1, 5, 12, 4)],
    },
    hints=[
        "`F.linear(x, qkv_weight, qkv_bias)` is x Wᵀ + b: [B, S, 3D]. `.chunk(3, dim=-1)` cuts it into q, k and v.",
        "To split: `reshape(B, S, heads, D // heads)`, then swap tokens and heads with `transpose(1, 2)`.",
        "To join: swap heads and tokens again, *then* reshape to [B, S, D]. Last comes the output projection.",
        "The examples pass but grading finds a mistake? Compare with `heads=1`, where nothing is split, and with two "
        "pictures at once: each must give what it gives alone.",
    ],
    why="One map to q, k and v, split, attend, join, and one more map that mixes what the heads found.",
)


@several.alternative
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    q, k, v = (x @ qkv_weight.T + qkv_bias).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2) @ out_weight.T + out_bias


@several.alternative
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    width = x.shape[-1] // heads
    found = []
    for head in range(heads):
        rows = [slice(part * x.shape[-1] + head * width, part * x.shape[-1] + (head + 1) * width) for part in range(3)]
        q, k, v = (x @ qkv_weight[some].T + qkv_bias[some] for some in rows)
        found.append((q @ k.mT / width**0.5).softmax(-1) @ v)
    return torch.cat(found, dim=-1) @ out_weight.T + out_bias


@several.misconception("one head", "You attend once, over all D numbers. Split q, k and v into heads first.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    return F.linear(attention(*F.linear(x, qkv_weight, qkv_bias).chunk(3, -1)), out_weight, out_bias)


@several.misconception("split without transpose",
    "You reshape straight to [B, h, S, d_k]. A reshape never moves a number, so "
    "your heads hold pieces of several tokens. Reshape to [B, S, h, d_k], then swap axes 1 and 2.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (part.reshape(B, heads, N, -1) for part in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    return F.linear(attention(q, k, v).transpose(1, 2).reshape(B, N, d), out_weight, out_bias)


@several.misconception("joined without transpose",
    "Split and attention are right. But you reshape [B, h, S, d_k] straight to "
    "[B, S, D], and tokens get mixed up. Swap heads and tokens first.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (p.reshape(B, N, heads, -1).transpose(1, 2) for p in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    return F.linear(attention(q, k, v).reshape(B, N, d), out_weight, out_bias)


@several.misconception("neither transpose",
    "You reshape to [B, h, S, d_k] and back without a transpose. Shapes fit, but a "
    "head then holds pieces of several tokens. Swap heads and tokens on both ways.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (part.reshape(B, heads, N, -1) for part in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    return F.linear(attention(q, k, v).reshape(B, N, d), out_weight, out_bias)


@several.misconception("heads attend across tokens' axis",
    "You left the heads behind the tokens, [B, S, h, d_k]: now "
    "the heads of one token attend to each other, and tokens never meet. Swap the two axes before you "
    "attend.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (p.reshape(B, N, heads, -1) for p in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    return F.linear(attention(q, k, v).reshape(B, N, d), out_weight, out_bias)


@several.misconception("no output projection",
    "The heads are joined as they should be. What is missing is the last step, the "
    "output projection that mixes them.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (p.reshape(B, N, heads, -1).transpose(1, 2) for p in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    return attention(q, k, v).transpose(1, 2).reshape(B, N, d)


@several.misconception("no output bias", "The output projection has a bias, out_bias, and you left it out.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (p.reshape(B, N, heads, -1).transpose(1, 2) for p in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    return F.linear(attention(q, k, v).transpose(1, 2).reshape(B, N, d), out_weight)


@several.misconception("no qkv bias", "You left out qkv_bias when you made q, k and v.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (p.reshape(B, N, heads, -1).transpose(1, 2) for p in F.linear(x, qkv_weight).chunk(3, -1))
    return F.linear(attention(q, k, v).transpose(1, 2).reshape(B, N, d), out_weight, out_bias)


@several.misconception("no bias at all", "Both linear maps have a bias, qkv_bias and out_bias. You left out both.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (p.reshape(B, N, heads, -1).transpose(1, 2) for p in F.linear(x, qkv_weight).chunk(3, -1))
    return F.linear(attention(q, k, v).transpose(1, 2).reshape(B, N, d), out_weight)


@several.misconception("out_weight not transposed",
    "`joined @ out_weight` takes the weight the wrong way round, and because it "
    "is square, no shape complains. A linear layer is x Wᵀ + b: use `F.linear`, or `out_weight.T`.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (p.reshape(B, N, heads, -1).transpose(1, 2) for p in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    return attention(q, k, v).transpose(1, 2).reshape(B, N, d) @ out_weight + out_bias


@several.misconception("qkv_weight not transposed",
    "Every call ends in a RuntimeError about shapes; call your function by hand "
    "to read it. Two usual causes: `x @ qkv_weight` needs the transpose, `qkv_weight.T` (or `F.linear`). Or "
    "a `view` behind a transpose: take `reshape`.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    return x @ qkv_weight + qkv_bias


@several.misconception("q and k exchanged",
    "Your first third is taken for k and your second for q. The rows of qkv_weight come "
    "in the order q, k, v.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    k, q, v = (p.reshape(B, N, heads, -1).transpose(1, 2) for p in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    return F.linear(attention(q, k, v).transpose(1, 2).reshape(B, N, d), out_weight, out_bias)


@several.misconception("k and v exchanged",
    "Your second third is taken for v and your third for k. The rows of qkv_weight come "
    "in the order q, k, v.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, v, k = (p.reshape(B, N, heads, -1).transpose(1, 2) for p in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    return F.linear(attention(q, k, v).transpose(1, 2).reshape(B, N, d), out_weight, out_bias)


@several.misconception("heads before q, k, v",
    "You cut the 3D numbers into heads first, and each head into q, k and v. Here it "
    "is the other way round: first three parts, then heads.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    q, k, v = F.linear(x, qkv_weight, qkv_bias).unflatten(-1, (heads, 3, -1)).permute(3, 0, 2, 1, 4)
    return F.linear(attention(q, k, v).transpose(1, 2).flatten(2), out_weight, out_bias)


@several.misconception("heads interleaved",
    "You deal the numbers out to the heads one by one, like cards: [B, S, d_k, h]. A "
    "head takes a run of neighbours: [B, S, h, d_k].")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    q, k, v = F.linear(x, qkv_weight, qkv_bias).unflatten(-1, (3, -1, heads)).permute(2, 0, 4, 1, 3)
    return F.linear(attention(q, k, v).permute(0, 2, 3, 1).flatten(2), out_weight, out_bias)


@several.misconception("d_k and h exchanged",
    "You split D into d_k groups of h numbers. It is h heads of d_k numbers: `reshape(B, S, heads, D // heads)`.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    parts = F.linear(x, qkv_weight, qkv_bias).chunk(3, -1)
    q, k, v = (part.reshape(B, N, d // heads, heads).transpose(1, 2) for part in parts)
    return F.linear(attention(q, k, v).transpose(1, 2).reshape(B, N, d), out_weight, out_bias)


@several.misconception("the sizes of the example",
    "Right for heads of 2 numbers, as in the cell above that splits 6 numbers. In general a head has D // heads.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (p.reshape(B, N, heads, 2).transpose(1, 2) for p in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    return F.linear(attention(q, k, v).transpose(1, 2).reshape(B, N, d), out_weight, out_bias)


@several.misconception("not scaled", "Split and join are right. The scores of each head are not divided by √d_k.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (p.reshape(B, N, heads, -1).transpose(1, 2) for p in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    mixed = (q @ k.mT).softmax(-1) @ v
    return F.linear(mixed.transpose(1, 2).reshape(B, N, d), out_weight, out_bias)


@several.misconception("scaled with the whole width",
    "Your scores are divided by √D. Each head has only d_k = D / h numbers, "
    "so its scale is √d_k.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (p.reshape(B, N, heads, -1).transpose(1, 2) for p in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    mixed = (q @ k.mT / d**0.5).softmax(-1) @ v
    return F.linear(mixed.transpose(1, 2).reshape(B, N, d), out_weight, out_bias)


@several.misconception("scaled twice",
    "Your scores are scaled twice: both you and the attention that you call divide by √d_k. Leave it to one of the "
    "two.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (p.reshape(B, N, heads, -1).transpose(1, 2) for p in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    mixed = attention(q / (d // heads) ** 0.5, k, v)
    return F.linear(mixed.transpose(1, 2).reshape(B, N, d), out_weight, out_bias)


@several.misconception("softmax over the heads",
    "Your softmax runs over the heads, so that they share out one weight. Each head has a softmax of its own, over the "
    "keys: `dim=-1`.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (p.reshape(B, N, heads, -1).transpose(1, 2) for p in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    mixed = (q @ k.mT / (d // heads) ** 0.5).softmax(1) @ v
    return F.linear(mixed.transpose(1, 2).reshape(B, N, d), out_weight, out_bias)


@several.misconception("added x",
    "You add x to the result. That is the residual connection, and it belongs to the block; this "
    "function is the attention alone.")
def _(x, qkv_weight, qkv_bias, out_weight, out_bias, heads):
    B, N, d = x.shape
    q, k, v = (p.reshape(B, N, heads, -1).transpose(1, 2) for p in F.linear(x, qkv_weight, qkv_bias).chunk(3, -1))
    return x + F.linear(attention(q, k, v).transpose(1, 2).reshape(B, N, d), out_weight, out_bias)


# ── 4.5 · The block ────────────────────────────────────────────────────────────────────────────────────────────────

zero_branches = Choice(
    "zero-branches", title="A block that adds nothing", points=1, difficulty=2, minutes=2,
    prompt="In a pre-norm block you set two linear layers to zero, weights and biases: the attention's output "
    "projection, and the second one of the MLP. What does the block give back?",
    options={
        "Zeros: the last layer of each branch gives zeros.":
            "Each branch gives zeros, yes. And what are they added to?",
        "Its input, normalised.":
            "That would be post-norm, where the norm sits on the sum. In pre-norm, only the branches read the "
            "normalised tokens.",
        "Exactly its input.": None,
        "The mean of all tokens, for every token.":
            "Attention with equal weights would give means. Here nothing that attention finds leaves its branch.",
    },
    hints=["Write down the two lines of the block, and put 0 for what each branch adds."],
    why="z + 0 + 0 = z. Fresh blocks have small weights and are close to this, so even a deep stack starts as a "
    "gentle change of its input.",
)


def encoder_block(x: torch.Tensor, weights: dict[str, torch.Tensor], heads: int) -> torch.Tensor:
    """A pre-norm encoder block: [B, S, D] → [B, S, D].

    x = x + attention(norm1(x)), then x = x + mlp(norm2(x)), with the exact GELU, and eps 1e-6 in both norms.
    weights: norm1.weight, norm1.bias, attn.qkv.weight, attn.qkv.bias, attn.proj.weight, attn.proj.bias,
    norm2.weight, norm2.bias, mlp.fc1.weight, mlp.fc1.bias, mlp.fc2.weight, mlp.fc2.bias.
    """
    w, width = weights, x.shape[-1:]
    normed = F.layer_norm(x, width, w["norm1.weight"], w["norm1.bias"], eps=1e-6)
    qkv, proj = (w["attn.qkv.weight"], w["attn.qkv.bias"]), (w["attn.proj.weight"], w["attn.proj.bias"])
    x = x + multi_head_attention(normed, *qkv, *proj, heads)
    normed = F.layer_norm(x, width, w["norm2.weight"], w["norm2.bias"], eps=1e-6)
    hidden = F.gelu(F.linear(normed, w["mlp.fc1.weight"], w["mlp.fc1.bias"]))  # B S 4D
    return x + F.linear(hidden, w["mlp.fc2.weight"], w["mlp.fc2.bias"])


def block_case(seed: int, batch: int, tokens: int, width: int, heads: int, **how: float) -> tuple:
    """Arguments of encoder_block. With `plain`, norms and biases are as in a fresh model: ones and zeros.

    With `quiet`, what attention adds is as small as tokens of that scale, so that both norms read tiny numbers.
    """
    hidden = int(how.get("ratio", 4) * width)
    shapes = {
        "norm1.weight": (width,), "norm1.bias": (width,),
        "attn.qkv.weight": (3 * width, width), "attn.qkv.bias": (3 * width,),
        "attn.proj.weight": (width, width), "attn.proj.bias": (width,),
        "norm2.weight": (width,), "norm2.bias": (width,),
        "mlp.fc1.weight": (hidden, width), "mlp.fc1.bias": (hidden,),
        "mlp.fc2.weight": (width, hidden), "mlp.fc2.bias": (width,),
    }  # fmt: skip
    weights = {name: eighths(seed + i, *shape, largest=6) for i, (name, shape) in enumerate(shapes.items())}
    if how.get("plain"):
        for name, tensor in weights.items():
            if tensor.ndim == 1:
                weights[name] = torch.ones(width) if name in ("norm1.weight", "norm2.weight") else 0 * tensor
    for name in ("attn.proj.weight", "attn.proj.bias"):
        weights[name] = how.get("quiet", 1) * weights[name]
    return how.get("scale", 1) * eighths(seed + 50, batch, tokens, width), weights, heads


block = Code(
    "encoder-block", title="Your own encoder block", points=5, difficulty=3, minutes=15,
    prompt="The whole block, with weights from a dictionary. The names are those of timm, the library whose "
    "checkpoints most people load, so your block can run with weights that others have trained: `attn.proj` is the "
    "output projection, `mlp.fc1` and `mlp.fc2` are the two layers of the MLP. Your block may call your "
    "`multi_head_attention`. (If that is not finished yet, `from vitlib.vit.functional import multi_head_attention`.)",
    reference=encoder_block,
    examples=[
        block_case(200, 1, 3, 4, 2, plain=1), block_case(300, 2, 4, 6, 3, ratio=2),
        block_case(350, 1, 3, 4, 2, scale=2**-9, quiet=2**-9),
    ],
    checks={
        "a fresh block": [block_case(400, 1, 4, 6, 2, plain=1), block_case(500, 1, 5, 8, 4, plain=1)],
        "trained norms and biases": [block_case(600, 1, 4, 6, 2), block_case(700, 1, 3, 8, 2)],
        "a batch of pictures": [block_case(800, 3, 4, 6, 3), block_case(900, 2, 6, 4, 1)],
        "another hidden width": [block_case(1000, 1, 4, 6, 2, ratio=2)],
        "tokens of tiny numbers": [
            block_case(1100, 1, 4, 6, 2, scale=2**-9), block_case(1200, 1, 4, 6, 2, scale=2**-9, quiet=2**-9),
        ],
    },
    hints=[
        "`F.layer_norm(x, x.shape[-1:], weight, bias, eps=1e-6)` normalises each token over its D numbers.",
        "Two lines, as in the formula: `x = x + …`, and again `x = x + …`. The second one works on the new x.",
        "The MLP is `F.linear`, `F.gelu`, `F.linear`. `F.gelu(x)` without further arguments is the exact one.",
        "The examples pass but grading finds a mistake? Three things that only some inputs show: the eps of the norms "
        "(default 1e-5, here 1e-6), a hidden layer that is not 4D wide, and norm2, which has weights of its own.",
    ],
    why="Normalise, attend, add; normalise, MLP, add. A ViT is this block, stacked.",
)


def norm(x: torch.Tensor, w: dict[str, torch.Tensor], name: str, eps: float = 1e-6) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)


def norm_by_hand(x: torch.Tensor, w: dict[str, torch.Tensor], name: str, **how: Any) -> torch.Tensor:
    """A norm as learners write it, with one thing about it that is wrong."""
    over = how.get("over", (-1,))
    mean, variance = x.mean(over, keepdim=True), x.var(over, keepdim=True, unbiased=how.get("unbiased", False))
    root = variance.sqrt() + 1e-6 if how.get("outside") else (variance + 1e-6).sqrt()
    return (x - mean) / root * w[f"{name}.weight"] + w[f"{name}.bias"]


def attn(x: torch.Tensor, w: dict[str, torch.Tensor], heads: int) -> torch.Tensor:
    names = ("attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight", "attn.proj.bias")
    return multi_head_attention(x, *(w[name] for name in names), heads)


def mlp(x: torch.Tensor, w: dict[str, torch.Tensor], bend=F.gelu) -> torch.Tensor:
    return F.linear(bend(F.linear(x, w["mlp.fc1.weight"], w["mlp.fc1.bias"])), w["mlp.fc2.weight"], w["mlp.fc2.bias"])


@block.alternative
def _(x, weights, heads):
    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def normal(x, name):
        x = x - x.mean(dim=-1, keepdim=True)
        x = x / (x.var(dim=-1, keepdim=True, unbiased=False) + 1e-6).sqrt()
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    q, k, v = linear(normal(x, "norm1"), "attn.qkv").unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    x = x + linear(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2), "attn.proj")
    h = linear(normal(x, "norm2"), "mlp.fc1")
    return x + linear(h * (1 + torch.erf(h / 2**0.5)) / 2, "mlp.fc2")


@block.alternative
def _(x, weights, heads):
    from vitlib.vit.encoder import Block

    block = Block(x.shape[-1], heads, mlp_ratio=len(weights["mlp.fc1.bias"]) / x.shape[-1])
    block.load_state_dict(weights)
    return block(x)


@block.misconception("post-norm",
    "You add first and normalise the sum: that is post-norm, as in BERT. ViT normalises what each "
    "branch *reads*, and leaves the sum alone.")
def _(x, weights, heads):
    x = norm(x + attn(x, weights, heads), weights, "norm1")
    return norm(x + mlp(x, weights), weights, "norm2")


@block.misconception("no residual around attention", "The attention branch replaces x instead of being added to it.")
def _(x, weights, heads):
    x = attn(norm(x, weights, "norm1"), weights, heads)
    return x + mlp(norm(x, weights, "norm2"), weights)


@block.misconception("no residual around the MLP",
    "You return what the MLP gives. Add it to what the MLP branch started from.")
def _(x, weights, heads):
    x = x + attn(norm(x, weights, "norm1"), weights, heads)
    return mlp(norm(x, weights, "norm2"), weights)


@block.misconception("no residuals", "Neither branch is added to its input: both lines need `x = x + …`.")
def _(x, weights, heads):
    return mlp(norm(attn(norm(x, weights, "norm1"), weights, heads), weights, "norm2"), weights)


@block.misconception("norm1 twice",
    "Right for a fresh block. A trained one has two norms with weights of their own: the MLP "
    "branch reads norm2.")
def _(x, weights, heads):
    x = x + attn(norm(x, weights, "norm1"), weights, heads)
    return x + mlp(norm(x, weights, "norm1"), weights)


@block.misconception("no norm before the MLP", "The MLP reads x as it is. Normalise it with norm2 first.")
def _(x, weights, heads):
    x = x + attn(norm(x, weights, "norm1"), weights, heads)
    return x + mlp(x, weights)


@block.misconception("no norm before attention", "Attention reads x as it is. Normalise it with norm1 first.")
def _(x, weights, heads):
    x = x + attn(x, weights, heads)
    return x + mlp(norm(x, weights, "norm2"), weights)


@block.misconception("no norms", "Neither branch normalises what it reads: norm1 and norm2 are not used.")
def _(x, weights, heads):
    x = x + attn(x, weights, heads)
    return x + mlp(x, weights)


@block.misconception("normalised the residual",
    "Your sum starts from the normalised x. The residual connection carries x "
    "itself: `x + branch(norm(x))`.")
def _(x, weights, heads):
    x = norm(x, weights, "norm1")
    x = x + attn(x, weights, heads)
    x = norm(x, weights, "norm2")
    return x + mlp(x, weights)


@block.misconception("both branches read the input",
    "Your MLP reads the block's input. It should read the sum that the "
    "attention branch has just made.")
def _(x, weights, heads):
    return x + attn(norm(x, weights, "norm1"), weights, heads) + mlp(norm(x, weights, "norm2"), weights)


@block.misconception("attention's sum is lost",
    "Your last line adds the MLP to the block's *input*, and what attention found "
    "is lost. Add it to the sum of the first line.")
def _(x, weights, heads):
    middle = x + attn(norm(x, weights, "norm1"), weights, heads)
    return x + mlp(norm(middle, weights, "norm2"), weights)


@block.misconception("MLP before attention", "The MLP comes first in your block. Attention comes first, then the MLP.")
def _(x, weights, heads):
    x = x + mlp(norm(x, weights, "norm2"), weights)
    return x + attn(norm(x, weights, "norm1"), weights, heads)


@block.misconception("ReLU", "You use ReLU. ViT uses GELU: `F.gelu`.")
def _(x, weights, heads):
    x = x + attn(norm(x, weights, "norm1"), weights, heads)
    return x + mlp(norm(x, weights, "norm2"), weights, F.relu)


@block.misconception("no activation",
    "There is no activation function between the two linear layers, so together they are a single "
    "linear map. `F.gelu` goes between.")
def _(x, weights, heads):
    x = x + attn(norm(x, weights, "norm1"), weights, heads)
    return x + mlp(norm(x, weights, "norm2"), weights, lambda hidden: hidden)


@block.misconception("GELU's approximation",
    "Very nearly: your GELU is the tanh approximation. The exact one is needed, "
    "`F.gelu(x)` without further arguments.")
def _(x, weights, heads):
    x = x + attn(norm(x, weights, "norm1"), weights, heads)
    return x + mlp(norm(x, weights, "norm2"), weights, lambda hidden: F.gelu(hidden, approximate="tanh"))


@block.misconception("torch's eps",
    "Right except for tokens of tiny numbers: there the eps of the norms matters. torch's "
    "default is 1e-5, ViT's is 1e-6.")
def _(x, weights, heads):
    x = x + attn(norm(x, weights, "norm1", 1e-5), weights, heads)
    return x + mlp(norm(x, weights, "norm2", 1e-5), weights)


@block.misconception("torch's eps in norm1",
    "Right except for tokens of tiny numbers: your norm2 has the eps of ViT, 1e-6, and your norm1 has torch's default, "
    "1e-5.")
def _(x, weights, heads):
    x = x + attn(norm(x, weights, "norm1", 1e-5), weights, heads)
    return x + mlp(norm(x, weights, "norm2"), weights)


@block.misconception("torch's eps in norm2",
    "Right except for tokens of tiny numbers: your norm1 has the eps of ViT, 1e-6, and your norm2 has torch's default, "
    "1e-5.")
def _(x, weights, heads):
    x = x + attn(norm(x, weights, "norm1"), weights, heads)
    return x + mlp(norm(x, weights, "norm2", 1e-5), weights)


@block.misconception("no eps",
    "Right except for tokens of tiny numbers: there the eps of the norms matters, 1e-6, and yours is much smaller or "
    "missing.")
def _(x, weights, heads):
    x = x + attn(norm(x, weights, "norm1", 0.0), weights, heads)
    return x + mlp(norm(x, weights, "norm2", 0.0), weights)


@block.misconception("norms what a branch gives",
    "You normalise what a branch gives, before it is added. In pre-norm the norm stands at the branch's entry: "
    "`x + attention(norm1(x))`.")
def _(x, weights, heads):
    x = x + norm(attn(x, weights, heads), weights, "norm1")
    return x + norm(mlp(x, weights), weights, "norm2")


@block.misconception("divided by D − 1",
    "Your norms divide the sum of squares by D − 1, as `var` does unless told otherwise. A LayerNorm divides by D: "
    "`var(dim=-1, unbiased=False)`, or `F.layer_norm`.")
def _(x, weights, heads):
    x = x + attn(norm_by_hand(x, weights, "norm1", unbiased=True), weights, heads)
    return x + mlp(norm_by_hand(x, weights, "norm2", unbiased=True), weights)


@block.misconception("eps outside of the root",
    "Right except for tokens of tiny numbers: your eps is added to the standard deviation. It is added to the "
    "variance, below the root.")
def _(x, weights, heads):
    x = x + attn(norm_by_hand(x, weights, "norm1", outside=True), weights, heads)
    return x + mlp(norm_by_hand(x, weights, "norm2", outside=True), weights)


@block.misconception("the width of the example",
    "Right for tokens of 4 numbers, as in the cell above that normalises one. In general a token has D: give the norm "
    "`x.shape[-1:]`.")
def _(x, weights, heads):
    normed = F.layer_norm(x, (4,), weights["norm1.weight"], weights["norm1.bias"], eps=1e-6)
    x = x + attn(normed, weights, heads)
    normed = F.layer_norm(x, (4,), weights["norm2.weight"], weights["norm2.bias"], eps=1e-6)
    return x + mlp(normed, weights)


@block.misconception("one mean for the whole sequence",
    "Your norms take the mean over all tokens of a picture. Each token is normalised by itself, over its own D "
    "numbers: `dim=-1`.")
def _(x, weights, heads):
    x = x + attn(norm_by_hand(x, weights, "norm1", over=(-2, -1)), weights, heads)
    return x + mlp(norm_by_hand(x, weights, "norm2", over=(-2, -1)), weights)


@block.misconception("norms exchanged", "norm2 stands before your attention, and norm1 before your MLP. Exchange them.")
def _(x, weights, heads):
    x = x + attn(norm(x, weights, "norm2"), weights, heads)
    return x + mlp(norm(x, weights, "norm1"), weights)


@block.misconception("one head", "You attend with one head, whatever `heads` says. Hand it on.")
def _(x, weights, heads):
    x = x + attn(norm(x, weights, "norm1"), weights, 1)
    return x + mlp(norm(x, weights, "norm2"), weights)


@block.misconception("no biases in the MLP", "Both linear layers of the MLP have a bias, and you left them out.")
def _(x, weights, heads):
    x = x + attn(norm(x, weights, "norm1"), weights, heads)
    hidden = F.gelu(norm(x, weights, "norm2") @ weights["mlp.fc1.weight"].T)
    return x + hidden @ weights["mlp.fc2.weight"].T


@block.misconception("norms without weights",
    "Right for a fresh block. In a trained one the norms have a weight and a bias, "
    "and you leave them out.")
def _(x, weights, heads):
    x = x + attn(F.layer_norm(x, x.shape[-1:], eps=1e-6), weights, heads)
    return x + mlp(F.layer_norm(x, x.shape[-1:], eps=1e-6), weights)


block_parameters = Numeric(
    "block-parameters", title="The parameters of one block", points=2, difficulty=2, minutes=5,
    parameters=dict(d=512), parameter_values=dict(d=range(128, 2049, 32)),
    prompt="How many parameters does **one** encoder block have at embedding dimension D = {d}? The MLP's hidden layer "
    "has 4D numbers. Every linear layer has a bias, and each of the two norms has a weight and a bias.",
    answer=lambda d: 12 * d * d + 13 * d,
    misconceptions=[
        Misconception("matrices only", lambda d: 12 * d * d,
            "Those are the matrices. Biases and norms are missing: count them line by line."),
        Misconception("forgot the norms", lambda d: 12 * d * d + 9 * d,
            "Nearly: the two norms are missing. Each has a weight and a bias of D numbers."),
        Misconception("one norm", lambda d: 12 * d * d + 11 * d,
            "Nearly: you counted one norm, and the block has two."),
        Misconception("forgot the output projection", lambda d: 11 * d * d + 12 * d,
            "The output projection that mixes the heads is missing: D × D, and its bias."),
        Misconception("attention only", lambda d: 4 * d * d + 4 * d,
            "That is the attention: q, k, v and the output projection. The MLP and the norms are missing."),
        Misconception("MLP only", lambda d: 8 * d * d + 5 * d,
            "That is the MLP. Attention and the norms are missing."),
        Misconception("forgot the biases", lambda d: 12 * d * d + 4 * d,
            "You counted matrices and norms. The linear layers' biases are missing: 3D, D, 4D and D."),
        Misconception("hidden width d", lambda d: 6 * d * d + 10 * d,
            "You took D for the hidden layer of the MLP. It has 4D numbers."),
    ],
    hints=["Line by line: qkv is a linear layer from D to 3D, proj from D to D, fc1 from D to 4D, fc2 from 4D to D.",
           "A linear layer from a to b has a·b numbers in its matrix and b in its bias.",
           "Matrices: 3D² + D² + 4D² + 4D². Biases: 3D + D + 4D + D. And the norms: 2 · 2D."],
    why=lambda d: f"12D² + 13D = 12 · {d * d} + 13 · {d} = {12 * d * d + 13 * d:,}. The number of heads does not "
    "appear in it.",
)

# ── 4.6 · Where a trained model looks ────────────────────────────────────────────────────────────────────────────

mean_distance = Numeric(
    "mean-distance", title="How far does it look?", points=1, difficulty=2, minutes=3, decimals=1,
    parameters=dict(patch=16, a=40, b=30, c=20),
    parameter_values=dict(patch=(8, 12, 14, 16, 20, 32), a=range(30, 61, 5), b=range(15, 36, 5), c=(10, 15, 20)),
    valid_if=lambda patch, a, b, c: a + b + c < 100,
    prompt=lambda patch, a, b, c: f"Four patches lie in a row, each of them {patch} pixels wide. Patch 1 takes "
    f"{a / 100:g} from itself, {b / 100:g} from patch 2, {c / 100:g} from patch 3 and {1 - (a + b + c) / 100:g} from "
    "patch 4. What is its attention distance, in pixels?",
    answer=lambda patch, a, b, c: patch * (b + 2 * c + 3 * (100 - a - b - c)) / 100,
    unit="pixels",
    misconceptions=[
        Misconception("counted in patches", lambda patch, a, b, c: (b + 2 * c + 3 * (100 - a - b - c)) / 100,
            "That is the distance in patches. One step is {patch} pixels."),
        Misconception("itself at a distance",
            lambda patch, a, b, c: patch * (a + 2 * b + 3 * c + 4 * (100 - a - b - c)) / 100,
            "You counted one step too many everywhere: a patch is at distance 0 from itself."),
        Misconception("not weighted", lambda patch, a, b, c: patch * 1.5,
            "That is the plain mean of the four distances. Weight each with the attention that the patch gets."),
        Misconception("without itself", lambda patch, a, b, c: patch * (b + 2 * c + 3 * (100 - a - b - c)) / (100 - a),
            "You left out what the patch takes from itself. It counts, with distance 0."),
        Misconception("the farthest", lambda patch, a, b, c: patch * 3,
            "That is the distance to the farthest patch. Weight each distance with its attention."),
    ],
    hints=["From centre to centre, patch 1 is 0 from itself, and one patch's width from patch 2.",
           "Multiply each distance by its weight, and add."],
    why=lambda patch, a, b, c: f"{a / 100:g} · 0 + {b / 100:g} · {patch} + {c / 100:g} · {2 * patch} + "
    f"{1 - (a + b + c) / 100:g} · {3 * patch} = {patch * (b + 2 * c + 3 * (100 - a - b - c)) / 100:g} pixels.",
)

rollout_share = Numeric(
    "rollout-share", title="Rollout by hand", points=2, difficulty=3, minutes=5, decimals=3,
    parameters=dict(a=0.6, b=0.2),
    parameter_values=dict(a=[n / 20 for n in range(2, 19)], b=[n / 20 for n in range(2, 19)]),
    valid_if=lambda a, b: a != b,
    prompt="Two tokens, two layers, one head. In layer 1, token 1 takes {a} from itself and the rest from token 2. In "
    "layer 2, it takes {b} from itself and the rest from token 2. Token 2 takes only from itself, in both layers. Each "
    "layer has a residual connection. How much of **token 1 after layer 2** comes from **token 2 of the input**, "
    "according to rollout?",
    answer=lambda a, b: (1 + b) / 2 * (1 - a) / 2 + (1 - b) / 2,
    misconceptions=[
        Misconception("forgot the residual", lambda a, b: b * (1 - a) + (1 - b),
            "You multiplied the maps as they are. Half of every token comes from the residual connection: take "
            "(map + identity) / 2 in each layer first."),
        Misconception("last layer only", lambda a, b: (1 - b) / 2,
            "That is what layer 2 takes from token 2. But what it keeps of token 1 already holds some of token 2, from "
            "layer 1."),
        Misconception("crossed in layer 1 only", lambda a, b: (1 + b) / 2 * (1 - a) / 2,
            "That is one of two ways: what crossed in layer 1. Token 1 takes from token 2 in layer 2 as well."),
        Misconception("first layer only", lambda a, b: (1 - a) / 2,
            "That is how it stands after layer 1. One more layer follows."),
        Misconception("multiplied the crossings", lambda a, b: (1 - a) / 2 * (1 - b) / 2,
            "There are two ways from token 2 to token 1: cross in layer 1 and stay in layer 2, or stay first and "
            "cross in layer 2. Add both."),
        Misconception("the other token", lambda a, b: 1 - (1 + b) / 2 * (1 - a) / 2 - (1 - b) / 2,
            "That is what comes from token 1 itself. The two shares sum to 1."),
        Misconception("added the identity, did not halve", lambda a, b: (1 + b) * (1 - a) + (1 - b) * 2,
            "You added the identity and did not halve: your rows sum to 2. Shares must sum to 1."),
    ],
    hints=["With the residual connection, layer 1 is the table ((1 + {a}) / 2, (1 − {a}) / 2) over (0, 1).",
           "Layer 2 likewise, with {b}. Multiply: (layer 2) · (layer 1), and read the first row, second column.",
           "Two ways lead from token 2 to token 1: cross in layer 1 and stay, or stay and cross in layer 2."],
    why=lambda a, b: f"Cross, then stay: (1 − {a}) / 2 · (1 + {b}) / 2 = {(1 - a) / 2 * (1 + b) / 2:.4g}. Stay, then "
    f"cross: 1 · (1 − {b}) / 2 = {(1 - b) / 2:.4g}. Together {(1 + b) / 2 * (1 - a) / 2 + (1 - b) / 2:.4g}.",
)

# ── 4.7 · ViT against CNN ──────────────────────────────────────────────────────────────────────────────────────────

off_the_grid = Choice(
    "off-the-grid", title="Why it breaks", points=1, difficulty=2, minutes=2,
    prompt="On the grid, the ViT learns to tell same from different. Off the grid, with as many pictures and as much "
    "training, it does no better than guessing. Why?",
    options={
        "It has too few parameters for the harder task.":
            "It has about as many as the CNN. Ask what *one token* holds, on the grid and off it.",
        "Off the grid it has no position embeddings.":
            "It has the same position embeddings in both tasks. Ask what one token holds.",
        "A symbol is no longer one token: equal symbols are cut in different ways, and their tokens differ.": None,
        "Attention can only look at neighbouring patches.":
            "Attention reaches every patch in every layer; that is why it wins on the grid.",
    },
    hints=["Draw two equal symbols. Put the grid's lines through one of them. Which tokens does each give?"],
    why="On the grid, equal symbols are equal tokens, and “are these two the same?” is a single query. Off the grid, "
    "each symbol is cut into four pieces, in one of nine ways. Two equal symbols are then mostly cut "
    "differently, and have no token in common.",
)
