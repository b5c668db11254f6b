"""The ramp in the database: what the editions so far allow for the next 24 hours, and what the forecast says of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy import insert, update

from newsletter.core.delivery import DeliveryCounts, DeliveryId, DeliveryState
from newsletter.core.edition import EditionId
from newsletter.core.evidence import Standing
from newsletter.core.pace import Limits
from newsletter.core.reply import ReplyClass
from newsletter.flows.plan import outlook
from newsletter.flows.ramp import RampRules, day_limit
from newsletter.store import alert as alerts
from newsletter.store import edition as editions
from newsletter.store import evidence
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.schema import delivery, tally
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import begin_edition, put
from tests.flows.tip_fixtures import NOW, RULES, queue, tip_file

RAMP = RampRules(start=2)


def finish(unit: Unit, weeks: int, **totals: int) -> int:
    """Send an edition of an earlier week and close it with these totals; return its id."""
    edition = begin_edition(unit, date(2026, 9, 1) + timedelta(weeks=weeks))
    with unit.write() as tx:
        tx.execute(
            update(delivery)
            .where(delivery.c.edition_id == edition.id)
            .values(state=DeliveryState.ACCEPTED.value, kind="ok")
        )
        editions.close(tx, edition.id, totals=DeliveryCounts(**totals), now=START)
    return edition.id


def limit(unit: Unit, rules: RampRules = RAMP) -> int | None:
    """Ask the ramp."""
    with unit.read() as tx:
        return day_limit(tx, rules)


def test_the_ramp_follows_the_editions(unit: Unit) -> None:
    """It doubles with a clean edition, not with one that trouble paused, and ends when everybody fits in."""
    for number in range(7):
        put(unit, f"p{number}@example.org")
    assert limit(unit) == 2
    assert limit(unit, RampRules()) is None
    finish(unit, 0, accepted=2)
    assert limit(unit) == 4
    name = "2026-09-08"
    with unit.write() as tx:
        alerts.raise_alert(tx, Alert(kind=AlertKind.EDITION_PAUSED, about=name, message="m", raised_at=START))
    finish(unit, 1, accepted=4)
    assert limit(unit) == 4
    finish(unit, 2, accepted=4)
    assert limit(unit) is None


def came_back(edition: int) -> evidence.BouncedDelivery:
    """Return somebody whose mail a server took."""
    standing = Standing(state=DeliveryState.ACCEPTED)
    return evidence.BouncedDelivery(
        id=DeliveryId(1), edition_id=EditionId(edition), subscriber_id=None, standing=standing
    )


def test_gone_addresses_hold_it_back(unit: Unit) -> None:
    """Those refused at once and those that came back count alike; what failed for now does not."""
    for number in range(9):
        put(unit, f"p{number}@example.org")
    refused = finish(unit, 0, accepted=1, rejected=1)
    with unit.write() as tx:
        tx.execute(
            insert(tally).values(edition_id=refused, worker_id=1, source="worker", hard=1, since=START, at=START)
        )
    back = finish(unit, 1, accepted=2)
    with unit.write() as tx:
        evidence.add_to_tally(tx, came_back(back), ReplyClass.MAILBOX_FULL, now=START)
    assert limit(unit) == 4
    with unit.write() as tx:
        evidence.add_to_tally(tx, came_back(back), ReplyClass.HARD, now=START)
    assert limit(unit) == 2


def test_the_forecast_tells_of_it(sqlite_unit: Unit) -> None:
    """How many days it takes, and that it does not fit before the next edition."""
    for number in range(30):
        put(sqlite_unit, f"p{number}@example.org")
    queue(sqlite_unit, tip_file("a"), tip_file("b"))
    ahead = outlook(sqlite_unit, replace(RULES, ramp=RAMP, limits=Limits(per_day=1_000)), weeks=3, now=NOW)
    assert ahead.takes == timedelta(days=29)
    assert ahead.warnings[0] == (
        "the list grows slowly (NEWSLETTER_RAMP_START): 2 mails in 24 hours now, twice as many after a clean edition; "
        "one to 30 people takes about 29 days"
    )
    assert ahead.warnings[1] == (
        "an edition takes about 29 days, and the next begins about 7 days after it: people not reached by then "
        "are given up"
    )
    quick = outlook(sqlite_unit, replace(RULES, limits=Limits(per_day=20)), weeks=3, now=NOW)
    assert not [one for one in quick.warnings if "grows" in one or "given up" in one]
