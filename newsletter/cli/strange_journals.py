"""Journals that no start will read, as `newsletter doctor` and `newsletter status` tell of them.

In: the application, and which database it has. Out: sentences. Nothing is written or deleted.
"""

from __future__ import annotations

from collections.abc import Iterator

from newsletter.cli.finding import Finding, ok, warn
from newsletter.engine.journal_left import strangers
from newsletter.store.installation import Installation
from newsletter.wiring import Application


def strange_journals(application: Application, made: Installation) -> list[str]:
    """Return a sentence for each."""
    folder = application.settings.journal_dir
    return [f"The journal {one.path} is left over: {one.why}." for one in strangers(folder, made.identity)]


def journals(application: Application, made: Installation) -> Iterator[Finding]:
    """Look into the folder of the journals."""
    said = strange_journals(application, made)
    for one in said:
        yield warn("journal", one)
    if not said:
        yield ok("journal", f"nothing strange is left in {application.settings.journal_dir}")
