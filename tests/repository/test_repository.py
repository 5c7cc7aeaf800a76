"""The repository keeps its promises: one set of versions, commands that exist, a map that is true, no foreign paths."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distributions, version
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lines_of(name: str) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


def pins() -> dict[str, str]:
    return dict(line.split("==") for line in lines_of("constraints.txt") if not line.startswith("#"))


def tracked() -> list[Path]:
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    names = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_conda_installs_what_make_setup_installs() -> None:
    commands = [line.split("pip install")[1] for line in lines_of("Makefile") if "pip install" in line]
    environment = yaml.safe_load("\n".join(lines_of("environment.yml")))
    by_pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert shlex.split(" ".join(by_pip)) == shlex.split(commands[0])


def test_every_version_is_exact_and_torch_is_the_one_of_the_book() -> None:
    assert all(re.fullmatch(r"\d[A-Za-z0-9.]*", number) for number in pins().values())
    assert pins()["torch"] == "2.13.0"


def test_every_requirement_is_pinned() -> None:
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    wanted = {re.split(r"[<>=\[; ]", line)[0] for group in groups for line in group}
    assert wanted - {name.lower().replace("_", "-") for name in pins()} == set()


def test_the_tests_run_on_the_pinned_versions() -> None:
    for name in ("torch", "numpy", "jupyterlab", "nbgrader", "nbval", "ipywidgets"):
        assert version(name).split("+")[0] == pins()[name], "run `make setup`"


@pytest.mark.parametrize("python", ["3.11.4", "3.12.0", "3.13.0"])
def test_every_pin_may_be_installed_on_every_python_that_is_asked_for(python: str) -> None:
    installed = {found.name: found.metadata.get("Requires-Python") for found in distributions()}
    asked = {name: SpecifierSet(installed.get(name) or "") for name in [PROJECT["name"], *pins()]}
    assert {name: str(versions) for name, versions in asked.items() if python not in versions} == {}


def test_the_python_that_is_asked_for_is_checked_first() -> None:
    """3.11.4 brought the filter of `tarfile` that the sandbox unpacks with."""
    oldest = PROJECT["requires-python"].removeprefix(">=")
    recipe = "\n".join(lines_of("Makefile")).split("$(INSTALLED): ")[1]
    check = re.search(r"'(import sys; .*?)'", recipe.replace("\\\n", ""), re.DOTALL)
    assert check is not None and recipe.index("import sys") < recipe.index("venv")
    for python, good in [("3.11.3", False), (oldest, True), ("3.12.0", True), ("3.13.9", True), ("3.14.0", False)]:
        numbers = tuple(map(int, python.split(".")))
        code = f"import sys; sys.version_info = {numbers}; " + check[1].replace("$(PYTHON)", "python3")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode == 0) == good
        assert good or done.stderr.startswith(f"python3 is {python}; expected {oldest} to 3.13: try make setup")


@pytest.mark.parametrize(("installs", "said"), [(True, ""), (False, "bubblewrap is missing:")])
def test_what_pip_cannot_bring_is_installed_or_its_lack_is_said(tmp_path: Path, installs: bool, said: str) -> None:
    """On a system like Debian, whose apt-get does or does not find what it is asked for."""
    for name in ("bash", "id", "env", "grep", "touch", "chmod"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    brings = f"case $* in *install*) touch {tmp_path}/bwrap; chmod +x {tmp_path}/bwrap;; esac"
    (tmp_path / "apt-get").write_text(f"#!/bin/bash\necho $*\n{brings if installs else 'exit 100'}\n")
    (tmp_path / "sudo").write_text('#!/bin/bash\n"$@"\n')
    for name in ("apt-get", "sudo"):
        (tmp_path / name).chmod(0o755)
    command, environment = [ROOT / ".ci" / "bring", "bubblewrap"], {"PATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "apt-get installs bubblewrap, which pip cannot" in done.stderr
    assert "install -qqy --no-install-recommends bubblewrap" in done.stderr
    assert said in done.stderr.splitlines()[-1]
    if installs:
        again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert (again.stdout, again.stderr) == ("", "")


@pytest.mark.parametrize("name", ["README.md", ".ci/run"])
def test_every_make_command_that_is_named_exists(name: str) -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", "\n".join(line for line in lines_of(name) if "make " in line)))
    targets = {line.split(":")[0] for line in lines_of("Makefile") if re.match(r"[a-z-]+:", line)}
    assert "test" in named
    assert named - targets == set()


def test_the_readme_shows_only_what_there_is() -> None:
    text = "\n".join(lines_of("README.md"))
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    on_the_map = re.findall(r"^([\w.-]+/?) {2,}", text.split("```")[-2], re.MULTILINE)
    made_at_run_time = {"gradebook/"}
    assert len(links) > 2 and len(on_the_map) > 8
    assert [name for name in [*links, *on_the_map] if not (ROOT / name).exists() and name not in made_at_run_time] == []


def test_no_tracked_file_names_a_place_on_somebodys_machine() -> None:
    place = re.compile(rb"(?<![\w.~])/(?:home|Users|root|work)/\w+|" + re.escape(str(ROOT).encode()) + rb"\b")
    found = {str(path.relative_to(ROOT)): place.findall(path.read_bytes()) for path in tracked()}
    assert {name: places for name, places in found.items() if places} == {}
