"""Having the mail to confirm once more, at a press in the browser that asked.

In: a browser. Out: whether it has to wait. One row is changed, whatever became of the request: the answer tells nothing
about the address, and `operations/signup_processor.py` decides whether a mail goes out.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from newsletter.core.rate_limit import take
from newsletter.core.signup import REPEAT_AFTER, SIGNUP_RULES, SignupLimit
from newsletter.core.token import Keyring, limit_hash
from newsletter.store import rate_limit
from newsletter.store import signup as signups
from newsletter.store.unit import Unit


class AskedAgain(Enum):
    """What the page says."""

    DONE = "again_done"
    EARLY = "again_early"
    """A minute has not passed yet, or the network asked too often."""
    UNKNOWN = "no_code"
    """The browser did not ask, or its cookie is gone."""


def ask_again(unit: Unit, keyring: Keyring, browser_hash: str, *, network: str, now: datetime) -> AskedAgain:
    """Write that the last request of a browser wants its mail once more; a second wish changes nothing."""
    hashed = limit_hash(keyring, SignupLimit.NETWORK.value, network)
    rules = SIGNUP_RULES[SignupLimit.NETWORK]
    with unit.write() as tx:
        stored = signups.by_browser(tx, browser_hash)
        if stored is None:
            return AskedAgain.UNKNOWN
        if now < stored.request.asked_at + REPEAT_AFTER:
            return AskedAgain.EARLY
        result = take(rate_limit.lock(tx, (hashed,), now=now)[hashed], rules, now=now)
        if not result.allowed:
            return AskedAgain.EARLY
        rate_limit.save(tx, {hashed: result.window}, span=max(rule.span for rule in rules), now=now)
        signups.ask_again(tx, stored.request.id, now=now)
    return AskedAgain.DONE
