"""A mail server that refuses everybody refuses us: the edition stops early, or at least somebody is told."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from newsletter.core.breaker import BreakerLimits
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.reply import Phase, Reply
from newsletter.flows import hold
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.sending.message_builder import MessageBuilder
from newsletter.sending.sender import Sender
from newsletter.sending.sender_loop import send_until_idle
from newsletter.store import alert as alerts
from newsletter.store import edition as editions
from newsletter.store import report
from newsletter.store.alert import AlertKind
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import TUESDAY, add_people, add_tip, first_slot, make_sender
from tests.sending.scripted import BLOCKED, TAKEN, UNKNOWN_USER, Answer, Server

CONNECTIONS = 3
REFUSALS = BreakerLimits().refusals
REFUSED = Answer(Reply(phase=Phase.RCPT, code=554, enhanced="5.7.1", text="Go away"))


@pytest.fixture
def late(clock: FixedClock) -> FixedClock:
    """Return a clock that stands at the slot."""
    clock.set(TUESDAY)
    return clock


def make_edition(unit: Unit, render_context: RenderContext, people: int) -> Edition:
    """Freeze an edition for so many people."""
    add_people(unit, people)
    add_tip(unit)
    edition = freeze(unit, render_context, first_slot(), now=TUESDAY).edition
    assert edition is not None
    return edition


def run(unit: Unit, clock: FixedClock, server: Server) -> Sender:
    """Send in the foreground until nothing is left to do."""
    sender = make_sender(unit, clock, server.connect, connections=CONNECTIONS)
    send_until_idle(sender, threading.Event())
    return sender


def look(unit: Unit, edition: Edition) -> tuple[Edition, dict[str, int], dict[AlertKind, str]]:
    """Return the edition as it stands, the states that anybody is in, and the open alerts."""
    with unit.read() as tx:
        current = editions.by_id(tx, edition.id)
        receipt = report.receipt(tx, current)
        open_ones = {one.kind: one.message for one in alerts.open_alerts(tx)}
    assert receipt.balances
    return current, {state.value: receipt.counts[state] for state in DeliveryState if receipt.counts[state]}, open_ones


@pytest.mark.parametrize("answer", [BLOCKED, REFUSED], ids=["dot", "rcpt"])
def test_everybody_is_refused(
    sqlite_unit: Unit, late: FixedClock, render_context: RenderContext, answer: Answer
) -> None:
    """The edition is paused with the server's words after 25 alike; once it is mended, the rest and the refused go."""
    edition = make_edition(sqlite_unit, render_context, 60)
    broken = Server(script=lambda *_: answer)
    run(sqlite_unit, late, broken)
    now, states, alert = look(sqlite_unit, edition)
    assert now.status is EditionStatus.PAUSED
    assert now.status_why == (
        f"{REFUSALS} people in a row were refused in the same words, and none was accepted: "
        f'the mail server said "554 5.7.1 {answer.reply.text}".'
    )
    assert now.status_why in alert[AlertKind.EDITION_PAUSED]
    assert REFUSALS <= states["rejected"] < REFUSALS + CONNECTIONS
    assert states == {"rejected": states["rejected"], "queued": 60 - states["rejected"]}
    assert broken.asked.total() == states["rejected"]

    mended = Server()
    assert hold.resume_edition(sqlite_unit, now, who="ann", now=late.now())
    run(sqlite_unit, late, mended)
    now, after, alert = look(sqlite_unit, edition)
    assert now.status is EditionStatus.FINISHED
    assert after == {"rejected": states["rejected"], "accepted": 60 - states["rejected"]}
    assert alert == {}
    assert not set(mended.accepted) & set(broken.asked)


def test_nobody_is_named(sqlite_unit: Unit, late: FixedClock, render_context: RenderContext) -> None:
    """The server's words go into the alert without the address of whose turn it was."""
    edition = make_edition(sqlite_unit, render_context, 30)

    def script(address: str, _nth: int) -> Answer:
        return replace(REFUSED, reply=replace(REFUSED.reply, text=f"<{address.upper()}>: Go away"))

    run(sqlite_unit, late, Server(script=script))
    now, _, alert = look(sqlite_unit, edition)
    assert '"554 5.7.1 <…>: Go away"' in now.status_why
    assert "@example.com" not in alert[AlertKind.EDITION_PAUSED].lower()


def test_no_message_can_be_made(
    sqlite_unit: Unit, late: FixedClock, render_context: RenderContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What we fail to make for everybody is paused like what the server refuses."""
    edition = make_edition(sqlite_unit, render_context, 60)

    def envelope(*_: object) -> None:
        raise ValueError("no such slot")

    monkeypatch.setattr(MessageBuilder, "build", envelope)
    server = Server()
    run(sqlite_unit, late, server)
    now, states, alert = look(sqlite_unit, edition)
    assert now.status is EditionStatus.PAUSED
    assert "the message cannot be made: no such slot" in alert[AlertKind.EDITION_PAUSED]
    assert states["rejected"] < REFUSALS + CONNECTIONS
    assert server.asked.total() == 0


@pytest.mark.parametrize(("people", "refused"), [(10, 10), (10, 5), (2, 2)])
def test_a_small_edition(
    sqlite_unit: Unit,
    late: FixedClock,
    render_context: RenderContext,
    people: int,
    refused: int,
) -> None:
    """An edition too small to be paused is finished, and an alert says when most people were refused."""
    edition = make_edition(sqlite_unit, render_context, people)
    bad = {f"p{n}@example.com" for n in range(refused)}
    run(sqlite_unit, late, Server(script=lambda address, _: BLOCKED if address in bad else TAKEN))
    now, states, alert = look(sqlite_unit, edition)
    assert now.status is EditionStatus.FINISHED
    assert states["rejected"] == refused
    assert set(alert) == ({AlertKind.REFUSED_PEOPLE} if refused == 10 else set())
    if alert:
        message = alert[AlertKind.REFUSED_PEOPLE]
        assert message.startswith("10 of 10 people were refused in the edition of 2026-11-03: the mail server may")
        assert "`newsletter edition retry 2026-11-03 --rejected`" in message


def test_single_refusals(sqlite_unit: Unit, late: FixedClock, render_context: RenderContext) -> None:
    """A few refused, all over the edition, are those people's own; so are mailboxes that are gone."""
    edition = make_edition(sqlite_unit, render_context, 200)

    def script(address: str, _nth: int) -> Answer:
        number = int(address[1:].partition("@")[0])
        if 100 <= number < 120:
            return UNKNOWN_USER
        return BLOCKED if number % 10 == 0 else TAKEN

    run(sqlite_unit, late, Server(script=script))
    now, states, alert = look(sqlite_unit, edition)
    assert now.status is EditionStatus.FINISHED
    assert states == {"rejected": 20 + 18, "accepted": 162}
    assert alert == {}


def test_too_many_over_the_edition(sqlite_unit: Unit, late: FixedClock, render_context: RenderContext) -> None:
    """A share of blocked mail that no list can bear pauses the edition; resumed, it bears that share and ends."""
    edition = make_edition(sqlite_unit, render_context, 400)
    server = Server(script=lambda address, _: BLOCKED if int(address[1:].partition("@")[0]) % 4 == 0 else TAKEN)
    slow = Patience(late)
    run(sqlite_unit, slow, server)
    now, states, alert = look(sqlite_unit, edition)
    assert now.status is EditionStatus.PAUSED
    assert "were refused because of us" in alert[AlertKind.EDITION_PAUSED]
    assert 25 <= states["rejected"] < 100
    assert hold.resume_edition(sqlite_unit, now, who="ann", now=late.now())
    run(sqlite_unit, slow, server)
    now, states, _ = look(sqlite_unit, edition)
    assert now.status is EditionStatus.FINISHED
    assert states == {"rejected": 100, "accepted": 300}


class Patience(FixedClock):
    """A clock on which each look takes a second, so that the desk counts at every commit."""

    def __init__(self, other: FixedClock) -> None:
        """Begin where another one stands."""
        super().__init__(other.now())

    def monotonic(self) -> float:
        """Return a later second each time."""
        self.turn(seconds=0.05)
        return super().monotonic()
