"""The home of the admin area shows what `newsletter status` prints, in every state of the next date."""

from __future__ import annotations

import asyncio
import html
import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import html5lib
import httpx
import pytest
from sqlalchemy import update

from newsletter.cli.main import main
from newsletter.core.access import SignInMethod
from newsletter.core.cadence import Slot, SlotState, cadence_text
from newsletter.core.delivery import DeliveryCounts
from newsletter.core.edition import EditionStatus
from newsletter.core.monitor import ServicePart
from newsletter.core.tip import TipDraft, TipStatus
from newsletter.settings.loader import load_settings
from newsletter.store import edition as editions
from newsletter.store import heartbeat as heartbeats
from newsletter.store import installation as installations
from newsletter.store import session as sessions
from newsletter.store import slot as slots
from newsletter.store import tip as tips
from newsletter.store.schema import delivery
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from newsletter.web.admin.guard import SESSION_COOKIE, hash_of_session
from newsletter.web.app import create_app
from newsletter.wiring import Application, build
from tests.cli.conftest import Home
from tests.flows.people_fixtures import begin_edition, put

FRIDAY = datetime(2026, 11, 6, 12, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 10, 14, tzinfo=UTC)
"""09:00 in New York."""
LABEL_WIDTH = 10


def add_tip(unit: Unit, status: TipStatus = TipStatus.APPROVED) -> None:
    """Write a tip whose title needs escaping."""
    draft = TipDraft(slug="a-tip", title="Less & <more>", subject="S", body="B", status=status)
    with unit.write() as tx:
        tips.add(tx, draft, now=FRIDAY)


def start(unit: Unit, app: Application, at: datetime = FRIDAY) -> None:
    """Let the service have run since the first of November, and be alive."""
    with unit.write() as tx:
        installations.begin(tx, now=datetime(2026, 11, 1, tzinfo=UTC), cadence=cadence_text(app.cadence))
        for part in ServicePart:
            heartbeats.record(tx, part, now=at, process="host 17")


def planned(unit: Unit, app: Application) -> None:
    """Arrange a good morning."""
    put(unit, "ada@example.com")
    add_tip(unit)
    start(unit, app)


def first_start(unit: Unit, _app: Application) -> None:
    """Arrange an installation whose service never ran."""
    put(unit, "ada@example.com")
    add_tip(unit)


def no_audience(unit: Unit, app: Application) -> None:
    """Arrange a list without people."""
    add_tip(unit)
    start(unit, app)


def needs_approval(unit: Unit, app: Application) -> None:
    """Arrange a draft that waits."""
    put(unit, "ada@example.com")
    add_tip(unit, TipStatus.DRAFT)
    start(unit, app)


def empty(unit: Unit, app: Application) -> None:
    """Arrange an empty queue."""
    put(unit, "ada@example.com")
    start(unit, app)


def skipped(unit: Unit, app: Application) -> None:
    """Arrange a holiday."""
    planned(unit, app)
    with unit.write() as tx:
        slots.add(tx, Slot(date=TUESDAY.date(), sends_at=TUESDAY), now=FRIDAY)
        slots.move(tx, TUESDAY.date(), was=SlotState.OPEN, to=SlotState.SKIPPED, reason="holiday", now=FRIDAY)


def sending(unit: Unit, app: Application) -> None:
    """Arrange an edition that is on its way."""
    planned(unit, app)
    begin_edition(unit, date(2026, 11, 3))


def held(unit: Unit, app: Application) -> None:
    """Arrange a copy."""
    sending(unit, app)
    with unit.write() as tx:
        installations.mark_copied(tx)


def reported(unit: Unit, app: Application, accepted: int = 1) -> None:
    """Arrange an edition that has ended."""
    planned(unit, app)
    edition = begin_edition(unit, date(2026, 11, 3))
    with unit.write() as tx:
        tx.execute(update(delivery).values(state="accepted"))
        editions.close(tx, edition.id, totals=DeliveryCounts(accepted=accepted), now=FRIDAY)


def unbalanced(unit: Unit, app: Application) -> None:
    """Arrange a report that does not add up."""
    reported(unit, app, accepted=3)


def paused(unit: Unit, app: Application) -> None:
    """Arrange an edition that needs a person."""
    planned(unit, app)
    edition = begin_edition(unit, date(2026, 11, 3))
    with unit.write() as tx:
        editions.move(tx, edition.id, was=[EditionStatus.SENDING], to=EditionStatus.PAUSED, why="wrong link")


Arrange = Callable[[Unit, Application], None]

STATES: dict[str, tuple[Arrange, datetime, str]] = {
    "planned": (planned, FRIDAY, "planned"),
    "first start": (first_start, FRIDAY, "first start"),
    "no audience": (no_audience, FRIDAY, "no audience"),
    "needs approval": (needs_approval, FRIDAY, "needs approval"),
    "empty": (empty, FRIDAY, "empty"),
    "late": (planned, TUESDAY + timedelta(hours=1), "late"),
    "skipped": (skipped, FRIDAY, "planned"),
    "sending": (sending, FRIDAY, "sending"),
    "held": (held, FRIDAY, "held"),
    "reported": (reported, FRIDAY, "planned"),
    "unbalanced": (unbalanced, FRIDAY, "planned"),
    "paused": (paused, FRIDAY, "planned"),
}


@pytest.fixture
def app(home: Home) -> Application:
    """Return the application of the home, with the admin area, at a clock that stands still."""
    with (home.folder / ".env").open("a") as settings:
        settings.write("NEWSLETTER_WEB_PAGES=all\nNEWSLETTER_ADMIN_EMAILS=ada@example.org\n")
    return build(load_settings({}, home.folder), clock=FixedClock(FRIDAY))


def page_of(app: Application) -> str:
    """Return the home page of an admin."""
    with app.unit.write() as tx:
        sessions.add(
            tx,
            hash_of_session("cookie"),
            email="ada@example.org",
            method=SignInMethod.CODE,
            browser="Firefox on Linux",
            browser_hash="laptop",
            network="192.0.2.0/24",
            now=app.clock.now(),
        )
    transport = httpx.ASGITransport(create_app(app))
    client = httpx.AsyncClient(transport=transport, base_url="https://news.example.com")
    answer = asyncio.run(client.get("/admin/", headers={"Cookie": f"{SESSION_COOKIE}=cookie"}))
    assert answer.status_code == 200
    return answer.text


def words_of(page: str) -> str:
    """Return what a person reads on a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", page)).split())


def summary_labels(summary: dict[str, object]) -> Iterator[str]:
    """Yield the labels of the lines below the needs."""
    yield "next"
    if summary["running"]:
        yield "now"
    if summary["last"] or not summary["running"]:
        yield "last"
    yield from ("service", "stock", "people")


@pytest.mark.parametrize("state", STATES)
def test_the_page_says_what_the_command_says(
    home: Home,
    app: Application,
    state: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each line of `newsletter status` stands on the page, and so does each thing that needs a person."""
    arrange, now, expected = STATES[state]
    arrange(home.unit, app)
    clock = FixedClock(now)
    page = page_of(build(app.settings, clock=clock))
    html5lib.HTMLParser(strict=True).parse(page)

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["newsletter", "-C", str(home.folder), "status", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit):
            main(clock)
        return capsys.readouterr().out

    summary = json.loads(run("--json"))
    assert summary["next_state"] == expected
    assert f'class="badge {expected.replace(" ", "-")}"' in page
    shown = words_of(page)
    for need in summary["needs"]:
        assert " ".join(need.replace("`", "").split()) in shown
    lines = run().split("\n\n")[-1].splitlines()
    assert [line[:LABEL_WIDTH].strip() for line in lines if line[0] != " "] == list(summary_labels(summary))
    for line in lines:
        assert " ".join(line[LABEL_WIDTH:].replace("`", "").split()) in shown


def test_the_last_report_adds_up_before_your_eyes(home: Home, app: Application) -> None:
    """The counts stand beside the audience that they come to; a gap is said in so many words."""
    reported(home.unit, app)
    words = words_of(page_of(app))
    assert "1 handed to your mail provider" in words
    assert "It adds up: together these are 1 person." in words
