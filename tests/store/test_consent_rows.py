"""The evidence of consent: it is added to, and deleted with the person, and never changed."""

from __future__ import annotations

import re
from pathlib import Path

import newsletter.store

STORE = Path(newsletter.store.__file__).parent


def test_no_statement_changes_evidence() -> None:
    """Whoever asks for proof gets what was written at the time."""
    sources = {path.name: path.read_text() for path in STORE.glob("*.py")}
    assert [name for name, text in sources.items() if re.search(r"update\(\s*consent\b", text)] == []
    deleting = {name for name, text in sources.items() if re.search(r"delete\(\s*consent\b", text)}
    assert deleting == {"subscriber.py"}
