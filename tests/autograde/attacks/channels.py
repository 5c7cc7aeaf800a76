"""Attacks on the channels between kernel and grader: messages that no kernel would send, or without end."""

from tests.autograde.attacks.base import Attacks, cell

# A socket is one thread's: two that send at once mix their messages, and crash the kernel now and then.
_RAW = """
import time
kernel = get_ipython().kernel
socket = kernel.iopub_socket  # it hands messages to the thread that sends them
def flood(sock, thread, messages):
    thread.io_loop.add_callback(lambda: [sock.send_multipart(parts) for parts in messages])
    time.sleep(1000)
"""
ON_THE_CHANNELS: Attacks = {
    "messages with false signatures": cell(
        _RAW
        + """
for _ in range(100): socket.send_multipart([b"stream", b"<IDS|MSG>", b"0" * 64, b"{}", b"{}", b"{}", b"{}"])
""",
        says="cannot be read",
    ),
    "frames that are no messages": cell(
        _RAW
        + """
for _ in range(100): socket.send_multipart([b"x", b"y"])
""",
        says="cannot be read",
    ),
    "signed messages without content": cell(
        _RAW
        + """
session = kernel.session
for part in (b"[]", b"null", b"7", b'"text"', b'{"msg_type": 7}', b"[" * 100_000):
    parts = [part] * 4
    socket.send_multipart([b"stream", b"<IDS|MSG>", session.sign(parts), *parts])
""",
        says="cannot be read",
    ),
    "counts of cells that are none": cell(
        _RAW
        + """
for count in (-1, 10**30, True, 0.5, None, [], "7"):
    kernel.session.send(socket, "execute_input", {"code": "", "execution_count": count}, parent=kernel.get_parent())
""",
        right=True,
        worth=9,
    ),
    "replies that nobody asked for": cell(
        _RAW
        + """
import json
idents = kernel._parent_ident["shell"]
header = json.loads(kernel.session.pack(kernel.session.msg_header("execute_reply")))
for number in range(10**9):  # the thread whose socket it is does nothing meanwhile
    parts = [json.dumps(header | {"msg_id": str(number)}).encode(), b'{"msg_id": "x"}', b"{}", b"{}"]
    kernel.shell_stream.socket.send_multipart([*idents, b"<IDS|MSG>", kernel.session.sign(parts), *parts])
""",
        right=True,
        worth=9,
        endless=True,
    ),
    "replies that take longer to read than to make": cell(
        _RAW
        + """
idents = kernel._parent_ident["shell"]
header = kernel.session.pack(kernel.session.msg_header("execute_reply"))
def replies():
    for number in range(10**9):
        parts = [header, b'{"msg_id": "x"}', b'{"number": %d}' % number, b"[" + b"[]," * 30_000 + b"[]]"]
        yield [*idents, b"<IDS|MSG>", kernel.session.sign(parts), *parts]
flood(kernel.shell_stream.socket, kernel.shell_channel_thread, replies())
""",
        before="end",
        right=True,
        worth=9,
        endless=True,
    ),
    "outputs without end, of a thread that does nothing else": cell(
        _RAW
        + """
parent = kernel.session.pack(kernel.get_parent()["header"])
def outputs():
    for number in range(10**9):
        header = {"msg_id": str(number), "msg_type": "stream", "session": "", "username": "", "version": "5.3"}
        parts = [kernel.session.pack(header), parent, b"{}", b'{"name": "stdout", "text": ""}']
        yield [b"stream", b"<IDS|MSG>", kernel.session.sign(parts), *parts]
flood(kernel.iopub_thread.socket, kernel.iopub_thread, outputs())
""",
        right=True,
        worth=9,
        endless=True,
    ),
    "messages of a gigabyte": cell(
        _RAW
        + """
for _ in range(8): socket.send(bytes(2**29), copy=False)
""",
        right=True,
        worth=9,
        endless=True,
    ),
    "a message of endless parts": cell(
        """
import os, socket, struct, threading
frame = b"\\x03" + struct.pack(">Q", 2**20) + bytes(2**20)
def flood(number):
    channel = socket.socket(fileno=number)
    try:
        while True: channel.sendall(frame)
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
}
