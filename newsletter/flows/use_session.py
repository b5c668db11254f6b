"""Using a session: what each page of the admin area begins with, and the sentence that the next page shows.

In: the hash of a cookie. Out: the session, whose last use is written once a minute: the only thing that opening a page
changes.
"""

from __future__ import annotations

from datetime import datetime

from newsletter.core.access import SESSION_SEEN_STEP, Flash, Session, SessionId, is_live
from newsletter.store import session as sessions
from newsletter.store.unit import Unit


def use_session(unit: Unit, hashed: str, *, now: datetime) -> Session | None:
    """Return the session of a cookie, ended or not, and write that it is in use."""
    with unit.read() as tx:
        session = sessions.by_hash(tx, hashed)
    if session is not None and is_live(session, now=now) and now - session.seen_at >= SESSION_SEEN_STEP:
        with unit.write() as tx:
            sessions.record_seen(tx, session.id, now=now)
    return session


def keep_flash(unit: Unit, session_id: SessionId, flash: Flash) -> None:
    """Keep the sentence about the last change until the next one."""
    with unit.write() as tx:
        sessions.keep_flash(tx, session_id, flash)
