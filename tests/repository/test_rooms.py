"""Arrows between rooms point down, and there is no circle: `python -m tests.repository.rooms` prints them all."""

import ast
from pathlib import Path

import pytest

from tests.repository import rooms

PACKAGES = sorted(rooms.FLOORS)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_its_floor(package: str) -> None:
    assert set(rooms.graph(package)) == {room for names in rooms.FLOORS[package] for room in names}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_arrow_points_upward(package: str) -> None:
    assert rooms.upward(package) == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_rooms_import_each_other(package: str) -> None:
    assert rooms.circles(rooms.graph(package)) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_modules_import_each_other(package: str) -> None:
    assert rooms.circles(rooms.module_graph(package)) == []


@pytest.mark.parametrize(
    "line",
    [
        "import vitlib.vit.head",
        "from vitlib.vit.head import classify",
        "from vitlib.vit import head",
        "from .head import classify",
        "def late():\n    from vitlib.vit import head",
        "if TYPE_CHECKING:\n    from vitlib.vit.head import classify",
    ],
)
def test_a_circle_of_modules_is_found_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    for name, text in {"patches": line, "embed": "import vitlib.vit.patches", "head": "from . import embed"}.items():
        path = tmp_path / "vitlib" / "vit" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "vitlib" / "vit" / "__init__.py").write_text("")
    monkeypatch.setattr(rooms, "ROOT", tmp_path)
    found = rooms.circles(rooms.module_graph("vitlib"))
    assert found == [(f"vitlib.vit.{one}", f"vitlib.vit.{other}") for one, other in
                     (("embed", "head"), ("embed", "patches"), ("head", "patches"))]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "room"),
    [
        ("import vitlib.widgets.grid", "widgets"),
        ("from vitlib.widgets import grid", "widgets"),
        ("def late():\n    from vitlib.widgets.grid import Grid", "widgets"),
        ("from ..widgets import grid", "widgets"),
        ("from vitlib import widgets", "widgets"),
        ("from vitlib import create", rooms.FRONT_DOOR),
        ("import vitlib", rooms.FRONT_DOOR),
    ],
)
def test_an_arrow_upward_is_found_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, room: str
) -> None:
    for name in ("vit", "widgets"):
        (tmp_path / "vitlib" / name).mkdir(parents=True)
    (tmp_path / "vitlib" / "vit" / "patches.py").write_text(line)
    (tmp_path / "vitlib" / "widgets" / "grid.py").write_text("import vitlib.vit.patches")
    monkeypatch.setattr(rooms, "ROOT", tmp_path)
    assert rooms.upward("vitlib") == {("vit", room): {"vitlib.vit.patches"}}
    assert rooms.circles(rooms.graph("vitlib")) == ([("vit", "widgets")] if room == "widgets" else [])


def test_no_kind_of_exercise_is_told_apart_by_its_class() -> None:
    """What differs from kind to kind stands in its class: elsewhere nothing asks which it is."""
    kinds = {"Plain", "Numeric", "TrueFalse", "Choice", "Code"}
    found = [
        f"{path.relative_to(rooms.ROOT)}:{node.lineno}"
        for path in (rooms.ROOT / "autograde").rglob("*.py")
        if path.parent.name != "exercises"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id in kinds
    ]
    assert found == []
