"""A change of address: asked for by the private link, confirmed at the new address.

In: the request, what is known of the new address, and the limits. Out: whether a mail asks there. The
page that takes the request answers the same whatever the new address is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NewType

from newsletter.core.rate_limit import Window
from newsletter.core.signup import (
    SIGNUP_RULES,
    AddressStanding,
    SignupDecision,
    SignupLimit,
    SignupMail,
    limit_mail,
    refusal_of,
)
from newsletter.core.subscriber import SubscriberId

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
    change: AddressChange, standing: AddressStanding, windows: Mapping[SignupLimit, Window], *, now: datetime
) -> SignupDecision:
    """Decide about a request by what is known of the new address.

    The limits are those of sign-ups: the new address may be that of a stranger.
    """
    own = {SignupLimit.VICTIM: SIGNUP_RULES[SignupLimit.VICTIM]}
    refusal = refusal_of(change.canonical, standing)
    mail = SignupMail.NONE if refusal else SignupMail.CONFIRM
    return limit_mail(mail, refusal or "a new address of a person", own, windows, now=now)
