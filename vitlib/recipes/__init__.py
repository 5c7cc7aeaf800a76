"""Chapter 7: whole training runs, each one command: `python -m vitlib.recipes.digits`, `same_different`, `cifar10`."""
