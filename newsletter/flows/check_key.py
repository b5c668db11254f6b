"""The secret key and the database belong together: opt-out links, bounce addresses and suppression hashes need it.

In: the keys of the settings. Out: nothing, or a `Stop` that says what to put back. A key that was changed on purpose,
its former one kept among the old ones, becomes the database's own.
"""

from __future__ import annotations

import logging
from datetime import datetime
from enum import StrEnum

from newsletter.core.token import Keyring, key_fingerprint
from newsletter.errors import Stop
from newsletter.store import installation as installations
from newsletter.store import log as logs
from newsletter.store.unit import Unit

logger = logging.getLogger(__name__)


class KeyStanding(StrEnum):
    """How the present key stands to the one that the database knows."""

    KNOWN = "known"
    CHANGED = "changed"
    """Another one, and the one the database knows is among the old keys."""
    UNKNOWN = "unknown"


def key_standing(stored: str, keyring: Keyring) -> KeyStanding:
    """Compare a stored fingerprint with the keys of the settings."""
    if stored == key_fingerprint(keyring.current):
        return KeyStanding.KNOWN
    old = {key_fingerprint(key) for key in keyring.old}
    return KeyStanding.CHANGED if stored in old else KeyStanding.UNKNOWN


def check_key(unit: Unit, keyring: Keyring, *, who: str, now: datetime) -> None:
    """Raise `Stop` for a key that the database does not know; take over one that was changed on purpose."""
    with unit.read() as tx:
        installation = installations.find(tx)
    if installation is None:
        raise Stop("The database was never finished; run `newsletter init`.")
    standing = key_standing(installation.key_fingerprint, keyring)
    if standing is KeyStanding.UNKNOWN:
        raise Stop(unknown_key(installation.key_fingerprint, keyring))
    if standing is KeyStanding.CHANGED:
        fresh = key_fingerprint(keyring.current)
        with unit.write() as tx:
            if not installations.change_key(tx, was=installation.key_fingerprint, to=fresh):
                return
            why = f"key {fresh} takes the place of {installation.key_fingerprint}, which stays valid for old links"
            logs.add(tx, logs.LogEntry(at=now, who=who, what="key change", about="NEWSLETTER_SECRET_KEY", why=why))
        logger.warning("the secret key was changed: %s", why)


def unknown_key(stored: str, keyring: Keyring) -> str:
    """Say in one sentence what is wrong with the key and what to do."""
    return (
        f"The database was made with another secret key ({stored}; NEWSLETTER_SECRET_KEY is "
        f"{key_fingerprint(keyring.current)}). Put the former key back, or, to change it, list the former one in "
        "NEWSLETTER_SECRET_KEYS_OLD: without it no opt-out link in an old mail would work."
    )
