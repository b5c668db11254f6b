"""The sign-in processor: decides about requests to sign in, and tells people of new browsers.

In: requests as the page took them, and sessions. Out: a decision for each, and rows of notices. It runs once a second
beside the web pages, so that the page does the same work for an address that may sign in and for any other.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from newsletter.core.access import SIGN_IN_RULES, Roster, Session, SignIn, SignInLimit, is_open
from newsletter.core.rate_limit import take
from newsletter.core.token import limit_hash
from newsletter.operations.reader_mail import ReaderMailRenderer
from newsletter.operations.sign_in_texts import SignInLetters
from newsletter.store import rate_limit
from newsletter.store import session as sessions
from newsletter.store import sign_in as sign_ins
from newsletter.store.unit import Tx, Unit
from newsletter.wording import plural

logger = logging.getLogger(__name__)

SIGN_INS_PER_PASS_MAX = 20


@dataclass(kw_only=True)
class SignInProcessor:
    """One per process that serves the pages."""

    unit: Unit
    letters: SignInLetters
    renderer: ReaderMailRenderer
    roster: Roster
    _removed_ended: bool = False

    def work(self, now: datetime) -> int:
        """Decide about what waits; return how many mails were written."""
        if not self._removed_ended:
            self._end_removed(now)
        with self.unit.read() as tx:
            waiting = sign_ins.undecided(tx, limit=SIGN_INS_PER_PASS_MAX)
            unannounced = sessions.unannounced(tx, limit=SIGN_INS_PER_PASS_MAX)
        decided = sum(self._decide(request, now) for request in waiting)
        return decided + sum(self._announce(session, now) for session in unannounced)

    def _end_removed(self, now: datetime) -> None:
        """End the sessions of addresses that left the settings, so that they stay ended when one comes back."""
        with self.unit.write() as tx:
            count = sessions.end_others(tx, [*self.roster.admins, *self.roster.editors], now=now)
        if count:
            logger.info("%s of addresses that the settings no longer name ended", plural(count, "session"))
        self._removed_ended = True

    def _decide(self, request: SignIn, now: datetime) -> bool:
        mail = None
        if self.roster.role(request.email) is not None and is_open(request, now=now):
            mail = self.renderer.render(self.letters.sign_in(request), about=request.id, email=request.email, now=now)
        with self.unit.write() as tx:
            mailed = mail is not None and self._within_limits(tx, request, now)
            if not sign_ins.decide(tx, request.id, mailed=mailed, now=now) or mail is None or not mailed:
                return False
            return mail.queue(tx)

    def _within_limits(self, tx: Tx, request: SignIn, now: datetime) -> bool:
        values = {
            SignInLimit.ADDRESS: f"{request.email} {request.network}",
            SignInLimit.EVERYWHERE: request.email,
        }
        hashes = {limit: limit_hash(self.letters.keyring, limit.value, value) for limit, value in values.items()}
        windows = rate_limit.lock(tx, list(hashes.values()), now=now)
        results = {limit: take(windows[hashed], (SIGN_IN_RULES[limit],), now=now) for limit, hashed in hashes.items()}
        if not all(result.allowed for result in results.values()):
            logger.warning("sign-in %s: refused, too many mails to this address within an hour", request.id)
            return False
        for limit, result in results.items():
            rate_limit.save(tx, {hashes[limit]: result.window}, span=SIGN_IN_RULES[limit].span, now=now)
        return True

    def _announce(self, session: Session, now: datetime) -> bool:
        letter = self.letters.new_browser(session)
        mail = self.renderer.render(letter, about=session.id, email=session.email, now=now)
        with self.unit.write() as tx:
            if not sessions.announce(tx, session.id, now=now) or self.roster.role(session.email) is None:
                return False
            return mail.queue(tx)
