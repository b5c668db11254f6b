"""The mails of a mailbox that were judged, by number: each is judged once, whatever happens before it is moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update

from newsletter.core.evidence import MailVerdict
from newsletter.store.schema import mailbox_mail
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFolder:
    """A folder of a mailbox; a new validity means that its numbers are new ones (RFC 3501 §2.3.1.1)."""

    name: str
    validity: int


def verdicts(tx: Tx, folder: MailFolder, uids: Sequence[int]) -> Mapping[int, MailVerdict]:
    """Return what was judged of these mails."""
    query = select(mailbox_mail.c.uid, mailbox_mail.c.verdict).where(
        mailbox_mail.c.mailbox == folder.name,
        mailbox_mail.c.validity == folder.validity,
        mailbox_mail.c.uid.in_(uids),
    )
    return {row.uid: MailVerdict(row.verdict) for row in tx.execute(query)}


def reserve(tx: Tx, folder: MailFolder, uids: Sequence[int], *, now: datetime) -> Sequence[int]:
    """Reserve mails for the transaction that judges them, as unknown; return those that were not judged before.

    On PostgreSQL a second process with the same mails waits here until the first has committed.
    """
    rows = [
        {
            "mailbox": folder.name,
            "validity": folder.validity,
            "uid": uid,
            "verdict": MailVerdict.UNKNOWN.value,
            "at": now,
        }
        for uid in sorted(uids)
    ]
    new = upsert(mailbox_mail, tx.dialect.name).values(rows).on_conflict_do_nothing()
    return sorted(tx.execute(new.returning(mailbox_mail.c.uid)).scalars()) if rows else []


def mark_read(tx: Tx, folder: MailFolder, uids: Sequence[int]) -> None:
    """Write that these mails were understood."""
    tx.execute(
        update(mailbox_mail)
        .where(
            mailbox_mail.c.mailbox == folder.name,
            mailbox_mail.c.validity == folder.validity,
            mailbox_mail.c.uid.in_(uids),
        )
        .values(verdict=MailVerdict.READ.value)
    )


def forget_before(tx: Tx, before: datetime) -> int:
    """Forget what was moved long ago; return of how many mails."""
    return tx.execute(delete(mailbox_mail).where(mailbox_mail.c.at < before)).rowcount
