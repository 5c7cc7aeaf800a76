"""Chapter 7: pretrained weights, from and to timm, torchvision, Hugging Face, DINOv2 and Google.

`load` makes a model from a file, `load_into` fills a model that is there, `save` writes one in any layout;
`convert` and `detect` work on plain state dicts. What does not fit is named and refused.

The way of `load` (checkpoints.py), each step in its files: read (sources, files) → recognise (recognise, staged, and
hubconfig for what stands beside the weights) → rename (layouts and renaming; backbones for Swin and ConvNeXt; stems for
hybrids) → check (misfits) → fill (fill).

Some choices stand in no tensor: the number of heads, the epsilon of the LayerNorms, the kind of GELU, the
normalisation of the pictures, how positions are resized. They come from the caller, else from the note in a file
that `save` wrote, else from the config.json beside it, else from what the layout's own library does.
"""

from vitlib.weights.files import CheckpointError
from vitlib.weights.into import load_into
from vitlib.weights.loading import load
from vitlib.weights.recognise import detect
from vitlib.weights.renaming import convert
from vitlib.weights.saving import save

__all__ = ["CheckpointError", "convert", "detect", "load", "load_into", "save"]
