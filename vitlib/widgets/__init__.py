"""Widgets to play with, one for each chapter: end a cell with one of them, as in `grid_explorer()`."""

from vitlib.widgets.attention import attention_explorer
from vitlib.widgets.budget import budget_explorer
from vitlib.widgets.embedding import embedding_explorer
from vitlib.widgets.grid import grid_explorer
from vitlib.widgets.positions import position_explorer
from vitlib.widgets.readout import layer_readout
from vitlib.widgets.symptoms import symptom_board
from vitlib.widgets.training import training_curves
from vitlib.widgets.windows import window_explorer

__all__ = [
    "attention_explorer",
    "budget_explorer",
    "embedding_explorer",
    "grid_explorer",
    "layer_readout",
    "position_explorer",
    "symptom_board",
    "training_curves",
    "window_explorer",
]
