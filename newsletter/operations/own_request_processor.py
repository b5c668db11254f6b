"""The processor of requests of readers about themselves: the private link, and a change of address.

In: requests as pages took them, and confirmed changes. Out: rows of notices, to the person's own address and to the
new one. It runs once a second beside the web pages; any number of processors answer each request once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from newsletter.core.address_change import AddressChange, decide_address_change
from newsletter.core.rate_limit import take
from newsletter.core.signup import SIGNUP_RULES, SignupLimit, SignupMail
from newsletter.core.subscriber import SubscriberState
from newsletter.operations.mail_limits import MailLimits, address_standing
from newsletter.operations.reader_mail import ReaderMailRenderer
from newsletter.operations.signup_texts import SignupLetters
from newsletter.store import address_change as address_changes
from newsletter.store import link_request as link_requests
from newsletter.store import subscriber as subscribers
from newsletter.store.link_request import LinkRequest
from newsletter.store.unit import Unit

REQUESTS_PER_PASS_MAX = 50


@dataclass(kw_only=True)
class OwnRequestProcessor:
    """One per process that serves the pages."""

    unit: Unit
    letters: SignupLetters
    renderer: ReaderMailRenderer

    def work(self, now: datetime) -> int:
        """Answer the waiting requests; return how many changed."""
        with self.unit.read() as tx:
            links = link_requests.undecided(tx, limit=REQUESTS_PER_PASS_MAX)
            changes = address_changes.undecided(tx, now=now, limit=REQUESTS_PER_PASS_MAX)
            confirmed = address_changes.untold(tx, limit=REQUESTS_PER_PASS_MAX)
        return (
            sum(self._send_link(asked, now) for asked in links)
            + sum(self._ask_at_new_address(change, now) for change in changes)
            + sum(self._tell_old_address(change, now) for change in confirmed)
        )

    def _send_link(self, asked: LinkRequest, now: datetime) -> bool:
        with self.unit.read() as tx:
            person = subscribers.by_id(tx, asked.subscriber_id)
        mail = None
        if person is not None and person.state is not SubscriberState.COMPLAINED:
            letter = self.letters.private_link(person, asked_at=asked.asked_at, now=now)
            mail = self.renderer.render(letter, about=asked.id, email=person.email, now=now)
        limits = MailLimits.of_person(self.letters.keyring, asked.subscriber_id)
        with self.unit.write() as tx:
            windows = limits.lock(tx, now=now)
            if not link_requests.decide(tx, asked.id, now=now) or mail is None:
                return False
            result = take(windows[SignupLimit.LINK], SIGNUP_RULES[SignupLimit.LINK], now=now)
            if not result.allowed:
                return False
            limits.save(tx, {SignupLimit.LINK: result.window}, now=now)
            return mail.queue(tx)

    def _ask_at_new_address(self, change: AddressChange, now: datetime) -> bool:
        with self.unit.read() as tx:
            person = subscribers.by_id(tx, change.subscriber_id)
        mail = None
        if person is not None:
            letter = self.letters.new_address(change, person, now=now)
            mail = self.renderer.render(letter, about=change.id, email=change.email, now=now)
        limits = MailLimits.of_address(self.letters.keyring, change.canonical)
        with self.unit.write() as tx:
            windows = limits.lock(tx, now=now)
            standing = address_standing(tx, self.letters.keyring, change.canonical)
            decision = decide_address_change(change, standing, windows, now=now)
            if decision.wait_until is not None:
                address_changes.postpone(tx, change.id, until=decision.wait_until, why=decision.why)
                return False
            if not address_changes.decide(tx, change.id, why=decision.why, now=now):
                return False
            limits.save(tx, decision.windows, now=now)
            if mail is not None and decision.mail is SignupMail.CONFIRM:
                mail.queue(tx)
        return True

    def _tell_old_address(self, change: AddressChange, now: datetime) -> bool:
        with self.unit.read() as tx:
            person = subscribers.by_id(tx, change.subscriber_id)
        mail = None
        if person is not None:
            letter = self.letters.address_changed(change, person)
            mail = self.renderer.render(letter, about=change.id, email=change.old_email, now=now)
        with self.unit.write() as tx:
            if not address_changes.tell(tx, change.id, now=now) or mail is None:
                return False
            return mail.queue(tx)
