"""A verdict in a graded notebook is read back, in whichever words it was written."""

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
