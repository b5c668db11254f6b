"""Subscribers by the thousand, on both kinds of database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete

from newsletter.core.import_row import ImportedPerson
from newsletter.core.subscriber import Subscriber, SubscriberId
from newsletter.flows.add_subscriber import newcomer
from newsletter.store import subscriber as subscribers
from newsletter.store import subscriber_batch as batches
from newsletter.store.database import connect, open_unit
from newsletter.store.schema import consent, subscriber
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START

SAID = Consent(at=START, action="imported", channel="import", source="fair in May")
ODD = replace(
    newcomer(email='"Grün\\@example.org', canonical="grün🙂@example.org", now=START, why="it's so"),
    name="{Ada, \"the\" first} \\ 'x'\t%s :p",
    tags=("a,b", '"', "[]"),
    fields={"zeta": "1", "a": "", "Ä": "null"},
)
PLAIN = newcomer(email="17@example.org", canonical="17@example.org", now=START - timedelta(days=1))


def imported(person: Subscriber, evidence: dict[str, str] | None = None) -> ImportedPerson:
    """Return a person as an import hands them over."""
    values = {name: getattr(person, name) for name in ImportedPerson._fields if name != "evidence"}
    return ImportedPerson(**values, evidence=evidence or {})


def find(unit: Unit, *canonicals: str) -> dict[str, Subscriber]:
    """Return the people with these addresses."""
    with unit.read() as tx:
        return batches.by_canonicals(tx, canonicals, lock=False)


def test_people_come_with_their_evidence(unit: Unit) -> None:
    """Each person is stored as given, whatever characters they are made of, with the evidence that is theirs."""
    people = [(ODD, {"file": "x.csv", "line": "2"}), (PLAIN, {"line": '"3"\\', "a": "ü"})]
    with unit.write() as tx:
        new = [imported(person, evidence) for person, evidence in people]
        assert batches.add_with_evidence(tx, new, SAID, why="imported from x.csv") == set()
    stored = find(unit, ODD.canonical, PLAIN.canonical, "nobody@example.org")
    kept = {"state_since": START, "state_why": "imported from x.csv", "created_at": START}
    assert {canonical: replace(person, id=SubscriberId(0)) for canonical, person in stored.items()} == {
        person.canonical: replace(person, **kept) for person in (ODD, PLAIN)
    }
    assert list(stored[ODD.canonical].fields) == list(ODD.fields)
    with unit.read() as tx:
        for person, evidence in people:
            [stored_consent] = subscribers.consents(tx, stored[person.canonical].id)
            assert stored_consent == replace(SAID, evidence=evidence)


def test_evidence_stays_with_its_person_after_deletions(unit: Unit) -> None:
    """Ids are never used again, and the evidence of the next people is theirs though the newest person was deleted."""
    people = [newcomer(email=f"p{n}@example.org", canonical=f"p{n}@example.org", now=START) for n in range(4)]
    with unit.write() as tx:
        batches.add_with_evidence(tx, [imported(person) for person in people[:2]], SAID, why="")
    with unit.write() as tx:
        tx.execute(delete(consent))
        tx.execute(delete(subscriber).where(subscriber.c.canonical == people[1].canonical))
        new = [imported(person, {"of": person.email}) for person in people[2:]]
        batches.add_with_evidence(tx, new, SAID, why="")
    stored = find(unit, *(person.canonical for person in people))
    assert [stored[person.canonical].id for person in people[2:]] == [SubscriberId(3), SubscriberId(4)]
    with unit.read() as tx:
        for person in people[2:]:
            [stored_consent] = subscribers.consents(tx, stored[person.canonical].id)
            assert stored_consent.evidence == {"of": person.email}


def test_ids_follow_the_order_of_the_rows(unit: Unit) -> None:
    """Whoever stands first in a file has the lower id."""
    people = [newcomer(email=f"p{n}@example.org", canonical=f"p{n}@example.org", now=START) for n in (3, 1, 2)]
    with unit.write() as tx:
        batches.add_with_evidence(tx, [imported(person) for person in people], SAID, why="")
    stored_people = find(unit, *(person.canonical for person in people))
    assert sorted(people, key=lambda person: stored_people[person.canonical].id) == people


@pytest.mark.postgres
def test_who_was_added_meanwhile(postgres_url: str) -> None:
    """An address that is taken is told, and neither a second person nor evidence is written for it."""
    engine = connect(postgres_url)
    unit = open_unit(engine)
    with unit.write() as tx:
        ids = batches.add_new(tx, [ODD])
    with unit.write() as tx:
        new = [imported(replace(ODD, name="")), imported(PLAIN)]
        assert batches.add_with_evidence(tx, new, SAID, why="") == {ODD.canonical}
    assert find(unit, ODD.canonical) == {ODD.canonical: replace(ODD, id=ids[ODD.canonical])}
    with unit.read() as tx:
        assert subscribers.consents(tx, ids[ODD.canonical]) == []
    engine.dispose()


def test_nobody_is_looked_for(unit: Unit) -> None:
    """An empty list of addresses finds nobody."""
    assert find(unit) == {}
