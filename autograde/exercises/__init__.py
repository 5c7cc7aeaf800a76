"""The kinds of exercise, as a key declares them: the answer, its misconceptions, and how a reply is marked.

This package is the teacher's. It never enters a learner's process: replies come here as data
(`autograde.answers.serialize`). A kind is one class in one file, and a key may bring a kind of its own.
"""

from autograde.exercises.base import BadKey, Exercise, Misconception
from autograde.exercises.choice import Choice
from autograde.exercises.code import Code
from autograde.exercises.numeric import Numeric
from autograde.exercises.plain import Plain
from autograde.exercises.truefalse import TrueFalse

__all__ = ["BadKey", "Choice", "Code", "Exercise", "Misconception", "Numeric", "Plain", "TrueFalse"]
