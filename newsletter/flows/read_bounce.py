"""Reading one mail that came to the bounce address, and doing what it says if it is genuine.

In: the mail as bytes. Out: what was done, in words. Anybody can write to that address, so only our own keys decide
whose delivery it is; what bears none of our tokens changes nothing. One transaction; twice is as good as once.
"""

from __future__ import annotations

from datetime import datetime

from newsletter.core.breaker import BreakerLimits
from newsletter.core.delivery import Later
from newsletter.core.edition import Edition
from newsletter.core.evidence import Handled, Standing, unheeded
from newsletter.core.mail_report import read_report
from newsletter.core.token import Keyring
from newsletter.flows.alert import settle_alert
from newsletter.flows.apply_report import BOUNCE_MAIL, apply_report, check_after, name_delivery, of_earlier_address
from newsletter.flows.bounce import suppress
from newsletter.store import evidence
from newsletter.store import log as logs
from newsletter.store.alert import AlertKind
from newsletter.store.unit import Unit
from newsletter.wording import people_words


def read_bounce(
    unit: Unit,
    keyring: Keyring,
    raw: bytes,
    *,
    recipient: str = "",
    limits: BreakerLimits | None = None,
    now: datetime,
) -> Handled:
    """Do what one mail says; `recipient` is the address it came to, as the mail server names it.

    With `limits` an edition that still goes out is paused when too much of it comes back.
    """
    mail = read_report(raw, recipient=recipient)
    idle = unheeded(mail)
    if idle is not None:
        return idle
    with unit.read() as tx:
        report = name_delivery(tx, keyring, mail)
    with unit.write() as tx:
        applied = apply_report(tx, keyring, report, limits=limits, now=now)
    if limits is not None:
        check_after(unit, applied, limits, now=now)
    return applied.handled


def settle_held(unit: Unit, edition: Edition, *, stop: bool, who: str, now: datetime) -> int:
    """Decide about the bounces of an edition that were held: end those subscriptions, or let them go on."""
    count = 0
    with unit.write() as tx:
        for bounced in evidence.held(tx, edition.id):
            count += 1
            after = Standing(state=bounced.standing.state, later=Later.BOUNCED if stop else Later.NOTHING)
            evidence.note(tx, bounced, after, text=bounced.text if stop else "", reason="", now=now)
            if stop and bounced.subscriber_id is not None and not of_earlier_address(tx, bounced, edition):
                why = f"It came back: {bounced.text}"
                suppress(tx, bounced.subscriber_id, why=why, now=now, channel=BOUNCE_MAIL, edition_id=edition.id)
        settle_alert(tx, AlertKind.BOUNCES_HELD, edition.name, now=now)
        if count:
            noun = "bounce release" if stop else "bounce dismiss"
            logs.add(tx, logs.LogEntry(at=now, who=who, what=noun, about=edition.name, why=people_words(count)))
    return count
