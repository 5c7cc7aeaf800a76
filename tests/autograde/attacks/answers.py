"""Attacks by what is answered: values, and messages that no `pack` would make."""

from tests.autograde.attacks.base import Attack, Attacks, answer, cell


def sends(expression: str, says: str = "form that can be read", prelude: str = "") -> Attack:
    """A notebook whose kernel answers every question with the text that `expression` makes, but for its own trial."""
    return cell(
        f"""
import autograde.answers.outcomes
class Sent(autograde.answers.outcomes.Payload):
    def __init__(self, *_): pass
    def _repr_mimebundle_(self, **_): return {{self.mime: text, "text/plain": ""}}
    of_value = classmethod(lambda cls, *_: cls())
    trial = autograde.answers.outcomes.Payload.of_calls
    of_calls = classmethod(lambda cls, called, cases: cls.trial(called, cases) if "lambda" in str(called) else cls())
autograde.answers.outcomes.Payload = Sent
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
        endless=True,
    ),
    "a dict of lists as keys": answer("tokens = {(1, 2): 16, None: 3, float('nan'): 4}"),
}

MESSAGES: Attacks = {
    "no JSON": sends("'{'"),
    "JSON of two megabytes of brackets": sends("'[' * 10**6 + ']' * 10**6", says="cannot be read"),
    "JSON of ten million empty lists": sends("'{\"answer\": [' + '[],' * 10**7 + '[]]}'", says="cannot be read"),
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
