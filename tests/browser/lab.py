"""What the browser tests share: the JupyterLab that they look at, and how long they wait for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "build" / "artefacts"  # git-ignored; CI keeps them
CHAPTER = "01-patch-grid"
PATIENCE = 120  # seconds, for anything that may have to import torch on a busy machine


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    course: Path  # the folder that it serves: solutions/, chapters/ and nbgrader_config.py
    address: str  # http://127.0.0.1:port
    token: str

    def url(self, path: str) -> str:
        return f"{self.address}/{path}{'&' if '?' in path else '?'}token={self.token}"


NOTEBOOK = "window.jupyterapp?.shell.currentWidget"
KERNEL_IS_IDLE = f"{NOTEBOOK}?.sessionContext?.session?.kernel?.status === 'idle'"
CELLS = """[...jupyterapp.shell.currentWidget.content.model.cells]
    .filter(cell => cell.type === 'code')
    .map(cell => ({
        source: cell.sharedModel.source,
        ran: cell.executionCount !== null,
        failed: cell.outputs.toJSON().some(output => output.output_type === 'error'),
        graded: cell.metadata.nbgrader?.grade === true,
    }))"""


def run_all(page: Page, path: str) -> list[dict[str, Any]]:
    """Run All Cells of the notebook that the page is opening, to the very end; what became of each."""
    # JupyterLab may show the tabs of an earlier visit first
    page.wait_for_function(f"{NOTEBOOK}?.context?.path === '{path}' && {KERNEL_IS_IDLE}")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(f"{CELLS}.every(cell => cell.ran) && {KERNEL_IS_IDLE}")
    cells: list[dict[str, Any]] = page.evaluate(CELLS)
    return cells


def change_theme(page: Page, theme: str) -> None:
    """Another theme, until it is there and JupyterLab's splash has faded: it removes two splashes only one by one."""
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)
