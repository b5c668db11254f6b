"""What a person decides after the fact: try again, or settle what is uncertain."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from newsletter.core.alert import AlertKind
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.subscriber import SubscriberId
from newsletter.errors import InputError
from newsletter.flows.alert import settle_alert
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import log as logs
from newsletter.store import retention
from newsletter.store.unit import Tx, Unit
from newsletter.wording import people_words

_ALERTS = {DeliveryState.EXPIRED: AlertKind.EXPIRED_PEOPLE, DeliveryState.REJECTED: AlertKind.REFUSED_PEOPLE}
"""The alert that a retry of people in this state answers."""


def retry(unit: Unit, edition: Edition, states: tuple[DeliveryState, ...], *, who: str, now: datetime) -> int:
    """Try the deferred again at once, and those in the given end states from the start; return how many."""
    with unit.write() as tx:
        # As it stands now: what the person looked at may be minutes old.
        _refuse_cancelled(editions.by_id(tx, edition.id))
        count = deliveries.retry_now(tx, edition.id, now=now)
        if states:
            count += _requeue(tx, edition, states, only=None)
            for state in states:
                # The person has acted on the alert; the next failure raises it again.
                settle_alert(tx, _ALERTS[state], edition.name, now=now, quietly=True)
        if count:
            logs.add(
                tx, logs.LogEntry(at=now, who=who, what="edition retry", about=edition.name, why=people_words(count))
            )
        return count


def resend(unit: Unit, edition: Edition, *, only: SubscriberId | None, who: str, now: datetime) -> int:
    """Send again to the uncertain, with the same Message-ID; return how many."""
    with unit.write() as tx:
        # As it stands now: what the person looked at may be minutes old.
        _refuse_cancelled(editions.by_id(tx, edition.id))
        count = _requeue(tx, edition, (DeliveryState.UNCERTAIN,), only=only)
        _log(tx, edition, "sent again", count, who=who, now=now)
        return count


def settle_uncertain(
    unit: Unit, edition: Edition, to: DeliveryState, *, only: SubscriberId | None, because: str, who: str, now: datetime
) -> int:
    """Settle the uncertain on evidence, as accepted or rejected; return how many."""
    if to not in {DeliveryState.ACCEPTED, DeliveryState.REJECTED}:
        raise InputError("What is uncertain can only become accepted or rejected.")
    if not because.strip():
        raise InputError("Say with --because what shows it, such as a line of the mail server's log.")
    words = "It arrived" if to is DeliveryState.ACCEPTED else "It did not arrive"
    with unit.write() as tx:
        count = deliveries.resolve(tx, edition.id, to, reason=f"{words}: {because.strip()}", only=only)
        move_totals(tx, edition, count, to)
        _log(tx, edition, f"{to.value}: {because.strip()}", count, who=who, now=now)
        return count


def _requeue(tx: Tx, edition: Edition, states: tuple[DeliveryState, ...], *, only: SubscriberId | None) -> int:
    if not retention.is_whole(tx, edition.id):
        raise InputError(
            f"Who got the edition of {edition.name} is not known any more: its rows were deleted "
            "after NEWSLETTER_KEEP_DELIVERIES_DAYS. Nothing of it is sent again."
        )
    count = deliveries.requeue(tx, edition.id, states, only=only)
    if count:
        editions.reopen(tx, edition.id)
    return count


def move_totals(tx: Tx, edition: Edition, count: int, to: DeliveryState) -> None:
    """Move people within stored totals; they are not counted anew, since old rows are deleted after years."""
    stored = editions.totals(tx, edition.id)
    if stored is None or not count:
        return
    moved = {"uncertain": stored.uncertain - count, to.value: stored[to] + count}
    editions.store_totals(tx, edition.id, totals=replace(stored, **moved))


def _log(tx: Tx, edition: Edition, how: str, count: int, *, who: str, now: datetime) -> None:
    if count:
        why = f"{count} uncertain {how}"
        logs.add(tx, logs.LogEntry(at=now, who=who, what="edition resolve", about=edition.name, why=why))


def _refuse_cancelled(edition: Edition) -> None:
    if edition.status is EditionStatus.CANCELLED:
        raise InputError(f"The edition of {edition.name} was cancelled; nothing of it is sent again.")
