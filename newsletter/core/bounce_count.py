"""Counting failures: who is refused so often that mailing on would only harm.

In: what became of the last editions for one person, newest first. Out: whether to suppress, and why, in words. Nothing
is stored but the deliveries themselves, so a correction of one corrects the count. An accepted mail that did not bounce
resets the count; our own faults, a relay that gave up and a system in trouble never count (promise 13).
Numbers: three failures over two weeks is what large senders do; Mailman 3 scores once a day; a list that mails weekly
must not forget after Mailman's seven days, so it forgets after 35.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.core.delivery import DeliveryState
from newsletter.core.reply_value import ReplyClass
from newsletter.wording import plural

FORGOTTEN_AFTER = timedelta(days=35)
"""Two failures that lie further apart have nothing to do with each other."""

SETTLED_AFTER = timedelta(hours=72)
"""A mail that a server took and that has not come back within this time counts as arrived."""

DOMAIN_TIMES, DOMAIN_APART = 2, timedelta(hours=24)
"""A name that cannot be found may be a fault of the DNS; one that is gone a day later is gone."""

PROVISIONAL_TIMES, PROVISIONAL_APART = 2, timedelta(days=6)
SOFT_TIMES, SOFT_SPAN = 3, timedelta(days=14)
FULL_TIMES, FULL_SPAN = 4, timedelta(days=21)

FAILED = frozenset({DeliveryState.REJECTED, DeliveryState.EXPIRED})

COUNTED = frozenset(
    {ReplyClass.HARD_DOMAIN, ReplyClass.PROVISIONAL, ReplyClass.SOFT, ReplyClass.MAILBOX_FULL},
)
"""The classes that end a subscription when they repeat: each is a refusal of the mailbox itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What became of one edition for one person."""

    at: datetime
    """Of the last try, or of the bounce that came later."""
    state: DeliveryState
    kind: str = ""
    """The class of the reply that decided, as stored; empty in rows from before classes were stored."""
    bounced: bool = False
    """True when it came back after a server had taken it."""

    @property
    def arrived(self) -> bool:
        """Tell whether a server took it for good, as far as is known."""
        return self.state is DeliveryState.ACCEPTED and not self.bounced

    @property
    def is_counted(self) -> bool:
        """Tell whether this is a failure of the mailbox itself."""
        return self.kind in COUNTED and (self.bounced or self.state in FAILED)


def counts(state: DeliveryState, kind: str) -> bool:
    """Tell whether an outcome may end a subscription by being repeated, so that the history is worth reading."""
    return state in FAILED and kind in COUNTED


def verdict(history: Iterable[Past], *, now: datetime) -> str:
    """Return why a person must not be mailed any more, as a sentence; empty when there is no reason.

    `history` is newest first and begins with the failure that has just been recorded; one entry an edition.
    """
    streak = _streak(history, now)
    if not streak:
        return ""
    domain = [past for past in streak if past.kind == ReplyClass.HARD_DOMAIN]
    if len(domain) >= DOMAIN_TIMES and _span(domain) >= DOMAIN_APART:
        return f"The domain of the address could not be found for {_editions(domain)} in a row."
    provisional = [past for past in streak if past.kind == ReplyClass.PROVISIONAL]
    if len(provisional) >= PROVISIONAL_TIMES and _span(provisional) >= PROVISIONAL_APART:
        return f"The server refused the address for good in {_editions(provisional)}, and took nothing in between."
    soft = [past for past in streak if past.kind != ReplyClass.MAILBOX_FULL]
    if len(soft) >= SOFT_TIMES and _span(soft) >= SOFT_SPAN:
        return f"The mailbox took no mail for {_editions(soft)} in a row."
    if len(streak) >= FULL_TIMES and _span(streak) >= FULL_SPAN:
        noun = "The mailbox was full" if not soft else "The mailbox was full or took no mail"
        return f"{noun} for {_editions(streak)} in a row."
    return ""


def _streak(history: Iterable[Past], now: datetime) -> list[Past]:
    """Return the failures that count, newest first, back to the last mail that arrived or the first long silence."""
    streak: list[Past] = []
    for past in history:
        if past.arrived:
            # Too fresh to tell: it may still come back.
            if now - past.at < SETTLED_AFTER:
                continue
            break
        if not past.is_counted:
            continue
        if streak and streak[-1].at - past.at > FORGOTTEN_AFTER:
            break
        streak.append(past)
    return streak


def _span(streak: Sequence[Past]) -> timedelta:
    return max(past.at for past in streak) - min(past.at for past in streak) if streak else timedelta()


def _editions(streak: Sequence[Past]) -> str:
    days = _span(streak).days
    return f"{plural(len(streak), 'edition')} over {plural(days, 'day')}"
