"""A whole edition against a real mail server that refuses our sender, account or content, or whose quota is used up."""

from __future__ import annotations

import functools
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.subscriber import SubscriberState
from newsletter.flows import hold
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.sending.sender_loop import send_until_idle
from newsletter.store import edition as editions
from newsletter.store import report
from newsletter.store.schema import subscriber
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from newsletter.transport.base import Relay, Security
from newsletter.transport.smtp import connect
from tests.core.refusal_corpus import QUOTA_OR_RATE, SENDER_OR_ACCOUNT
from tests.edition_fixtures import TUESDAY, add_people, add_tip, first_slot, make_sender

ROUNDS = 60
"""Passes of the sender in which everybody must be served: a deferral waits at most hours."""


class _Server(socketserver.ThreadingTCPServer):
    """A mail server that gives one reply at one step as long as `refusal` is set, and takes everything else."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.refusal: tuple[str, bytes] | None = None
        self.accepted: Counter[str] = Counter()


class _Session(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        self._say(b"220 relay.example.net ESMTP")
        recipient = ""
        for line in self.rfile:
            verb = line[:4].upper()
            refusal = self._refusal("rcpt" if verb == b"RCPT" else "")
            if verb == b"EHLO":
                self._say(b"250-relay.example.net", b"250 SIZE 1000000")
            elif verb == b"RCPT":
                recipient = line.decode().partition("<")[2].partition(">")[0]
                self._say(refusal or b"250 2.1.5 Ok")
            elif verb == b"DATA":
                self._say(b"354 Go on")
                while self.rfile.readline() not in {b".\r\n", b""}:
                    pass
                refusal = self._refusal("dot")
                self._say(refusal or b"250 2.0.0 Ok: queued as 4F2A")
                self._count(recipient, accepted=refusal is None)
            elif verb == b"QUIT":
                self._say(b"221 Bye")
                return
            else:
                self._say(b"250 Ok")

    def _refusal(self, step: str) -> bytes | None:
        server = self.server
        assert isinstance(server, _Server)
        return server.refusal[1] if server.refusal and server.refusal[0] == step else None

    def _count(self, recipient: str, *, accepted: bool) -> None:
        assert isinstance(self.server, _Server)
        self.server.accepted[recipient] += accepted

    def _say(self, *lines: bytes) -> None:
        self.wfile.write(b"".join(line + b"\r\n" for line in lines))


@contextmanager
def mail_server() -> Iterator[_Server]:
    """Run the server."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(unit: Unit, clock: FixedClock, server: _Server) -> None:
    """Send in the foreground until nothing is due."""
    relay = Relay(host="127.0.0.1", port=server.server_address[1], security=Security.NONE, timeout=5.0)
    sender = make_sender(unit, clock, functools.partial(connect, relay, monotonic=clock.monotonic), connections=3)
    send_until_idle(sender, threading.Event())


def look(unit: Unit, edition: Edition) -> tuple[Edition, dict[str, int], int]:
    """Return the edition as it stands, the states that anybody is in, and the number of active subscribers."""
    with unit.read() as tx:
        current = editions.by_id(tx, edition.id)
        receipt = report.receipt(tx, current)
        query = select(func.count()).where(subscriber.c.state == SubscriberState.ACTIVE.value)
        active = tx.execute(query).scalar_one()
    assert receipt.balances
    return current, {state.value: receipt.counts[state] for state in DeliveryState if receipt.counts[state]}, active


def make_edition(unit: Unit, render_context: RenderContext, people: int) -> Edition:
    """Freeze an edition for so many people."""
    add_people(unit, people)
    add_tip(unit)
    edition = freeze(unit, render_context, first_slot(), now=TUESDAY).edition
    assert edition is not None
    return edition


def refusal(line: str) -> tuple[str, bytes]:
    """Return the step and the reply of a line of the corpus."""
    step, reply = line.split(" ", 1)
    return step, reply.encode()


@pytest.mark.parametrize("people", [20, 40])
@pytest.mark.parametrize("line", SENDER_OR_ACCOUNT[::4])
def test_a_refusal_of_our_side_costs_nobody_the_edition(
    sqlite_unit: Unit, clock: FixedClock, render_context: RenderContext, line: str, people: int
) -> None:
    """The edition is paused at the first reply, with the server's words; `resume` alone brings it to everybody."""
    clock.set(TUESDAY)
    edition = make_edition(sqlite_unit, render_context, people)
    with mail_server() as server:
        server.refusal = refusal(line)
        run(sqlite_unit, clock, server)
        paused, states, active = look(sqlite_unit, edition)
        assert (paused.status, states, active) == (EditionStatus.PAUSED, {"queued": people}, people)
        assert line.split(" ", 2)[1] in paused.status_why
        server.refusal = None
        assert hold.resume_edition(sqlite_unit, paused, who="ann", now=clock.now())
        run(sqlite_unit, clock, server)
        finished, states, active = look(sqlite_unit, edition)
        assert (finished.status, states, active) == (EditionStatus.FINISHED, {"accepted": people}, people)
        assert set(server.accepted.values()) == {1}


@pytest.mark.parametrize("people", [20, 40])
@pytest.mark.parametrize("line", QUOTA_OR_RATE[::4])
def test_a_quota_of_ours_costs_nobody_the_edition(
    sqlite_unit: Unit, clock: FixedClock, render_context: RenderContext, line: str, people: int
) -> None:
    """Everybody waits, nobody is refused, and once the quota allows it each gets the mail once."""
    clock.set(TUESDAY)
    edition = make_edition(sqlite_unit, render_context, people)
    with mail_server() as server:
        server.refusal = refusal(line)
        run(sqlite_unit, clock, server)
        waiting, states, active = look(sqlite_unit, edition)
        assert waiting.status is EditionStatus.SENDING
        assert states.keys() <= {"queued", "deferred"}
        assert active == people
        server.refusal = None
        for _ in range(ROUNDS):
            clock.turn(hours=1)
            run(sqlite_unit, clock, server)
            finished, states, active = look(sqlite_unit, edition)
            if finished.status is EditionStatus.FINISHED:
                break
        assert (finished.status, states, active) == (EditionStatus.FINISHED, {"accepted": people}, people)
        assert set(server.accepted.values()) == {1}
