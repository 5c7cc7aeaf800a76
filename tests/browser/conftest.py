"""A course folder of its own, one JupyterLab that serves it, and pages of headless Chromium that look at it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.lab import ARTEFACTS, CHAPTER, PATIENCE, ROOT, Lab


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a teacher has, so that running the chapter leaves the working tree alone."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    for step in ("solutions", "chapters"):
        shutil.copytree(ROOT / step / CHAPTER, folder / step / CHAPTER)
    return folder


@pytest.fixture(scope="session")
def lab(course: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab as `make lab` starts it, without anybody's personal settings."""
    own = tmp_path_factory.mktemp("jupyter")
    places = {f"JUPYTER_{name}_DIR": str(own / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    places["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lab = Lab(course, f"http://127.0.0.1:{port}", token="browser-test")
    flags = f"--no-browser --expose-app-in-browser --port={port} --ServerApp.port_retries=0"
    command = ["make", "-f", str(ROOT / "Makefile"), "-o", ".venv/installed", "lab"]  # -o: it is installed
    command += [f"CHAPTER={CHAPTER}", f"LAB={flags} --IdentityProvider.token={lab.token}"]
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    with (ARTEFACTS / "jupyterlab.log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=course, env=os.environ | places, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait_until_it_answers(server, lab.url("api/status"), Path(log.name))
            yield lab
        finally:
            os.killpg(server.pid, signal.SIGTERM)  # make and JupyterLab
            server.wait(timeout=PATIENCE)


def _wait_until_it_answers(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"JupyterLab ended with status {server.returncode}:\n{log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (URLError, TimeoutError):
            time.sleep(0.1)
    pytest.fail(f"JupyterLab did not answer within {PATIENCE} s:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail(
            f"none of {', '.join(names)} is on the PATH: install one with `sudo apt-get install chromium`",
            pytrace=False,
        )
    flags = ["--disable-dev-shm-usage"]  # containers give /dev/shm a few megabytes only
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # Chromium's sandbox refuses to run as root
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh page. It ends with a screenshot, and fails the test if an error reached the page's console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    problems: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            problems.append(f"console: {message.text} ({message.location.get('url', '')})")

    page.on("console", on_console)
    page.on("pageerror", lambda error: problems.append(f"uncaught: {error.stack or error}"))
    page.on("request", lambda request: problems.extend(_leaving(request.url, lab)))
    yield page
    page.screenshot(path=ARTEFACTS / f"{request.node.name}.png")
    context.close()
    assert not problems, "\n".join(problems)


def _leaving(url: str, lab: Lab) -> list[str]:
    here = url.startswith(lab.address) or not url.startswith(("http:", "https:"))
    return [] if here else [f"left the machine: {url}"]
