"""The sign-up processor: decides about requests, and writes the mails that follow from them.

In: requests as pages took them, and confirmations. Out: a decision for each, rows of notices, and an alert while too
many requests come in. It runs once a second beside the web pages; any number of processors decide each request once.
A mail is rendered before the transaction that decides: see `operations/reader_mail.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from newsletter.core.alert import AlertKind
from newsletter.core.rate_limit import Window
from newsletter.core.signup import (
    Signup,
    SignupDecision,
    SignupLimit,
    SignupMail,
    decide_repeat,
    decide_signup,
)
from newsletter.core.subscriber import Subscriber
from newsletter.flows.alert import report, settle_alert
from newsletter.flows.ask_to_subscribe import is_flooded
from newsletter.flows.next_issue import next_issue_at
from newsletter.operations.mail_limits import MailLimits, address_standing
from newsletter.operations.reader_mail import ReaderMail, ReaderMailRenderer
from newsletter.operations.signup_texts import WELCOME_TIPS_COUNT, SignupLetters
from newsletter.store import alert as alerts
from newsletter.store import page_list
from newsletter.store import signup as signups
from newsletter.store import subscriber as subscribers
from newsletter.store.alert import Alert
from newsletter.store.unit import Tx, Unit

logger = logging.getLogger(__name__)

SIGNUPS_PER_PASS_MAX = 50
PASSES_PER_FLOOD_CHECK = 10
FLOOD_ABOUT = "sign-ups"
FLOOD_MESSAGE = (
    "More than 300 sign-ups came within an hour. Until that is over each one must come with a solved puzzle, which "
    "browsers do by themselves; mails to confirm stay at 300 an hour."
)


@dataclass(kw_only=True)
class SignupProcessor:
    """One per process that serves the pages."""

    unit: Unit
    letters: SignupLetters
    renderer: ReaderMailRenderer
    _passes: int = 0

    def work(self, now: datetime) -> int:
        """Decide about waiting requests and welcome confirmed readers; return how many requests changed."""
        with self.unit.read() as tx:
            waiting = signups.undecided(tx, now=now, limit=SIGNUPS_PER_PASS_MAX)
            confirmed = signups.unwelcomed(tx, limit=SIGNUPS_PER_PASS_MAX)
            repeats = signups.repeats(tx, now=now, limit=SIGNUPS_PER_PASS_MAX)
        # Nearly every pass finds nothing to do; the other questions would double what it costs.
        if waiting or self._passes % PASSES_PER_FLOOD_CHECK == 0:
            self._check_flood(now)
        self._passes += 1
        return (
            sum(self._decide(request, now) for request in waiting)
            + sum(self._welcome(request, now) for request in confirmed)
            + sum(self._repeat(request, now) for request in repeats)
        )

    def _check_flood(self, now: datetime) -> None:
        with self.unit.read() as tx:
            flooded = is_flooded(tx, self.letters.keyring, now=now)
            alerted = any(alert.kind is AlertKind.SIGNUP_FLOOD for alert in alerts.open_alerts(tx))
        if flooded == alerted:
            return
        with self.unit.write() as tx:
            if flooded:
                alert = Alert(kind=AlertKind.SIGNUP_FLOOD, about=FLOOD_ABOUT, message=FLOOD_MESSAGE, raised_at=now)
                report(tx, alert)
            else:
                settle_alert(tx, AlertKind.SIGNUP_FLOOD, FLOOD_ABOUT, now=now)

    def _decide(self, request: Signup, now: datetime) -> bool:
        limits = MailLimits.of_address(self.letters.keyring, request.canonical)
        with self.unit.read() as tx:
            expected, person = self._judge(tx, request, limits.load(tx), now)
            next_at = next_issue_at(tx, self.letters.cadence, person.time_zone if person else "", now=now)
        mail = self._mail(request, expected, person, next_at, now)
        with self.unit.write() as tx:
            decision, person = self._judge(tx, request, limits.lock(tx, now=now), now)
            if decision.wait_until is not None:
                signups.postpone(tx, request.id, until=decision.wait_until, why=decision.why)
                return False
            # Something changed since the mail was rendered: the next pass renders another one.
            if decision.mail is not expected.mail:
                return False
            if not signups.decide(tx, request.id, decision.mail, why=decision.why, now=now):
                return False
            limits.save(tx, decision.windows, now=now)
            if mail is not None:
                mail.queue(tx)
        return True

    def _judge(
        self, tx: Tx, request: Signup, windows: Mapping[SignupLimit, Window], now: datetime
    ) -> tuple[SignupDecision, Subscriber | None]:
        person = subscribers.by_canonical(tx, request.canonical)
        standing = address_standing(tx, self.letters.keyring, request.canonical)
        return decide_signup(request, standing, windows, now=now), person

    def _mail(
        self, request: Signup, decision: SignupDecision, person: Subscriber | None, next_at: datetime, now: datetime
    ) -> ReaderMail | None:
        if decision.mail is SignupMail.CONFIRM:
            letter = self.letters.confirm(request, now=now)
            return self.renderer.render(letter, about=request.id, email=request.email, now=now)
        if decision.mail is SignupMail.ALREADY and person is not None:
            letter = self.letters.already(request, person, next_at)
            return self.renderer.render(letter, about=request.id, email=person.email, now=now)
        return None

    def _repeat(self, request: Signup, now: datetime) -> bool:
        mail = self.renderer.render(
            self.letters.confirm(request, now=now), about=request.id, email=request.email, now=now, variant="again"
        )
        keyring = self.letters.keyring
        limits = MailLimits.of_address(keyring, request.canonical)
        with self.unit.write() as tx:
            windows, standing = limits.lock(tx, now=now), address_standing(tx, keyring, request.canonical)
            decision = decide_repeat(request, standing, windows, now=now)
            if decision.wait_until is not None:
                signups.postpone_again(tx, request.id, until=decision.wait_until)
                return False
            if not signups.decide_again(tx, request.id, now=now):
                return False
            limits.save(tx, decision.windows, now=now)
            if decision.mail is SignupMail.CONFIRM:
                mail.queue(tx)
        return True

    def _welcome(self, request: Signup, now: datetime) -> bool:
        with self.unit.read() as tx:
            person = subscribers.by_canonical(tx, request.canonical)
            next_at = next_issue_at(tx, self.letters.cadence, person.time_zone if person else "", now=now)
            latest = page_list.newest(tx, count=WELCOME_TIPS_COUNT)
        mail = None
        if person is not None:
            letter = self.letters.welcome(request, person, next_at, latest)
            mail = self.renderer.render(letter, about=request.id, email=person.email, now=now)
        with self.unit.write() as tx:
            if not signups.welcome(tx, request.id, now=now) or mail is None:
                return False
            return mail.queue(tx)
