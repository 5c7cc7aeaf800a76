"""When two spellings name the same student: the one normal form that the learner's side and the grader share."""

from __future__ import annotations

import re
import unicodedata

SIGNED_IN = "signed_in"  # in the metadata of an output of `sign_in`: the name that the learner's numbers come from


def composed(name: str) -> str:
    """`name` with composed accents: macOS takes them apart.

    >>> len("Zoe\\u0308"), len(composed("Zoe\\u0308"))
    (4, 3)
    """
    return unicodedata.normalize("NFC", name)


def clean(name: str) -> str:
    """`name` as it is shown: accents composed, spaces single, nothing invisible from a web page in it.

    >>> clean(" Zoe\\u0308  Müller\\u200b ")
    'Zoë Müller'
    """
    visible = "".join(sign for sign in name if unicodedata.category(sign) != "Cf")
    return " ".join(composed(visible).split())


def normal(name: str) -> str:
    """The same for every spelling of a name: case, accents composed or not, and spaces make no difference.

    >>> normal("Zoe\\u0308  MÜLLER") == normal("zoë müller")
    True
    """
    return composed(clean(name).casefold())


def words(name: str) -> str:
    """The words of a name in any order.

    >>> words("Lovelace, Ada") == words("ada.lovelace")
    True
    """
    return " ".join(sorted(re.findall(r"[^\W_]+", normal(name))))
