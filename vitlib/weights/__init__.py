"""Chapter 7: pretrained weights, from and to timm, torchvision, Hugging Face, DINOv2 and Google.

`load` makes a model from a file, `load_into` loads weights into an existing model, `save` writes a file in any layout;
`convert` and `detect` work on plain state dicts. Whatever does not fit raises an error that names it.

`load` (loading.py) takes these steps, for a ViT, a hybrid, a Swin and a ConvNeXt alike:

    read        sources (a file, a folder, the hub), files (safetensors, torch.save's, npz)
    recognise   recognise: the layout (layouts) that knows most of the names. Its table of names is in vit_names or
                stage_names (Swin, ConvNeXt)
    rename      renaming, by that table; it also moves the positions of the tokens before the patches
    configure   config: from the shapes (shapes), the arguments, the file's note and config.json (config_json)
    check       check: names, shapes, numbers
    fill        fill: the model, its head, its first layer

into.py is `load_into`; saving.py is `save`, which uses the same tables.

Some choices are not in the tensors: the number of heads, the epsilon of the LayerNorms, the kind of GELU, the
normalisation of the pictures, how positions are resized. They come from the first of these that has them: the caller,
the note that `save` wrote into the file, the config.json next to it, the defaults of the layout's library.
"""

from vitlib.weights.files import CheckpointError
from vitlib.weights.into import load_into
from vitlib.weights.loading import load
from vitlib.weights.recognise import detect
from vitlib.weights.renaming import convert
from vitlib.weights.saving import save

__all__ = ["CheckpointError", "convert", "detect", "load", "load_into", "save"]
