"""The health check: what a monitor learns, and what it must not learn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from newsletter.core.monitor import ServicePart
from newsletter.core.web_options import WebOptions
from newsletter.store import alert as alerts
from newsletter.store import heartbeat as heartbeats
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.web.conftest import Ask, Reader, Stage, WebParts, asking


def beat(unit: Unit, clock: FixedClock, *parts: str) -> None:
    """Let parts be alive now."""
    with unit.write() as tx:
        for part in parts:
            heartbeats.record(tx, ServicePart(part), now=clock.now(), process="secret-host 4711")


def test_all_is_well(ask: Ask, unit: Unit, clock: FixedClock) -> None:
    """With both parts alive the answer is 200, with their ages in seconds."""
    beat(unit, clock, "scheduler", "sender")
    clock.turn(seconds=90)
    answer = ask("GET", "/healthz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ok": True,
        "problems": [],
        "scheduler": "late",
        "sender": "late",
        "seconds_since_scheduler": 90,
        "seconds_since_sender": 90,
        "open_alerts": 0,
    }


@pytest.mark.parametrize(("dead", "alive"), [("scheduler", "sender"), ("sender", "scheduler")])
def test_a_silent_part_is_named(ask: Ask, unit: Unit, clock: FixedClock, dead: str, alive: str) -> None:
    """A part that has not been heard of for over two minutes makes it a 503 that names the part and the time."""
    beat(unit, clock, dead)
    clock.turn(seconds=121)
    beat(unit, clock, alive)
    answer = ask("GET", "/healthz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == [f"the {dead} was last alive at 2026-11-01T12:00:00Z; see its log"]


def test_a_service_that_never_ran_is_reported(ask: Ask) -> None:
    """A fresh database has no heartbeats, which is no health."""
    answer = ask("GET", "/healthz")
    assert answer.status_code == 503
    assert len(answer.json()["problems"]) == 2
    assert answer.json()["seconds_since_scheduler"] is None


def test_open_alerts_are_counted_without_their_words(ask: Ask, unit: Unit, clock: FixedClock, reader: Reader) -> None:
    """Anybody may ask for health: no address, no machine, no word of an alert is in the answer."""
    beat(unit, clock, "scheduler", "sender")
    alert = Alert(
        kind=AlertKind.RELAY,
        about="ann@example.com",
        message="The relay refuses ann@example.com.",
        raised_at=datetime(2026, 11, 1, tzinfo=UTC),
    )
    with unit.write() as tx:
        alerts.raise_alert(tx, alert)
    answer = ask("GET", "/healthz")
    assert (answer.status_code, answer.json()["open_alerts"]) == (200, 1)
    assert "ann" not in answer.text
    assert "secret-host" not in answer.text


def test_head_is_enough_for_a_monitor(ask: Ask) -> None:
    """HEAD has the status of GET."""
    assert ask("HEAD", "/healthz").status_code == 503


@pytest.fixture
def ask_opt_out(stage: tuple[Stage, str], parts: WebParts) -> Iterator[Ask]:
    """Return a function that asks a web part as it is without any setting."""
    yield from asking(stage, replace(parts, web_options=WebOptions()))


NOTHING = (
    "/",
    "/subscribe",
    "/c/x",
    "/puzzle",
    "/static/site.css",
    "/nothing",
    "/docs",
    "/openapi.json",
    "/U/x",
    "/%00",
)


@pytest.mark.parametrize("path", NOTHING)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_there_is_nothing_else(ask_opt_out: Ask, path: str, method: str) -> None:
    """Unless the setting says otherwise, any other path is a small page that says how to unsubscribe."""
    answer = ask_opt_out(method, path)
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text
    assert "has no page at this address" in answer.text
    assert "hello@news.example.com" in answer.text
