"""Attacks by what is answered: values, and messages that no `pack` would make."""

from tests.autograde.attacks.base import Attack, Attacks, answer, cell


def sends(expression: str, says: str = "form that can be read", prelude: str = "") -> Attack:
    """A notebook whose kernel answers every question with the text that `expression` makes."""
    return cell(
        f"""
import autograde.outcomes
class Sent:
    mime = autograde.outcomes.Parcel.mime
    def _repr_mimebundle_(self, **_): return {{self.mime: text, "text/plain": ""}}
    of_value = of_calls = classmethod(lambda cls, *_: cls())
autograde.outcomes.Parcel = Sent
{prelude}
text = {expression}
""",
        says=says,
    )


_NPY = """
import base64, json, struct
def npy(header, body=b""):
    header = header.encode() + b"\\n"
    raw = b"\\x93NUMPY\\x01\\x00" + struct.pack("<H", len(header)) + header + body
    return json.dumps({"answer": {"array": base64.b64encode(raw).decode(), "of": "numpy"}})
"""


def sends_npy(header: str, body: str = "b''") -> Attack:
    return sends(f"npy({header}, {body})", says="array", prelude=_NPY)


VALUES: Attacks = {
    "an integer of a million digits": answer("tokens = 10 ** 1_000_000", says="digits"),
    "an integer of four thousand digits": answer("tokens = 10 ** 3999"),
    "not a number": answer("tokens = float('nan')"),
    "infinity": answer("tokens = float('inf')"),
    "not a number, where a share is asked": answer("share = float('nan')", to="share"),
    "the largest float": answer("share = 1.7976931348623157e308", to="share"),
    "a complex number": answer("tokens = 16 + 0j"),
    "bytes": answer("tokens = b'16'"),
    "a list that holds itself": answer("tokens = []\ntokens.append(tokens)", says="nested"),
    "a list a thousand levels deep": answer("tokens = 16\nfor _ in range(10_000): tokens = [tokens]", says="nested"),
    "a list of a million numbers": answer("tokens = [16] * 1_000_000", says="at most"),
    "every option at once": answer("remedy = [1, 2, 3]", to="remedy"),
    "true and false at once": answer("positions = [0, 1]", to="positions"),
    "a text of a hundred megabytes": answer("tokens = 'x' * 10**8", says="characters"),
    "lone surrogates": answer("tokens = '\\ud800' * 10"),
    "a text of scripts": answer("tokens = '<script>alert(1)</script>'"),
    "a virtual array of a terabyte": answer(
        """
import numpy
tokens = numpy.lib.stride_tricks.as_strided(numpy.zeros(1), (2**37,), (0,))
""",
        says="MiB",
    ),
    "an array of objects": answer("import numpy\ntokens = numpy.array([print, 16], dtype=object)"),
    "an array with named fields": answer("import numpy\ntokens = numpy.zeros(3, dtype=[('x', 'O'), ('y', 'f4')])"),
    "a tensor without content": answer("import torch\ntokens = torch.empty(10**12, device='meta')"),
    "a sparse tensor": answer("import torch\ntokens = torch.eye(3).to_sparse()"),
    "a tensor of complex numbers": answer("import torch\ntokens = torch.ones(3, dtype=torch.complex64)"),
    "lengths that lie": answer("""
class Long(list):
    __len__ = lambda self: 2**62
    __iter__ = lambda self: iter(int, 1)
tokens = Long([16])
"""),
    "a dict that never ends": answer(
        """
class Endless(dict):
    def items(self):
        while True: yield 1, 1
tokens = Endless()
""",
        says="No answer arrived",
    ),
    "a dict of lists as keys": answer("tokens = {(1, 2): 16, None: 3, float('nan'): 4}"),
}

MESSAGES: Attacks = {
    "no JSON": sends("'{'"),
    "JSON of two megabytes of brackets": sends("'[' * 10**6 + ']' * 10**6"),
    "JSON of ten million empty lists": sends("'{\"answer\": [' + '[],' * 10**7 + '[]]}'"),
    "JSON with an integer of a million digits": sends("'{\"answer\": ' + '9' * 10**6 + '}'"),
    "JSON with NaN": sends("'{\"answer\": NaN}'", says=""),
    "JSON that is a number": sends("'16'"),
    "a parcel of everything": sends("'{\"answer\": 16, \"outcomes\": [], \"refused\": 1}'.replace('16', '4')", says=""),
    "outcomes where a number is asked": sends('\'{"outcomes": [{"value": 16}]}\'', says="function"),
    "outcomes that are no outcomes": sends(
        '\'{"outcomes": [1, null, {}, {"raised": []}, {"raised": [[]]}]}\'', says=""
    ),
    "a refusal with scripts": sends('\'{"refused": "<script>alert(1)</script>"}\'', says="script"),
    "pickle": sends(
        """'{"answer": {"array": "gASVIAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAVsb3VjaJSFlFKULg==", "of": "numpy"}}'""",
        says="array",
    ),
    "an array larger than its bytes": sends_npy("repr({'descr': '<f8', 'fortran_order': False, 'shape': (2**40,)})"),
    "an array of negative size": sends_npy(
        "repr({'descr': '<f8', 'fortran_order': False, 'shape': (-1, -8)})", "bytes(64)"
    ),
    "an array of pickled objects": sends_npy(
        "repr({'descr': '|O', 'fortran_order': False, 'shape': (1,)})",
        "b'\\x80\\x04\\x8c\\x05posix\\x8c\\x06system\\x93\\x8c\\x04true\\x85R.'",
    ),
    "an array whose header is a program": sends_npy("'__import__(\"os\").abort()'"),
    "an array whose header is ten thousand brackets": sends_npy("'(' * 10_000"),
    "an array of bits of nothing": sends_npy("repr({'descr': '|V0', 'fortran_order': False, 'shape': (2**62,)})"),
    "an array of too many dimensions": sends_npy(
        "repr({'descr': '|b1', 'fortran_order': False, 'shape': (1,) * 99})", "b'1'"
    ),
    "an array whose length is a truth": sends_npy(
        "repr({'descr': '<f8', 'fortran_order': False, 'shape': (True,)})", "bytes(8)"
    ),
    "an array of nothing, beyond all bounds": sends_npy(
        "repr({'descr': '<f8', 'fortran_order': False, 'shape': (2**62, 2**62, 0)})"
    ),
    "an integer with a sign too many": sends('\'{"answer": {"integer": "--16"}}\''),
    "an integer in foreign digits": sends('\'{"answer": {"integer": "٤"}}\'', says=""),
    "an answer of thirty megabytes": sends("'\"' + 'x' * 3 * 10**7 + '\"'"),
}

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
    ),
    "messages of a gigabyte": cell(
        _RAW
        + """
for _ in range(8): socket.send(bytes(2**29), copy=False)
""",
        right=True,
        worth=9,
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
        says="No answer arrived",
    ),
}
