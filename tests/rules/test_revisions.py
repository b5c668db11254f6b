"""The revisions of the database form one chain, and the newest is the one that the program expects."""

from __future__ import annotations

from pathlib import Path

from alembic.script import ScriptDirectory

import newsletter.store
from newsletter.store.database import HEAD

MIGRATIONS = Path(newsletter.store.__file__).parent / "migrations"


def test_the_revisions_are_one_chain() -> None:
    """Two migrations with one number would leave databases of which nobody knows what they hold."""
    files = sorted(path.name[:4] for path in (MIGRATIONS / "versions").glob("0*.py"))
    assert files == [f"{number:04}" for number in range(1, len(files) + 1)]
    chain = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
    assert chain == list(reversed(files))
    assert chain[0] == HEAD
