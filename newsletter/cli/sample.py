"""Where the sample tips and subscribers lie: inside the installed package, or in `data/` of a source checkout."""

from __future__ import annotations

from pathlib import Path

import newsletter
from newsletter.flows.queue_tip import TipText

_PACKAGE = Path(newsletter.__file__).parent


def sample_folder() -> Path:
    """Return the folder that holds `tips/` and `subscribers.csv`."""
    inside = _PACKAGE / "sample"
    return inside if inside.is_dir() else _PACKAGE.parent / "data"


def sample_tips() -> list[TipText]:
    """Return the files of the sample tips, in the order of their names."""
    files = sorted((sample_folder() / "tips").glob("*.md"))
    return [TipText(name=file.name, text=file.read_text(encoding="utf-8")) for file in files]


def sample_subscribers() -> Path:
    """Return the file of the sample subscribers."""
    return sample_folder() / "subscribers.csv"
