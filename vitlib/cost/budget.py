"""Will it fit? What a step needs, what the GPU has, and what to do where that is not enough."""

import gc

from vitlib.backbones.presets import BACKBONES, Config
from vitlib.backbones.stages import StageConfig
from vitlib.cost import Run
from vitlib.cost.gpus import budget_of
from vitlib.cost.job import Job, largest_within, priced
from vitlib.cost.overhead import allocatable
from vitlib.cost.remedies import combined, remedies
from vitlib.cost.report import Fit
from vitlib.models import PRESETS
from vitlib.vit.checks import nearest, require_kind
from vitlib.vit.config import ViTConfig


def will_it_fit(model: str | Config, gpu: str | float, run: Run = Run()) -> Fit:  # noqa: B008, a Run is frozen
    """Whether a model fits into a GPU's memory, run as `run` says, and what to do where it does not.

    model: a name, one of vitlib.list_models(), or a configuration; gpu: a name, such as "RTX 4090", or GiB.

    >>> fit = will_it_fit("vit_base_patch16_224", "RTX 4090", Run(batch_size=512, precision="amp"))
    >>> fit.fits, fit.phase
    (False, 'backward')

    Errors: ValueError for a model or a GPU that is not known (the nearest is suggested), for a budget that is not
    positive, and for choices that do not go together.
    """
    collects = gc.isenabled()
    gc.disable()  # there are no cycles here to find, and the garbage collector's look at all of torch takes 0.1 s
    try:
        return _fit(model, gpu, run)
    finally:
        if collects:
            gc.enable()


def _fit(model: str | Config, gpu: str | float, run: Run) -> Fit:
    config = config_of(model)
    require_kind("run", run, Run)
    name = model if isinstance(model, str) else type(model).__name__.removesuffix("Config")
    gpu, budget = budget_of(gpu)

    room, job = allocatable(budget), Job(config, run, gpu=gpu)
    single = remedies(job, room)
    enough = job.peak <= room or any(each.fits for each in single)
    several = () if enough else combined(job, room)
    most = largest_within(lambda batch: job.rerun(batch_size=batch).peak, room)
    return Fit(name, config, run, gpu, budget, priced(config, run), most, single, several)


def config_of(model: str | Config) -> Config:
    """A model's configuration, by its name.

    Errors: ValueError for a name that is not known (the nearest is suggested); TypeError for what is neither.
    """
    given: object = model
    if not isinstance(given, str | ViTConfig | StageConfig):
        remedy = "; it has one, model.config" * hasattr(given, "config")
        raise TypeError(f"model is a {type(given).__name__}: expected a name or a configuration{remedy}")
    if not isinstance(model, str):
        return model
    models = PRESETS | BACKBONES
    if model not in models:
        raise ValueError(f"no model is called {model!r}{nearest(model, models)}; vitlib.list_models() names them all")
    return models[model]
