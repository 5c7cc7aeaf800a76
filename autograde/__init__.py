"""Exercises that mark themselves: declared once in a key, checked in the notebook, graded in the gradebook.

A learner needs `check`, `compare` for predictions, and `solution` after three tries; `sign_in` and `ask` in a course
where everyone has numbers of their own. Everything else belongs to the teacher's side and is imported by module.
"""

from autograde.learner.check import ask, check, solution
from autograde.learner.predictions import compare
from autograde.learner.student import sign_in

__all__ = ["ask", "check", "compare", "sign_in", "solution"]
