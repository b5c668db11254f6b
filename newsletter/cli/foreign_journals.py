"""Journals that no start will read, and the folder by which a copy is noticed, for `newsletter doctor`.

In: the application, and which database it has. Out: sentences. Nothing is written or deleted.
"""

from __future__ import annotations

from collections.abc import Iterator

from newsletter.cli.finding import Finding, ok, warn
from newsletter.store.anchor import Anchor
from newsletter.store.database import sqlite_path
from newsletter.store.installation import Installation
from newsletter.wiring import Application


def journals(application: Application, installation: Installation) -> Iterator[Finding]:
    """Look into the folder of the journals, and at the state folder."""
    warnings = application.left_over_journals(installation.identity)
    for warning in warnings:
        yield warn("journal", warning)
    if not warnings:
        yield ok("journal", f"nothing foreign is left in {application.settings.journal_dir}")
    if sqlite_path(application.engine) is not None:
        yield _anchor(application.anchor)


def _anchor(anchor: Anchor) -> Finding:
    fault = anchor.fault()
    if fault:
        return warn(
            "copies",
            f"a copied or restored database would not be noticed: {fault} (for {anchor.folder})",
            "set NEWSLETTER_STATE_DIR to a folder outside this one that every user of the newsletter here can write",
        )
    return ok("copies", f"a copied or restored database is noticed by {anchor.folder}")
