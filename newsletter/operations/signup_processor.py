"""The sign-up processor: decides about requests, and writes the mails that follow from them.

In: requests as pages took them, and confirmations. Out: a decision for each, rows of notices, and an alert while too
many requests come in. It runs once a second beside the web pages; any number of processors decide each request once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from jinja2 import Environment

from newsletter.core.address import parse_address
from newsletter.core.alert import AlertKind
from newsletter.core.notice import NoticeKey, notice_message_id
from newsletter.core.rate_limit import take
from newsletter.core.signup import SIGNUP_RULES, Signup, SignupDecision, SignupLimit, SignupMail, decide_signup
from newsletter.core.subscriber import Subscriber, SubscriberState
from newsletter.core.token import limit_hash
from newsletter.errors import InputError
from newsletter.flows.alert import report, settle_alert
from newsletter.flows.ask_to_subscribe import is_flooded
from newsletter.flows.next_issue import next_issue_at
from newsletter.operations.signup_texts import SignupLetters
from newsletter.render.notice import NoticeBody, Stamp, compose, compose_plainly
from newsletter.store import alert as alerts
from newsletter.store import link_request as link_requests
from newsletter.store import notice as notices
from newsletter.store import rate_limit
from newsletter.store import signup as signups
from newsletter.store import subscriber as subscribers
from newsletter.store.alert import Alert
from newsletter.store.link_request import LinkRequest
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
    templates: Environment
    _passes: int = 0

    def work(self, now: datetime) -> int:
        """Decide what waits and welcome who confirmed; return how many requests changed."""
        with self.unit.read() as tx:
            waiting = signups.undecided(tx, now=now, limit=SIGNUPS_PER_PASS_MAX)
            confirmed = signups.unwelcomed(tx, limit=SIGNUPS_PER_PASS_MAX)
            asked_links = link_requests.undecided(tx, limit=SIGNUPS_PER_PASS_MAX)
        # Nearly every pass finds nothing to do; the other questions would double what it costs.
        if waiting or self._passes % PASSES_PER_FLOOD_CHECK == 0:
            self._check_flood(now)
        self._passes += 1
        changed = 0
        for request in waiting:
            with self.unit.write() as tx:
                changed += self._decide(tx, request, now)
        for request in confirmed:
            with self.unit.write() as tx:
                changed += self._welcome(tx, request, now)
        for asked in asked_links:
            with self.unit.write() as tx:
                changed += self._send_link(tx, asked, now)
        return changed

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

    def _decide(self, tx: Tx, request: Signup, now: datetime) -> bool:
        keys = self._keys(request)
        locked = rate_limit.lock(tx, list(keys.values()), now=now)
        windows = {limit: locked[hashed] for limit, hashed in keys.items()}
        person = subscribers.by_canonical(tx, request.canonical)
        decision = decide_signup(request, person.state if person else None, windows, now=now)
        if decision.wait_until is not None:
            signups.postpone(tx, request.id, until=decision.wait_until, why=decision.why)
            return False
        if not signups.decide(tx, request.id, decision.mail, why=decision.why, now=now):
            return False
        for limit, window in decision.windows.items():
            rate_limit.save(tx, {keys[limit]: window}, span=_span(limit), now=now)
        self._write_decision(tx, request, person, decision, now)
        return True

    def _write_decision(
        self, tx: Tx, request: Signup, person: Subscriber | None, decision: SignupDecision, now: datetime
    ) -> None:
        if decision.mail is SignupMail.CONFIRM:
            self._write(tx, self.letters.confirm(request, now=now), about=request.id, email=request.email, now=now)
        elif decision.mail is SignupMail.ALREADY and person is not None:
            next_at = next_issue_at(tx, self.letters.cadence, person.time_zone, now=now)
            letter = self.letters.already(request, person, next_at)
            self._write(tx, letter, about=request.id, email=person.email, now=now)

    def _welcome(self, tx: Tx, request: Signup, now: datetime) -> bool:
        person = subscribers.by_canonical(tx, request.canonical)
        if not signups.welcome(tx, request.id, now=now) or person is None:
            return False
        next_at = next_issue_at(tx, self.letters.cadence, person.time_zone, now=now)
        letter = self.letters.welcome(request, person, next_at)
        self._write(tx, letter, about=request.id, email=person.email, now=now)
        return True

    def _send_link(self, tx: Tx, asked: LinkRequest, now: datetime) -> bool:
        hashed = limit_hash(self.letters.keyring, SignupLimit.LINK.value, str(asked.subscriber_id))
        window = rate_limit.lock(tx, (hashed,), now=now)[hashed]
        person = subscribers.by_id(tx, asked.subscriber_id)
        if not link_requests.decide(tx, asked.id, now=now) or person is None:
            return False
        result = take(window, SIGNUP_RULES[SignupLimit.LINK], now=now)
        if not result.allowed or person.state is SubscriberState.COMPLAINED:
            return False
        rate_limit.save(tx, {hashed: result.window}, span=_span(SignupLimit.LINK), now=now)
        letter = self.letters.private_link(person, asked_at=asked.asked_at, now=now)
        self._write(tx, letter, about=asked.id, email=person.email, now=now)
        return True

    def _write(self, tx: Tx, letter: NoticeBody, *, about: int, email: str, now: datetime) -> None:
        publication = self.letters.publication
        key = NoticeKey(kind=letter.kind, about=str(about))
        domain = publication.from_email.rpartition("@")[2]
        recipient = parse_address(email).smtp
        stamp = Stamp(to=recipient, message_id=notice_message_id(key, recipient, now, domain), date=now)
        try:
            message = compose(letter, publication, self.templates, stamp)
        except InputError as error:
            logger.error("a mail to a reader goes out as plain text: %s", error)  # noqa: TRY400 - told in its own words
            message = compose_plainly(letter, publication, stamp)
        notices.add(tx, key, recipient=recipient, message=message, now=now)

    def _keys(self, request: Signup) -> dict[SignupLimit, str]:
        """Return where each limit of a request counts."""
        values = {
            SignupLimit.VICTIM: request.canonical,
            SignupLimit.REMINDER: request.canonical,
            SignupLimit.DOMAIN: request.canonical.rpartition("@")[2],
            SignupLimit.ALL: "",
        }
        return {limit: limit_hash(self.letters.keyring, limit.value, value) for limit, value in values.items()}


def _span(limit: SignupLimit) -> timedelta:
    return max(rule.span for rule in SIGNUP_RULES[limit])
