"""Chapter 5's key: every exercise with its answer, the misconceptions that learners have, and the words that help."""

import math

import torch
import torch.nn.functional as F

from autograde.exercises import Choice, Code, Misconception, Numeric, TrueFalse
from vitlib.vit import functional as pieces


def draw(seed: int, *shape: int, scale: float = 1.0) -> torch.Tensor:
    """Normal numbers, the same for the same seed."""
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ── 5.2 · The final LayerNorm ──────────────────────────────────────────────────────────────────────────────────────


def spread(*numbers: float) -> float:
    """The standard deviation, the squares divided by how many there are."""
    mean = sum(numbers) / len(numbers)
    return math.sqrt(sum((number - mean) ** 2 for number in numbers) / len(numbers))


def centred(a: float, b: float, c: float, d: float) -> float:
    """How far the last number lies above the mean."""
    return d - (a + b + c + d) / 4


norm_by_hand = Numeric(
    "norm-by-hand", title="A LayerNorm by hand", points=1, difficulty=2, minutes=4, decimals=2,
    parameters=dict(a=1, b=3, c=3, d=9, scale=4, shift=2),
    parameter_values=dict(d=range(7, 16), scale=(3, 4, 5, 6), shift=range(-9, 10)),
    valid_if=lambda a, b, c, d, scale, shift: shift != 0,
    prompt="A token has four numbers, ({a}, {b}, {c}, {d}). It goes through a LayerNorm with scale γ = {scale} and "
    "shift β = {shift}, the same for all four places; ε is too small to matter. What becomes of the **last** number?",
    answer=lambda a, b, c, d, scale, shift: scale * centred(a, b, c, d) / spread(a, b, c, d) + shift,
    misconceptions=[
        Misconception("forgot scale and shift",
            lambda a, b, c, d, scale, shift: centred(a, b, c, d) / spread(a, b, c, d),
            "Normalised, yes. Then γ stretches it, and β moves it."),
        Misconception("forgot the shift",
            lambda a, b, c, d, scale, shift: scale * centred(a, b, c, d) / spread(a, b, c, d),
            "Nearly: β is still missing."),
        Misconception("forgot the scale",
            lambda a, b, c, d, scale, shift: centred(a, b, c, d) / spread(a, b, c, d) + shift,
            "Nearly: γ is still missing."),
        Misconception("shifted first", lambda a, b, c, d, scale, shift:
            scale * (centred(a, b, c, d) / spread(a, b, c, d) + shift),
            "You added β before you multiplied by γ. β comes last, and γ does not touch it."),
        Misconception("divided by d − 1", lambda a, b, c, d, scale, shift:
            scale * centred(a, b, c, d) / (spread(a, b, c, d) * math.sqrt(4 / 3)) + shift,
            "You divided the squares by 3. A LayerNorm divides them by 4, the number of places."),
        Misconception("divided by the variance", lambda a, b, c, d, scale, shift:
            scale * centred(a, b, c, d) / spread(a, b, c, d) ** 2 + shift,
            "You divided by the variance. Take its square root first."),
        Misconception("did not centre", lambda a, b, c, d, scale, shift: scale * d / spread(a, b, c, d) + shift,
            "You divided the number by the standard deviation, but did not take the mean away first."),
        Misconception("did not divide", lambda a, b, c, d, scale, shift: scale * centred(a, b, c, d) + shift,
            "You took the mean away. What is left still has to be divided by the standard deviation σ."),
        Misconception("summed the squares", lambda a, b, c, d, scale, shift:
            scale * centred(a, b, c, d) / (2 * spread(a, b, c, d)) + shift,
            "You added the squared distances up. σ² is their mean: divide by 4 before you take the root."),
        Misconception("took the first number", lambda a, b, c, d, scale, shift:
            scale * centred(b, c, d, a) / spread(a, b, c, d) + shift,
            "That is what becomes of the first number. The question is about the last one."),
        Misconception("subtracted the shift", lambda a, b, c, d, scale, shift:
            scale * centred(a, b, c, d) / spread(a, b, c, d) - shift,
            "You subtracted β. It is added."),
    ],
    hints=["First μ, the mean of the four numbers. Then σ²: the mean of the four squared distances from μ.",
           "(x − μ) / σ for the last number, then times {scale}, then plus {shift}."],
    why=lambda a, b, c, d, scale, shift: f"μ = {(a + b + c + d) / 4:g} and σ = {spread(a, b, c, d):.3f}, so the last "
    f"number becomes {scale} · {centred(a, b, c, d):g} / {spread(a, b, c, d):.3f} {'−' if shift < 0 else '+'} "
    f"{abs(shift)} = {scale * centred(a, b, c, d) / spread(a, b, c, d) + shift:.2f}.",
)

head_reads = Choice(
    "head-reads", title="What the head reads", points=1, difficulty=1, minutes=1,
    prompt="The last block of a ViT-B/16 returns a sequence of 197 tokens of 768 numbers. What does the matrix W "
    "of its classification head multiply?",
    options={
        "the first token, as the last block left it":
            "Nothing has normalised that sum of branches yet. What stands between the last block and the head?",
        "the first token, after the final LayerNorm": None,
        "all 197 tokens, one after another":
            "W would need 197 · 768 columns then. It has 768: it reads one vector for the whole picture.",
        "the last token, after the final LayerNorm":
            "The last token belongs to the patch at the bottom right. Which one belongs to the whole picture, and "
            "where does it stand?",
    },
    hints=["W has 1000 rows and 768 columns. How many tokens can it read at once?",
           "Look at the equation once more: what stands between W and the token?"],
    why="ŷ = W LN(z) + b: the final LayerNorm of the token at place 0, which is CLS.",
)

# ── 5.3 · Logits ───────────────────────────────────────────────────────────────────────────────────────────────────


def classify(
    tokens: torch.Tensor,
    norm_weight: torch.Tensor,
    norm_bias: torch.Tensor,
    head_weight: torch.Tensor,
    head_bias: torch.Tensor,
) -> torch.Tensor:
    """The logits [B, K] for the sequences [B, N+1, D] that the last block returns; CLS stands first.

    norm_weight and norm_bias, [D] each, are γ and β of the final LayerNorm, whose ε is 1e-6.
    head_weight [K, D] and head_bias [K] are W and b.

    >>> tokens = torch.tensor([[[1.0, 3.0], [8.0, 8.0]]])  # B = 1, N = 1, D = 2
    >>> classify(tokens, torch.ones(2), torch.zeros(2), torch.eye(2), torch.zeros(2)).round(decimals=2)
    tensor([[-1.,  1.]])
    """
    cls = tokens[:, 0]  # B N+1 D → B D
    cls = F.layer_norm(cls, cls.shape[-1:], norm_weight, norm_bias, eps=1e-6)
    return F.linear(cls, head_weight, head_bias)  # B D → B K


def rows(seed: int, batch: int, count: int, width: int, classes: int, scale: float = 1.0) -> tuple[torch.Tensor, ...]:
    """Arguments of `classify`: no norm is plain, no bias is zero."""
    tokens = draw(seed, batch, count, width, scale=scale)
    norm = 1 + draw(seed + 1, width, scale=0.5), draw(seed + 2, width)
    return tokens, *norm, draw(seed + 3, classes, width), draw(seed + 4, classes)


read = Code(
    "classify", title="Your own classify", points=4, difficulty=2, minutes=8,
    prompt="Now the whole head as one function: pick CLS, normalise it, and map it to K logits. It works for a batch, "
    "and it gives logits, not probabilities.",
    reference=classify,
    examples=[
        (torch.tensor([[[1.0, 3.0], [8.0, 8.0]]]), torch.ones(2), torch.zeros(2), torch.eye(2), torch.zeros(2)),
        (torch.tensor([[[0.0, 2.0, 4.0], [5.0, 1.0, 0.0]], [[3.0, 0.0, 0.0], [7.0, 7.0, 1.0]]]),
         torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 0.0, -0.5]),
         torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]), torch.tensor([10.0, 20.0])),
        (torch.tensor([[[2.0, 2.0], [1.0, 3.0], [4.0, 0.0]]]),
         torch.ones(2), torch.zeros(2), torch.eye(2), torch.zeros(2)),
        (torch.tensor([[[0.001, 0.003, 0.0], [8.0, 8.0, 9.0], [1.0, 5.0, 2.0]]]),
         torch.ones(3), torch.zeros(3), torch.eye(3), torch.zeros(3)),
        (torch.tensor([[[1.0, 5.0], [2.0, 7.0]], [[4.0, 0.0], [0.0, 6.0]]]),
         torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0]),
         torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([10.0, 30.0])),
    ],
    checks={
        "any picture": lambda dice: [rows(dice.randrange(10**6), 2, 5, 6, 3), rows(dice.randrange(10**6), 1, 4, 8, 5)],
        "a batch": lambda dice: [rows(dice.randrange(10**6), 5, 3, 4, 7), rows(dice.randrange(10**6), 4, 4, 4, 2)],
        "as many classes as numbers in a token": lambda dice: [rows(dice.randrange(10**6), 3, 5, 6, 6)],
        "large and small tokens": lambda dice: [rows(dice.randrange(10**6), 2, 5, 6, 3, scale=40.0),
                                                rows(dice.randrange(10**6), 2, 5, 6, 3, scale=1e-3)],
        "a token whose numbers are all the same": [
            (torch.full((2, 3, 4), 5.0), torch.ones(4), torch.arange(4.0), draw(1, 3, 4), draw(2, 3)),
        ],
    },
    hints=[
        "Three lines: pick the token, normalise it, multiply. Since a LayerNorm works token by token, you may pick "
        "first.",
        "`tokens[:, 0]` is CLS of every picture, [B, D]. `F.layer_norm(x, x.shape[-1:], weight, bias, eps=1e-6)` "
        "normalises its last axis, and `F.linear(x, W, b)` is x Wᵀ + b.",
        "The examples pass but grading finds a mistake? Try a batch whose first patch differs from CLS, as many "
        "classes as numbers in a token, and a token whose numbers are all the same: it must not give nan.",
    ],
    why="Pick CLS, normalise it, map it: one vector a picture, and K numbers from it.",
)


@read.alternative
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    mean = tokens.mean(dim=-1, keepdim=True)
    variance = tokens.var(dim=-1, keepdim=True, correction=0)
    normed = (tokens - mean) / (variance + 1e-6).sqrt() * norm_weight + norm_bias
    return normed[:, 0] @ head_weight.T + head_bias


@read.alternative
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    logits = []
    for row in tokens:
        cls = row[0] - row[0].mean()
        cls = cls / torch.sqrt((cls**2).mean() + 1e-6) * norm_weight + norm_bias
        logits.append(head_weight @ cls + head_bias)
    return torch.stack(logits)


@read.misconception("no final norm",
    "You give the head CLS as the last block left it, the mistake in section 5.2. The final "
    "LayerNorm comes first.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    return F.linear(tokens[:, 0], head_weight, head_bias)


@read.misconception("read the last token", "You read the last token, a patch. CLS stands first: place 0.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens[:, -1], norm_weight.shape, norm_weight, norm_bias, 1e-6)
    return F.linear(cls, head_weight, head_bias)


@read.misconception("read the first patch",
    "You read place 1, the first patch. Python counts from 0, and CLS stands at 0.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens[:, 1], norm_weight.shape, norm_weight, norm_bias, 1e-6)
    return F.linear(cls, head_weight, head_bias)


@read.misconception("read the first picture",
    "You read the first picture's tokens, `tokens[0]`. Read the first token of every picture, "
    "`tokens[:, 0]`.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens[0], norm_weight.shape, norm_weight, norm_bias, 1e-6)
    return F.linear(cls, head_weight, head_bias)


@read.misconception("mean of all tokens", "You average all the tokens. This head reads CLS alone.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens.mean(dim=1), norm_weight.shape, norm_weight, norm_bias, 1e-6)
    return F.linear(cls, head_weight, head_bias)


@read.misconception("mean of the patches", "You average the patch tokens: the other way to read. This head reads CLS.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    normed = F.layer_norm(tokens, norm_weight.shape, norm_weight, norm_bias, 1e-6)
    return F.linear(normed[:, 1:].mean(dim=1), head_weight, head_bias)


@read.misconception("a class for every token",
    "You give K logits for every token. The picture gets K logits: pick CLS.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    normed = F.layer_norm(tokens, norm_weight.shape, norm_weight, norm_bias, 1e-6)
    return F.linear(normed, head_weight, head_bias)


@read.misconception("kept the axis",
    "The numbers are right, but their shape is [B, 1, K]. A slice such as `[:, :1]` keeps the "
    "axis; the index `[:, 0]` drops it.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens[:, :1], norm_weight.shape, norm_weight, norm_bias, 1e-6)
    return F.linear(cls, head_weight, head_bias)


@read.misconception("W the wrong way round", "W is [K, D], and you multiply as if it were [D, K]: torch stops with a "
    "RuntimeError, or, with as many classes as numbers in a token, gives wrong logits. Use x @ Wᵀ or "
    "`F.linear(x, W, b)`.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens[:, 0], norm_weight.shape, norm_weight, norm_bias, 1e-6)
    return cls @ head_weight + head_bias


@read.misconception("room for a number of each token",
    "You make room for as many numbers as there are tokens, [B, N+1]. The head gives one for each class: [B, K].")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    logits = torch.zeros(tokens.shape[:2])
    for number, row in enumerate(tokens):
        logits[number] = head_weight @ F.layer_norm(row[0], norm_weight.shape, norm_weight, norm_bias, 1e-6) + head_bias
    return logits


@read.misconception("W before a batch",
    "`W @ x`, as in the cell for one picture, needs one vector. Here x is a batch, [B, D], with a picture in each row: "
    "x @ Wᵀ, or `F.linear(x, W, b)`.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens[:, 0], norm_weight.shape, norm_weight, norm_bias, 1e-6)
    return head_weight @ cls + head_bias


@read.misconception("a picture in each column",
    "The logits are right, but a picture stands in each column, [K, B]. Transpose them, or multiply x @ Wᵀ.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens[:, 0], norm_weight.shape, norm_weight, norm_bias, 1e-6)
    return head_weight @ cls.T + head_bias[:, None]


@read.misconception("one mean for all pictures",
    "`x.mean()` without `dim` takes one mean over all the pictures; in section 5.2, x was a single token. Give every "
    "picture its own: `x.mean(dim=-1, keepdim=True)`, and likewise for σ².")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = tokens[:, 0]
    cls = (cls - cls.mean()) / (cls.var(correction=0) + 1e-6).sqrt()
    return F.linear(cls * norm_weight + norm_bias, head_weight, head_bias)


@read.misconception("lost an axis",
    "The mean of a batch [B, D] over its last axis has the shape [B], and torch subtracts it along the wrong axis, or "
    "stops with a RuntimeError. `keepdim=True` makes it [B, 1].")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = tokens[:, 0]
    cls = (cls - cls.mean(dim=-1)) / (cls.var(dim=-1, correction=0) + 1e-6).sqrt()
    return F.linear(cls * norm_weight + norm_bias, head_weight, head_bias)


@read.misconception("did not centre",
    "You divide by the size of the numbers, but do not subtract their mean first. That is another norm, the RMSNorm.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = tokens[:, 0]
    cls = cls / (cls.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
    return F.linear(cls * norm_weight + norm_bias, head_weight, head_bias)


@read.misconception("a norm of its own",
    "A new `torch.nn.LayerNorm` has γ = 1, β = 0 and ε = 1e-5. Use this model's norm_weight, norm_bias and 1e-6: "
    "`F.layer_norm` takes all three.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    return F.linear(torch.nn.LayerNorm(tokens.shape[-1])(tokens[:, 0]), head_weight, head_bias)


@read.misconception("normalised the logits",
    "You normalise the logits. The norm comes first: it acts on the token, and the head reads what it returns.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    logits = F.linear(tokens[:, 0], head_weight, head_bias)
    return F.layer_norm(logits, logits.shape[-1:], eps=1e-6)


@read.misconception("normalised twice", "You normalise twice. Once is right: γ and β come last.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens[:, 0], norm_weight.shape, eps=1e-6)
    return F.linear(F.layer_norm(cls, norm_weight.shape, norm_weight, norm_bias, 1e-6), head_weight, head_bias)


@read.misconception("forgot b", "The bias b of the head is missing.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens[:, 0], norm_weight.shape, norm_weight, norm_bias, 1e-6)
    return cls @ head_weight.T


@read.misconception("forgot γ and β",
    "You normalise, but leave out the norm's own scale and shift, norm_weight and norm_bias.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    return F.linear(F.layer_norm(tokens[:, 0], norm_weight.shape, eps=1e-6), head_weight, head_bias)


@read.misconception("γ and β exchanged",
    "You hand the norm its shift as the scale, and its scale as the shift: norm_weight comes first.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens[:, 0], norm_weight.shape, norm_bias, norm_weight, 1e-6)
    return F.linear(cls, head_weight, head_bias)


@read.misconception("forgot β", "The norm's shift, norm_bias, is missing.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    return F.linear(F.layer_norm(tokens[:, 0], norm_weight.shape, norm_weight, eps=1e-6), head_weight, head_bias)


@read.misconception("one mean for the whole sequence",
    "You normalise all tokens of a picture together. A LayerNorm takes the mean and the standard deviation "
    "of each token by itself: the last axis only.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    normed = F.layer_norm(tokens, tokens.shape[1:], eps=1e-6) * norm_weight + norm_bias
    return F.linear(normed[:, 0], head_weight, head_bias)


@read.misconception("normalised over the batch",
    "You take the mean and the standard deviation over the pictures, as a BatchNorm does. A LayerNorm "
    "takes them over the D numbers of one token.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = tokens[:, 0]
    cls = (cls - cls.mean(dim=0)) / (cls.var(dim=0, correction=0) + 1e-6).sqrt()
    return F.linear(cls * norm_weight + norm_bias, head_weight, head_bias)


@read.misconception("divided by D − 1",
    "You divide the squares by D − 1, torch's default for `std` and `var`. A LayerNorm divides "
    "by D: `correction=0`.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = tokens[:, 0]
    cls = (cls - cls.mean(dim=-1, keepdim=True)) / (cls.var(dim=-1, keepdim=True) + 1e-6).sqrt()
    return F.linear(cls * norm_weight + norm_bias, head_weight, head_bias)


@read.misconception("torch's ε",
    "Right for ordinary tokens. But this ε is 1e-5, torch's default. A ViT has 1e-6: `eps=1e-6`.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens[:, 0], norm_weight.shape, norm_weight, norm_bias)
    return F.linear(cls, head_weight, head_bias)


@read.misconception("no ε",
    "Right for ordinary tokens. Where all numbers of a token are the same you divide 0 by 0, and the "
    "logits are nan. Add ε to the variance, under the root.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = tokens[:, 0]
    cls = (cls - cls.mean(dim=-1, keepdim=True)) / cls.std(dim=-1, keepdim=True, correction=0)
    return F.linear(cls * norm_weight + norm_bias, head_weight, head_bias)


@read.misconception("ε outside the root",
    "Right for ordinary tokens. But you add ε to the standard deviation. It is added to the "
    "variance, under the root: √(σ² + ε).")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = tokens[:, 0]
    cls = (cls - cls.mean(dim=-1, keepdim=True)) / (cls.std(dim=-1, keepdim=True, correction=0) + 1e-6)
    return F.linear(cls * norm_weight + norm_bias, head_weight, head_bias)


@read.misconception("gave probabilities",
    "These are probabilities. Leave the softmax to the loss, and return the logits.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens[:, 0], norm_weight.shape, norm_weight, norm_bias, 1e-6)
    return F.linear(cls, head_weight, head_bias).softmax(dim=-1)


@read.misconception("gave the class",
    "That is the number of the winning class. Return all K logits: the loss needs them.")
def _(tokens, norm_weight, norm_bias, head_weight, head_bias):
    cls = F.layer_norm(tokens[:, 0], norm_weight.shape, norm_weight, norm_bias, 1e-6)
    return F.linear(cls, head_weight, head_bias).argmax(dim=-1)


# ── 5.4 · CLS, or the mean of the patches ──────────────────────────────────────────────────────────────────────────

norm_then_mean = TrueFalse(
    "norm-then-mean", title="Normalise, then average", points=1, difficulty=2, minutes=2,
    prompt="“Normalising every patch token and then averaging gives the same vector as averaging the patch tokens and "
    "then normalising.”",
    answer=False,
    misconception="For CLS alone the order does not matter, because a LayerNorm works on each token by itself. An "
    "average mixes tokens. Try it with (0, 1, 2) and (200, 0, 100): how much does each weigh in either order?",
    hints=["Every token is divided by its own standard deviation. What happens to a token with very large "
           "numbers in one order, and in the other?"],
    why="False. Normalised first, every token counts alike. Averaged first, tokens with large numbers drown out "
    "the others. Both are in use, and a checkpoint fits only the one that it was trained with.",
)

other_readout = Choice(
    "other-readout", title="The other way to read", points=1, difficulty=2, minutes=2,
    prompt="A ViT was trained to read CLS. You load its weights into a model that is the same, except that it reads "
    "the mean of the patch tokens. What happens?",
    options={
        "It stops with an error: the shapes do not fit.":
            "Write down the shapes: CLS has D numbers, and the mean of N tokens of D numbers has how many?",
        "Nothing changes: CLS is the mean of the patches.":
            "CLS has gathered from the patches through attention, layer by layer, and it chose what to take. That is "
            "no average.",
        "It runs without complaint, and it is wrong far more often.": None,
        "It gets better: a mean of many tokens is less noisy.":
            "A model that is *trained* to read the mean does well. This head has learned directions for CLS, and has "
            "never seen a mean.",
    },
    hints=["Two questions: do the shapes fit? And what was W trained on?"],
    why="Both give D numbers, so no shape complains. But W has learned what CLS means, and nothing else. You will "
    "measure it in section 5.9.",
)

# ── 5.5 · From logits to probabilities ─────────────────────────────────────────────────────────────────────────────

HALVES = tuple(number / 2 for number in range(-4, 7))

softmax_by_hand = Numeric(
    "softmax-by-hand", title="A softmax by hand", points=1, difficulty=2, minutes=3, decimals=3,
    parameters=dict(cat=2, dog=0, ship=-1),
    parameter_values=dict(cat=(0.5, 1, 1.5, 2, 2.5, 3), dog=HALVES, ship=HALVES),
    valid_if=lambda cat, dog, ship: cat + dog + ship != 0,
    prompt="For one picture, the head gives the logits cat {cat}, dog {dog} and ship {ship}; there are no other "
    "classes. What is the probability of **cat**? (Use a cell, or a calculator.)",
    answer=lambda cat, dog, ship: math.exp(cat) / (math.exp(cat) + math.exp(dog) + math.exp(ship)),
    misconceptions=[
        Misconception("share of the logits", lambda cat, dog, ship: cat / (cat + dog + ship),
            "You divided the logits themselves. Take e to the power of each first: that makes them positive."),
        Misconception("left itself out", lambda cat, dog, ship: math.exp(cat) / (math.exp(dog) + math.exp(ship)),
            "You divided by the sum of the others. The sum below the line is over all classes, cat included."),
        Misconception("powers of two", lambda cat, dog, ship: 2**cat / (2**cat + 2**dog + 2**ship),
            "You took powers of 2. Softmax takes powers of e."),
        Misconception("each for itself", lambda cat, dog, ship: 1 / (1 + math.exp(-cat)),
            "That is the sigmoid of cat's logit: it does not know of the others. In a softmax the classes share 1."),
        Misconception("gave the logarithm", lambda cat, dog, ship:
            cat - math.log(math.exp(cat) + math.exp(dog) + math.exp(ship)),
            "That is the logarithm of the probability."),
        Misconception("did not divide", lambda cat, dog, ship: math.exp(cat),
            "That is e to the power of cat's logit. Divide it by the sum over all classes."),
        Misconception("gave dog's", lambda cat, dog, ship:
            math.exp(dog) / (math.exp(cat) + math.exp(dog) + math.exp(ship)),
            "That is the probability of dog. The question is about cat."),
        Misconception("gave ship's", lambda cat, dog, ship:
            math.exp(ship) / (math.exp(cat) + math.exp(dog) + math.exp(ship)),
            "That is the probability of ship. The question is about cat."),
        Misconception("lost a minus", lambda cat, dog, ship:
            math.exp(abs(cat)) / (math.exp(abs(cat)) + math.exp(abs(dog)) + math.exp(abs(ship))),
            "A minus got lost: e to the power of a negative logit is less than 1."),
        Misconception("left out dog", lambda cat, dog, ship: math.exp(cat) / (math.exp(cat) + math.exp(ship)),
            "You left dog out. The sum is over all classes; a logit of 0 counts as well, for e⁰ is 1."),
    ],
    hints=["Three powers of e first, one for each class.",
           "Cat's power, divided by the sum of all three. After `import math`, `math.exp(2)` is e²."],
    why=lambda cat, dog, ship: f"e to the power of the logits gives {math.exp(cat):.3f}, {math.exp(dog):.3f} and "
    f"{math.exp(ship):.3f}, and cat's share of their sum is "
    f"{math.exp(cat) / (math.exp(cat) + math.exp(dog) + math.exp(ship)):.3f}.",
)

# ── 5.6 · The loss ─────────────────────────────────────────────────────────────────────────────────────────────────

first_loss = Numeric(
    "first-loss", title="The loss before the first step", points=1, difficulty=1, minutes=2, decimals=2,
    parameters=dict(classes=1000), parameter_values=dict(classes=range(20, 1001, 20)),
    prompt="An untrained model knows nothing: suppose it gives each of {classes} classes the same probability. What "
    "is its cross-entropy?",
    answer=lambda classes: math.log(classes),
    misconceptions=[
        Misconception("logarithm to base 2", lambda classes: math.log2(classes),
            "That is the logarithm to base 2, the answer in bits. In this book, as in torch, the logarithm is the "
            "natural one."),
        Misconception("logarithm to base 10", lambda classes: math.log10(classes),
            "That is the logarithm to base 10. In this book, as in torch, the logarithm is the natural one."),
        Misconception("gave the probability", lambda classes: 1 / classes,
            "That is the probability of the right class. The loss is minus its logarithm."),
        Misconception("forgot the minus", lambda classes: -math.log(classes),
            "The size is right. A probability is below 1, so its logarithm is negative: the minus in front makes the "
            "loss positive."),
        Misconception("gave the classes", lambda classes: classes,
            "That is 1 divided by the probability. The loss is the logarithm of it."),
        Misconception("ten classes", math.log(10),
            "That is ln 10, the loss for the ten digits above. There are {classes} classes here."),
    ],
    hints=["Which probability does the right class get, if all are the same?", "−ln(1/{classes}) = ln {classes}."],
    why=lambda classes: f"−ln(1/{classes}) = ln {classes} = {math.log(classes):.2f}. If an untrained model starts far "
    "from it, something is wrong with the head, the loss or the labels.",
)


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of logits [B, K] with labels [B], the right classes' numbers: one tensor without axes.

    It is −log of the probability of the right class, averaged over the batch.

    >>> cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3])).round(decimals=3)  # ln 4
    tensor(1.3860)

    It works for logits of any size: 1000 and -1000 give no nan and no inf.
    """
    right = logits[torch.arange(len(labels)), labels]  # B: the logit of the right class
    return (logits.logsumexp(dim=1) - right).mean()


def guesses(seed: int, batch: int, classes: int, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.randint(classes, (batch,), generator=torch.Generator().manual_seed(seed))
    return draw(seed, batch, classes, scale=scale), labels


loss = Code(
    "cross-entropy", title="Your own cross_entropy", points=4, difficulty=2, minutes=10,
    prompt="Write the loss for a batch. Build it from torch's basic operations: `F.cross_entropy` is what you will "
    "compare it with. Use the second form of the equation, so that large logits do no harm.",
    reference=cross_entropy,
    examples=[
        (torch.zeros(2, 4), torch.tensor([0, 3])),
        (torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 3.0], [1.0, 1.0, 0.0]]), torch.tensor([0, 1, 0])),
        (torch.tensor([[1000.0, 0.0], [-1000.0, -2000.0]]), torch.tensor([1, 0])),
        (torch.tensor([[1000.0, 0.0]]), torch.tensor([0])),
        (torch.tensor([[0.0, 200.0], [0.0, 1.0]]), torch.tensor([1, 0])),
    ],
    checks={
        "ordinary logits": lambda dice: [
            guesses(dice.randrange(10**6), 5, 3), guesses(dice.randrange(10**6), 3, 7, 2.0),
        ],
        "one picture": lambda dice: [guesses(dice.randrange(10**6), 1, 5)],
        "many classes": lambda dice: [guesses(dice.randrange(10**6), 4, 200)],
        "large logits": lambda dice: [
            guesses(dice.randrange(10**6), 6, 4, 500.0), guesses(dice.randrange(10**6), 3, 9, 90.0),
        ],
        "sure and right": [(torch.tensor([[0.0, 700.0, 3.0], [400.0, -90.0, 0.0]]), torch.tensor([1, 0]))],
    },
    hints=[
        "The logit of each picture's right class: `logits[torch.arange(len(labels)), labels]`, [B].",
        "`logits.logsumexp(dim=1)` is log Σ exp over the classes, [B], and it does not overflow.",
        "The examples pass but grading finds a mistake? Try batches of other sizes than 2, and more classes than "
        "pictures.",
    ],
    why="log Σ exp of all logits, minus the right one, averaged: the same as −log softmax, and safe for logits of any "
    "size.",
)


@loss.alternative
def _(logits, labels):
    return -logits.log_softmax(dim=1).gather(1, labels[:, None]).mean()


@loss.alternative
def _(logits, labels):
    shifted = logits - logits.max(dim=1, keepdim=True).values
    total = shifted.exp().sum(dim=1).log()
    one_hot = F.one_hot(labels, logits.shape[1])
    return (total - (one_hot * shifted).sum(dim=1)).mean()


@loss.misconception("exp of large logits",
    "Right for ordinary logits. exp(1000) is infinite, and ∞/∞ is nan: take `logsumexp` "
    "or `log_softmax`, which subtract the largest logit first.")
def _(logits, labels):
    probabilities = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    return -probabilities[torch.arange(len(labels)), labels].log().mean()


@loss.misconception("log of a sum of exp",
    "Right for ordinary logits. exp(1000) is infinite, and so is the logarithm of the sum. `logsumexp` subtracts the "
    "largest logit first and adds it again at the end.")
def _(logits, labels):
    return (logits.exp().sum(dim=1).log() - logits[torch.arange(len(labels)), labels]).mean()


@loss.misconception("one maximum for the whole batch",
    "You subtract the largest logit of the whole batch. In a row far below it every power is 0, and the logarithm of "
    "0 is −∞. Each row needs its own maximum: `dim=1, keepdim=True`, or `logsumexp`.")
def _(logits, labels):
    shifted = logits - logits.max()
    return (shifted.exp().sum(dim=1).log() - shifted[torch.arange(len(labels)), labels]).mean()


@loss.misconception("the maximum was not added again",
    "You subtract the largest logit in one of the two terms only. Add it to the logarithm of the sum, or take the "
    "right logit from the shifted ones as well.")
def _(logits, labels):
    shifted = logits - logits.max(dim=1, keepdim=True).values
    return (shifted.exp().sum(dim=1).log() - logits[torch.arange(len(labels)), labels]).mean()


@loss.misconception("the sum runs over the pictures",
    "Your `logsumexp` runs over the pictures, dim=0. It is a sum over the classes of one picture: dim=1.")
def _(logits, labels):
    return (logits.logsumexp(dim=0) - logits[torch.arange(len(labels)), labels]).mean()


@loss.misconception("one sum for the whole batch",
    "You take one sum over all the pictures. Each picture has a sum of its own, over its classes: dim=1.")
def _(logits, labels):
    return (logits.logsumexp(dim=(0, 1)) - logits[torch.arange(len(labels)), labels]).mean()


@loss.misconception("divided by the number of classes",
    "You divide by K, the number of classes. Divide by B, the number of pictures: `.mean()` does.")
def _(logits, labels):
    return (logits.logsumexp(dim=1) - logits[torch.arange(len(labels)), labels]).sum() / logits.shape[1]


@loss.misconception("one picture only",
    "You return the loss of one picture. In a loop, add up the losses of all pictures, and divide after it.")
def _(logits, labels):
    return logits[-1].logsumexp(dim=0) - logits[-1, labels[-1]]


@loss.misconception("averaged before the logarithm",
    "You average the probabilities and take the logarithm then. Take the logarithm for each picture, and average then.")
def _(logits, labels):
    return -(logits.softmax(dim=1)[torch.arange(len(labels)), labels].mean().log())


@loss.misconception("minus the probability",
    "You return the probability with a minus in front. Its logarithm is missing: `F.nll_loss`, too, expects "
    "logarithms.")
def _(logits, labels):
    return -logits.softmax(dim=1)[torch.arange(len(labels)), labels].mean()


@loss.misconception("softmax, then log",
    "Right for ordinary logits. But a probability such as e⁻¹⁰⁰⁰ is 0 in float32, and its "
    "logarithm is −∞. Do both in one step: `log_softmax`, or `logsumexp` minus the right logit.")
def _(logits, labels):
    return -logits.softmax(dim=1)[torch.arange(len(labels)), labels].log().mean()


@loss.misconception("clipped",
    "You add a small number before the logarithm, or clip it there. That hides how wrong a confident "
    "answer is: the loss cannot grow further. Use `logsumexp`, and nothing has to be clipped.")
def _(logits, labels):
    return -(logits.softmax(dim=1)[torch.arange(len(labels)), labels] + 1e-12).log().mean()


@loss.misconception("summed",
    "You add the losses of the pictures up. Average them: otherwise a larger batch has a larger loss.")
def _(logits, labels):
    return (logits.logsumexp(dim=1) - logits[torch.arange(len(labels)), labels]).sum()


@loss.misconception("a loss for each picture", "You return one loss for each picture. Average them to one number.")
def _(logits, labels):
    return logits.logsumexp(dim=1) - logits[torch.arange(len(labels)), labels]


@loss.misconception("averaged over the classes, too",
    "You average over all B·K places of the table. Only one of each row counts, so divide by B, the number of "
    "pictures.")
def _(logits, labels):
    return -(F.one_hot(labels, logits.shape[1]) * logits.log_softmax(dim=1)).mean()


@loss.misconception("forgot the minus",
    "The sign is wrong: the logarithm of a probability is negative, and a loss is to fall "
    "towards 0.")
def _(logits, labels):
    return (logits[torch.arange(len(labels)), labels] - logits.logsumexp(dim=1)).mean()


@loss.misconception("forgot the logarithm", "You return how much probability is missing, 1 − p. The loss is −log p.")
def _(logits, labels):
    return (1 - logits.softmax(dim=1)[torch.arange(len(labels)), labels]).mean()


@loss.misconception("base 2", "That is the loss in bits, with the logarithm to base 2. Take the natural one.")
def _(logits, labels):
    return (logits.logsumexp(dim=1) - logits[torch.arange(len(labels)), labels]).mean() / torch.log(torch.tensor(2.0))


@loss.misconception("softmax over the batch",
    "Your softmax runs over the pictures, dim=0. The classes of one picture share 1: "
    "dim=1.")
def _(logits, labels):
    return -logits.log_softmax(dim=0)[torch.arange(len(labels)), labels].mean()


@loss.misconception("softmax twice",
    "You take a softmax of probabilities. `F.cross_entropy` and `log_softmax` expect logits.")
def _(logits, labels):
    return F.cross_entropy(logits.softmax(dim=1), labels)


@loss.misconception("the right logit alone",
    "You take the right class's logit alone. What matters is how it compares with the "
    "others: log Σ exp is missing.")
def _(logits, labels):
    return -logits[torch.arange(len(labels)), labels].mean()


@loss.misconception("largest instead of log Σ exp",
    "You subtract the right logit from the largest one. log Σ exp is a little "
    "more than the largest: the others count as well.")
def _(logits, labels):
    return (logits.max(dim=1).values - logits[torch.arange(len(labels)), labels]).mean()


@loss.misconception("loss of the winner",
    "You take the class that the model likes best. The labels say which class is right.")
def _(logits, labels):
    return -logits.log_softmax(dim=1).max(dim=1).values.mean()


@loss.misconception("all classes",
    "You average −log p over all the classes. Only the right class's probability counts.")
def _(logits, labels):
    return -logits.log_softmax(dim=1).mean()


@loss.misconception("every label for every picture",
    "`logits[:, labels]` takes every label's column for every picture, [B, B]. "
    "Pair each picture with its own label: `logits[torch.arange(len(labels)), labels]`.")
def _(logits, labels):
    return -logits.log_softmax(dim=1)[:, labels].mean()


# ── 5.7 · The audit ────────────────────────────────────────────────────────────────────────────────────────────────

VIT_B = 86_567_656

new_head = Numeric(
    "new-head", title="A head of your own", points=1, difficulty=2, minutes=3,
    parameters=dict(classes=10, D=768), parameter_values=dict(classes=range(2, 500)),
    prompt="You take ViT-B/16 with its 86,567,656 parameters, remove the head for 1000 classes, and put on a new one "
    "for {classes} classes. D is {D}. How many parameters does the model have now?",
    answer=lambda classes, D: VIT_B - 1000 * (D + 1) + classes * (D + 1), unit="parameters",
    misconceptions=[
        Misconception("only removed", lambda classes, D: VIT_B - 1000 * (D + 1),
            "That is the model without a head. Put the new one on."),
        Misconception("did not remove", lambda classes, D: VIT_B + classes * (D + 1),
            "You added the new head, but the old one is still there."),
        Misconception("heads without bias", lambda classes, D: VIT_B - 1000 * D + classes * D,
            "Both heads have a bias as well: one number for each class."),
        Misconception("new head without bias", lambda classes, D: VIT_B - 1000 * (D + 1) + classes * D,
            "The old head is gone, bias and all. The new one has a bias, too: one number for each class."),
        Misconception("old head without bias", lambda classes, D: VIT_B - 1000 * D + classes * (D + 1),
            "You left the old head's bias in the model: 1000 numbers."),
        Misconception("the head alone", lambda classes, D: classes * (D + 1),
            "That is the new head alone. Count the whole model."),
        Misconception("the head's matrix alone", lambda classes, D: classes * D,
            "That is the new head's matrix W alone. Count its bias, and the whole model."),
        Misconception("in millions", lambda classes, D: round((VIT_B - (1000 - classes) * (D + 1)) / 1e6),
            "Those are millions. Give every parameter: a whole number of eight digits."),
    ],
    hints=["A head for K classes has K·D numbers in W and K in b.", "Take the old head away, add the new one."],
    why=lambda classes, D: f"{VIT_B:,} − 1000·{D + 1} + {classes}·{D + 1} = "
    f"{VIT_B - 1000 * (D + 1) + classes * (D + 1):,}.",
)

# ── 5.8 · The whole ViT ────────────────────────────────────────────────────────────────────────────────────────────


def blocks_of(weights: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """As in the notebook: one dict for each block, from the first to the last."""
    depth = len({name.split(".")[1] for name in weights if name.startswith("blocks.")})
    starts = [f"blocks.{i}." for i in range(depth)]
    return [{n.removeprefix(start): w for n, w in weights.items() if n.startswith(start)} for start in starts]


def vit(images: torch.Tensor, weights: dict[str, torch.Tensor], patch: int, heads: int) -> torch.Tensor:
    """The whole Vision Transformer: pictures [B, C, H, W] in, logits [B, K] out.

    weights: every tensor by its name, timm's, such as "norm.weight"; patch: pixels a side; heads: in each block.

    >>> from vitlib import create
    >>> model = create("vit_digits_patch2_8", device="cpu")
    >>> vit(torch.zeros(2, 1, 8, 8), model.state_dict(), patch=2, heads=4).shape
    torch.Size([2, 10])
    """
    w = weights
    patches = pieces.patchify(images, patch)  # B N C·P·P
    matrix = w["patch_embed.proj.weight"].flatten(1)  # D C P P → D C·P·P
    tokens = pieces.embed(patches, matrix, w["patch_embed.proj.bias"])  # B N D
    tokens = pieces.prepend_cls(tokens, w["cls_token"][0, 0])  # B N+1 D
    tokens = pieces.add_positions(tokens, w["pos_embed"][0])
    for block in blocks_of(w):
        tokens = pieces.encoder_block(tokens, block, heads)
    return pieces.classify(tokens, w["norm.weight"], w["norm.bias"], w["head.weight"], w["head.bias"])


def weights_for(
    seed: int, grid: int, patch: int, channels: int, width: int, depth: int, classes: int
) -> dict[str, torch.Tensor]:
    """Weights of a small ViT for `grid` patches, none of them plain."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width), "pos_embed": (1, grid + 1, width),
        "patch_embed.proj.weight": (width, channels, patch, patch), "patch_embed.proj.bias": (width,),
    }
    for i in range(depth):
        inside = {
            "norm1.weight": (width,), "norm1.bias": (width,),
            "attn.qkv.weight": (3 * width, width), "attn.qkv.bias": (3 * width,),
            "attn.proj.weight": (width, width), "attn.proj.bias": (width,),
            "norm2.weight": (width,), "norm2.bias": (width,),
            "mlp.fc1.weight": (2 * width, width), "mlp.fc1.bias": (2 * width,),
            "mlp.fc2.weight": (width, 2 * width), "mlp.fc2.bias": (width,),
        }  # fmt: skip
        shapes |= {f"blocks.{i}.{name}": shape for name, shape in inside.items()}
    shapes |= {"norm.weight": (width,), "norm.bias": (width,), "head.weight": (classes, width), "head.bias": (classes,)}
    return {name: draw(seed + number, *shape) for number, (name, shape) in enumerate(shapes.items())}


def sample(
    seed: int, batch: int = 1, rows: int = 2, columns: int = 2, patch: int = 2, channels: int = 1, width: int = 4,
    depth: int = 1, heads: int = 2, classes: int = 3,
) -> tuple[torch.Tensor, dict[str, torch.Tensor], int, int]:
    """Arguments of `vit`."""
    images = draw(seed, batch, channels, rows * patch, columns * patch)
    return images, weights_for(seed, rows * columns, patch, channels, width, depth, classes), patch, heads


whole = Code(
    "vit", title="Your own Vision Transformer", points=6, difficulty=3, minutes=15,
    prompt="Chain the parts: patches, embedding, CLS, positions, blocks, classification head. Call the functions as "
    "`pieces.patchify`, `pieces.embed` and so on, so that you can replace them with your own in the next section. "
    "`weights` is a dict with the names that you printed above.",
    reference=vit,
    examples=[
        sample(1), sample(2, batch=2, rows=1, columns=3, channels=2, width=6, depth=2, classes=5),
        sample(3, heads=4, patch=3), sample(4, rows=1, columns=1, patch=1, channels=3, depth=11),
    ],
    checks={
        "one block": lambda dice: [sample(dice.randrange(10**6)), sample(dice.randrange(10**6), patch=3, classes=5)],
        "a batch of colour pictures": lambda dice: [sample(dice.randrange(10**6), batch=4, channels=3)],
        "pictures that are not square": lambda dice: [sample(dice.randrange(10**6), rows=1, columns=4, channels=2)],
        "several blocks": lambda dice: [
            sample(dice.randrange(10**6), depth=3), sample(dice.randrange(10**6), depth=11),
        ],
        "other heads": lambda dice: [sample(dice.randrange(10**6), heads=1, depth=2),
                                     sample(dice.randrange(10**6), width=6, heads=3)],
    },
    hints=[
        "Six steps, one line each. Write the shape after every line: it tells you what the next one needs.",
        "`cls_token` has shape [1, 1, D] and `pos_embed` [1, N+1, D]: `[0, 0]` and `[0]` remove the leading axes. "
        "The embedding's weight is kept as a convolution's, [D, C, P, P]: `.flatten(1)` gives [D, C·P·P], as in "
        "chapter 2.",
        "`for block in blocks_of(weights): tokens = pieces.encoder_block(tokens, block, heads)`.",
        "The examples pass but grading finds a mistake? Try more than two blocks, another number of heads, and "
        "pictures that are not square.",
    ],
    why="Six steps. No line knows how large the model is: the shapes of the weights say it.",
)


@whole.alternative
def _(images, weights, patch, heads):
    kernel, bias = weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"]
    x = F.conv2d(images, kernel, bias, stride=patch).flatten(2).transpose(1, 2)
    x = torch.cat([weights["cls_token"].expand(len(x), -1, -1), x], dim=1) + weights["pos_embed"]
    depth = 0
    while f"blocks.{depth}.norm1.weight" in weights:
        names = [name for name in weights if name.startswith(f"blocks.{depth}.")]
        x = pieces.encoder_block(x, {name.split(".", 2)[2]: weights[name] for name in names}, heads)
        depth += 1
    x = F.layer_norm(x, x.shape[-1:], weights["norm.weight"], weights["norm.bias"], 1e-6)
    return x[:, 0] @ weights["head.weight"].T + weights["head.bias"]


@whole.alternative
def _(images, weights, patch, heads):
    w = {name: weights[name] for name in weights}
    patches = pieces.patchify(images, patch)
    kernel, bias = w["patch_embed.proj.weight"], w["patch_embed.proj.bias"]
    z = patches @ kernel.reshape(len(bias), -1).T + bias
    positions = w["pos_embed"][0]
    cls = (w["cls_token"][0, 0] + positions[0]).repeat(len(images), 1, 1)
    h = torch.cat([cls, z + positions[1:]], dim=1)
    for i in range(1000):
        block = {name[len(f"blocks.{i}.") :]: w[name] for name in w if name.startswith(f"blocks.{i}.")}
        if not block:
            break
        h = pieces.encoder_block(h, block, heads)
    return pieces.classify(h, w["norm.weight"], w["norm.bias"], w["head.weight"], w["head.bias"])


# The parts of `vit` that a misconception leaves right.


def embedded(images, weights, patch):
    matrix, bias = weights["patch_embed.proj.weight"].flatten(1), weights["patch_embed.proj.bias"]
    return pieces.embed(pieces.patchify(images, patch), matrix, bias)  # B N D


def sequence_of(images, weights, patch):
    tokens = pieces.prepend_cls(embedded(images, weights, patch), weights["cls_token"][0, 0])
    return pieces.add_positions(tokens, weights["pos_embed"][0])  # B N+1 D


def encoded(tokens, weights, heads):
    for block in blocks_of(weights):
        tokens = pieces.encoder_block(tokens, block, heads)
    return tokens  # B N+1 D


def logits_of(tokens, weights):
    names = ("norm.weight", "norm.bias", "head.weight", "head.bias")
    return pieces.classify(tokens, *(weights[name] for name in names))


@whole.misconception("no position for CLS",
    "CLS gets no position here. All N+1 tokens get one: row 0 of `pos_embed` belongs to "
    "CLS.")
def _(images, weights, patch, heads):
    w, x = weights, embedded(images, weights, patch)
    x = pieces.prepend_cls(pieces.add_positions(x, w["pos_embed"][0, 1:]), w["cls_token"][0, 0])
    return logits_of(encoded(x, w, heads), w)


@whole.misconception("positions off by one",
    "Patch 1 gets the position that belongs to CLS, and so on: every row is off by "
    "one. Put CLS in front first, then add the positions.")
def _(images, weights, patch, heads):
    w, x = weights, embedded(images, weights, patch)
    x = pieces.prepend_cls(pieces.add_positions(x, w["pos_embed"][0, :-1]), w["cls_token"][0, 0])
    return logits_of(encoded(x, w, heads), w)


@whole.misconception("no positions",
    "The positions are missing: without them the encoder cannot tell one patch's place from "
    "another's.")
def _(images, weights, patch, heads):
    w, x = weights, embedded(images, weights, patch)
    x = pieces.prepend_cls(x, w["cls_token"][0, 0])
    return logits_of(encoded(x, w, heads), w)


@whole.misconception("CLS at the end",
    "CLS stands at the end of your sequence. It belongs in front: positions and classifier rely "
    "on it.")
def _(images, weights, patch, heads):
    w, x = weights, embedded(images, weights, patch)
    x = torch.cat([x, w["cls_token"].expand(len(x), -1, -1)], dim=1) + w["pos_embed"]
    return logits_of(encoded(x, w, heads), w)


@whole.misconception("the first block only", "Only the first block runs. Go through all of them.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    x = pieces.encoder_block(x, blocks_of(w)[0], heads)
    return logits_of(x, w)


@whole.misconception("blocks in the order of their names",
    "Right for up to ten blocks. As text, \"10\" comes before \"2\": `blocks_of` goes by the numbers.")
def _(images, weights, patch, heads):
    x = sequence_of(images, weights, patch)
    for number in sorted({name.split(".")[1] for name in weights if name.startswith("blocks.")}):
        start = f"blocks.{number}."
        block = {name.removeprefix(start): weights[name] for name in weights if name.startswith(start)}
        x = pieces.encoder_block(x, block, heads)
    return logits_of(x, weights)


@whole.misconception("one block again and again",
    "You run the first block's weights as often as there are blocks. Every block "
    "has weights of its own.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    for _block in blocks_of(w):
        x = pieces.encoder_block(x, blocks_of(w)[0], heads)
    return logits_of(x, w)


@whole.misconception("what a block returns is dropped",
    "You call the blocks, but do not keep what they return: `tokens = "
    "pieces.encoder_block(tokens, …)`.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    for block in blocks_of(w):
        pieces.encoder_block(x, block, heads)
    return logits_of(x, w)


@whole.misconception("every block reads the same sequence",
    "Every block reads the sequence that went into the first one, so only the last block counts. Each "
    "block reads what the one before it returned.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    for block in blocks_of(w):
        out = pieces.encoder_block(x, block, heads)
    return logits_of(out, w)


@whole.misconception("backwards", "The blocks run from the last to the first.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    for block in reversed(blocks_of(w)):
        x = pieces.encoder_block(x, block, heads)
    return logits_of(x, w)


@whole.misconception("no final norm",
    "The head reads CLS as the last block left it. Use `pieces.classify`, which normalises "
    "first.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    x = encoded(x, w, heads)
    return F.linear(x[:, 0], w["head.weight"], w["head.bias"])


@whole.misconception("the final norm after every block",
    "The final LayerNorm comes once, after the last block. The blocks "
    "have norms of their own.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    for block in blocks_of(w):
        x = pieces.encoder_block(x, block, heads)
        x = F.layer_norm(x, x.shape[-1:], w["norm.weight"], w["norm.bias"], 1e-6)
    return F.linear(x[:, 0], w["head.weight"], w["head.bias"])


@whole.misconception("one head", "You call every block with one head. Hand `heads` on.")
def _(images, weights, patch, heads):
    x = sequence_of(images, weights, patch)
    return logits_of(encoded(x, weights, 1), weights)


@whole.misconception("two heads for ever", "Right for two heads only. Hand `heads` on.")
def _(images, weights, patch, heads):
    x = sequence_of(images, weights, patch)
    return logits_of(encoded(x, weights, 2), weights)


@whole.misconception("four heads for ever",
    "You call every block with four heads, as the model above has. Hand `heads` on.")
def _(images, weights, patch, heads):
    x = sequence_of(images, weights, patch)
    return logits_of(encoded(x, weights, 4), weights)


@whole.misconception("four numbers a token for ever",
    "Right for tokens of four numbers only. Read D off the weights: it is the length of `norm.weight`.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    x = encoded(x, w, heads)
    x = F.layer_norm(x, (4,), w["norm.weight"], w["norm.bias"], 1e-6)
    return F.linear(x[:, 0], w["head.weight"], w["head.bias"])


@whole.misconception("a CLS for each channel",
    "You repeat CLS once for each channel. Every picture gets one, and pictures are axis 0 of `images`.")
def _(images, weights, patch, heads):
    w, x = weights, embedded(images, weights, patch)
    x = torch.cat([w["cls_token"].expand(images.shape[1], -1, -1), x], dim=1) + w["pos_embed"]
    return logits_of(encoded(x, w, heads), w)


@whole.misconception("normalised twice",
    "You apply the final LayerNorm, and `pieces.classify` applies it once more. Give it the tokens as the last block "
    "left them.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    x = encoded(x, w, heads)
    x = F.layer_norm(x, x.shape[-1:], w["norm.weight"], w["norm.bias"], 1e-6)
    return logits_of(x, w)


@whole.misconception("γ and β exchanged",
    "`pieces.classify` takes the norm's weight first, and its bias second.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    x = encoded(x, w, heads)
    return pieces.classify(x, w["norm.bias"], w["norm.weight"], w["head.weight"], w["head.bias"])


@whole.misconception("a block's norm for the final one",
    "You give the head a LayerNorm of the first block, `blocks.0.norm1`. The final one is `norm.weight` and "
    "`norm.bias`.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    x = encoded(x, w, heads)
    norm = w["blocks.0.norm1.weight"], w["blocks.0.norm1.bias"]
    return pieces.classify(x, *norm, w["head.weight"], w["head.bias"])


@whole.misconception("the embedding's weight transposed",
    "The matrix of the embedding is turned round. `pieces.embed` expects [D, C·P·P], which `.flatten(1)` gives as it "
    "is: leave out the transpose.")
def _(images, weights, patch, heads):
    w = weights
    weight, bias = w["patch_embed.proj.weight"].flatten(1).T, w["patch_embed.proj.bias"]
    x = pieces.embed(pieces.patchify(images, patch), weight, bias)
    x = pieces.add_positions(pieces.prepend_cls(x, w["cls_token"][0, 0]), w["pos_embed"][0])
    return logits_of(encoded(x, w, heads), w)


@whole.misconception("tokens without a head",
    "You return the sequence. The last step is missing: `pieces.classify` makes K logits of it.")
def _(images, weights, patch, heads):
    return encoded(sequence_of(images, weights, patch), weights, heads)


@whole.misconception("the first block left out",
    "The first block is left out. Blocks are numbered from 0.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    for block in blocks_of(w)[1:]:
        x = pieces.encoder_block(x, block, heads)
    return logits_of(x, w)


@whole.misconception("the mean of the patches",
    "You read the mean of the patch tokens. These weights were made for CLS.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    x = encoded(x, w, heads)
    x = F.layer_norm(x, x.shape[-1:], w["norm.weight"], w["norm.bias"], 1e-6)
    return F.linear(x[:, 1:].mean(dim=1), w["head.weight"], w["head.bias"])


@whole.misconception("the embedding's weight not flattened",
    "Every call ends in a RuntimeError; call your function by hand to "
    "read it. The usual cause: the embedding's weight has the shape of a convolution, [D, C, P, P]. "
    "`.flatten(1)` makes it [D, C·P·P].")
def _(images, weights, patch, heads):
    w = weights
    x = pieces.embed(pieces.patchify(images, patch), w["patch_embed.proj.weight"], w["patch_embed.proj.bias"])
    x = pieces.add_positions(pieces.prepend_cls(x, w["cls_token"][0, 0]), w["pos_embed"][0])
    return logits_of(encoded(x, w, heads), w)


@whole.misconception("gave probabilities",
    "These are probabilities. Return the logits: the softmax is the loss's business.")
def _(images, weights, patch, heads):
    w, x = weights, sequence_of(images, weights, patch)
    return logits_of(encoded(x, w, heads), w).softmax(dim=-1)


# ── 5.10 · Layer by layer ──────────────────────────────────────────────────────────────────────────────────────────

early_readout = Choice(
    "early-readout", title="An early answer that is wrong", points=1, difficulty=3, minutes=3,
    prompt="After the second of six blocks, the model's own head names the right class for 3 pictures out of 10. A new "
    "linear head, trained on the very same tokens, names it for 7 out of 10. What follows?",
    options={
        "The second block has not seen the whole picture yet.":
            "In a ViT every token can look at every patch from the first block on.",
        "Much of the class is in the token already, but not where the model's own head looks.": None,
        "The blocks after the second are of no use.":
            "They may well raise the 7 to more, and they bring what is known to where the head looks. Compare with the "
            "last block before you cut.",
        "The model's own head was trained badly.":
            "It was trained on the tokens of the *last* block. That it misreads earlier ones says nothing about it "
            "there.",
    },
    hints=["What was each of the two heads trained on?", "Two heads, one token: what differs between them?"],
    why="The new head shows what a linear map can find in the token; the model's own head shows only what points in "
    "*its* directions. A poor early readout is no proof that nothing is there.",
)
