"""An import does the same on SQLite and on PostgreSQL, whatever the files hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from random import Random

import pytest
from sqlalchemy import select

from newsletter.core.csv_import import ColumnChoices
from newsletter.core.csv_row import BadRow
from newsletter.core.subscriber import SubscriberId, SubscriberState
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.import_subscribers import ImportFile, ImportReport, import_subscribers
from newsletter.flows.read_csv import RowReader
from newsletter.store import subscriber as subscribers
from newsletter.store.database import connect, open_unit
from newsletter.store.schema import consent, log, subscriber, suppression
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.conftest import assert_counts
from tests.flows.people_fixtures import KEYRING, begin_edition, outcomes

ADDRESSES = (
    *(f"p{number}@example.com" for number in range(12)),
    "P1@EXAMPLE.com",
    "grün@example.org",
    '"odd name"@example.net',
    "no address",
    "",
    "@example.com",
)
NAMES = ("", "Ada", "Łukasz", "O'Brien \\N \\\\", "tab\there", '{"a": [1]}', "100%s :x", "\u2028🙂", "NULL")
ZONES = ("", "Europe/Paris", "america/new_york", "Nowhere/Town")
STATES = ("active", "subscribed", "unsubscribed", "bounced", "complained")


@pytest.fixture
def both(sqlite_url: str, postgres_url: str) -> Iterator[tuple[Unit, Unit]]:
    """Return an empty database of each kind."""
    engines = [connect(url) for url in (sqlite_url, postgres_url)]
    yield open_unit(engines[0]), open_unit(engines[1])
    for engine in engines:
        assert_counts(engine)
        engine.dispose()


def random_file(chance: Random) -> bytes:
    """Return a file in which addresses repeat, leave and are wrong."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["email", "first_name", "name", "time_zone", "tags", "status", "company"])
    for _ in range(chance.randrange(1, 40)):
        tags = ";".join(chance.sample(["vip", "a b", '"', "ü"], chance.randrange(3)))
        cells = [chance.choice(NAMES), chance.choice(NAMES), chance.choice(ZONES), tags, chance.choice(STATES)]
        writer.writerow([chance.choice(ADDRESSES), *cells, chance.choice(NAMES)])
        if chance.random() < 0.05:
            out.write('stray" quote,a,b\n')
    return out.getvalue().encode()


Rejected = list[tuple[int, str]]
"""Line and reason of each rejected row."""


def bring(unit: Unit, content: bytes, *, as_state: SubscriberState | None) -> tuple[ImportReport, Rejected]:
    """Import a file; return its report and the rejected rows."""
    rejected: Rejected = []

    def reject(_reader: RowReader, row: BadRow) -> None:
        rejected.append((row.line, row.reason))

    file = ImportFile(
        stream=io.BytesIO(content), name="people.csv", as_state=as_state, choices=ColumnChoices(), source="fair"
    )
    return import_subscribers(unit, KEYRING, file, who="pat", now=START, reject=reject), rejected


def contents(unit: Unit) -> list[list[tuple[object, ...]]]:
    """Return what an import may change; evidence by person, whose order among people does not matter."""
    queries = (
        select(subscriber).order_by(subscriber.c.id),
        select(*list(consent.c)[1:]).order_by(consent.c.subscriber_id, consent.c.id),
        select(suppression).order_by(suppression.c.hash),
        select(log).order_by(log.c.id),
    )
    with unit.read() as tx:
        return [[tuple(row) for row in tx.execute(query)] for query in queries]


@pytest.mark.postgres
@pytest.mark.parametrize("seed", range(8))
def test_both_databases_hold_the_same_after_the_same_files(both: tuple[Unit, Unit], seed: int) -> None:
    """Reports, rejected rows, people, evidence, waiting mail and log are the same; a second import changes nothing."""
    chance = Random(seed)
    for turn in range(4):
        content = random_file(chance)
        as_state = chance.choice([None, None, SubscriberState.UNSUBSCRIBED])
        reports = [bring(unit, content, as_state=as_state) for unit in both]
        assert reports[0] == reports[1]
        before = [contents(unit) for unit in both]
        assert before[0] == before[1]
        again = [bring(unit, content, as_state=as_state)[0] for unit in both]
        assert again[0] == again[1]
        assert [contents(unit)[:3] for unit in both] == [tables[:3] for tables in before]
        if turn == 1:
            editions = [begin_edition(unit) for unit in both]
        if turn >= 1:
            waiting = [[row[1:] for row in outcomes(unit, item)] for unit, item in zip(both, editions, strict=True)]
            assert waiting[0] == waiting[1]
        erase_somebody(both, chance)


def erase_somebody(both: tuple[Unit, Unit], chance: Random) -> None:
    """Erase the same person on both sides, who must not come back."""
    with both[0].read() as tx:
        ids = list(tx.execute(select(subscriber.c.id).order_by(subscriber.c.id)).scalars())
    person_id = SubscriberId(chance.choice(ids)) if ids else None
    for unit in both if person_id is not None else ():
        with unit.read() as tx:
            assert subscribers.by_id(tx, person_id) is not None  # type: ignore[arg-type]
        erase_subscriber(unit, KEYRING, person_id, who="pat", now=START)  # type: ignore[arg-type]
