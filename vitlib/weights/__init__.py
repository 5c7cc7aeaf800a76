"""Chapter 7: pretrained weights, from and to timm, torchvision, Hugging Face, DINOv2 and Google.

`load` makes a model from a file, `load_into` fills a model that is there, `save` writes one in any layout;
`convert` and `detect` work on plain state dicts. What does not fit is named and refused.

The way of `load` (loading.py) goes in one direction, for a ViT, a hybrid, a Swin and a ConvNeXt alike:

    read        sources (a file, a folder, the hub), files (safetensors, npz), pickled (torch.save's)
    recognise   recognise: the layout (layouts.py says what that is) that knows most names of a table:
                vit_names, flax (Google's), stage_names (Swin, ConvNeXt)
    rename      renaming, by that table; prefix_rows: positions of the tokens before the patches
    configure   config: what shapes show (shapes), and what is given: arguments, a note, config_json
    check       check: names, shapes, numbers
    fill        fill: the model, its head, its first layer

into.py fills a model that is there, and saving.py goes back by the same tables.

Some choices stand in no tensor: the number of heads, the epsilon of the LayerNorms, the kind of GELU, the
normalisation of the pictures, how positions are resized. They come from the caller, else from the note in a file
that `save` wrote, else from the config.json next to it, else from what the layout's own library does.
"""

from vitlib.weights.files import CheckpointError
from vitlib.weights.into import load_into
from vitlib.weights.loading import load
from vitlib.weights.recognise import detect
from vitlib.weights.renaming import convert
from vitlib.weights.saving import save

__all__ = ["CheckpointError", "convert", "detect", "load", "load_into", "save"]
