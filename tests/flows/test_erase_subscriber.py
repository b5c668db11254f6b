"""Erasing a person, on both kinds of database."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select

from newsletter.core.address import parse_address
from newsletter.core.delivery import DeliveryCounts, DeliveryId, DeliveryState, Outcome
from newsletter.core.edition import EditionStatus
from newsletter.core.import_row import RowResult
from newsletter.core.notice import NoticeKey, NoticeKind
from newsletter.core.reply import ReplyClass
from newsletter.core.token import Keyring, suppression_hash
from newsletter.errors import InputError
from newsletter.flows.add_subscriber import add_subscriber, newcomer
from newsletter.flows.change_subscriber import Changes, edit_subscriber
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.import_subscribers import ImportFile, import_subscribers
from newsletter.store import alert as alerts
from newsletter.store import claims
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import log as logs
from newsletter.store import notice as notices
from newsletter.store import subscriber as subscribers
from newsletter.store import worker as workers
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.schema import consent, delivery, metadata, suppression
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.conftest import SECRET
from tests.flows.people_fixtures import KEYRING, begin_edition, outcomes, put, set_delivery

ADA = "Ada.Field@Bücher.example.org"


def everything(unit: Unit) -> str:
    """Return all that the database holds, as one text in lower case."""
    with unit.read() as tx:
        rows = (row for table in metadata.sorted_tables for row in tx.execute(select(table)))
        return "\n".join(repr(tuple(row)) for row in rows).lower()


def test_nothing_names_the_person_any_more(unit: Unit) -> None:
    """No spelling of the address, new or old, is left in any row of any table; the hashes are."""
    address = parse_address(ADA)
    ada = put(unit, ADA, canonical=address.canonical, name="Ada Field", fields={"company": "Ada Ltd"})
    ben = put(unit, "xada.field@example.org")
    edit_subscriber(unit, KEYRING, ada.id, Changes(address=parse_address("old.ada@example.org")), who="pat", now=START)
    edit_subscriber(unit, KEYRING, ada.id, Changes(address=address), who="pat", now=START)
    edition = begin_edition(unit)
    words = f"Mailbox <{address.smtp}> full"
    set_delivery(unit, edition, ada, DeliveryState.REJECTED, reply_text=words, reason=f"{ADA.upper()} is unknown.")
    with unit.write() as tx:
        logs.add(
            tx, logs.LogEntry(at=START, who="pat", what="x", about="y", why=f"{ADA}, xada.field@example.org asked.")
        )
        message = f"Expired: {address.canonical}."
        alerts.raise_alert(tx, Alert(kind=AlertKind.EXPIRED_PEOPLE, about="z", message=message, raised_at=START))
        editions.move(
            tx, edition.id, was=[EditionStatus.SENDING], to=EditionStatus.PAUSED, why="for old.ada@example.org"
        )
        notice = NoticeKey(kind=NoticeKind.ALERT, about="z")
        notices.add(tx, notice, recipient=ADA, message="To you\r\n", now=START)
        notices.add(tx, notice, recipient="ops@example.org", message=f"About {address.smtp}\r\n", now=START)
    assert everything(unit).count(ADA.lower()) > 1
    erasure = erase_subscriber(unit, KEYRING, ada.id, who="pat", why=f"{ADA} wrote", now=START)
    assert erasure is not None
    assert (erasure.skipped, erasure.blanked, erasure.addresses) == (0, 1, 2)
    left = everything(unit)
    for form in {ADA, address.canonical, address.smtp, "old.ada@example.org", "ada ltd"}:
        assert form.lower() not in left.replace("xada.field@example.org", "")
    assert "xada.field@example.org asked." in left
    assert "ada field" not in left
    assert "to you" not in left
    assert "about (erased)" in left
    assert outcomes(unit, edition) == [(None, "rejected", "(erased) is unknown.", ""), (ben.id, "queued", "", "")]
    with unit.read() as tx:
        hashes = set(tx.execute(select(suppression.c.hash)).scalars())
        assert hashes == {suppression_hash(KEYRING, one) for one in (address.canonical, "old.ada@example.org")}
        assert tx.execute(select(consent)).all() == []
        entry = logs.latest(tx)[0]
    assert (entry.who, entry.what, entry.about) == ("pat", "subscriber erase", f"subscriber {ada.id}")
    assert entry.why == "(erased) wrote"


@pytest.mark.parametrize(
    ("state", "after", "skipped"),
    [
        (DeliveryState.QUEUED, "skipped", 1),
        (DeliveryState.DEFERRED, "skipped", 1),
        (DeliveryState.SENDING, "sending", 0),
        (DeliveryState.ACCEPTED, "accepted", 0),
        (DeliveryState.UNCERTAIN, "uncertain", 0),
    ],
)
def test_an_edition_in_progress_still_balances(unit: Unit, state: DeliveryState, after: str, skipped: int) -> None:
    """The row stays without the person; what was waiting does not go out, what happened stays as it was."""
    ada = put(unit, "ada@example.org")
    edition = begin_edition(unit)
    set_delivery(unit, edition, ada, state)
    erasure = erase_subscriber(unit, KEYRING, ada.id, who="pat", now=START)
    assert erasure is not None
    assert erasure.skipped == skipped
    assert outcomes(unit, edition) == [(None, after, "erased" if skipped else "", "")]


@pytest.mark.parametrize("answered", [DeliveryState.REJECTED, DeliveryState.DEFERRED])
def test_an_answer_that_comes_after_the_erasure(unit: Unit, answered: DeliveryState) -> None:
    """The sender may still record what the server said, but not its words; a second attempt is never made."""
    ada = put(unit, "ada@example.org")
    edition = begin_edition(unit)
    with unit.write() as tx:
        [row] = tx.execute(select(delivery.c.id)).scalars()
        who = workers.start(tx, name="a", machine="a", now=START)
        assert claims.claim(tx, [DeliveryId(row)], who=who, now=START)
    erase_subscriber(unit, KEYRING, ada.id, who="pat", now=START)
    outcome = Outcome(
        state=answered,
        reason="The mailbox is unknown.",
        attempts=1,
        first_attempt_at=START,
        last_attempt_at=START,
        next_attempt_at=START if answered is DeliveryState.DEFERRED else None,
        reply_code=550,
        reply_text="<ada@example.org> unknown",
    )
    with unit.write() as tx:
        claims.record(tx, [(DeliveryId(row), outcome, ReplyClass.HARD)])
    assert outcomes(unit, edition) == [(None, answered.value, "The mailbox is unknown.", "")]
    with unit.write() as tx:
        if deliveries.gather(tx, edition.id, now=START):
            assert claims.claim(tx, [DeliveryId(row)], who=who, now=START) == []
    [(person, state, _, _)] = outcomes(unit, edition)
    assert (person, state) == (None, "rejected" if answered is DeliveryState.REJECTED else "skipped")


def test_an_erased_person_stays_out(unit: Unit) -> None:
    """Neither by hand nor by a file nor by an edit does the address come back, nor under a later secret."""
    ada, ben = put(unit, "ada@example.org"), put(unit, "ben@example.org")
    erase_subscriber(unit, KEYRING, ada.id, who="pat", now=datetime(2026, 3, 1, tzinfo=UTC))
    later = Keyring(current="a newer secret of enough characters", old=(SECRET,))
    again = newcomer(email="ADA@example.org", canonical="ada@example.org", now=START)
    with pytest.raises(InputError, match=r"erased on 2026-03-01 .* must not be added"):
        add_subscriber(unit, later, again, who="pat", source="", now=START)
    with pytest.raises(InputError, match="erased on 2026-03-01"):
        edit_subscriber(unit, later, ben.id, Changes(address=parse_address("Ada@example.org")), who="pat", now=START)
    file = ImportFile(stream=io.BytesIO(b"email\nada@example.org\n"), name="people.csv")
    assert import_subscribers(unit, later, file, who="pat", now=START).counts[RowResult.SUPPRESSED] == 1


def test_an_old_address_that_is_somebody_elses_now(unit: Unit) -> None:
    """Erasing one person never shuts out another, who has the address today."""
    ada = put(unit, "shared@example.org")
    edit_subscriber(unit, KEYRING, ada.id, Changes(address=parse_address("ada@example.org")), who="pat", now=START)
    put(unit, "shared@example.org")
    erasure = erase_subscriber(unit, KEYRING, ada.id, who="pat", now=START)
    assert erasure is not None
    assert erasure.addresses == 1


def test_erasing_twice(unit: Unit) -> None:
    """The second erasure finds nobody and writes nothing."""
    ada = put(unit, "ada@example.org")
    assert erase_subscriber(unit, KEYRING, ada.id, who="pat", now=START)
    before = everything(unit)
    assert erase_subscriber(unit, KEYRING, ada.id, who="pat", now=START) is None
    assert everything(unit) == before


def test_several_editions(unit: Unit) -> None:
    """Every edition of the past forgets the person, the finished ones too."""
    ada = put(unit, "ada@example.org")
    past, present = begin_edition(unit, date(2026, 11, 3)), begin_edition(unit, date(2026, 11, 10))
    set_delivery(unit, past, ada, DeliveryState.ACCEPTED, reply_text="queued for ada@example.org")
    with unit.write() as tx:
        editions.close(tx, past.id, totals=DeliveryCounts(accepted=1), now=START)
    erase_subscriber(unit, KEYRING, ada.id, who="pat", now=START)
    assert outcomes(unit, past) == [(None, "accepted", "", "")]
    assert outcomes(unit, present) == [(None, "skipped", "erased", "")]


def test_an_erased_person_comes_back_at_their_own_wish(unit: Unit) -> None:
    """A reason lifts the suppression, and stays as evidence and in the log; without one the address is refused."""
    ada = put(unit, "ada@example.org")
    erase_subscriber(unit, KEYRING, ada.id, who="pat", now=START)
    again = newcomer(email="Ada@example.org", canonical="ada@example.org", now=START)
    with pytest.raises(InputError, match="must not be added again, unless the person asks"):
        add_subscriber(unit, KEYRING, again, who="pat", source="", now=START)
    result = add_subscriber(unit, KEYRING, again, who="pat", source="", because="asked by mail", now=START)
    with unit.read() as tx:
        [consent] = subscribers.consents(tx, result.person.id)
        [entry] = logs.latest(tx, count=1)
    assert (consent.source, consent.evidence) == (
        "asked by mail",
        {"suppression lifted": f"erased on {START:%Y-%m-%d}"},
    )
    assert (entry.what, entry.why) == ("subscriber add after erasure", "asked by mail")
    erase_subscriber(unit, KEYRING, result.person.id, who="pat", now=START)
    with pytest.raises(InputError, match="must not be added again"):
        add_subscriber(unit, KEYRING, again, who="pat", source="", now=START)
