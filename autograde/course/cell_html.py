"""A notebook's cells as HTML that only shows: no script, no style, no address of another machine.

Whatever a learner wrote or printed goes through here before a feedback page holds it.
"""

from __future__ import annotations

import html
import re
from typing import Any

import bleach
from nbconvert.filters.ansi import strip_ansi
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

_SHOWN = """
a abbr b blockquote br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img kbd li ol p pre s small span strong
sub summary sup table tbody td tfoot th thead tr tt u ul var
"""
_TAGS = frozenset(_SHOWN.split())
_PROTOCOLS = frozenset(("http", "https", "mailto", "data"))  # data: of pictures only
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]*")
_PICTURES = ("image/png", "image/jpeg")
CODE_STYLE = HtmlFormatter(style="default").get_style_defs(".highlight")


def _allowed(tag: str, name: str, value: str) -> bool:
    if (tag, name) == ("img", "src"):
        return bool(_PICTURE.fullmatch(value))
    if (tag, name) == ("a", "href"):
        return not value.lower().lstrip().startswith("data:")
    return name in ("class", "alt", "title", "lang", "colspan", "rowspan", "open")


def clean(text: str) -> str:
    """HTML with only what shows."""
    return bleach.clean(
        text, tags=_TAGS, attributes=_allowed, protocols={"http", "https", "mailto", "data"}, strip=True
    )


def markdown(source: str, attachments: dict[str, Any] | None = None) -> str:
    """Markdown as clean HTML; formulas stay in TeX."""
    renderer = IPythonRenderer(escape=False, attachments=attachments or {}, exclude_anchor_links=True)
    return clean(MarkdownWithMath(renderer=renderer).render(source))


def code(source: str, language: str = "python") -> str:
    """A program, its words in colour."""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    return str(highlight(source, lexer, HtmlFormatter()))


def cell_html(cell: NotebookNode, language: str = "python") -> str:
    """A cell and what it shows."""
    if cell.cell_type == "markdown":
        return markdown(cell.source, cell.get("attachments"))
    if cell.cell_type != "code":
        return _plain(cell.source)
    return "\n".join([code(cell.source, language), *map(_output, cell.get("outputs", []))])


def _output(output: NotebookNode) -> str:
    if output.output_type == "stream":
        return _plain(output.text)
    if output.output_type == "error":
        return _plain("\n".join(output.get("traceback") or [f"{output.ename}: {output.evalue}"]))
    data = output.get("data", {})
    for kind in _PICTURES:
        if kind in data:
            alt = output.get("metadata", {}).get(kind, {}).get("alt") or data.get("text/plain", "a picture")
            return clean(f'<img src="data:{kind};base64,{data[kind]}" alt="{html.escape(str(alt))}">')
    if "text/html" in data:
        return f"<div>{clean(str(data['text/html']))}</div>"
    return _plain(str(data.get("text/plain", "")))


def _plain(text: str) -> str:
    return f'<pre class="output">{html.escape(strip_ansi(text))}</pre>' if text.strip() else ""
