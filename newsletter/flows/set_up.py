"""Setting up: an empty place becomes a database with its one row; a database that stands is left as it is.

In: an engine and the secret key. Out: what was made. A database that was made with another key is refused, since the
links in the mails that went out would die.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from newsletter.core.token import Keyring, key_fingerprint
from newsletter.errors import Stop
from newsletter.flows.check_key import check_key
from newsletter.store import installation as installations
from newsletter.store import log as logs
from newsletter.store.database import HEAD, Database, current_revision, open_unit
from newsletter.store.upgrade import upgrade


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """What stands now."""

    new: bool
    """False when the database was there and complete before."""
    revision: str


def set_up(database: Database, keyring: Keyring, *, who: str, now: datetime) -> SetUp:
    """Create the tables and the one row, as far as they are missing; a set-up that was cut short is finished.

    Raises `Stop` when the database is of another version, or was made with a key that is not in the keyring.
    """
    revision = current_revision(database)
    if revision is None:
        upgrade(database)
    # An older database is not brought up here: that needs a backup first, and that is the business of `db upgrade`.
    unit = open_unit(database)
    with unit.write() as tx:
        new = installations.create(tx, now=now, key_fingerprint=key_fingerprint(keyring.current))
        if new:
            why = f"version {HEAD}"
            logs.add(tx, logs.LogEntry(at=now, who=who, what="db create", about="database", why=why))
    if not new:
        check_key(unit, keyring, who=who, now=now)
    return SetUp(new=new, revision=HEAD)


def refuse_foreign(database: Database) -> None:
    """Raise `Stop` when a database stands that was made with some key, before a new key is written down."""
    if current_revision(database) is None:
        return
    with open_unit(database).read() as tx:
        installation = installations.find(tx)
    if installation is not None:
        raise Stop(
            f"There is a database already, made with the secret key {installation.key_fingerprint}, and no .env that "
            "holds that key. Put the .env back that belongs to it; nothing was changed."
        )
