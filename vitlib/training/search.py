"""Chapters 6 and 7: find the largest number that fits, by bisection."""

from collections.abc import Callable


def largest(fits: Callable[[int], bool], limit: int | None = None, guess: int = 1) -> int:
    """The largest n up to `limit` with `fits(n)`, or 0. Every number below one that fits has to fit, too.

    The search goes away from `guess` in steps that double, until it has an n that fits and one that does not; then it
    bisects.

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
