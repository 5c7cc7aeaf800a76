"""`import vitlib` shows what a user needs and nothing else, and costs little."""

import subprocess
import sys

import vitlib


def test_dir_is_the_table_of_contents() -> None:
    assert dir(vitlib) == sorted(vitlib.__all__)
    for name in vitlib.__all__:
        assert callable(getattr(vitlib, name)), name
        assert f"`{name}`" in (vitlib.__doc__ or ""), f"help(vitlib) does not mention {name}"


def test_names_lead_to_the_same_objects_as_their_modules() -> None:
    from vitlib.training.fit import fit
    from vitlib.vit.model import ViT

    assert vitlib.fit is fit and vitlib.ViT is ViT


def test_an_unknown_name_is_an_attribute_error_that_lists_what_there_is() -> None:
    assert not hasattr(vitlib, "vision_transformer")
    assert "create" in str(getattr(_error(), "args", [""])[0])


def _error() -> AttributeError:
    try:
        vitlib.vision_transformer  # noqa: B018
    except AttributeError as error:
        return error
    raise AssertionError("no error")


def test_importing_vitlib_imports_neither_torch_nor_matplotlib_and_predict_draws_nothing() -> None:
    code = (
        "import sys, vitlib; assert not {'torch', 'matplotlib'} & set(sys.modules), 'on import'; "
        "vitlib.predict; assert 'matplotlib' not in sys.modules, 'predict'; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
