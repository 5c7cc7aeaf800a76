"""Every chapter as a web page: on a narrow window nothing is cut off, and text can be read in both themes."""

from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook
from playwright.sync_api import Browser

from tests.browser.lab import ROOT

CHAPTERS = sorted(path for path in (ROOT / "solutions").glob("*/*.ipynb"))
NARROW = 620  # pixels: JupyterLab beside its sidebar, or a tablet held upright

# What reaches beyond the window. Code and tables have boxes of their own, which scroll.
CUT_OFF = """() => [...document.querySelectorAll('.jp-Cell *')].filter(each => {
    const { width, right } = each.getBoundingClientRect();
    return width && right > innerWidth + 2 && !each.closest('.jp-CodeMirrorEditor, table');
}).map(each => `${each.closest('.jp-Cell').id}: ${each.outerHTML.slice(0, 80)}`)"""

# Text whose contrast is below 4 (WCAG 2.2, relative luminance); the colours of code are Jupyter's.
PALE = """() => {
    const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
    const linear = part => part <= 10 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4;
    const luminance = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    function background(box) {
        for (; box; box = box.parentElement) {
            const colour = numbers(getComputedStyle(box).backgroundColor);
            if (colour.length < 4 || colour[3] > 0.5) return colour;
        }
        return [255, 255, 255];
    }
    const found = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode.data.trim(), box = texts.currentNode.parentElement;
        const cell = box.closest('.jp-Cell');
        if (!text || !cell || box.closest('style, script, .highlight') || !box.getBoundingClientRect().width) continue;
        const style = getComputedStyle(box);
        const ink = luminance(numbers(box instanceof SVGElement ? style.fill : style.color));
        const paper = luminance(background(box));
        const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        if (contrast < 4) found.push(`${cell.id}: ${contrast.toFixed(1)} for ${text.slice(0, 60)}`);
    }
    return found;
}"""


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_narrow_page_cuts_nothing_off_and_can_be_read(
    browser: Browser, tmp_path: Path, path: Path, theme: str
) -> None:
    problems = problems_of(nbformat.read(path, as_version=4), theme, browser, tmp_path)
    assert not problems, "\n".join(problems)


def test_what_is_cut_off_or_pale_is_found(browser: Browser, tmp_path: Path) -> None:
    wide, pale = '<div style="width: 900px">wide</div>', '<span style="color: #999">pale</span>'
    page = new_notebook(cells=[new_markdown_cell(each, id=f"cell-{i}") for i, each in enumerate([wide, pale, "good"])])
    cut_off, hard_to_read = problems_of(page, "light", browser, tmp_path)
    assert "900px" in cut_off and hard_to_read.endswith("2.8 for pale")


def problems_of(notebook: NotebookNode, theme: str, browser: Browser, folder: Path) -> list[str]:
    """What a reader of this page cannot see."""
    html, _ = HTMLExporter(template_name="lab", theme=theme).from_notebook_node(notebook)
    (folder / "page.html").write_text(html, encoding="utf-8")
    page = browser.new_page(viewport={"width": NARROW, "height": 1000})
    page.route("http*://**", lambda route: route.abort())
    page.goto((folder / "page.html").as_uri())
    problems = [*page.evaluate(CUT_OFF), *page.evaluate(PALE)]
    page.close()
    return problems
