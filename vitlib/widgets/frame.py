"""What all widgets share: their style sheet, and the measures of a control."""

from pathlib import Path
from typing import Any

STYLE = f"<style>{Path(__file__).with_name('style.css').read_text(encoding='utf-8')}</style>"
# arguments of a control that is as wide as its column, with its name before it
CONTROL: dict[str, Any] = {"layout": {"width": "auto"}, "style": {"description_width": "96px"}}
