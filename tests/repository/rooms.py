"""The rooms of vitlib and autograde: folders and top-level modules, and which imports which.

    python -m tests.repository.rooms

prints every room with the rooms that it imports, upper floors first, and marks what points upward, and circles of
rooms or of modules.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Floors from top to bottom: a room may import rooms of the floors below its own, and itself.
FLOORS = {
    "autograde": [
        {"cli"},
        {"commands"},
        {"doctor"},
        {"course"},
        {"engine"},
        {"authoring", "sandbox", "learner"},
        {"exercises"},
        {"answers", "errors"},
    ],
    "vitlib": [
        {"__main__"},
        {"commands"},
        {"widgets"},
        {"recipes", "diagnose", "cost"},
        {"training", "models"},
        {"weights"},
        {"data", "backbones", "plotting"},
        {"vit", "device", "trained", "svg"},
    ],
}
# A room of its own side, whatever its floor: a learner's kernel imports this and nothing else.
ONLY = {("autograde", "learner"): {"answers"}, ("autograde", "sandbox"): {"errors"}}
FRONT_DOOR = "__init__"
Graph = dict[str, dict[str, set[str]]]  # room → room that it imports → the modules that do


def imported(path: Path, package: str) -> Iterator[str]:
    """Every module of `package` that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(path.relative_to(ROOT).parts[: -node.level]) + "." if node.level else ""
            names = [f"{above}{node.module or ''}.{alias.name}".replace("..", ".") for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == package)


def graph(package: str) -> Graph:
    """Which room imports which, by which modules.

    The package's own `__init__` is the front door: it may import any room, and no room may come in by it.
    """
    places = {path.stem for path in (ROOT / package).iterdir() if path.is_dir() or path.suffix == ".py"}
    found: Graph = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[1] == "__init__":
            continue
        room = found.setdefault(parts[1], defaultdict(set))
        for name in imported(path, package):
            other = name.split(".")[1] if "." in name else FRONT_DOOR
            if other != parts[1]:
                room[other if other in places else FRONT_DOOR].add(".".join(parts))
    return found


def allowed(package: str, room: str, other: str) -> bool:
    if (package, room) in ONLY:
        return other in ONLY[package, room]
    floor = {name: number for number, names in enumerate(FLOORS[package]) for name in names}
    return room in floor and other in floor and floor[room] < floor[other]


def upward(package: str) -> dict[tuple[str, str], set[str]]:
    """(room, room above it that it imports) with the modules that do."""
    rooms = graph(package)
    return {
        (room, other): modules
        for room, others in rooms.items()
        for other, modules in others.items()
        if not allowed(package, room, other)
    }


def module_graph(package: str) -> dict[str, set[str]]:
    """Which module imports which, also those inside a function or under TYPE_CHECKING."""
    files = {_name(path): path for path in sorted((ROOT / package).rglob("*.py"))}
    found = {}
    for module, path in files.items():
        names = {_longest(name, files) for name in imported(path, package)}
        found[module] = names - {module, package}
    return found


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _longest(name: str, files: Collection[str]) -> str:
    """The module in which an imported name stands: the name itself, or what is left without its last parts."""
    while "." in name and name not in files:
        name = name.rpartition(".")[0]
    return name


def circles(arrows: Mapping[str, Collection[str]]) -> list[tuple[str, str]]:
    """Pairs of rooms, or of modules, from which each can be reached by the other."""
    reach = {start: _reachable(arrows, start) for start in arrows}
    return sorted((a, b) for a in arrows for b in reach[a] if a < b and a in reach.get(b, ()))


def _reachable(arrows: Mapping[str, Collection[str]], start: str) -> set[str]:
    found, waiting = set[str](), [start]
    while waiting:
        for other in arrows.get(waiting.pop(), ()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def main() -> None:
    for package, floors in FLOORS.items():
        print(package)
        rooms, wrong = graph(package), upward(package)
        listed = [name for names in floors for name in sorted(names)]
        for room in [*listed, *sorted(rooms.keys() - set(listed))]:
            arrows = ", ".join(f"{other}{' (!)' * ((room, other) in wrong)}" for other in sorted(rooms.get(room, {})))
            print(f"  {room:<10} → {arrows or 'nothing'}")
        for pair, modules in wrong.items():
            print(f"  (!) {pair[0]} → {pair[1]}: {', '.join(sorted(modules))}")
        for one, other in [*circles(rooms), *circles(module_graph(package))]:
            print(f"  circle: {one} ↔ {other}")


if __name__ == "__main__":
    sys.exit(main())
