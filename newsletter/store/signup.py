"""Sign-ups: requests as pages take them, what was decided about each, and the wording that people agreed to.

In: a transaction. Out: requests as values. Each change of a row is a guarded update, so that any number of processes
decide about each request once. `core/signup.py` decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, delete, func, insert, or_, select, update

from newsletter.core.signup import Signup, SignupId, SignupMail
from newsletter.store.schema import signup, wording
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSignup:
    """A request, and how far it has come."""

    request: Signup
    decided_at: datetime | None
    mail: SignupMail | None
    why: str
    code_tries: int
    confirmed_at: datetime | None
    again_at: datetime | None = None
    """When the browser that asked wanted the mail once more."""


def _from_row(row: Row) -> StoredSignup:  # type: ignore[type-arg]
    request = Signup(
        id=SignupId(row.id),
        email=row.email,
        canonical=row.canonical,
        first_name=row.first_name,
        time_zone=row.time_zone,
        wording=row.wording,
        network=row.network,
        browser_hash=row.browser_hash,
        origin=row.origin,
        suspect=row.suspect,
        asked_at=row.asked_at,
    )
    return StoredSignup(
        request=request,
        decided_at=row.decided_at,
        mail=SignupMail(row.mail) if row.mail else None,
        why=row.why,
        code_tries=row.code_tries,
        confirmed_at=row.confirmed_at,
        again_at=row.again_at,
    )


def wording_hash(text: str, language: str) -> str:
    """Return the version of a wording: 16 hexadecimal digits that differ when a letter does."""
    return hashlib.sha256(f"{language}\n{text}".encode()).hexdigest()[:16]


def add_wording(tx: Tx, text: str, language: str, *, now: datetime) -> str:
    """Keep the sentence that people agree to, once; return its hash."""
    hashed = wording_hash(text, language)
    values = {"hash": hashed, "text": text, "language": language, "first_used_at": now}
    tx.execute(upsert(wording, tx.dialect.name).values(values).on_conflict_do_nothing())
    return hashed


def wording_text(tx: Tx, hashed: str) -> str:
    """Return the sentence of a hash; empty when there is none."""
    return tx.execute(select(wording.c.text).where(wording.c.hash == hashed)).scalar() or ""


def add(tx: Tx, request: Signup) -> SignupId:
    """Write a request; its id is given by the database."""
    values = {
        "email": request.email,
        "canonical": request.canonical,
        "first_name": request.first_name,
        "time_zone": request.time_zone,
        "wording": request.wording,
        "network": request.network,
        "browser_hash": request.browser_hash,
        "origin": request.origin,
        "suspect": request.suspect,
        "asked_at": request.asked_at,
        "due_at": request.asked_at,
    }
    return SignupId(tx.execute(insert(signup).values(values).returning(signup.c.id)).scalar_one())


def undecided(tx: Tx, *, now: datetime, limit: int) -> Sequence[Signup]:
    """Return the requests that are to be decided now, oldest first."""
    query = select(signup).where(signup.c.decided_at.is_(None), signup.c.due_at <= now)
    rows = tx.execute(query.order_by(signup.c.due_at, signup.c.id).limit(limit))
    return [_from_row(row).request for row in rows]


def by_id(tx: Tx, signup_id: SignupId, *, lock: bool = False) -> StoredSignup | None:
    """Return a request; with `lock` it stays as it is until the transaction ends."""
    query = select(signup).where(signup.c.id == signup_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _from_row(row)


def by_browser(tx: Tx, browser_hash: str) -> StoredSignup | None:
    """Return the last request of a browser, which stays as it is until the transaction ends."""
    query = select(signup).where(signup.c.browser_hash == browser_hash).order_by(signup.c.id.desc()).limit(1)
    row = tx.execute(query.with_for_update()).first()
    return None if row is None else _from_row(row)


def decide(tx: Tx, signup_id: SignupId, mail: SignupMail, *, why: str, now: datetime) -> bool:
    """Write the decision; tell whether this transaction was the first to make one."""
    undecided_row = (signup.c.id == signup_id, signup.c.decided_at.is_(None))
    result = tx.execute(update(signup).where(*undecided_row).values(mail=mail.value, why=why, decided_at=now))
    return result.rowcount == 1


def postpone(tx: Tx, signup_id: SignupId, *, until: datetime, why: str) -> None:
    """Leave a request undecided for a while."""
    tx.execute(
        update(signup).where(signup.c.id == signup_id, signup.c.decided_at.is_(None)).values(due_at=until, why=why)
    )


def ask_again(tx: Tx, signup_id: SignupId, *, now: datetime) -> None:
    """Write that the mail is wanted once more, unless that was written before."""
    tx.execute(update(signup).where(signup.c.id == signup_id, signup.c.again_at.is_(None)).values(again_at=now))


def repeats(tx: Tx, *, now: datetime, limit: int) -> Sequence[Signup]:
    """Return the requests whose mail is wanted once more, oldest first; the first mail was decided before."""
    open_row = (signup.c.again_at <= now, signup.c.again_decided_at.is_(None), signup.c.decided_at.is_not(None))
    rows = tx.execute(select(signup).where(*open_row).order_by(signup.c.again_at, signup.c.id).limit(limit))
    return [_from_row(row).request for row in rows]


def decide_again(tx: Tx, signup_id: SignupId, *, now: datetime) -> bool:
    """Write that the wish for a further mail is decided; tell whether this transaction was the first."""
    open_row = (signup.c.id == signup_id, signup.c.again_decided_at.is_(None))
    return tx.execute(update(signup).where(*open_row).values(again_decided_at=now)).rowcount == 1


def postpone_again(tx: Tx, signup_id: SignupId, *, until: datetime) -> None:
    """Leave the wish for a further mail undecided for a while."""
    tx.execute(update(signup).where(signup.c.id == signup_id).values(again_at=until))


def count_code_try(tx: Tx, signup_id: SignupId) -> None:
    """Count an attempt to type the code."""
    tx.execute(update(signup).where(signup.c.id == signup_id).values(code_tries=signup.c.code_tries + 1))


def confirm(tx: Tx, signup_id: SignupId, *, now: datetime) -> None:
    """Write that the person confirmed."""
    tx.execute(update(signup).where(signup.c.id == signup_id).values(confirmed_at=now))


def unwelcomed(tx: Tx, *, limit: int) -> Sequence[Signup]:
    """Return the confirmed requests whose person got no welcome yet, oldest first."""
    query = select(signup).where(signup.c.confirmed_at.is_not(None), signup.c.welcomed_at.is_(None))
    return [_from_row(row).request for row in tx.execute(query.order_by(signup.c.id).limit(limit))]


def welcome(tx: Tx, signup_id: SignupId, *, now: datetime) -> bool:
    """Write that the welcome is written; tell whether this transaction was the first."""
    unwelcomed_row = (signup.c.id == signup_id, signup.c.welcomed_at.is_(None))
    return tx.execute(update(signup).where(*unwelcomed_row).values(welcomed_at=now)).rowcount == 1


def of_addresses(tx: Tx, addresses: Collection[str]) -> Sequence[StoredSignup]:
    """Return the requests for any of these addresses, oldest first."""
    rows = tx.execute(select(signup).where(_of(addresses)).order_by(signup.c.id))
    return [_from_row(row) for row in rows]


def drop_addresses(tx: Tx, addresses: Collection[str]) -> None:
    """Delete the requests for these addresses: an erased person leaves none."""
    tx.execute(delete(signup).where(_of(addresses)))


def drop_before(tx: Tx, asked_before: datetime) -> int:
    """Delete old requests, confirmed or not: the consent of a person has its own record; return how many.

    At most some thousand a day: no more are taken while there is a flood.
    """
    return tx.execute(delete(signup).where(signup.c.asked_at < asked_before)).rowcount


def _of(addresses: Collection[str]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    folded = {address.lower() for address in addresses} | set(addresses)
    return or_(signup.c.canonical.in_(folded), func.lower(signup.c.email).in_(folded))
