"""Chapter 9's key: every exercise with its answer, the misconceptions that learners have, and the words that help."""

import math
import random
from itertools import pairwise

import torch

from autograde.exercises import Choice, Code, Misconception, Numeric, TrueFalse
from vitlib.diagnose.hunts import faults

# ── 9.1 · A method ─────────────────────────────────────────────────────────────────────────────────────────────────

bisect_runs = Numeric(
    "bisect-runs", title="Which change was it?", points=1, difficulty=1, minutes=2,
    parameters=dict(changes=500, minutes=7), parameter_values=dict(changes=range(20, 2000, 3), minutes=range(3, 60)),
    prompt="Last month's version learned, today's does not. {changes} changes lie between them, and exactly one of "
    "them broke it. A run of {minutes} minutes tells whether a version learns, and before each run you choose the "
    "version. After how many minutes, at most, will you have found the change?",
    answer=lambda changes, minutes: (changes - 1).bit_length() * minutes, unit="minutes",
    misconceptions=[
        Misconception("one after another", lambda changes, minutes: (changes - 1) * minutes,
            "That is how long it takes to go from one version to the next. A run in the middle rules out half of "
            "what is left."),
        Misconception("one for each change", lambda changes, minutes: changes * minutes,
            "One run for each change. A run in the middle rules out half of them at once."),
        Misconception("halved once", lambda changes, minutes: changes // 2 * minutes,
            "That is for what is left after one run. Halve it again, until one change is left."),
        Misconception("runs, not minutes", lambda changes, minutes: (changes - 1).bit_length(),
            "That is the number of runs. Each takes {minutes} minutes."),
        Misconception("a root", lambda changes, minutes: math.ceil(math.sqrt(changes)) * minutes,
            "A square root belongs to steps of equal size. Halving is faster: how often can you halve until 1 is "
            "left?"),
        Misconception("another logarithm", lambda changes, minutes: math.ceil(math.log(changes)) * minutes,
            "That is the natural logarithm. Each run leaves a half: take the logarithm to base 2, and round up."),
        Misconception("tenths", lambda changes, minutes: math.ceil(math.log10(changes)) * minutes,
            "That is the logarithm to base 10. Each run leaves a half, not a tenth."),
        Misconception("rounded down", lambda changes, minutes: (changes.bit_length() - 1) * minutes,
            "That is enough if you are lucky. “At most” means: round the number of runs up."),
    ],
    hints=["After one run half of the changes are left, after two a quarter …",
           "How many times can {changes} be halved, rounding up, until 1 is left? Each time takes {minutes} minutes."],
    why=lambda changes, minutes: f"2^{(changes - 1).bit_length() - 1} < {changes} ≤ 2^{(changes - 1).bit_length()}, so "
    f"{(changes - 1).bit_length()} runs, {(changes - 1).bit_length() * minutes} minutes. That is `git bisect`; it "
    "works for the lines of a diff and for layers, too.",
)

# ── 9.2 · What goes in ─────────────────────────────────────────────────────────────────────────────────────────────

good_then_bad = Choice(
    "good-then-bad", title="Good in training, bad in use", points=1, difficulty=2, minutes=3,
    prompt="Patients 2 and 3 have the same curve, and both fail in use. Look at their last three rows again. What is "
    "wrong with **patient 3**?",
    options={
        "It has learned its training pictures by heart.":
            "Then fresh pictures *of the same kind* would be as bad. Which of the numbers differ between training and "
            "use?",
        "In use, its pixels are normalised in another way than in training.":
            "That is patient 2. Which of the two gets pixels with another mean, and on another scale?",
        "In use, its pictures come from another resolution.": None,
        "It was left in training mode.":
            "Then its pixels would be those of patient 1. In which rows do the two differ?",
    },
    hints=["Compare the means, and the scales under the pictures: which patient's pixels lie where they should? A "
           "smaller deviation can have another reason than the scale.",
           "Neighbouring pixels that differ less: what has been done to the pictures?"],
    why="The mean is that of training, and the pixels still lie between −1 and 1, so the normalisation is right. But "
    "neighbouring pixels differ much less, and so the deviation is smaller: the test pictures were small once, and "
    "were enlarged.",
)

twice_normalised = Numeric(
    "twice-normalised", title="Normalised twice", points=1, difficulty=1, minutes=3, decimals=2,
    parameters=dict(byte=204, mean=0.5, std=0.25),
    parameter_values=dict(byte=range(6, 255, 6), mean=(0.3, 0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3)),
    prompt="A model was trained on pixels (x − {mean}) / {std}, where x is the byte divided by 255. The loader does "
    "that already, and the model's own `forward` does it once more. A pixel has the byte {byte}. Which number do the "
    "patches get?",
    answer=lambda byte, mean, std: ((byte / 255 - mean) / std - mean) / std,
    misconceptions=[
        Misconception("once", lambda byte, mean, std: (byte / 255 - mean) / std,
            "That is how it should be. But here it is done a second time, to the result of the first."),
        Misconception("divided twice only", lambda byte, mean, std: (byte / 255 - mean) / std / std,
            "The mean is subtracted twice as well: once before each division."),
        Misconception("subtracted twice, divided once", lambda byte, mean, std: (byte / 255 - 2 * mean) / std,
            "You subtracted twice and divided once. First do it all, then do it all again."),
        Misconception("doubled", lambda byte, mean, std: 2 * (byte / 255 - mean) / std,
            "Normalising twice does not double the result: put the first result in place of x."),
        Misconception("not divided by 255", lambda byte, mean, std: ((byte - mean) / std - mean) / std,
            "x is the byte divided by 255."),
        Misconception("divided by 255 again", lambda byte, mean, std: ((byte / 255 - mean) / std / 255 - mean) / std,
            "Only bytes are divided by 255. The second time there are none."),
    ],
    hints=["First x = {byte} / 255, then (x − {mean}) / {std}.", "Put the result in the place of x, once more."],
    why=lambda byte, mean, std: f"Once: ({byte} / 255 − {mean}) / {std} = {(byte / 255 - mean) / std:.2f}. Twice: "
    f"({(byte / 255 - mean) / std:.2f} − {mean}) / {std} = {((byte / 255 - mean) / std - mean) / std:.2f}. Nothing "
    "complains: it is a number like any other.",
)

# ── 9.3 · Ask again, in another way ────────────────────────────────────────────────────────────────────────────────

order_blind = Choice(
    "order-blind", title="Blind to places, not to neighbours in the batch", points=1, difficulty=3, minutes=4,
    prompt="Patients 5 and 6 both give the same logits when the patches of a picture change places. What is wrong with "
    "**patient 6**?",
    options={
        "It has no positions at all.":
            "That is patient 5. Then a picture's answer would not depend on its place in the batch. Patient 6's does.",
        "Its head reads the first patch instead of CLS.":
            "Then it would matter very much which patch comes first. Look at the third row.",
        "Its positions have the shape [B, 1, D] instead of [1, N + 1, D].": None,
        "It is in training mode.":
            "Then a second pass would differ, too. Look at the first row.",
    },
    hints=["Two passes agree, so nothing random is at work. What else can make an answer depend on the place in the "
    "batch?",
           "Which shape adds something different to each picture, and the same to all of its tokens?"],
    why="[B, 1, D] is broadcast over the tokens: each *place in the batch* gets a vector, and all patches of a "
    "picture get "
    "the same one. So it is blind to the places of patches, and not to the place in the batch. A published example "
    "had exactly this shape "
    "(pytorch/examples, issue 1178).",
)

# ── 9.4 · The loss, and one batch ──────────────────────────────────────────────────────────────────────────────────

three_curves = Choice(
    "three-curves", title="Three that do not learn", points=1, difficulty=2, minutes=4,
    prompt="Patients 7, 8 and 9 all end near ln 10. One has a learning rate that is too high, one has a rate that is "
    "too low, and in one the loss is wrong. Which is which?",
    options={
        "7: too high, 8: too low, 9: the loss":
            "Patient 8 learns one batch by heart in no time, so its rate is not too low. And does patient 7 ever jump?",
        "7: too low, 8: the loss, 9: too high": None,
        "7: the loss, 8: too low, 9: too high":
            "You are right about the jumps of 9. But which of 7 and 8 can learn one batch by heart, with a sound loss?",
        "7: too low, 8: too high, 9: the loss":
            "You are right about 7. A rate that is too high makes losses jump. In which curve do they?",
    },
    hints=["One of the three leaps far above ln 10, before it ends there.",
           "The one-batch test uses torch's own loss. Which of them can learn then?"],
    why="9 leaps, so its rate is too high. 7 falls evenly, and cannot even learn one batch: too low. 8 learns one "
    "batch with torch's cross-entropy at the very same rate, so model and rate are sound. What is left is its loss.",
)


def accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of pictures, 0…1, whose largest logit is that of their label.

    logits: [B, K]. labels: [B], or [B, 1] as some files store them.

    >>> accuracy(torch.tensor([[0.0, 2.0], [3.0, 1.0]]), torch.tensor([[1], [0]]))
    1.0
    """
    said = logits.argmax(dim=1)  # B
    return (said == labels.flatten()).float().mean().item()


def guesses(seed: int, count: int, classes: int, right: int, column: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Arguments of `accuracy`: logits without ties, and labels that the first `right` pictures hit."""
    dice = random.Random(seed)
    rows = [dice.sample(range(-2 * classes, 2 * classes), classes) for _ in range(count)]
    said = [row.index(max(row)) for row in rows]
    labels = [cls if i < right else (cls + dice.randrange(1, classes)) % classes for i, cls in enumerate(said)]
    order = dice.sample(range(count), count)
    logits = torch.tensor([rows[i] for i in order]).float() / 4
    return logits, torch.tensor([labels[i] for i in order]).reshape((-1, 1) if column else (-1,))


share_right = Code(
    "accuracy", title="Mend the accuracy", points=3, difficulty=2, minutes=8,
    prompt="Here is the sick function. It is right for labels of shape [B]. The labels of this file have the shape "
    "[B, 1], and there it says 0.1 for a model that is right nine times in ten.\n\n"
    "```python\ndef accuracy(logits, labels):\n    return (logits.argmax(dim=1) == "
    "labels).float().mean().item()\n```\n\nWrite one that is right for both shapes.",
    reference=accuracy,
    examples=[
        (torch.tensor([[0.0, 2.0], [3.0, 1.0]]), torch.tensor([[1], [0]])),
        (torch.tensor([[0.0, 2.0], [3.0, 1.0]]), torch.tensor([1, 0])),
        guesses(1, 8, 3, 6, column=True),
        (torch.tensor([[0.0, 2.0], [3.0, 1.0], [2.0, 1.0], [1.0, 0.0]]), torch.tensor([1, 0, 0, 1])),
        (torch.tensor([[2.0, 0.0], [1.0, 3.0], [0.0, 1.0]]), torch.tensor([[0], [0], [1]])),
        (torch.tensor([[1.0, 1.5, 1.25]]), torch.tensor([[1]])),
    ],
    checks={
        "labels of shape [B, 1]": [guesses(seed, 12, 5, 9, column=True) for seed in (2, 3, 4)],
        "labels of shape [B]": [guesses(seed, 10, 4, 7, column=False) for seed in (5, 6)],
        "as many pictures as classes": [guesses(7, 6, 6, 4, column=True), guesses(8, 6, 6, 4, column=False)],
        "one picture": [guesses(9, 1, 4, 1, column=True), guesses(10, 1, 4, 0, column=False)],
        "all right, and none": [guesses(11, 9, 4, 9, column=True), guesses(12, 9, 4, 0, column=True)],
    },
    hints=[
        "What is the shape of `logits.argmax(dim=1) == labels`, for [B] and [B, 1]? Print it.",
        "Bring the labels to the shape [B] first, whatever they had: `flatten` does so.",
        "The examples pass but grading finds a mistake? Try a single picture, and as many pictures as classes.",
    ],
    why="[B] against [B, 1] makes a table of B × B: every answer is compared with every label, and its mean is about "
    "1/K whatever the model does. Bring both to one shape before you compare.",
)


@share_right.alternative
def _(logits, labels):
    right = 0
    for row, label in zip(logits, labels, strict=True):
        right += int(row.argmax()) == int(label)
    return right / len(logits)


@share_right.alternative
def _(logits, labels):
    column = labels.reshape(-1, 1)
    return (logits.argmax(dim=1, keepdim=True) == column).double().mean().item()


@share_right.alternative
def _(logits, labels):
    own = logits.gather(1, labels.view(-1, 1))
    return 1.0 - (logits > own).any(dim=1).float().mean().item()


@share_right.misconception("the table",
    "With labels of [B, 1] you still make a table of B × B: each answer meets every label.")
def _(logits, labels):
    return (logits.argmax(dim=1) == labels).float().mean().item()


@share_right.misconception("always a column",
    "Right for [B, 1]. But labels of shape [B] now meet a column, and the table is "
    "back.")
def _(logits, labels):
    return (logits.argmax(dim=1, keepdim=True) == labels).float().mean().item()


@share_right.misconception("over the pictures",
    "Your argmax runs down the pictures. Each picture asks for its own largest "
    "logit: dim=1.")
def _(logits, labels):
    said = logits.argmax(dim=0)
    count = min(len(said), labels.numel())
    return (said[:count] == labels.flatten()[:count]).float().mean().item()


@share_right.misconception("over the whole table",
    "`argmax` without `dim` counts through the whole table, and gives one number for all pictures. Each picture asks "
    "for its own largest logit: dim=1.")
def _(logits, labels):
    return (logits.argmax() == labels.flatten()).float().mean().item()


@share_right.misconception("the smallest", "You ask for the smallest logit. The model's answer is the largest.")
def _(logits, labels):
    return (logits.argmin(dim=1) == labels.flatten()).float().mean().item()


@share_right.misconception("a count",
    "That is how many are right. The share is asked for: divide by the number of pictures.")
def _(logits, labels):
    return float((logits.argmax(dim=1) == labels.flatten()).sum())


@share_right.misconception("per cent", "Those are per cent. A share goes from 0 to 1.")
def _(logits, labels):
    return 100 * (logits.argmax(dim=1) == labels.flatten()).float().mean().item()


@share_right.misconception("the errors", "That is the share of wrong answers.")
def _(logits, labels):
    return (logits.argmax(dim=1) != labels.flatten()).float().mean().item()


@share_right.misconception("divided by the classes",
    "You divide by the number of classes. There are B pictures to be counted.")
def _(logits, labels):
    return (logits.argmax(dim=1) == labels.flatten()).float().sum().item() / logits.shape[1]


@share_right.misconception("divided by the table", "The sum is right, but you divide by B², the size of the table.")
def _(logits, labels):
    return (logits.argmax(dim=1) == labels.flatten()).float().sum().item() / len(logits) ** 2


@share_right.misconception("any match in the table",
    "You count a picture as right if *any* label of the batch is its answer. "
    "Its own label is meant.")
def _(logits, labels):
    return (logits.argmax(dim=1) == labels.reshape(-1, 1)).any(dim=0).float().mean().item()


@share_right.misconception("the first label for all",
    "`labels[0]` is one picture's label, and you compare all answers with it.")
def _(logits, labels):
    return (logits.argmax(dim=1) == labels[0]).float().mean().item()


@share_right.misconception("rounded", "Your share is rounded to two decimals. Return it as it is.")
def _(logits, labels):
    return round(accuracy(logits, labels), 2)


@share_right.misconception("mean over the classes",
    "You take the share in each class, and their mean: balanced accuracy. Here each picture counts alike.")
def _(logits, labels):
    labels = labels.flatten()
    right = (logits.argmax(dim=1) == labels).float()
    return torch.stack([right[labels == each].mean() for each in labels.unique()]).mean().item()


@share_right.misconception("the logit for the class",
    "You compare the largest logit itself with the label. The label is a class number: ask *where* the largest logit "
    "lies, argmax.")
def _(logits, labels):
    return (logits.amax(dim=1) == labels.flatten()).float().mean().item()


@share_right.misconception("labels of [B, 1] alone",
    "Right for [B, 1]. For labels of shape [B] it stops with an error: there is no axis 1. `flatten` takes both.")
def _(logits, labels):
    return (logits.argmax(dim=1) == labels[:, 0]).float().mean().item()


@share_right.misconception("squeezed to a number",
    "For one picture, `squeeze` takes away both axes of [1, 1], and what is left is no list any more. `flatten` keeps "
    "one axis.")
def _(logits, labels):
    hits = [said == label for said, label in zip(logits.argmax(dim=1).tolist(), labels.squeeze().tolist(), strict=True)]
    return sum(hits) / len(hits)


@share_right.misconception("all or nothing", "You say whether *all* are right. The share is asked for.")
def _(logits, labels):
    return float(bool((logits.argmax(dim=1) == labels.flatten()).all()))


@share_right.misconception("one of the two largest",
    "You count a picture as right if its label is among the two largest "
    "logits: that is top-2 accuracy.")
def _(logits, labels):
    return (logits.topk(2, dim=1).indices == labels.reshape(-1, 1)).any(dim=1).float().mean().item()


@share_right.misconception("sure, or wrong",
    "You count a picture as right if its label has a probability above one half. Among more than two classes the "
    "largest probability may be smaller: take the largest logit.")
def _(logits, labels):
    return (logits.softmax(dim=1).gather(1, labels.reshape(-1, 1)) > 0.5).float().mean().item()


@share_right.misconception("the batch turned round",
    "The labels are in another order than the pictures. Which operation on "
    "them was that?")
def _(logits, labels):
    return (logits.argmax(dim=1) == labels.flatten().flip(0)).float().mean().item()


# ── 9.5 · Compare with a reference ─────────────────────────────────────────────────────────────────────────────────

learns_anyway = TrueFalse(
    "learns-anyway", title="It learns, so it is right", points=1, difficulty=1, minutes=1,
    prompt="“If a model learns well and its test accuracy is as high as that of a sound one, its code is sound.”",
    answer=False,
    misconception="Look at patients 10, 11 and 13: do they read fewer digits than patient 1? And what was found when "
    "their parts were compared with the formulas?",
    hints=["What does training do about a fixed mistake that it can live with?"],
    why="False. Training learns around a fixed mistake. The price comes later: weights from elsewhere do not fit, your "
    "own fit nowhere else, and a larger model may not survive it.",
)


def to_tokens(maps: torch.Tensor) -> torch.Tensor:
    """The tokens [B, N, D] in the feature maps [B, D, rows, columns] that a patch embedding's convolution gives.

    Token i holds the D numbers at place i; places are counted row by row.

    >>> to_tokens(torch.tensor([[[[1.0, 2.0]], [[30.0, 40.0]]]]))  # D = 2, one row, two columns
    tensor([[[ 1., 30.],
             [ 2., 40.]]])
    """
    return maps.flatten(2).transpose(1, 2)  # B D rows columns → B D N → B N D


def maps_of(batch: int, width: int, rows: int, columns: int) -> torch.Tensor:
    """Feature maps in which every number is another, in steps of a half: none can be rounded unnoticed."""
    return torch.arange(batch * width * rows * columns).reshape(batch, width, rows, columns) / 2


tokens_of_maps = Code(
    "to-tokens", title="Mend the token sequence", points=3, difficulty=2, minutes=8, tolerance=0,
    prompt="This is patient 10's line. Its shape is right:\n\n"
    "```python\ndef to_tokens(maps):\n    return maps.reshape(maps.shape[0], -1, maps.shape[1])\n```\n\n"
    "Write one whose *numbers* are right, too.",
    reference=to_tokens,
    examples=[(torch.tensor([[[[1.0, 2.0]], [[30.0, 40.0]]]]),), (maps_of(2, 3, 3, 4),)],
    checks={
        "a grid that is not square": [(maps_of(2, 5, 3, 4),), (maps_of(3, 2, 4, 3),)],
        "a square grid": [(maps_of(2, 6, 3, 3),)],
        "as many numbers as tokens": [(maps_of(2, 6, 2, 3),), (maps_of(1, 4, 2, 2),)],
        "one picture, one number": [(maps_of(1, 1, 3, 5),)],
        "one row": [(maps_of(3, 4, 1, 6),)],
    },
    hints=[
        "Follow one token by hand: which numbers of `maps` belong to place (0, 1) of picture 0?",
        "`reshape` never moves a number, it only counts anew. Here numbers have to move: first make one axis of the "
        "two of the grid, then exchange axes.",
        "`maps.flatten(2)` is [B, D, N]. Which two axes change places?",
    ],
    why="`flatten(2)` joins the two axes of the grid, which lie beside each other in memory. D lies in front of them, "
    "so only a transpose brings it to the end.",
)


@tokens_of_maps.alternative
def _(maps):
    batch, width = maps.shape[:2]
    return maps.permute(0, 2, 3, 1).reshape(batch, -1, width)


@tokens_of_maps.alternative
def _(maps):
    rows, columns = maps.shape[2:]
    return torch.stack([maps[:, :, r, c] for r in range(rows) for c in range(columns)], dim=1)


@tokens_of_maps.alternative
def _(maps):
    return torch.einsum("bdn->bnd", maps.reshape(maps.shape[0], maps.shape[1], -1))


@tokens_of_maps.misconception("reshape alone",
    "Still a reshape: it counts the same numbers anew, and a token gets numbers of "
    "several places.")
def _(maps):
    return maps.reshape(maps.shape[0], -1, maps.shape[1])


@tokens_of_maps.misconception("rows for pictures",
    "You take the number of rows for that of the pictures. The axes of `maps` are [B, D, rows, columns].")
def _(maps):
    _columns, width, batch, _rows = maps.shape
    return maps.reshape(batch, width, -1).transpose(1, 2)


@tokens_of_maps.misconception("column by column", "Your tokens run down the columns. Places are counted row by row.")
def _(maps):
    return maps.permute(0, 3, 2, 1).flatten(1, 2)


@tokens_of_maps.misconception("no transpose",
    "You return [B, D, N]: one row for each number. The axes 1 and 2 have to change "
    "places.")
def _(maps):
    return maps.flatten(2)


@tokens_of_maps.misconception("tokens first",
    "Your first axis is the tokens: [N, B, D]. Some libraries want that; here "
    "pictures come first.")
def _(maps):
    return maps.permute(2, 3, 0, 1).flatten(0, 1)


@tokens_of_maps.misconception("one long row", "You joined pictures and places: [B·N, D]. The pictures must stay apart.")
def _(maps):
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


@tokens_of_maps.misconception("the grid kept", "You return [B, rows, columns, D]. The two axes of the grid become one.")
def _(maps):
    return maps.permute(0, 2, 3, 1)


@tokens_of_maps.misconception("transposed the grid",
    "You exchanged rows and columns before you joined them: the tokens run "
    "down the columns, in the shape [B, D, N].")
def _(maps):
    return maps.transpose(2, 3).flatten(2)


@tokens_of_maps.misconception("rows only", "You made tokens of whole rows: [B, rows, columns · D].")
def _(maps):
    return maps.permute(0, 2, 3, 1).flatten(2)


@tokens_of_maps.misconception("rows and channels",
    "You joined channels and rows. The two axes of the *grid* become one.")
def _(maps):
    return maps.flatten(1, 2).transpose(1, 2)


@tokens_of_maps.misconception("first picture", "You return the tokens of the first picture only.")
def _(maps):
    return maps[:1].flatten(2).transpose(1, 2)


@tokens_of_maps.misconception("backwards", "Your tokens come in the reverse order.")
def _(maps):
    return maps.flatten(2).transpose(1, 2).flip(1)


@tokens_of_maps.misconception("numbers backwards", "The D numbers of each token come in the reverse order.")
def _(maps):
    return maps.flatten(2).transpose(1, 2).flip(2)


@tokens_of_maps.misconception("transpose, then reshape",
    "You exchange axes first, and then reshape by another order than the "
    "axes have: numbers of different places meet again.")
def _(maps):
    return maps.transpose(1, 2).reshape(maps.shape[0], -1, maps.shape[1])


late_scale_sum = Numeric(
    "late-scale", title="What a row sums to", points=1, difficulty=2, minutes=2, decimals=3,
    parameters=dict(width=192, heads=3), parameter_values=dict(width=range(48, 1281, 4), heads=range(2, 17)),
    valid_if=lambda width, heads: width % heads == 0 and 12 <= width // heads <= 100,
    prompt="A model has D = {width} and h = {heads} heads. Somebody divides by √d_k *after* the softmax instead of "
    "before "
    "it. What does each row of its attention weights sum to?",
    answer=lambda width, heads: 1 / math.sqrt(width / heads),
    misconceptions=[
        Misconception("one", 1, "That is what a softmax gives. But then each weight is divided once more."),
        Misconception("√D", lambda width, heads: 1 / math.sqrt(width),
            "You took the dimension of the whole token. Each head has its share of it: d_k = D / h."),
        Misconception("d_k", lambda width, heads: heads / width, "You divided by d_k. The scale is its root."),
        Misconception("√d_k",
            lambda width, heads: math.sqrt(width / heads), "Divided, not multiplied: the sum gets smaller."),
        Misconception("√h", lambda width, heads: 1 / math.sqrt(heads),
            "You took the root of the number of heads. The scale is made from the head dimension d_k = D / h."),
    ],
    hints=["Right after the softmax a row sums to 1. What happens to a sum when each term is divided by the same "
    "number?",
           "d_k = {width} / {heads}."],
    why=lambda width, heads: f"d_k = {width} / {heads} = {width // heads}, and 1 / √{width // heads} = "
    f"{1 / math.sqrt(width / heads):.3f}. One line of code, a sum over the last axis, tells this patient from a sound "
    "one.",
)


def rollout(maps: torch.Tensor) -> torch.Tensor:
    """Attention followed through the layers: [S, S], how much of each token at the end comes from each at the start.

    maps: [L, h, S, S], for each layer and head the attention weights; rows may sum to less than 1, where weak links
    were set to 0. In every layer the heads are averaged, the identity is added for the residual connection, and each
    row is divided by its sum. The layers are multiplied, the last one leftmost. Every row of the answer sums to 1.

    >>> rollout(torch.tensor([[[[0.5, 0.5], [0.0, 1.0]]]]))  # one layer, one head, two tokens
    tensor([[0.7500, 0.2500],
            [0.0000, 1.0000]])
    """
    flow = torch.eye(maps.shape[-1])
    for layer in maps:  # h S S
        mixed = layer.mean(dim=0) + torch.eye(maps.shape[-1])
        flow = mixed / mixed.sum(dim=-1, keepdim=True) @ flow
    return flow


def some_maps(seed: int, layers: int, heads: int, tokens: int) -> torch.Tensor:
    """Attention maps whose rows sum to 1, from whole numbers of sixteenths: the same on every machine."""
    dice = random.Random(seed)
    rows = []
    for _ in range(layers * heads * tokens):
        cuts = sorted(dice.choices(range(17), k=tokens - 1))
        rows.append([(high - low) / 16 for low, high in zip([0, *cuts], [*cuts, 16], strict=True)])
    return torch.tensor(rows).reshape(layers, heads, tokens, tokens)


follow = Code(
    "rollout", title="Mend the rollout", points=4, difficulty=3, minutes=12,
    prompt="A much-copied rollout has this line, for a table of [S, S]:\n\n"
    "```python\nmixed = mixed / mixed.sum(dim=-1)\n```\n\n"
    "The sums have the shape [S], and [S, S] / [S] divides **columns**: number j of every row by the sum of row j. No "
    "error says so, and where all rows have the same sum it does no harm. Write the whole rollout so that it is right.",
    reference=rollout,
    examples=[
        (torch.tensor([[[[0.5, 0.5], [0.0, 1.0]]]]),), (some_maps(1, 3, 3, 3),),
        (torch.tensor([[[[0.5, 0.5], [0.0, 0.0]]]]),),
        (torch.tensor([[[[0.5, 0.5], [0.0, 0.0]]], [[[0.0, 0.5], [0.25, 0.0]]]]),),
        (torch.tensor([[[[0.5, 0.5], [0.0, 0.0]], [[0.0, 0.5], [0.25, 0.0]]]]),),
    ],
    checks={
        "several layers and heads": [(some_maps(2, 3, 2, 5),), (some_maps(3, 4, 3, 4),)],
        "rows that do not sum to 1": [  # weak links were set to 0, as many rollouts do first
            (some_maps(4, 3, 2, 5) * (some_maps(4, 3, 2, 5) > 0.2),), (some_maps(5, 2, 3, 4) * 0.5,),
        ],
        "one layer": [(some_maps(6, 1, 3, 4),)],
        "one head": [(some_maps(7, 3, 1, 6),)],
    },
    hints=[
        "One layer first: mean over the heads, plus the identity, each row divided by its sum.",
        "`keepdim=True` leaves the sums as a column, [S, 1], and a column divides rows.",
        "Then multiply: what stands leftmost is applied last. Start with the identity, and go `flow = layer @ flow`.",
        "The examples pass but grading finds a mistake? Try maps whose weak links were set to 0, so that the rows have "
        "different sums, and more than two layers.",
    ],
    why="`keepdim=True` is the whole cure of that line. A test would have found it: every row of a rollout sums to 1, "
    "whatever the maps.",
)


def _mixed(layer: torch.Tensor) -> torch.Tensor:
    mixed = layer.mean(dim=0) + torch.eye(layer.shape[-1])
    return mixed / mixed.sum(dim=-1, keepdim=True)


def _product(steps) -> torch.Tensor:
    flow = None
    for step in steps:
        flow = step if flow is None else step @ flow
    return flow


@follow.alternative
def _(maps):
    steps = maps.mean(dim=1) + torch.eye(maps.shape[-1])
    steps = steps / steps.sum(dim=-1, keepdim=True)
    flow = steps[0]
    for step in steps[1:]:
        flow = step @ flow
    return flow


@follow.alternative
def _(maps):
    flow = torch.eye(maps.shape[-1])
    for layer in maps.flip(0):
        mixed = layer.mean(dim=0) + torch.eye(maps.shape[-1])
        flow = flow @ (mixed / mixed.sum(dim=1)[:, None])
    return flow


@follow.alternative
def _(maps):
    flow = torch.eye(maps.shape[-1])
    for layer in maps:
        mixed = layer.mean(dim=0) + torch.eye(maps.shape[-1])
        flow = torch.einsum("ij,jk->ik", (mixed.T / mixed.sum(dim=-1)).T, flow)
    return flow


@follow.misconception("columns", "Your sums still have the shape [S], and divide columns. Keep the axis: keepdim=True.")
def _(maps):
    steps = [layer.mean(dim=0) + torch.eye(maps.shape[-1]) for layer in maps]
    return _product([step / step.sum(dim=-1) for step in steps])


@follow.misconception("column sums",
    "You divide by the sums of the *columns*. Each row is divided by its own sum: dim=-1.")
def _(maps):
    steps = [layer.mean(dim=0) + torch.eye(maps.shape[-1]) for layer in maps]
    return _product([step / step.sum(dim=0, keepdim=True) for step in steps])


@follow.misconception("no residual",
    "You left the identity out. Half of every token comes past attention, by the residual "
    "connection.")
def _(maps):
    steps = [layer.mean(dim=0) for layer in maps]
    return _product([step / step.sum(dim=-1, keepdim=True).clamp(min=1e-9) for step in steps])


@follow.misconception("wrong order", "Your product has the first layer leftmost. What is applied last stands leftmost: "
    "`layer @ flow`.")
def _(maps):
    return _product([_mixed(layer) for layer in maps.flip(0)])


@follow.misconception("not divided", "The rows are not divided by their sums: they grow from layer to layer.")
def _(maps):
    return _product([layer.mean(dim=0) + torch.eye(maps.shape[-1]) for layer in maps])


@follow.misconception("halved",
    "You halve instead of dividing by the sum. That is the same only where the rows of the maps sum "
    "to 1.")
def _(maps):
    return _product([(layer.mean(dim=0) + torch.eye(maps.shape[-1])) / 2 for layer in maps])


@follow.misconception("the strongest head", "You take the largest weight over the heads. Here they are averaged.")
def _(maps):
    steps = [layer.amax(dim=0) + torch.eye(maps.shape[-1]) for layer in maps]
    return _product([step / step.sum(dim=-1, keepdim=True) for step in steps])


@follow.misconception("heads added up",
    "You add the heads up, so attention outweighs the residual connection. Average them.")
def _(maps):
    steps = [layer.sum(dim=0) + torch.eye(maps.shape[-1]) for layer in maps]
    return _product([step / step.sum(dim=-1, keepdim=True) for step in steps])


@follow.misconception("one head", "You take the first head only. Average all of them.")
def _(maps):
    return _product([_mixed(layer[:1]) for layer in maps])


@follow.misconception("last layer",
    "That is the last layer alone. Multiply the layers: attention is followed through all.")
def _(maps):
    return _mixed(maps[-1])


@follow.misconception("first layer",
    "That is the first layer alone. Multiply the layers: attention is followed through all.")
def _(maps):
    return _mixed(maps[0])


@follow.misconception("divided at the end",
    "You divide the rows once, at the end. Where weak links were set to 0 the rows of a layer have different sums: "
    "divide in every layer.")
def _(maps):
    flow = torch.eye(maps.shape[-1])
    for layer in maps:
        flow = (layer.mean(dim=0) + torch.eye(maps.shape[-1])) @ flow
    return flow / flow.sum(dim=-1, keepdim=True)


@follow.misconception("last two layers",
    "Each step of your loop multiplies two neighbouring layers and forgets the product before: with three layers, the "
    "first is lost. Multiply by what you have so far: `flow = layer @ flow`.")
def _(maps):
    steps = [_mixed(layer) for layer in maps]
    flow = steps[0]
    for before, step in pairwise(steps):
        flow = step @ before
    return flow


@follow.misconception("divided before the identity",
    "You divide each row before the identity is added. Add it first: where weak links were set to 0, a token keeps "
    "more of itself.")
def _(maps):
    flow = torch.eye(maps.shape[-1])
    for layer in maps:
        weights = layer.mean(dim=0) / layer.mean(dim=0).sum(dim=-1, keepdim=True)
        flow = (weights + torch.eye(maps.shape[-1])) / 2 @ flow
    return flow


@follow.misconception("each head by itself",
    "You divide the rows of each head, and average then. That is the same only where the rows sum to 1: average the "
    "heads first.")
def _(maps):
    heads = maps + torch.eye(maps.shape[-1])
    return _product((heads / heads.sum(dim=-1, keepdim=True)).mean(dim=1))


@follow.misconception("averaged the wrong axis",
    "You average over the layers, and multiply the heads. The maps are [L, h, S, S]: average the heads of each layer.")
def _(maps):
    return rollout(maps.transpose(0, 1))


@follow.misconception("heads one after another",
    "You multiply the heads of a layer as if they were layers. They work side by side: average them.")
def _(maps):
    return rollout(maps.flatten(0, 1)[:, None])


@follow.misconception("softmax of the rows",
    "You put the rows through a softmax. They are weights already: divide each row by its sum.")
def _(maps):
    flow = torch.eye(maps.shape[-1])
    for layer in maps:
        flow = (layer.mean(dim=0) + torch.eye(maps.shape[-1])).softmax(dim=-1) @ flow
    return flow


@follow.misconception("averaged layers",
    "You average the layers. What a token has taken in one layer is handed on in the next: "
    "multiply them.")
def _(maps):
    return torch.stack([_mixed(layer) for layer in maps]).mean(dim=0)


@follow.misconception("number by number",
    "You multiply number by number. To follow attention through layers takes matrix "
    "products: `@`.")
def _(maps):
    return torch.stack([_mixed(layer) for layer in maps]).prod(dim=0)


@follow.misconception("transposed",
    "Your answer is transposed. Rows belong to tokens at the end, columns to the start.")
def _(maps):
    return _product([_mixed(layer) for layer in maps]).T


@follow.misconception("residual at the end",
    "You add the identity once, at the end. Every layer has its residual connection.")
def _(maps):
    flow = _product([layer.mean(dim=0) for layer in maps]) + torch.eye(maps.shape[-1])
    return flow / flow.sum(dim=-1, keepdim=True)


# ── 9.6 · What was loaded, and what does not fit ───────────────────────────────────────────────────────────────────


def take_weights(own: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint under the names of a model; a ValueError where one is missing or of another shape.

    own: the model's names and (fresh) tensors. found: the checkpoint's. All its names may begin with "module.", once;
    it may hold more than the model needs. The answer has exactly the model's names.

    >>> take_weights({"head.bias": torch.zeros(2)}, {"module.head.bias": torch.tensor([3.0, 4.0])})
    {'head.bias': tensor([3., 4.])}
    """
    clean = {name.removeprefix("module."): tensor for name, tensor in found.items()}
    lacking = [name for name, tensor in own.items() if name not in clean or clean[name].shape != tensor.shape]
    if lacking:
        raise ValueError(f"the checkpoint lacks {', '.join(lacking)}, or has it in another shape")
    return {name: clean[name] for name in own}


NAMES = ["cls_token", "blocks.0.mlp.fc1.weight", "blocks.0.norm1.bias", "norm.weight", "module_scale", "head.weight"]
SHAPES = [(1, 2), (4, 2), (2,), (2,), (1,), (3, 2)]


def weights_of(seed: int, prefix: str = "", count: int = 6, **changed) -> dict[str, torch.Tensor]:
    """Some weights by name; `changed` tensors replace or join them, None leaves one out."""
    dice = random.Random(seed)
    some = {
        name: torch.tensor([dice.randrange(-40, 40) / 8 for _ in range(math.prod(shape))]).reshape(shape)
        for name, shape in zip(NAMES[:count], SHAPES, strict=False)
    }
    some |= {name.replace("__", "."): tensor for name, tensor in changed.items()}
    return {prefix + name: tensor for name, tensor in some.items() if tensor is not None}


load = Code(
    "take-weights", title="Mend the loading", points=5, difficulty=3, minutes=12, tolerance=0,
    prompt="Here is what `load_state_dict(found, strict=False)` does with names, for a checkpoint that was saved from "
    "a model inside `DataParallel`, which puts `module.` in front of every name:\n\n"
    "```python\ndef take_weights(own, found):\n"
    "    return {name: found.get(name, tensor) for name, tensor in own.items()}\n```\n\n"
    "No name fits, so every tensor stays as it was, and nothing says so. Write one that takes the prefix off where it "
    "is there, and that **refuses** with a `ValueError` where anything is missing or has another shape.",
    reference=take_weights,
    examples=[
        ({"head.bias": torch.zeros(2)}, {"module.head.bias": torch.tensor([3.0, 4.0])}),
        (weights_of(1), weights_of(2, "module.")),
        (weights_of(1), weights_of(2, "module.", head__weight=None, ema__decay=torch.zeros(1))),
        (weights_of(1), weights_of(2)),
        (weights_of(1, count=1), weights_of(2, count=1)),
        (weights_of(1), weights_of(2, "module.", head__weight=torch.zeros(2, 3))),
        (weights_of(1), weights_of(2, "module.", head__weight=torch.zeros(3, 4))),
        (weights_of(1), weights_of(2, "module.", head__weight=torch.zeros(1, 2))),
        (weights_of(1), weights_of(2, "module.", norm__weight=torch.zeros(1))),
        (weights_of(1), weights_of(2, "module.", norm__weight=torch.zeros(2, 1))),
        (weights_of(1, count=4), weights_of(2, "module.")),
        (
            weights_of(1, adapter__module__bias=torch.zeros(2)),
            weights_of(2, "module.", adapter__module__bias=torch.ones(2)),
        ),
        (weights_of(1, adapter__module__bias=torch.zeros(2)), weights_of(2, adapter__module__bias=torch.ones(2))),
        (
            {"module.bias": torch.zeros(2), "bias": torch.zeros(2)},
            {"module.module.bias": torch.tensor([3.0, 4.0]), "module.bias": torch.tensor([5.0, 6.0])},
        ),
        ({"bias": torch.zeros(2)}, {"module.head.bias": torch.tensor([3.0, 4.0])}),
        (weights_of(1), dict(reversed(weights_of(2, "module.").items()))),
    ],
    checks={
        "a prefix": [(weights_of(3), weights_of(4, "module.")), (weights_of(5, count=3), weights_of(6, "module.", 3))],
        "no prefix": [(weights_of(7), weights_of(8)), (weights_of(23, count=1), weights_of(24, count=1))],
        "something missing": [
            (weights_of(9), weights_of(10, "module.", head__weight=None)), (weights_of(11), weights_of(12, count=3)),
            (weights_of(29), weights_of(30, norm__weight=None, ema__decay=torch.zeros(2))),
            ({"weight": torch.zeros(3)}, {"module.norm.weight": torch.ones(3)}),
        ],
        "another shape": [
            (weights_of(13), weights_of(14, "module.", head__weight=torch.zeros(5, 2))),
            (weights_of(15), weights_of(16, norm__weight=torch.zeros(1))),
            (weights_of(25), weights_of(26, "module.", head__weight=torch.zeros(2, 3))),
            (weights_of(27), weights_of(28, head__weight=torch.zeros(3, 5))),
            (weights_of(31), weights_of(32, head__weight=torch.zeros(1, 2))),
            (weights_of(37), weights_of(38, norm__weight=torch.zeros(2, 1))),
        ],
        "more than is needed": [
            (weights_of(17, count=4), weights_of(18, "module.")),
            (weights_of(19), weights_of(20, "module.", ema__decay=torch.zeros(1))),
        ],
        "“module.” inside a name": [
            (weights_of(21, adapter__module__bias=torch.zeros(2)),
             weights_of(22, "module.", adapter__module__bias=torch.ones(2))),
            (weights_of(33, adapter__module__bias=torch.zeros(2)),
             weights_of(34, adapter__module__bias=torch.ones(2))),
            (
                {"weight": torch.zeros(3), "module.weight": torch.zeros(3)},
                {"module.weight": torch.ones(3), "module.module.weight": torch.full((3,), 2.0)},
            ),
        ],
        "another order": [(weights_of(35), dict(reversed(weights_of(36).items())))],
    },
    hints=[
        "First make a new dict of the checkpoint with the prefix off, then look up the model's names in it.",
        "`name.removeprefix(\"module.\")` takes it off once, at the front. `lstrip` takes off *letters*.",
        "A name is in order if it is there and its shape is the model's. Collect those that are not, and raise.",
        "The examples pass but grading finds a mistake? Try a checkpoint without the prefix, one with more names than "
        "you need, one with a tensor of another shape, and a name with “module.” in its middle.",
    ],
    why="Take off the prefix at the front, once; look up every name; refuse if one is missing or misshapen. torch's "
    "own strict=True refuses as well. It is the strict=False that makes a fresh model look like a trained one.",
)


def _clean(found):
    return {name.removeprefix("module."): tensor for name, tensor in found.items()}


def _refuse(own, clean):
    if any(name not in clean or clean[name].shape != tensor.shape for name, tensor in own.items()):
        raise ValueError("does not fit")


@load.alternative
def _(own, found):
    answer = {}
    for name, tensor in own.items():
        value = found.get("module." + name, found.get(name))
        if value is None:
            raise ValueError(f"{name} is missing")
        if value.shape != tensor.shape:
            raise ValueError(f"{name} is {tuple(value.shape)}, expected {tuple(tensor.shape)}")
        answer[name] = value
    return answer


@load.alternative
def _(own, found):
    prefix = "module." if all(name.startswith("module.") for name in found) else ""
    names = {prefix + name: name for name in own}
    if names.keys() - found.keys():
        raise ValueError("missing")
    if not all(found[theirs].shape == own[mine].shape for theirs, mine in names.items()):
        raise ValueError("shape")
    return {mine: found[theirs] for theirs, mine in names.items()}


@load.misconception("strict=False",
    "A name that is not found still keeps its fresh tensor, in silence. Take the prefix off, "
    "and refuse where something is missing.")
def _(own, found):
    return {name: found.get(name, tensor) for name, tensor in own.items()}


@load.misconception("fresh where missing",
    "The prefix is off. But what is missing still keeps its fresh tensor in silence: "
    "raise a ValueError.")
def _(own, found):
    clean = _clean(found)
    return {name: clean.get(name, tensor) for name, tensor in own.items()}


@load.misconception("any shape", "Names are checked, shapes are not: a head for other classes goes through. Compare "
    "`tensor.shape`.")
def _(own, found):
    clean = _clean(found)
    if any(name not in clean for name in own):
        raise ValueError("missing")
    return {name: clean[name] for name in own}


@load.misconception("as many numbers",
    "You compare how many numbers there are. [2, 3] and [3, 2] have as many: compare shapes.")
def _(own, found):
    clean = _clean(found)
    if any(name not in clean or clean[name].numel() != tensor.numel() for name, tensor in own.items()):
        raise ValueError("does not fit")
    return {name: clean[name] for name in own}


@load.misconception("as many rows",
    "You compare the first axis alone: `len` of a tensor. [3, 2] and [3, 4] have as many rows: compare shapes.")
def _(own, found):
    clean = _clean(found)
    if any(name not in clean or len(clean[name]) != len(tensor) for name, tensor in own.items()):
        raise ValueError("does not fit")
    return {name: clean[name] for name in own}


@load.misconception("axis by axis",
    "You compare axis by axis, and `zip` stops with the shorter shape: [2] and [2, 1] pass for the same. Compare "
    "`tensor.shape` as a whole.")
def _(own, found):
    clean = _clean(found)
    for name, tensor in own.items():
        if name not in clean or any(a != b for a, b in zip(tensor.shape, clean[name].shape, strict=False)):
            raise ValueError("does not fit")
    return {name: clean[name] for name in own}


@load.misconception("the first one alone",
    "Your `return` stands inside the loop: it gives back the first tensor and stops. Return when the loop is done.")
def _(own, found):
    return dict([*take_weights(own, found).items()][:1])


@load.misconception("letters stripped",
    "`lstrip(\"module.\")` takes off any of the letters m, o, d, u, l, e and dots, as many "
    "as there are: “mlp” becomes “p”. Take `removeprefix`.")
def _(own, found):
    clean = {name.lstrip("module."): tensor for name, tensor in found.items()}
    _refuse(own, clean)
    return {name: clean[name] for name in own}


@load.misconception("replaced everywhere",
    "`replace` takes “module.” out of the middle of a name as well. Only the front is "
    "meant.")
def _(own, found):
    clean = {name.replace("module.", ""): tensor for name, tensor in found.items()}
    _refuse(own, clean)
    return {name: clean[name] for name in own}


@load.misconception("the first, wherever it stands",
    "You take off the first “module.” of a name, wherever it stands. Without the prefix, that is one in the middle of "
    "a name. Take `removeprefix`.")
def _(own, found):
    clean = {name.replace("module.", "", 1): tensor for name, tensor in found.items()}
    _refuse(own, clean)
    return {name: clean[name] for name in own}


@load.misconception("as often as it stands there",
    "You take the prefix off again and again. Once is enough: a part of the model may be called `module` itself.")
def _(own, found):
    clean = {}
    for name, tensor in found.items():
        while name.startswith("module."):
            name = name.removeprefix("module.")
        clean[name] = tensor
    _refuse(own, clean)
    return {name: clean[name] for name in own}


@load.misconception("without the prefix first",
    "You look for the model's name as it is, and with the prefix only where that is not there. In a checkpoint with "
    "the prefix, “module.bias” is the model's “bias”: take the prefix off all names first, then look them up.")
def _(own, found):
    both = {name: found.get(name, found.get(f"module.{name}")) for name in own}
    if any(both[name] is None or both[name].shape != tensor.shape for name, tensor in own.items()):
        raise ValueError("does not fit")
    return both


@load.misconception("names that end alike",
    "You take a name that *ends* like the model's: then “head.bias” goes for “bias”. Compare whole names.")
def _(own, found):
    answer = {}
    for name, tensor in own.items():
        value = next((found[theirs] for theirs in found if theirs.endswith(name)), None)
        if value is None or value.shape != tensor.shape:
            raise ValueError("does not fit")
        answer[name] = value
    return answer


@load.misconception("by the order",
    "You go by the order of the tensors, and not by their names. A checkpoint may hold them in another order.")
def _(own, found):
    if len(found) < len(own):
        raise ValueError("missing")
    answer = dict(zip(own, found.values(), strict=False))
    _refuse(own, answer)
    return answer


@load.misconception("broadcast",
    "You copy into tensors of the model's shapes, and copying broadcasts: one number fills a whole row in silence. "
    "Compare `tensor.shape` first.")
def _(own, found):
    clean = _clean(found)
    if any(name not in clean for name in own):
        raise ValueError("missing")
    try:
        return {name: torch.empty_like(tensor).copy_(clean[name]) for name, tensor in own.items()}
    except RuntimeError:
        raise ValueError("shape") from None


@load.misconception("always cut",
    "You cut off the first part of every name, whatever it is. Without the prefix that makes "
    "“weight” of “head.weight”.")
def _(own, found):
    clean = {name.split(".", 1)[-1]: tensor for name, tensor in found.items()}
    _refuse(own, clean)
    return {name: clean[name] for name in own}


@load.misconception("prefix demanded", "A checkpoint without the prefix is refused. It *may* be there.")
def _(own, found):
    clean = {name.removeprefix("module."): tensor for name, tensor in found.items() if name.startswith("module.")}
    _refuse(own, clean)
    return {name: clean[name] for name in own}


@load.misconception("no prefix allowed", "The prefix stays on, so that a sound checkpoint of DataParallel is refused.")
def _(own, found):
    _refuse(own, found)
    return {name: found[name] for name in own}


@load.misconception("everything returned",
    "You return all that the checkpoint holds. The model knows only its own names.")
def _(own, found):
    clean = _clean(found)
    _refuse(own, clean)
    return clean


@load.misconception("more is refused",
    "You refuse a checkpoint that holds more than the model needs, such as an average of the "
    "weights. That does no harm.")
def _(own, found):
    clean = _clean(found)
    _refuse(own, clean)
    if clean.keys() != own.keys():
        raise ValueError("more than is needed")
    return {name: clean[name] for name in own}


@load.misconception("the fresh ones",
    "Everything is checked, and then you return the model's fresh tensors. The checkpoint's "
    "are wanted.")
def _(own, found):
    _refuse(own, _clean(found))
    return dict(own)


@load.misconception("left out",
    "What does not fit is left out of your answer. Then the model keeps its fresh tensor there, in "
    "silence: raise a ValueError.")
def _(own, found):
    clean = _clean(found)
    return {name: clean[name] for name, t in own.items() if name in clean and clean[name].shape == t.shape}


@load.misconception("refuses only nothing",
    "You refuse only where *no* name fits. One that is missing is one too many.")
def _(own, found):
    clean = _clean(found)
    if not any(name in clean for name in own):
        raise ValueError("nothing fits")
    return {name: clean[name] for name in own if name in clean}


@load.misconception("names of the checkpoint", "Your names still have the prefix. The model's own names are asked for.")
def _(own, found):
    _refuse(own, _clean(found))
    return {name: tensor for name, tensor in found.items() if name.removeprefix("module.") in own}


out_of_memory = Choice(
    "out-of-memory", title="The patient that does not get up", points=1, difficulty=2, minutes=3,
    prompt="The model of the last cell is to be trained on its large pictures, and its task needs their detail. "
    "According to the table, which remedy makes it fit, and keeps both the pictures and what is learned as they are?",
    options={
        "Pictures of half the side.":
            "It fits. But the detail that the task needs is gone.",
        "A tenth of the learning rate.":
            "The learning rate is one number. No tensor becomes smaller.",
        "Checkpointing alone, with attention as it is written.":
            "Look at its row: the attention scores of one layer at a time are still there, and they are too large by "
            "themselves.",
        "Fused attention and checkpointing.": None,
        "Patches of twice the side.":
            "It fits. But that is another model: its patch embedding has another shape, and it sees less detail.",
    },
    hints=["Which of them leave the picture, the patches and the function as they are?",
           "Of those: which row of the table stays below 7.2 GiB?"],
    why="A fused kernel never stores the N × N attention scores, and checkpointing keeps one number in sixteen. Both "
    "compute the "
    "same function. Chapter 6 says what each of them costs.",
)

# ── 9.7 · Hunts ────────────────────────────────────────────────────────────────────────────────────────────────────

ASK = {  # how each fault shows, to whoever asks
    1: "look at twenty training pictures with their labels",
    2: "look for each test picture among the training pictures, byte by byte",
    3: "prepare the same pictures for training and for use, and compare mean and deviation",
    4: "exchange patches of a picture, and compare the logits of a fresh model in evaluation mode",
    5: "look at what the model gives for a few pictures, and whether its rows sum to 1",
    6: "copy the weights, take one step, and see which have moved",
    7: "fill the gradient of the head's weights with 1000, take a step, and see whether that is still in it",
    8: "ask for the accuracy of one model on the same pictures twice, and compare the two",
    9: "hand over pictures whose labels are all wrong, for a model that has learned: the accuracy should be near 0",
}


def number_of(found) -> int:
    """Faults as one number, the smallest first."""
    return int("".join(map(str, sorted(found))))


def named(case: int, fault: int) -> int:
    """A fault and the case that has it, as one number: everyone's case has another."""
    return 10 * case + fault


def others(case: int) -> list[int]:
    """The faults that a case has not got."""
    return [fault for fault in ASK if fault not in faults(case)]


def advice(fault: int) -> str:
    return f"Fault {fault} is not in it. How to be sure: {ASK[fault]}. Try your question on the sound script, too."


one_fault = Numeric(
    "one-fault", title="Hunt: one fault", points=3, difficulty=2, minutes=12,
    parameters=dict(case=22), parameter_values=dict(case=range(1, 100)),
    valid_if=lambda case: faults(case) != (7,),  # that one has been found together
    prompt="Case **{case}** has exactly one of the nine faults: `hunt({case})`. Reproduce its symptom with "
    "`symptoms({case})`, bisect, and ask. Which number has the fault? Write it behind the number of the case: fault 1 "
    "in case {case} would be {case}1.",
    answer=lambda case: named(case, faults(case)[0]),
    misconceptions=[
        Misconception(f"an innocent part, {place + 1}", lambda case, place=place: named(case, others(case)[place]),
            lambda case, place=place: advice(others(case)[place]))
        for place in range(8)
    ]
    + [
        Misconception("without the case", lambda case: faults(case)[0],
            "Write the number of the case in front: fault 1 in case {case} would be {case}1.")
    ],
    hints=[
        "Compare its symptoms with those of case 0. Is the loss odd, an accuracy, or nothing at all? A result that is "
        "too good is a symptom, too.",
        "Cut: does the *training* look odd (its loss), or only an accuracy? In the first case look before the "
        "evaluation; a loop of your own, as in the hunt above, tells `step` from what comes before it.",
        "For the optimizer: keep `before = [w.clone() for w in model.parameters()]`, take a step, and count the "
        "tensors that are still equal.",
        "For the evaluation: train a sound model with `run(hunt(0))`, and hand it to the case's `accuracy`: twice with "
        "the same pictures, and once with `Pictures(test.images, (test.labels + 1) % 10, test.classes)`.",
    ],
    why=lambda case: f"Number {faults(case)[0]}. To be sure: {ASK[faults(case)[0]]}.",
)

two_faults = Numeric(
    "two-faults", title="Hunt: two faults", points=5, difficulty=3, minutes=18,
    parameters=dict(case=181), parameter_values=dict(case=range(100, 200)),
    prompt="Case **{case}** has exactly two of the nine faults, in two parts of the script. Which? Write both "
    "numbers as "
    "one, the smaller first: faults 2 and 7 are 27.",
    answer=lambda case: number_of(faults(case)),
    misconceptions=[
        Misconception("the first alone", lambda case: faults(case)[0],
            "That one is there. There is one more, and it may be hidden by the first."),
        Misconception("the second alone", lambda case: faults(case)[1],
            "You have found one of the two. The other may be hidden by it."),
        Misconception("the larger first", lambda case: int("{1}{0}".format(*faults(case))),
            "You have both. Write the smaller number first."),
        *(
            Misconception(f"fault {place + 1} of two, and an innocent part, {other + 1}",
                lambda case, place=place, other=other: number_of({faults(case)[place], others(case)[other]}),
                lambda case, place=place, other=other: f"Fault {faults(case)[place]} is there. "
                f"{advice(others(case)[other])}")
            for place in range(2)
            for other in range(7)
        ),
    ],
    hints=[
        "Go through all nine, with one question for each. You have some of them already; each should say “sound” for "
        "`hunt(0)`.",
        "Never ask two parts at once. For the evaluation, take a model that a sound script has trained: "
        "`run(hunt(0))[0]`. For the model, take a fresh one.",
        "Are two numbers suspiciously equal, or is one too good? Which of the nine makes the evaluation look at other "
        "pictures than you think?",
    ],
    why=lambda case: "Numbers {} and {}. To be sure: ".format(*faults(case))
    + "; and ".join(ASK[fault] for fault in faults(case)) + ".",
)
