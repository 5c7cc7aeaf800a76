"""Chapters 6 and 7: the largest number that fits, in few trials."""

from collections.abc import Callable


def largest(fits: Callable[[int], bool], limit: int | None = None, guess: int = 1) -> int:
    """The largest n up to `limit` for which `fits(n)`, 0 for none, where whatever is smaller than a fit fits too.

    The search begins at `guess`, goes away from it in steps that double, and then halves what is still open.

    >>> largest(lambda n: n <= 37, limit=1000), largest(lambda n: n <= 37, guess=36)
    (37, 37)
    """
    good, bad, step = 0, None if limit is None else limit + 1, 1  # bad: the smallest n known not to fit
    n = max(1, guess if limit is None else min(guess, limit))
    while bad is None or bad - good > 1:
        if fits(n):
            good = n
        else:
            bad = n
        if bad is None or (limit is not None and bad > limit):  # nothing has failed yet
            n, step = good + step, 2 * step
            n = n if bad is None else min(n, bad - 1)
        elif good == 0:  # nothing has fitted yet
            n, step = max(bad - step, 1), 2 * step
        else:
            n = (good + bad) // 2
    return good
