"""Sessions of people who signed in to the admin area, by the hash of the cookie.

In: a transaction. Out: sessions as values. An ended session stays for a while, so that its browser is a known one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Row, delete, exists, insert, select, update

from newsletter.core.access import SESSION_IDLE_MAX, SESSION_LIFE_MAX, Flash, Session, SessionId, SignInMethod
from newsletter.store.schema import session
from newsletter.store.unit import Tx


def _from_row(row: Row) -> Session:  # type: ignore[type-arg]
    return Session(
        id=SessionId(row.id),
        email=row.email,
        method=SignInMethod(row.method),
        browser=row.browser,
        network=row.network,
        created_at=row.created_at,
        seen_at=row.seen_at,
        confirmed_at=row.confirmed_at,
        ended_at=row.ended_at,
        flash=Flash(**row.flash) if row.flash else None,
    )


def add(
    tx: Tx,
    hashed: str,
    *,
    email: str,
    method: SignInMethod,
    browser: str,
    browser_hash: str,
    network: str,
    now: datetime,
) -> SessionId:
    """Write a new session; the mail about a new browser is owed unless the browser is known."""
    known = is_known_browser(tx, email, browser_hash)
    values = {
        "hash": hashed,
        "email": email,
        "method": method.value,
        "browser": browser,
        "browser_hash": browser_hash,
        "network": network,
        "created_at": now,
        "seen_at": now,
        "confirmed_at": now,
        "announced_at": now if known else None,
    }
    return SessionId(tx.execute(insert(session).values(values).returning(session.c.id)).scalar_one())


def is_known_browser(tx: Tx, email: str, browser_hash: str) -> bool:
    """Tell whether a person signed in from this browser before."""
    earlier = exists().where(session.c.email == email, session.c.browser_hash == browser_hash)
    return bool(tx.execute(select(earlier)).scalar_one())


def by_hash(tx: Tx, hashed: str) -> Session | None:
    """Return the session of a cookie, ended or not."""
    row = tx.execute(select(session).where(session.c.hash == hashed)).first()
    return None if row is None else _from_row(row)


def by_id(tx: Tx, session_id: SessionId) -> Session | None:
    """Return a session, ended or not."""
    row = tx.execute(select(session).where(session.c.id == session_id)).first()
    return None if row is None else _from_row(row)


def live(tx: Tx, *, email: str = "", now: datetime) -> Sequence[Session]:
    """Return the sessions that last, of one person or of everybody, the last used first."""
    query = select(session).where(
        session.c.ended_at.is_(None),
        session.c.seen_at > now - SESSION_IDLE_MAX,
        session.c.created_at > now - SESSION_LIFE_MAX,
    )
    if email:
        query = query.where(session.c.email == email)
    return [_from_row(row) for row in tx.execute(query.order_by(session.c.seen_at.desc(), session.c.id.desc()))]


def record_seen(tx: Tx, session_id: SessionId, *, now: datetime) -> None:
    """Write the time of the last request."""
    later = (session.c.id == session_id, session.c.seen_at < now)
    tx.execute(update(session).where(*later).values(seen_at=now))


def keep_flash(tx: Tx, session_id: SessionId, flash: Flash) -> None:
    """Keep the sentence about the last change, in place of the one before."""
    values = {
        "text": flash.text,
        "trouble": flash.trouble,
        "undo_path": flash.undo_path,
        "undo_fields": dict(flash.undo_fields),
    }
    tx.execute(update(session).where(session.c.id == session_id).values(flash=values))


def end(tx: Tx, session_id: SessionId, *, now: datetime) -> bool:
    """End a session; tell whether this transaction did."""
    lasting = (session.c.id == session_id, session.c.ended_at.is_(None))
    return tx.execute(update(session).where(*lasting).values(ended_at=now)).rowcount == 1


def end_others(tx: Tx, emails: Collection[str], *, now: datetime) -> int:
    """End the sessions of everybody but these addresses; return how many."""
    others = (session.c.ended_at.is_(None), session.c.email.not_in(emails))
    return tx.execute(update(session).where(*others).values(ended_at=now)).rowcount


def unannounced(tx: Tx, *, limit: int) -> Sequence[Session]:
    """Return the sessions from new browsers about which no mail was written yet, oldest first."""
    query = select(session).where(session.c.announced_at.is_(None)).order_by(session.c.id).limit(limit)
    return [_from_row(row) for row in tx.execute(query)]


def announce(tx: Tx, session_id: SessionId, *, now: datetime) -> bool:
    """Write that the mail about a new browser is written; tell whether this transaction was the first."""
    owed = (session.c.id == session_id, session.c.announced_at.is_(None))
    return tx.execute(update(session).where(*owed).values(announced_at=now)).rowcount == 1


def drop_before(tx: Tx, seen_before: datetime) -> int:
    """Delete sessions that were not used for long; return how many."""
    return tx.execute(delete(session).where(session.c.seen_at < seen_before)).rowcount
