"""What the tests of bounces share: somebody whose mail a server took, and a mail that comes back about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select

from newsletter.core.delivery import DeliveryId, DeliveryState
from newsletter.core.edition import Edition
from newsletter.core.evidence import Handled
from newsletter.core.subscriber import Subscriber
from newsletter.core.token import make_verp_sender
from newsletter.flows.read_bounce import read_bounce
from newsletter.store import alert as alerts
from newsletter.store import subscriber as subscribers
from newsletter.store.alert import AlertKind
from newsletter.store.schema import delivery
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.core.bounce_corpus import SAMPLES, Sample, report
from tests.flows.people_fixtures import KEYRING, begin_edition, put, set_delivery

NOW = START + timedelta(days=3)
ACCEPTED, UNCERTAIN, REJECTED = DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN, DeliveryState.REJECTED


def sample(name: str) -> Sample:
    """Return one of the written mails."""
    return next(one for one in SAMPLES if one.name == name)


def bounce_with(status: str, *, action: str = "failed", words: str = "no") -> Sample:
    """Return a delivery report with this status."""
    text = report(
        status=f"Final-Recipient: rfc822; ann@example.org\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: smtp; {status[0]}50 {status} {words}\n"
    )
    return Sample(name=status, kind="failed", text=text)


def row(unit: Unit, edition: Edition, who: Subscriber) -> Any:  # noqa: ANN401 a row has any columns
    """Return the row of a delivery."""
    with unit.read() as tx:
        query = select(delivery).where(delivery.c.edition_id == edition.id, delivery.c.subscriber_id == who.id)
        return tx.execute(query).one()


def verp_of(unit: Unit, edition: Edition, who: Subscriber) -> str:
    """Return the bounce address that a delivery bore."""
    return make_verp_sender(KEYRING, DeliveryId(row(unit, edition, who).id), "bounces.example.com")


def come(unit: Unit, edition: Edition, who: Subscriber, mail: Sample, *, at: Any = NOW, **marks: str) -> Handled:  # noqa: ANN401 an instant
    """Let a mail come back about a delivery, to the address that the delivery bore."""
    verp = verp_of(unit, edition, who)
    return read_bounce(unit, KEYRING, mail.raw(**({"verp": verp} | marks)), now=at)


def sent(unit: Unit, email: str = "ann@example.org", on: date = date(2026, 11, 3)) -> tuple[Subscriber, Edition]:
    """Return a person whose mail a server took."""
    person = put(unit, email)
    edition = begin_edition(unit, on)
    set_delivery(unit, edition, person, ACCEPTED, last_attempt_at=START, kind="ok")
    return person, edition


def consents(unit: Unit, who: Subscriber) -> Sequence[tuple[str, str, int | None]]:
    """Return what is kept as evidence about a person."""
    with unit.read() as tx:
        return [(one.action, one.channel, one.edition_id) for one in subscribers.consents(tx, who.id)]


def open_alerts(unit: Unit) -> dict[AlertKind, str]:
    """Return what needs a person."""
    with unit.read() as tx:
        return {one.kind: one.message for one in alerts.open_alerts(tx)}
