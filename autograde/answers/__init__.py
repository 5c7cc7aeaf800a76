"""Answers as data: what the learner's notebook and the grader share. No key and no torch in here."""

ILLUSTRATION = "illustration"  # the tag of cells that only show something: no answer depends on them
