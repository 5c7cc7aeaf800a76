"""Answers as data: what the learner's notebook and the grader share. No key and no torch in here."""
