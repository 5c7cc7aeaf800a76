"""Attacks on the pipe between kernel and grader: lines that no kernel would send, or without end."""

from tests.autograde.attacks.base import Attacks, cell

_RAW = """
import threading, time
kernel = get_ipython().kernel
pipe = kernel.session
def flood(line):
    while True: pipe.connection.sendall(line)
"""
ON_THE_CHANNELS: Attacks = {
    "lines that are no JSON": cell(
        _RAW
        + """
for _ in range(100): pipe.connection.sendall(b"x, y\\n" + bytes(64) + b"\\n\\xff\\n")
""",
        says="cannot be read",
    ),
    "half a message": cell(
        _RAW
        + """
for _ in range(100): pipe.connection.sendall(b'\\n{"type": "stream", "content": {')
""",
        says="cannot be read",
    ),
    "JSON that is no message": cell(
        _RAW
        + """
for line in (b"[]", b"null", b"7", b'"text"', b'{"type": 7}', b'{"content": []}', b"[" * 100_000):
    pipe.connection.sendall(line + b"\\n")
""",
        says="cannot be read",
    ),
    "counts of cells that are none": cell(
        _RAW
        + """
counts, run = iter([-1, 10**30, True, 0.5, None, [], "7"] * 10), kernel.do_execute
async def do_execute(*arguments): return {**await run(*arguments), "execution_count": next(counts)}
kernel.do_execute = do_execute
""",
        right=True,
        worth=9,
    ),
    "replies that nobody asked for": cell(
        _RAW
        + """
for number in range(10**9): pipe.tell(type="reply", id=f"{number:016x}", content={"status": "ok"})
""",
        right=True,
        worth=9,
        endless=True,
    ),
    "replies that take longer to read than to make": cell(
        _RAW
        + """
flood(b'{"type": "reply", "id": "x", "content": {"x": [' + b"[]," * 30_000 + b"[]]}}\\n")
""",
        before="end",
        right=True,
        worth=9,
        endless=True,
    ),
    "outputs without end, of a thread that does nothing else": cell(
        _RAW
        + """
line = b'{"type": "stream", "content": {"name": "stdout", "text": ""}}\\n'
threading.Thread(target=flood, args=(line,), daemon=True).start()
time.sleep(1000)
""",
        right=True,
        worth=9,
        endless=True,
    ),
    "outputs without end, after the cell has ended": cell(
        _RAW
        + """
line = b'{"type": "stream", "content": {"name": "stdout", "text": ""}}\\n'
threading.Thread(target=flood, args=(line,), daemon=True).start()
""",
        right=True,
        worth=9,
        endless=True,
    ),
    "messages of a gigabyte": cell(
        _RAW
        + """
for _ in range(8): pipe.connection.sendall(b"0" * 2**29)
""",
        right=True,
        worth=9,
        endless=True,
    ),
    "a message of endless parts": cell(
        """
import os, socket, threading
part = bytes(2**20)
def flood(number):
    channel = socket.socket(fileno=number)
    channel.setblocking(True)
    try:
        while True: channel.sendall(part)
    except OSError: pass
for number in range(3, 256):
    try:
        if os.fstat(number).st_mode & 0o170000 == 0o140000:
            threading.Thread(target=flood, args=(os.dup(number),), daemon=True).start()
    except OSError: pass
import time; time.sleep(100)
""",
        says="left out",
        endless=True,
    ),
    "a pipe that is closed": cell(
        _RAW
        + """
import os
for number in range(3, 256):
    try: os.close(number)
    except OSError: pass
time.sleep(1000)
""",
        right=True,
        worth=9,
        says="left out",
        endless=True,
    ),
}
