"""A whole engine on a database, with a real SMTP server in process; what the server received is the judge."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from functools import cache
from pathlib import Path

import pytest

from newsletter.clock import Clock
from newsletter.core.cadence import Cadence, Slot, slot_on
from newsletter.core.delivery import UncertainPolicy
from newsletter.core.edition import Edition
from newsletter.core.lineup import LineupRules
from newsletter.core.message import Publication
from newsletter.core.pace import Limits
from newsletter.core.tip import TipDraft, TipStatus
from newsletter.core.token import Keyring
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.operations.ticker import Ticker
from newsletter.render.environment import make_environment
from newsletter.sending.options import PassResult, SendOptions, WorkerHost
from newsletter.sending.sender import Sender
from newsletter.store import tip as tips
from newsletter.store.schema import subscriber
from newsletter.store.unit import Unit
from newsletter.testing.catcher import Catcher
from newsletter.testing.clocks import FixedClock
from newsletter.transport.base import ConnectFailure, Connection, Relay, Security
from newsletter.transport.pool import Pool
from newsletter.transport.smtp import connect
from tests.conftest import SECRET

PUBLICATION = Publication(
    name="Tip of the Week",
    from_email="tips@news.example.com",
    reply_to="hello@news.example.com",
    postal_address="Example Society\n1 Example Street\nSpringfield",
    base_url="https://news.example.com",
)
CADENCE = Cadence(weekday=1, at=time(9), zone="America/New_York")
TUESDAY = datetime(2026, 11, 3, 14, tzinfo=UTC)
"""The first slot after the clock's start: 09:00 in New York."""


def add_people(unit: Unit, count: int, *, start: int = 0) -> None:
    """Add so many active subscribers, from p0@example.com on."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with unit.write() as tx:
        tx.execute(
            subscriber.insert(),
            [
                {
                    "email": f"p{number}@example.com",
                    "canonical": f"p{number}@example.com",
                    "name": f"Person {number}",
                    "first_name": f"Person{number}",
                    "tags": [],
                    "fields": {},
                    "state": "active",
                    "state_since": now,
                    "created_at": now,
                }
                for number in range(start, start + count)
            ],
        )


def add_tip(unit: Unit, slug: str = "name-your-branches", **more: object) -> None:
    """Queue an approved tip."""
    draft = TipDraft(
        slug=slug,
        title=slug.replace("-", " ").capitalize(),
        subject=slug.replace("-", " ").capitalize(),
        status=TipStatus.APPROVED,
        body="Hello {{ first_name|there }},\n\na short name says more than a number.\n",
        **more,  # type: ignore[arg-type]
    )
    with unit.write() as tx:
        tips.add(tx, draft, now=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="session")
def render_context() -> RenderContext:
    """Return what rendering needs."""
    return RenderContext(publication=PUBLICATION, templates=make_environment(None), rules=LineupRules())


@pytest.fixture
def ticker(unit: Unit, clock: FixedClock, render_context: RenderContext) -> Ticker:
    """Return a bell on this test's database and clock."""
    return Ticker(
        unit=unit,
        clock=clock,
        cadence=CADENCE,
        grace=timedelta(hours=36),
        render_context=render_context,
        process="test 1",
    )


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    """Return a mail server that takes everything."""
    with Catcher() as server:
        yield server


def make_sender(
    unit: Unit, clock: Clock, server: int | Callable[[], Connection | ConnectFailure], **rules: object
) -> Sender:
    """Return a sender that speaks to a port of 127.0.0.1, or to a server in memory."""
    if isinstance(server, int):
        relay = Relay(host="127.0.0.1", port=server, security=Security.NONE, timeout=5.0, dot_timeout=5.0)
        opening: Callable[[], Connection | ConnectFailure] = lambda: connect(relay, monotonic=clock.monotonic)  # noqa: E731
    else:
        opening = server
    decided: dict[str, object] = {
        "connections": 3,
        "rate_per_second": None,
        "limits": Limits(per_hour=None, per_day=None),
        "expire_after": timedelta(hours=72),
        "uncertain_policy": UncertainPolicy.HOLD,
        "jitter": lambda: 0.0,
    } | rules
    settled = SendOptions(**decided)  # type: ignore[arg-type]
    new_sender = Sender(
        unit=unit,
        clock=clock,
        pool=Pool(
            [Relay(host="mail.example.com", port=25)],
            connections=settled.connections,
            clock=clock,
            jitter=settled.jitter,
            dial=lambda _: opening(),
        ),
        connect=opening,
        publication=PUBLICATION,
        keyring=Keyring(current=SECRET),
        rules=settled,
        host=WorkerHost(
            process="test 1",
            machine="test machine",
            journals=journals_of(unit),
            sole=unit._engine.dialect.name == "sqlite",
        ),
    )
    MADE.append(new_sender)
    return new_sender


def journals_of(unit: Unit) -> Path:
    """Return a folder of this database's own: all test databases bear the identity of one template."""
    place = Path(str(unit._engine.url.database))
    if place.is_absolute():
        return place.parent / "journal"
    with _MAKING:
        return Path(_journals().name) / place.name


_MAKING = threading.Lock()


@cache
def _journals() -> tempfile.TemporaryDirectory[str]:
    # Made when it is first needed: whoever only imports this may be a process of another user.
    return tempfile.TemporaryDirectory(prefix="newsletter-journals-")


MADE: list[Sender] = []


@pytest.fixture(autouse=True)
def _close_journals() -> Iterator[None]:
    """Let no journal of a sender outlive its test: thousands of tests would run out of open files."""
    yield
    for sender in MADE:
        if sender._worker is not None:
            sender._worker.journal.close(keep=True)
    MADE.clear()


def first_slot() -> Slot:
    """Return the slot of Tuesday 3 November 2026."""
    slot = slot_on(CADENCE, TUESDAY.date())
    assert slot is not None
    return slot


@pytest.fixture
def frozen(unit: Unit, clock: FixedClock, render_context: RenderContext) -> Callable[[int], Edition]:
    """Return a function that freezes an edition for so many people."""

    def make(people: int) -> Edition:
        add_people(unit, people)
        add_tip(unit)
        clock.set(TUESDAY)
        edition = freeze(unit, render_context, first_slot(), now=clock.now()).edition
        assert edition is not None
        return edition

    return make


def work(sender: Sender) -> PassResult:
    """Run one pass."""
    return sender.work(threading.Event())
