"""Keeps jsonschema from building a grammar of web addresses, 1.5 s a process, for a check that no notebook uses."""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # to import it is now an ImportError
