"""A mail to a reader who asked for something: rendered first, and written as a notice in the transaction that decides.

In: a letter and an address. Out: a row of the notices. Rendering takes tens of milliseconds, mostly to inline the
styles, and SQLite has one writer at a time: so no mail is rendered inside a transaction.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from jinja2 import Environment

from newsletter.core.address import parse_address
from newsletter.core.message import Publication
from newsletter.core.notice import NoticeKey, notice_message_id
from newsletter.errors import InputError
from newsletter.render.notice import NoticeBody, Stamp, compose, compose_plainly
from newsletter.store import notice as notices
from newsletter.store.unit import Tx

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderMail:
    """A finished mail that is not in the database yet."""

    key: NoticeKey
    recipient: str
    message: str
    written_at: datetime

    def queue(self, tx: Tx) -> bool:
        """Write it as a notice unless it was written before; tell whether it is new."""
        return notices.add(tx, self.key, recipient=self.recipient, message=self.message, now=self.written_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderMailRenderer:
    """Makes mails of letters."""

    publication: Publication
    templates: Environment

    def render(self, letter: NoticeBody, *, about: int, email: str, now: datetime, variant: str = "") -> ReaderMail:
        """Render a mail; a template that is wrong costs the layout, not the mail."""
        key = NoticeKey(kind=letter.kind, about=str(about), variant=variant)
        domain = self.publication.from_email.rpartition("@")[2]
        recipient = parse_address(email).smtp
        stamp = Stamp(to=recipient, message_id=notice_message_id(key, recipient, now, domain), date=now)
        try:
            message = compose(letter, self.publication, self.templates, stamp)
        except InputError as error:
            logger.error("a mail to a reader goes out as plain text: %s", error)  # noqa: TRY400 - the error is a sentence
            message = compose_plainly(letter, self.publication, stamp)
        return ReaderMail(key=key, recipient=recipient, message=message, written_at=now)
