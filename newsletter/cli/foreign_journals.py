"""Journals that no start will read, as `newsletter doctor` and `newsletter status` tell of them.

In: the application, and which database it has. Out: sentences. Nothing is written or deleted.
"""

from __future__ import annotations

from collections.abc import Iterator

from newsletter.cli.finding import Finding, ok, warn
from newsletter.journal.reader import foreign_journals
from newsletter.store.installation import Installation
from newsletter.wiring import Application


def list_foreign_journals(application: Application, made: Installation) -> list[str]:
    """Return a sentence for each."""
    folder = application.settings.journal_dir
    return [f"The journal {one.path} is left over: {one.why}." for one in foreign_journals(folder, made.identity)]


def journals(application: Application, made: Installation) -> Iterator[Finding]:
    """Look into the folder of the journals."""
    said = list_foreign_journals(application, made)
    for one in said:
        yield warn("journal", one)
    if not said:
        yield ok("journal", f"nothing strange is left in {application.settings.journal_dir}")
