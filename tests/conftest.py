"""What every test runs under: one thread, and vitlib's shapes and types checked at each call."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it when it is imported, so it comes first

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import config, install_import_hook

# vitlib.cost calculates with whole numbers, in many small functions: there the checks take ten times as long as what
# they check, and have no shape to look at. The tower: an int may stand where a float is asked for, as PEP 484 says.
ROOMS = {path.stem for path in (Path(__file__).parents[1] / "vitlib").iterdir()} - {"__init__", "__main__", "cost"}
install_import_hook(
    [f"vitlib.{room}" for room in ROOMS], "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
)

settings.register_profile("book", deadline=None)  # the first call of a kernel may be slow; no test is timed
settings.load_profile("book")


@pytest.fixture(scope="session", autouse=True)
def exchange(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Courses of the tests do not meet in the exchange of whoever runs them."""
    os.environ["NBGRADER_EXCHANGE"] = str(tmp_path_factory.mktemp("nbgrader") / "exchange")


@pytest.fixture
def as_a_learner() -> Iterator[None]:
    """Without the check of shapes and types, as in a notebook: vitlib's own errors come to light."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
