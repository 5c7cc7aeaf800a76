"""vitlib: Vision Transformers to read, chapter by chapter, and to use.

Make a model: `create`, `list_models`, `ViT`, `ViTConfig`, `load`, `save`
Get pictures: `Pictures`, `image_folder`
Train it: `fit`, `finetune`, `Recipe`
Ask it: `predict`, `evaluate`, `sliding_window`, `attention_maps`
Plan and debug: `will_it_fit`, `examine`, `best_device`

>>> import vitlib
>>> model = vitlib.create("vit_tiny_patch16_224", num_classes=10)

The rest is in packages, one for each part of the book: vitlib.vit (chapters 1 to 5), cost (6), training (7), backbones
(8), diagnose (9), and data, weights, recipes, widgets beside them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vitlib.cost.budget import will_it_fit
    from vitlib.data.folders import image_folder
    from vitlib.data.pictures import Pictures
    from vitlib.device import best_device
    from vitlib.diagnose import examine
    from vitlib.models import create, list_models
    from vitlib.training.finetune import finetune
    from vitlib.training.fit import Recipe, evaluate, fit
    from vitlib.training.predict import predict, sliding_window
    from vitlib.vit.attention_maps import attention_maps
    from vitlib.vit.config import ViTConfig
    from vitlib.vit.model import ViT
    from vitlib.weights import load, save

_HOMES = {  # imported where they are first asked for, so that `import vitlib` costs little more than torch
    "models": ("create", "list_models"),
    "vit.model": ("ViT",),
    "vit.config": ("ViTConfig",),
    "weights": ("load", "save"),
    "data.pictures": ("Pictures",),
    "data.folders": ("image_folder",),
    "training.fit": ("Recipe", "evaluate", "fit"),
    "training.finetune": ("finetune",),
    "training.predict": ("predict", "sliding_window"),
    "vit.attention_maps": ("attention_maps",),
    "cost.budget": ("will_it_fit",),
    "diagnose": ("examine",),
    "device": ("best_device",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Pictures", "Recipe", "ViT", "ViTConfig", "attention_maps", "best_device", "create", "evaluate", "examine",
    "finetune", "fit", "image_folder", "list_models", "load", "predict", "save", "sliding_window", "will_it_fit",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"vitlib has no {name!r}; it has {', '.join(__all__)}, and modules of their own")
    value = globals()[name] = getattr(import_module(f"vitlib.{_HOME_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
