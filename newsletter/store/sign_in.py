"""Requests to sign in: written by a page or at the terminal, decided beside the pages, used once.

In: a transaction. Out: requests as values. Each change of a row is a guarded update. `core/access.py` decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Row, delete, insert, select, update

from newsletter.core.access import SignIn, SignInId, SignInOrigin
from newsletter.store.schema import sign_in
from newsletter.store.unit import Tx


def _from_row(row: Row) -> SignIn:  # type: ignore[type-arg]
    return SignIn(
        id=SignInId(row.id),
        email=row.email,
        origin=SignInOrigin(row.origin),
        browser_hash=row.browser_hash,
        browser=row.browser,
        network=row.network,
        back=row.back,
        asked_at=row.asked_at,
        mailed=row.mailed,
        code_tries=row.code_tries,
        used_at=row.used_at,
    )


def add(tx: Tx, request: SignIn, *, decided_at: datetime | None = None) -> SignInId:
    """Write a request; its id is given by the database."""
    values = {
        "email": request.email,
        "origin": request.origin.value,
        "browser_hash": request.browser_hash,
        "browser": request.browser,
        "network": request.network,
        "back": request.back,
        "asked_at": request.asked_at,
        "decided_at": decided_at,
    }
    return SignInId(tx.execute(insert(sign_in).values(values).returning(sign_in.c.id)).scalar_one())


def undecided(tx: Tx, *, limit: int) -> Sequence[SignIn]:
    """Return the requests about which nothing was decided yet, oldest first."""
    query = select(sign_in).where(sign_in.c.decided_at.is_(None)).order_by(sign_in.c.id).limit(limit)
    return [_from_row(row) for row in tx.execute(query)]


def decide(tx: Tx, sign_in_id: SignInId, *, mailed: bool, now: datetime) -> bool:
    """Write whether a mail goes out; tell whether this transaction was the first to decide."""
    undecided_row = (sign_in.c.id == sign_in_id, sign_in.c.decided_at.is_(None))
    return tx.execute(update(sign_in).where(*undecided_row).values(mailed=mailed, decided_at=now)).rowcount == 1


def by_id(tx: Tx, sign_in_id: SignInId) -> SignIn | None:
    """Return a request."""
    row = tx.execute(select(sign_in).where(sign_in.c.id == sign_in_id)).first()
    return None if row is None else _from_row(row)


def by_browser(tx: Tx, browser_hash: str, *, lock: bool = False) -> SignIn | None:
    """Return the last request of a browser; with `lock` it stays as it is until the transaction ends."""
    query = select(sign_in).where(sign_in.c.browser_hash == browser_hash).order_by(sign_in.c.id.desc()).limit(1)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _from_row(row)


def count_code_try(tx: Tx, sign_in_id: SignInId) -> None:
    """Count an attempt to type the code."""
    tx.execute(update(sign_in).where(sign_in.c.id == sign_in_id).values(code_tries=sign_in.c.code_tries + 1))


def use(tx: Tx, sign_in_id: SignInId, *, now: datetime) -> bool:
    """Write that a request was used; tell whether this transaction was the first to use it."""
    unused = (sign_in.c.id == sign_in_id, sign_in.c.used_at.is_(None))
    return tx.execute(update(sign_in).where(*unused).values(used_at=now)).rowcount == 1


def drop_before(tx: Tx, asked_before: datetime) -> int:
    """Delete old requests; return how many."""
    return tx.execute(delete(sign_in).where(sign_in.c.asked_at < asked_before)).rowcount
