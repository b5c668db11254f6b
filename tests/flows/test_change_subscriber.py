"""Adding and changing one person, on both kinds of database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from newsletter.core.address import parse_address
from newsletter.core.delivery import DeliveryState
from newsletter.core.import_row import LEFT_STATES
from newsletter.core.subscriber import SubscriberId, SubscriberState
from newsletter.errors import InputError
from newsletter.flows.add_subscriber import add_subscriber, newcomer
from newsletter.flows.change_subscriber import (
    Changes,
    SubscriberChange,
    changed,
    edit_subscriber,
    pause_subscriber,
    reactivate_subscriber,
    resume_subscriber,
    unsubscribe_subscriber,
)
from newsletter.store import log as logs
from newsletter.store import subscriber as subscribers
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import KEYRING, begin_edition, get, outcomes, put, set_delivery

LATER = START + timedelta(days=1)
ADA = newcomer(email="Ada@example.org", canonical="ada@example.org", now=START)


def logged(unit: Unit) -> list[tuple[str, str, str]]:
    """Return what, about and why of the log, newest first."""
    with unit.read() as tx:
        return [(entry.what, entry.about, entry.why) for entry in logs.latest(tx)]


def consented(unit: Unit, who: SubscriberId) -> list[tuple[str, str, str]]:
    """Return action, channel and source of a person's evidence."""
    with unit.read() as tx:
        return [(one.action, one.channel, one.source) for one in subscribers.consents(tx, who)]


def test_adding(unit: Unit) -> None:
    """Who is added is active at once, with evidence and an entry in the log that bears the id."""
    change = add_subscriber(unit, KEYRING, replace(ADA, tags=("vip",)), who="pat", source="fair in May", now=START)
    assert change.new
    assert get(unit, change.person.id) == change.person == replace(ADA, id=change.person.id, tags=("vip",))
    assert consented(unit, change.person.id) == [("subscribed", "command line", "fair in May")]
    assert logged(unit) == [("subscriber add", f"subscriber {change.person.id}", "fair in May")]


@pytest.mark.parametrize("state", SubscriberState)
def test_adding_somebody_who_is_there(unit: Unit, state: SubscriberState) -> None:
    """One who is there stays as they are; for one who left, the way back is named."""
    person = put(unit, "ada@example.org", state=state)
    if state in LEFT_STATES:
        with pytest.raises(InputError, match=rf"as {state} since 2026-11-01 .* reactivate ada@example\.org --because"):
            add_subscriber(unit, KEYRING, ADA, who="pat", source="", now=LATER)
    else:
        change = add_subscriber(unit, KEYRING, ADA, who="pat", source="", now=LATER)
        assert (change.new, change.person) == (False, person)
    assert (get(unit, person.id), logged(unit), consented(unit, person.id)) == (person, [], [])


def _pause(unit: Unit, who: SubscriberId) -> SubscriberChange:
    return pause_subscriber(unit, who, who="pat", why="on holiday", now=LATER)


def _resume(unit: Unit, who: SubscriberId) -> SubscriberChange:
    return resume_subscriber(unit, who, who="pat", why="back", now=LATER)


def _unsubscribe(unit: Unit, who: SubscriberId) -> SubscriberChange:
    return unsubscribe_subscriber(unit, who, who="pat", why="wrote a letter", now=LATER)


def _reactivate(unit: Unit, who: SubscriberId) -> SubscriberChange:
    return reactivate_subscriber(unit, who, who="pat", because="wants it again", now=LATER)


MOVES = [
    (_pause, "active", "paused", "pause", "paused", "on holiday"),
    (_resume, "paused", "active", "resume", "resumed", "back"),
    (_unsubscribe, "active", "unsubscribed", "unsubscribe", "unsubscribed", "wrote a letter"),
    (_unsubscribe, "bounced", "unsubscribed", "unsubscribe", "unsubscribed", "wrote a letter"),
    (_reactivate, "complained", "active", "reactivate", "reactivated", "wants it again"),
]


@pytest.mark.parametrize(("move", "before", "after", "verb", "action", "why"), MOVES)
def test_moves(
    *,
    unit: Unit,
    move: Callable[[Unit, SubscriberId], SubscriberChange],
    before: str,
    after: str,
    verb: str,
    action: str,
    why: str,
) -> None:
    """A move writes state, evidence and log once; the same move again writes nothing."""
    person = put(unit, "ada@example.org", state=SubscriberState(before))
    change = move(unit, person.id)
    expected = replace(person, state=SubscriberState(after), state_since=LATER, state_why=why)
    assert change.after == get(unit, person.id) == expected
    assert move(unit, person.id).after == expected
    assert consented(unit, person.id) == [(action, "command line", why)]
    assert logged(unit) == [(f"subscriber {verb}", f"subscriber {person.id}", why)]


@pytest.mark.parametrize(("move", "reason"), [(_pause, "paused"), (_unsubscribe, "unsubscribed")])
@pytest.mark.parametrize("waiting", [DeliveryState.QUEUED, DeliveryState.DEFERRED])
def test_what_waits_is_taken_back(
    unit: Unit, move: Callable[[Unit, SubscriberId], SubscriberChange], reason: str, waiting: DeliveryState
) -> None:
    """Whoever stops is taken out of the open edition; others stay in it."""
    ada, ben = put(unit, "ada@example.org"), put(unit, "ben@example.org")
    edition = begin_edition(unit)
    set_delivery(unit, edition, ada, waiting)
    assert move(unit, ada.id).skipped == 1
    assert outcomes(unit, edition) == [(ada.id, "skipped", reason, ""), (ben.id, "queued", "", "")]


@pytest.mark.parametrize("row_state", [DeliveryState.SENDING, DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN])
def test_what_is_on_its_way_stays(unit: Unit, row_state: DeliveryState) -> None:
    """A mail that a server may have is not called back: the account tells what happened."""
    ada = put(unit, "ada@example.org")
    edition = begin_edition(unit)
    set_delivery(unit, edition, ada, row_state)
    assert _unsubscribe(unit, ada.id).skipped == 0
    assert outcomes(unit, edition) == [(ada.id, row_state.value, "", "")]


def test_a_move_that_cannot_be(unit: Unit) -> None:
    """A pause does not turn a goodbye into something weaker, and nothing is written."""
    person = put(unit, "ada@example.org", state=SubscriberState.UNSUBSCRIBED)
    with pytest.raises(InputError, match="only an active subscriber"):
        _pause(unit, person.id)
    assert (get(unit, person.id), logged(unit)) == (person, [])


def test_another_address(unit: Unit) -> None:
    """With another address they stay the same person; the log names what changed, but no address."""
    ada = put(unit, "ada@example.org", tags=("vip",))
    edition = begin_edition(unit)
    address = parse_address("Ada@New.example.org")
    change = edit_subscriber(unit, KEYRING, ada.id, Changes(address=address), who="pat", now=LATER)
    assert (
        change.after == get(unit, ada.id) == replace(ada, email="Ada@New.example.org", canonical="ada@new.example.org")
    )
    assert consented(unit, ada.id) == [("address changed", "command line", "")]
    assert logged(unit) == [("subscriber edit", f"subscriber {ada.id}", "changed email")]
    assert outcomes(unit, edition) == [(ada.id, "queued", "", "")]


def test_another_spelling(unit: Unit) -> None:
    """A change of case alone is no change of address."""
    ada = put(unit, "ada@example.org")
    change = edit_subscriber(
        unit, KEYRING, ada.id, Changes(address=parse_address("ADA@example.org")), who="pat", now=LATER
    )
    assert (change.after.email, change.after.canonical, consented(unit, ada.id)) == (
        "ADA@example.org",
        ada.canonical,
        [],
    )


def test_an_address_that_is_taken(unit: Unit) -> None:
    """The address of somebody else is refused, in whatever spelling."""
    ada = put(unit, "ada@example.org")
    put(unit, "ben@example.org")
    with pytest.raises(InputError, match="belongs to another subscriber"):
        edit_subscriber(unit, KEYRING, ada.id, Changes(address=parse_address("BEN@example.org")), who="pat", now=LATER)
    assert (get(unit, ada.id), logged(unit)) == (ada, [])


def test_values() -> None:
    """Texts are cleaned, tags and fields added and removed, zones spelt as the zone database does."""
    person = replace(ADA, tags=("vip", "Old"), fields={"floor": "3", "room": "9"}, name="A", last_name="B")
    changes = Changes(
        name=" Ada\nField ",
        last_name="",
        time_zone="europe/paris",
        add_tags=("new", "vip"),
        remove_tags=("old",),
        fields={"floor": "4", "room": "", "none": ""},
    )
    after = changed(person, changes)
    assert (after.name, after.last_name, after.time_zone) == ("Ada Field", "", "Europe/Paris")
    assert (after.tags, after.fields) == (("vip", "new"), {"floor": "4"})
    assert changed(after, Changes(time_zone="")).time_zone == ""
    assert changed(after, Changes()) == after


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (Changes(time_zone="Europe/Pariss"), "did you mean Europe/Paris"),
        (Changes(name="x" * 201), "name is longer than 200"),
        (Changes(name="Ren\udce9"), "name is not valid UTF-8"),
        (Changes(add_tags=("x" * 101,)), "a tag is longer"),
        (Changes(fields={"floor": "x" * 2001}), "floor is longer"),
    ],
)
def test_values_that_cannot_be(changes: Changes, fault: str) -> None:
    """What an import would refuse is refused here, too."""
    with pytest.raises(InputError, match=fault):
        changed(ADA, changes)


def test_nobody_to_change(unit: Unit) -> None:
    """A person who was erased a moment ago cannot be changed."""
    with pytest.raises(InputError, match="erased at this moment"):
        _pause(unit, SubscriberId(99))
