"""Upgrading a database: a copy first, no sender meanwhile, and all of it or nothing.

In: a database of any age. Out: the version before and after, and where the copy lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from newsletter.core.token import Keyring
from newsletter.errors import NotNow
from newsletter.flows.set_up import set_up
from newsletter.store import log as logs
from newsletter.store.backup import copy_sqlite
from newsletter.store.database import HEAD, Database, current_revision, open_unit, sender_lock, sqlite_path
from newsletter.store.upgrade import queue_is_behind, upgrade


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """What was done."""

    before: str | None
    """None when there was no database."""
    after: str
    backup: Path | None = None
    queue: bool = False
    """Whether the tables of the job queue were brought up."""


def upgrade_database(database: Database, keyring: Keyring, *, who: str, now: datetime) -> Upgraded:
    """Create the database, or bring it to this version.

    Raises `NotNow` while a sender is alive, and `Stop` when the database is newer than this program.
    """
    before = current_revision(database)
    backup = None
    queue = before == HEAD and queue_is_behind(database)
    older = before is not None and (before < HEAD or queue)
    if older:
        try:
            with sender_lock(database):
                backup = _back_up(database, now)
                upgrade(database)
        except NotNow as error:
            raise NotNow(
                f"{error} Stop the service, then run `newsletter db upgrade` again; nothing was changed."
            ) from error
    result = set_up(database, keyring, who=who, now=now)
    if older:
        with open_unit(database).write() as tx:
            why = "the job queue" if queue else f"from version {before} to {result.revision}"
            logs.add(tx, logs.LogEntry(at=now, who=who, what="db upgrade", about="database", why=why))
    return Upgraded(before=before, after=result.revision, backup=backup, queue=queue)


def _back_up(database: Database, now: datetime) -> Path | None:
    path = sqlite_path(database)
    if path is None:
        return None
    to = path.parent / "backups" / f"{path.stem}-{now:%Y-%m-%d-%H%M%S}.db"
    copy_sqlite(database, to)
    return to
