"""Chapter 8's key: every exercise with its answer, the misconceptions that learners have, and the words that help."""

import torch
import torch.nn.functional as F

from autograde.exercises import Choice, Code, Misconception, Numeric, TrueFalse


def numbers(*shape: int) -> torch.Tensor:
    """0, ½, 1, 1½ …: every entry has a value of its own, so that none can be exchanged or rounded unnoticed."""
    return torch.arange(torch.Size(shape).numel()).reshape(shape) / 2


# ── 8.2 · Windows ──────────────────────────────────────────────────────────────────────────────────────────────────

window_pairs = Numeric(
    "window-pairs", title="Scores inside windows", points=1, difficulty=1, minutes=2,
    parameters=dict(rows=28, columns=42, window=7),
    parameter_values=dict(rows=(14, 21, 28, 35, 42, 56, 63, 70), columns=(14, 21, 28, 35, 42, 49, 56, 84)),
    prompt="A stage has {rows} × {columns} tokens, cut into windows of {window} × {window}. Each token attends to the "
    "tokens of its own window, itself included. How many scores does **one head** compute for one picture?",
    answer=lambda rows, columns, window: rows * columns * window**2,
    misconceptions=[
        Misconception("all with all", lambda rows, columns, window: (rows * columns) ** 2,
            "That is N²: every token meets every other. Inside a window it meets only the {window}² of its own."),
        Misconception("one window", lambda rows, columns, window: window**4,
            "Those are the scores of a single window: {window}² tokens, each with {window}² others. How many windows "
            "are there?"),
        Misconception("the side of a window", lambda rows, columns, window: rows * columns * window,
            "You let each token meet {window} others. A window is a square: {window} is only its side."),
        Misconception("the tokens", lambda rows, columns, window: rows * columns,
            "That is how many tokens there are. Each of them computes several scores."),
        Misconception("the windows", lambda rows, columns, window: rows * columns // window**2,
            "That is how many windows there are. Each of them holds a small matrix of scores."),
        Misconception("without itself", lambda rows, columns, window: rows * columns * (window**2 - 1),
            "Nearly. A token attends to itself as well: the whole window."),
    ],
    hints=[
        "How many queries are there, and how many keys does each of them meet?",
        "N = {rows} · {columns}, and each meets w².",
    ],
    why=lambda rows, columns, window: f"{rows}·{columns} queries meet {window}² keys each: N·w² = "
    f"{rows * columns * window**2:,}. All pairs would be N² = {(rows * columns) ** 2:,}.",
)


def window_partition(x: torch.Tensor, window: int) -> torch.Tensor:
    """The windows of a grid of tokens, [B, R, C, D] → [B·W, w·w, D], w being the side of a window.

    The windows come row by row, the first picture's first; inside a window the tokens come row by row, too.

    >>> window_partition(torch.arange(8.0).reshape(1, 2, 4, 1), window=2)[..., 0]
    tensor([[0., 1., 4., 5.],
            [2., 3., 6., 7.]])

    Raises ValueError where the window does not divide both sides of the grid.
    """
    batch, rows, columns, width = x.shape
    if rows % window or columns % window:
        raise ValueError(f"the grid has {rows} × {columns} tokens, no multiple of window {window}")
    x = x.reshape(batch, rows // window, window, columns // window, window, width)
    x = x.transpose(2, 3)  # B R/w w C/w w D → B R/w C/w w w D
    return x.reshape(-1, window * window, width)


cut = Code(
    "window-partition", title="Your own window_partition", points=4, difficulty=2, minutes=10, tolerance=0,
    prompt="A window is to tokens what a patch is to pixels. So this is the idea of chapter 1's `patchify`, with two "
    "differences: the D numbers of a token stay together on an axis of their own, the last; and the windows of *all* "
    "pictures form one long batch, because attention is to treat each as if it were a picture by itself.",
    reference=window_partition,
    examples=[
        (torch.arange(8.0).reshape(1, 2, 4, 1), 2),
        (numbers(1, 4, 4, 2), 2),
        (numbers(2, 2, 6, 2), 2),
        (numbers(1, 3, 6, 1), 3),
        (torch.zeros(1, 4, 5, 2), 2),
        (torch.zeros(1, 3, 4, 1), 2),
        (torch.zeros(1, 3, 5, 1), 2),
    ],
    checks={
        "one number in a token": [(numbers(1, 6, 6, 1), 3), (numbers(1, 4, 6, 1), 2)],
        "several numbers in a token": [(numbers(1, 4, 8, 3), 4), (numbers(1, 9, 6, 2), 3), (numbers(1, 4, 12, 2), 2)],
        "several pictures": [(numbers(3, 4, 6, 2), 2), (numbers(2, 6, 9, 4), 3)],
        "the smallest and the largest window": [(numbers(2, 2, 3, 2), 1), (numbers(2, 3, 3, 2), 3)],
        "refuses what does not divide": [
            (torch.zeros(1, 5, 4, 1), 2), (torch.zeros(1, 4, 5, 1), 2), (torch.zeros(1, 2, 8, 1), 4),
            (torch.zeros(1, 3, 3, 1), 2),
        ],
    },
    hints=[
        "Split the axis of rows in two, [R] → [R/w, w], and the columns likewise. How many axes are there then?",
        "Of [B, R/w, w, C/w, w, D] the two axes that count windows should be neighbours: exchange the axes 2 and 3.",
        "Then one `reshape(-1, window * window, width)` puts together what now lies side by side.",
        "The examples pass but grading finds a mistake? Try a window of 1, one as large as the grid, and a grid whose "
        "*number* of tokens divides although a side does not. The refusal must be a `ValueError` of your own.",
    ],
    why="Split both sides, bring the axes that count windows together, and join: B·W windows of w² tokens.",
)


@cut.alternative
def _(x, window):
    if x.shape[1] % window or x.shape[2] % window:
        raise ValueError("the window does not divide the grid")
    windows = [
        picture[top : top + window, left : left + window].flatten(0, 1)
        for picture in x
        for top in range(0, x.shape[1], window)
        for left in range(0, x.shape[2], window)
    ]
    return torch.stack(windows)


@cut.alternative
def _(x, window):
    if x.shape[1] % window or x.shape[2] % window:
        raise ValueError("the window does not divide the grid")
    x = x.unfold(1, window, window).unfold(2, window, window)  # B R/w C/w D w w
    return x.permute(0, 1, 2, 4, 5, 3).flatten(3, 4).flatten(0, 2)


@cut.misconception("left the rows behind",
    "Your windows are strips: they hold tokens that lie in one row of the grid. Before "
    "the last reshape, the axes that count windows must stand side by side: transpose.")
def _(x, window):
    if x.shape[1] % window or x.shape[2] % window:
        raise ValueError("no multiple")
    return x.reshape(-1, window * window, x.shape[3])


@cut.misconception("exchanged the rows' halves",
    "You exchanged the axes 1 and 2: both come from the rows, so windows and tokens change places. The axes that "
    "count windows come together when you exchange 2 and 3.")
def _(x, window):
    batch, rows, columns, width = x.shape
    if rows % window or columns % window:
        raise ValueError("no multiple")
    x = x.reshape(batch, rows // window, window, columns // window, window, width)
    return x.transpose(1, 2).reshape(-1, window * window, width)


@cut.misconception("exchanged the columns' halves",
    "You exchanged the axes 3 and 4: both come from the columns. The axes that count windows come together when you "
    "exchange 2 and 3.")
def _(x, window):
    batch, rows, columns, width = x.shape
    if rows % window or columns % window:
        raise ValueError("no multiple")
    x = x.reshape(batch, rows // window, window, columns // window, window, width)
    return x.transpose(3, 4).reshape(-1, window * window, width)


@cut.misconception("works for squares only",
    "You cut the columns into as many pieces as the rows. A grid may be wider than high: there are columns / window "
    "windows in a row of them.")
def _(x, window):
    batch, rows, columns, width = x.shape
    if rows % window or columns % window:
        raise ValueError("no multiple")
    x = x.reshape(batch, rows // window, window, rows // window, window, width)
    return x.transpose(2, 3).reshape(-1, window * window, width)


@cut.misconception("windows of 2, always", "You cut windows of 2 × 2 whatever `window` says.")
def _(x, window):
    return window_partition(x, 2)


@cut.misconception("windows column by column",
    "Your windows are right, but in another order: they go down the columns of "
    "windows first. They should come row by row.")
def _(x, window):
    batch, rows, columns, width = x.shape
    if rows % window or columns % window:
        raise ValueError("no multiple")
    x = x.reshape(batch, rows // window, window, columns // window, window, width)
    return x.permute(0, 3, 1, 2, 4, 5).reshape(-1, window * window, width)


@cut.misconception("tokens column by column",
    "The windows are right, but inside each you read down the columns. Row by row, "
    "as one reads a page.")
def _(x, window):
    batch, rows, columns, width = x.shape
    if rows % window or columns % window:
        raise ValueError("no multiple")
    x = x.reshape(batch, rows // window, window, columns // window, window, width)
    return x.permute(0, 1, 3, 4, 2, 5).reshape(-1, window * window, width)


@cut.misconception("all column by column",
    "You read columns first, both among the windows and inside them. Rows and columns "
    "are exchanged.")
def _(x, window):
    batch, rows, columns, width = x.shape
    if rows % window or columns % window:
        raise ValueError("no multiple")
    x = x.reshape(batch, rows // window, window, columns // window, window, width)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(-1, window * window, width)


@cut.misconception("pictures interleaved",
    "You list the first window of every picture, then the second of every picture. All "
    "windows of the first picture come first: leave the batch in front.")
def _(x, window):
    batch, rows, columns, width = x.shape
    if rows % window or columns % window:
        raise ValueError("no multiple")
    x = x.reshape(batch, rows // window, window, columns // window, window, width)
    return x.permute(1, 3, 0, 2, 4, 5).reshape(-1, window * window, width)


@cut.misconception("kept the batch apart",
    "You kept an axis for the pictures: [B, W, w·w, D]. Attention wants one long batch "
    "of windows: [B·W, w·w, D].")
def _(x, window):
    return window_partition(x, window).unflatten(0, (len(x), -1))


@cut.misconception("kept the square",
    "Your windows are still squares, [B·W, w, w, D]. Attention reads a sequence of tokens: "
    "[B·W, w·w, D].")
def _(x, window):
    return window_partition(x, window).unflatten(1, (window, window))


@cut.misconception("every so-many-th token",
    "Your windows take tokens from all over the grid, evenly spaced. A window is a "
    "square of *neighbours*: [R] is split into [R/w, w], not into [w, R/w].")
def _(x, window):
    batch, rows, columns, width = x.shape
    if rows % window or columns % window:
        raise ValueError("no multiple")
    x = x.reshape(batch, window, rows // window, window, columns // window, width)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(-1, window * window, width)


@cut.misconception("so many windows",
    "You cut each side into `window` pieces. `window` is the side of a window in tokens, not "
    "how many windows lie along a side.")
def _(x, window):
    batch, rows, columns, width = x.shape
    if rows % window or columns % window:
        raise ValueError("no multiple")
    x = x.reshape(batch, window, rows // window, window, columns // window, width)
    return x.transpose(2, 3).reshape(batch * window**2, -1, width)


@cut.misconception("one long token",
    "You put the tokens of a window into one, as patchify does with pixels. Here tokens must "
    "stay apart, for they are to attend to one another: [B·W, w·w, D].")
def _(x, window):
    return window_partition(x, window).flatten(1)


@cut.misconception("numbers before tokens",
    "Your axes are [B·W, D, w·w]. The numbers of a token come last, as everywhere in an "
    "encoder.")
def _(x, window):
    return window_partition(x, window).transpose(1, 2)


@cut.misconception("first picture alone", "You cut up the first picture only. There may be several in the batch.")
def _(x, window):
    return window_partition(x[:1], window)


@cut.misconception("cut off the rest",
    "Where the window does not divide the grid, you drop the last tokens silently. Whoever "
    "joins the windows again would miss them: raise a ValueError.")
def _(x, window):
    return window_partition(x[:, : x.shape[1] // window * window, : x.shape[2] // window * window], window)


@cut.misconception("padded the rest",
    "Where the window does not divide the grid, you fill up with zeros. Detection code does "
    "that, and must then mask them. Here, refuse: raise a ValueError.")
def _(x, window):
    return window_partition(F.pad(x, (0, 0, 0, -x.shape[2] % window, 0, -x.shape[1] % window)), window)


@cut.misconception("left it to torch",
    "Where the window does not divide the grid, torch's own error comes out of your reshape. "
    "Test both sides first, and raise a ValueError that says what is wrong.")
def _(x, window):
    batch, rows, columns, width = x.shape
    x = x.reshape(batch, rows // window, window, columns // window, window, width)
    return x.transpose(2, 3).reshape(-1, window * window, width)


@cut.misconception("looked at the number alone",
    "You refuse where w² does not divide the number of tokens. Each *side* must be "
    "a multiple of w.")
def _(x, window):
    batch, rows, columns, width = x.shape
    if rows * columns % window**2:
        raise ValueError("no multiple")
    x = x.reshape(batch, rows // window, window, columns // window, window, width)
    return x.transpose(2, 3).reshape(-1, window * window, width)


@cut.misconception("looked at the rows alone",
    "You refuse where the window does not divide the rows, and let the columns through. Test both sides.")
def _(x, window):
    batch, rows, columns, width = x.shape
    if rows % window:
        raise ValueError("no multiple")
    x = x.reshape(batch, rows // window, window, columns // window, window, width)
    return x.transpose(2, 3).reshape(-1, window * window, width)


@cut.misconception("looked at the columns alone",
    "You refuse where the window does not divide the columns, and let the rows through. Test both sides.")
def _(x, window):
    batch, rows, columns, width = x.shape
    if columns % window:
        raise ValueError("no multiple")
    x = x.reshape(batch, rows // window, window, columns // window, window, width)
    return x.transpose(2, 3).reshape(-1, window * window, width)


# ── 8.3 · Why windows must shift ───────────────────────────────────────────────────────────────────────────────────

windows_alone = TrueFalse(
    "windows-alone", title="Only patience?", points=1, difficulty=1, minutes=1,
    prompt="“With windows that always lie in the same place, it takes more blocks, but in the end every token can "
    "influence every other.”",
    answer=False,
    misconception="Follow one token. In the first block it attends to its window; those tokens have attended to "
    "theirs, which is the "
    "same one. When does news from next door come in?",
    hints=["Draw two windows side by side, and an arrow for everything that a block carries over. Which arrow crosses "
           "the border?"],
    why="False. Nothing ever crosses a border, however many blocks there are: it would be one small ViT for each "
    "window, and they would share their weights and nothing else.",
)

reach_after = Numeric(
    "reach-after", title="How far after so many blocks", points=1, difficulty=2, minutes=4,
    parameters=dict(blocks=4, window=7), parameter_values=dict(blocks=range(3, 9), window=range(5, 48)),
    prompt="Windows of {window} × {window} tokens lie plain and shifted by turns, block after block, in a grid that is "
    "much larger. **How many tokens**, itself included, can have influenced a token far from the edges after "
    "{blocks} blocks?",
    answer=lambda blocks, window: (blocks * window) ** 2,
    misconceptions=[
        Misconception("one window", lambda blocks, window: window**2,
            "That is one window, and it would stay at one without shifts."),
        Misconception("so many windows", lambda blocks, window: blocks * window**2,
            "You added a window for each block. The *side* of the square grows by a window with each block."),
        Misconception("gave the side", lambda blocks, window: blocks * window,
            "That is the side of the square. How many tokens does the square hold?"),
        Misconception("half a window more", lambda blocks, window: (window + (blocks - 1) * (window // 2)) ** 2,
            "You let the side grow by half a window with each block. It grows by that on *both* sides."),
        Misconception("doubled each time", lambda blocks, window: (2 ** (blocks - 1) * window) ** 2,
            "You doubled the side with each block. From one window to two it doubles; then look at the figure: 3."),
        Misconception("one block less", lambda blocks, window: ((blocks - 1) * window) ** 2,
            "You left a block out. The first block gives one window already."),
        Misconception("one block more", lambda blocks, window: ((blocks + 1) * window) ** 2,
            "You added one window too many. The first block gives one window, not two."),
    ],
    hints=["Read the sides of the squares in the figure above, in windows: after 1, 2 and 3 blocks.",
           "After k blocks, the square has a side of k · {window} tokens."],
    why=lambda blocks, window: f"Each block adds half a window on both sides: a square of side {blocks}·{window} = "
    f"{blocks * window}, {(blocks * window) ** 2} tokens.",
)

# ── 8.4 · The cyclic shift and its mask ────────────────────────────────────────────────────────────────────────────


def may_attend(rows: int, columns: int, window: int, shift: int) -> torch.Tensor:
    """Which pairs of tokens may attend to each other in the windows of a rolled grid: bool [W, w·w, w·w].

    The grid of rows × columns tokens rolls up and to the left by `shift`, and is then cut into windows, row by row. Two
    tokens of a window may attend to each other if they came there the same way: neither of them round the border, or
    both round the same one, or both round the same two. Nothing is apart where `shift` is 0.

    >>> may_attend(rows=2, columns=2, window=2, shift=0).all().item()
    True
    >>> may_attend(rows=2, columns=4, window=2, shift=1)[0].int()  # the upper two did not roll round, the lower two did
    tensor([[1, 1, 0, 0],
            [1, 1, 0, 0],
            [0, 0, 1, 1],
            [0, 0, 1, 1]], dtype=torch.int32)
    """
    over_top = torch.arange(rows) < shift  # these rows leave at the top and come back at the bottom
    over_left = torch.arange(columns) < shift
    way = 2 * over_top[:, None] + 1 * over_left[None, :]  # R C: 0 to 3, the border or borders that a token rolled round
    way = way.roll((-shift, -shift), dims=(0, 1))
    way = way.reshape(rows // window, window, columns // window, window).transpose(1, 2)
    way = way.reshape(-1, window * window)  # W w·w
    return way[:, :, None] == way[:, None, :]


def in_windows(table: torch.Tensor, window: int) -> torch.Tensor:
    """[R, C] → [W, w·w]."""
    rows, columns = table.shape
    table = table.reshape(rows // window, window, columns // window, window).transpose(1, 2)
    return table.reshape(-1, window * window)


def pairs(way: torch.Tensor, window: int) -> torch.Tensor:
    """Which pairs have the same number, window by window."""
    way = in_windows(way, window)
    return way[:, :, None] == way[:, None, :]


def came_round(rows: int, columns: int, shift: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Which tokens roll over the top, and which over the left, before they roll."""
    top = (torch.arange(rows) < shift)[:, None].expand(rows, columns)
    left = (torch.arange(columns) < shift)[None, :].expand(rows, columns)
    return top.int(), left.int()


GRIDS = [(4, 4, 2, 1), (6, 9, 3, 1), (8, 12, 4, 2), (6, 6, 3, 2), (10, 5, 5, 2)]

apart = Code(
    "may-attend", title="Your own may_attend", points=5, difficulty=3, minutes=15, tolerance=0,
    prompt="Now the mask. The figure above painted every token by the way it came: not round a border at all, round "
    "the top one, round the left one, or round both. Give each token a number for that, roll the numbers as the "
    "tokens are rolled, cut them into windows as the tokens are cut, and compare all pairs.",
    reference=may_attend,
    examples=[(2, 2, 2, 0), (2, 4, 2, 1), (4, 4, 2, 1), (6, 9, 3, 1), (3, 3, 3, 2), (4, 8, 4, 3)],
    checks={
        "every window": [(8, 8, 4, 2), (6, 6, 3, 1), (14, 14, 7, 3)],
        "grids that are not square": [(4, 8, 4, 1), (9, 6, 3, 2), (12, 8, 4, 3)],
        "no shift": [(4, 6, 2, 0), (3, 3, 3, 0)],
        "a window as high as the grid": [(3, 9, 3, 1), (8, 4, 4, 1), (5, 5, 5, 2)],
        "any shift": lambda dice: [(8, 16, 8, dice.choice([1, 2, 5, 6])), (6, 12, 6, dice.choice([1, 2, 4, 5]))],
    },
    hints=[
        "`torch.arange(rows) < shift` says of each row whether it leaves at the top. Columns likewise, at the left.",
        "One number for both: `2 * over_top[:, None] + 1 * over_left[None, :]`, of shape [R, C]. It is 0, 1, 2 or 3.",
        "`.roll((-shift, -shift), dims=(0, 1))`, and then the cut that you know from window_partition: [W, w·w].",
        "With `way` of shape [W, M], `way[:, :, None] == way[:, None, :]` compares all pairs: [W, M, M].",
        "The examples pass but grading finds a mistake? Try `shift=0`, a shift that is not half of the window, a grid "
        "that is higher than wide, and a grid of a single window.",
    ],
    why="Number the four ways, roll, cut, compare. Only the windows at the lower and at the right edge hold tokens "
    "that came different ways; all others may attend as they like.",
)


@apart.alternative
def _(rows, columns, window, shift):
    def regions(size: int) -> torch.Tensor:
        """As in the paper's code: 0 before the last window, 1 and 2 for the two parts of the last window."""
        return torch.tensor([0] * (size - window) + [1] * (window - shift) + [2] * shift)

    way = 3 * regions(rows)[:, None] + regions(columns)[None, :]
    way = way.unfold(0, window, window).unfold(1, window, window).flatten(2).flatten(0, 1)  # W w·w
    return way.unsqueeze(2) == way.unsqueeze(1)


@apart.alternative
def _(rows, columns, window, shift):
    tables = []
    for top in range(0, rows, window):
        for left in range(0, columns, window):
            places = [(top + y, left + x) for y in range(window) for x in range(window)]
            ways = [(y + shift >= rows, x + shift >= columns) for y, x in places]
            tables.append([[one == other for other in ways] for one in ways])
    return torch.tensor(tables)


@apart.misconception("everybody",
    "You let all tokens of a window attend to each other. Then the upper edge of a picture meets "
    "the lower edge as if they were neighbours.")
def _(rows, columns, window, shift):
    return torch.ones_like(may_attend(rows, columns, window, shift))


@apart.misconception("the wrong way round",
    "Yours is True where tokens must be kept apart. True should mean that they may "
    "attend: turn it round with ~ or ==.")
def _(rows, columns, window, shift):
    return ~may_attend(rows, columns, window, shift)


@apart.misconception("top alone", "You keep those apart that rolled over the top, and forget the left border.")
def _(rows, columns, window, shift):
    top, _ = came_round(rows, columns, shift)
    return pairs(top.roll((-shift, -shift), dims=(0, 1)), window)


@apart.misconception("left alone", "You keep those apart that rolled over the left border, and forget the top.")
def _(rows, columns, window, shift):
    _, left = came_round(rows, columns, shift)
    return pairs(left.roll((-shift, -shift), dims=(0, 1)), window)


@apart.misconception("two ways with one number",
    "Two different ways have the same number: over the top alone, and over the "
    "left alone. Count one of them double, so that there are four numbers.")
def _(rows, columns, window, shift):
    top, left = came_round(rows, columns, shift)
    return pairs((top + left).roll((-shift, -shift), dims=(0, 1)), window)


@apart.misconception("round or not",
    "You ask whether a token came round at all. Over the top and over the left are different "
    "ways: such tokens were never neighbours either.")
def _(rows, columns, window, shift):
    top, left = came_round(rows, columns, shift)
    return pairs((top | left).roll((-shift, -shift), dims=(0, 1)), window)


@apart.misconception("only round both",
    "You set apart only what rolled over both borders: the one corner. What rolled over the "
    "top alone, or over the left alone, has come from far away as well.")
def _(rows, columns, window, shift):
    top, left = came_round(rows, columns, shift)
    return pairs((top & left).roll((-shift, -shift), dims=(0, 1)), window)


@apart.misconception("numbers that did not roll",
    "You cut the numbers without rolling them first. They must travel with their "
    "tokens.")
def _(rows, columns, window, shift):
    top, left = came_round(rows, columns, shift)
    return pairs(2 * top + left, window)


@apart.misconception("cut into strips",
    "You cut the numbers by a reshape alone, which takes tokens of one row. Cut them into windows as in "
    "window_partition.")
def _(rows, columns, window, shift):
    top, left = came_round(rows, columns, shift)
    way = (2 * top + left).roll((-shift, -shift), dims=(0, 1)).reshape(-1, window * window)
    return way[:, :, None] == way[:, None, :]


@apart.misconception("one mask for the whole grid",
    "Yours compares all tokens of the grid with each other. Cut the numbers into windows first, and compare inside "
    "each: [W, w·w, w·w].")
def _(rows, columns, window, shift):
    top, left = came_round(rows, columns, shift)
    way = (2 * top + left).roll((-shift, -shift), dims=(0, 1)).flatten()
    return way[:, None] == way[None, :]


@apart.misconception("one row too many",
    "You mark `shift` + 1 rows and columns: rows 0 to `shift` − 1 leave, so compare with <, not with <=.")
def _(rows, columns, window, shift):
    way = 2 * (torch.arange(rows) <= shift)[:, None] + 1 * (torch.arange(columns) <= shift)[None, :]
    return pairs(way.roll((-shift, -shift), dims=(0, 1)), window)


@apart.misconception("marked the last rows",
    "You mark the last rows and columns before the roll. Up and to the left, the *first* ones leave. (Or mark the "
    "last ones, and do not roll the marks.)")
def _(rows, columns, window, shift):
    way = 2 * (torch.arange(rows) >= rows - shift)[:, None] + 1 * (torch.arange(columns) >= columns - shift)[None, :]
    return pairs(way.roll((-shift, -shift), dims=(0, 1)), window)


@apart.misconception("rolled the rows alone", "You roll the numbers up, and forget to roll them to the left.")
def _(rows, columns, window, shift):
    top, left = came_round(rows, columns, shift)
    return pairs((2 * top + left).roll(-shift, dims=0), window)


@apart.misconception("rolled without dims",
    "`roll` without `dims` rolls the numbers as one long row. Give two shifts and two axes: "
    "`.roll((-shift, -shift), dims=(0, 1))`.")
def _(rows, columns, window, shift):
    top, left = came_round(rows, columns, shift)
    return pairs((2 * top + left).roll(-shift), window)


@apart.misconception("rows for columns", "You exchanged rows and columns: the grid has `rows` rows, counted down.")
def _(rows, columns, window, shift):
    return may_attend(columns, rows, window, shift)


@apart.misconception("rolled down",
    "Your grid rolls down and to the right. Up and to the left is a *negative* shift in "
    "torch.roll.")
def _(rows, columns, window, shift):
    top, left = came_round(rows, columns, shift)
    return pairs((2 * top + left).roll((shift, shift), dims=(0, 1)), window)


@apart.misconception("kept the old windows",
    "You keep tokens of different *unshifted* windows apart. But those are to meet: it "
    "is what the shift is for. Apart are only tokens that came round a border and those that did not.")
def _(rows, columns, window, shift):
    old = torch.arange(rows)[:, None] // window * columns + torch.arange(columns)[None, :] // window
    return pairs(old.roll((-shift, -shift), dims=(0, 1)), window)


@apart.misconception("half a window, always", "You shift by half a window whatever `shift` says.")
def _(rows, columns, window, shift):
    return may_attend(rows, columns, window, window // 2)


@apart.misconception("half a window, or nothing",
    "Wherever there is a shift, you shift by half a window. `shift` may be any number below the window.")
def _(rows, columns, window, shift):
    return may_attend(rows, columns, window, window // 2 if shift else 0)


@apart.misconception("one row, always",
    "You mark one row and one column, however large the shift is. `shift` rows and columns leave.")
def _(rows, columns, window, shift):
    return may_attend(rows, columns, window, min(shift, 1))


@apart.misconception("what stays",
    "You mark `window - shift` rows and columns: as many as stay in the last window. `shift` of them leave.")
def _(rows, columns, window, shift):
    left = window - shift
    way = 2 * (torch.arange(rows) < left)[:, None] + 1 * (torch.arange(columns) < left)[None, :]
    return pairs(way.roll((-shift, -shift), dims=(0, 1)), window)


@apart.misconception("round both is round none",
    "A token that rolled round both borders has the number of one that rolled round none. There are four ways, so "
    "there must be four numbers.")
def _(rows, columns, window, shift):
    top, left = came_round(rows, columns, shift)
    return pairs((top ^ left).roll((-shift, -shift), dims=(0, 1)), window)


@apart.misconception("no shift where a window covers the grid",
    "Where a window is as high or as wide as the grid, you leave the shift out, as Swin's model does. Here the grid "
    "rolls all the same, and the mask has to say so.")
def _(rows, columns, window, shift):
    return may_attend(rows, columns, window, 0 if min(rows, columns) <= window else shift)


@apart.misconception("what is added to scores",
    "Those are the numbers that are *added* to the scores, 0 and −∞. The question is about the "
    "mask itself: True and False.")
def _(rows, columns, window, shift):
    may = may_attend(rows, columns, window, shift)
    return torch.zeros(may.shape).masked_fill(~may, -torch.inf)


@apart.misconception("ones and zeros",
    "The right pairs, as numbers. Return True and False: leave the comparison as it is.")
def _(rows, columns, window, shift):
    return may_attend(rows, columns, window, shift).int()


@apart.misconception("not itself", "You forbid a token to attend to itself. It came the same way as itself: True.")
def _(rows, columns, window, shift):
    return may_attend(rows, columns, window, shift) & ~torch.eye(window**2, dtype=torch.bool)


@apart.misconception("windows column by column",
    "The right masks in another order: your windows go down the columns first.")
def _(rows, columns, window, shift):
    may = may_attend(rows, columns, window, shift)
    return may.unflatten(0, (rows // window, columns // window)).transpose(0, 1).flatten(0, 1)


@apart.misconception("judged by the distance",
    "You set apart what lay a window or more apart. That works until the grid is a "
    "single window high or wide: then nothing is so far away, and what rolled must be kept apart all the same.")
def _(rows, columns, window, shift):
    place = torch.arange(rows * columns).reshape(rows, columns).roll((-shift, -shift), dims=(0, 1))
    place = in_windows(place, window)
    far = [(each[:, :, None] - each[:, None, :]).abs() >= window for each in (place // columns, place % columns)]
    return ~(far[0] | far[1])


forgot_the_mask = Choice(
    "forgot-the-mask", title="The mask is forgotten", points=1, difficulty=2, minutes=2,
    prompt="Somebody writes Swin with the cyclic shift and forgets the mask. What happens?",
    options={
        "It stops with an error: the windows at the edge have another shape.":
            "They would, if the windows were simply moved. The roll is there so that all windows keep their shape.",
        "Nothing: the positions inside the window tell neighbours from tokens that came round.":
            "It goes by the places *inside* the window. There, what came round looks like a neighbour.",
        "It runs and trains. At the edges, tokens attend to the opposite edge as if it lay next door.": None,
        "Each token attends to all the others, at the cost N².":
            "The mask does not make the windows. Attention never leaves its window, with the mask or without.",
        "The loss is nan: a row of the softmax is −∞ everywhere.":
            "That would be a mask that forbids everything. Without a mask nothing is forbidden.",
    },
    hints=["Do the shapes depend on the mask?", "Where in the rolled grid do the sky and the ground come together?"],
    why="No shape changes, so nobody complains. The sky is a neighbour of the ground. "
    "Such mistakes are found by tests: in one block, what changes at one edge must not change the answer at the other.",
)

# ── 8.5 · Where in the window ──────────────────────────────────────────────────────────────────────────────────────

bias_rows = Numeric(
    "bias-rows", title="The table of offsets", points=1, difficulty=2, minutes=3,
    parameters=dict(window=7, heads=12), parameter_values=dict(window=range(4, 17), heads=(3, 4, 6, 8, 12, 16, 24)),
    prompt="A block of Swin has windows of {window} × {window} tokens and {heads} heads. How many numbers are in its "
    "table of relative position biases, all heads together?",
    answer=lambda window, heads: (2 * window - 1) ** 2 * heads,
    misconceptions=[
        Misconception("one for each pair", lambda window, heads: window**4 * heads,
            "That is one number for each *pair* of tokens. Pairs with the same offset share theirs."),
        Misconception("one for each place", lambda window, heads: window**2 * heads,
            "That is one for each place in the window, as in absolute positions. Here each *offset* has one, and "
            "distances can be negative."),
        Misconception("one direction", lambda window, heads: (2 * window - 1) * heads,
            "That is one direction. An offset has two numbers: so far down, so far to the right."),
        Misconception("one head", lambda window, heads: (2 * window - 1) ** 2,
            "Right for one head. Every head has a table of its own."),
        Misconception("forgot distance 0", lambda window, heads: (2 * window - 2) ** 2 * heads,
            "From −({window} − 1) to {window} − 1, and 0 is one of them."),
        Misconception("a window too far", lambda window, heads: (2 * window + 1) ** 2 * heads,
            "You let offsets run from −{window} to {window}. From the first place to the last it is one less."),
        Misconception("twice the window", lambda window, heads: (2 * window) ** 2 * heads,
            "From −({window} − 1) to {window} − 1: how many whole numbers is that?"),
    ],
    hints=["Along one direction, two tokens are −({window} − 1) to {window} − 1 apart. How many values is that?",
           "(2w − 1) values in each of two directions, for each head."],
    why=lambda window, heads: f"2·{window} − 1 = {2 * window - 1} offsets in each direction, so "
    f"{2 * window - 1}²·{heads} = {(2 * window - 1) ** 2 * heads}.",
)

# ── 8.6 · Stages ───────────────────────────────────────────────────────────────────────────────────────────────────


def merge_patches(x: torch.Tensor) -> torch.Tensor:
    """Each square of 2 × 2 tokens becomes one, its numbers side by side: [B, R, C, D] → [B, R/2, C/2, 4·D].

    First come the numbers of the upper left token, then lower left, upper right, lower right: Swin's order.

    >>> merge_patches(torch.tensor([[[[1.0], [3.0]], [[2.0], [4.0]]]]))
    tensor([[[[1., 2., 3., 4.]]]])

    Raises ValueError where a side of the grid is odd.
    """
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ValueError(f"the grid has {x.shape[1]} × {x.shape[2]} tokens: both sides must be even")
    corners = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]  # B R/2 C/2 D, each
    return torch.cat(corners, dim=-1)


def corners_of(x: torch.Tensor) -> list[torch.Tensor]:
    """Upper left, lower left, upper right, lower right; ValueError for an odd side."""
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ValueError("odd")
    return [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]


merge = Code(
    "merge-patches", title="Your own merge_patches", points=4, difficulty=2, minutes=8, tolerance=0,
    prompt="Between two stages, four neighbours become one token. This is the part that only moves numbers; a "
    "LayerNorm and a linear layer, from 4·D to 2·D, follow it. Slices with a step do it: `x[:, 0::2, 0::2]` "
    "takes the upper left token of every square.",
    reference=merge_patches,
    examples=[
        (torch.tensor([[[[1.0], [3.0]], [[2.0], [4.0]]]]),),
        (numbers(1, 2, 4, 2),),
        (numbers(2, 4, 4, 1),),
        (torch.zeros(1, 3, 4, 2),),
        (torch.zeros(1, 4, 5, 1),),
    ],
    checks={
        "any grid": [(numbers(1, 4, 6, 1),), (numbers(1, 6, 2, 3),), (numbers(1, 8, 8, 2),)],
        "several pictures": [(numbers(3, 2, 4, 2),), (numbers(2, 4, 4, 5),)],
        "one square": [(numbers(2, 2, 2, 3),)],
        "refuses odd sides": [(torch.zeros(1, 3, 4, 1),), (torch.zeros(1, 4, 3, 1),), (torch.zeros(2, 5, 5, 2),)],
    },
    hints=[
        "Rows 0, 2, 4, … are `x[:, 0::2]`, rows 1, 3, 5, … are `x[:, 1::2]`. The columns likewise, on the next axis.",
        "That makes four tensors of [B, R/2, C/2, D]. `torch.cat(…, dim=-1)` puts their numbers side by side.",
        "The examples pass but grading finds a mistake? Is the order upper left, *lower left*, upper right, lower "
        "right? Are odd rows refused, and odd columns, too, with a `ValueError` of your own?",
    ],
    why="Four slices, side by side: R/2 · C/2 tokens of 4·D numbers. Nothing is lost until the linear layer.",
)


@merge.alternative
def _(x):
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ValueError("odd")
    x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # B R/2 y C/2 x D
    return x.permute(0, 1, 3, 4, 2, 5).flatten(3)


@merge.alternative
def _(x):
    batch, rows, columns, width = x.shape
    if rows % 2 == 1 or columns % 2 == 1:
        raise ValueError("odd")
    merged = x.new_zeros(batch, rows // 2, columns // 2, 4 * width)
    for number, (right, down) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        merged[..., number * width : (number + 1) * width] = x[:, down::2, right::2]
    return merged


@merge.misconception("reading order",
    "Upper left, upper right, lower left, lower right: a natural order, but not Swin's. Its "
    "weights expect lower left in the second place.")
def _(x):
    one, two, three, four = corners_of(x)
    return torch.cat([one, three, two, four], dim=-1)


@merge.misconception("round the square",
    "You go round the square: upper left, lower left, lower right, upper right. Swin goes down the left column, and "
    "then down the right one.")
def _(x):
    one, two, three, four = corners_of(x)
    return torch.cat([one, two, four, three], dim=-1)


@merge.misconception("first picture alone", "You gave back the first picture only. There may be several in the batch.")
def _(x):
    return torch.cat(corners_of(x[:1]), dim=-1)


@merge.misconception("quarters of the picture", "You put the four *quarters of the picture* on top of each other. Four "
    "neighbours are to become one: take every second row and column.")
def _(x):
    corners_of(x)
    upper, lower = x.chunk(2, dim=1)
    return torch.cat([*upper.chunk(2, dim=2), *lower.chunk(2, dim=2)], dim=-1)


@merge.misconception("averaged",
    "You took the mean of the four. Merging keeps all numbers, side by side; what to make of them "
    "is left to the linear layer behind.")
def _(x):
    return torch.stack(corners_of(x)).mean(dim=0)


@merge.misconception("added up", "You added the four up. Merging keeps all numbers, side by side.")
def _(x):
    return sum(corners_of(x))


@merge.misconception("took the largest", "That is max pooling. Merging keeps all numbers, side by side.")
def _(x):
    return torch.stack(corners_of(x)).amax(dim=0)


@merge.misconception("took one of four", "You kept the upper left token of each square and threw away the other three.")
def _(x):
    return corners_of(x)[0]


@merge.misconception("an axis of its own",
    "Your four tokens lie on an axis of their own: [B, R/2, C/2, 4, D]. Their numbers "
    "should stand side by side on the last axis, 4·D of them: cat, not stack.")
def _(x):
    return torch.stack(corners_of(x), dim=-2)


@merge.misconception("shuffled into one another",
    "You put the first numbers of the four tokens together, then the second ones. "
    "The D numbers of a token stay together.")
def _(x):
    return torch.stack(corners_of(x), dim=-1).flatten(-2)


@merge.misconception("reshaped at once",
    "A reshape alone takes what lies together in memory: four tokens of one row. Two of "
    "the four come from the row below.")
def _(x):
    corners_of(x)
    batch, rows, columns, width = x.shape
    return x.reshape(batch, rows // 2, columns // 2, 4 * width)


@merge.misconception("one below the other",
    "You put the four on top of each other along the rows, so there are as many tokens "
    "as before. Put them side by side on the last axis: dim=-1.")
def _(x):
    return torch.cat(corners_of(x), dim=1)


@merge.misconception("one beside the other",
    "You put the four side by side along the columns, so there are as many tokens as before. Put their *numbers* side "
    "by side, on the last axis: dim=-1.")
def _(x):
    return torch.cat(corners_of(x), dim=2)


@merge.misconception("looked at the rows alone",
    "You refuse an odd number of rows, and let an odd number of columns through. Test both sides.")
def _(x):
    if x.shape[1] % 2:
        raise ValueError("odd")
    return torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], dim=-1)


@merge.misconception("looked at the columns alone",
    "You refuse an odd number of columns, and let an odd number of rows through. Test both sides.")
def _(x):
    if x.shape[2] % 2:
        raise ValueError("odd")
    return torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], dim=-1)


@merge.misconception(
    "lost the grid", "Your tokens lie in one sequence, [B, R·C/4, 4·D]. Keep the grid: [B, R/2, C/2, 4·D]."
)
def _(x):
    return merge_patches(x).flatten(1, 2)


@merge.misconception("only along the rows", "You merged pairs along one direction. Four tokens become one, two by two.")
def _(x):
    corners_of(x)
    return torch.cat([x[:, 0::2], x[:, 1::2]], dim=-1)


@merge.misconception("cut off the odd", "Where a side is odd, you drop its last tokens silently. Raise a ValueError.")
def _(x):
    return merge_patches(x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2])


@merge.misconception("padded the odd",
    "Where a side is odd, you add zeros. Detection code does that, for pictures of any size. "
    "Here, raise a ValueError.")
def _(x):
    return merge_patches(F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2)))


@merge.misconception("left it to torch",
    "Where a side is odd, torch's own error comes out of cat. Test both sides first, and "
    "raise a ValueError that says what is wrong.")
def _(x):
    return torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], dim=-1)


# ── 8.7 · ConvNeXt ─────────────────────────────────────────────────────────────────────────────────────────────────

conv_share = Numeric(
    "conv-share", title="Where a ConvNeXt block works", points=1, difficulty=2, minutes=4, decimals=1,
    parameters=dict(channels=96, kernel=7),
    parameter_values=dict(channels=(32, 40, 48, 64, 80, 96, 112, 128, 160, 192), kernel=(5, 7, 9, 11, 13)),
    prompt="A ConvNeXt block has {channels} channels, a depthwise convolution of {kernel} × {kernel}, and an MLP that "
    "is 4 times as wide. Of the multiply-adds that it makes at one place, how many **per cent** are the "
    "convolution's?",
    answer=lambda channels, kernel: 100 * kernel**2 / (kernel**2 + 8 * channels), unit="%",
    misconceptions=[
        Misconception("half the MLP", lambda channels, kernel: 100 * kernel**2 / (kernel**2 + 4 * channels),
            "The MLP multiplies twice: C to 4C, and 4C to C. You counted one of them."),
        Misconception("over the MLP", lambda channels, kernel: 100 * kernel**2 / (8 * channels),
            "You divided by the MLP's. A share is a part of the *whole*: both together."),
        Misconception("a full convolution", lambda channels, kernel: 100 * kernel**2 / (kernel**2 + 8),
            "You gave each filter all the channels. A depthwise filter reads one: k² for each of C, not k²·C."),
        Misconception("the side of the kernel", lambda channels, kernel: 100 * kernel / (kernel + 8 * channels),
            "A kernel is a square: k², not k."),
        Misconception("the ViT's block", lambda channels, kernel: 100 * kernel**2 / (kernel**2 + 12 * channels),
            "You took 12 C², the linear layers of a ViT's block. Here q, k, v and proj are missing: 8 C²."),
        Misconception("the MLP's share", lambda channels, kernel: 800 * channels / (kernel**2 + 8 * channels),
            "That is the MLP's share. The question is about the convolution's."),
        Misconception("a fraction", lambda channels, kernel: kernel**2 / (kernel**2 + 8 * channels),
            "That is a share, a number from 0 to 1. Give it in per cent: a hundred times as much."),
    ],
    hints=["At one place: k² multiply-adds for each of C channels, then C · 4C and 4C · C for the MLP.",
           "{kernel}² · C over {kernel}² · C + 8 · C², with C = {channels}. C can be cancelled once."],
    why=lambda channels, kernel: f"{kernel}²·{channels} of {kernel}²·{channels} + 8·{channels}²: "
    f"{100 * kernel**2 / (kernel**2 + 8 * channels):.1f} %. Mixing places is the cheap part; the MLP is the work.",
)

# ── 8.8 · The hybrid ───────────────────────────────────────────────────────────────────────────────────────────────

stem_sees = Numeric(
    "stem-sees", title="How much a stem sees", points=1, difficulty=3, minutes=4,
    parameters=dict(layers=4, kernel=3), parameter_values=dict(layers=range(2, 8), kernel=range(3, 32, 2)),
    prompt="A stem has {layers} convolutions of {kernel} × {kernel}, each with stride 2, one after the other. One "
    "place of its output depends on a square of pixels. How many pixels long is that square's **side**?",
    answer=lambda layers, kernel: 1 + (kernel - 1) * (2**layers - 1), unit="pixels",
    misconceptions=[
        Misconception("gave the stride", lambda layers, kernel: 2**layers,
            "That is how far apart two neighbouring places are. Their squares overlap: each is larger than that."),
        Misconception("no strides", lambda layers, kernel: 1 + layers * (kernel - 1),
            "You let each convolution widen the square by {kernel} − 1 pixels. After a stride of 2, one step is 2 "
            "pixels wide; after two of them, 4."),
        Misconception("added the kernels", lambda layers, kernel: layers * kernel,
            "You added the kernels' sides. Kernels overlap, and after a stride each step is wider."),
        Misconception("multiplied the kernels", lambda layers, kernel: kernel**layers,
            "You multiplied the kernels. That would be so if they did not overlap, with a stride of {kernel}."),
        Misconception("stride times kernel", lambda layers, kernel: 2**layers * kernel,
            "You took the last kernel in steps of the whole stride. Its own input is only 2^({layers} − 1) wide a "
            "step, and the squares of neighbours overlap."),
        Misconception("one layer too many", lambda layers, kernel: 1 + (kernel - 1) * (2 ** (layers + 1) - 1),
            "One layer too many: the steps are 1, 2, 4, … pixels wide, {layers} of them."),
        Misconception("forgot the 1", lambda layers, kernel: (kernel - 1) * (2**layers - 1),
            "Nearly: you counted the steps between the outermost pixels. There is one pixel more than steps."),
    ],
    hints=["Without any layer, a place is 1 pixel. A layer adds {kernel} − 1 steps. How wide is a step?",
           "The first layer's steps are 1 pixel wide, the second's 2, the third's 4, …",
           "1 + ({kernel} − 1) · (1 + 2 + 4 + …), with {layers} terms."],
    why=lambda layers, kernel: f"1 + ({kernel} − 1)·(2^{layers} − 1) = {1 + (kernel - 1) * (2**layers - 1)} pixels, "
    f"and the next place lies {2**layers} pixels further: the squares overlap, which patches never do.",
)

# ── 8.11 · More than one label for a picture ───────────────────────────────────────────────────────────────────────


def tokens_to_map(tokens: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """The patch tokens of an encoder as a map, as convolutions and upsampling want it: [B, S, D] → [B, D, R, C].

    The last rows · columns of the S tokens are the patches, row by row. What stands before them, CLS or registers, is
    left out; there may be none of it, or several.

    >>> tokens_to_map(torch.tensor([[[9.0], [1.0], [2.0], [3.0], [4.0]]]), rows=2, columns=2)
    tensor([[[[1., 2.],
              [3., 4.]]]])

    Raises ValueError where there are fewer tokens than the grid has places.
    """
    before = tokens.shape[1] - rows * columns
    if before < 0:
        raise ValueError(f"there are {tokens.shape[1]} tokens: too few for a grid of {rows} × {columns}")
    patches = tokens[:, before:]
    return patches.transpose(1, 2).reshape(len(tokens), -1, rows, columns)  # B N D → B D N → B D R C


unroll = Code(
    "tokens-to-map", title="Your own tokens_to_map", points=4, difficulty=2, minutes=7, tolerance=0,
    prompt="For detection and segmentation, the sequence of tokens becomes a picture again, one with D channels. Write "
    "the way back from tokens to a map.",
    reference=tokens_to_map,
    examples=[
        (torch.tensor([[[9.0], [1.0], [2.0], [3.0], [4.0]]]), 2, 2),
        (numbers(2, 7, 2), 2, 3),
        (numbers(2, 6, 3), 3, 2),
        (numbers(1, 9, 1), 2, 2),  # CLS and four registers: more than the patches
        (torch.zeros(1, 5, 2), 2, 3),
    ],
    checks={
        "CLS in front": [(numbers(1, 13, 2), 3, 4), (numbers(1, 17, 5), 4, 4)],
        "several pictures": [(numbers(3, 7, 4), 2, 3), (numbers(2, 16, 3), 5, 3)],
        "no CLS": [(numbers(1, 6, 2), 2, 3), (numbers(2, 8, 3), 4, 2)],
        "CLS and registers": [(numbers(1, 11, 2), 3, 2), (numbers(2, 13, 3), 2, 4), (numbers(1, 7, 2), 1, 2)],
        "refuses too few": [(torch.zeros(1, 5, 3), 2, 3), (torch.zeros(2, 11, 4), 4, 3)],
    },
    hints=[
        "S − rows · columns tokens stand before the patches. Leave them out.",
        "[B, N, D] must become [B, D, N] before N is split into rows and columns: `transpose(1, 2)`.",
        "The examples pass but grading finds a mistake? Try a sequence without CLS, one with CLS and registers, "
        "and one that is too short: a ValueError of your own.",
    ],
    why="Drop what is no patch, bring D to the front, split N. It is chapter 1's unpatchify, for features.",
)


@unroll.alternative
def _(tokens, rows, columns):
    if tokens.shape[1] < rows * columns:
        raise ValueError("too few")
    return tokens.flip(1)[:, : rows * columns].flip(1).unflatten(1, (rows, columns)).permute(0, 3, 1, 2)


@unroll.alternative
def _(tokens, rows, columns):
    batch, count, width = tokens.shape
    if count < rows * columns:
        raise ValueError("too few")
    found = tokens.new_zeros(batch, width, rows, columns)
    for row in range(rows):
        for column in range(columns):
            found[:, :, row, column] = tokens[:, count - rows * columns + row * columns + column]
    return found


@unroll.misconception("reshaped at once",
    "You reshaped [B, N, D] to [B, D, R, C] at once: the sizes fit, the numbers do not. "
    "First bring D to the front: transpose(1, 2).")
def _(tokens, rows, columns):
    if tokens.shape[1] < rows * columns:
        raise ValueError("too few")
    return tokens[:, tokens.shape[1] - rows * columns :].reshape(len(tokens), -1, rows, columns)


@unroll.misconception("one token before, always",
    "You drop one token, always. A model may have no CLS, or registers besides: "
    "drop as many as there are too many.")
def _(tokens, rows, columns):
    if tokens.shape[1] < rows * columns:
        raise ValueError("too few")
    return tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, rows, columns)


@unroll.misconception("the remainder",
    "You drop the remainder, S % (rows · columns). That is right only while fewer tokens stand before the patches than "
    "there are patches: take the difference, S − rows · columns.")
def _(tokens, rows, columns):
    if tokens.shape[1] < rows * columns:
        raise ValueError("too few")
    before = tokens.shape[1] % (rows * columns)
    return tokens[:, before:].transpose(1, 2).reshape(len(tokens), tokens.shape[2], rows, columns)


@unroll.misconception("dropped the last", "You dropped tokens at the end. CLS and registers stand in *front*.")
def _(tokens, rows, columns):
    if tokens.shape[1] < rows * columns:
        raise ValueError("too few")
    return tokens[:, : rows * columns].transpose(1, 2).reshape(len(tokens), -1, rows, columns)


@unroll.misconception("dropped none", "You keep CLS, and then there is one token too many for the grid.")
def _(tokens, rows, columns):
    if tokens.shape[1] < rows * columns:
        raise ValueError("too few")
    return tokens.transpose(1, 2).reshape(len(tokens), tokens.shape[2], rows, columns)


@unroll.misconception("rows for columns", "You exchanged rows and columns in the shape: [B, D, C, R].")
def _(tokens, rows, columns):
    return tokens_to_map(tokens, columns, rows)


@unroll.misconception("down the columns",
    "The shape is right, but you fill the map down its columns. Patches come row by row.")
def _(tokens, rows, columns):
    return tokens_to_map(tokens, columns, rows).transpose(2, 3)


@unroll.misconception("mirrored along the diagonal",
    "Your map is [B, D, C, R]: the picture lies on its side. Rows come before columns: permute(0, 3, 1, 2).")
def _(tokens, rows, columns):
    return tokens_to_map(tokens, rows, columns).transpose(2, 3)


@unroll.misconception("insists on CLS",
    "You refuse every sequence that has not exactly one token more than the grid has places. There may be no CLS, or "
    "registers besides: refuse only where tokens are missing.")
def _(tokens, rows, columns):
    if tokens.shape[1] != rows * columns + 1:
        raise ValueError("no CLS")
    return tokens_to_map(tokens, rows, columns)


@unroll.misconception("refuses CLS",
    "You refuse tokens that are too many. CLS and registers stand in front: leave them out, and refuse only where "
    "tokens are missing.")
def _(tokens, rows, columns):
    if tokens.shape[1] != rows * columns:
        raise ValueError("too many")
    return tokens_to_map(tokens, rows, columns)


@unroll.misconception("refuses just enough",
    "You refuse a sequence of exactly as many tokens as the grid has places. That is enough: it has no CLS.")
def _(tokens, rows, columns):
    if tokens.shape[1] <= rows * columns:
        raise ValueError("too few")
    return tokens_to_map(tokens, rows, columns)


@unroll.misconception("channels last",
    "Your map is [B, R, C, D]. Convolutions and upsampling in torch want D in front: "
    "[B, D, R, C].")
def _(tokens, rows, columns):
    return tokens_to_map(tokens, rows, columns).permute(0, 2, 3, 1)


@unroll.misconception("still a row", "Your numbers are [B, D, N]. Split N into rows and columns.")
def _(tokens, rows, columns):
    return tokens_to_map(tokens, rows, columns).flatten(2)


@unroll.misconception("first picture alone", "You gave back the first picture only. There may be several in the batch.")
def _(tokens, rows, columns):
    return tokens_to_map(tokens[:1], rows, columns)


@unroll.misconception("no batch", "You lost the batch's axis. Even for one picture it stays: [1, D, R, C].")
def _(tokens, rows, columns):
    return tokens_to_map(tokens, rows, columns)[0]


@unroll.misconception("averaged the channels",
    "You averaged each token's numbers. The map has D channels: keep them all.")
def _(tokens, rows, columns):
    return tokens_to_map(tokens, rows, columns).mean(dim=1, keepdim=True)


@unroll.misconception("upside down", "Your map stands on its head: the first patch is the upper left one.")
def _(tokens, rows, columns):
    return tokens_to_map(tokens, rows, columns).flip(2)


@unroll.misconception("left it to torch",
    "Where tokens are missing, torch's own error comes out of your reshape. Count first, "
    "and raise a ValueError that says what is wrong.")
def _(tokens, rows, columns):
    before = max(0, tokens.shape[1] - rows * columns)
    return tokens[:, before:].transpose(1, 2).reshape(len(tokens), tokens.shape[2], rows, columns)


@unroll.misconception("filled up with zeros",
    "Where tokens are missing, you fill up with zeros. Whatever reads that map would "
    "take them for a picture: raise a ValueError.")
def _(tokens, rows, columns):
    missing = max(0, rows * columns - tokens.shape[1])
    return tokens_to_map(F.pad(tokens, (0, 0, 0, missing)), rows, columns)


picture_tokens = Numeric(
    "picture-tokens", title="Pictures among words", points=1, difficulty=1, minutes=3,
    parameters=dict(side=336, patch=14, pictures=3, words=50),
    parameter_values=dict(side=(224, 280, 336, 392, 448), patch=(14, 28), pictures=(2, 3, 4, 5),
                          words=(20, 35, 50, 80)),
    prompt="A vision tower reads pictures of {side} × {side} pixels in patches of {patch} × {patch}. Its CLS is left "
    "out; each patch token is projected to the dimension of a language model. Somebody sends {pictures} pictures and a "
    "question of {words} text tokens. How long is the sequence that the language model reads?",
    answer=lambda side, patch, pictures, words: pictures * (side // patch) ** 2 + words, unit="tokens",
    misconceptions=[
        Misconception("CLS as well", lambda side, patch, pictures, words: pictures * ((side // patch) ** 2 + 1) + words,
            "You counted a CLS for each picture. It is left out here: the patches say where things are."),
        Misconception("one picture", lambda side, patch, pictures, words: (side // patch) ** 2 + words,
            "That is the sequence with one picture. Each picture brings all its patches."),
        Misconception("the pictures alone", lambda side, patch, pictures, words: pictures * (side // patch) ** 2,
            "Those are the pictures' tokens. The question's are in the same sequence."),
        Misconception("one row of patches", lambda side, patch, pictures, words: pictures * (side // patch) + words,
            "{side} / {patch} patches lie along *one* side. A picture has a square of them."),
        Misconception("one token a picture", lambda side, patch, pictures, words: pictures + words,
            "You gave each picture one token. That works for a label; here every patch becomes a token."),
        Misconception("pixels", lambda side, patch, pictures, words: pictures * side**2 + words,
            "You counted pixels. A token stands for {patch} × {patch} of them."),
    ],
    hints=[
        "How many patches does one picture have?",
        "({side} / {patch})² for each picture, and the question's tokens.",
    ],
    why=lambda side, patch, pictures, words: f"({side} / {patch})² = {(side // patch) ** 2} tokens a picture: "
    f"{pictures}·{(side // patch) ** 2} + {words} = {pictures * (side // patch) ** 2 + words}. The dimension of the "
    "language model does not matter: it says how long a token is, not how many there are.",
)

# ── 8.12 · Which backbone would you choose? ────────────────────────────────────────────────────────────────────────

few_pictures = Choice(
    "few-pictures", title="Six hundred X-rays", points=1, difficulty=2, minutes=2,
    prompt="A clinic has 600 labelled X-ray pictures and one GPU. Which of these would you try **first**?",
    options={
        "ViT-B/16 from fresh weights: attention sees the whole picture.":
            "It can, but it must first learn which patches are neighbours. 600 pictures do not teach that: see 8.8.",
        "Swin-T from fresh weights: windows are all the inductive bias that it needs.":
            "Windows help, but they do not replace pictures: 28 million weights, and 600 examples.",
        "A backbone that was pretrained on many pictures, whichever fits the GPU, fine-tuned; a small CNN for "
        "comparison.": None,
        "ViT-B/4, with patches of 4 pixels, from fresh weights, so that no detail is lost.":
            "Sixteen times the tokens, and not one picture more. The smaller the patches, the more there is to learn.",
    },
    hints=["What differs more: the designs of the backbones, or weights that have seen a million pictures and weights "
           "that have seen none?"],
    why="With few pictures, pretraining outweighs the choice of the backbone by far. The small CNN tells you whether "
    "the large model was worth it.",
)

high_resolution = Choice(
    "high-resolution", title="Roofs from above", points=1, difficulty=3, minutes=3,
    prompt="Every roof is to be outlined in satellite pictures of 1024 × 1024 pixels. A roof may be 12 pixels wide. "
    "Which backbone would you take under the segmentation head?",
    options={
        "ViT-B/32: its few, large patches are cheap at this size.":
            "Cheap, yes: 1024 tokens. But a roof is less than half a patch wide: each feature vector must tell "
            "several roofs apart.",
        "ViT-S/4: its patches are smaller than a roof.":
            "65,536 tokens that all attend to each other: more than four billion scores for each head, in each block.",
        "Swin-T or ConvNeXt-T, reading all four stages: strides of 4, 8, 16 and 32 pixels.": None,
        "Swin-T, reading its last stage alone: it understands the picture best.":
            "It knows *what* is there. But its stride is 32 pixels: where a roof of 12 begins and ends, it has "
            "forgotten.",
        "Any of them, after shrinking the pictures to 224 × 224.":
            "Then a roof is less than 3 pixels wide. No backbone brings back what was lost before it.",
    },
    hints=["Two questions for each option: how many tokens are there, and how many pixels lie between two feature "
           "vectors?"],
    why="Fine features where things are small, coarse ones where meaning counts, and a cost that grows with the area "
    "only: that is what stages are for.",
)
