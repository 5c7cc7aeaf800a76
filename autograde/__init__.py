"""Exercises that mark themselves: declared once in a key, checked in the notebook, graded in the gradebook.

A learner needs one name, `check`. Everything else belongs to the teacher's side and is imported by module.
"""

from autograde.check import check

__all__ = ["check"]
