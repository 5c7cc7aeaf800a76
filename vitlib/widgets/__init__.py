"""Widgets to play with, one for each chapter: end a cell with one of them, as in `grid_explorer()`."""

from vitlib.widgets.grid import grid_explorer

__all__ = ["grid_explorer"]
