"""Finding subscribers, on both kinds of database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from newsletter.core.subscriber import Subscriber, SubscriberId, SubscriberState
from newsletter.flows.add_subscriber import newcomer
from newsletter.store import subscriber as subscribers
from newsletter.store import subscriber_batch as batches
from newsletter.store import subscriber_list as lists
from newsletter.store.subscriber_list import Wanted
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.store.query_plans import plan_steps

ADA = replace(
    newcomer(email="Ada@example.org", canonical="ada@example.org", now=START),
    name="Ada Field",
    tags=("VIP", "Paris, north"),
    fields={"company": "Example", "floor": "3"},
)
BEN = replace(
    newcomer(email="ben@example.com", canonical="ben@example.com", now=START),
    first_name="Bénédict",
    state=SubscriberState.PAUSED,
    fields={"company": "Other"},
)
LEN = replace(newcomer(email="100%len@example.net", canonical="100%len@example.net", now=START), last_name="L_n")


@pytest.fixture
def people(unit: Unit) -> Unit:
    """Put three people on the list, in another order than that of their addresses."""
    with unit.write() as tx:
        batches.add_new(tx, [BEN, LEN, ADA])
    return unit


def found(unit: Unit, filters: Wanted, *, limit: int | None = None) -> list[str]:
    """Return the addresses that are found."""
    with unit.read() as tx:
        people = [one.email for one in lists.find(tx, filters, limit=limit)]
        if limit is None:
            # Whom a search or a tag finds is not counted.
            assert lists.count(tx, filters) == (None if filters.search or filters.tag else len(people))
        return people


@pytest.mark.parametrize(
    ("filters", "addresses"),
    [
        (Wanted(), ["100%len@example.net", "Ada@example.org", "ben@example.com"]),
        (Wanted(states=(SubscriberState.PAUSED,)), ["ben@example.com"]),
        (Wanted(states=(SubscriberState.PAUSED, SubscriberState.ACTIVE), tag="vip"), ["Ada@example.org"]),
        (Wanted(tag="Paris, north"), ["Ada@example.org"]),
        (Wanted(tag="Paris"), []),
        (Wanted(search="ADA@"), ["Ada@example.org"]),
        (Wanted(search="field"), ["Ada@example.org"]),
        (Wanted(search="b"), ["ben@example.com"]),
        (Wanted(search="e"), ["100%len@example.net", "Ada@example.org", "ben@example.com"]),
        (Wanted(search="example.org"), ["Ada@example.org"]),
        (Wanted(search="BÉN"), ["ben@example.com"]),
        (Wanted(search="org Ada"), []),
        (Wanted(search="Bénéd"), ["ben@example.com"]),
        (Wanted(search="%"), ["100%len@example.net"]),
        (Wanted(search="l_n"), ["100%len@example.net"]),
        (Wanted(search="a_a"), []),
        (Wanted(states=(SubscriberState.COMPLAINED,)), []),
    ],
)
def test_find(people: Unit, filters: Wanted, addresses: list[str]) -> None:
    """Every condition that is set must hold; what looks like a pattern is taken literally."""
    assert found(people, filters) == addresses


def test_find_a_few(people: Unit) -> None:
    """A limit keeps the first ones."""
    assert found(people, Wanted(), limit=2) == ["100%len@example.net", "Ada@example.org"]


def test_what_is_stored_comes_back(people: Unit) -> None:
    """Every field of a subscriber survives the database, on pages as in a list."""
    with people.read() as tx:
        stored = list(lists.pages(tx, Wanted()))
        assert stored == [by_address(tx_person, stored) for tx_person in (BEN, LEN, ADA)]
        assert lists.field_names(tx, Wanted()) == ["company", "floor"]
        assert lists.field_names(tx, Wanted(states=(SubscriberState.PAUSED,))) == ["company"]


def by_address(filters: Subscriber, in_ids: list[Subscriber]) -> Subscriber:
    """Return what was written, with the id it got."""
    ids = {one.canonical: one.id for one in in_ids}
    return replace(filters, id=ids[filters.canonical])


def test_pages_cover_everybody(unit: Unit) -> None:
    """More people than a page holds are each yielded once, in the order they came."""
    names = [f"p{number}@example.com" for number in range(2500)]
    with unit.write() as tx:
        batches.add_new(tx, [newcomer(email=name, canonical=name, now=START) for name in names])
    with unit.read() as tx:
        assert [one.email for one in lists.pages(tx, Wanted())] == names


def test_a_known_address_is_not_added_again(people: Unit) -> None:
    """An address that is there already is left as it is, and not among the ids that come back."""
    again = replace(ADA, name="Somebody Else")
    with people.write() as tx:
        ids = batches.add_new(tx, [again, newcomer(email="new@example.org", canonical="new@example.org", now=START)])
        assert list(ids) == ["new@example.org"]
        ada = subscribers.by_canonical(tx, "ada@example.org")
        assert ada is not None
        assert ada.name == "Ada Field"


@pytest.mark.parametrize("read_all_max", [10_000, 0])
@pytest.mark.parametrize("slip", ["adda@example.org", "ada@example.com", "aad@example.org", "da@example.org"])
def test_near_misses(people: Unit, slip: str, read_all_max: int) -> None:
    """A misspelt address names the one that was meant, on a small list and by the index of a large one."""
    with people.read() as tx:
        assert list(lists.near_misses(tx, slip, read_all_max=read_all_max)) == ["Ada@example.org"]


@pytest.mark.parametrize("read_all_max", [10_000, 0])
def test_no_near_miss(people: Unit, read_all_max: int) -> None:
    """An address like no other names nobody."""
    with people.read() as tx:
        assert list(lists.near_misses(tx, "zora.quill@example.edu", read_all_max=read_all_max)) == []


def test_nobody_received_anything(people: Unit) -> None:
    """Without editions there is nothing to tell."""
    with people.read() as tx:
        assert list(lists.last_editions(tx, SubscriberId(1), limit=12)) == []


def test_addresses_that_begin_with_a_text_come_first(unit: Unit) -> None:
    """Beginnings stand before other parts of an address, both in order; a limit may end the list in either."""
    names = [
        "ann@b.example.com",
        "b2@example.com",
        "bob@example.com",
        "Ö@example.com",
        "ö-b@example.com",
        "c-b@example.com",
    ]
    with unit.write() as tx:
        batches.add_new(tx, [newcomer(email=name, canonical=name.lower(), now=START) for name in names])
    every = ["b2@example.com", "bob@example.com", "ann@b.example.com", "c-b@example.com", "ö-b@example.com"]
    assert found(unit, Wanted(search="B")) == every
    assert [found(unit, Wanted(search="b"), limit=limit) for limit in (1, 2, 4)] == [every[:1], every[:2], every[:4]]
    assert found(unit, Wanted(search="Ö")) == ["ö-b@example.com", "Ö@example.com"]


@pytest.mark.parametrize("limit", [1, 5, 40])
def test_people_of_a_state_come_in_the_order_of_their_addresses(unit: Unit, limit: int) -> None:
    """Whether few or most people are in a state, the list is the same."""
    states = [*[SubscriberState.ACTIVE] * 30, *[SubscriberState.PAUSED] * 3]
    people = [
        replace(newcomer(email=name, canonical=name, now=START), state=state)
        for name, state in ((f"p{number * 7 % 33:02}@example.com", state) for number, state in enumerate(states))
    ]
    with unit.write() as tx:
        batches.add_new(tx, people)
    for state in (SubscriberState.ACTIVE, SubscriberState.PAUSED):
        addresses = sorted(person.canonical for person in people if person.state is state)
        assert found(unit, Wanted(states=(state,)), limit=limit) == addresses[:limit]
        assert found(unit, Wanted(states=(state,))) == addresses


@pytest.mark.parametrize(
    "filters",
    [Wanted(), Wanted(search="p1"), Wanted(states=(SubscriberState.ACTIVE,)), Wanted(states=(SubscriberState.PAUSED,))],
)
def test_no_list_reads_all_people(sqlite_unit: Unit, filters: Wanted) -> None:
    """The first page of a list is read by an index, in order or of a few people."""
    people = [
        newcomer(email=f"p{number}@example.com", canonical=f"p{number}@example.com", now=START) for number in range(99)
    ]
    with sqlite_unit.write() as tx:
        batches.add_new(tx, people)
    steps = plan_steps(sqlite_unit, lambda tx: lists.find(tx, filters, limit=1), table="subscriber")
    assert steps
    # Only the few people of a rare state are sorted.
    sorts = [] if SubscriberState.PAUSED in filters.states else [step for step in steps if "TEMP" in step]
    assert [*sorts, *(step for step in steps if step == "SCAN subscriber")] == []
