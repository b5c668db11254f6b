"""One person from the import to the erasure: sent to, exported, forgotten, and then nowhere, in no byte of the file."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import pytest
from sqlalchemy import select

from newsletter.core.address import parse_address
from newsletter.core.notice import NoticeKey, NoticeKind
from newsletter.core.reply import Phase, Reply
from newsletter.core.subscriber import SubscriberId
from newsletter.flows.change_subscriber import Changes, edit_subscriber, pause_subscriber, resume_subscriber
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.export_person import export_person
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.flows.import_subscribers import ImportFile, import_subscribers
from newsletter.store import alert as alerts
from newsletter.store import log as logs
from newsletter.store import notice as notices
from newsletter.store import report, subscriber_count
from newsletter.store import subscriber as subscribers
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.database import connect
from newsletter.store.schema import metadata
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START, FixedClock
from tests.edition_fixtures import TUESDAY, add_tip, first_slot, make_sender, work
from tests.flows.people_fixtures import KEYRING
from tests.sending.scripted import TAKEN, Answer, Server

ADA = "Ada.Ferncastle@example.org"
FORMER = "ada.of.old@example.net"
WORDS = [ADA, FORMER, "Ferncastle", "Crowsfoot Lane"]
CROWD = 3_000
"""Enough for pages to split while people come in an order of their own."""


def live_a_life(unit: Unit, clock: FixedClock, render_context: RenderContext) -> SubscriberId:
    """Let a person come with many others, change, get an edition, and be written about; return their id."""
    crowd = [f"{number:05d}.person@example.com,Person {number},Lane {number}" for number in range(CROWD)]
    random.Random(7).shuffle(crowd)
    crowd.insert(CROWD // 2, f"{FORMER},Ada Ferncastle,Crowsfoot Lane")
    text = "\n".join(["email,name,street", *crowd]).encode()
    file = ImportFile(stream=io.BytesIO(text), name="people.csv", source="a fair")
    import_subscribers(unit, KEYRING, file, who="pat", now=START)
    with unit.read() as tx:
        ada = subscribers.by_canonical(tx, FORMER)
    assert ada is not None
    edit_subscriber(unit, KEYRING, ada.id, Changes(address=parse_address(ADA)), who="pat", now=START)
    pause_subscriber(unit, ada.id, who="pat", why=f"{ADA} is on a journey", now=START)
    resume_subscriber(unit, ada.id, who="pat", why="", now=START)
    send(unit, clock, render_context)
    with unit.write() as tx:
        alerts.raise_alert(
            tx, Alert(kind=AlertKind.EXPIRED_PEOPLE, about="2026-11-03", message=f"{ADA} waits.", raised_at=START)
        )
        key = NoticeKey(kind=NoticeKind.PROOF, about="2026-11-03")
        notices.add(tx, key, recipient=ADA, message=f"To: {ADA}\r\n", now=START)
    return ada.id


def send(unit: Unit, clock: FixedClock, render_context: RenderContext) -> None:
    """Send an edition; the server says something about everybody, and refuses the one."""
    add_tip(unit)
    clock.set(TUESDAY)
    edition = freeze(unit, render_context, first_slot(), now=clock.now()).edition
    assert edition is not None

    def script(address: str, _nth: int) -> Answer:
        if address != ADA:
            return TAKEN
        return Answer(Reply(phase=Phase.RCPT, code=550, enhanced="5.2.1", text=f"<{address}> is away"))

    work(make_sender(unit, clock, Server(script=script).connect))


@pytest.fixture
def ada(unit: Unit, clock: FixedClock, render_context: RenderContext) -> SubscriberId:
    """Return a person with a history."""
    return live_a_life(unit, clock, render_context)


def test_what_is_known_of_a_person(unit: Unit, ada: SubscriberId) -> None:
    """The export of one person has all of it: who, what they agreed to, their mail, the server's words, the log."""
    export = export_person(unit, KEYRING, ADA.upper(), now=START)
    assert export is not None
    assert json.loads(json.dumps(export)) == export
    assert (export["email"], export["subscriber"]["id"], export["suppression"]) == (ADA, ada, None)
    assert export["subscriber"]["fields"] == {"street": "Crowsfoot Lane"}
    assert [one["action"] for one in export["consent"]][:3] == ["imported", "address changed", "paused"]
    assert export["consent"][0]["source"] == "a fair"
    [edition] = export["editions"]
    assert (edition["edition"], edition["outcome"]) == ("2026-11-03", "rejected")
    assert edition["server_said"] == f"550 5.2.1 <{ADA}> is away"
    assert [(one["to"], one["message"]) for one in export["notices"]] == [(ADA, f"To: {ADA}\r\n")]
    assert [one["what"] for one in export["log"]] == ["subscriber edit", "subscriber pause", "subscriber resume"]
    assert {(one["where"], one["words"]) for one in export["mentions"]} == {
        ("log", f"{ADA} is on a journey"),
        ("alert", f"{ADA} waits."),
    }
    assert "00001.person" not in json.dumps(export)


def test_nothing_is_left_in_any_table(unit: Unit, ada: SubscriberId) -> None:
    """After the erasure no column of any table names the person; the report adds up, and the export says just that."""
    erase_subscriber(unit, KEYRING, ada, who="pat", why=f"{ADA} asked", now=START)
    with unit.read() as tx:
        rows = "\n".join(repr(tuple(row)) for table in metadata.sorted_tables for row in tx.execute(select(table)))
        [edition] = report.editions.latest(tx)
        receipt = report.receipt(tx, edition)
        log_words = [one.what for one in logs.latest(tx, about=f"subscriber {ada}")]
    assert [word for word in WORDS if word.lower() in rows.lower()] == []
    assert (receipt.gap, receipt.counts.rejected, receipt.edition.audience) == (0, 1, CROWD + 1)
    assert log_words[0] == "subscriber erase"
    for address in (ADA, FORMER):
        export = export_person(unit, KEYRING, address, now=START)
        assert export is not None
        assert export["suppression"] == {"since": START.isoformat(), "reason": "erased"}
        assert [export[key] for key in ("subscriber", "consent", "editions", "notices", "log", "mentions")] == [
            None, [], [], [], [], [],
        ]  # fmt: skip


def test_nothing_is_left_in_the_file(
    sqlite_url: str, sqlite_unit: Unit, clock: FixedClock, render_context: RenderContext
) -> None:
    """Neither the file nor the write-ahead log beside it has a byte of the person after the erasure, without a VACUUM.

    Another process has the database open all the while, as the service has.
    """
    other = connect(sqlite_url)
    with Unit(other).read() as tx:
        assert subscriber_count.active(tx) == 0
    ada = live_a_life(sqlite_unit, clock, render_context)
    assert [word for word in WORDS if word.lower() not in bytes_of(sqlite_url)] == []
    erase_subscriber(sqlite_unit, KEYRING, ada, who="pat", why=f"{ADA} asked", now=START)
    assert [word for word in WORDS if word.lower() in bytes_of(sqlite_url)] == []
    assert "00001.person" in bytes_of(sqlite_url)
    other.dispose()


def bytes_of(url: str) -> str:
    """Return all files of a database as one text in lower case."""
    path = Path(url.removeprefix("sqlite:///"))
    return "".join(one.read_bytes().decode("latin-1") for one in sorted(path.parent.glob(path.name + "*"))).lower()


def test_a_reader_in_the_way(sqlite_url: str, sqlite_unit: Unit) -> None:
    """A long export beside it makes the erasure wait a moment, and leaves the log to the next time; nothing fails."""
    other = connect(sqlite_url)
    with Unit(other).read() as tx:
        subscriber_count.active(tx)
        with sqlite_unit.write() as own:
            logs.add(own, logs.LogEntry(at=START, who="pat", what="x", about="y"))
        assert sqlite_unit.flush() is False
    assert sqlite_unit.flush() is True
    other.dispose()


def test_an_address_that_nobody_knows(unit: Unit) -> None:
    """There is nothing to hand out, and the caller is told so."""
    assert export_person(unit, KEYRING, "nobody@example.org", now=START) is None
