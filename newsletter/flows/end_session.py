"""Ending sessions: signing out, and ending those of other browsers.

In: the session that asks and the one to end. Out: an ended session and a line in the log. Everybody may end their own
sessions, an admin those of others too, after a recent sign-in.
"""

from __future__ import annotations

from datetime import datetime

from newsletter.core.access import Role, Roster, Session, SessionId
from newsletter.errors import InputError
from newsletter.store import log
from newsletter.store import session as sessions
from newsletter.store.log import LogEntry
from newsletter.store.unit import Tx, Unit


def sign_out(unit: Unit, session: Session, roster: Roster, *, now: datetime) -> None:
    """End the session of the person who asks."""
    with unit.write() as tx:
        _end(tx, session, session, roster, now=now)


def end_session(
    unit: Unit, session_id: SessionId, *, by: Session, others: bool, roster: Roster, now: datetime
) -> Session:
    """End a session, and return it; `others` allows an admin to end one of another person.

    Raises `InputError` for one that the person may not end.
    """
    with unit.write() as tx:
        session = sessions.by_id(tx, session_id)
        allowed = others and roster.role(by.email) is Role.ADMIN
        if session is None or (session.email != by.email and not allowed):
            raise InputError("There is no such session of yours.")
        _end(tx, session, by, roster, now=now)
    return session


def end_other_sessions(unit: Unit, *, by: Session, roster: Roster, now: datetime) -> int:
    """End every session of the person but the one that asks; return how many."""
    with unit.write() as tx:
        others = [session for session in sessions.live(tx, email=by.email, now=now) if session.id != by.id]
        for session in others:
            _end(tx, session, by, roster, now=now)
    return len(others)


def _end(tx: Tx, session: Session, by: Session, roster: Roster, *, now: datetime) -> None:
    if not sessions.end(tx, session.id, now=now):
        return
    why = "" if session.email == by.email else f"session of {roster.name(session.email)}"
    entry = LogEntry(at=now, who=roster.name(by.email), what="admin sign-out", about=f"session {session.id}", why=why)
    log.add(tx, entry)
