"""The backlog writer: sends people the tips that they missed during a pause, one a week.

In: backlogs that are due. Out: rows of notices with the very message of the edition, made for the person. It runs once
a second beside the web pages; any number of writers send each missed tip once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.core.address import parse_address
from newsletter.core.message import Publication, Recipient, full_name, merge_fields
from newsletter.core.message_identity import MessageIdentity
from newsletter.core.notice import NoticeKey, NoticeKind, notice_message_id
from newsletter.core.subscriber import Subscriber, eligible
from newsletter.core.token import Keyring
from newsletter.errors import NewsletterError
from newsletter.operations.reader_mail import ReaderMail
from newsletter.render.mime import CompiledMessage
from newsletter.store import backlog as backlogs
from newsletter.store import subscriber as subscribers
from newsletter.store.backlog import Backlog, MissedEdition
from newsletter.store.unit import Unit

logger = logging.getLogger(__name__)

BACKLOGS_PER_PASS_MAX = 50
BACKLOG_EVERY = timedelta(weeks=1)


@dataclass(kw_only=True)
class BacklogWriter:
    """One per process that serves the pages."""

    unit: Unit
    publication: Publication
    keyring: Keyring

    def work(self, now: datetime) -> int:
        """Send what is due; return how many backlogs changed."""
        with self.unit.read() as tx:
            due = backlogs.due(tx, now=now, limit=BACKLOGS_PER_PASS_MAX)
        return sum(self._send(item, now) for item in due)

    def _send(self, item: Backlog, now: datetime) -> bool:
        with self.unit.read() as tx:
            person = subscribers.by_id(tx, item.subscriber_id)
            missed = backlogs.oldest_missed(tx, item)
        if person is None or missed is None or not eligible(person.state):
            with self.unit.write() as tx:
                backlogs.drop(tx, item.subscriber_id)
            return True
        mail = self._mail(person, missed, now)
        with self.unit.write() as tx:
            if not backlogs.advance(tx, item, since=missed.sends_at, next_at=now + BACKLOG_EVERY):
                return False
            if mail is not None:
                mail.queue(tx)
        return True

    def _mail(self, person: Subscriber, missed: MissedEdition, now: datetime) -> ReaderMail | None:
        address = parse_address(person.email).smtp
        key = NoticeKey(kind=NoticeKind.MISSED_TIP, about=str(missed.id), variant=str(person.id))
        identity = MessageIdentity(self.publication, self.keyring, missed.id, missed.nonce)
        domain = self.publication.from_email.rpartition("@")[2]
        recipient = Recipient(
            email=address,
            name=full_name(person),
            fields=merge_fields(person),
            unsubscribe_url=identity.unsubscribe_url(person.id),
            message_id=notice_message_id(key, address, now, domain),
            date=now,
        )
        try:
            message = CompiledMessage.from_json(missed.content).splice(recipient)
        except NewsletterError as error:
            logger.error("a missed tip is left out: %s", error)  # noqa: TRY400 - told in its own words
            return None
        return ReaderMail(key=key, recipient=address, message=message.decode("ascii"), written_at=now)
