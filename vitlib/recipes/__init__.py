"""Chapter 7: whole training runs, each one command: `python -m vitlib.recipes.digits`, `same_different`, `cifar10`,
`moved`, `pretraining`. What the last two find lies beside them as JSON, and the chapter reads it."""
