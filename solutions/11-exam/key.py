"""The exam's key: an item or more from every chapter, each with numbers of the learner's own where it has numbers.

An exam gives no hints: `hints=None` says so.
"""

import math

import torch

from autograde.exercises import Choice, Code, Misconception, Numeric, TrueFalse

# ── Chapter 0 ──────────────────────────────────────────────────────────────────────────────────────────────────────

first_exchange = Choice(
    "first-exchange", title="Who hears from whom", points=1, difficulty=1, minutes=1, hints=None,
    prompt="A cat's ear lies in one patch, its tail in another. In which stage of a ViT can the token of the ear take "
    "up something about the tail for the first time?",
    options={
        "Patchify: cutting the picture": "Each patch keeps its own pixels and nothing else.",
        "Embed: the linear map E": "E is applied to each patch by itself: it never sees two at once.",
        "Adding the position embeddings": "A position is added to each token by itself. It depends on the place, not "
            "on any other token.",
        "The first block of the encoder": None,
        "The classification head": "The head reads one vector. By then the tokens have exchanged information in every "
            "block.",
    },
    why="Attention is the only operation in a ViT that mixes tokens, and every block begins with it.",
)

# ── Chapter 1 ──────────────────────────────────────────────────────────────────────────────────────────────────────


def cut(height: int, width: int, patch: int) -> int:
    """Whole patches in a picture."""
    return (height // patch) * (width // patch)


patch_numbers = Numeric(
    "patch-numbers", title="A batch of patches", points=2, difficulty=2, minutes=3, hints=None,
    parameters=dict(batch=8, height=250, width=330, patch=16),
    parameter_values=dict(batch=(4, 6, 8), height=(250, 300, 350), width=(330, 410), patch=(16, 32)),
    prompt="A batch of {batch} colour pictures (RGB), each {height} pixels high and {width} wide, is cropped until it "
    "can be cut into patches of {patch} × {patch} pixels. The flattened patches of the whole batch lie in one tensor. "
    "How many numbers does it hold?",
    answer=lambda batch, height, width, patch: batch * cut(height, width, patch) * patch**2 * 3,
    misconceptions=[
        Misconception("no crop", lambda batch, height, width, patch: batch * height * width * 3,
            "Those are all the numbers of the pictures. Some pixels are cropped away first: how many whole patches "
            "are left?"),
        Misconception("one channel", lambda batch, height, width, patch: batch * cut(height, width, patch) * patch**2,
            "That is one number a pixel. A colour picture has three."),
        Misconception("P·C", lambda batch, height, width, patch: batch * cut(height, width, patch) * patch * 3,
            "A flattened patch has P² · C numbers; you counted P · C."),
        Misconception("one picture", lambda batch, height, width, patch: cut(height, width, patch) * patch**2 * 3,
            "That is one picture. The tensor holds the whole batch."),
        Misconception("padded", lambda batch, height, width, patch:
            batch * math.ceil(height / patch) * math.ceil(width / patch) * patch**2 * 3,
            "You rounded the rows and columns of patches up, as if the pictures were padded. They are cropped."),
        Misconception("counted patches", lambda batch, height, width, patch: batch * cut(height, width, patch),
            "That is the number of patches. Each of them is a vector of P² · C numbers."),
    ],
    why=lambda batch, height, width, patch: f"{height // patch} × {width // patch} = {cut(height, width, patch)} "
    f"patches of {patch}² · 3 = {3 * patch**2} numbers, {batch} times: "
    f"{batch * cut(height, width, patch) * patch**2 * 3}.",
)

# ── Chapter 2 ──────────────────────────────────────────────────────────────────────────────────────────────────────

extra_channels = Numeric(
    "extra-channels", title="More than red, green and blue", points=1, difficulty=2, minutes=3, hints=None,
    parameters=dict(channels=5, patch=16, dim=384),
    parameter_values=dict(channels=(4, 5, 8, 10), patch=(14, 16), dim=(192, 240, 320, 384, 432)),
    prompt="A satellite's pictures have {channels} channels. How many more parameters does the patch embedding of a "
    "ViT for them have than that of the same ViT for RGB pictures? Patches are {patch} × {patch} pixels, the embedding "
    "dimension is D = {dim}, and there is a bias.",
    answer=lambda channels, patch, dim: (channels - 3) * patch**2 * dim, unit="parameters",
    misconceptions=[
        Misconception("the whole embedding", lambda channels, patch, dim: channels * patch**2 * dim + dim,
            "That is the whole patch embedding. The question is how many parameters it has *more*."),
        Misconception("the bias again", lambda channels, patch, dim: (channels - 3) * patch**2 * dim + dim,
            "The bias has D numbers, however many channels there are: it does not grow."),
        Misconception("P instead of P²", lambda channels, patch, dim: (channels - 3) * patch * dim,
            "A channel of a patch has P² pixels, not P."),
        Misconception("one filter", lambda channels, patch, dim: (channels - 3) * patch**2,
            "That is one row of E. There are D of them."),
        Misconception("the whole matrix", lambda channels, patch, dim: channels * patch**2 * dim,
            "That is the whole matrix E. Take away what the RGB pictures need."),
    ],
    why=lambda channels, patch, dim: f"E has D rows of P² · C numbers: {channels - 3} more channels are "
    f"{channels - 3} · {patch}² · {dim} = {(channels - 3) * patch**2 * dim} more. The bias stays.",
)

# ── Chapter 3 ──────────────────────────────────────────────────────────────────────────────────────────────────────

sequence_length = Numeric(
    "sequence-length", title="What the encoder reads", points=1, difficulty=1, minutes=2, hints=None,
    parameters=dict(height=448, width=672, patch=14, registers=4),
    parameter_values=dict(height=(224, 336, 448), width=(672, 784, 896), patch=(14, 16), registers=(4, 8)),
    prompt="A ViT cuts a picture of {height} × {width} pixels into patches of {patch} × {patch}. In front of the patch "
    "tokens stand a CLS token and {registers} registers. How long is the sequence?",
    answer=lambda height, width, patch, registers: cut(height, width, patch) + 1 + registers, unit="tokens",
    misconceptions=[
        Misconception("patches alone", lambda height, width, patch, registers: cut(height, width, patch),
            "Those are the patch tokens. The encoder reads more than these."),
        Misconception("no registers", lambda height, width, patch, registers: cut(height, width, patch) + 1,
            "Registers are tokens, too: the encoder reads them like all others."),
        Misconception("no CLS", lambda height, width, patch, registers: cut(height, width, patch) + registers,
            "One token is missing: CLS."),
        Misconception("rows plus columns", lambda height, width, patch, registers:
            height // patch + width // patch + 1 + registers,
            "You added rows and columns of the grid. A grid has rows · columns places."),
    ],
    why=lambda height, width, patch, registers: f"{height // patch} × {width // patch} = {cut(height, width, patch)} "
    f"patch tokens, 1 CLS token and {registers} registers: {cut(height, width, patch) + 1 + registers}.",
)

same_length = Choice(
    "same-length", title="The same number of patches", points=1, difficulty=2, minutes=2, hints=None,
    prompt="A ViT was trained on pictures of 224 × 224 pixels, with patches of 16 and learned position embeddings. Now "
    "it is given pictures of 112 × 448. What happens if its table of position embeddings is used as it is?",
    options={
        "It stops with an error: the shapes do not fit.":
            "14 · 14 and 7 · 28 are both 196. The table has the right number of rows.",
        "It runs, and the answers are as good as before: there are still 196 patches.":
            "A row of the table stands for a place in a grid of 14 columns. The new grid has 28.",
        "It runs, but most patches get the position of another place.": None,
        "It runs, but CLS has no position any more.":
            "CLS keeps row 0 of the table, whatever the grid is.",
    },
    why="14 · 14 = 7 · 28, so the shapes fit by accident. But row 15 of the table meant *second row, first column*, "
    "and is now added to a patch of the first row. The table has to be resized from 14 × 14 to 7 × 28.",
)

# ── Chapter 4 ──────────────────────────────────────────────────────────────────────────────────────────────────────


def share(first: float, second: float) -> float:
    """The weight of the first of two scores."""
    return 1 / (1 + math.exp(second - first))


two_keys = Numeric(
    "two-keys", title="A query and two keys", points=2, difficulty=2, minutes=4, decimals=3, hints=None,
    parameters=dict(first=12, second=4, dim=64),
    parameter_values=dict(first=(7.5, 9.1, 10.6, 12, 13.3, 14.9), second=(2.2, 3.4, 4), dim=(16, 64)),
    prompt="In one head with d_k = {dim}, a query meets two keys. The dot products q·k are {first} and {second}. What "
    "is the attention weight of the **first** key?",
    answer=lambda first, second, dim: share(first / math.sqrt(dim), second / math.sqrt(dim)),
    misconceptions=[
        Misconception("no scale", lambda first, second, dim: share(first, second),
            "You took the softmax of the dot products. They are divided by √d_k first."),
        Misconception("divided by d_k", lambda first, second, dim: share(first / dim, second / dim),
            "You divided by d_k. The scale is its root."),
        Misconception("no exponential", lambda first, second, dim: first / (first + second),
            "You divided by the sum without the exponential: a softmax takes e to the power of each score."),
        Misconception("the other key", lambda first, second, dim:
            share(second / math.sqrt(dim), first / math.sqrt(dim)),
            "That is the weight of the second key."),
        Misconception("the score", lambda first, second, dim: first / math.sqrt(dim),
            "That is the attention score. The weight comes after the softmax, and is at most 1."),
    ],
    why=lambda first, second, dim: f"The scores are {first / dim**0.5:.3f} and {second / dim**0.5:.3f}, and "
    f"e^{first / dim**0.5:.3f} / (e^{first / dim**0.5:.3f} + e^{second / dim**0.5:.3f}) = "
    f"{share(first / dim**0.5, second / dim**0.5):.3f}.",
)

more_heads = TrueFalse(
    "more-heads", title="Twice the heads", points=1, difficulty=2, minutes=1, hints=None,
    prompt="“A ViT with D = 768 and 12 heads gets 24 heads instead. D stays, and so does the number of parameters in "
    "each block.”",
    answer=True,
    misconception="Heads share the embedding dimension: 24 of them have 768 / 24 = 32 numbers each. Which matrix would "
    "have grown?",
    why="True. Queries, keys and values of all heads together come from one matrix of D × 3D, however it is cut.",
)


def masked_weights(q: torch.Tensor, k: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Attention weights of one head, with a mask.

    q: queries [B, S, d_k]; k: keys [B, S, d_k]; mask [S, S]: True where a query (row) may attend to a key (column).
    Each row of the result [B, S, S] sums to 1, and is exactly 0 where the mask is False.

    >>> masked_weights(torch.ones(1, 2, 4), torch.ones(1, 2, 4), torch.tensor([[True, False], [True, True]])).tolist()
    [[[1.0, 0.0], [0.5, 0.5]]]
    """
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)


def heads_and_mask(seed: int, batch: int = 2, length: int = 4, dim: int = 3) -> tuple[torch.Tensor, ...]:
    """Arguments of `masked_weights`; every query may attend to itself, and to some others."""
    dice = torch.Generator().manual_seed(seed)
    q, k = (2 * torch.randn(batch, length, dim, generator=dice) for _ in range(2))
    mask = torch.rand(length, length, generator=dice) < 0.5
    return q, k, mask | torch.eye(length, dtype=torch.bool)


attend = Code(
    "masked-weights", title="Attention with a mask", points=5, difficulty=3, minutes=10, hints=None,
    prompt="Write the attention weights of one head, where a mask forbids some pairs of tokens.",
    reference=masked_weights,
    examples=[
        heads_and_mask(1), heads_and_mask(2, batch=1, length=5, dim=16),
        tuple([100 * part for part in heads_and_mask(9)[:2]] + [heads_and_mask(9)[2]]),
        (torch.zeros(1, 3, 2), *heads_and_mask(10, batch=1, length=3, dim=2)[1:]),
    ],
    checks={
        "any mask": lambda dice: [heads_and_mask(dice.randrange(10**6)) for _ in range(3)],
        "other sizes": lambda dice: [heads_and_mask(dice.randrange(10**6), batch=b, length=6, dim=8) for b in (1, 3)],
        "nothing forbidden": [(*heads_and_mask(7)[:2], torch.ones(4, 4, dtype=torch.bool))],
        "scores of 0": [(heads_and_mask(11)[0], torch.zeros(2, 4, 3), heads_and_mask(11)[2])],
        "large scores": [tuple([100 * part for part in heads_and_mask(8)[:2]] + [heads_and_mask(8)[2]])],
    },
    why="Scores, −∞ where a pair is forbidden, softmax along the keys. e to the power of −∞ is 0, and the rest of the "
    "row still sums to 1.",
)


@attend.alternative
def _(q, k, mask):
    scores = torch.einsum("bid,bjd->bij", q, k) / math.sqrt(q.shape[2])
    return torch.softmax(torch.where(mask, scores, torch.tensor(-torch.inf)), dim=2)


@attend.alternative
def _(q, k, mask):
    scores = torch.bmm(q * q.shape[-1] ** -0.5, k.mT)
    scores = scores - scores.where(mask, scores.new_tensor(-torch.inf)).amax(dim=-1, keepdim=True)
    shares = scores.clamp(max=0).exp() * mask
    return shares / shares.sum(dim=-1, keepdim=True)


@attend.misconception("no mask", "The mask is not used: forbidden pairs get a weight.")
def _(q, k, mask):
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1)


@attend.misconception("no scale", "The scale is missing: divide the dot products by √d_k.")
def _(q, k, mask):
    return (q @ k.mT).masked_fill(~mask, -torch.inf).softmax(dim=-1)


@attend.misconception("divided by d_k", "You divide by d_k. The scale is its root.")
def _(q, k, mask):
    return (q @ k.mT / q.shape[-1]).masked_fill(~mask, -torch.inf).softmax(dim=-1)


@attend.misconception("scaled by the length", "You take the root of the sequence length. The scale is √d_k, with the "
    "numbers of one query.")
def _(q, k, mask):
    return (q @ k.mT / q.shape[1] ** 0.5).masked_fill(~mask, -torch.inf).softmax(dim=-1)


@attend.misconception("mask turned round", "You forbid the pairs that the mask allows: True means *may attend*.")
def _(q, k, mask):
    return (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(mask, -torch.inf).softmax(dim=-1)


@attend.misconception("masked after the softmax", "You set weights to 0 after the softmax, so the rows no longer sum "
    "to 1. Mask the scores.")
def _(q, k, mask):
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1) * mask


@attend.misconception("zero instead of minus infinity", "Forbidden scores are 0 in your function. e⁰ is 1: they still "
    "get a weight. Which score gives the weight 0?")
def _(q, k, mask):
    return (q @ k.mT / q.shape[-1] ** 0.5 * mask).softmax(dim=-1)


@attend.misconception("mask added", "You add the mask to the scores: True counts as 1 and False as 0, and nothing is "
    "forbidden. Which score gives the weight 0?")
def _(q, k, mask):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5 + mask).softmax(dim=-1)


@attend.misconception("zero means forbidden", "You take every score of 0 for a forbidden one. A score may be 0 where a "
    "query and a key are at right angles: go by the mask.")
def _(q, k, mask):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5 * mask
    return scores.masked_fill(scores == 0, float("-inf")).softmax(dim=-1)


@attend.misconception("masked after the softmax, and divided again", "You mask the weights and divide each row again. "
    "On paper that is the same. But where a forbidden score is much larger than the others, the rest of the row has "
    "become 0, and 0 / 0 is nan. Mask the scores.")
def _(q, k, mask):
    weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1) * mask
    return weights / weights.sum(dim=-1, keepdim=True)


@attend.misconception("powers that overflow", "You take e to the power of each score yourself, and large scores "
    "overflow. `softmax` subtracts the largest score of the row first.")
def _(q, k, mask):
    powers = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).exp() * mask
    return powers / powers.sum(dim=-1, keepdim=True)


@attend.misconception("not low enough", "Your forbidden scores are low, but a real score may be lower still. Only −∞ "
    "is below all of them.")
def _(q, k, mask):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).masked_fill(~mask, -100.0).softmax(dim=-1)


@attend.misconception("scaled by the batch", "`len(q)` is the batch. The scale is √d_k, with the numbers of one query: "
    "`q.shape[-1]`.")
def _(q, k, mask):
    return (q @ k.transpose(-2, -1) / len(q) ** 0.5).masked_fill(~mask, float("-inf")).softmax(dim=-1)


@attend.misconception("scaled after the softmax", "You divide by √d_k after the softmax, so that no row sums to 1. "
    "Divide the scores.")
def _(q, k, mask):
    return (q @ k.transpose(-2, -1)).masked_fill(~mask, float("-inf")).softmax(dim=-1) / q.shape[-1] ** 0.5


@attend.misconception("a triangle for the mask", "You forbid what comes later, as language models do. Use the mask "
    "that is given.")
def _(q, k, mask):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    return scores.masked_fill(~torch.ones_like(mask).tril(), float("-inf")).softmax(dim=-1)


@attend.misconception("softmax over the queries", "Your columns sum to 1. The softmax goes along the keys, the last "
    "axis.")
def _(q, k, mask):
    return (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~mask, -torch.inf).softmax(dim=-2)


@attend.misconception("mask transposed", "Rows and columns of the mask are exchanged: a row belongs to a query.")
def _(q, k, mask):
    return (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~mask.T, -torch.inf).softmax(dim=-1)


@attend.misconception("keys ask", "Queries and keys have changed places: row i belongs to query i.")
def _(q, k, mask):
    return (k @ q.mT / q.shape[-1] ** 0.5).masked_fill(~mask, -torch.inf).softmax(dim=-1)


@attend.misconception("gave the scores", "Those are the attention scores. The weights come after the softmax.")
def _(q, k, mask):
    return (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~mask, -torch.inf)


@attend.misconception("queries with themselves", "You multiply the queries with themselves. The keys are not used.")
def _(q, k, mask):
    return (q @ q.mT / q.shape[-1] ** 0.5).masked_fill(~mask, -torch.inf).softmax(dim=-1)


# ── Chapter 5 ──────────────────────────────────────────────────────────────────────────────────────────────────────

batch_loss = Numeric(
    "batch-loss", title="The loss of two pictures", points=1, difficulty=2, minutes=3, decimals=3, hints=None,
    parameters=dict(first=0.9, second=0.2),
    parameter_values=dict(first=(0.6, 0.7, 0.75, 0.85, 0.9, 0.95), second=(0.05, 0.1, 0.15, 0.2, 0.25, 0.3)),
    prompt="A batch has two pictures. The model gives the right class of one the probability {first}, that of the "
    "other {second}. What is the cross-entropy of the batch?",
    answer=lambda first, second: -(math.log(first) + math.log(second)) / 2,
    misconceptions=[
        Misconception("sum", lambda first, second: -(math.log(first) + math.log(second)),
            "That is the sum. The loss of a batch is the mean of its pictures."),
        Misconception("mean first", lambda first, second: -math.log((first + second) / 2),
            "You averaged the probabilities. Each picture has a loss of its own: average those."),
        Misconception("decadic", lambda first, second: -(math.log10(first) + math.log10(second)) / 2,
            "You took the logarithm to base 10. Cross-entropy has the natural one."),
        Misconception("sign", lambda first, second: (math.log(first) + math.log(second)) / 2,
            "A minus sign is missing: the logarithm of a probability is negative, the loss is not."),
        Misconception("one minus p", lambda first, second: 1 - (first + second) / 2,
            "You averaged 1 − p. Cross-entropy is −ln p."),
    ],
    why=lambda first, second: f"−ln {first} = {-math.log(first):.3f} and −ln {second} = {-math.log(second):.3f}; their "
    f"mean is {-(math.log(first) + math.log(second)) / 2:.3f}. The picture that the model gets wrong weighs most.",
)

sharper = TrueFalse(
    "sharper-logits", title="Every logit doubled", points=1, difficulty=2, minutes=2, hints=None,
    prompt="“If all logits of a picture are doubled, the model names the same class as before, and with the same "
    "probability.”",
    answer=False,
    misconception="Try it with the logits 1 and 0: what is the probability of the first class, and what is it for 2 "
    "and 0? A softmax is blind to what is *added* to all logits, not to a factor.",
    why="False. The order stays, so the class does; but the differences double, and the probability of the largest "
    "logit comes closer to 1.",
)

# ── Chapter 6 ──────────────────────────────────────────────────────────────────────────────────────────────────────

scores_grow = Numeric(
    "scores-grow", title="A larger picture, and its scores", points=1, difficulty=2, minutes=2, decimals=2, hints=None,
    parameters=dict(small=224, large=336, patch=16),
    parameter_values=dict(small=(208, 224, 240, 256, 272), large=(304, 320, 336, 352, 368, 384, 416, 432)),
    prompt="A ViT with patches of {patch} × {patch} pixels reads pictures of {large} × {large} pixels instead of "
    "{small} × {small}. How many times as many attention scores does one head of one block compute? (Leave CLS out.)",
    answer=lambda small, large, patch: (large / small) ** 4,
    misconceptions=[
        Misconception("the side", lambda small, large, patch: large / small,
            "That is how the side grows. The number of patches grows with its square, and the scores with the square "
            "of that."),
        Misconception("the patches", lambda small, large, patch: (large / small) ** 2,
            "That is how the number of patches grows. There is a score for every *pair* of them."),
        Misconception("the third power", lambda small, large, patch: (large / small) ** 3,
            "You took the third power. N grows with the square of the side, and the scores with N²."),
        Misconception("twice the square", lambda small, large, patch: 2 * (large / small) ** 2,
            "You doubled the growth of N. The scores grow with its square."),
    ],
    why=lambda small, large, patch: f"N grows {(large / small) ** 2:.3f} times, and N² by the square of that: "
    f"{(large / small) ** 4:.2f} times.",
)

# ── Chapter 7 ──────────────────────────────────────────────────────────────────────────────────────────────────────

warm_up_end = Numeric(
    "warm-up-end", title="The end of the warm-up", points=1, difficulty=2, minutes=3, hints=None,
    parameters=dict(pictures=5000, batch=64, epochs=20),
    parameter_values=dict(pictures=(5000, 6000, 7000, 8200, 9500), batch=(40, 64, 96), epochs=(20, 30, 50)),
    prompt="A model is trained on {pictures} pictures for {epochs} epochs, in batches of {batch}; the last batch of an "
    "epoch may be smaller. The learning rate climbs during the first 10 % of all steps. How many steps is that?",
    answer=lambda pictures, batch, epochs: math.ceil(pictures / batch) * epochs // 10, unit="steps",
    misconceptions=[
        Misconception("all steps", lambda pictures, batch, epochs: math.ceil(pictures / batch) * epochs,
            "Those are all the steps. The warm-up is a tenth of them."),
        Misconception("the smaller batch lost", lambda pictures, batch, epochs: pictures // batch * epochs // 10,
            "You left out the last, smaller batch of each epoch. It is a step as well."),
        Misconception("one epoch", lambda pictures, batch, epochs: round(math.ceil(pictures / batch) / 10),
            "That is a tenth of one epoch. The share is of all steps."),
        Misconception("pictures for steps", lambda pictures, batch, epochs: pictures * epochs // 10,
            "You counted pictures. One step takes a whole batch."),
        Misconception("epochs for steps", lambda pictures, batch, epochs: epochs // 10,
            "That is a tenth of the epochs. How many steps does each of them have?"),
    ],
    why=lambda pictures, batch, epochs: f"{pictures} / {batch}, rounded up, is {math.ceil(pictures / batch)} steps an "
    f"epoch; times {epochs} is {math.ceil(pictures / batch) * epochs}, and a tenth of that is "
    f"{math.ceil(pictures / batch) * epochs // 10}.",
)

best_of_many = Choice(
    "best-of-many", title="The best of twenty", points=1, difficulty=2, minutes=2, hints=None,
    prompt="Twenty models are trained with different learning rates. Each is tested on the same 200 test pictures, and "
    "the best of the twenty results, 93.5 %, goes into the report. What is wrong with that?",
    options={
        "Nothing: the test pictures were never trained on.":
            "No weight was fitted to them, but the choice among twenty models was.",
        "200 pictures are too few: with 2000 the report would be right.":
            "More pictures make the error smaller. It remains an error, and always in the same direction.",
        "The result was chosen by the test set: it is too good. Choose by validation pictures, then test once.": None,
        "The mean of the twenty results should have been reported.":
            "Nobody will use the mean of twenty models. The question is how good the chosen one is.",
    },
    why="The largest of twenty noisy results is too large on average. Who chooses by the validation set can ask the "
    "test set once, and gets an honest answer.",
)

# ── Chapter 8 ──────────────────────────────────────────────────────────────────────────────────────────────────────

merged_map = Numeric(
    "merged-map", title="After two mergings", points=2, difficulty=2, minutes=3, hints=None,
    parameters=dict(side=224, patch=4, dim=96),
    parameter_values=dict(side=(224, 256, 320, 352, 384, 448), dim=(80, 96, 112, 128, 160, 192)),
    prompt="A Swin transformer cuts a picture of {side} × {side} pixels into patches of {patch} × {patch}, with D = "
    "{dim}. Between stages, patch merging joins squares of 2 × 2 tokens and doubles the dimension. How many numbers do "
    "all tokens together have after **two** mergings?",
    answer=lambda side, patch, dim: (side // patch // 4) ** 2 * 4 * dim,
    misconceptions=[
        Misconception("as before", lambda side, patch, dim: (side // patch) ** 2 * dim,
            "As many as before any merging. But a merging joins four tokens, and a linear map then takes their 4D "
            "numbers to 2D."),
        Misconception("one merging", lambda side, patch, dim: (side // patch // 2) ** 2 * 2 * dim,
            "That is after one merging. There is another one."),
        Misconception("the dimension stays", lambda side, patch, dim: (side // patch // 4) ** 2 * dim,
            "You kept the dimension. Each merging doubles it."),
        Misconception("counted tokens", lambda side, patch, dim: (side // patch // 4) ** 2,
            "That is the number of tokens. How many numbers does each have by then?"),
    ],
    why=lambda side, patch, dim: f"The grid shrinks from {side // patch} to {side // patch // 4} tokens a side, and "
    f"the dimension grows from {dim} to {4 * dim}: {side // patch // 4}² · {4 * dim} = "
    f"{(side // patch // 4) ** 2 * 4 * dim}, a quarter of the numbers before.",
)

# ── Chapter 9 ──────────────────────────────────────────────────────────────────────────────────────────────────────

batch_dependent = Choice(
    "batch-dependent", title="Alone it says zero", points=2, difficulty=3, minutes=3, hints=None,
    prompt="A digit classifier names 95 % of the test pictures correctly, in batches of 256. Given the same pictures "
    "one at a time, it says 0 to every single one. The class is the argmax of the probabilities. Which fault "
    "explains it?",
    options={
        "Dropout is still active.":
            "Then the answers would change at random, in both cases alike.",
        "The pictures are normalised with the wrong mean.":
            "That happens to each picture by itself: it would do the same harm in a batch.",
        "The softmax runs over the batch, `dim=0`, instead of over the classes.": None,
        "The position embeddings are missing.":
            "Then patches could not be told apart by their place, with any batch size.",
        "The learning rate was too high.":
            "No weight changes between the two tests. Something must look at the other pictures of the batch.",
    },
    why="Along a batch of one, every probability is 1, and the argmax of equal numbers is the first class. In a large "
    "batch the same fault nearly hides: a picture's largest logit mostly stands out in its column as well.",
)


def confusion_matrix(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """How often class i (row) was taken for class j (column): whole numbers [K, K].

    logits [B, K]: the class with the largest is the model's answer; labels [B]: the right classes.

    >>> logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [0.5, 0.9]])
    >>> confusion_matrix(logits, torch.tensor([0, 0, 0])).tolist()
    [[1, 2], [0, 0]]
    """
    classes = logits.shape[1]
    matrix = torch.zeros(classes, classes, dtype=torch.long)
    for label, answer in zip(labels.tolist(), logits.argmax(dim=1).tolist(), strict=True):
        matrix[label, answer] += 1
    return matrix


def answers_and_labels(seed: int, count: int = 12, classes: int = 3, last: int = 3) -> tuple[torch.Tensor, ...]:
    """Arguments of `confusion_matrix`; only the first `last` classes occur among the labels."""
    dice = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, classes, generator=dice)
    return logits, torch.randint(last, (count,), generator=dice)


def never_named(seed: int) -> tuple[torch.Tensor, ...]:
    """Arguments of `confusion_matrix`; the last of four classes is neither a label nor an answer."""
    logits, labels = answers_and_labels(seed, classes=4, last=2)
    return logits - torch.tensor([0.0, 0.0, 0.0, 9.0]), labels


confused = Code(
    "confusion-matrix", title="Which class for which", points=4, difficulty=2, minutes=8, hints=None,
    prompt="A [confusion matrix](../10-reference/10-reference.ipynb#Confusion-matrix) shows which classes are mistaken "
    "for which: row *i* counts what the model says of the pictures of class *i*, with a column for each answer. Write "
    "the function that makes it.",
    reference=confusion_matrix,
    examples=[answers_and_labels(1), answers_and_labels(2, count=20, classes=5, last=3), never_named(3),
              answers_and_labels(4, count=1, classes=4, last=4)],
    checks={
        "any answers": lambda dice: [answers_and_labels(dice.randrange(10**6)) for _ in range(3)],
        "many pictures": lambda dice: [answers_and_labels(dice.randrange(10**6), count=200, classes=4, last=4)],
        "a class that does not occur": lambda dice: [
            answers_and_labels(dice.randrange(10**6), classes=6, last=2), never_named(dice.randrange(10**6)),
        ],
        "one picture": lambda dice: [answers_and_labels(dice.randrange(10**6), count=1, classes=4, last=4)],
    },
    why="Row: what it is; column: what the model says. What is right lies on the diagonal.",
)


@confused.alternative
def _(logits, labels):
    classes = logits.shape[1]
    return torch.bincount(labels * classes + logits.argmax(dim=1), minlength=classes**2).reshape(classes, classes)


@confused.alternative
def _(logits, labels):
    one_hot = torch.eye(logits.shape[1], dtype=torch.long)
    return one_hot[labels].T @ one_hot[logits.argmax(dim=1)]


@confused.misconception("transposed", "Rows and columns are exchanged: a row belongs to the right class.")
def _(logits, labels):
    one_hot = torch.eye(logits.shape[1], dtype=torch.long)
    return one_hot[logits.argmax(dim=1)].T @ one_hot[labels]


@confused.misconception("counted once", "No entry is larger than 1. `matrix[labels, answers] += 1` counts each place "
    "once, however often it stands in the list.")
def _(logits, labels):
    matrix = torch.zeros(logits.shape[1], logits.shape[1], dtype=torch.long)
    matrix[labels, logits.argmax(dim=1)] += 1
    return matrix


@confused.misconception("floats", "The counts are right, but they are floats, as `torch.zeros(K, K)` makes them. "
    "Counts are whole numbers: say `dtype=torch.long`.")
def _(logits, labels):
    return confusion_matrix(logits, labels).float()


@confused.misconception("the smallest logit", "You took the smallest logit for the answer.")
def _(logits, labels):
    one_hot = torch.eye(logits.shape[1], dtype=torch.long)
    return one_hot[labels].T @ one_hot[logits.argmin(dim=1)]


@confused.misconception("shares of a row", "Those are shares of each row. Give the counts.")
def _(logits, labels):
    one_hot = torch.eye(logits.shape[1])
    counts = one_hot[labels].T @ one_hot[logits.argmax(dim=1)]
    return counts / counts.sum(dim=1, keepdim=True).clamp(min=1)


@confused.misconception("shares of all", "Those are shares of all pictures. Give the counts.")
def _(logits, labels):
    one_hot = torch.eye(logits.shape[1])
    return one_hot[labels].T @ one_hot[logits.argmax(dim=1)] / len(labels)


@confused.misconception("right ones only", "You counted the right answers only. What is off the diagonal matters most.")
def _(logits, labels):
    right = labels[logits.argmax(dim=1) == labels]
    return torch.diag(torch.bincount(right, minlength=logits.shape[1]))


@confused.misconception("wrong ones only", "You counted the mistakes only. The diagonal holds what is right.")
def _(logits, labels):
    one_hot = torch.eye(logits.shape[1], dtype=torch.long)
    counts = one_hot[labels].T @ one_hot[logits.argmax(dim=1)]
    return counts - torch.diag(counts.diag())


@confused.misconception("as many classes as labels",
    "Your matrix has as many rows as the largest label says. The logits know how many classes there are.")
def _(logits, labels):
    classes = max(int(labels.max()) + 1, 1)
    matrix = torch.zeros(classes, classes, dtype=torch.long)
    for label, answer in zip(labels.tolist(), logits.argmax(dim=1).tolist(), strict=True):
        if answer < classes:
            matrix[label, answer] += 1
    return matrix


@confused.misconception("as many classes as were seen",
    "Your matrix ends with the last class that occurs, among labels or answers. The logits have a column for every "
    "class.")
def _(logits, labels):
    answers = logits.argmax(dim=1)
    classes = int(torch.cat([labels, answers]).max()) + 1
    return torch.bincount(labels * classes + answers, minlength=classes**2).reshape(classes, classes)


@confused.misconception("one_hot without the classes",
    "`F.one_hot(labels)` has as many columns as the largest label asks for. Pass the number of classes, too.")
def _(logits, labels):
    return torch.nn.functional.one_hot(labels).T @ torch.nn.functional.one_hot(logits.argmax(dim=1), logits.shape[1])


@confused.misconception("as many counts as were found",
    "Your counts are fewer than K · K where the last pair of classes does not occur, and the reshape fails. "
    "`bincount` takes `minlength`.")
def _(logits, labels):
    classes = logits.shape[1]
    return torch.bincount(labels * classes + logits.argmax(dim=1)).reshape(classes, classes)


@confused.misconception("labels alone", "You counted the labels twice, and never asked what the model says.")
def _(logits, labels):
    return torch.diag(torch.bincount(labels, minlength=logits.shape[1]))


@confused.misconception("sums of probabilities", "You added probabilities. Take each picture's answer, the class with "
    "the largest logit, and count.")
def _(logits, labels):
    one_hot = torch.eye(logits.shape[1])
    return one_hot[labels].T @ logits.softmax(dim=1)


@confused.misconception("argmax over the batch", "You looked for the largest logit along the batch. Each picture has "
    "one answer: go along the classes.")
def _(logits, labels):
    matrix = torch.zeros(logits.shape[1], logits.shape[1], dtype=torch.long)
    for label, answer in zip(labels.tolist(), logits.argmax(dim=0).tolist(), strict=False):
        matrix[label, answer % logits.shape[1]] += 1
    return matrix


@confused.misconception("the last picture missing", "One picture is missing: the last.")
def _(logits, labels):
    one_hot = torch.eye(logits.shape[1], dtype=torch.long)
    return one_hot[labels[:-1]].T @ one_hot[logits[:-1].argmax(dim=1)]
