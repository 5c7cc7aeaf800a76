"""The kinds of exercise, as a key declares them: the answer, its misconceptions, and how a reply is marked.

This package is the teacher's. It never enters a learner's process: replies come here as data
(`autograde.answers.serialize`).
"""

from autograde.exercises.base import BadKey, Exercise, Misconception
from autograde.exercises.code import Code
from autograde.exercises.plain import Choice, Numeric, Plain, TrueFalse

__all__ = ["BadKey", "Choice", "Code", "Exercise", "Misconception", "Numeric", "Plain", "TrueFalse"]
