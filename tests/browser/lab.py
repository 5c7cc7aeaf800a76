"""What the browser tests share: the JupyterLab that they look at, and how long they wait for it."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "build" / "artefacts"  # git-ignored; CI keeps them
CHAPTER = "01-patch-grid"
PATIENCE = 120  # seconds, for anything that may have to import torch on a busy machine


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    course: Path  # the folder that it serves: solutions/, chapters/ and nbgrader_config.py
    address: str  # http://127.0.0.1:port
    token: str

    def url(self, path: str) -> str:
        return f"{self.address}/{path}{'&' if '?' in path else '?'}token={self.token}"
