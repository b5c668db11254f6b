"""Evidence about a mail after a server took it: it came back, it is delayed, the reader complained.

In: a delivery as it stands, and a report about it. Out: how it stands then. The state of a delivery says what the
server answered and stays, but for `uncertain`, which evidence turns into `accepted` or `rejected`, never the other way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from newsletter.core.delivery import DeliveryState, Later
from newsletter.core.mail_report import Report, ReportKind
from newsletter.core.reply import Phase, Reply, parse_reply

_RANK = {later: rank for rank, later in enumerate(Later)}


@dataclass(frozen=True, slots=True)
class Standing:
    """A delivery, as far as evidence can change it."""

    state: DeliveryState
    later: Later = Later.NOTHING


def stands_after(now: Standing, kind: ReportKind) -> Standing:
    """Return how a delivery stands after a genuine report; the same value when it tells nothing new."""
    match kind:
        case ReportKind.FAILED:
            return _moved(now, Later.BOUNCED, DeliveryState.REJECTED)
        case ReportKind.COMPLAINT:
            # A person who complains of a mail has it.
            return _moved(now, Later.COMPLAINED, DeliveryState.ACCEPTED)
        case ReportKind.DELAYED:
            return _moved(now, Later.DELAYED, now.state)
        case ReportKind.ARRIVED:
            return _moved(now, Later.NOTHING, DeliveryState.ACCEPTED)
        case _:
            return now


def _moved(now: Standing, later: Later, state: DeliveryState) -> Standing:
    stronger = max(now.later, later, key=_RANK.__getitem__)
    return replace(now, later=stronger, state=state if now.state is DeliveryState.UNCERTAIN else now.state)


def written(reply: Reply) -> str:
    """Return a server's words as they are stored beside a delivery: code, enhanced code, text."""
    return " ".join(part for part in (str(reply.code), reply.enhanced, reply.text) if part)


def read_back(text: str) -> Reply:
    """Return what `written` stored, to be judged by today's table."""
    code, _, rest = text.partition(" ")
    return parse_reply(int(code) if code.isascii() and code.isdigit() else 0, [rest], phase=Phase.RCPT)


HOLD_WINDOW = timedelta(minutes=10)
HOLD_PERCENT = 5
HOLD_BOUNCES_MIN = 20
"""Bounces of an edition within the window from which on no person is suppressed before an admin has looked: more than
5 % of its people, but at least 20, as one of ten people proves nothing. A provider's mistake, or forged reports, must
not end a whole list."""


def may_suppress(recent: Mapping[int, int], *, now: datetime, audience: int) -> tuple[Mapping[int, int], bool]:
    """Add one bounce to those of an edition; return those to remember, and whether it may still end a subscription.

    They are counted by the minute since 1970: what is remembered of a flood stays as small as of one mail. A minute
    that has begun within the window or reaches into it counts whole.
    """
    kept = Counter(remembered(recent, now=now))
    kept[_minute(now)] += 1
    return kept, kept.total() <= max(HOLD_BOUNCES_MIN, audience * HOLD_PERCENT // 100)


def remembered(recent: Mapping[int, int], *, now: datetime) -> Mapping[int, int]:
    """Return what still counts; a clock that was set back makes nothing count for long."""
    first, last = _minute(now - HOLD_WINDOW), _minute(now + HOLD_WINDOW)
    return {minute: count for minute, count in recent.items() if first <= minute <= last}


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60


class BounceAction(StrEnum):
    """What came of a mail."""

    NOTED = "noted"
    """It is kept beside the delivery; the subscription goes on."""
    STOPPED = "stopped"
    """The subscription ended."""
    HELD = "held"
    """It would have ended the subscription; too many did at once, so a person looks first."""
    KNOWN = "known"
    """Nothing new."""
    IGNORED = "ignored"
    """It is about nothing that we keep: a holiday notice, a letter, feedback that is no complaint."""
    UNKNOWN = "unknown"
    """It bears no genuine token of ours."""


class MailVerdict(StrEnum):
    """What a mail of the mailbox for bounces turned out to be; it is moved by that."""

    READ = "read"
    """It was understood, and dealt with or not heeded."""
    UNKNOWN = "unknown"
    """It bears no token of ours, or is a letter: a person may want to look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What a mail was, and what it led to."""

    kind: ReportKind
    action: BounceAction
    edition: str = ""
    """The name of the edition that it is about."""
    words: str = ""
    """What the server said, or what kind of mail it was."""


def mail_verdict(handled: Handled) -> MailVerdict:
    """Return by which folder a mail is kept, by what came of it."""
    strange = handled.action is BounceAction.UNKNOWN or handled.kind is ReportKind.STRANGE
    return MailVerdict.UNKNOWN if strange else MailVerdict.READ


_ABOUT_DELIVERIES = {
    ReportKind.FAILED,
    ReportKind.DELAYED,
    ReportKind.ARRIVED,
    ReportKind.COMPLAINT,
    ReportKind.LEFT,
}


def unheeded(mail: Report) -> Handled | None:
    """Return the answer to a mail about nothing that we keep, so that no database is needed to dismiss it."""
    if mail.kind in _ABOUT_DELIVERIES:
        return None
    return Handled(kind=mail.kind, action=BounceAction.IGNORED, words=mail.summary)
