"""What an opt-out does to the database, and what a reader sees when the database is in trouble; on both kinds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest
from jinja2 import Environment
from sqlalchemy import text

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition
from newsletter.core.lineup import LineupRules
from newsletter.core.subscriber import SubscriberId, SubscriberState
from newsletter.core.token import make_unsubscribe_token
from newsletter.errors import NewsletterError, NotNow, Stop
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.store import database
from newsletter.store import delivery as deliveries
from newsletter.store.database import connect, open_unit
from newsletter.store.schema import delivery
from newsletter.store.unit import Tx, Unit
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import PUBLICATION, TUESDAY, add_people, add_tip, first_slot
from tests.web.conftest import KEYRING, ONE_CLICK, Ask, Reader, Stage, WebParts, add_reader, asking


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database, once of each kind."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
def edition(unit: Unit, clock: FixedClock, templates: Environment) -> Edition:
    """Freeze an edition for the subscribers 1 to 20."""
    add_people(unit, 20)
    add_tip(unit)
    clock.set(TUESDAY)
    render_context = RenderContext(publication=PUBLICATION, templates=templates, rules=LineupRules())
    frozen = freeze(unit, render_context, first_slot(), now=clock.now()).edition
    assert frozen is not None
    return frozen


def link(number: int, edition: Edition) -> str:
    """Return the path of the link in the mail of a subscriber."""
    return f"/u/{make_unsubscribe_token(KEYRING, SubscriberId(number), edition.id)}"


def counts(unit: Unit, edition: Edition) -> dict[DeliveryState, int]:
    """Return how many deliveries are in each state that occurs."""
    with unit.read() as tx:
        return {state: count for state, count in deliveries.counts(tx, edition.id).items() if count}


def test_the_opt_out_is_in_the_database_before_the_answer(ask: Ask, reader: Reader, database_url: str) -> None:
    """Another process sees the opt-out as soon as the 200 is here."""
    assert ask("POST", f"/u/{reader.token}", data=ONE_CLICK).status_code == 200
    engine = connect(database_url)
    assert replace(reader, unit=open_unit(engine)).state is SubscriberState.UNSUBSCRIBED
    engine.dispose()


def test_a_queued_mail_is_taken_back(ask: Ask, unit: Unit, edition: Edition) -> None:
    """Who leaves while an edition is going out, and has not been reached, is not reached; the books balance."""
    assert ask("POST", link(3, edition), data=ONE_CLICK).status_code == 200
    assert counts(unit, edition) == {DeliveryState.QUEUED: 19, DeliveryState.SKIPPED: 1}


def test_a_deferred_mail_is_taken_back(ask: Ask, unit: Unit, edition: Edition) -> None:
    """A mail that waits for another try is not tried again."""
    with unit.write() as tx:
        tx.execute(delivery.update().where(delivery.c.subscriber_id == 3).values(state="deferred"))
    ask("POST", link(3, edition), data=ONE_CLICK)
    assert counts(unit, edition) == {DeliveryState.QUEUED: 19, DeliveryState.SKIPPED: 1}


@pytest.mark.parametrize("state", ["sending", "accepted", "uncertain"])
def test_what_may_have_gone_out_is_left_alone(ask: Ask, unit: Unit, edition: Edition, state: str) -> None:
    """An opt-out does not rewrite what happened."""
    with unit.write() as tx:
        tx.execute(delivery.update().where(delivery.c.subscriber_id == 3).values(state=state))
    ask("POST", link(3, edition), data=ONE_CLICK)
    assert counts(unit, edition) == {DeliveryState.QUEUED: 19, DeliveryState(state): 1}


def test_many_leave_at_the_same_moment(ask: Ask, unit: Unit, edition: Edition) -> None:
    """Twenty people who each click twice at once all get a 200 and leave one piece of evidence each."""
    links = [link(number, edition) for number in range(1, 21)] * 2
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda path: ask("POST", path, data=ONE_CLICK).status_code, links))
    assert answers == [200] * 40
    assert counts(unit, edition) == {DeliveryState.SKIPPED: 20}
    with unit.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM consent")).scalar() == 20


def says_what_to_do(answer: httpx.Response) -> None:
    """Check the page of a service that cannot record an opt-out."""
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "please try again" in answer.text
    assert "mailto:hello@news.example.com?subject=Unsubscribe" in answer.text
    assert '<form method="post">' in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


class BrokenUnit(Unit):
    """A door that raises, as a database does that is away."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """Raise."""
        raise self._error
        yield

    read = write


@pytest.mark.parametrize(
    "error",
    [NotNow("The database does not answer."), Stop("The disk is full."), KeyError("a bug"), OSError("no more files")],
    ids=lambda error: type(error).__name__,
)
def test_whatever_is_wrong_is_never_a_server_error(
    stage: tuple[Stage, str],
    clock: FixedClock,
    templates: Environment,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The reader is told to try again or to write, whether the disk is full or the program has a bug."""
    parts = WebParts(unit=BrokenUnit(error), clock=clock, templates=templates)
    for ask in asking(stage, parts):
        says_what_to_do(ask("POST", f"/u/{make_unsubscribe_token(KEYRING, SubscriberId(1))}", data=ONE_CLICK))
        assert ask("GET", f"/u/{make_unsubscribe_token(KEYRING, SubscriberId(1))}").status_code == 200
        assert ask("GET", "/healthz").json() == {"ok": False, "problems": ["the database does not answer"]}
    # A trace is for bugs; trouble that an operator can end is one line.
    assert ("Traceback" in caplog.text) is not isinstance(error, NewsletterError)


def test_a_database_that_hangs_holds_up_nobody(stage: tuple[Stage, str], reader: Reader, parts: WebParts) -> None:
    """While another process keeps the person's row, an opt-out gives up in time and pages answer."""
    holding, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with reader.unit.write() as tx:
            tx.execute(text("UPDATE subscriber SET name = 'Ann'"))
            holding.set()
            let_go.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    holding.wait(20)
    for ask in asking(stage, parts, patience=0.2):
        says_what_to_do(ask("POST", f"/u/{reader.token}", data=ONE_CLICK))
        assert ask("GET", f"/u/{reader.token}").status_code == 200
    assert reader.state is SubscriberState.ACTIVE
    let_go.set()
    holder.join(20)
    for ask in asking(stage, parts):
        assert ask("POST", f"/u/{reader.token}", data=ONE_CLICK).status_code == 200
    assert reader.state is SubscriberState.UNSUBSCRIBED


def test_a_database_without_its_tables_is_trouble_too(ask: Ask, reader: Reader, unit: Unit) -> None:
    """An error that nobody foresaw is told to the log, and the reader gets a way out."""
    with unit.write() as tx:
        tx.execute(text("ALTER TABLE subscriber RENAME TO elsewhere"))
    says_what_to_do(ask("POST", f"/u/{reader.token}", data=ONE_CLICK))
    with unit.write() as tx:
        tx.execute(text("ALTER TABLE elsewhere RENAME TO subscriber"))


def test_a_sqlite_that_stays_locked_is_trouble_too(
    stage: tuple[Stage, str],
    sqlite_url: str,
    clock: FixedClock,
    templates: Environment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A write lock that outlasts SQLite's patience is a page, and the opt-out works once it is gone."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 50)
    engine, other = connect(sqlite_url), connect(sqlite_url)
    reader, writer = add_reader(open_unit(engine)), open_unit(other)
    for ask in asking(stage, WebParts(unit=reader.unit, clock=clock, templates=templates)):
        with writer.write():
            says_what_to_do(ask("POST", f"/u/{reader.token}", data=ONE_CLICK))
        assert reader.state is SubscriberState.ACTIVE
        assert ask("POST", f"/u/{reader.token}", data=ONE_CLICK).status_code == 200
    assert reader.state is SubscriberState.UNSUBSCRIBED
    engine.dispose()
    other.dispose()
