"""Whole training runs, each one command: `python -m vitlib.recipes.NAME`.

Chapter 4: `few_digits`, `same_different`. Chapter 7: `digits`, `cifar10`, `moved`, `few_faces`, `pretraining`.
Chapter 8: `heads`. Where a JSON lies beside one, it is what the recipe found, and the chapter reads it.
"""
