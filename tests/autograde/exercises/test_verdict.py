"""A verdict in a graded notebook is read back, in whichever words it was written."""

import re

import pytest
from nbformat.v4 import new_code_cell

from autograde.engine.verdict_cell import METADATA, read_verdict, write_verdict
from autograde.exercises.verdict import Status, Verdict

VERDICT = Verdict("tokens", Status.MISCONCEPTION, 0, 1, "One too many.", "counted CLS")


def test_what_was_written_is_read():
    cell = new_code_cell()
    write_verdict(cell, VERDICT)
    assert read_verdict(cell) == VERDICT.as_data()


def test_a_notebook_that_calls_a_misconception_a_slip_is_still_read():
    cell = new_code_cell()
    write_verdict(cell, VERDICT)
    old = {name: value for name, value in VERDICT.as_data().items() if name != "misconception"}
    cell.outputs[0].metadata[METADATA] = old | {"status": "slip", "slip": "counted CLS"}
    assert read_verdict(cell) == VERDICT.as_data()


def luminance(colour: str) -> float:
    """WCAG's relative luminance of #rrggbb."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("status", Status)
def test_marks_can_be_read_in_a_light_and_in_a_dark_theme(status):
    """The points have a colour. The words have the theme's."""
    cell = new_code_cell()
    write_verdict(cell, Verdict("tokens", status, 0, 1, "Words."))
    html = cell.outputs[0].data["text/html"]
    ((colour, words),) = re.findall(r'<b style="color: (#\w{6})">.*?</b>(.*)</div>', html)
    assert words == " Words." and html.count("color") == 1
    for background in ("#ffffff", "#111111"):  # JupyterLab's
        dark, light = sorted((luminance(colour), luminance(background)))
        assert (light + 0.05) / (dark + 0.05) > 4
