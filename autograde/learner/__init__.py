"""All that a learner's kernel imports: check an answer, say who is working, keep progress."""
