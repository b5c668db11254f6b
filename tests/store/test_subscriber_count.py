"""The kept numbers of people by state and time zone, on both kinds of database."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import delete, func, insert, select, update

from newsletter.core.subscriber import Subscriber, SubscriberId, SubscriberState
from newsletter.errors import InputError
from newsletter.flows.add_subscriber import add_subscriber, newcomer
from newsletter.flows.change_subscriber import (
    Changes,
    edit_subscriber,
    pause_subscriber,
    reactivate_subscriber,
    resume_subscriber,
    unsubscribe_subscriber,
)
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.import_subscribers import ImportFile, import_subscribers
from newsletter.flows.recount_people import recount_people
from newsletter.store import log as logs
from newsletter.store import subscriber as subscribers
from newsletter.store import subscriber_batch as batches
from newsletter.store import subscriber_count
from newsletter.store.database import connect, open_unit
from newsletter.store.reader_zone import reader_zones
from newsletter.store.schema import subscriber
from newsletter.store.schema import subscriber_count as count_table
from newsletter.store.unit import Tx, Unit
from newsletter.store.upgrade import upgrade
from newsletter.testing.clocks import START
from tests.conftest import assert_counts
from tests.flows.people_fixtures import KEYRING, put

ZONES = ("", "Europe/Paris", "America/New_York")
STEPS = 50


def counted(unit: Unit) -> Mapping[SubscriberState, int]:
    """Return the numbers of people by state, counted from the people themselves."""
    query = select(subscriber.c.state, func.count().label("people")).group_by(subscriber.c.state)
    with unit.read() as tx:
        by_state = {row.state: row.people for row in tx.execute(query)}
    return {state: by_state.get(state.value, 0) for state in SubscriberState}


def kept(unit: Unit) -> Mapping[SubscriberState, int]:
    """Return the kept numbers of people by state."""
    with unit.read() as tx:
        return {state: subscriber_count.people(tx, [state]) for state in SubscriberState}


def zones_of_people(tx: Tx) -> list[tuple[str, int, object]]:
    """Return zone, number and first date of the active people, counted from the people themselves."""
    people = func.count().label("people")
    query = (
        select(subscriber.c.time_zone, people, func.min(subscriber.c.state_since))
        .where(subscriber.c.state == SubscriberState.ACTIVE.value)
        .group_by(subscriber.c.time_zone)
        .order_by(people.desc(), subscriber.c.time_zone)
    )
    return [(zone, number, since) for zone, number, since in tx.execute(query)]


def import_some(unit: Unit, chance: Random, step: int) -> None:
    """Import a file in which some people are new, some known, and some leave."""
    states = ("active", "unsubscribed", "bounced", "complained")
    rows = [
        f"p{chance.randrange(60)}@example.com,{chance.choice(ZONES)},{chance.choice(states)}"
        for _ in range(chance.randrange(1, 9))
    ]
    content = "\n".join(["email,time_zone,status", *rows]).encode()
    file = ImportFile(stream=io.BytesIO(content), name="people.csv")
    import_subscribers(unit, KEYRING, file, who="pat", now=START + timedelta(days=step), strict=chance.random() < 0.3)


def change_one(unit: Unit, chance: Random, step: int) -> None:
    """Change the state, the zone or the address of one person, or erase them."""
    with unit.read() as tx:
        ids = list(tx.execute(select(subscriber.c.id).order_by(subscriber.c.id)).scalars())
    if not ids:
        return
    person_id, now = SubscriberId(chance.choice(ids)), START + timedelta(days=step)
    address = Changes(time_zone=chance.choice(ZONES), first_name=f"Name {step}")
    flows: list[Callable[[], object]] = [
        lambda: pause_subscriber(unit, person_id, who="pat", why="", now=now),
        lambda: resume_subscriber(unit, person_id, who="pat", why="", now=now),
        lambda: unsubscribe_subscriber(unit, person_id, who="pat", why="", now=now),
        lambda: reactivate_subscriber(unit, person_id, who="pat", because="asked", now=now),
        lambda: edit_subscriber(unit, KEYRING, person_id, address, who="pat", now=now),
        lambda: erase_subscriber(unit, KEYRING, person_id, who="pat", now=now),
        lambda: save_state(unit, person_id, chance.choice(list(SubscriberState))),
    ]
    with suppress(InputError):
        chance.choice(flows)()


def save_state(unit: Unit, person_id: SubscriberId, state: SubscriberState) -> None:
    """Write any state, as evidence of a bounce or a sign-up does, and the names of two people at once."""
    with unit.write() as tx:
        person = subscribers.by_id(tx, person_id)
        assert person is not None
        subscribers.save_state(tx, replace(person, state=state, state_since=START))
        batches.save(tx, [replace(person, name="New")])


def add_one(unit: Unit, chance: Random, step: int) -> None:
    """Add one person."""
    email = f"p{chance.randrange(60)}@example.com"
    person = replace(newcomer(email=email, canonical=email, now=START), time_zone=chance.choice(ZONES))
    with suppress(InputError):
        add_subscriber(unit, KEYRING, person, who="pat", source="", now=START + timedelta(days=step))


@pytest.mark.parametrize("seed", range(4))
def test_the_counts_equal_the_people_after_every_flow(unit: Unit, seed: int) -> None:
    """Whatever is added, imported, changed and erased in whatever order, the counts are those of COUNT(*)."""
    chance = Random(seed)
    for step in range(STEPS):
        chance.choices([import_some, change_one, add_one], weights=[1, 4, 2])[0](unit, chance, step)
        assert kept(unit) == counted(unit), step
        with unit.read() as tx:
            assert subscriber_count.faults(tx) == [], step
            assert [(zone.zone, zone.people, zone.since) for zone in reader_zones(tx)] == zones_of_people(tx), step
    assert sum(counted(unit).values()) > 0


def test_a_change_that_is_rolled_back_is_not_counted(unit: Unit) -> None:
    """The counts belong to the transaction of the change."""
    put(unit, "ada@example.org")
    with suppress(RuntimeError), unit.write() as tx:
        tx.execute(delete(subscriber))
        assert subscriber_count.people(tx) == 0
        raise RuntimeError
    with unit.read() as tx:
        assert (subscriber_count.people(tx), subscriber_count.active(tx)) == (1, 1)


@pytest.mark.postgres
def test_changes_at_the_same_time_do_not_wait_for_each_other(postgres_url: str) -> None:
    """While one transaction holds the count of a state, another one changes people of that state and commits."""
    engine = connect(postgres_url)
    unit = open_unit(engine)
    people = [put(unit, f"p{number}@example.com") for number in range(4)]
    with engine.begin() as slow, engine.begin() as second:
        slow.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
        second.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
        leave(slow, people[0])
        leave(second, people[1])
        # Each of them holds a person whom the other one does not ask for, and a count that both need.
        leave(slow, people[2])
        with unit.write() as third:
            leave(third, people[3])
        with unit.read() as tx:
            assert subscriber_count.active(tx) == 3
    with unit.read() as tx:
        assert subscriber_count.active(tx) == 0
        rows = tx.execute(select(func.count()).select_from(count_table)).scalar_one()
    for number in range(10):
        put(unit, f"later{number}@example.com")
    with unit.read() as tx:
        # Nothing is added where a row is free.
        assert tx.execute(select(func.count()).select_from(count_table)).scalar_one() == rows
    assert_counts(engine)
    engine.dispose()


def leave(tx: Tx, person: Subscriber) -> None:
    """Unsubscribe a person within a transaction."""
    subscribers.save_state(tx, replace(person, state=SubscriberState.UNSUBSCRIBED))


def test_an_upgrade_counts_the_people(tmp_path_factory: pytest.TempPathFactory) -> None:
    """People who are on the list before the counts exist are counted by the upgrade."""
    engine = connect(f"sqlite:///{tmp_path_factory.mktemp('old')}/newsletter.db")
    upgrade(engine, target="0011")
    states = [*SubscriberState, SubscriberState.ACTIVE]
    plain = {"state_since": START, "created_at": START, "tags": [], "fields": {}}
    rows = [
        plain | {"email": f"p{number}@example.com", "canonical": f"p{number}@example.com", "state": state.value}
        for number, state in enumerate(states)
    ]
    with engine.begin() as tx:
        tx.execute(insert(subscriber), rows)
    upgrade(engine)
    with open_unit(engine).read() as tx:
        assert (subscriber_count.active(tx), subscriber_count.people(tx)) == (2, len(states))
    assert_counts(engine)
    engine.dispose()


def test_wrong_counts_are_corrected(unit: Unit) -> None:
    """Counts that somebody changed by hand are reported, and counted anew with an entry in the log."""
    put(unit, "ada@example.org", time_zone="Europe/Paris")
    with unit.write() as tx:
        tx.execute(update(count_table).values(people=7))
    with unit.read() as tx:
        assert subscriber_count.faults(tx) == ["7 people are counted as active in Europe/Paris, not 1"]
    assert len(recount_people(unit, who="pat", now=START)) == 1
    assert recount_people(unit, who="pat", now=START) == []
    with unit.read() as tx:
        assert subscriber_count.active(tx) == 1
        assert [entry.what for entry in logs.latest(tx)] == ["db recount"]
