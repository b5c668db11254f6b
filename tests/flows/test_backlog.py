"""Pausing until a date, and the tips that were missed meanwhile: skipped, or one a week afterwards."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email import message_from_string, policy

import pytest
from sqlalchemy import insert, select, update

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionId
from newsletter.core.notice import NoticeKind, NoticeState
from newsletter.core.subscriber import Subscriber, SubscriberState
from newsletter.core.tip import TipDraft
from newsletter.errors import InputError
from newsletter.flows.change_subscriber import end_pauses
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.own_settings import OwnChange, change_own_settings, own_settings, pause_end, pause_oneself
from newsletter.operations.backlog_writer import BacklogWriter
from newsletter.render.edition import render_edition
from newsletter.render.mime import compile_message
from newsletter.store import backlog as backlogs
from newsletter.store import edition as editions
from newsletter.store import notice as notices
from newsletter.store import subscriber as subscribers
from newsletter.store.schema import delivery, edition
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import KEYRING, begin_edition, get, put, set_delivery
from tests.flows.signup_fixtures import PUBLICATION, TEMPLATES

ADA = "ada@example.org"
ZONE = "America/New_York"
UNTIL = datetime(2026, 11, 18, 5, tzinfo=UTC)
"""Wednesday 18 November as it begins in New York."""
TUESDAYS = (date(2026, 11, 3), date(2026, 11, 10), date(2026, 11, 17))


def send_editions(unit: Unit) -> None:
    """Send the editions of the Tuesdays of the pause, to everybody else."""
    for day in TUESDAYS:
        sent = begin_edition(unit, day)
        draft = TipDraft(slug="tip", title=f"Tip of {day}", subject=f"Tip of {day}", body="Dear {{ first_name|you }}")
        rendered = render_edition(draft, PUBLICATION, TEMPLATES, nonce="n0nce", date=day)
        content = compile_message(rendered, PUBLICATION).to_json()
        with unit.write() as tx:
            values = {"content": content, "status": "finished", "finished_at": sent.sends_at}
            tx.execute(update(edition).where(edition.c.id == sent.id).values(values))


def paused(unit: Unit, *, catch_up: bool = True, until: datetime = UNTIL) -> Subscriber:
    """Return a person who paused on Sunday."""
    ada = put(unit, ADA, first_name="Ada", time_zone=ZONE)
    pause_oneself(unit, ada.id, until=until, catch_up=catch_up, now=START)
    return get(unit, ada.id)


def work(unit: Unit, now: datetime) -> list[str]:
    """End the pauses that are over, send what is due, and return the subjects of all missed tips so far."""
    end_pauses(unit, now=now)
    writer = BacklogWriter(unit=unit, publication=PUBLICATION, keyring=KEYRING)
    writer.work(now)
    with unit.read() as tx:
        written = [item for item in notices.to_addresses(tx, [ADA]) if item.key.kind is NoticeKind.MISSED_TIP]
    return [message_from_string(item.message, policy=policy.SMTP)["Subject"] for item in written]


def test_missed_tips_come_one_a_week(unit: Unit) -> None:
    """The oldest first, on a morning between two regular ones, the very message of the edition; then it is over."""
    ada = paused(unit)
    send_editions(unit)
    assert work(unit, UNTIL - timedelta(seconds=1)) == []
    assert work(unit, UNTIL) == []
    assert get(unit, ada.id).state is SubscriberState.ACTIVE
    first = datetime(2026, 11, 21, 14, tzinfo=UTC)
    assert work(unit, first - timedelta(seconds=1)) == []
    assert work(unit, first) == work(unit, first + timedelta(days=1)) == ["Tip of 2026-11-03"]
    with unit.read() as tx:
        message = message_from_string(notices.to_addresses(tx, [ADA])[-1].message, policy=policy.SMTP)
    assert message["To"] == "Ada <ada@example.org>" or ADA in message["To"]
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "Dear Ada" in message.get_body(("plain",)).get_content()  # type: ignore[attr-defined]
    for week in (1, 2, 3, 4):
        subjects = work(unit, first + timedelta(weeks=week))
    assert subjects == [f"Tip of {day}" for day in TUESDAYS]
    with unit.read() as tx:
        assert backlogs.of_person(tx, ada.id) is None


def test_a_pause_that_skips_brings_nothing(unit: Unit) -> None:
    """The evidence says what was chosen."""
    ada = paused(unit, catch_up=False)
    send_editions(unit)
    work(unit, UNTIL)
    assert work(unit, UNTIL + timedelta(weeks=1)) == []
    with unit.read() as tx:
        assert subscribers.consents(tx, ada.id)[0].source == "until 2026-11-18; missed tips are skipped"


def test_a_tip_that_arrived_is_not_sent_again(unit: Unit) -> None:
    """What was delivered before, or comes by itself after an early return, is not missed."""
    ada = put(unit, ADA)
    sent = begin_edition(unit, TUESDAYS[0])
    set_delivery(unit, sent, ada, DeliveryState.ACCEPTED)
    with unit.write() as tx:
        tx.execute(update(edition).values(status="finished", finished_at=sent.sends_at))
    pause_oneself(unit, ada.id, until=UNTIL, catch_up=True, now=START)
    change_own_settings(unit, KEYRING, ada.id, OwnChange.RESUME, "", now=START + timedelta(days=5))
    assert work(unit, START + timedelta(days=12)) == []
    with unit.read() as tx:
        assert backlogs.of_person(tx, ada.id) is None


def replace_first(unit: Unit) -> EditionId:
    """Cancel the edition of the first Tuesday for one in its place; return the replacement."""
    with unit.write() as tx:
        wrong = editions.by_date(tx, TUESDAYS[0])
        assert wrong is not None
        values = {"kind": "replacement", "of_edition": wrong.id, "number": 2, "nonce": "n0nce2"}
        columns = [column for column in edition.c if column.name not in {"id", *values}]
        row = tx.execute(select(*columns).where(edition.c.id == wrong.id)).one()
        right = tx.execute(insert(edition).values({**row._mapping, **values}).returning(edition.c.id)).scalar_one()
        tx.execute(update(edition).where(edition.c.id == wrong.id).values(status="cancelled", content="{}"))
        return EditionId(right)


def test_a_replaced_tip_is_missed_in_its_replacement(unit: Unit) -> None:
    """The wrong one was cancelled, and what readers got in its place is what a pause missed."""
    paused(unit)
    send_editions(unit)
    replace_first(unit)
    assert work(unit, UNTIL) == []
    first = UNTIL + timedelta(days=4)
    assert work(unit, first) == ["Tip of 2026-11-03"]
    assert work(unit, first + timedelta(weeks=1)) == ["Tip of 2026-11-03", "Tip of 2026-11-10"]


@pytest.mark.parametrize("has_wrong", [True, False])
def test_a_date_of_which_a_reader_has_a_tip_is_not_missed(unit: Unit, *, has_wrong: bool) -> None:
    """The wrong tip or the replacement: neither is followed by the replacement once more."""
    ada = paused(unit)
    send_editions(unit)
    right = replace_first(unit)
    with unit.write() as tx:
        wrong = editions.by_date(tx, TUESDAYS[0])
        assert wrong is not None
        edition_id = wrong.id if has_wrong else right
        values = {"edition_id": edition_id, "subscriber_id": ada.id, "state": "accepted", "block": 1}
        tx.execute(insert(delivery).values(values))
    work(unit, UNTIL)
    assert work(unit, UNTIL + timedelta(days=4)) == ["Tip of 2026-11-10"]


def test_the_rest_is_skipped_at_a_press(unit: Unit) -> None:
    """The settings say that missed tips come, and a button ends it; the subscription goes on."""
    ada = paused(unit)
    send_editions(unit)
    work(unit, UNTIL)
    known = own_settings(unit, ada.id)
    assert known is not None
    assert known.catches_up
    change_own_settings(unit, KEYRING, ada.id, OwnChange.SKIP, "", now=UNTIL)
    assert work(unit, UNTIL + timedelta(weeks=1)) == []
    assert get(unit, ada.id).state is SubscriberState.ACTIVE


@pytest.mark.parametrize("change", [OwnChange.LEAVE, OwnChange.ERASE])
def test_leaving_ends_it(unit: Unit, change: OwnChange) -> None:
    """A person who left or was erased gets no missed tip either, and leaves no backlog."""
    ada = paused(unit)
    send_editions(unit)
    work(unit, UNTIL)
    change_own_settings(unit, KEYRING, ada.id, change, "", now=UNTIL)
    assert work(unit, UNTIL + timedelta(weeks=1)) == []
    with unit.read() as tx:
        assert backlogs.of_person(tx, ada.id) is None


@pytest.mark.parametrize("change", [OwnChange.LEAVE, OwnChange.PAUSE])
def test_a_missed_tip_that_waits_is_withdrawn(unit: Unit, change: OwnChange) -> None:
    """While the relay is down a missed tip waits for hours: a reader who leaves or pauses meanwhile does not get it."""
    ada = paused(unit)
    send_editions(unit)
    work(unit, UNTIL)
    later = UNTIL + timedelta(days=4)
    assert len(work(unit, later)) == 1
    change_own_settings(unit, KEYRING, ada.id, change, "", now=later)
    with unit.write() as tx:
        (waiting,) = notices.due(tx, now=later, limit=9)
        assert notices.mark(tx, waiting, now=later) is None
        assert notices.due(tx, now=later, limit=9) == []
        assert notices.counts(tx) == {NoticeState.WITHDRAWN: 1}


def test_an_erasure_takes_missed_tips_along(unit: Unit) -> None:
    """The message names the person, and goes with them."""
    ada = paused(unit)
    send_editions(unit)
    work(unit, UNTIL)
    assert len(work(unit, UNTIL + timedelta(days=4))) == 1
    erase_subscriber(unit, KEYRING, ada.id, who="pat", now=UNTIL)
    assert work(unit, UNTIL + timedelta(weeks=3)) == []


def test_the_date_of_a_pause() -> None:
    """From tomorrow to a year ahead, in the person's own zone; four weeks without a date."""
    assert pause_end("", ZONE, now=START) == START + timedelta(weeks=4)
    assert pause_end("2026-11-18", ZONE, now=START) == UNTIL
    assert pause_end("2026-11-02", ZONE, now=START) == datetime(2026, 11, 2, 5, tzinfo=UTC)
    for wrong in ("2026-11-01", "2027-11-03", "tomorrow", "2026-13-01", "0001-01-01"):
        with pytest.raises(InputError):
            pause_end(wrong, ZONE, now=START)


def test_a_second_pause_is_refused(unit: Unit) -> None:
    """The first one stands as it was chosen."""
    ada = paused(unit)
    with pytest.raises(InputError, match="paused already"):
        pause_oneself(unit, ada.id, until=UNTIL, catch_up=False, now=START)
