"""A change of address: asked for by the private link, confirmed at the new address.

In: the request, the state of the person who has the new address, and the limits. Out: whether a mail asks there. The
page that takes the request answers the same whatever the new address is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NewType

from newsletter.core.rate_limit import Window
from newsletter.core.signup import SignupDecision, SignupLimit, SignupMail, limit_mail, refusal_of
from newsletter.core.subscriber import SubscriberId, SubscriberState

AddressChangeId = NewType("AddressChangeId", int)

CHANGE_WITHIN = timedelta(days=1)
"""How long the link in the mail to the new address works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChange:
    """One request, as it was sent."""

    id: AddressChangeId
    subscriber_id: SubscriberId
    old_email: str
    email: str
    canonical: str
    network: str
    browser_hash: str
    asked_at: datetime


def decide_address_change(
    change: AddressChange, state: SubscriberState | None, windows: Mapping[SignupLimit, Window], *, now: datetime
) -> SignupDecision:
    """Decide about a request; `state` is that of a person who has the new address already, None where no person has.

    The limits are those of sign-ups: the new address may be that of a stranger.
    """
    refusal = refusal_of(change.canonical, state)
    mail = SignupMail.NONE if refusal else SignupMail.CONFIRM
    return limit_mail(mail, refusal or "a new address of a person", SignupLimit.VICTIM, windows, now=now)
