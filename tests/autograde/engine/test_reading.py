"""A file is read where it can be read, in whatever encoding or format; else it is said what to hand in."""

import json

import pytest

from autograde.engine.reading import MAX_BYTES, MAX_CELLS, MAX_PICTURES, Unreadable, read_cells, slim

NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["café – déjà vu\\n", "“outputs”: []"]},
        {"cell_type": "code", "id": "b", "metadata": {}, "source": 'x = "outputs": [1]', "outputs": []},
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}
TEXT = json.dumps(NOTEBOOK, ensure_ascii=False, indent=1)
SOURCES = ["café – déjà vu\\n“outputs”: []", 'x = "outputs": [1]']


def read(data: bytes) -> tuple[list[str], list[str]]:
    notes: list[str] = []
    return [cell.source for cell in read_cells(data, notes)], notes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("behind", ["", "\n\n", "\0" * 512])
def test_every_encoding_of_unicode_is_read(encoding, behind):
    assert read((TEXT + behind).encode(encoding)) == (SOURCES, [])


def test_escaped_text_is_read():
    assert read(json.dumps(NOTEBOOK).encode("ascii")) == (SOURCES, [])


@pytest.mark.parametrize("bad", [b"caf\xe9", b"caf\x81", b"caf\xed\xa0\x80"], ids=["cp1252", "nothing", "a surrogate"])
def test_single_bytes_that_are_no_utf_8_are_guessed_and_said(bad):
    sources, notes = read(TEXT.encode().replace("café".encode(), bad))
    assert sources[1] == SOURCES[1] and "déjà vu" in sources[0]
    assert "not saved as UTF-8" in notes[0]


def test_cp1252_is_read_as_it_was_written():
    sources, notes = read(TEXT.encode("cp1252"))
    assert sources == SOURCES and "not saved as UTF-8" in notes[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (TEXT.rstrip()[:-1].rstrip() + ",\n}", "extra commas"),
        (TEXT.replace("}\n ],", "},\n ],"), "extra commas"),
        (TEXT + "\n<!-- a mirror added this -->", "left out"),
    ],
)
def test_what_a_tool_has_added_is_left_out_and_said(data, words):
    sources, notes = read(data.encode())
    assert len(sources) == 2 and words in notes[0]


def test_line_breaks_in_texts_are_read():
    assert read(b'{"cells": [{"cell_type": "code", "source": "a\nb\tc"}]}')[0] == ["a\nb\tc"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"  \n\0\0", "empty"),
        (b"%PDF-1.7 text", "a PDF"),
        (b"PK\x03\x04" + b"\x00" * 30, "a ZIP archive"),
        (b"<!doctype html><html></html>", "a web page"),
        (b"# %%\nx = 1", "not a notebook"),
        (b"\xff\xfe\x00\x01" * 50, "not a notebook"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "no cells"),
        (b"42", "no cells"),
        (b'{"metadata": {}}', "no cells"),
        (b'{"cells": 3}', "no cells"),
        (b'{"cells": [1, null, {"cell_type": "video"}, {"cell_type": "code", "source": 5}]}', "none of its 4 cells"),
        (TEXT.encode()[:-300], "broke off"),
        (TEXT.encode()[:-1], "broke off"),
        (TEXT.encode()[: TEXT.encode().index(b"vu") + 1], "broke off"),
        (TEXT.replace("café", "\n<<<<<<< HEAD\ncafé\n=======\n>>>>>>> main\n").encode()[:-1], "git conflict"),
        (b'{"a": "' + b"x" * MAX_BYTES + b'"}', "more than 20 MiB"),
        (b'{"nbformat": ' + b"4" * 10**6 + b"}", "not a notebook"),
    ],
)
def test_what_cannot_be_read_is_asked_for_again(data, words):
    with pytest.raises(Unreadable, match=words):
        read(data)


def with_outputs(outputs, **metadata):
    cells = [{**NOTEBOOK["cells"][1], "outputs": outputs}, NOTEBOOK["cells"][0]] * 3
    return json.dumps({**NOTEBOOK, "cells": cells, "metadata": metadata}, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "data",
    [
        with_outputs([{"output_type": "display_data", "data": {"image/png": "iVBOR" * 1_700_000}}]),
        with_outputs([{"output_type": "stream", "text": ['a "] [\\" line\n' + "x" * 100] * 190_000}]),
        with_outputs([], widgets={"state": {"a": ["]}" * 12_000_000]}}),
    ],
    ids=["a picture", "many lines", "widgets"],
)
def test_large_outputs_are_no_obstacle(data):
    assert len(data) > MAX_BYTES
    assert read(data) == (SOURCES[::-1] * 3, [])
    assert len(slim(data)) < 2_000
    assert read(slim(data)) == read(data)


def test_a_small_file_is_left_as_it_is():
    assert slim(TEXT.encode()) == TEXT.encode()


def test_of_too_many_cells_the_first_are_read():
    data = json.dumps({"cells": [{"cell_type": "code", "source": "x"}] * (MAX_CELLS + 1)})
    sources, notes = read(data.encode())
    assert len(sources) == MAX_CELLS and "2,001 cells" in notes[0]


def test_pictures_have_a_room_of_their_own():
    picture = {"a.png": {"image/png": "iVBO" * (MAX_PICTURES // 8)}}
    cells = [{"cell_type": "markdown", "source": str(n), "attachments": picture} for n in range(3)]
    notes: list[str] = []
    read_ = read_cells(json.dumps({"cells": cells}).encode(), notes)
    assert [len(cell.pictures) for cell in read_] == [1, 1, 0] and "1 attached files" in notes[0]


@pytest.mark.parametrize("data", [b'{"' + b'\\\\"' * 10**6, b',{"outputs":[' * 10**5, b'"outputs"' * 10**5])
def test_no_text_takes_long(data):
    """Seconds at most where a quadratic search would take hours."""
    with pytest.raises(Unreadable):
        read(data * 3)


def test_a_notebook_of_format_3_is_read_with_what_was_typed():
    cells = [
        {"cell_type": "heading", "level": 1, "source": ["Patches"]},
        {"cell_type": "code", "language": "python", "input": ["a = 1\n", "b = 2"], "outputs": [], "prompt_number": 3},
    ]
    sheets = [{"cells": cells, "metadata": {}}, {"cells": [{"cell_type": "code", "input": "c = 3"}]}, 7]
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": sheets}
    read = [(cell.type, cell.source) for cell in read_cells(json.dumps(old).encode(), [])]
    assert read == [("markdown", "Patches"), ("code", "a = 1\nb = 2"), ("code", "c = 3")]
