"""Attacks by what is handed in: the bytes of the file, and what lies in its folder."""

import json
import os
import random
import socket
from pathlib import Path

from nbformat import NotebookNode

from tests.autograde.attacks.base import FILE, Attack, Attacks, answered, file, write


def beside(put, worth: float = 9) -> Attack:
    """Right answers, and something else in the folder."""

    def hand_in(folder: Path, notebook: NotebookNode) -> None:
        write(folder, answered(notebook, right=True))
        put(folder)

    return Attack(hand_in, worth)


def instead(put, says: str = "expected 01-toy.ipynb") -> Attack:
    """Something else in the notebook's place."""
    return Attack(lambda folder, notebook: put(folder / FILE), 0, says)


def _link_to(target: str):
    def put(path: Path) -> None:
        path.symlink_to(target)

    return put


def _listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(path.parent)
        listener.bind(path.name)


def _sparse(folder: Path) -> None:
    with (folder / "data.bin").open("wb") as data:
        data.truncate(2**40)  # it takes no room here


def _many(folder: Path) -> None:
    for number in range(3_000):
        (folder / f"{number}.txt").touch()


def _deep(folder: Path) -> None:
    for _ in range(100):
        folder = folder / "deeper"
    folder.mkdir(parents=True)
    (folder / "file.txt").write_text("deep")


def _modules(folder: Path) -> None:
    for name in ("torch", "numpy", "key", "autograde", "nbgrader_config", "sitecustomize", "conftest"):
        (folder / f"{name}.py").write_text("import os; os._exit(7)\n")
    (folder / "exercises.json").write_text("{}")


def _names(folder: Path) -> None:
    for name in ("a\nb", "-rf", "$(touch canary)", "'; drop table grade; --", "<script>alert(1)</script>", "x" * 250):
        (folder / name.replace("/", "∕")).write_text("x")
    (folder / os.fsdecode(b"\xff\xfe.txt")).write_text("x")


def _edited(change) -> Attack:
    return file(lambda data: json.dumps(change(json.loads(data))).encode())


BYTES: Attacks = {
    "an empty file": file(lambda _: b"", says="empty"),
    "random bytes": file(lambda _: random.Random(0).randbytes(100_000), says="not a notebook"),
    "half a file": file(lambda data: data[: len(data) // 2], says="broke off"),
    "twenty-five megabytes of nothing": file(lambda data: data + b" " * (25 * 2**20), worth=9),
    "twenty-five megabytes of text": file(
        lambda data: data.replace(b"tokens = 16", b"tokens = 16  # " + b"x" * (25 * 2**20)), says="more than 20 MiB"
    ),
    "a thousand levels of brackets": file(lambda _: b"[" * 100_000 + b"]" * 100_000, says="not a notebook"),
    "an integer of a million digits": file(
        lambda data: data.replace(b'"nbformat": 4', b'"nbformat": ' + b"4" * 10**6), worth=0
    ),
    "another encoding": file(lambda data: data.decode().encode("utf-16"), worth=9),
    "a byte order mark": file(lambda data: b"\xef\xbb\xbf" + data, worth=9),
    "a program": file(lambda _: b"#!/bin/sh\ntouch canary\n", says="not a notebook"),
    "a list": file(lambda _: b"[1, 2]", says="no cells"),
    "NaN": file(lambda _: b"NaN", says="no cells"),
    "no cells": _edited(lambda notebook: {**notebook, "cells": None}),
    "cells that are none": _edited(
        lambda notebook: {**notebook, "cells": [1, None, [], {}, {"cell_type": "code", "source": 7}]}
    ),
    "sources of the wrong kind": _edited(
        lambda notebook: {**notebook, "cells": [{**cell, "source": [cell["source"], 7]} for cell in notebook["cells"]]}
    ),
    "lone surrogates": file(lambda data: data.replace(b"tokens = 16", b"tokens = 16  # \\ud800"), worth=9),
    "an old format": _edited(
        lambda _: {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": 7}]}
    ),
    "a format that does not exist": file(lambda data: data.replace(b'"nbformat": 4', b'"nbformat": 99'), worth=9),
}

FOLDER: Attacks = {
    "a link to a neighbour's notebook": instead(_link_to(f"../../honest-1/01-toy/{FILE}")),
    "a link to the key": instead(_link_to("../../../../solutions/01-toy/key.py")),
    "a link to the solution": instead(_link_to(f"../../../../solutions/01-toy/{FILE}")),
    "a link to itself": instead(_link_to(FILE)),
    "a link to an endless device": instead(_link_to("/dev/zero")),
    "a folder in the notebook's place": instead(lambda path: path.mkdir()),
    "a pipe in the notebook's place": instead(lambda path: os.mkfifo(path)),
    "a socket in the notebook's place": instead(_listen),
    "links beside it": beside(
        lambda folder: [
            (folder / "gradebook.db").symlink_to("../../../gradebook.db"),
            (folder / "all").symlink_to("../../.."),
            (folder / "root").symlink_to("/"),
            (folder / "loop").symlink_to("."),
        ]
    ),
    "a pipe beside it": beside(lambda folder: os.mkfifo(folder / "pipe")),
    "a file of a terabyte": beside(_sparse),
    "thousands of files": beside(_many),
    "a hundred folders": beside(_deep),
    "modules with known names": beside(_modules),
    "odd names": beside(_names),
    "an odd timestamp": beside(lambda folder: (folder / "timestamp.txt").write_text("tomorrow; drop table grade")),
    "a file nobody may read": beside(lambda folder: (folder / "secret.txt").touch(mode=0)),
}


LINKS = {  # students whose folder, or that of the chapter, is a link: to a neighbour's, or out of the class
    "link-of-a-chapter": ("01-toy", "../honest-1/01-toy"),
    "link-of-a-student": ("", "honest-1"),
    "link-out-of-the-class": ("01-toy", "../../../solutions/01-toy"),
}


def hand_in_links(submitted: Path) -> None:
    (submitted / "honest-1" / "01-toy" / "diary.txt").write_text("nobody reads this")
    for student, (name, target) in LINKS.items():
        link = submitted / student / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)


# Names that a roster may hold, each with right answers
STUDENTS = ("o'brien", "<b>bold<b>", "=1+1", "-rf", "ünïcødé 学生", "a b", "%s%n{0}", "canary; touch canary")
