"""Will it fit? Choose a model, how it is run, and a GPU, and see what the memory is taken for, at once."""

from dataclasses import replace
from typing import Any

from ipywidgets import HTML, BoundedFloatText, Dropdown, IntSlider, SelectionSlider

from vitlib.backbones.hybrid import HybridConfig
from vitlib.backbones.presets import Config
from vitlib.backbones.stages import StageConfig
from vitlib.backbones.swin import SwinConfig
from vitlib.cost import Run
from vitlib.cost.budget import config_of, will_it_fit
from vitlib.cost.gpus import GIB, GPUS, budget_of
from vitlib.cost.report import sentence
from vitlib.models import list_models
from vitlib.plotting import Figure
from vitlib.vit.checks import require_one_of
from vitlib.vit.config import ViTConfig
from vitlib.widgets.budget_view import bars_html, still, words_html, wrong_html
from vitlib.widgets.explorer import CONTROL, Explorer, buttons, column, on_change, side_by_side, tick

BATCHES = [2**power for power in range(13)]  # pictures in a step
PATCHES = [2, 4, 8, 14, 16, 32]  # pixels
LARGEST = 1024  # pixels: side of a picture
OTHER = "another, by its memory"  # the last of the GPUs to choose from


def budget_explorer(
    model: str = "vit_base_patch16_224", gpu: str | float = "RTX 3060 12GB", batch: int = 128
) -> "BudgetExplorer":
    """A widget that shows what a step needs of a GPU's memory, for what, and what to do where that is too much.

    model: one of vitlib.list_models(); gpu: one of vitlib.cost.gpus.GPUS, or GiB; batch: pictures in a step, a power of
    2 up to 4096.

    >>> print(budget_explorer("vit_tiny_patch16_224", "T4", batch=1).sentence)
    It fits: ... of 14.56 GiB, ...

    Errors: those of will_it_fit; ValueError for a batch that the widget does not offer.
    """
    return BudgetExplorer(model, gpu, batch)


class BudgetExplorer(Explorer):
    """A step's memory against a GPU's; without a kernel, a figure of the bars."""

    def __init__(self, model: str, gpu: str | float, batch: int) -> None:
        require_one_of("batch", batch, BATCHES)
        config_of(model)  # a name that is not known is refused here, with the nearest
        self.model = Dropdown(options=list_models(), value=model, description="Model", **CONTROL)
        self.side = IntSlider(value=224, min=2, max=LARGEST, description="Picture side", **CONTROL)
        self.patch = SelectionSlider(options=PATCHES, description="Patch side", **CONTROL)
        self.batch = SelectionSlider(options=BATCHES, value=batch, description="Batch", **CONTROL)
        self.mode = buttons("To do", ("training", "inference"))
        self.precision = buttons("Precision", ("fp32", "amp", "bf16"))
        self.attention = buttons("Attention", ("fused", "readable"))
        self.optimizer = Dropdown(options=("adamw", "adamw-foreach", "sgd"), description="Optimizer", **CONTROL)
        self.checkpointing = tick("checkpointing")
        self.ema = tick("moving average of the weights")
        name, size = budget_of(gpu)
        chosen = name if name in GPUS else OTHER
        self.gpu = Dropdown(options=[*GPUS, OTHER], value=chosen, description="GPU", **CONTROL)
        self.gib = BoundedFloatText(value=size / GIB, min=0.5, max=2**20, step=1, description="Its GiB", **CONTROL)
        self.bars, self.words = HTML(), HTML()

        controls = [self.model, self.side, self.patch, self.batch, self.mode, self.precision, self.attention]
        controls += [self.optimizer, self.checkpointing, self.ema, self.gpu, self.gib]
        right = column(self.bars, self.words, basis=420)
        right.layout.overflow = "auto hidden"
        super().__init__(side_by_side(column(*controls, limit=400), right))

        on_change(self._open, self.model)
        on_change(self._draw, *controls[1:])
        self._open()

    @property
    def sentence(self) -> str:
        return sentence(self.fit)

    def _open(self, _: Any = None) -> None:
        """Take a model as it was published; only what it has can be changed."""
        config = config_of(self.model.value)
        vit = isinstance(config, ViTConfig) and not isinstance(config, HybridConfig)
        self.patch.disabled = not vit
        self.attention.disabled = not isinstance(config, ViTConfig | SwinConfig)
        unit = config.unit if isinstance(config, StageConfig) else config.grid.patch_height
        self.side.max, self.side.min, self.side.step = LARGEST // unit * unit, unit, unit
        self.side.value = config.image_size[0]
        if vit:
            self.patch.value = config.patch_size
        self._draw()

    def _draw(self, _: Any = None) -> None:
        training = self.mode.value == "training"
        self.optimizer.disabled = self.ema.disabled = not training
        self.checkpointing.disabled = not training
        self.gib.layout.display = "" if self.gpu.value == OTHER else "none"
        try:
            gpu = self.gib.value if self.gpu.value == OTHER else self.gpu.value
            fit = will_it_fit(self._config(), gpu, self._run())
        except ValueError as error:
            self.words.value = wrong_html(str(error))
            return
        self.fit = replace(fit, model=self.model.value)
        self.bars.value, self.words.value = bars_html(self.fit), words_html(self.fit)

    def _config(self) -> Config:
        """The model as the controls have it. Errors: ValueError for choices that do not go together."""
        config = config_of(self.model.value)
        changes: dict[str, Any] = {"image_size": (self.side.value, self.side.value)}
        if not self.patch.disabled:
            changes["patch_size"] = self.patch.value
        if not self.attention.disabled:
            changes["fused"] = self.attention.value == "fused"
        return replace(config, **changes)

    def _run(self) -> Run:
        training = self.mode.value == "training"
        return Run(
            batch_size=self.batch.value,
            training=training,
            precision=self.precision.value,
            checkpointing=self.checkpointing.value and not self.checkpointing.disabled,
            optimizer=self.optimizer.value,
            ema=self.ema.value and training,
        )

    def still(self) -> Figure:
        """The bars."""
        return still(self.fit)
