"""Journals that no start will read, as `newsletter doctor` and `newsletter status` tell of them.

In: the application, and which database it has. Out: sentences. Nothing is written or deleted.
"""

from __future__ import annotations

from collections.abc import Iterator

from newsletter.cli.finding import Finding, ok, warn
from newsletter.journal.reader import foreign_journals
from newsletter.store.installation import Installation
from newsletter.wiring import Application


def list_foreign_journals(application: Application, installation: Installation) -> list[str]:
    """Return a sentence for each."""
    folder = application.settings.journal_dir
    return [
        f"The journal {one.path} is left over: {one.why}." for one in foreign_journals(folder, installation.identity)
    ]


def journals(application: Application, installation: Installation) -> Iterator[Finding]:
    """Look into the folder of the journals."""
    warnings = list_foreign_journals(application, installation)
    for warning in warnings:
        yield warn("journal", warning)
    if not warnings:
        yield ok("journal", f"nothing strange is left in {application.settings.journal_dir}")
