"""The limits of the mails that pages cause, as they are stored: one window for each limit, by a keyed hash.

In: an address. Out: the windows that count for it, read or locked, and written back. `core/signup.py` decides what they
allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from newsletter.core.rate_limit import Window
from newsletter.core.signup import SIGNUP_RULES, AddressStanding, SignupLimit
from newsletter.core.token import Keyring, limit_hash, suppression_hashes
from newsletter.store import rate_limit
from newsletter.store import subscriber as subscribers
from newsletter.store.unit import Tx


def address_standing(tx: Tx, keyring: Keyring, canonical: str) -> AddressStanding:
    """Return what is known of an address to which a page is about to cause a mail."""
    person = subscribers.by_canonical(tx, canonical)
    reason = subscribers.suppression_reason(tx, suppression_hashes(keyring, canonical))
    return AddressStanding(state=person.state if person else None, blocked=reason == subscribers.BLOCKED_BY_OWNER)


@dataclass(frozen=True, slots=True)
class MailLimits:
    """Where each limit counts."""

    hashes: Mapping[SignupLimit, str]

    @classmethod
    def of_address(cls, keyring: Keyring, canonical: str) -> MailLimits:
        """Return the limits of mails to an address."""
        values = {
            SignupLimit.VICTIM: canonical,
            SignupLimit.REMINDER: canonical,
            SignupLimit.REPEAT: canonical,
            SignupLimit.DOMAIN: canonical.rpartition("@")[2],
            SignupLimit.ALL: "",
        }
        return cls({limit: limit_hash(keyring, limit.value, value) for limit, value in values.items()})

    @classmethod
    def of_person(cls, keyring: Keyring, subscriber_id: int) -> MailLimits:
        """Return the limit of private links to a person."""
        return cls({SignupLimit.LINK: limit_hash(keyring, SignupLimit.LINK.value, str(subscriber_id))})

    def load(self, tx: Tx) -> Mapping[SignupLimit, Window]:
        """Return the windows as they are."""
        windows = rate_limit.load(tx, list(self.hashes.values()))
        return {limit: windows[hashed] for limit, hashed in self.hashes.items()}

    def lock(self, tx: Tx, *, now: datetime) -> Mapping[SignupLimit, Window]:
        """Return the windows, which stay as they are until the transaction ends."""
        windows = rate_limit.lock(tx, list(self.hashes.values()), now=now)
        return {limit: windows[hashed] for limit, hashed in self.hashes.items()}

    def save(self, tx: Tx, windows: Mapping[SignupLimit, Window], *, now: datetime) -> None:
        """Store the windows that changed."""
        for limit, window in windows.items():
            span = max(rule.span for rule in SIGNUP_RULES[limit])
            rate_limit.save(tx, {self.hashes[limit]: window}, span=span, now=now)
