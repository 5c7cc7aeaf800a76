"""An answer as data: what the learner's notebook and the grader both know. No key, no torch."""
